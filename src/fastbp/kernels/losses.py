"""What the output layer does: its link, the loss of its predictions, and the delta that starts the way back.

Predictions and targets enter; sums over rows leave (never means: the caller alone divides). Losses are computed from predictions
that are clipped as scikit-learn clips them, since the loss curves are promised to agree to nine digits. A new loss is one member
of `Loss` and one branch in ``loss_and_delta``; a new link, one member of `OutActivation` and one branch in ``link``.
"""

from enum import IntEnum

import numpy as np

from .activations import Activation, activate
from .elementary import exp, log
from .jit import kernel
from .views import flat


class OutActivation(IntEnum):
    """What `out_activation_` may be; the names are scikit-learn's."""

    identity = 0
    logistic = 1
    softmax = 2
    exp = 3


class Loss(IntEnum):
    """What `loss` may be; the names are scikit-learn's. Each stands beside its canonical link, so that delta = A − y."""

    squared_error = 0
    log_loss = 1
    poisson = 2


@kernel()
def link(code, Z, n_outputs):
    """A = link(Z), in place; Z (n_rows, ≥ n_outputs)."""
    if code == OutActivation.softmax:
        _softmax(Z, n_outputs)
    elif code == OutActivation.logistic:
        activate(Activation.logistic, flat(Z))
    elif code == OutActivation.exp:
        _exp(flat(Z))


@kernel()
def loss_and_delta(code, out_activation, A, y, weight, delta, n_outputs):
    """Σ_rows weight · loss(y, A), with ∂/∂Z of it in delta; A, delta (n_rows, ≥ n_outputs), weight (n_rows,) or (0,) for ones.

    y is (n_rows, n_outputs), or (n_rows, 1) class codes below a softmax.
    """
    if code == Loss.log_loss:
        if out_activation == OutActivation.softmax:
            loss = _multinomial_log_loss(A, y, weight, delta, n_outputs)
        else:
            loss = _binary_log_loss(A, y, weight, delta)
    elif code == Loss.poisson:
        loss = _half_poisson_deviance(A, y, weight, delta)
    else:
        loss = _half_squared_error(A, y, weight, delta)
    return loss


@kernel()
def _softmax(Z, n_outputs):
    """e^(Z − max) / Σ e^(Z − max) of each row, in place."""
    for i in range(Z.shape[0]):
        largest = Z[i, 0]
        for j in range(1, n_outputs):
            largest = max(largest, Z[i, j])  # where this loses a NaN, its own exp brings it back
        for j in range(n_outputs):
            Z[i, j] = exp(Z[i, j] - largest)
        total = Z.dtype.type(0)
        for j in range(n_outputs):
            total += Z[i, j]
        for j in range(n_outputs):
            Z[i, j] /= total


@kernel()
def _exp(z):
    for q in range(z.size):
        z[q] = exp(z[q])


@kernel()
def _clip(p, low, high):
    """p held within [low, high]; NaN passes."""
    p = low if p < low else p
    return high if p > high else p


@kernel()
def _half_squared_error(A, y, weight, delta):
    """½ mean_j (A − y)²."""
    loss = 0.0
    for i in range(A.shape[0]):
        w = weight[i] if weight.size else A.dtype.type(1)
        row = A.dtype.type(0)
        for j in range(y.shape[1]):
            error = A[i, j] - y[i, j]
            row += error * error
            delta[i, j] = w * error
        loss += w * row
    return 0.5 * loss / y.shape[1]


@kernel()
def _binary_log_loss(A, y, weight, delta):
    """−Σ_j y ln A + (1 − y) ln(1 − A), for y of 0 and 1 and A = 1 / (1 + e^−Z)."""
    one = A.dtype.type(1)
    low = A.dtype.type(np.finfo(A.dtype).eps)
    loss = 0.0
    for i in range(A.shape[0]):
        w = weight[i] if weight.size else one
        row = A.dtype.type(0)
        for j in range(y.shape[1]):
            p = _clip(A[i, j], low, one - low)
            row -= log(p if y[i, j] != 0 else one - p)
            delta[i, j] = w * (A[i, j] - y[i, j])
        loss += w * row
    return loss


@kernel()
def _multinomial_log_loss(A, y, weight, delta, n_outputs):
    """−ln A[code], for A = softmax(Z)."""
    one = A.dtype.type(1)
    low = A.dtype.type(np.finfo(A.dtype).eps)
    loss = 0.0
    for i in range(A.shape[0]):
        w = weight[i] if weight.size else one
        code = int(y[i, 0])
        for j in range(n_outputs):
            delta[i, j] = w * A[i, j]
        delta[i, code] -= w
        loss -= w * log(_clip(A[i, code], low, one - low))
    return loss


@kernel()
def _half_poisson_deviance(A, y, weight, delta):
    """Σ_j y ln(y / A) − y + A, with 0 ln 0 = 0, for A = e^Z."""
    loss = 0.0
    for i in range(A.shape[0]):
        w = weight[i] if weight.size else A.dtype.type(1)
        row = A.dtype.type(0)
        for j in range(y.shape[1]):
            t, p = y[i, j], A[i, j]
            row += p - t + (t * log(t / p) if t != 0 else A.dtype.type(0))
            delta[i, j] = w * (p - t)
        loss += w * row
    return loss
