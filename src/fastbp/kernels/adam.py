"""Adam's step, as vector code written for the processor at hand.

A square root and a division are what a step waits for. AVX-512 has estimates of both their reciprocals, good to 14 bits, which
Newton's method brings to the last place or one beside it in half the time; other processors divide. Here whole vectors are done;
the formula, and what is left behind the last of them, stand in `solvers`.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .jit import machine_code
from .tiles import HAS_AVX512, Tile, integer


class _Adam(Tile):
    """m ← β₁m + (1−β₁)s, v ← β₂v + (1−β₂)s² with s = (g + alpha·w)·scale, then w ← w − η m / (√v + ε)."""

    def __init__(self, context, builder, signature, arguments):
        self.dtype = signature.args[0].dtype
        super().__init__(context, builder, self.dtype)
        self.arrays = [self.at(kind, array, integer(0)) for kind, array in zip(signature.args[:4], arguments[:4])]
        self.n_vectors = builder.sdiv(arguments[4], integer(self.lanes))
        self.numbers = [self.splat(number) for number in arguments[5:]]

    def build(self):
        """Returns how many elements are done."""
        with cgutils.for_range(self.builder, self.n_vectors) as loop:
            self.step(self.builder.mul(loop.index, integer(self.lanes)))
        return self.builder.mul(self.n_vectors, integer(self.lanes))

    def step(self, at):
        b, fused = self.builder, self.multiplied_and_added
        w_at, g_at, m_at, v_at = (b.gep(array, [at]) for array in self.arrays)
        rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon = self.numbers
        w = self.load(w_at)
        slope = b.fmul(fused(alpha, w, self.load(g_at)), scale)
        m = fused(rest_1, slope, b.fmul(beta_1, self.load(m_at)))
        v = fused(rest_2, b.fmul(slope, slope), b.fmul(beta_2, self.load(v_at)))
        self.store(m, m_at)
        self.store(v, v_at)
        step = self.estimated if HAS_AVX512 else self.divided
        self.store(b.fsub(w, step(b.fmul(rate, m), v, epsilon)), w_at)

    def divided(self, m, v, epsilon):
        return self.builder.fdiv(m, self.builder.fadd(self.intrinsic("sqrt", v), epsilon))

    def estimated(self, m, v, epsilon):
        b, half, one = self.builder, self.constant(0.5), self.constant(1.0)
        n_more = 1 if self.itemsize == 4 else 2  # each step of Newton's doubles the bits
        smallest = self.constant(np.finfo(str(self.dtype)).tiny)
        inverse = self.estimate("rsqrt14", b.select(b.fcmp_ordered("<", v, smallest), smallest, v))
        root, half_inverse = b.fmul(v, inverse), b.fmul(half, inverse)
        for _ in range(n_more):
            error = self.less(half, root, half_inverse)
            root, half_inverse = self.fma(root, error, root), self.fma(half_inverse, error, half_inverse)
        divisor = b.fadd(root, epsilon)
        inverse = self.estimate("rcp14", divisor)
        for _ in range(n_more):
            inverse = self.fma(inverse, self.less(one, divisor, inverse), inverse)
        quotient = b.fmul(m, inverse)
        quotient = self.fma(self.less(m, divisor, quotient), inverse, quotient)
        # a squared gradient that overflows must stay ∞, so that its step is 0, unless that of the gradient is none either
        endless = b.fcmp_ordered("==", v, self.constant(float("inf")))
        return b.select(endless, b.fmul(m, self.constant(0.0)), quotient)

    def constant(self, value):
        return ir.Constant(self.vector, [ir.Constant(self.vector.element, float(value))] * self.lanes)

    def fma(self, a, b, c):
        """a·b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def less(self, c, a, b):
        """c − a·b, rounded once."""
        return self.fma(self.builder.fneg(a), b, c)

    def estimate(self, name, values):
        mask = ir.IntType(self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, self.vector, mask])
        name = f"llvm.x86.avx512.{name}.{'ps' if self.itemsize == 4 else 'pd'}.512"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [values, ir.Constant(self.vector, None), mask(-1)])

    def intrinsic(self, name, *values):
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        name = f"llvm.{name}.v{self.lanes}f{8 * self.itemsize}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)


def _none(w, g, m, v, size, *numbers):
    return 0


@machine_code(_none)
def adam_vectors(typing_context, w, g, m, v, size, rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon):
    """Adam's step for the whole vectors among the first `size` elements; returns how many elements these are."""
    numbers = (w.dtype,) * 8

    def build(context, builder, signature, arguments):
        return _Adam(context, builder, signature, arguments).build()

    return types.intp(w, g, m, v, types.intp, *numbers), build
