"""The activations that are compiled into every fit: scikit-learn's four, and their slopes.

``activate`` turns the weighted sums of a layer into activations; ``multiply_by_slope`` multiplies a delta by the slope. Both test
the code once per array. ReLU has no branch: the matrix products apply it while they write their results. A new activation is not
added here, but in `lazy.activations`.
"""

import numpy as np

from .codes import ActivationCode
from .elementary import sigmoid, tanh
from .formulas import logistic_slope, tanh_slope
from .jit import kernel


@kernel()
def floor_of(code):
    """Return the lower bound that a forward product applies to its results: 0 for ReLU, otherwise −∞."""
    return 0.0 if code == ActivationCode.relu else -np.inf


@kernel()
def activate(code, z):
    """A = g(Z), in place, except ReLU, which `floor_of` covers; z flat."""
    if code == ActivationCode.tanh:
        for q in range(z.size):
            z[q] = tanh(z[q])
    elif code == ActivationCode.logistic:
        for q in range(z.size):
            z[q] = sigmoid(z[q])


@kernel()
def multiply_by_slope(code, a, delta):
    """delta ⊙ g'(Z), in place, from A = g(Z), except ReLU, whose slope the backward product applies; a and delta flat."""
    one = a.dtype.type(1)
    if code == ActivationCode.tanh:
        for q in range(delta.size):
            delta[q] *= tanh_slope(a[q], one)
    elif code == ActivationCode.logistic:
        for q in range(delta.size):
            delta[q] *= logistic_slope(a[q], one)


@kernel()
def multiply(delta, slopes):
    """delta ⊙ slopes, in place; both flat."""
    for q in range(delta.size):
        delta[q] *= slopes[q]
