"""The functions of hidden units, and their slopes.

``activate`` turns the weighted sums of a layer into its activations, bias added on the way; ``multiply_by_slope`` takes the same
code on the way back. A new activation is one member of `Activation`, one branch in each of the two, and one small loop for it.
The code is looked at once per array, never per element. Nothing here knows which layer it serves.
"""

from enum import IntEnum

from .elementary import sigmoid, tanh
from .jit import kernel


class Activation(IntEnum):
    """What `activation` may be; the names are scikit-learn's."""

    identity = 0
    logistic = 1
    tanh = 2
    relu = 3


@kernel()
def activate(code, Z, b):
    """A = g(Z + b), in place; Z (n_rows, n_out), b (n_out,)."""
    if code == Activation.relu:
        _relu(Z, b)
    elif code == Activation.tanh:
        _tanh(Z, b)
    elif code == Activation.logistic:
        _logistic(Z, b)
    else:
        add_bias(Z, b)


@kernel()
def multiply_by_slope(code, A, delta):
    """delta ⊙ g'(Z), in place, from A = g(Z); A and delta flat, of one size."""
    zero, one = A.dtype.type(0), A.dtype.type(1)  # a bare 1 would make float64 of float32
    if code == Activation.relu:
        for q in range(delta.size):
            delta[q] = zero if A[q] == zero else delta[q]
    elif code == Activation.tanh:
        for q in range(delta.size):
            delta[q] *= one - A[q] * A[q]
    elif code == Activation.logistic:
        for q in range(delta.size):
            delta[q] *= A[q] * (one - A[q])


@kernel()
def add_bias(Z, b):
    """Z + b, in place; Z (n_rows, n_out), b (n_out,)."""
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]


@kernel()
def _relu(Z, b):
    zero = Z.dtype.type(0)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            Z[i, j] = zero if z <= zero else z  # in this order NaN passes


@kernel()
def _tanh(Z, b):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = tanh(Z[i, j] + b[j])


@kernel()
def _logistic(Z, b):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = sigmoid(Z[i, j] + b[j])
