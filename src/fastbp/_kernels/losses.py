"""What the output layer does: its link, the loss of its predictions, and the delta that starts the way back.

Predictions and targets enter; sums over rows leave (never means: the caller alone divides). Losses are computed from predictions
that are clipped as scikit-learn clips them, since the loss curves are promised to agree to nine digits. A new loss is one member
of `LossCode` and one branch in ``loss_and_delta``; a new link, one member of `LinkCode` and one branch in ``link``.
"""

from enum import IntEnum

import numpy as np

from .activations import ActivationCode, activate
from .dots import divide_by_row_sum, subtract_row_max
from .elementary import exp, log
from .jit import kernel
from .views import flat


class LinkCode(IntEnum):
    """What `out_activation_` may be, by scikit-learn's names; `called` is any other, by its address."""

    identity = 0
    logistic = 1
    softmax = 2
    exp = 3
    called = 4


class LossCode(IntEnum):
    """What `loss` may be, by scikit-learn's names, each beside its canonical link, so that delta = A − y; `called` is any other."""

    squared_error = 0
    log_loss = 1
    poisson = 2
    called = 3


@kernel(optimize=False)
def link(code, Z, n_outputs):
    """A = link(Z), in place; Z (n_rows, ≥ n_outputs)."""
    if code == LinkCode.softmax:
        _softmax(Z, n_outputs)
    elif code == LinkCode.logistic:
        activate(ActivationCode.logistic, flat(Z))
    elif code == LinkCode.exp:
        _exp(flat(Z))


@kernel(optimize=False)
def loss_and_delta(code, out_activation, A, y, weight, delta, n_outputs):
    """Σ_rows weight · loss(y, A), with ∂/∂Z of it in delta; A and delta of one shape (n_rows, ≥ n_outputs).

    y is of that shape, or (n_rows, 1) class codes below a softmax; weight is (n_rows,), or (0,) for ones. A and y are used up.
    """
    losses, n_columns = A, n_outputs
    if code == LossCode.log_loss and out_activation == LinkCode.softmax:
        _multinomial_log_loss(A, y, delta)
        losses, n_columns = y, 1
    elif code == LossCode.log_loss:
        _binary_log_loss(flat(A), flat(y), flat(delta))
    elif code == LossCode.poisson:
        _half_poisson_deviance(flat(A), flat(y), flat(delta))
    else:
        _half_squared_error(flat(A), flat(y), flat(delta))
    loss = _weigh(losses, weight, delta, n_columns, n_outputs)
    return loss / n_outputs if code == LossCode.squared_error else loss


# Rows of a few outputs are shorter than the vectors that LLVM makes of a loop. What is done element by element therefore runs over
# all rows at once, unused columns included; what is done row by row runs down the columns, where each row's step is its own.


def _softmax_in_python(Z, n_outputs):
    z = Z[:, :n_outputs]
    z[:] = np.exp(z - z.max(axis=1, keepdims=True))
    z /= z.sum(axis=1, keepdims=True)


@kernel(interpreted=_softmax_in_python)
def _softmax(Z, n_outputs):
    """e^(Z − max) / Σ e^(Z − max) of each row, in place; Z (n_rows, ≥ n_outputs) of whole vectors."""
    n_rows, stride = Z.shape
    subtract_row_max(Z, stride, n_rows, n_outputs)
    _exp(flat(Z))
    divide_by_row_sum(Z, stride, n_rows, n_outputs)


@kernel()
def _exp(z):
    for q in range(z.size):
        z[q] = exp(z[q])


@kernel()
def _weigh(losses, weight, delta, n_columns, n_outputs):
    """Σ_rows weight · Σ_columns losses, with delta multiplied by weight, too; losses (n_rows, ≥ n_columns)."""
    if weight.size:
        for j in range(n_columns):
            for i in range(weight.size):
                losses[i, j] *= weight[i]
        for j in range(n_outputs):
            for i in range(weight.size):
                delta[i, j] *= weight[i]
    total = 0.0
    for j in range(n_columns):
        for i in range(losses.shape[0]):
            total += losses[i, j]
    return total


@kernel()
def _epsilon(array):
    """What is the least beside one, in the type of an array; NumPy's own function takes long to compile."""
    return array.dtype.type(2.0**-23 if array.itemsize == 4 else 2.0**-52)


@kernel()
def _clip(p, low, high):
    """p held within [low, high]; NaN passes."""
    p = low if p < low else p
    return high if p > high else p


@kernel()
def _half_squared_error(a, y, delta):
    """a ← ½ (a − y)² and delta ← a − y."""
    half = a.dtype.type(0.5)
    for q in range(a.size):
        delta[q] = a[q] - y[q]
        a[q] = half * (delta[q] * delta[q])


@kernel()
def _binary_log_loss(a, y, delta):
    """a ← −(y ln a + (1 − y) ln(1 − a)), for y of 0 and 1, and delta ← a − y; a = 1 / (1 + e^−z)."""
    one = a.dtype.type(1)
    low = _epsilon(a)
    for q in range(a.size):
        p = _clip(a[q], low, one - low)
        delta[q] = a[q] - y[q]
        a[q] = -log(one - p if y[q] == 0 else p)


@kernel()
def _half_poisson_deviance(a, y, delta):
    """a ← y ln(y / a) − y + a, with 0 ln 0 = 0, and delta ← a − y; a = e^z."""
    zero = a.dtype.type(0)
    for q in range(a.size):
        delta[q] = a[q] - y[q]
        a[q] = delta[q] + (zero if y[q] == 0 else y[q] * log(y[q] / a[q]))


@kernel()
def _multinomial_log_loss(A, y, delta):
    """y ← −ln A[code], for class codes y (n_rows, 1), and delta ← A, less 1 at the code; A = softmax(Z)."""
    one = A.dtype.type(1)
    low = _epsilon(A)
    a, d, losses = flat(A), flat(delta), flat(y)
    for q in range(a.size):
        d[q] = a[q]
    for i in range(losses.size):
        code = int(losses[i])
        delta[i, code] -= one
        losses[i] = _clip(A[i, code], low, one - low)
    for i in range(losses.size):
        losses[i] = -log(losses[i])
