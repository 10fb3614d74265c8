"""Statistics of the layers of a network on some rows.

An ``Evaluation`` and the next step of training go in; a ``LayerDiagnosis`` for each layer comes out. The rows are processed in
chunks, so that memory does not grow with their number. This module does not know how the values are computed.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from ..._network.hidden_layers import outputs_of_one_layer
from ..._network.numpy_passes import activate_layer, multiply_by_slopes
from .records import LayerDiagnosis

# A unit whose slopes on all rows are at most this fraction of the largest slope needs at least a thousand times as many steps as an
# active unit for the same change, more than most fits have.
_DEAD_SLOPE = 1e-3
# At this fraction of the largest slope, |tanh z| is 0.975, so that the activation is almost at its asymptote.
_FLAT_SLOPE = 0.05
# An activation is bounded if it is flat at these points and their negatives; the square of the exponential of 300 is finite.
_FAR_POINTS = (30.0, 100.0, 300.0)
_GRID = np.linspace(-10, 10, 2001)  # the largest slopes of all activations are in this range


class SlopeRange(NamedTuple):
    """The largest absolute slope of an activation, and whether the activation is flat on both sides."""

    largest: float
    is_bounded: bool


@cache
def slope_range(activation):
    """Return the ``SlopeRange`` of a named or user-defined activation."""
    far = [sign * z for z in _FAR_POINTS for sign in (-1, 1)]
    slopes = np.abs(_slopes_at(activation, np.concatenate([_GRID, far])))
    largest = float(np.nanmax(slopes, initial=0))
    return SlopeRange(largest, bool((slopes[len(_GRID) :] <= _FLAT_SLOPE * largest).all()))


def _slopes_at(activation, z):
    Z, slopes = z.reshape(1, -1), np.ones((1, z.size))
    A = Z.copy()
    activate_layer(A, activation, None)
    multiply_by_slopes(slopes, Z, A, activation, None)
    return slopes[0]


# ---------------------------------------------------------------------- statistics over chunks of rows


@dataclass
class _Moments:
    """The number, the mean and the sum of squared deviations of values that are added in parts (Chan and others 1979)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values):
        n, mean = values.size, values.mean(dtype=np.float64)
        difference, total = mean - self.mean, self.n + n
        self.squares += np.square(values - mean, dtype=np.float64).sum() + difference**2 * self.n * n / total
        self.mean += difference * n / total
        self.n = total

    @property
    def std(self):
        return float(np.sqrt(self.squares / self.n))


class _LayerSums:
    """The sums for the statistics of one layer; ``activation`` is None for the output layer."""

    def __init__(self, activation, n_units):
        self.activation, self.moments = activation, _Moments()
        self.range = None if activation is None else slope_range(activation)
        self.flat_slope = np.nan if self.range is None else _FLAT_SLOPE * self.range.largest
        self.largest, self.n_flat = np.zeros(n_units), 0

    def add(self, A, slopes=None):
        """Add the activations of a chunk and, for a hidden layer, their slopes."""
        self.moments.add(A)
        if slopes is not None:
            slopes = np.abs(slopes)
            self.largest = np.maximum(self.largest, slopes.max(axis=0))
            self.n_flat += int((slopes <= self.flat_slope).sum())

    @property
    def dead_share(self):
        return np.nan if self.range is None else float((self.largest <= _DEAD_SLOPE * self.range.largest).mean())

    @property
    def saturated_share(self):
        return self.n_flat / self.moments.n if self.range is not None and self.range.is_bounded else np.nan


class LayerValues(NamedTuple):
    """The result of one pass over all rows: the mean loss without penalties, the gradients, the outputs and the sums by layer.

    ``gradient`` is that of the mean loss. ``row_gradient_square`` is the mean over the rows of the squared norm of the gradient of
    one row; with batch normalization, it is NaN, because rows do not have gradients of their own. ``delta_norms`` (n_layers,) are
    the square roots of the means over the rows of the squared norm of the delta of one row.
    """

    loss: float
    gradient: np.ndarray
    row_gradient_square: float
    outputs: np.ndarray
    delta_norms: np.ndarray
    sums: list[Any]


