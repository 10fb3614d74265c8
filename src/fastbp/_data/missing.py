"""Missing values in X: the mean is filled in, and indicator columns say where values were missing.

X with NaN goes in, dense or sparse; X without NaN comes out, followed by one column of 0 and 1 for each feature that had NaN in the
rows the imputer was fitted on. A feature that has NaN only later is filled with its mean. The work is done by scikit-learn's
``SimpleImputer``.
"""


def learned(X):
    """A fitted imputer; a feature with no values at all is filled with 0."""
    from sklearn.impute import SimpleImputer  # imported here because it loads half of scikit-learn and few users need it

    imputer = SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True)
    # the output must be an array, whatever scikit-learn's global configuration says
    return imputer.set_output(transform="default").fit(X)


def n_outputs(imputer):
    """The number of columns of the imputer's output."""
    return imputer.n_features_in_ + imputer.indicator_.features_.size
