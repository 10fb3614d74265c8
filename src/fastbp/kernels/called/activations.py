"""The functions of hidden units, as they are called.

Each turns a layer's weighted sums z into its activations, in place, and, where `slopes` has room, leaves the slopes there for the
way back, as they need not follow from the activations. scikit-learn's four are here, too, for layers that are normed or dropped.
"""

import numpy as np
from numba import types
from numba.extending import overload

from ..elementary import exp, log, sigmoid
from ..elementary import tanh as hyperbolic_tangent
from ..jit import kernel, on_demand


@on_demand
def identity(z, slopes):
    """z."""
    one = z.dtype.type(1)
    for q in range(slopes.size):
        slopes[q] = one


@on_demand
def logistic(z, slopes):
    """1 / (1 + e^−z)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        a = sigmoid(z[q])
        if slopes.size:
            slopes[q] = a * (one - a)
        z[q] = a


@on_demand
def tanh(z, slopes):
    """tanh z."""
    one = z.dtype.type(1)
    for q in range(z.size):
        a = hyperbolic_tangent(z[q])
        if slopes.size:
            slopes[q] = one - a * a
        z[q] = a


@on_demand
def relu(z, slopes):
    """max(0, z) (Nair and Hinton 2010)."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for q in range(z.size):
        if slopes.size:
            slopes[q] = one if z[q] > zero else zero
        z[q] = zero if z[q] < zero else z[q]


@on_demand
def leaky_relu(z, slopes):
    """z, or 0.01 z below zero (Maas, Hannun and Ng 2013)."""
    one, little = z.dtype.type(1), z.dtype.type(0.01)
    for q in range(z.size):
        slope = one if z[q] > 0 else little
        z[q] *= slope
        if slopes.size:
            slopes[q] = slope


@on_demand
def elu(z, slopes):
    """z, or e^z − 1 below zero (Clevert, Unterthiner and Hochreiter 2015)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        below = _expm1(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = one if z[q] > 0 else below + one
        z[q] = z[q] if z[q] > 0 else below


@on_demand
def selu(z, slopes):
    """λ z, or λ α (e^z − 1) below zero (Klambauer and others 2017)."""
    scale, alpha = z.dtype.type(1.0507009873554805), z.dtype.type(1.7580993408473766)  # λ and λ α
    for q in range(z.size):
        below = alpha * _expm1(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = scale if z[q] > 0 else below + alpha
        z[q] = scale * z[q] if z[q] > 0 else below


@on_demand
def silu(z, slopes):
    """z σ(z), also called swish (Elfwing, Uchibe and Doya 2018)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        p = one / (one + exp(-z[q]))
        a = z[q] * p
        if slopes.size:
            slopes[q] = p + a * (one - p)
        z[q] = a


@on_demand
def mish(z, slopes):
    """z tanh(ln(1 + e^z)) (Misra 2019)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        t = hyperbolic_tangent(_softplus(z[q], z.dtype.type))
        a = z[q] * t
        if slopes.size:
            slopes[q] = t + z[q] * (one - t * t) * (one / (one + exp(-z[q])))
        z[q] = a


@on_demand
def softplus(z, slopes):
    """ln(1 + e^z), a smooth ReLU (Dugas and others 2000)."""
    one = z.dtype.type(1)
    for q in range(z.size):
        a = _softplus(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = one / (one + exp(-z[q]))
        z[q] = a


@on_demand
def hard_sigmoid(z, slopes):
    """(z + 3) / 6, held within 0 and 1 (Courbariaux, Bengio and David 2015, with the slope of Howard and others 2019)."""
    zero, one, sixth, half = z.dtype.type(0), z.dtype.type(1), z.dtype.type(1 / 6), z.dtype.type(0.5)
    for q in range(z.size):
        a = z[q] * sixth + half
        if slopes.size:
            slopes[q] = sixth if (a > 0) & (a < 1) else zero
        a = zero if a < zero else a
        z[q] = one if a > one else a


@on_demand
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
def _expm1(x, real):
    """e^x − 1, from tanh(x/2) where e^x is near 1."""
    one, two, half = real(1), real(2), real(0.5)
    t = hyperbolic_tangent(half * x)
    return two * t / (one - t) if abs(x) < one else exp(x) - one


@kernel()
def _softplus(x, real):
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|)."""
    one, zero = real(1), real(0)
    e = exp(-abs(x))
    u = one + e
    # what was rounded off 1 + e is added to its logarithm
    return (x if x > zero else zero) + log(u) + (e - (u - one)) / u


# P in erfc x = t exp(P(2 t − 1) − x²), t = 2 / (2 + x), for x ≥ 0: Chebyshev's interpolation in 60 digits (the form is that of
# Press, Teukolsky, Vetterling and Flannery 2007), within 1e-7 (float32) and 6e-17.
_TAIL_32 = tuple(
    np.float32(c)
    for c in (
        *(-0.6717940840566923, 0.6726421700206594, 0.047343527644479334, -0.04687426828089252, -0.009877244398432398),
        *(0.0087016008956311, 0.0017864968325701151, -0.002045806027275416, -0.00021942688170480622, 0.0003324407019737343),
        4.657862288850425e-06,
    )
)
_TAIL_64 = (
    *(-0.6717940840566923, 0.6726432239776567, 0.04734330684190473, -0.046895610231182674, -0.009872689366406727),
    *(0.008824938557327763, 0.001758933558165434, -0.002345812504982584, -0.00014624686754045134, 0.0006736788382506061),
    *(-9.373500301998985e-05, -0.00017430319942974635, 7.140089189099235e-05, 3.174616564355679e-05, -3.0187528842243815e-05),
    *(1.3509102932957954e-07, 8.56191490492248e-06, -2.9430926821341833e-06, -1.271343067023655e-06, 1.2437191416721655e-06),
    *(-1.6939237579995655e-07, -2.4404662375581676e-07, 1.538760666928522e-07, -1.711069646695314e-09, -3.9356533447809914e-08),
    *(1.2225710551260416e-08, 4.089222480896167e-09, -2.0464670329192375e-09),
)


def _tail_coefficients(x):
    return _TAIL_32 if isinstance(x, np.float32) else _TAIL_64


@overload(_tail_coefficients)
def _tail_coefficients_in_numba(x):
    coefficients = _TAIL_32 if x == types.float32 else _TAIL_64
    return lambda x: coefficients


@kernel()
def _normal_distribution(z, real):
    """Φ(z), the share of a normal distribution below z, and its density at z."""
    one, two, half = real(1), real(2), real(0.5)
    x = abs(z) * real(0.7071067811865476)
    t = two / (two + x)
    s = two * t - one
    coefficients = _tail_coefficients(z)
    p = coefficients[-1]
    for k in range(len(coefficients) - 2, -1, -1):
        p = p * s + coefficients[k]
    bell = exp(-x * x)
    below = half * t * exp(p) * bell
    return (one - below if z > 0 else below), bell * real(0.3989422804014327)


@on_demand
def gelu(z, slopes):
    """z Φ(z), exactly (Hendrycks and Gimpel 2016)."""
    for q in range(z.size):
        share, density = _normal_distribution(z[q], z.dtype.type)
        if slopes.size:
            slopes[q] = share + z[q] * density
        z[q] *= share


ACTIVATIONS = {
    function.__name__: function
    for function in (
        *(identity, logistic, tanh, relu, leaky_relu, elu, selu, silu, gelu, mish, softplus, hard_sigmoid, hard_swish),
    )
}
