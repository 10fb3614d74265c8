"""Missing values in X: the mean in their place, and further inputs that say where they were.

X with NaN enters, dense or sparse; X without, and with one more column of 0 and 1 for each feature that had NaN when it was learned
from, leaves. A feature that misses values later only gets its mean. All of it is scikit-learn's ``SimpleImputer``.
"""


def learned(X):
    """A fitted imputer; a feature of nothing but NaN is 0."""
    from sklearn.impute import SimpleImputer  # here, as it brings in half of scikit-learn, and few want it

    imputer = SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True)
    # what leaves is an array, whatever scikit-learn's global configuration says of the output of transformers
    return imputer.set_output(transform="default").fit(X)


def n_outputs(imputer):
    """How many columns leave."""
    return imputer.n_features_in_ + imputer.indicator_.features_.size
