"""The activations that are compiled into every fit: scikit-learn's four, and their slopes.

``activate`` turns the weighted sums of a layer into activations; ``multiply_by_slope`` multiplies a delta by the slope. Both test
the code once per array. They do nothing for ReLU, because the matrix products apply it while they store their results. New
activations are added to `lazy.activations`, not to this module.
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
    """Replace z by g(z), in place; z is flat. The forward product has already applied ReLU (see `floor_of`)."""
    if code == ActivationCode.tanh:
        for q in range(z.size):
            z[q] = tanh(z[q])
    elif code == ActivationCode.logistic:
        for q in range(z.size):
            z[q] = sigmoid(z[q])


@kernel()
def multiply_by_slope(code, a, delta):
    """Multiply delta by g'(z), computed from a = g(z), in place; a and delta are flat.

    The backward product has already applied the slope of ReLU.
    """
    one = a.dtype.type(1)
    if code == ActivationCode.tanh:
        for q in range(delta.size):
            delta[q] *= tanh_slope(a[q], one)
    elif code == ActivationCode.logistic:
        for q in range(delta.size):
            delta[q] *= logistic_slope(a[q], one)


@kernel()
def multiply(delta, slopes):
    """Multiply delta by the slopes, in place; both are flat."""
    for q in range(delta.size):
        delta[q] *= slopes[q]


@kernel()
def scale(delta, factor):
    """Multiply delta, which is flat, by a number, in place."""
    real_factor = delta.dtype.type(factor)
    for q in range(delta.size):
        delta[q] *= real_factor
