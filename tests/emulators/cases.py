"""Numbers with which the tests of all processors compare, and the loop around an instruction in LLVM code."""

from itertools import product

import numpy as np
from bfloat16_reference import round_to_bfloat16

# ±0, subnormal numbers, the smallest and the largest normal numbers, ±∞, quiet and signaling NaN, and ordinary numbers
SPECIAL = [0, 0x8000, 1, 0x807F, 0x80, 0x8080, 0x7F80, 0xFF80, 0x7F81, 0xFF85, 0x7FC1, 0xFFC2, 0x3F80, 0xBF80, 0x7F7F, 0x4049]
# the same for float32, and numbers between two bfloat16
SPECIAL_BITS = [number << 16 for number in SPECIAL]
SPECIAL_BITS += [
    1,
    0x7FFFFF,
    0x807FFFFF,
    0x7F800001,
    0x7F7FFFFF,
    0x7F7F7FFF,
    0x7F7F8000,
    0x3F808000,
    0x3F818000,
    0x3F808001,
    0xBF817FFF,
]
# the logarithms to base 2 of random factors and of the sums to which their products are added
MAGNITUDES = {
    "ordinary": ((-20, 20), (-20, 20)),
    "small": ((-66, -60), (-128, -120)),
    "subnormal": ((-75, -60), (-149, -100)),
    "large": ((60, 64), (120, 128)),
    "far apart": ((0, 1), (-149, 24)),
}


def agrees(result, expected):
    """Check that all bits of two arrays are equal."""
    bits = f"u{result.itemsize}"
    np.testing.assert_array_equal(result.view(bits), expected.view(bits))


def powers(random, limits, size):
    """Return float32 with a random sign, whose logarithms to base 2 are uniform between the limits."""
    return (random.choice([-1, 1], size) * 2.0 ** random.uniform(*limits, size)).astype(np.float32)


def random_bits(random, dtype, size):
    """Return integers whose bits are random."""
    return random.integers(0, np.iinfo(dtype).max, size, dtype, endpoint=True)


def random_products(magnitudes):
    """Return random sums C, and random bfloat16 factors A and B with two numbers for each sum."""
    random, n, (of_factors, of_sum) = np.random.default_rng(0), 1 << 13, MAGNITUDES[magnitudes]
    A, B = (round_to_bfloat16(powers(random, of_factors, 2 * n)) for _ in range(2))
    return powers(random, of_sum, n), A, B


def products_of_random_bits():
    """Return the same with random bits."""
    random, n = np.random.default_rng(0), 1 << 14
    C = random_bits(random, np.uint32, n).view(np.float32)
    A, B = (random_bits(random, np.uint16, 2 * n) for _ in range(2))
    return C, A, B


def special_products():
    """Return the same with special values in all combinations; the number of sums is a multiple of 16."""
    values = np.array(list(product(SPECIAL, SPECIAL, SPECIAL, (0, 0x3F80, 0x7F80, 0xFFC3, 1), SPECIAL[::3])), np.uint16)
    values = np.concatenate([values, values[: -len(values) % 16]])
    C = (values[:, 0].astype(np.uint32) << 16).view(np.float32)
    return C, np.ascontiguousarray(values[:, 1:3]).ravel(), np.ascontiguousarray(values[:, 3:]).ravel()


def loop(statements, arguments, declaration):
    """Return LLVM code of a function f of these arguments and a count n that executes statements for i = 0, …, n - 1."""
    return f"""
        declare {declaration}
        define void @f({arguments}, i64 %n) {{
        entry:
          br label %body
        body:
          %i = phi i64 [0, %entry], [%next, %body]
          {statements}
          %next = add i64 %i, 1
          %more = icmp slt i64 %next, %n
          br i1 %more, label %body, label %done
        done:
          ret void
        }}"""
