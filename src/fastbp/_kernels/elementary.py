"""exp, log, tanh, sigmoid, and sine and cosine of turns, that LLVM can inline into a loop and vectorize.

The argument is a float32 or float64, and the result has the same type; other types are a compilation error. The error of the result
is at most 1.7 units in the last place, except for sigmoid (2.6, because its formula rounds three times) and for tanh in float32
(4.5). Without fused multiply-add, the error is a little larger. The functions have no branches, tables or library calls, so that a
loop over an array can be vectorized. NaN, infinities, subnormal numbers and signed zeros are handled as in IEEE 754; only the signs
of the zeros of the sine may differ. Outside compiled code, the same formulas run as plain Python. This module does not know about
arrays.
"""

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

# Only "contract", regardless of the flags of the caller: with "reassoc", LLVM would remove the compensation of rounding errors.
# The functions are always inlined, because LLVM does not vectorize a loop that contains a call.
OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}

# The constants have types, because in Numba the product of a float32 and a Python float is a float64.
F32 = np.float32
ZERO32, QUARTER32, HALF32, ONE32, TWO32, INF32, NAN32 = F32(0), F32(0.25), F32(0.5), F32(1), F32(2), F32(np.inf), F32(np.nan)

# ln 2 = HIGH + LOW. HIGH ends in so many zero bits that k * HIGH is exact for every exponent k (Cody and Waite, 1980).
LOG2E_32, LN2_HIGH_32, LN2_LOW_32 = F32(1.442695), F32(0.693145751953125), F32(1.428606765330187e-06)
LOG2E_64, LN2_HIGH_64, LN2_LOW_64 = 1.4426950408889634, 0.6931471805601177, -1.7239444525614835e-13

# Outside these bounds, exp is 0 or infinite, and tanh is ±1. The bounds limit the exponents, so that the scale factors are finite.
EXP_MIN_32, K_MIN_32, EXP_MAX_32, TANH_FIT_32, TANH_MAX_32 = F32(-104.0), F32(-150.0), F32(89.0), F32(8.01773), F32(9.02)
EXP_MIN_64, K_MIN_64, EXP_MAX_64, TANH_MAX_64 = -746.0, -1077.0, 710.0, 20.0

# For log: the smallest normal number, the factor that makes subnormal numbers normal, its base-2 logarithm, and the bits of
# sqrt(1/2).
TINY_32, UPSCALE_32, UPSCALE_LOG2_32, ROOT_BITS_32 = F32(2.0**-126), F32(2.0**23), F32(23.0), np.int32(0x3F3504F3)
TINY_64, UPSCALE_64, UPSCALE_LOG2_64, ROOT_BITS_64 = 2.0**-1022, 2.0**52, 52.0, np.int64(0x3FE6A09E667F3BCD)

# (exp(r) - 1 - r) / r^2 on -ln(2)/4 <= r <= 3 ln(2)/4, by the Remez algorithm in 50 digits. The error is weighted with
# (|r| + 0.05) r / expm1(r). With rounded coefficients, r + r^2 q(r) differs from expm1(r) by at most 2.4e-8 (32) and 3.6e-17 (64).
E2_32, E3_32, E4_32, E5_32, E6_32 = F32(0.50000006), F32(0.16666825), F32(0.04166132), F32(0.008286133), F32(0.0015973959)
E2, E3, E4, E5, E6 = 0.5000000000000002, 0.1666666666666612, 0.04166666666659369, 0.008333333334259764, 0.001388888891808617
E7, E8, E9 = 0.00019841265007904522, 2.480164887111868e-05, 2.756409865319774e-06
E10, E11 = 2.7273100608527285e-07, 2.9248883180855644e-08

