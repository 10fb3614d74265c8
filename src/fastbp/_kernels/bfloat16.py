"""Matrices of pairs of bfloat16 numbers, rounded from float32.

A word, which is an uint32, contains two bfloat16 numbers, see `vector_code`. Products sum over neighboring elements of rows, or
over elements of neighboring rows; for both, one function writes the pairs as words. A third function makes the second kind of words
from the first. This module does not know which matrices are multiplied.
"""

import numpy as np
from llvmlite import ir
from numba import types

from .._compat import cgutils
from .intrinsics import intrinsic_kernel
from .vector_code import PairProducts, i64

_UPPER_HALF, _SIGN, _EXPONENT, _QUIET = 0xFFFF0000, 0x80000000, 0x7F800000, 0x00400000


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

    return _rounding_signature(A, words), build


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
            first, second, has_second = _rows_of_pair(builder, source, a_stride, n_rows, pair.index)
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

    return _rounding_signature(A, words), build


def _pair_rows_in_numpy(rows, a_at, a_stride, n_rows, n_words, words, at, stride):
    source, target = rows.reshape(-1).view(np.uint16), words.reshape(-1)
    for p in range((n_rows + 1) // 2):
        pair = np.zeros((2 * n_words, 2), np.uint16)
        for half in range(min(2, n_rows - 2 * p)):
            pair[:, half] = source[2 * (a_at + (2 * p + half) * a_stride) :][: 2 * n_words]
        target[at + p * stride :][: 2 * n_words] = pair.view(np.uint32)[:, 0]


@intrinsic_kernel(_pair_rows_in_numpy)
def pair_rows(typing_context, rows, a_at, a_stride, n_rows, n_words, words, at, stride):
    """Write the words of `round_row_pairs` for rows of words from `round_rows`.

    Row i starts at rows[a_at + i·a_stride] and has n_words words. Whole vectors are read, and written pair by pair.
    """

    def build(context, builder, signature, arguments):
        rows, a_at, a_stride, n_rows, n_words, words, at, stride = arguments
        code = PairProducts(context, builder)
        source, target = code.pointer_to(signature.args[0], rows, a_at), code.pointer_to(signature.args[5], words, at)
        n_vectors = builder.sdiv(builder.add(n_words, i64(code.lanes - 1)), i64(code.lanes))
        with cgutils.for_range(builder, builder.sdiv(builder.add(n_rows, i64(1)), i64(2))) as pair:
            first, second, has_second = _rows_of_pair(builder, source, a_stride, n_rows, pair.index)
            out = builder.gep(target, [builder.mul(pair.index, stride)])
            with cgutils.for_range(builder, n_vectors) as vectors:
                offset = builder.mul(vectors.index, i64(code.lanes))
                lower, upper = (code.load(builder.gep(start, [offset])) for start in (first, second))
                upper = builder.select(has_second, upper, ir.Constant(code.vector, None))
                place = builder.gep(out, [builder.mul(offset, i64(2))])
                for half, pairs in enumerate(code.words_of_rows(lower, upper)):
                    code.store(pairs, place, half)
        return context.get_dummy_value()

    n = types.intp
    return types.void(rows, n, n, n, n, words, n, n), build


def _rows_of_pair(builder, source, stride, n_rows, pair):
    """Return the addresses of the two rows of a pair, and whether there is a second one; otherwise, its address is the first."""
    row = builder.mul(pair, i64(2))
    first = builder.gep(source, [builder.mul(row, stride)])
    has_second = builder.icmp_signed("<", builder.add(row, i64(1)), n_rows)
    return first, builder.select(has_second, builder.gep(first, [stride]), first), has_second


def _rounding_signature(A, words):
    n = types.intp
    return types.void(A, n, n, n, n, words, n, n)
