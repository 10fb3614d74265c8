"""The products of one layer with factors that are rounded to bfloat16.

Activations, deltas, weights, results and biases are float32, as for the functions of `products`. The weights are rounded once per
step, activations and deltas once per block of rows, in the order in which products read them: words with two numbers that are
neighbors in the direction of the sum. `words` is scratch memory of each thread. The rows of the first layer can be rounded once for
all steps: `store_rows` writes them, and the functions whose names begin with `stored` multiply them. This module does not know
which layers use these functions.
"""

import numpy as np

from ..bfloat16 import pair_rows, round_row_pairs, round_rows
from ..jit import kernel, lazy_entry
from ..products import backward_by_strips, forward_by_strips, gradient_by_strips, strip_width, transpose
from ..targets import HAS_AMX, VECTOR_BYTES
from ..tiles import lanes_of
from ..views import matrix, vector
from .amx import amx_backward, amx_forward, amx_gradient, amx_weights


@kernel()
def _number_of_pairs(n):
    """Return the number of pairs of n numbers; the last pair may have only one."""
    return (n + 1) // 2


@kernel()
def _word_stride(n_words):
    """Return the distance between two rows of words: whole vectors, and not a large power of two, which would share cache sets."""
    lanes = VECTOR_BYTES // 4
    stride = (n_words + lanes - 1) // lanes * lanes
    return stride + lanes if stride % 256 == 0 else stride


@lazy_entry
def bfloat16_weights(W, packed, transposed, words, share, n_shares):
    """Write the words of W (n_in, n_out) for the forward product to packed, and for the backward product to transposed.

    If transposed is empty, the layer has no backward product. Only the strips share, share + n_shares, … are written.
    """
    (n_in, n_out), lanes, n_words = W.shape, lanes_of(W), _number_of_pairs(W.shape[1])
    j, i, strip = 0, 0, 0
    while j < n_out:
        width = strip_width(j, n_out, lanes)
        if strip % n_shares == share:
            round_row_pairs(W, j, n_out, n_in, min(width, n_out - j), packed, j * _number_of_pairs(n_in), width)
        j += width
        strip += 1
    while transposed.size and i < n_in:
        width = strip_width(i, n_in, lanes)
        if strip % n_shares == share:
            rows = matrix(words, 0, min(width, n_in - i), n_words)
            round_rows(W, i * n_out, n_out, rows.shape[0], n_out, words, 0, n_words)
            transpose(rows, matrix(transposed, i * n_words, n_words, width), 0, 1)
        i += width
        strip += 1


@lazy_entry
def store_rows(X, words):
    """Write the words of the rows of X (n_rows, n_in) to words (n_rows, stride), whose rows are whole vectors."""
    round_rows(X, 0, X.shape[1], X.shape[0], X.shape[1], words, 0, words.shape[1])


@lazy_entry
def bfloat16_forward(A, packed, b, Z, n_in, relu, words):
    """Compute Z = A·W + b, with `relu` at least 0; A (n_rows, ≥ n_in), b (n_out,), Z (n_rows, ≥ n_out)."""
    stride, n_rows = _word_stride(_number_of_pairs(n_in)), A.shape[0]
    round_rows(A, 0, A.shape[1], n_rows, n_in, words, 0, stride)
    _multiply_pairs(matrix(words, 0, n_rows, stride), packed, b, Z, n_in, relu)


@lazy_entry
def stored_forward(A, packed, b, Z, n_in, relu, words):
    """Compute the same for rows from `store_rows`, whose words are in the memory of A (n_rows, stride)."""
    _multiply_pairs(A.view(np.uint32), packed, b, Z, n_in, relu)


@kernel()
def _multiply_pairs(pairs, packed, b, Z, n_in, relu):
    floor = Z.dtype.type(0) if relu else Z.dtype.type(-np.inf)
    forward_by_strips(pairs, matrix(packed, 0, _number_of_pairs(n_in), b.size), packed, b, Z, floor)


@lazy_entry
def bfloat16_gradient(A, delta, G, add, words):
    """Compute G = Aᵀ·delta, plus G if `add`; A (n_rows, ≥ n_in), delta (n_rows, ≥ n_out), G (n_in, n_out)."""
    n_in = G.shape[0]
    round_row_pairs(A, 0, A.shape[1], A.shape[0], n_in, words, 0, _word_stride(n_in))
    _gradient_of_pairs(delta, G, add, words)


@lazy_entry
def stored_gradient(A, delta, G, add, words):
    """Compute the same for rows from `store_rows`, whose words are in the memory of A (n_rows, stride)."""
    n_in, (n_rows, stride) = G.shape[0], A.shape
    pair_rows(A.view(np.uint32), 0, stride, n_rows, _number_of_pairs(n_in), words, 0, _word_stride(n_in))
    _gradient_of_pairs(delta, G, add, words)


@kernel()
def _gradient_of_pairs(delta, G, add, words):
    """Compute G from delta and the words of pairs of rows of A, which are at the start of `words`."""
    (n_in, n_out), n_rows = G.shape, delta.shape[0]
    n_words, strides = _number_of_pairs(n_rows), (_word_stride(n_in), _word_stride(n_out))
    delta_at, strip_at = n_words * strides[0], n_words * (strides[0] + strides[1])
    round_row_pairs(delta, 0, delta.shape[1], n_rows, n_out, words, delta_at, strides[1])
    pairs, delta_pairs = matrix(words, 0, n_words, strides[0]), matrix(words, delta_at, n_words, strides[1])
    gradient_by_strips(pairs, delta_pairs, G, add, vector(words, strip_at, words.size - strip_at))


@lazy_entry
def bfloat16_backward(delta, transposed, A, out, n_in, n_out, relu, words):
    """Compute out = delta·Wᵀ; with `relu`, out is zero where A is; delta (n_rows, ≥ n_out), A and out (n_rows, ≥ n_in)."""
    stride, n_rows, lanes = _word_stride(_number_of_pairs(n_out)), delta.shape[0], lanes_of(A)
    round_rows(delta, 0, delta.shape[1], n_rows, n_out, words, 0, stride)
    pairs = matrix(words, 0, n_rows, stride)
    W_T = matrix(transposed, 0, _number_of_pairs(n_out), (n_in + lanes - 1) // lanes * lanes)
    backward_by_strips(pairs, W_T, A, out, relu)


WEIGHTS_TO_BFLOAT16 = {"weights": bfloat16_weights}
BFLOAT16_FORWARD = {"forward": bfloat16_forward, "stored_forward": stored_forward}
BFLOAT16_GRADIENT = {"gradient": bfloat16_gradient, "stored_gradient": stored_gradient}
BFLOAT16_BACKWARD = {"backward": bfloat16_backward}
if HAS_AMX:  # LLVM cannot compile these functions for other processors
    WEIGHTS_TO_BFLOAT16["amx_weights"] = amx_weights
    BFLOAT16_FORWARD["amx_forward"] = amx_forward
    BFLOAT16_GRADIENT["amx_gradient"] = amx_gradient
    BFLOAT16_BACKWARD["amx_backward"] = amx_backward
