"""Minimum, maximum and power for integers, which compile faster than Numba's own: Numba compiles a function for each of them."""

import math

import numpy as np
from numba import types

from .intrinsics import intrinsic_kernel
from .jit import EXACT, kernel

_MAX_MULTIPLIED = 0x10000  # the largest exponent for which Numba multiplies; a larger one is passed to `pow` of the C library


def _select(comparison):
    """Return a generator of code that returns one of two integers: the first if the comparison is true, otherwise the second."""

    def generate(typing_context, a, b):
        def build(context, builder, signature, arguments):
            return builder.select(builder.icmp_signed(comparison, *arguments), *arguments)

        return types.intp(types.intp, types.intp), build

    return generate


minimum = intrinsic_kernel(min)(_select("<"))
maximum = intrinsic_kernel(max)(_select(">"))


@kernel(fastmath=EXACT)
def power(base, exponent):
    """Return base^exponent for an exponent ≥ 0, by repeated squaring, with the bits of Numba's operator."""
    if exponent > _MAX_MULTIPLIED:
        return math.pow(base, np.float64(exponent))
    result = 1.0
    while exponent != 0:
        if exponent & 1:
            result *= base
        exponent >>= 1
        base *= base
    return result
