"""Scaling of inputs and targets inside the model.

Raw inputs and targets go in; scaled inputs and targets come out, for training. After training, ``DataScaling.fold`` converts the
weights of the network that was trained on scaled data to those of a network for raw inputs and raw predictions. Centers and scales
are those of scikit-learn's scalers, computed from all rows regardless of their weights. ``SmoothClipping`` cannot be folded, so it
is applied to the rows of each prediction. This module does not know about kernels and training.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.sparsefuncs import inplace_column_scale

from .numeric_inputs import clip_smoothly, median_and_factor
from .streamed import StreamedRows, float_dtype, is_large, is_readable

SMOOTH_CLIP = "smooth_clip"  # the value of `scale` for which inputs are clipped


@dataclass(frozen=True)
class AffineScaling:
    """The map v ↦ (v − center) / scale, applied to each column of an array of shape (n_rows, n_columns)."""

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def learned(cls, values, name, *, centered):
        """The scaling of scikit-learn's scaler ``name``; a constant column has scale 1."""
        if name == "standard":
            scaler = _fitted_standard_scaler(values, centered)
            center = scaler.mean_
        else:
            scaler = RobustScaler(with_centering=centered).fit(values)
            center = scaler.center_
        return cls(center if centered else np.zeros(values.shape[1]), scaler.scale_)

    def __call__(self, values):
        """A scaled copy; floats keep their dtype, and a sparse matrix stays sparse and is only divided by the scale."""
        if issparse(values):
            values = values.copy()
            inplace_column_scale(values, 1 / self.scale)
            return values
        values = values.astype(values.dtype if values.dtype.kind == "f" else np.float64)
        values -= self.center
        values /= self.scale
        return values


def _fitted_standard_scaler(values, centered):
    """The scaler that is fitted to all rows; to blocks of rows, if ``values`` is large."""
    scaler = StandardScaler(with_mean=centered)
    if isinstance(values, StreamedRows):
        blocks = values.blocks()
    elif is_readable(values) and is_large(values, values.dtype):
        blocks = StreamedRows(values, float_dtype(values)).blocks()
    else:
        return scaler.fit(values)
    for block in blocks:
        scaler.partial_fit(block)
    return scaler


@dataclass(frozen=True)
class SmoothClipping:
    """The map x ↦ v / √(1 + (v/3)²) with v = f (x − center), applied to each column of an array of shape (n_rows, n_columns).

    The factor f is 1 / (q75 − q25), or 2 / (max − min) if both quartiles are equal, or 0 for a constant column (Holzmüller,
    Grinsztajn and Steinwart 2024).
    """

    center: np.ndarray
    factor: np.ndarray

    @classmethod
    def learned(cls, X):
        """The medians and factors of the rows X; the columns of a sparse matrix are not centered."""
        columns = X.T if not issparse(X) else (column.toarray().ravel() for column in _sparse_columns(X))
        statistics = np.array([median_and_factor(column) for column in columns], X.dtype)
        return cls(statistics[:, 0] * (not issparse(X)), statistics[:, 1].copy())

    def __call__(self, X):
        """A clipped copy; floats keep their dtype, and a sparse matrix stays sparse."""
        X = X.astype(X.dtype if X.dtype.kind == "f" else np.float64)
        with np.errstate(over="ignore"):  # infinite values are clipped
            if issparse(X):
                self._check_not_centered()
                X.sum_duplicates()
                inplace_column_scale(X, self.factor.astype(X.dtype))
                clip_smoothly(X.data)
            else:
                X -= self.center
                X *= self.factor
                clip_smoothly(X)
        return X

    def _check_not_centered(self):
        if self.center.any():
            raise ValueError(
                f"X must be dense, because the model was fitted to dense rows with scale={SMOOTH_CLIP!r}, which subtracts the "
                "median of each feature. Convert X with X.toarray(), or fit the model to sparse rows, which are not centered."
            )


def _sparse_columns(X):
    X = X.tocsc()
    return (X[:, [j]] for j in range(X.shape[1]))


@dataclass(frozen=True)
class DataScaling:
    """The scalings of inputs and of targets, each of which may be None, and the dtype of the published parameters.

    This dtype is the wider of the training dtype and the dtype of X, because folding a center into the biases loses digits if the
    center is much larger than the scale.
    """

    inputs: AffineScaling | None
    targets: AffineScaling | None
    dtype: np.dtype

    @classmethod
    def learned(cls, X, y, scale, scale_y, out_activation, dtype):
        """Both scalings, learned from all rows."""
        inputs = None if scale is None else AffineScaling.learned(X, scale, centered=not issparse(X))
        targets = None if scale_y is None else _target_scaling(y, scale_y, out_activation)
        return cls(inputs, targets, np.result_type(X.dtype, dtype))

    def to_plain(self):
        """The scalings as a dict of plain values and arrays, for files and pickles."""
        scalings = {"inputs": self.inputs, "targets": self.targets}
        plain = {name: None if one is None else {"center": one.center, "scale": one.scale} for name, one in scalings.items()}
        return {**plain, "dtype": self.dtype.name}

    @classmethod
    def from_plain(cls, plain):
        """The scalings in the result of ``to_plain``."""
        inputs, targets = (None if plain[name] is None else AffineScaling(**plain[name]) for name in ("inputs", "targets"))
        return cls(inputs, targets, np.dtype(plain["dtype"]))

    def scale_inputs(self, X):
        return X if self.inputs is None else self.inputs(X)

    def scale_targets(self, y):
        """The scaled y; ``StreamedRows`` if it is large."""
        if self.targets is not None and is_readable(y) and is_large(y, float_dtype(y)):
            return StreamedRows(y, float_dtype(y), self.targets)
        return y if self.targets is None else self.targets(y)

    def fold(self, coefs, intercepts, out_activation):
        """The (coefs, intercepts) of the network that gives the same predictions from raw data.

        With inputs of center c and scale s, the first layer becomes W / s and b − c (W / s). With targets of center c and scale s,
        the last layer becomes W s and b s + c, or b + ln s if the output activation is the exponential.
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


def _target_scaling(y, name, out_activation):
    """The scaling of targets that can be folded into an output layer with this activation."""
    means = y.mean(axis=0, dtype=np.float64) if out_activation == "exp" else None
    return target_scaling(means, lambda centered: AffineScaling.learned(y, name, centered=centered), name, out_activation)


def target_scaling(means, learn, name, out_activation):
    """The same, for targets with these means (n_outputs,); ``learn(centered)`` returns an ``AffineScaling``."""
    if out_activation == "exp":
        if (means < 0).any():
            raise ValueError(
                f"scale_y={name!r} divides the targets by their mean if the output activation is 'exp'; the mean must not be "
                f"negative, got {means}. Use positive targets or out_activation='identity'."
            )
        return AffineScaling(np.zeros_like(means), np.where(means > 0, means, 1.0))
    if out_activation not in ("identity", "relu"):
        raise ValueError(
            f"scale_y={name!r} needs an output activation of 'identity', 'relu' or 'exp', got out_activation={out_activation!r}, "
            "whose values cannot be rescaled by weights. Scale y outside the model, for example with "
            "sklearn.compose.TransformedTargetRegressor, or set another out_activation."
        )
    return learn(out_activation == "identity")
