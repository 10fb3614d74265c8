"""One step of Adam and the sum of the squared weights after the step, as vector code for the current processor.

A square root and a division take most of the time of a step. AVX-512 has instructions that compute the reciprocal of a number, and
the reciprocal of its square root, with 14 correct bits. Newton's method reduces the error to at most one or two units in the last
place; with it, a step in float64 takes two thirds of the time. On other processors, the exact instructions are used. Only whole
vectors are processed here; `solvers` contains the formula and processes the remaining elements.
"""

import numpy as np
from llvmlite import ir
from numba import types

from .._compat import cgutils
from .intrinsics import intrinsic_kernel
from .targets import HAS_AVX512
from .vector_code import FIRST_LANE, I64, VectorCode, i64

# The number of independent partial sums of squares. With one sum, each addition would have to wait for the previous one.
_N_SUMS = 4


class _SumOfSquares(VectorCode):
    """Generates code for Σ w² over whole vectors, always added in the same order.

    `build` returns the number of elements and the sum.
    """

    def __init__(self, context, builder, signature, arguments):
        self.dtype, self.result_type = signature.args[0].dtype, signature.return_type
        super().__init__(context, builder, self.dtype)
        self.w = self.pointer_to(signature.args[0], arguments[0], i64(0))
        self.n_vectors = builder.sdiv(arguments[-1], i64(self.lanes))

    def build(self):
        b = self.builder
        sums = [cgutils.alloca_once_value(b, ir.Constant(self.vector, None)) for _ in range(_N_SUMS)]
        n_rounds = b.sdiv(self.n_vectors, i64(_N_SUMS))
        with cgutils.for_range(b, n_rounds) as loop:
            for i, squares in enumerate(sums):
                self.add_square(b.add(b.mul(loop.index, i64(_N_SUMS)), i64(i)), squares)
        rest = b.mul(n_rounds, i64(_N_SUMS))
        with cgutils.for_range_slice(b, rest, self.n_vectors, i64(1), I64) as (vector, _):
            self.add_square(vector, sums[0])
        total = b.load(sums[0])
        for squares in sums[1:]:
            total = b.fadd(total, b.load(squares))
        total = b.extract_element(self.reduce_lanes(total, b.fadd), FIRST_LANE)
        return self.context.make_tuple(b, self.result_type, [b.mul(self.n_vectors, i64(self.lanes)), total])

    def add_square(self, vector, squares):
        w = self.weights_at(self.builder.mul(vector, i64(self.lanes)))
        self.builder.store(self.multiply_add(w, w, self.builder.load(squares)), squares)

    def weights_at(self, at):
        """Return the vector of weights that starts at element `at`."""
        return self.load(self.builder.gep(self.w, [at]))


