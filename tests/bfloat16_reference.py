"""The exact results of the bfloat16 instructions of processors, in NumPy.

A bfloat16 is a uint16 array with the upper half of the bits of a float32.
"""

import numpy as np

_SIGN, _QUIET = np.uint32(1 << 31), np.uint32(1 << 22)
_DEFAULT_NAN = np.uint32(0xFFC00000)
_SMALLEST = np.finfo(np.float32).smallest_normal


def round_to_bfloat16(x, *, keep_subnormals=False):
    """Round float32 to the nearest bfloat16, or to the even one of two; NaN becomes quiet.

    Subnormal numbers become zero, as by vcvtneps2bf16 of x86, or are rounded, as by bfcvtn of Arm with its usual settings.
    """
    x = np.asarray(x, np.float32) if keep_subnormals else flush_subnormals(x)
    bits = x.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))
    return (np.where(np.isnan(x), bits | _QUIET, rounded) >> 16).astype(np.uint16)


def widen(values):
    """Return bfloat16 as float32, which is exact."""
    return (np.asarray(values, np.uint16).astype(np.uint32) << 16).view(np.float32)


def flush_subnormals(x):
    """Replace subnormal float32 by zeros with the same sign."""
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < _SMALLEST, np.copysign(np.float32(0), x), x)


def multiply_add(acc, a, b):
    """Return acc + a * b of float32 arrays that contain bfloat16 in a and b, rounded once to float32.

    Subnormal inputs and results are replaced by zero.
    """
    acc, a, b = np.broadcast_arrays(*(flush_subnormals(x) for x in (acc, a, b)))
    with np.errstate(invalid="ignore"):
        product = a.astype(np.float64) * b.astype(np.float64)  # exact, because it has 16 significant bits
    return _first_nan(_rounded_sum(acc, product), a, b, acc)


def add(x, y):
    """Return x + y of float32 arrays; subnormal inputs and results are replaced by zero."""
    x, y = np.broadcast_arrays(flush_subnormals(x), flush_subnormals(y))
    return _first_nan(_rounded_sum(x, y), x, y)


def _rounded_sum(x, y):
    """Return the sum of two arrays, rounded to float32, with zeros instead of subnormal numbers.

    The sum in float64 is not always exact, but rounding it again has the same result as rounding the exact sum, because the terms
    have at most 24 significant bits and float64 has more than 2 · 24 + 1 (Figueroa, When is double rounding innocuous?, 1995).
    """
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        x, y = x.astype(np.float64), y.astype(np.float64)
        total = x + y
        rounded = total.astype(np.float32)
        # A processor decides after rounding to 24 bits, with a larger range of exponents, that a result is subnormal.
        is_tiny = np.abs((total * 2.0**64).astype(np.float32)) < _SMALLEST * np.float32(2.0**64)
        return np.where(is_tiny, np.copysign(np.float32(0), rounded), rounded)


def _sum_rounded_to_odd(x, y):
    """Return the sum of two float64 arrays; if it is not exact, its last bit is set to 1.

    Rounding the result again, to an odd float32, is the same as rounding the exact sum to odd (Boldo and Melquiond, Emulation of a
    FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008).
    """
    total = x + y
    # the exact error of the sum (Knuth, The Art of Computer Programming, volume 2, 4.2.2, theorem B)
    back = total - x
    error = (x - (total - back)) + (y - back)
    is_even = total.view(np.int64) & 1 == 0
    toward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(is_even & np.isfinite(error) & (error != 0), toward, total)


def _first_nan(result, *operands):
    """Replace NaN by the quiet form of the first operand that is NaN; without such an operand, by the default NaN of x86."""
    bits = np.where(np.isnan(result), _DEFAULT_NAN, result.view(np.uint32))
    for operand in reversed(operands):
        bits = np.where(np.isnan(operand), operand.view(np.uint32) | _QUIET, bits)
    return bits.astype(np.uint32).view(np.float32)


def dot_pairs(acc, a, b):
    """Return acc + the product of each pair, as the instruction vdpbf16ps; a and b (..., 2) are bfloat16."""
    odd = multiply_add(acc, widen(a[..., 1]), widen(b[..., 1]))
    return multiply_add(odd, widen(a[..., 0]), widen(b[..., 0]))


def tile_product(C, A, B):
    """Return C + A B, as the instruction tdpbf16ps.

    C (m, n) is float32. A (m, 2k) and B (k, 2n) are bfloat16, and each pair of columns of B contains two rows of the matrix.
    """
    A, B = A.reshape(len(A), -1, 2), B.reshape(len(B), -1, 2)
    sums = np.zeros((*C.shape, 2), np.float32)
    for k in range(len(B)):
        sums = multiply_add(sums, widen(A[:, k, None]), widen(B[k]))
    return add(C, add(sums[..., 0], sums[..., 1]))


def dot_pairs_of_arm(acc, a, b):
    """Return acc + the product of each pair, as the instruction bfdot without FEAT_EBF16; a and b (..., 2) are bfloat16.

    The products, their sum and the result are rounded to odd: a number that is not exact is truncated, and its last bit is set
    to 1. Subnormal inputs and results are replaced by zero, and every NaN by the default NaN (Arm Architecture Reference Manual,
    BFDotAdd).
    """
    a, b = flush_subnormals(widen(a)), flush_subnormals(widen(b))
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        products = _odd_float32(a.astype(np.float64) * b.astype(np.float64))
        pair = _odd_float32(_sum_rounded_to_odd(*(products[..., i].astype(np.float64) for i in (0, 1))))
        return _odd_float32(_sum_rounded_to_odd(flush_subnormals(acc).astype(np.float64), pair.astype(np.float64)))


def _odd_float32(x):
    """Round float64 to odd float32, with zeros instead of subnormal numbers; x was rounded to odd if it is not exact."""
    truncated = x.astype(np.float32)
    truncated = np.where(np.abs(truncated.astype(np.float64)) > np.abs(x), np.nextafter(truncated, np.float32(0)), truncated)
    truncated = np.where(np.abs(x) >= 2.0**128, np.copysign(np.float32(np.inf), truncated), truncated)
    odd = truncated.view(np.uint32) | (np.isfinite(truncated) & (truncated.astype(np.float64) != x))
    odd = odd.astype(np.uint32).view(np.float32)
    odd = np.where(np.abs(x) < _SMALLEST, np.copysign(np.float32(0), odd), odd)
    return np.where(np.isnan(x), np.float32(np.nan), odd)


def matrix_product_of_arm(C, A, B):
    """Return C + A Bᵀ, as the instruction bfmmla; C (..., 2, 2) is float32, A and B (..., 2, 4) are bfloat16."""
    A, B = A[..., :, None, :], B[..., None, :, :]
    first = dot_pairs_of_arm(C, A[..., :2], B[..., :2])
    return dot_pairs_of_arm(first, A[..., 2:], B[..., 2:])