def pass_over_rows(evaluation):
    """Return the ``LayerValues`` of an ``Evaluation``."""
    fit, sizes, architecture = evaluation.fit, evaluation.layout.sizes, evaluation.fit.plan.architecture
    X = fit.X.tocsr() if issparse(fit.X) else fit.X
    coefs, intercepts, *_ = evaluation.by_layer(evaluation.params)
    sums = [_LayerSums(*pair) for pair in zip((*architecture.activations, None), sizes[1:], strict=True)]
    outputs, loss, squares = np.empty((evaluation.n_rows, sizes[-1]), evaluation.dtype), 0.0, np.zeros((2, len(sums)))
    for chunk_loss, start, stop, values in evaluation.chunks():
        below = values.activations[-1] if values.activations else X[start:stop]
        outputs[start:stop] = outputs_of_one_layer(below, coefs[-1], intercepts[-1], architecture.link, architecture.numbers)
        for layer, activation in enumerate(architecture.activations):
            sums[layer].add(values.activations[layer], values.slopes_of(layer, activation))
        sums[-1].add(outputs[start:stop])
        loss += chunk_loss
        squares += _row_squares(X[start:stop], values)
    total, n_rows = evaluation.weight_sum, evaluation.n_rows
    mean_square = np.nan if architecture.norm == "batch_norm" else float(squares[1].sum()) * n_rows / total**2
    delta_norms = np.sqrt(squares[0] / n_rows)
    return LayerValues(loss / total, evaluation.mean_gradient(), mean_square, outputs, delta_norms, sums)


def _row_squares(X, values):
    """Return the sums over the rows of a chunk of the squared norms of deltas and of gradients of single rows (2, n_layers).

    The gradient of a row with respect to W is an outer product, whose squared norm is the product of those of activation and delta.
    """
    sums, squares = [], np.asarray(X.multiply(X).sum(axis=1), np.float64).ravel() if issparse(X) else _squared_norms(X)
    for A, delta in zip((*values.activations, None), values.deltas, strict=True):
        of_delta = _squared_norms(delta)
        sums.append((of_delta.sum(), (squares + 1) @ of_delta))
        squares = None if A is None else _squared_norms(A)
    return np.array(sums).T


def _squared_norms(rows):
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)


# ---------------------------------------------------------------------- statistics of the layers


def layer_diagnoses(evaluation, sums, gradient, step):
    """Return the tuple of ``LayerDiagnosis`` for the gradient of the objective and the next changes of the parameters."""
    architecture = evaluation.fit.plan.architecture
    names = [*(one if isinstance(one, str) else repr(one) for one in architecture.activations), architecture.link]
    arrays = zip(*(evaluation.by_layer(flat)[:2] for flat in (evaluation.params, gradient, step)), strict=True)
    (coefs, coef_grads, updates), (_, intercept_grads, _) = arrays
    columns = zip(names, sums, coefs, coef_grads, intercept_grads, updates, strict=True)
    return tuple(_diagnosis_of(number, *column) for number, column in enumerate(columns, start=1))


def _diagnosis_of(number, name, sums, W, W_grad, b_grad, update):
    norm = _frobenius_norm(W)
    return LayerDiagnosis(
        layer=number,
        activation=name,
        n_units=W.shape[1],
        dead_share=sums.dead_share,
        saturated_share=sums.saturated_share,
        weight_mean=float(W.mean(dtype=np.float64)),
        weight_std=float(W.std(dtype=np.float64)),
        weight_norm=norm,
        activation_mean=float(sums.moments.mean),
        activation_std=sums.moments.std,
        coef_grad_norm=_frobenius_norm(W_grad),
        intercept_grad_norm=_frobenius_norm(b_grad),
        update_ratio=float(np.divide(_frobenius_norm(update), norm)),
    )


def _frobenius_norm(array):
    return float(np.linalg.norm(array.astype(np.float64)))
