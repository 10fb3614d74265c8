"""The output layer of scikit-learn's networks: link, loss, and the delta that starts the backward pass.

Predictions and targets go in; sums over rows, not means, come out. The loss clips predictions as scikit-learn does, so that the
loss curves agree with scikit-learn's to nine digits. This module contains only losses with their canonical links. New losses and
links are added to `lazy.losses` and `lazy.links`.
"""

import numpy as np

from .codes import LinkCode, LossCode
from .dots import divide_by_row_sum, subtract_row_max
from .elementary import exp, log, sigmoid
from .formulas import clip, half_square
from .jit import kernel
from .views import flat


@kernel(optimize=False)
def link(code, Z, n_outputs):
    """Replace Z by A = link(Z), in place; Z (n_rows, ≥ n_outputs)."""
    if code == LinkCode.softmax:
        _softmax(Z, n_outputs)
    elif code == LinkCode.logistic:
        _logistic(flat(Z))
    elif code == LinkCode.exp:
        _exp(flat(Z))


@kernel(optimize=False)
def loss_and_delta(code, out_activation, A, y, weight, delta, n_outputs):
    """Return Σ_rows weight · loss(y, A), and write its derivative ∂/∂Z to delta.

    A and delta have the same shape (n_rows, ≥ n_outputs). y has that shape, too, or (n_rows, 1) for the class codes of a softmax.
    weight has shape (n_rows,), or (0,) if all weights are 1. A and y are overwritten.
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
        _half_squared_errors(flat(A), flat(y), flat(delta))
    loss = _weigh(losses, weight, delta, n_columns, n_outputs)
    return loss / n_outputs if code == LossCode.squared_error else loss


# With few outputs, a row is shorter than the vectors of a vectorized loop. Elementwise loops therefore process all rows at once,
# including unused columns, and reductions over rows process one column after another.


def _softmax_in_python(Z, n_outputs):
    z = Z[:, :n_outputs]
    z[:] = np.exp(z - z.max(axis=1, keepdims=True))
    z /= z.sum(axis=1, keepdims=True)


@kernel(interpreted=_softmax_in_python)
def _softmax(Z, n_outputs):
    """Replace each row of Z by e^(Z − max) / Σ e^(Z − max); Z (n_rows, ≥ n_outputs), with rows of whole vectors."""
    n_rows, stride = Z.shape
    subtract_row_max(Z, stride, n_rows, n_outputs)
    _exp(flat(Z))
    divide_by_row_sum(Z, stride, n_rows, n_outputs)


@kernel()
def _logistic(z):
    for q in range(z.size):
        z[q] = sigmoid(z[q])


@kernel()
def _exp(z):
    for q in range(z.size):
        z[q] = exp(z[q])


@kernel()
def _weigh(losses, weight, delta, n_columns, n_outputs):
    """Return Σ_rows weight · Σ_columns losses, and multiply delta by weight; losses (n_rows, ≥ n_columns)."""
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
def _machine_epsilon(array):
    """Return the machine epsilon of an array's dtype; np.finfo would take long to compile."""
    return array.dtype.type(2.0**-23 if array.itemsize == 4 else 2.0**-52)


@kernel()
def _half_squared_errors(a, y, delta):
    """Compute delta ← a − y and a ← ½ (a − y)²."""
    half = a.dtype.type(0.5)
    for q in range(a.size):
        delta[q] = a[q] - y[q]
        a[q] = half_square(delta[q], half)


@kernel()
def _binary_log_loss(a, y, delta):
    """Compute delta ← a − y and a ← −(y ln a + (1 − y) ln(1 − a)), for y of 0 and 1 and a = 1 / (1 + e^−z)."""
    one = a.dtype.type(1)
    low = _machine_epsilon(a)
    for q in range(a.size):
        p = clip(a[q], low, one - low)
        delta[q] = a[q] - y[q]
        a[q] = -log(one - p if y[q] == 0 else p)


@kernel()
def _half_poisson_deviance(a, y, delta):
    """Compute delta ← a − y and a ← y ln(y / a) − y + a, with 0 ln 0 = 0, for a = e^z."""
    zero = a.dtype.type(0)
    for q in range(a.size):
        delta[q] = a[q] - y[q]
        a[q] = delta[q] + (zero if y[q] == 0 else y[q] * log(y[q] / a[q]))


@kernel()
def _multinomial_log_loss(A, y, delta):
    """Compute delta ← A, minus 1 at the class code, and y ← −ln A[code], for class codes y (n_rows, 1) and A = softmax(Z)."""
    one = A.dtype.type(1)
    low = _machine_epsilon(A)
    a, d, losses = flat(A), flat(delta), flat(y)
    for q in range(a.size):
        d[q] = a[q]
    for i in range(losses.size):
        code = np.int64(losses[i])
        delta[i, code] -= one
        losses[i] = clip(A[i, code], low, one - low)
    for i in range(losses.size):
        losses[i] = -log(losses[i])