# (2 artanh(s) - 2 s) / s^3 as a polynomial in s^2 on |s| <= (sqrt(2) - 1) / (sqrt(2) + 1), by the same algorithm. The
# error is relative to the logarithm: at most 1e-9 (32) and 2e-18 (64).
LOG1_32, LOG2_32, LOG3_32 = F32(0.66666776), F32(0.39977664), F32(0.29869077)
LOG1, LOG2, LOG3, LOG4 = 0.6666666666666731, 0.39999999999436836, 0.28571428738224364, 0.2222219894696494
LOG5, LOG6, LOG7 = 0.18183546957396649, 0.15314453717579116, 0.14792251614813878

# tanh x = x (1 + x^2 P(x^2)) / Q(x^2) on |x| <= 8.01773, with the coefficients of Eigen's ptanh_float. For larger |x|,
# |tanh x| is nearly 1.
P1_32, P2_32, P3_32, P4_32 = F32(1.340216100e-1), F32(3.520756727e-3), F32(2.102733560e-5), F32(1.394553628e-8)
Q1_32, Q2_32, Q3_32, Q4_32 = F32(4.673548340e-1), F32(2.597254514e-2), F32(3.326951409e-4), F32(8.015776984e-7)

# sin(2 pi s) = 4 s + s w Q(w) with w = s^2 - 1/16 on |s| <= 1/4, by the same algorithm, rounded from the first coefficient to the
# last. The relative error is at most 7e-9 (32) and 6e-19 (64). Near 1/4, only 4 s is large, and it is exact.
FOUR32, SIXTEENTH32 = F32(4), F32(1 / 16)
S1_32, S2_32, S3_32, S4_32 = F32(-31.999987), F32(68.174835), F32(-66.65411), F32(39.660915)
S1, S2, S3, S4 = -31.999999999999996, 68.1726591651423, -66.76254664194593, 37.55941710914109
S5, S6, S7, S8 = -13.719665577527424, 3.516959694719013, -0.6672362790189079, 0.10110910887350008


def exp(x):
    """Return e^x, with gradual underflow: x = k ln 2 + r, e^x = 2^k e^r."""
    return _in_python(x, _exp32, _exp64)


def log(x):
    """Return ln x, or NaN for x < 0: x = 2^k (1 + f), ln x = k ln 2 + ln(1 + f)."""
    return _in_python(x, _log32, _log64)


def tanh(x):
    """Return the hyperbolic tangent. It is odd, at most 1, and equal to x for tiny x.

    In float32 it is a rational function, in float64 e / (e + 2) with e = expm1(2 |x|).
    """
    return _in_python(x, _tanh32, _tanh64)


def sigmoid(x):
    """Return 1 / (1 + e^-x), rounded after each operation as in scipy.special.expit; 0 if e^-x overflows."""
    return _in_python(x, _sigmoid32, _sigmoid64)


def cos_turns(x):
    """Return the cosine of an angle of x turns, cos(2πx). The reduction x - round(x) is exact, so that x may be large."""
    return _in_python(x, _cos_turns32, _cos_turns64)


def sin_turns(x):
    """Return the sine of an angle of x turns, sin(2πx). LLVM computes the reduction once for both functions of the same angle."""
    return _in_python(x, _sin_turns32, _sin_turns64)


def _in_python(x, single, double):
    """Evaluate the formula for the type of x in plain Python, without NumPy's warnings about overflows, which are intended."""
    with np.errstate(all="ignore"):
        return single(x) if isinstance(x, np.float32) else double(np.float64(x))


def _in_numba(function, single, double):
    """Use the formula for the type of x in compiled callers; other types raise a typing error."""
    overload(function, jit_options=OPTIONS)(lambda x: {types.float32: single, types.float64: double}.get(x))


@register_jitable(**OPTIONS)
def _power32(k):
    """Return 2^k for an int32 k between -126 and 127, from its bits."""
    return np.int32((k + 127) << 23).view(np.float32)


@register_jitable(**OPTIONS)
def _power64(k):
    """Return 2^k for an int32 k between -1022 and 1023, from its bits."""
    return np.int64(np.int64(k + 1023) << 52).view(np.float64)


