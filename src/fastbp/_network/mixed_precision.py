"""Networks whose products have factors that are rounded to bfloat16, while everything else is float32.

A layer table and a network's sizes go in; the fields of the layers with such products are written, and the sizes of the buffers for
the rounded factors come out. Small layers keep products of float32 numbers. The other layers use AMX instructions if the processor
has them and the operating system permits them. The rows of X can be rounded once for all steps. This module does not know how
products are computed.
"""

from typing import NamedTuple

import numpy as np

from .._kernels.amx import TILE_SIZE
from .._kernels.lazy.addresses import lazy_address
from .._kernels.targets import EMULATES_BFLOAT16, HAS_AMX, HAS_BFLOAT16, VECTOR_BYTES
from .amx_permission import may_use_tiles

# The value of the parameter `dtype` for float32 parameters and products of bfloat16 numbers.
MIXED_BFLOAT16 = "mixed_bfloat16"
# Rounding a factor takes time in proportion to its size, a product in proportion to the third dimension. With fewer inputs, outputs
# or rows than these, the product of a layer would gain less than half of what large products gain.
_MIN_UNITS, _MIN_ROWS = 32, 16
_LANES = VECTOR_BYTES // 4
# Rounded rows of X take at most so many bytes, because they are a copy.
_MAX_STORED_BYTES = 1 << 28
# A strip has at most this number of vectors of columns.
_STRIP_VECTORS = 3


def check_bfloat16():
    """Raise a ValueError if products of bfloat16 numbers are not available in this process."""
    if not (HAS_BFLOAT16 or EMULATES_BFLOAT16):
        raise ValueError(
            f"dtype={MIXED_BFLOAT16!r} needs a processor with the instructions AVX512_BF16 (AMD since Zen 4, Intel since Sapphire "
            "Rapids) or, on ARM, BF16, which this processor does not have, or which the environment variable FASTBP_TARGET "
            "excludes. Set dtype='float32'. For tests, FASTBP_EMULATE_BF16=1 computes the same results slowly on any processor."
        )


class WordSizes(NamedTuple):
    """The numbers of words in the buffers of one thread: for rounded weights, and for rounded rows."""

    weights: int = 0
    rows: int = 0


def multiplies_bfloat16(n_in, n_out, block_size):
    """Return whether the products of a layer with weights (n_in, n_out) use bfloat16 for blocks of block_size rows."""
    return min(n_in, n_out) >= _MIN_UNITS and block_size >= _MIN_ROWS


def use_bfloat16(table, block_size):
    """Write the fields of the layers whose products use bfloat16 to the layer table; return the `WordSizes` of each thread."""
    uses_tiles = HAS_AMX and may_use_tiles()
    prefix, depth, rows_of_words = ("amx_", TILE_SIZE, _rows_of_tiles) if uses_tiles else ("", 1, _rows_of_words)
    weights_at, rows_size = 0, 0
    with_deltas = table["n_features"][0] > 0
    for layer, row in enumerate(table):
        n_in, n_out = int(row["n_in"]), int(row["n_out"])
        if row["heads_address"] or not multiplies_bfloat16(n_in, n_out, block_size):
            continue
        row["n_packed"] = 0
        for name in ("forward", "gradient", "backward"):
            row[f"bfloat16_{name}_address"] = _product_address(f"bfloat16_{name}", prefix + name)
        row["round_weights_address"] = _product_address("bfloat16_weights", prefix + "weights")
        has_delta = layer > 0 or with_deltas
        row["words_at"], row["n_words"] = weights_at, _pairs_of(n_in, depth) * _in_vectors(n_out)
        weights_at += int(row["n_words"]) + 2 * _LANES
        n_transposed = int(has_delta) * _pairs_of(n_out, depth) * _in_vectors(n_in)
        row["transposed_words_at"], row["n_transposed_words"] = weights_at, n_transposed
        weights_at += n_transposed + 2 * _LANES
        rows_size = max(rows_size, rows_of_words(n_in, n_out, block_size))
    return WordSizes(weights_at, rows_size)


def use_stored_rows(table, settings, n_rows):
    """Let the first layer of the layer table read rows of X that are rounded; return the number of words of such a row, or 0.

    The results of training do not change, because the first layer rounds its inputs in any case. 0 is returned if it does not, if
    other functions read the inputs, too, or if the rows would take too much memory.
    """
    row = table[0]
    n_words = _in_vectors(_pairs_of(int(row["n_in"])))
    n_words += _LANES * (n_words % 256 == 0)  # rows at the distance of a large power of two share sets of the cache
    is_changed = row["n_features"] or row["adapt_inputs_address"] or settings["input_dropout"][0] or settings["input_noise"][0]
    uses_words = row["bfloat16_forward_address"] and not (HAS_AMX and may_use_tiles())
    if not uses_words or is_changed or 4 * n_rows * n_words > _MAX_STORED_BYTES:
        return 0
    row["input_stride"] = n_words
    for name in ("forward", "gradient"):
        row[f"bfloat16_{name}_address"] = _product_address(f"bfloat16_{name}", f"stored_{name}")
    return n_words


def _rows_of_words(n_in, n_out, block_size):
    """Return the size of the scratch memory for the products of a layer: the largest one of the four functions."""
    n_pairs = _pairs_of(block_size)
    strip = (_STRIP_VECTORS * _LANES + n_in) * n_pairs
    return max(
        min(n_in, _STRIP_VECTORS * _LANES) * _pairs_of(n_out) + 2 * _LANES,
        block_size * _upper_stride(_pairs_of(max(n_in, n_out))),
        n_pairs * (_upper_stride(n_in) + _upper_stride(n_out)) + strip,
    )


def _rows_of_tiles(n_in, n_out, block_size):
    """Return the same size for the functions of `lazy.amx`, whose matrices consist of whole tiles."""
    depth = _pairs_of(block_size, TILE_SIZE)
    return max(
        _in_vectors(block_size) * _upper_stride(_pairs_of(max(n_in, n_out), TILE_SIZE)),
        _in_vectors(n_in) * _upper_stride(depth) + depth * _in_vectors(n_out),
    )


def _product_address(kind, name):
    return lazy_address(kind, name, np.dtype(np.float32))


def _pairs_of(n, multiple=1):
    """Return the number of words of n numbers, rounded up to a multiple."""
    return -(-n // (2 * multiple)) * multiple


def _in_vectors(n):
    return -(-n // _LANES) * _LANES


def _upper_stride(n_words):
    """Return an upper bound of the distance between two rows of words."""
    return _in_vectors(n_words) + _LANES
