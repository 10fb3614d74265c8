"""Activations of hidden units.

Each function replaces the weighted sums z of a layer by activations and, unless `slopes` is empty, writes g'(z) to `slopes` for the
backward pass. scikit-learn's four activations are also included, for layers with a norm or dropout. A new activation is added as a
function in this module and an entry in `ACTIVATIONS`. This module does not know about layers.
"""

import numpy as np
from numba import types
from numba.extending import overload

from ..elementary import exp, log, sigmoid, tanh
from ..formulas import logistic_slope, tanh_slope
from ..jit import EXACT, kernel, lazy_entry


@lazy_entry
def identity(z, slopes):
    """g(z) = z."""
    one = z.dtype.type(1)
    for q in range(slopes.size):
        slopes[q] = one


@lazy_entry
def logistic(z, slopes):
    """1 / (1 + e^−z)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        a = sigmoid(z[q])
        if slopes.size:
            slopes[q] = logistic_slope(a, one)
        z[q] = a


@lazy_entry
def tanh_activation(z, slopes):
    """tanh z."""
    one = z.dtype.type(1)
    for q in range(z.size):
        a = tanh(z[q])
        if slopes.size:
            slopes[q] = tanh_slope(a, one)
        z[q] = a


@lazy_entry
def relu(z, slopes):
    """max(0, z) (Nair and Hinton 2010)."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for q in range(z.size):
        if slopes.size:
            slopes[q] = one if z[q] > zero else zero
        z[q] = zero if z[q] < zero else z[q]


@lazy_entry
def leaky_relu(z, slopes):
    """z, or 0.01 z below zero (Maas, Hannun and Ng 2013)."""
    one, small = z.dtype.type(1), z.dtype.type(0.01)
    for q in range(z.size):
        slope = one if z[q] > 0 else small
        z[q] *= slope
        if slopes.size:
            slopes[q] = slope


@lazy_entry
def elu(z, slopes):
    """z, or e^z − 1 below zero (Clevert, Unterthiner and Hochreiter 2015)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        below = _expm1_below(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = one if z[q] > 0 else below + one
        z[q] = z[q] if z[q] > 0 else below


@lazy_entry
def selu(z, slopes):
    """λ z, or λ α (e^z − 1) below zero (Klambauer and others 2017)."""
    scale, alpha = z.dtype.type(1.0507009873554805), z.dtype.type(1.7580993408473766)  # λ and λ α
    for q in range(z.size):
        below = alpha * _expm1_below(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = scale if z[q] > 0 else below + alpha
        z[q] = scale * z[q] if z[q] > 0 else below


@lazy_entry
def silu(z, slopes):
    """z σ(z), also called swish (Elfwing, Uchibe and Doya 2018)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        p = one / (one + exp(-z[q]))
        a = z[q] * p
        if slopes.size:
            slopes[q] = p + a * (one - p)
        z[q] = a


@lazy_entry
def mish(z, slopes):
    """z tanh(ln(1 + e^z)) (Misra 2019)."""
    one, two, zero = z.dtype.type(1), z.dtype.type(2), z.dtype.type(0)
    for q in range(z.size):
        # with e = e^−|z|, tanh(ln(1 + e^z)) is (1 + 2e) / (1 + 2e + 2e²) above zero, and (2e + e²) / (2 + 2e + e²) below
        e, positive = exp(-abs(z[q])), z[q] > zero
        p, r = two * e, e * e
        t = (one + p) / (one + p + r + r) if positive else (p + r) / (two + p + r)
        a = z[q] * t
        if slopes.size:
            slopes[q] = t + z[q] * (one - t * t) * ((one if positive else e) / (one + e))
        z[q] = a


@lazy_entry(fastmath=EXACT)
def softplus(z, slopes):
    """ln(1 + e^z), a smooth ReLU (Dugas and others 2000)."""
    one, zero = z.dtype.type(1), z.dtype.type(0)
    for q in range(z.size):
        # max(z, 0) + ln(1 + e) with e = e^−|z|; the rounding error of 1 + e is added to its logarithm
        e, positive = exp(-abs(z[q])), z[q] > zero
        u = one + e
        share = one / u
        a = (z[q] if positive else zero) + log(u) + (e - (u - one)) * share
        if slopes.size:
            slopes[q] = (one if positive else e) * share
        z[q] = a