@register_jitable(**OPTIONS)
def _reduced32(x, k):
    """Return r = x - k ln 2 and t = e^r - 1 - r, so that e^x = 2^k (1 + (r + t))."""
    r = (x - k * LN2_HIGH_32) - k * LN2_LOW_32
    q = E2_32 + r * (E3_32 + r * (E4_32 + r * (E5_32 + r * E6_32)))
    return r, r * r * q


@register_jitable(**OPTIONS)
def _reduced64(x, k):
    """Return r = x - k ln 2 and t = e^r - 1 - r, so that e^x = 2^k (1 + (r + t))."""
    r = (x - k * LN2_HIGH_64) - k * LN2_LOW_64
    q = E7 + r * (E8 + r * (E9 + r * (E10 + r * E11)))
    q = E2 + r * (E3 + r * (E4 + r * (E5 + r * (E6 + r * q))))
    return r, r * r * q


# If x is NaN, limiting x keeps NaN, because every comparison with NaN is false. Limiting k replaces NaN by a number, because NaN
# cannot be converted to an integer. A quarter is subtracted before k is rounded, so -ln(2)/4 <= r <= 3 ln(2)/4. This does not
# change the accuracy of exp, and it gives k = 0 in tanh for |x| up to 0.26. k is converted to int32, because AVX2 cannot convert
# float64 to int64. There are two factors, because a single factor 2^k cannot produce infinity and subnormal numbers.
def _exp32(x):
    x = EXP_MAX_32 if x > EXP_MAX_32 else x
    x = EXP_MIN_32 if x < EXP_MIN_32 else x
    k = np.rint(x * LOG2E_32 - QUARTER32)
    r, t = _reduced32(x, k)
    n = np.int32(k if k > K_MIN_32 else K_MIN_32)
    half = np.int32(n >> 1)
    return (ONE32 + (r + t)) * _power32(half) * _power32(np.int32(n - half))


def _exp64(x):
    x = EXP_MAX_64 if x > EXP_MAX_64 else x
    x = EXP_MIN_64 if x < EXP_MIN_64 else x
    k = np.rint(x * LOG2E_64 - 0.25)
    r, t = _reduced64(x, k)
    n = np.int32(k if k > K_MIN_64 else K_MIN_64)
    half = np.int32(n >> 1)
    return (1.0 + (r + t)) * _power64(half) * _power64(np.int32(n - half))


def _tanh32(x):
    a = abs(x)
    c = TANH_FIT_32 if a > TANH_FIT_32 else a
    z = c * c
    numerator = z * (P1_32 + z * (P2_32 + z * (P3_32 + z * P4_32)))
    denominator = ONE32 + z * (Q1_32 + z * (Q2_32 + z * (Q3_32 + z * Q4_32)))
    y = (c * numerator + c) / denominator
    y = ONE32 if y > ONE32 else y
    return np.copysign(ONE32 if a > TANH_MAX_32 else y, x)


def _tanh64(x):
    a = abs(x)
    a = TANH_MAX_64 if a > TANH_MAX_64 else a
    k = np.rint(a * (2.0 * LOG2E_64) - 0.25)
    r, t = _reduced64(2.0 * a, k)
    scale = _power64(np.int32(k if k > 0.0 else 0.0))
    e = scale * (r + t) + (scale - 1.0)
    near = k == 0.0  # then e / (e + 2) = |x| + (t - |x| e) / (e + 2), where only a small correction is rounded
    base = a if near else 0.0
    numerator = t - a * e if near else e
    return np.copysign(base + numerator / (e + 2.0), x)


def _sigmoid32(x):
    return ONE32 / (ONE32 + exp(-x))


def _sigmoid64(x):
    return 1.0 / (1.0 + exp(-x))


