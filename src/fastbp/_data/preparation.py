"""The preparation of X and y: missing values are replaced, and inputs and targets are scaled or clipped.

A validated X, and y as numbers, go in; the X and y on which the network is trained come out. The preparation is learned from the
data of the first fit. It is also applied to the rows of later fits and to validation rows. For predictions, missing values are
replaced and inputs are clipped; scaling is folded into the weights. This module does not know about networks and training.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from . import missing
from .scaling import SMOOTH_CLIP, DataScaling, SmoothClipping
from .streamed import StreamedRows, float_dtype, is_large, is_readable, is_small


@dataclass(frozen=True)
class Preparation:
    """A fitted imputer, fitted scalings, and the smooth clipping of the inputs; each is None if it is not used."""

    imputer: Any = None
    scaling: DataScaling | None = None
    clipping: SmoothClipping | None = None

    @classmethod
    def learned(cls, X, y, config, out_activation):
        """Fit, on all rows, the imputer and the scalings that ``config`` (the parameters of the estimator) selects."""
        if isinstance(X, StreamedRows) and (config.missing == "indicator" or config.scale not in (None, "standard")):
            X = np.asarray(X)
        imputer = missing.learned(X) if config.missing == "indicator" else None
        if config.scale is None and config.scale_y is None:
            return cls(imputer)
        X = X if imputer is None else imputer.transform(X)
        scale, clipping = config.scale, None
        if scale == SMOOTH_CLIP:
            scale, clipping = None, SmoothClipping.learned(X)
        if scale is None and config.scale_y is None:
            return cls(imputer, clipping=clipping)
        dtype = X.dtype if config.dtype == "auto" else np.dtype(config.dtype)
        return cls(imputer, DataScaling.learned(X, y, scale, config.scale_y, out_activation, dtype), clipping)

    def to_plain(self):
        """The preparation as a dict of plain values and arrays, for files and pickles."""
        plain = {
            "imputer": None if self.imputer is None else missing.to_plain(self.imputer),
            "scaling": None if self.scaling is None else self.scaling.to_plain(),
        }
        return plain if self.clipping is None else plain | {"clipping": vars(self.clipping).copy()}

    @classmethod
    def from_plain(cls, plain):
        """The preparation in the result of ``to_plain``."""
        imputer, scaling, clipping = plain["imputer"], plain["scaling"], plain.get("clipping")
        return cls(
            None if imputer is None else missing.from_plain(imputer),
            None if scaling is None else DataScaling.from_plain(scaling),
            None if clipping is None else SmoothClipping(**clipping),
        )

    def n_inputs(self, n_features):
        """The number of inputs of the network for rows with ``n_features`` features."""
        return n_features if self.imputer is None else missing.n_outputs(self.imputer)

    @property
    def is_folded(self):
        """Whether the inputs of the published network are the features, so that predictions need no preparation."""
        return self.imputer is None and self.clipping is None

    def network_inputs(self, X):
        """The inputs of the published network: X with missing values replaced, and clipped, but not scaled."""
        X = X if self.imputer is None else self.imputer.transform(X)
        return X if self.clipping is None else self.clipping(X)

    def prepared(self, X, y, dtype):
        """The X and y on which the network is trained; X is cast to ``dtype`` unless it is 'auto'.

        A large X is not copied, unless missing values are replaced or inputs are clipped: the result is ``StreamedRows``.
        """
        scaling = self.scaling
        is_converted = is_small(X.size) and not isinstance(X, StreamedRows)
        if not is_converted and self.is_folded and not issparse(X) and (streamed := self._streamed_inputs(X, dtype)) is not None:
            return streamed, y if scaling is None else scaling.scale_targets(y)
        X = self.network_inputs(np.asarray(X) if isinstance(X, StreamedRows) else X)
        if self.scaling is not None:
            X, y = self.scaling.scale_inputs(X), self.scaling.scale_targets(y)
        return X if dtype == "auto" or X.dtype == dtype else _cast(X, dtype), y

    def _streamed_inputs(self, X, dtype):
        """``StreamedRows`` of the prepared X if it is large and would have to be copied, otherwise None."""
        array = X.array if isinstance(X, StreamedRows) else X
        scaling = None if self.scaling is None else self.scaling.inputs
        dtype = X.dtype if dtype == "auto" else np.dtype(dtype)
        is_copied = scaling is not None or array.dtype != dtype or not array.flags.c_contiguous
        if not is_copied or not is_readable(array) or not is_large(array, dtype):
            return None
        streamed = StreamedRows(array, dtype, scaling)
        if dtype != float_dtype(array) and (array.dtype.kind == "f" or scaling is not None):
            for block in streamed.blocks():
                _check_cast(block)
        return streamed


def _cast(X, dtype):
    with np.errstate(over="ignore"):
        X = X.astype(dtype)
    _check_cast(X.data if issparse(X) else X)
    return X


def _check_cast(values):
    """Raise a ValueError if the conversion of finite numbers to the dtype of ``values`` gave infinity."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"X must hold numbers that fit into dtype={values.dtype.name!r}, but some are too large: set dtype='float64' or "
            "scale='standard'."
        )