class _AdamStep(_SumOfSquares):
    """Generates code for a step of Adam and Σ w² after the step.

    s = (g + alpha·w)·scale, m ← β₁m + (1−β₁)s, v ← β₂v + (1−β₂)s², w ← w − η m / (√v + ε).
    """

    def __init__(self, context, builder, signature, arguments):
        super().__init__(context, builder, signature, arguments)
        self.arrays = [self.pointer_to(kind, array, i64(0)) for kind, array in zip(signature.args[1:7], arguments[1:7])]
        self.numbers = [self.broadcast(number) for number in arguments[7:-1]]

    def weights_at(self, at):
        """Take the step for the vector that starts at element `at`, and return the new weights."""
        b, fused = self.builder, self.multiply_add
        w_at, m_at, v_at, *before = (b.gep(array, [at]) for array in (self.w, *self.arrays))
        g, w, m, v = map(self.load, before)
        rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon = self.numbers
        slope = b.fmul(fused(alpha, w, g), scale)
        m = fused(rest_1, slope, b.fmul(beta_1, m))
        v = fused(rest_2, b.fmul(slope, slope), b.fmul(beta_2, v))
        self.store(m, m_at)
        self.store(v, v_at)
        step = self.quotient_by_estimates if HAS_AVX512 else self.quotient_by_division
        w = b.fsub(w, step(b.fmul(rate, m), v, epsilon))
        self.store(w, w_at)
        return w

    def quotient_by_division(self, m, v, epsilon):
        """Return m / (√v + ε)."""
        return self.builder.fdiv(m, self.builder.fadd(self.intrinsic("sqrt", v), epsilon))

    def quotient_by_estimates(self, m, v, epsilon):
        """Return m / (√v + ε), computed from estimates that are refined by Newton's method.

        The error is one or two units in the last place. ε must be a normal number, and v must be a normal number or 0. This is true
        in training, because subnormal numbers are flushed to 0.
        """
        b, half, one = self.builder, self.constant(0.5), self.constant(1.0)
        n_steps = 1 if self.itemsize == 4 else 2  # each step of Newton's method doubles the number of correct bits
        smallest = self.constant(np.finfo(str(self.dtype)).tiny)
        inverse = self.estimate("rsqrt14", b.select(b.fcmp_ordered("<", v, smallest), smallest, v))
        root, half_inverse = b.fmul(v, inverse), b.fmul(half, inverse)
        for _ in range(n_steps):
            error = self.negative_fma(half, root, half_inverse)
            root, half_inverse = self.fma(root, error, root), self.fma(half_inverse, error, half_inverse)
        divisor = b.fadd(root, epsilon)
        inverse = self.estimate("rcp14", divisor)
        for _ in range(n_steps):
            inverse = self.fma(inverse, self.negative_fma(one, divisor, inverse), inverse)
        quotient = b.fmul(m, inverse)
        refined = self.fma(self.negative_fma(m, divisor, quotient), inverse, quotient)
        quotient = b.select(b.fcmp_unordered("uno", refined, refined), quotient, refined)  # an infinite quotient is refined to NaN
        # if a squared gradient has overflowed, the step is 0; if the gradient itself is infinite, the step is NaN
        overflowed = b.fcmp_ordered("==", v, self.constant(float("inf")))
        return b.select(overflowed, b.fmul(m, self.constant(0.0)), quotient)

    def constant(self, value):
        return ir.Constant(self.vector, [ir.Constant(self.vector.element, float(value))] * self.lanes)

    def fma(self, a, b, c):
        """Return a·b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def negative_fma(self, c, a, b):
        """Return c − a·b, rounded once."""
        return self.fma(self.builder.fneg(a), b, c)

    def estimate(self, name, values):
        """Call one of the AVX-512 instructions that estimate a reciprocal."""
        mask = ir.IntType(self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, self.vector, mask])
        name = f"llvm.x86.avx512.{name}.{'ps' if self.itemsize == 4 else 'pd'}.512"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [values, ir.Constant(self.vector, None), mask(-1)])

    def intrinsic(self, name, *values):
        """Call one of LLVM's intrinsics for vectors."""
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        name = f"llvm.{name}.v{self.lanes}f{8 * self.itemsize}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)


def _process_nothing(*arguments):
    return 0, 0.0


@intrinsic_kernel(_process_nothing)
def adam_step_of_vectors(
    typing_context, w, m, v, g, old_w, old_m, old_v, rate, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon, size
):
    """Take Adam's step for the whole vectors among the first `size` elements; return the number of elements, and Σ w² after it.

    The step starts from old_w, old_m and old_v, which may be the same arrays as w, m and v.
    """
    return _build_sum_of_squares(_AdamStep, w, m, v, g, old_w, old_m, old_v, *(w.dtype,) * 8, types.intp)


@intrinsic_kernel(_process_nothing)
def sum_of_squares_of_vectors(typing_context, w, size):
    """Return the number of elements in whole vectors among the first `size` elements, and their Σ w²."""
    return _build_sum_of_squares(_SumOfSquares, w, types.intp)


def _build_sum_of_squares(code, w, *kinds):
    """Return an intrinsic's signature and its code generator."""

    def build(context, builder, signature, arguments):
        return code(context, builder, signature, arguments).build()

    return types.Tuple((types.intp, w.dtype))(w, *kinds), build