# 1 + f is between sqrt(1/2) and sqrt(2). With s = f / (2 + f) and h = f^2 / 2, ln(1 + f) = f - (h - s (h + R(s^2))). This form is
# from K. C. Ng's log in fdlibm; its leading term f is exact.
def _log32(x):
    subnormal = x < TINY_32
    bits = np.float32(x * UPSCALE_32 if subnormal else x).view(np.int32)
    n = np.int32(np.int32(bits - ROOT_BITS_32) >> 23)
    f = np.int32(bits - np.int32(n << 23)).view(np.float32) - ONE32
    k = np.float32(n) - (UPSCALE_LOG2_32 if subnormal else ZERO32)
    s = f / (TWO32 + f)
    z = s * s
    h = HALF32 * f * f
    y = k * LN2_HIGH_32 - ((h - (s * (h + z * (LOG1_32 + z * (LOG2_32 + z * LOG3_32))) + k * LN2_LOW_32)) - f)
    y = y if x < INF32 else x
    y = y if x != ZERO32 else -INF32
    return NAN32 if x < ZERO32 else y


def _log64(x):
    subnormal = x < TINY_64
    bits = np.float64(x * UPSCALE_64 if subnormal else x).view(np.int64)
    n = np.int32((bits - ROOT_BITS_64) >> 52)
    f = np.int64(bits - (np.int64(n) << 52)).view(np.float64) - 1.0
    k = np.float64(n) - (UPSCALE_LOG2_64 if subnormal else 0.0)
    s = f / (2.0 + f)
    z = s * s
    h = 0.5 * f * f
    r = z * (LOG1 + z * (LOG2 + z * (LOG3 + z * (LOG4 + z * (LOG5 + z * (LOG6 + z * LOG7))))))
    y = k * LN2_HIGH_64 - ((h - (s * (h + r) + k * LN2_LOW_64)) - f)
    y = y if x < np.inf else x
    y = y if x != 0.0 else -np.inf
    return np.nan if x < 0.0 else y


@register_jitable(**OPTIONS)
def _quarter_sine32(s):
    """Return sin(2 pi s) for |s| <= 1/4."""
    w = s * s - SIXTEENTH32
    return s * FOUR32 + s * (w * (S1_32 + w * (S2_32 + w * (S3_32 + w * S4_32))))


@register_jitable(**OPTIONS)
def _quarter_sine64(s):
    """Return sin(2 pi s) for |s| <= 1/4."""
    w = s * s - 0.0625
    return s * 4.0 + s * (w * (S1 + w * (S2 + w * (S3 + w * (S4 + w * (S5 + w * (S6 + w * (S7 + w * S8))))))))


# With r = x - round(x), cos(2 pi x) = sin(2 pi (1/4 - |r|)) and sin(2 pi |r|) = sin(2 pi (1/2 - |r|)). Both differences are exact,
# except 1/4 - |r| for |r| < 1/8, where its rounding error changes the cosine by half a unit.
def _cos_turns32(x):
    return _quarter_sine32(QUARTER32 - abs(x - np.rint(x)))


def _cos_turns64(x):
    return _quarter_sine64(0.25 - abs(x - np.rint(x)))


def _sin_turns32(x):
    r = x - np.rint(x)
    a = abs(r)
    return np.copysign(_quarter_sine32(HALF32 - a if a > QUARTER32 else a), r)


def _sin_turns64(x):
    r = x - np.rint(x)
    a = abs(r)
    return np.copysign(_quarter_sine64(0.5 - a if a > 0.25 else a), r)


_in_numba(exp, _exp32, _exp64)
_in_numba(log, _log32, _log64)
_in_numba(tanh, _tanh32, _tanh64)
_in_numba(sigmoid, _sigmoid32, _sigmoid64)
_in_numba(cos_turns, _cos_turns32, _cos_turns64)
_in_numba(sin_turns, _sin_turns32, _sin_turns64)
