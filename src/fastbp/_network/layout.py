"""Where everything lies: layer sizes enter; offsets, views and buffers leave.

The parameters of a network are one flat buffer, weights first and biases after them, in the order in which scikit-learn packs them
for L-BFGS; ``coefs_`` and ``intercepts_`` are views of it. Rows of activations and deltas are padded to whole vectors. The buffers
of a fit are made here once and never grow; each has room behind its end for a vector that reaches beyond. What is computed in them
is not known here.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

# Rows per block: few enough that a block's activations stay in the second-level cache, many enough that products run at full speed.
_CACHE_BYTES = 1 << 20
_FEWEST_ROWS, _MOST_ROWS = 128, 1024
# Where all weights fit into half of the first-level cache, which passing over them for every block costs little, activations and
# deltas are to stay in the other half; in whole tiles.
_HALF_FIRST_CACHE = 24 << 10
_FEWEST_ROWS_THERE, _TILE = 24, 12
LARGEST_BLOCK = max(_MOST_ROWS, _HALF_FIRST_CACHE // 8)  # of any network
_LINE_BYTES = 64
# Multiply-adds of one product over a block, the least that runs between two chances to be interrupted.
_MOST_WORK = 1 << 29


def aligned_zeros(size, dtype):
    """Zeros (size,), on a cache line's boundary, with room for two vectors behind."""
    itemsize = np.dtype(dtype).itemsize
    spare = _LINE_BYTES // itemsize
    whole = np.zeros(size + 3 * spare, dtype)
    start = -whole.ctypes.data % _LINE_BYTES // itemsize
    return whole[start : start + size]


def padded_copy(values, dtype):
    """A copy of a flat array of values, with the padding that kernels need."""
    copy = aligned_zeros(values.size, dtype)
    copy[...] = values
    return copy


@dataclass(frozen=True)
class Layout:
    """The plan of a network of given layer sizes, inputs first and outputs last.

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
    n_norms: int = 0  # how many parameters of a norm each hidden unit has: scales γ, then shifts β, behind all biases

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
        """For each of a norm's parameters, the list of vectors (n_out,) of the hidden layers within a flat buffer (n_params,)."""
        start = self.n_params - self.n_norms * self.n_hidden
        ends = np.cumsum((0, *self.sizes[1:-1]))
        starts = start + self.n_hidden * np.arange(self.n_norms)
        return [[flat[at + low : at + high] for low, high in pairwise(ends)] for at in starts]

    def views(self, flat):
        """The lists of W (n_in, n_out) and of b (n_out,) within a flat buffer (n_params,)."""
        shapes = list(pairwise(self.sizes))
        ends = np.cumsum([n_in * n_out for n_in, n_out in shapes] + [n_out for _, n_out in shapes])
        parts = np.split(flat[: ends[-1]], ends[:-1])
        n_layers = len(shapes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)], parts[n_layers:]

    def block_size(self, batch_size, itemsize):
        """How many rows pass through the layers at once, for batches of batch_size rows."""
        row_bytes = itemsize * max(self.sizes)
        if self.n_params * itemsize <= _HALF_FIRST_CACHE:
            wanted = max(_FEWEST_ROWS_THERE, _HALF_FIRST_CACHE // (2 * row_bytes) // _TILE * _TILE)
        else:
            wanted = max(_FEWEST_ROWS, min(_CACHE_BYTES // row_bytes, _MOST_ROWS))
        return min(batch_size, wanted, max(1, _MOST_WORK // self.n_params))

    def strides(self, itemsize, vector_bytes):
        """How far apart the rows of each layer's values are: whole vectors, but for inputs and for a single unit."""
        lanes = vector_bytes // itemsize
        return np.array([self.sizes[0], *(1 if n == 1 else _stride(n, lanes, itemsize) for n in self.sizes[1:])])

    def table(self, block_size, itemsize, vector_bytes):
        """int64 (n_layers, 16), with the columns that `fastbp._kernels.network` names; those of what is called are zero."""
        n_in, n_out = np.array(self.sizes[:-1]), np.array(self.sizes[1:])
        strides = self.strides(itemsize, vector_bytes)
        out_at = _starts(strides[1:] * block_size)
        # the gathered inputs lie behind all outputs, so that deltas, which have none, can lie as outputs do
        in_at = np.concatenate([[strides[1:].sum() * block_size], out_at[:-1]])
        t_at = _starts(np.concatenate([[0], n_out[1:] * strides[1:-1]]))
        columns = n_in, n_out, _starts(n_in * n_out), self.n_coefs + _starts(n_out), in_at, strides[:-1], out_at, strides[1:], t_at
        nothing, unit_at = np.zeros_like(n_in), _starts(n_out)
        columns += nothing, nothing, nothing, nothing, self.n_coefs + n_out.sum() + unit_at, unit_at, nothing
        return np.stack(columns, axis=1).astype(np.int64)

    def activations(self, block_size, dtype, vector_bytes, gathered):
        """The buffer of one block's activations, with room for its inputs where they are `gathered`."""
        strides = self.strides(np.dtype(dtype).itemsize, vector_bytes)
        return aligned_zeros(block_size * (strides[1:].sum() + (strides[0] if gathered else 0)), dtype)

    def gradient_stride(self, itemsize):
        """How far apart the gradients of two threads are: whole cache lines, with room behind each."""
        line = _LINE_BYTES // itemsize
        return (-(-self.n_params // line) + 2) * line

    def strip(self, block_size, dtype, vector_bytes, panels=False):
        """The buffer of three vectors' columns of a factor of any product and, with `panels`, of a block of any layer's inputs."""
        n_columns = 3 * vector_bytes // np.dtype(dtype).itemsize
        return aligned_zeros(n_columns * max(block_size, *self.sizes) + panels * block_size * max(self.sizes[:-1]), dtype)

    def transposed(self, dtype, vector_bytes):
        """The buffer of the transposed weights of all layers but the first."""
        strides = self.strides(np.dtype(dtype).itemsize, vector_bytes)
        return aligned_zeros(int(np.dot(self.sizes[2:], strides[1:-1])), dtype)


def _stride(n_columns, lanes, itemsize):
    stride = -(-n_columns // lanes) * lanes
    # rows a high power of two apart would all compete for the same few places of the cache
    return stride + lanes if stride * itemsize % 1024 == 0 else stride


def _starts(lengths):
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
