"""Pairs of bfloat16 numbers: rounding to them, and vector code for their products.

A bfloat16 number is the upper half of a float32 number. A word, which is an uint32, contains two of them, the first in its lower
half. Products are sums over pairs, a₀·b₀ + a₁·b₁, which are added to float32 sums. Numbers are rounded to the nearest bfloat16,
ties to even; subnormal numbers become zero, and NaN stays NaN. Processors with AVX512_BF16 or with the BF16 extension of ARM have
instructions for this; `targets` determines whether they are used. Without them, the same results are computed with several
instructions. This module does not know which matrices are multiplied.
"""

import numpy as np
from llvmlite import ir
from numba import types

from .._compat import cgutils
from .intrinsics import intrinsic_kernel
from .targets import HAS_BFLOAT16, IS_X86
from .vector_code import VectorCode, i64

_I16, _I32 = ir.IntType(16), ir.IntType(32)
_UPPER_HALF, _SIGN, _EXPONENT, _QUIET = 0xFFFF0000, 0x80000000, 0x7F800000, 0x00400000


class _BFloatType(ir.Type):
    """LLVM's type bfloat, which llvmlite does not define."""

    intrinsic_name = "bf16"

    def _to_string(self):
        return "bfloat"

    def __eq__(self, other):
        return isinstance(other, _BFloatType)

    def __hash__(self):
        return hash(_BFloatType)


class PairProducts(VectorCode):
    """Generates code for vectors of words, whose products are added to vectors of float32 numbers."""

    def __init__(self, context, builder):
        super().__init__(context, builder, types.uint32)
        self.sums = VectorCode(context, builder, types.float32)
        self.pairs = ir.VectorType(_BFloatType(), 2 * self.lanes)

    def multiply_add(self, a, b, c):
        """Return c + a₁·b₁ + a₀·b₀ for each word, where c is a vector of float32 numbers."""
        if HAS_BFLOAT16:
            name = "llvm.x86.avx512bf16.dpbf16ps.512" if IS_X86 else "llvm.aarch64.neon.bfdot.v4f32.v8bf16"
            return self._call(name, self.sums.vector, c, self._bitcast(a, self.pairs), self._bitcast(b, self.pairs))
        c = self.sums.multiply_add(self._upper(a), self._upper(b), c)
        return self.sums.multiply_add(self._lower(a), self._lower(b), c)

    def words_of_halves(self, lower, upper):
        """Return words whose lower and upper halves are two vectors of float32 numbers, rounded to bfloat16."""
        b = self.builder
        if HAS_BFLOAT16 and IS_X86:
            order = [half for lane in range(self.lanes) for half in (lane, self.lanes + lane)]
            halves = self._bitcast(self._rounded_by_instruction(lower, upper), ir.VectorType(_I16, 2 * self.lanes))
            mask = ir.Constant(ir.VectorType(_I32, 2 * self.lanes), order)
            return self._bitcast(b.shuffle_vector(halves, halves, mask), self.vector)
        return b.or_(b.lshr(self._rounded(lower), self._all(16)), b.and_(self._rounded(upper), self._all(_UPPER_HALF)))

    def words_of_neighbors(self, first, second):
        """Return words of the neighboring elements of two consecutive vectors of float32 numbers, rounded to bfloat16."""
        if HAS_BFLOAT16 and IS_X86:
            return self._bitcast(self._rounded_by_instruction(first, second), self.vector)
        even, odd = ([2 * lane + half for lane in range(self.lanes)] for half in (0, 1))
        return self.words_of_halves(self.shuffle((first, second), even), self.shuffle((first, second), odd))

    def load_first(self, pointer, n):
        """Load the first n elements of a vector of float32 numbers, with n ≤ 0 none; the rest is 0 and its memory is not read."""
        vector, mask = self.sums.vector, self.mask_of_first(n)
        address = self.builder.bitcast(pointer, vector.as_pointer())
        name = f"llvm.masked.load.v{self.lanes}f32.p0"
        return self._call(name, vector, address, ir.Constant(_I32, 4), mask, ir.Constant(vector, None))

    def _rounded(self, values):
        """Return words with rounded float32 numbers in their upper halves; the lower halves are undefined."""
        b, bits = self.builder, self._bitcast(values, self.vector)
        odd = b.and_(b.lshr(bits, self._all(16)), self._all(1))
        nearest = b.add(b.add(bits, self._all(0x7FFF)), odd)
        kept = b.select(b.fcmp_unordered("uno", values, values), b.or_(bits, self._all(_QUIET)), nearest)
        is_subnormal = b.icmp_unsigned("==", b.and_(bits, self._all(_EXPONENT)), self._all(0))
        return b.select(is_subnormal, b.and_(bits, self._all(_SIGN)), kept)

    def _rounded_by_instruction(self, first, second):
        return self._call("llvm.x86.avx512bf16.cvtne2ps2bf16.512", self.pairs, second, first)

    def _upper(self, words):
        return self._bitcast(self.builder.and_(words, self._all(_UPPER_HALF)), self.sums.vector)

    def _lower(self, words):
        return self._bitcast(self.builder.shl(words, self._all(16)), self.sums.vector)

    def _all(self, value):
        return ir.Constant(self.vector, [value] * self.lanes)

    def _bitcast(self, value, kind):
        return self.builder.bitcast(value, kind)

    def _call(self, name, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)


