"""Missing values in X: they are replaced by the mean of the feature, and indicator columns show where values were missing.

X with NaN, dense or sparse, goes in; X without NaN comes out, followed by a column of 0 and 1 for each feature that had NaN in the
rows on which the imputer was fitted. If a feature has NaN only in later rows, these are replaced by its mean, without an indicator.
The imputer is scikit-learn's ``SimpleImputer``. This module does not know about scaling and networks.
"""

import numpy as np


def learned(X):
    """A fitted imputer; a feature without any values is filled with 0."""
    from sklearn.impute import SimpleImputer  # imported here because it imports half of scikit-learn and few users need it

    imputer = SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True)
    # the output must be an array, regardless of scikit-learn's global configuration
    return imputer.set_output(transform="default").fit(X)


def n_outputs(imputer):
    """The number of columns of the imputer's output."""
    return imputer.n_features_in_ + imputer.indicator_.features_.size


def to_plain(imputer):
    """The fitted values of an imputer as a dict of arrays: the means of the features, and which features have an indicator."""
    return {"means": imputer.statistics_, "indicators": imputer.indicator_.features_}


def from_plain(plain):
    """The imputer with the fitted values in the result of ``to_plain``; it is fitted to two rows with the same missing features."""
    means, indicators = plain["means"], plain["indicators"]
    rows = np.zeros((2, len(means)), means.dtype)
    rows[0, indicators] = np.nan
    imputer = learned(rows)
    imputer.statistics_, imputer.indicator_.features_ = means, indicators
    return imputer
