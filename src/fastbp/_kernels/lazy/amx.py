"""The products of one layer with factors that are rounded to bfloat16, for processors with AMX_BF16.

The arguments and results are those of the functions in `bfloat16`, except for the layout of the words: in the direction of a sum,
there are whole tiles, which end with zeros, and strips have two tiles of columns, or one at the end. `n_words` is the number of
words in the direction of a sum. Each function configures the tiles of its thread and releases them. This module does not know which
layers use these functions.
"""

import numpy as np

from ..amx import (
    TILE_SIZE,
    backward_tiles,
    configure_tiles,
    forward_tiles,
    gradient_tiles,
    release_tiles,
    round_transposed_row_pairs,
    round_transposed_rows,
)
from ..bfloat16 import round_row_pairs, round_rows
from ..integers import minimum
from ..jit import kernel, lazy_entry


@kernel()
def _n_tile_words(n):
    """Return the number of words of n numbers, rounded up to whole tiles."""
    return (n + 2 * TILE_SIZE - 1) // (2 * TILE_SIZE) * TILE_SIZE


@kernel()
def _tile_stride(n_words):
    """Return the distance between two rows of words: an odd number of cache lines, so that rows share no cache sets."""
    return (n_words // TILE_SIZE | 1) * TILE_SIZE


@kernel()
def _tile_strip_width(at, n_columns):
    """Return the number of columns of the strip that starts at column `at`."""
    return 2 * TILE_SIZE if n_columns - at > TILE_SIZE else TILE_SIZE


@kernel()
def _round_strips(M, n_rows, n_columns, words, start, share, n_shares):
    """Write the words of pairs of rows of M[:n_rows, :n_columns] strip by strip, from words[start]; return the number of strips."""
    n_words, j, strip = _n_tile_words(n_rows), 0, 0
    while j < n_columns:
        width, at = _tile_strip_width(j, n_columns), start + j * n_words
        if strip % n_shares == share:
            round_row_pairs(M, j, M.shape[1], n_rows, minimum(width, n_columns - j), words, at, width)
            for q in range(at + (n_rows + 1) // 2 * width, at + n_words * width):
                words[q] = 0
        j += width
        strip += 1
    return strip


@lazy_entry
def amx_weights(W, packed, transposed, words, share, n_shares):
    """Write the words of W (n_in, n_out) for `amx_forward` to packed; for `amx_backward` to transposed, unless it is empty.

    Only the strips share, share + n_shares, … are written.
    """
    (n_in, n_out), j = W.shape, 0
    strip = _round_strips(W, n_in, n_out, packed, 0, share, n_shares)
    while transposed.size and j < n_in:
        width = _tile_strip_width(j, n_in)
        if strip % n_shares == share:
            round_transposed_rows(W, j * n_out, n_out, minimum(width, n_in - j), n_out, transposed, j * _n_tile_words(n_out), width)
        j += width
        strip += 1


@lazy_entry
def amx_forward(A, packed, b, Z, n_in, relu, words):
    """Compute Z = A·W + b, with `relu` at least 0; A (n_rows, ≥ n_in), b (n_out,), Z (n_rows, ≥ n_out)."""
    n_words, (n_rows, ldz), n_out = _n_tile_words(n_in), Z.shape, b.size
    stride, floor = _tile_stride(n_words), Z.dtype.type(0) if relu else Z.dtype.type(-np.inf)
    round_rows(A, 0, A.shape[1], n_rows, n_in, words, 0, stride)
    configure_tiles()
    for j in range(0, n_out, 2 * TILE_SIZE):
        if n_out - j > TILE_SIZE:
            forward_tiles(2, words, stride, packed, j * n_words, Z, j, ldz, n_rows, n_words, b, j, floor)
        else:
            forward_tiles(1, words, stride, packed, j * n_words, Z, j, ldz, n_rows, n_words, b, j, floor)
    release_tiles()


@lazy_entry
def amx_gradient(A, delta, G, add, words):
    """Compute G = Aᵀ·delta, plus G if `add`; A (n_rows, ≥ n_in), delta (n_rows, ≥ n_out), G (n_in, n_out)."""
    (n_in, n_out), n_rows = G.shape, A.shape[0]
    n_words = _n_tile_words(n_rows)
    stride = _tile_stride(n_words)
    start = (n_in + TILE_SIZE - 1) // TILE_SIZE * TILE_SIZE * stride
    round_transposed_row_pairs(A, 0, A.shape[1], n_rows, n_in, words, 0, stride)
    _round_strips(delta, n_rows, n_out, words, start, 0, 1)
    configure_tiles()
    for j in range(0, n_out, 2 * TILE_SIZE):
        at, n_left = start + j * n_words, n_out - j
        if n_left > TILE_SIZE:
            gradient_tiles(2, words, stride, words, at, G, j, n_out, n_in, n_words, add, n_left - TILE_SIZE)
        else:
            gradient_tiles(1, words, stride, words, at, G, j, n_out, n_in, n_words, add, n_left)
    release_tiles()


@lazy_entry
def amx_backward(delta, transposed, A, out, n_in, n_out, relu, words):
    """Compute out = delta·Wᵀ; with `relu`, out is zero where A is; delta (n_rows, ≥ n_out), A and out (n_rows, ≥ n_in)."""
    n_words, (n_rows, ldo) = _n_tile_words(n_out), out.shape
    stride = _tile_stride(n_words)
    round_rows(delta, 0, delta.shape[1], n_rows, n_out, words, 0, stride)
    configure_tiles()
    for j in range(0, n_in, 2 * TILE_SIZE):
        if n_in - j > TILE_SIZE:
            backward_tiles(2, words, stride, transposed, j * n_words, out, j, ldo, n_rows, n_words, A, j, relu)
        else:
            backward_tiles(1, words, stride, transposed, j * n_words, out, j, ldo, n_rows, n_words, A, j, relu)
    release_tiles()
