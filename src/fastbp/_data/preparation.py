"""What is learned from the data of a first fit: missing values and the scaling of inputs and targets.

Validated X, and y as numbers, go in; the X and y that the network is trained on come out. The same preparation is applied to the
rows of later fits, to validation rows and, as far as it is not folded into the weights, to the rows of a prediction. Networks and
training are not known here.
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
        """Learn what ``config`` (the parameters of the estimator) asks for from all rows."""
        imputer = missing.learned(X) if config.missing == "indicator" else None
        if config.scale is None and config.scale_y is None:
            return cls(imputer)
        X = X if imputer is None else imputer.transform(X)
        dtype = X.dtype if config.dtype == "auto" else np.dtype(config.dtype)
        return cls(imputer, DataScaling.learned(X, y, config.scale, config.scale_y, out_activation, dtype))

    def n_inputs(self, n_features):
        """The number of inputs of the network for rows of ``n_features`` features."""
        return n_features if self.imputer is None else missing.n_outputs(self.imputer)

    def imputed(self, X):
        """X with missing values filled in: the inputs of the published network, which takes unscaled rows."""
        return X if self.imputer is None else self.imputer.transform(X)

    def prepared(self, X, y, dtype):
        """X and y as the network is trained on them, X cast to ``dtype`` unless that is 'auto'."""
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
