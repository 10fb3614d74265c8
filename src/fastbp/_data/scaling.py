"""Scaling inside the model, and norms over batches: what a network is trained on, and the network that needs none of these.

Raw inputs and targets enter; scaled ones leave, for training. The parameters that training ends with are then folded: into those of
a network that takes raw inputs and gives raw predictions, which is the one that users see. scikit-learn's scalers say what centres
and scales are, of all rows alike, whatever their weights. How parameters are trained and kept is not known here.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.sparsefuncs import inplace_column_scale

from .._kernels.lazy.norms import VARIANCE_EPSILON


@dataclass(frozen=True)
class Affine:
    """v ↦ (v − center) / scale, for each of the columns of values (n_rows, n_columns)."""

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def learned(cls, values, how, *, centered):
        """What scikit-learn's scaler of that name learns from values; a constant column has scale 1."""
        if how == "standard":
            scaler = StandardScaler(with_mean=centered).fit(values)
            center = scaler.mean_
        else:
            scaler = RobustScaler(with_centering=centered).fit(values)
            center = scaler.center_
        return cls(center if centered else np.zeros(values.shape[1]), scaler.scale_)

    def __call__(self, values):
        """A scaled copy, of the same dtype where that is one of floats; a sparse matrix stays one, and is only divided."""
        if issparse(values):
            values = values.copy()
            inplace_column_scale(values, 1 / self.scale)
            return values
        values = values.astype(values.dtype if values.dtype.kind == "f" else np.float64)
        values -= self.center
        values /= self.scale
        return values


@dataclass(frozen=True)
class Folding:
    """The scalings of inputs and targets, each of which may be None, and the dtype of the parameters that are shown.

    That is the wider of training's and X's: where centres are many times the scales, biases lose as many digits in the fold.
    """

    inputs: Affine | None
    targets: Affine | None
    dtype: np.dtype

    @classmethod
    def learned(cls, X, y, scale, scale_y, out_activation, dtype):
        """From all rows; None where nothing is to be scaled."""
        if scale is None and scale_y is None:
            return None
        inputs = None if scale is None else Affine.learned(X, scale, centered=not issparse(X))
        targets = None if scale_y is None else _learned_from_targets(y, scale_y, out_activation)
        return cls(inputs, targets, np.result_type(X.dtype, dtype))

    def scale_inputs(self, X):
        return X if self.inputs is None else self.inputs(X)

    def scale_targets(self, y):
        return y if self.targets is None else self.targets(y)

    def fold(self, coefs, intercepts, out_activation):
        """The (coefs, intercepts) that make of raw data what these make of scaled.

        W / s and b − c (W / s) in the first layer, for inputs of centre c and scale s; W s and b s + c in the last, for targets of
        such, or only b + ln s below an exponential.
        """
        coefs, intercepts = list(coefs), list(intercepts)
        if self.inputs is not None:
            coefs[0] = coefs[0] / self.inputs.scale[:, None]
            intercepts[0] = intercepts[0] - self.inputs.center @ coefs[0]
        if self.targets is not None and out_activation == "exp":
            intercepts[-1] = intercepts[-1] + np.log(self.targets.scale)
        elif self.targets is not None:
            coefs[-1] = coefs[-1] * self.targets.scale
            intercepts[-1] = intercepts[-1] * self.targets.scale + self.targets.center
        return coefs, intercepts


def fold_norms(coefs, intercepts, gammas, statistics):
    """The (coefs, intercepts) of a network whose hidden layers need not be normed over a batch any more.

    W γ / √(v + ε) and b − m γ / √(v + ε), for moving means m and variances v of A·W (Ioffe and Szegedy 2015, algorithm 2).
    """
    coefs, intercepts = list(coefs), list(intercepts)
    for layer, (gamma, (means, variances)) in enumerate(zip(gammas, statistics, strict=True)):
        scale = gamma / np.sqrt(variances + VARIANCE_EPSILON)
        coefs[layer], intercepts[layer] = coefs[layer] * scale, intercepts[layer] - means * scale
    return coefs, intercepts


def _learned_from_targets(y, how, out_activation):
    """The scaling that an output of that activation can undo."""
    if out_activation == "exp":
        means = y.mean(axis=0, dtype=np.float64)
        if (means < 0).any():
            raise ValueError(
                f"scale_y={how!r} divides the targets of an 'exp' output by their mean, which must not be negative, got {means}: "
                "give positive targets, or take out_activation='identity'."
            )
        return Affine(np.zeros_like(means), np.where(means > 0, means, 1.0))
    if out_activation not in ("identity", "relu"):
        raise ValueError(
            f"scale_y={how!r} needs an output of 'identity', 'relu' or 'exp', got out_activation={out_activation!r}, whose values "
            "have no scale to fold into weights: scale y outside, as with sklearn.compose.TransformedTargetRegressor, or take "
            "another out_activation."
        )
    return Affine.learned(y, how, centered=out_activation == "identity")
