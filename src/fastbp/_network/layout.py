"""The memory layout of a network: layer sizes go in; offsets, views and buffers come out.

The parameters are in one flat buffer, first all weights and then all biases, in the order in which scikit-learn packs them for
L-BFGS; ``coefs_`` and ``intercepts_`` are views of it. Rows of activations and deltas are padded to whole vectors. Each buffer of a
fit is allocated once and is followed by unused space, because vector instructions may access elements after its end. This module
does not know what the kernels compute.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from .._kernels.tables import LAYER

# Limits for the number of rows per block. With more rows, the activations of a block would not stay in the second-level cache; with
# fewer rows, the matrix products would be slower.
_CACHE_BYTES = 1 << 20
_MIN_ROWS, _MAX_ROWS = 128, 1024
# If all weights fit into half of the first-level cache, reading them again for every block takes little time. Blocks are then so
# small that activations and deltas fit into the other half. The number of rows of such a block is a multiple of _TILE.
_HALF_FIRST_CACHE = 24 << 10
_MIN_ROWS_FIRST_CACHE, _TILE = 24, 12
LARGEST_BLOCK = max(_MAX_ROWS, _HALF_FIRST_CACHE // 8)  # the largest number of rows per block of any network
_LINE_BYTES = 64
# The maximum number of multiply-adds in one product over a block, because a product cannot be interrupted.
_MAX_WORK = 1 << 29
# The number of norm parameters of each unit: γ and, for layer normalization, β. Batch normalization uses the biases as β.
N_NORM_PARAMETERS = {None: 0, "batch_norm": 1, "layer_norm": 2}


def aligned_zeros(size, dtype):
    """Return an array of zeros (size,) that starts at a cache line and is followed by space for two vectors."""
    itemsize = np.dtype(dtype).itemsize
    spare = _LINE_BYTES // itemsize
    whole = np.zeros(size + 3 * spare, dtype)
    start = -whole.ctypes.data % _LINE_BYTES // itemsize
    return whole[start : start + size]


def padded_copy(values, dtype):
    """Return a copy of a flat array of values, with the padding that kernels need."""
    copy = aligned_zeros(values.size, dtype)
    copy[...] = values
    return copy


@dataclass(frozen=True)
class Layout:
    """The layout of a network with the given layer sizes, inputs first and outputs last.

    Examples
    --------
    >>> layout = Layout((3, 2, 1))
    >>> layout.n_params
    11
    >>> coefs, intercepts = layout.views(np.arange(11.0))
    >>> coefs[1].shape, intercepts[0]
    ((2, 1), array([8., 9.]))
    """

    sizes: tuple
    n_norms: int = 0  # the number of norm parameters of each hidden unit; after all biases, there are all γ, then all β

    @cached_property
    def n_coefs(self):
        return sum(n_in * n_out for n_in, n_out in pairwise(self.sizes))

    @cached_property
    def n_hidden(self):
        return sum(self.sizes[1:-1])

    @cached_property
    def n_params(self):
        return self.n_coefs + sum(self.sizes[1:]) + self.n_norms * self.n_hidden

    def norms(self, flat):
        """Return the norm parameters in a flat buffer, as a list with n_norms lists.

        The first list is for γ, the second for β. Each list has a view (n_out,) for each hidden layer.
        """
        start = self.n_params - self.n_norms * self.n_hidden
        ends = np.cumsum((0, *self.sizes[1:-1]))
        starts = start + self.n_hidden * np.arange(self.n_norms)
        return [[flat[at + low : at + high] for low, high in pairwise(ends)] for at in starts]

    def views(self, flat):
        """Return the lists of all W (n_in, n_out) and all b (n_out,) as views of a flat buffer (n_params,)."""
        shapes = list(pairwise(self.sizes))
        ends = np.cumsum([n_in * n_out for n_in, n_out in shapes] + [n_out for _, n_out in shapes])
        parts = np.split(flat[: ends[-1]], ends[:-1])
        n_layers = len(shapes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)], parts[n_layers:]

    def block_size(self, batch_size, itemsize):
        """Return the number of rows that are processed at once, for batches of batch_size rows."""
        row_bytes = itemsize * max(self.sizes)
        if self.n_params * itemsize <= _HALF_FIRST_CACHE:
            n_rows = max(_MIN_ROWS_FIRST_CACHE, _HALF_FIRST_CACHE // (2 * row_bytes) // _TILE * _TILE)
        else:
            n_rows = max(_MIN_ROWS, min(_CACHE_BYTES // row_bytes, _MAX_ROWS))
        return min(batch_size, n_rows, max(1, _MAX_WORK // self.n_params))

    def strides(self, itemsize, vector_bytes):
        """Return the distance between two rows for each layer: whole vectors, except for the inputs and for layers of one unit."""
        lanes = vector_bytes // itemsize
        return np.array([self.sizes[0], *(1 if n == 1 else _stride(n, lanes, itemsize) for n in self.sizes[1:])])

    def layer_table(self, block_size, itemsize, vector_bytes):
        """Return the layer table, an array (n_layers,) of `LAYER` records, without codes and addresses of functions."""
        table = np.zeros(len(self.sizes) - 1, LAYER)
        self._write_parameter_offsets(table)
        self._write_row_offsets(table, block_size, self.strides(itemsize, vector_bytes))
        table["unit_at"] = _starts(table["n_out"])
        table["exchange_at"] = 4 * table["unit_at"] + np.arange(len(table))
        table["exchange_back_at"] = table["exchange_at"] + 2 * table["n_out"] + 1
        return table

    def _write_parameter_offsets(self, table):
        n_in, n_out = np.array(self.sizes[:-1]), np.array(self.sizes[1:])
        table["n_in"], table["n_out"] = n_in, n_out
        table["weights_at"] = _starts(n_in * n_out)
        table["biases_at"] = self.n_coefs + _starts(n_out)
        table["gamma_at"] = self.n_coefs + n_out.sum() + _starts(n_out)

    def _write_row_offsets(self, table, block_size, strides):
        table["input_stride"], table["output_stride"] = strides[:-1], strides[1:]
        table["outputs_at"] = _starts(strides[1:] * block_size)
        # gathered inputs follow all outputs, so that deltas, for which there are no inputs, have the same offsets as outputs
        table["inputs_at"] = np.concatenate([[strides[1:].sum() * block_size], table["outputs_at"][:-1]])
        table["transposed_at"] = _starts(np.concatenate([[0], table["n_out"][1:] * strides[1:-1]]))

    @property
    def exchange_size(self):
        """The size of the data that each thread exchanges for batch normalization.

        For each hidden layer, a thread exchanges a count and two sums per unit in the forward pass, and two sums per unit in the
        backward pass.
        """
        return 4 * self.n_hidden + len(self.sizes)

    def activations(self, block_size, dtype, vector_bytes, gathered):
        """Return the buffer for the activations of a block and, if inputs are `gathered`, for its inputs."""
        strides = self.strides(np.dtype(dtype).itemsize, vector_bytes)
        return aligned_zeros(block_size * (strides[1:].sum() + (strides[0] if gathered else 0)), dtype)

    def gradient_stride(self, itemsize):
        """Return the distance between the gradients of two threads: whole cache lines, with unused space after each gradient."""
        line = _LINE_BYTES // itemsize
        return (-(-self.n_params // line) + 2) * line

    def strip(self, block_size, dtype, vector_bytes, panels=False):
        """Return the buffer for a copy of three vectors of columns of a matrix and, with `panels`, of a block of inputs."""
        n_columns = 3 * vector_bytes // np.dtype(dtype).itemsize
        return aligned_zeros(n_columns * max(block_size, *self.sizes) + panels * block_size * max(self.sizes[:-1]), dtype)

    def transposed(self, dtype, vector_bytes):
        """Return the buffer for the transposed weights of all layers except the first."""
        strides = self.strides(np.dtype(dtype).itemsize, vector_bytes)
        return aligned_zeros(int(np.dot(self.sizes[2:], strides[1:-1])), dtype)


def _stride(n_columns, lanes, itemsize):
    stride = -(-n_columns // lanes) * lanes
    # with a stride of a large power of two, all rows would be mapped to the same few cache sets
    return stride + lanes if stride * itemsize % 1024 == 0 else stride


def _starts(lengths):
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
