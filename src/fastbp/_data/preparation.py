"""The preparation of X and y: missing values are replaced, and inputs and targets are scaled.

A validated X, and y as numbers, go in; the X and y on which the network is trained come out. The preparation is learned from the
data of the first fit. It is also applied to the rows of later fits and to validation rows. For predictions, only missing values are
replaced, because scaling is folded into the weights. This module does not know about networks and training.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from . import missing
from .scaling import DataScaling


@dataclass(frozen=True)
class Preparation:
    """A fitted imputer and fitted scalings; each is None if it is not used."""

    imputer: Any = None
    scaling: DataScaling | None = None

    @classmethod
    def learned(cls, X, y, config, out_activation):
        """Fit, on all rows, the imputer and the scalings that ``config`` (the parameters of the estimator) selects."""
        imputer = missing.learned(X) if config.missing == "indicator" else None
        if config.scale is None and config.scale_y is None:
            return cls(imputer)
        X = X if imputer is None else imputer.transform(X)
        dtype = X.dtype if config.dtype == "auto" else np.dtype(config.dtype)
        return cls(imputer, DataScaling.learned(X, y, config.scale, config.scale_y, out_activation, dtype))

    def to_plain(self):
        """The preparation as a dict of plain values and arrays, for files and pickles."""
        return {
            "imputer": None if self.imputer is None else missing.to_plain(self.imputer),
            "scaling": None if self.scaling is None else self.scaling.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain):
        """The preparation in the result of ``to_plain``."""
        imputer, scaling = plain["imputer"], plain["scaling"]
        return cls(
            None if imputer is None else missing.from_plain(imputer),
            None if scaling is None else DataScaling.from_plain(scaling),
        )

    def n_inputs(self, n_features):
        """The number of inputs of the network for rows with ``n_features`` features."""
        return n_features if self.imputer is None else missing.n_outputs(self.imputer)

    def imputed(self, X):
        """X with missing values replaced: the inputs of the published network, which are not scaled."""
        return X if self.imputer is None else self.imputer.transform(X)

    def prepared(self, X, y, dtype):
        """The X and y on which the network is trained; X is cast to ``dtype`` unless it is 'auto'."""
        X = self.imputed(X)
        if self.scaling is not None:
            X, y = self.scaling.scale_inputs(X), self.scaling.scale_targets(y)
        return X if dtype == "auto" or X.dtype == dtype else _cast(X, dtype), y


def _cast(X, dtype):
    with np.errstate(over="ignore"):
        X = X.astype(dtype)
    if not np.isfinite(X.data if issparse(X) else X).all():
        raise ValueError(
            f"X must hold numbers that fit into dtype={dtype!r}, but some are too large: set dtype='float64' or scale='standard'."
        )
    return X
