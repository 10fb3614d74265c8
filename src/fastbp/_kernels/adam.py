"""Adam's step, and the squares of the weights that it leaves, as vector code written for the processor at hand.

A square root and a division are what a step waits for. AVX-512 has estimates of both their reciprocals, good to 14 bits, which
Newton's method brings to the last place or one beside it, in float64 in two thirds of the time; other processors divide. Here
whole vectors are done; the formula, and what is left behind the last of them, stand in `solvers`.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .jit import intrinsic_kernel
from .tiles import HAS_AVX512, Tile, integer

_N_SUMS = 4  # of squares, next to each other, as each waits for the one before


class _Squares(Tile):
    """Whole vectors of w; build returns how many elements these are, and Σ w² of them, always added in the same order."""

    def __init__(self, context, builder, signature, arguments):
        self.dtype, self.pair = signature.args[0].dtype, signature.return_type
        super().__init__(context, builder, self.dtype)
        self.w = self.at(signature.args[0], arguments[0], integer(0))
        self.n_vectors = builder.sdiv(arguments[-1], integer(self.lanes))

    def build(self):
        b = self.builder
        sums = [cgutils.alloca_once_value(b, ir.Constant(self.vector, None)) for _ in range(_N_SUMS)]
        n_turns = b.sdiv(self.n_vectors, integer(_N_SUMS))
        with cgutils.for_range(b, n_turns) as loop:
            for i, squares in enumerate(sums):
                self.add_square(b.add(b.mul(loop.index, integer(_N_SUMS)), integer(i)), squares)
        rest = b.mul(n_turns, integer(_N_SUMS))
        with cgutils.for_range_slice(b, rest, self.n_vectors, integer(1), integer(0).type) as (vector, _):
            self.add_square(vector, sums[0])
        total = b.load(sums[0])
        for squares in sums[1:]:
            total = b.fadd(total, b.load(squares))
        total = b.extract_element(self.spread(total, b.fadd), ir.Constant(ir.IntType(32), 0))
        return self.context.make_tuple(b, self.pair, [b.mul(self.n_vectors, integer(self.lanes)), total])

    def add_square(self, vector, squares):
        w = self.new(self.builder.mul(vector, integer(self.lanes)))
        self.builder.store(self.multiplied_and_added(w, w, self.builder.load(squares)), squares)

    def new(self, at):
        """w from an element on, as it is after the step."""
        return self.load(self.builder.gep(self.w, [at]))


class _Adam(_Squares):
    """m ← β₁m + (1−β₁)s, v ← β₂v + (1−β₂)s² with s = (g + alpha·w)·scale, then w ← w − η m / (√v + ε)."""

    def __init__(self, context, builder, signature, arguments):
        super().__init__(context, builder, signature, arguments)
        self.arrays = [self.at(kind, array, integer(0)) for kind, array in zip(signature.args[1:4], arguments[1:4])]
        self.numbers = [self.splat(number) for number in arguments[4:-1]]

    def new(self, at):
        b, fused = self.builder, self.multiplied_and_added
        w_at, g_at, m_at, v_at = (b.gep(array, [at]) for array in (self.w, *self.arrays))
        rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon = self.numbers
        w = self.load(w_at)
        slope = b.fmul(fused(alpha, w, self.load(g_at)), scale)
        m = fused(rest_1, slope, b.fmul(beta_1, self.load(m_at)))
        v = fused(rest_2, b.fmul(slope, slope), b.fmul(beta_2, self.load(v_at)))
        self.store(m, m_at)
        self.store(v, v_at)
        step = self.estimated if HAS_AVX512 else self.divided
        w = b.fsub(w, step(b.fmul(rate, m), v, epsilon))
        self.store(w, w_at)
        return w

    def divided(self, m, v, epsilon):
        return self.builder.fdiv(m, self.builder.fadd(self.intrinsic("sqrt", v), epsilon))

    def estimated(self, m, v, epsilon):
        """m / (√v + ε), to a last place or two; ε and v normal numbers or v = 0, as in training, where others are flushed."""
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
        refined = self.fma(self.less(m, divisor, quotient), inverse, quotient)
        quotient = b.select(b.fcmp_unordered("uno", refined, refined), quotient, refined)  # which may be endless
        # where a squared gradient overflowed, the step is 0, unless the gradient itself did
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


def _none(*arguments):
    return 0, 0.0


@intrinsic_kernel(_none)
def vectors_of_adam(typing_context, w, g, m, v, rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon, size):
    """Adam's step for the whole vectors among the first `size` elements; returns how many these have, and Σ w² after it."""
    return _built(_Adam, w, g, m, v, *(w.dtype,) * 8, types.intp)


@intrinsic_kernel(_none)
def squared_vectors(typing_context, w, size):
    """How many elements the whole vectors among the first `size` have, and Σ w² of them."""
    return _built(_Squares, w, types.intp)


def _built(code, w, *kinds):
    def build(context, builder, signature, arguments):
        return code(context, builder, signature, arguments).build()

    return types.Tuple((types.intp, w.dtype))(w, *kinds), build