@lazy_entry
def hard_sigmoid(z, slopes):
    """(z + 3) / 6, limited to [0, 1] (Courbariaux, Bengio and David 2015, with the slope of Howard and others 2019)."""
    zero, one, sixth, half = z.dtype.type(0), z.dtype.type(1), z.dtype.type(1 / 6), z.dtype.type(0.5)
    for q in range(z.size):
        a = z[q] * sixth + half
        if slopes.size:
            slopes[q] = sixth if (a > 0) & (a < 1) else zero
        a = zero if a < zero else a
        z[q] = one if a > one else a


@lazy_entry
def hard_swish(z, slopes):
    """z times `hard_sigmoid` (Howard and others 2019)."""
    zero, one, sixth, half = z.dtype.type(0), z.dtype.type(1), z.dtype.type(1 / 6), z.dtype.type(0.5)
    for q in range(z.size):
        p = z[q] * sixth + half
        slope = sixth if (p > 0) & (p < 1) else zero
        p = zero if p < zero else p
        p = one if p > one else p
        if slopes.size:
            slopes[q] = p + z[q] * slope
        z[q] *= p


@kernel()
def _expm1_below(x, real):
    """e^x − 1 for x ≤ 0, else 0: 2t / (1 − t) with t = tanh(x/2)."""
    one, two, half, zero = real(1), real(2), real(0.5), real(0)
    t = tanh(zero if x > zero else half * x)
    return two * t / (one - t)


# The coefficients of P in erfc x = t P(2t − 1) exp(−x²), t = 2 / (2 + x), for x ≥ 0: Chebyshev interpolation in 50 digits, within
# 3e-8 (float32) and 2e-16 (float64).
_TAIL_32 = tuple(
    np.float32(c)
    for c in (
        *(0.51079136, 0.3435803, 0.13973595, 0.018221749, -0.010753311),
        *(-0.003243733, 0.0015338471, 0.00043104, -0.00030471908, -3.6764362e-05),
        *(4.4288416e-05,),
    )
)
_TAIL_64 = (
    *(0.5107913526210115, 0.3435803422069053, 0.13973604627801434, 0.01822111575344406, -0.01075533094401701),
    *(-0.0032395925341297785, 0.0015453060137318342, 0.00041864803692931907, -0.0003315365730859826, -1.7185781852311767e-05),
    *(7.223416759239389e-05, -1.707402515170848e-05, -1.0842910058395442e-05, 8.05865461413893e-06, -5.77822298179878e-07),
    *(-1.8167079024791187e-06, 1.0308565838096152e-06, -1.1319613509521392e-08, -3.265474979200386e-07, 1.7630181517105487e-07),
    *(3.620168326093879e-08, -6.818076599065568e-08, 6.443597925046653e-09, 1.2683080316045675e-08, -1.89831857179008e-09),
    *(-9.743115754914082e-10,),
)


def _tail_coefficients(x):
    return _TAIL_32 if isinstance(x, np.float32) else _TAIL_64


@overload(_tail_coefficients)
def _tail_coefficients_in_numba(x):
    coefficients = _TAIL_32 if x == types.float32 else _TAIL_64
    return lambda x: coefficients


@kernel()
def _normal_distribution(z, real):
    """Return Φ(z), the standard normal distribution function, and its density at z."""
    one, two, half = real(1), real(2), real(0.5)
    x = abs(z) * real(0.7071067811865476)
    t = two / (two + x)
    s = two * t - one
    coefficients = _tail_coefficients(z)
    p = coefficients[-1]
    for k in range(len(coefficients) - 2, -1, -1):
        p = p * s + coefficients[k]
    bell = exp(-x * x)
    below = half * t * p * bell
    return (one - below if z > 0 else below), bell * real(0.3989422804014327)


@lazy_entry
def gelu(z, slopes):
    """z Φ(z), exactly (Hendrycks and Gimpel 2016)."""
    for q in range(z.size):
        share, density = _normal_distribution(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = share + z[q] * density
        z[q] *= share


ACTIVATIONS = {
    "identity": identity,
    "logistic": logistic,
    "tanh": tanh_activation,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "silu": silu,
    "gelu": gelu,
    "mish": mish,
    "softplus": softplus,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
}
