"""The exact results of bfloat16 instructions agree with rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from bfloat16_reference import (
    add,
    dot_pairs,
    dot_pairs_of_arm,
    matrix_product_of_arm,
    multiply_add,
    round_to_bfloat16,
    tile_product,
    widen,
)

MIN_EXPONENT, MAX_EXPONENT = -126, 127
# logarithms to base 2 of the factors and of the sum
MAGNITUDES = [
    ((-3, 3), (-3, 3)),
    ((-66, -60), (-127, -120)),
    ((-70, -60), (-149, -100)),
    ((60, 64), (120, 128)),
    ((0, 1), (-60, 30)),
]


def rounded(x, n_bits, *, to_odd=False, flush_before=False, zero=0.0):
    """Round a fraction to a float with n_bits bits and the exponents of float32.

    A result that is subnormal becomes zero: after rounding, or before. An exact zero becomes `zero`.
    """
    if x == 0:
        return zero
    sign, x = (-1.0 if x < 0 else 1.0), abs(x)
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > x
    unit = Fraction(2) ** (exponent - n_bits + 1)
    if to_odd:
        number = x // unit
        number |= number * unit != x
    else:
        number = round(x / unit)  # to nearest, and to even
    result = number * unit
    if (x if flush_before else result) < Fraction(2) ** MIN_EXPONENT:
        return sign * 0.0
    return sign * float("inf") if result >= Fraction(2) ** (MAX_EXPONENT + 1) else sign * float(result)


def fused(c, a, b):
    """Return c + a b, rounded once; all numbers are finite."""
    a, b, c = (0.0 * x if abs(x) < 2.0**MIN_EXPONENT else x for x in (a, b, c))
    return rounded(Fraction(a) * Fraction(b) + Fraction(c), 24, zero=a * b + c)


def odd_dot(c, a, b):
    """Return c + a b of two pairs as bfdot: both products, their sum and the result are rounded to odd."""
    pairs = [[0.0 * x if abs(x) < 2.0**MIN_EXPONENT else x for x in pair] for pair in (a, b)]
    c = 0.0 * c if abs(c) < 2.0**MIN_EXPONENT else c
    options = {"to_odd": True, "flush_before": True}
    products = [rounded(Fraction(x) * Fraction(y), 24, zero=x * y, **options) for x, y in zip(*pairs, strict=True)]
    total = products[0] + products[1]  # `sum` would lose the sign of zeros
    if not np.isfinite(products).all():
        return c + total
    pair = rounded(Fraction(products[0]) + Fraction(products[1]), 24, zero=total, **options)
    return c + pair if np.isinf(pair) else rounded(Fraction(c) + Fraction(pair), 24, zero=c + pair, **options)


def drawn(limits, size, seed):
    """Return float32 with random signs whose logarithms to base 2 are between the limits, and some zeros."""
    random = np.random.default_rng(seed)
    numbers = random.choice([-1, 1], size) * 2.0 ** random.uniform(*limits, size)
    return np.where(random.random(size) < 0.02, np.copysign(0, numbers), numbers).astype(np.float32)


def same(result, expected):
    np.testing.assert_array_equal(result.view(np.uint32), np.asarray(expected, np.float32).view(np.uint32))


@pytest.mark.parametrize(("factors", "sums"), MAGNITUDES)
def test_multiply_add(factors, sums):
    a, b = (widen(round_to_bfloat16(drawn(factors, 2000, seed))) for seed in (1, 2))
    c = drawn(sums, 2000, 3)
    c[::5] = -a[::5] * b[::5] * np.float32(1 + 2.0**-20)  # most of the bits cancel
    c[1::50] = -a[1::50] * b[1::50]
    same(multiply_add(c, a, b), [fused(*numbers) for numbers in zip(*(x.tolist() for x in (c, a, b)), strict=True)])
    same(add(c, a), [fused(x, y, 1.0) for x, y in zip(c.tolist(), a.tolist(), strict=True)])


def test_a_result_is_subnormal_after_rounding():
    """a b + c is below the smallest normal number by less, exactly, or more than half a unit of the last of 24 bits."""
    smallest = np.float32(2.0**MIN_EXPONENT)
    a = widen(round_to_bfloat16(np.float32([2.0**-75] * 3)))
    b = -widen(round_to_bfloat16(np.float32([2.0**-77, 2.0**-76, 1.5 * 2.0**-76])))
    same(multiply_add(smallest, a, b), [smallest, smallest, 0])


@pytest.mark.parametrize(("factors", "sums"), MAGNITUDES)
def test_pairs(factors, sums):
    A, B = (round_to_bfloat16(drawn(factors, 4000, seed)).reshape(-1, 2) for seed in (1, 2))
    C = drawn(sums, 2000, 3)
    rows = list(zip(C.tolist(), widen(A).tolist(), widen(B).tolist(), strict=True))
    finite = [row for row in rows if np.isfinite(fused(row[0], row[1][1], row[2][1]))]
    at = [row in finite for row in rows]
    expected = [fused(fused(c, a[1], b[1]), a[0], b[0]) for c, a, b in finite]
    same(dot_pairs(C, A, B)[at], expected)
    same(dot_pairs_of_arm(C, A, B), [odd_dot(*row) for row in rows])


def test_tile_product():
    C, A, B = drawn((-3, 3), (3, 5), 1), round_to_bfloat16(drawn((-3, 3), (3, 8), 2)), round_to_bfloat16(drawn((-3, 3), (4, 10), 3))
    expected = np.zeros_like(C)
    for i, j in np.ndindex(C.shape):
        even = odd = 0.0
        for k in range(4):
            even = fused(even, float(widen(A[i, 2 * k])), float(widen(B[k, 2 * j])))
            odd = fused(odd, float(widen(A[i, 2 * k + 1])), float(widen(B[k, 2 * j + 1])))
        expected[i, j] = fused(float(C[i, j]), fused(even, odd, 1.0), 1.0)
    same(tile_product(C, A, B), expected)


def test_matrix_product_of_arm():
    C = drawn((-3, 3), (6, 2, 2), 1)
    A, B = (round_to_bfloat16(drawn((-3, 3), (6, 2, 4), seed)) for seed in (2, 3))
    expected = np.zeros_like(C)
    for i, row, column in np.ndindex(C.shape):
        a, b = widen(A[i, row]).tolist(), widen(B[i, column]).tolist()
        expected[i, row, column] = odd_dot(odd_dot(float(C[i, row, column]), a[:2], b[:2]), a[2:], b[2:])
    same(matrix_product_of_arm(C, A, B), expected)


def test_rounding():
    x = np.concatenate([drawn((-126, 127), 2000, 1), np.float32([1 + 2.0**-8, 1 + 3 * 2.0**-8, 3.4e38, np.inf, -np.inf, -0.0])])
    expected = [rounded(Fraction(v), 8, zero=v) if np.isfinite(v) else v for v in x.tolist()]
    same(widen(round_to_bfloat16(x)), expected)
    same(widen(round_to_bfloat16(np.float32([2.0**-127, -(2.0**-149)]))), [0, -0.0])
    same(widen(round_to_bfloat16(np.float32([2.0**-127, 1.5 * 2.0**-133]), keep_subnormals=True)), [2.0**-127, 2.0**-132])


def test_not_a_number():
    nan = np.uint32([0x7F800001, 0xFFC12345]).view(np.float32)
    np.testing.assert_array_equal(round_to_bfloat16(nan), [0x7FC0, 0xFFC1])
    a, b = np.uint16([[0x7F80, 0x3F80]]), np.uint16([[0, 0x3F80]])  # ∞ · 0
    assert dot_pairs(np.float32([1]), a, b).view(np.uint32) == 0xFFC00000
    assert dot_pairs_of_arm(np.float32([1]), a, b).view(np.uint32) == 0x7FC00000