def _bits_of_rounded(values):
    """Return float32 numbers, rounded to bfloat16, as their bits in uint16; this is the rounding of `PairProducts` in NumPy."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    nearest = np.where(np.isnan(values), bits | np.uint32(_QUIET), bits + np.uint32(0x7FFF) + (bits >> 16 & 1))
    return (np.where(bits & np.uint32(_EXPONENT) == 0, bits & np.uint32(_SIGN), nearest) >> 16).astype(np.uint16)


def halves_of_words(words):
    """Return the first and the second numbers of words, as float32; for NUMBA_DISABLE_JIT=1."""
    bits = np.ascontiguousarray(words, np.uint32)
    return (bits << np.uint32(16)).view(np.float32), (bits & np.uint32(_UPPER_HALF)).view(np.float32)


def _round_rows_in_numpy(A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    n_words, source, target = (n_columns + 1) // 2, A.reshape(-1), words.reshape(-1)
    for i in range(n_rows):
        row = np.zeros(2 * n_words, np.float32)
        row[:n_columns] = source[a_at + i * a_stride :][:n_columns]
        target[at + i * stride :][:n_words] = _bits_of_rounded(row).view(np.uint32)


@intrinsic_kernel(_round_rows_in_numpy)
def round_rows(typing_context, A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    """Write pairs of neighboring columns of a matrix of float32 numbers.

    The word words[at + i·stride + k] has the elements 2k and 2k + 1 of row i, which starts at A[a_at + i·a_stride]. After an odd
    number of columns, the last element is 0. Whole vectors are written, row by row.
    """

    def build(context, builder, signature, arguments):
        A, a_at, a_stride, n_rows, n_columns, words, at, stride = arguments
        code = PairProducts(context, builder)
        source, target = code.sums.pointer_to(signature.args[0], A, a_at), code.pointer_to(signature.args[5], words, at)
        n_whole = builder.sdiv(n_columns, i64(2 * code.lanes))
        n_last = builder.srem(n_columns, i64(2 * code.lanes))
        with cgutils.for_range(builder, n_rows) as row:
            start, out = (
                builder.gep(first, [builder.mul(row.index, step)]) for first, step in ((source, a_stride), (target, stride))
            )
            with cgutils.for_range(builder, n_whole) as loop:
                place = builder.gep(start, [builder.mul(loop.index, i64(2 * code.lanes))])
                pairs = code.words_of_neighbors(code.sums.load(place), code.sums.load(place, 1))
                code.store(pairs, builder.gep(out, [builder.mul(loop.index, i64(code.lanes))]))
            with builder.if_then(builder.icmp_signed(">", n_last, i64(0))):
                place = builder.gep(start, [builder.mul(n_whole, i64(2 * code.lanes))])
                second = code.load_first(builder.gep(place, [i64(code.lanes)]), builder.sub(n_last, i64(code.lanes)))
                pairs = code.words_of_neighbors(code.load_first(place, n_last), second)
                code.store(pairs, builder.gep(out, [builder.mul(n_whole, i64(code.lanes))]))
        return context.get_dummy_value()

    return _signature(A, words), build


def _round_row_pairs_in_numpy(A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    source, target = A.reshape(-1), words.reshape(-1)
    for p in range((n_rows + 1) // 2):
        pair = np.zeros((n_columns, 2), np.float32)
        for half in range(min(2, n_rows - 2 * p)):
            pair[:, half] = source[a_at + (2 * p + half) * a_stride :][:n_columns]
        target[at + p * stride :][:n_columns] = _bits_of_rounded(pair).view(np.uint32)[:, 0]


@intrinsic_kernel(_round_row_pairs_in_numpy)
def round_row_pairs(typing_context, A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    """Write pairs of consecutive rows of a matrix of float32 numbers.

    The word words[at + p·stride + j] has the elements j of rows 2p and 2p + 1; row i starts at A[a_at + i·a_stride]. After an odd
    number of rows, the last row is 0. Whole vectors are written, pair by pair.
    """

    def build(context, builder, signature, arguments):
        A, a_at, a_stride, n_rows, n_columns, words, at, stride = arguments
        code = PairProducts(context, builder)
        source, target = code.sums.pointer_to(signature.args[0], A, a_at), code.pointer_to(signature.args[5], words, at)
        n_whole, n_last = builder.sdiv(n_columns, i64(code.lanes)), builder.srem(n_columns, i64(code.lanes))
        zeros = ir.Constant(code.sums.vector, None)
        with cgutils.for_range(builder, builder.sdiv(builder.add(n_rows, i64(1)), i64(2))) as pair:
            row = builder.mul(pair.index, i64(2))
            first = builder.gep(source, [builder.mul(row, a_stride)])
            has_second = builder.icmp_signed("<", builder.add(row, i64(1)), n_rows)
            second = builder.select(has_second, builder.gep(first, [a_stride]), first)
            out = builder.gep(target, [builder.mul(pair.index, stride)])

            def write(offset, load):
                lower, upper = (load(builder.gep(start, [offset])) for start in (first, second))
                upper = builder.select(has_second, upper, zeros)
                code.store(code.words_of_halves(lower, upper), builder.gep(out, [offset]))

            with cgutils.for_range(builder, n_whole) as loop:
                write(builder.mul(loop.index, i64(code.lanes)), code.sums.load)
            with builder.if_then(builder.icmp_signed(">", n_last, i64(0))):
                write(builder.mul(n_whole, i64(code.lanes)), lambda place: code.load_first(place, n_last))
        return context.get_dummy_value()

    return _signature(A, words), build


def _signature(A, words):
    n = types.intp
    return types.void(A, n, n, n, n, words, n, n)
