"""The functions of hidden units, and their slopes.

``activate`` turns the weighted sums of a layer into its activations; ``multiply_by_slope`` takes the same code on the way back. A
new activation is one member of `ActivationCode` and one branch in each of the two. The ReLU has none: the matrix products apply it on
the way to memory. The code is looked at once per array, never per element. Nothing here knows which layer it serves.
"""

from enum import IntEnum

import numpy as np

from .elementary import sigmoid, tanh
from .jit import kernel


class ActivationCode(IntEnum):
    """What `activation` may be, by scikit-learn's names; `called` is any other, by its address."""

    identity = 0
    logistic = 1
    tanh = 2
    relu = 3
    called = 4


@kernel()
def floor_of(code):
    """What a forward product raises its results to on their way to memory: 0 makes them ReLUs, −∞ leaves them."""
    return 0.0 if code == ActivationCode.relu else -np.inf


@kernel()
def activate(code, z):
    """A = g(Z), in place, but for what `floor_of` has done; z flat."""
    if code == ActivationCode.tanh:
        for q in range(z.size):
            z[q] = tanh(z[q])
    elif code == ActivationCode.logistic:
        for q in range(z.size):
            z[q] = sigmoid(z[q])


@kernel()
def multiply_by_slope(code, a, delta):
    """delta ⊙ g'(Z), in place, from A = g(Z), but for the ReLU, whose slope a backward product applies; a and delta flat."""
    one = a.dtype.type(1)  # a bare 1 would make float64 of float32
    if code == ActivationCode.tanh:
        for q in range(delta.size):
            delta[q] *= one - a[q] * a[q]
    elif code == ActivationCode.logistic:
        for q in range(delta.size):
            delta[q] *= a[q] * (one - a[q])


@kernel()
def multiply(delta, slopes):
    """delta ⊙ slopes, in place; both flat."""
    for q in range(delta.size):
        delta[q] *= slopes[q]
