"""The memory layout of a network: layer sizes go in; offsets, views and buffers come out.

The parameters are in one flat buffer, first all weights and then all biases, in the order in which scikit-learn packs them for
L-BFGS; ``coefs_`` and ``intercepts_`` are views of it. Rows of activations and deltas are padded to whole vectors. Each buffer of a
fit is allocated once and is followed by unused space, because vector instructions may access elements after its end. The type of
the memory shows whether an array has this padding. This module does not know what the kernels compute.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod

import numpy as np

from .._kernels.tables import LAYER

# The number of rows per block if the weights do not fit into half of the first-level cache, chosen by the speed of training (EPYC
# with AVX2, 12 paired epochs of 7 networks in both dtypes). More rows than the minimum save time only if the weights do not fit
# into the second-level cache, because they are then read again for every block. With more rows than the maximum, or with
# activations of the widest layer of more than _MAX_BYTES, training takes up to a fifth longer. So that the blocks of a batch have
# about the same size, they may have up to a quarter more rows, or fewer.
_MIN_ROWS_PER_BLOCK, _MAX_ROWS_PER_BLOCK = 132, 264
_SECOND_CACHE, _MAX_BYTES = 1 << 19, 1 << 20
# If all weights fit into half of the first-level cache, blocks are so small that activations and deltas fit into the other half,
# but not smaller than _SMALL_BLOCK. The number of rows is usually a multiple of _TILE. In networks of members, blocks have
# _SMALL_BLOCK rows, because a layer has up to five buffers and several passes over them: on Zen 5, TabM takes 0.92 times as long as
# with 264 rows (0.86 times in mixed precision).
_HALF_FIRST_CACHE = 24 << 10
_SMALL_BLOCK, _TILE = 72, 12
_LINE_BYTES = 64
# W is copied to contiguous strips for the forward pass if a block has at least _MIN_PACKED_ROWS rows and a row of W has at least
# _MIN_PACKED_BYTES, because the rows of a strip would otherwise be far apart. With fewer rows, the copy takes about as long as it
# saves.
_MIN_PACKED_ROWS, _MIN_PACKED_BYTES = 48, 1024
# The maximum number of multiply-adds in one product over a block, because a product cannot be interrupted; some blocks have up to a
# quarter more.
_MAX_WORK = 1 << 29
# The number of norm parameters of each unit: γ and, for layer normalization, β. Batch normalization uses the biases as β.
N_NORM_PARAMETERS = {None: 0, "batch_norm": 1, "layer_norm": 2}


class PaddedMemory(np.ndarray):
    """The memory of arrays that are followed by the unused space that kernels need; the ``base`` of such an array has this type.

    Only ``aligned_buffers`` creates it. The base of a slice of such an array is the array itself, so that a slice does not pass as
    padded.
    """


def aligned_buffers(sizes, dtype):
    """Return arrays of zeros of these sizes in one memory; each starts at a cache line and is followed by space for two vectors."""
    itemsize = np.dtype(dtype).itemsize
    line = _LINE_BYTES // itemsize
    *starts, end = accumulate(((-(-size // line) + 2) * line for size in sizes), initial=0)
    memory = PaddedMemory(end + line, dtype)
    memory.fill(0)
    first = -memory.ctypes.data % _LINE_BYTES
    return [np.ndarray((size,), dtype, memory, first + start * itemsize) for size, start in zip(sizes, starts, strict=True)]


def aligned_zeros(size, dtype):
    """Return an array of zeros (size,) that starts at a cache line and is followed by space for two vectors."""
    return aligned_buffers((size,), dtype)[0]


def padded_copy(values, dtype):
    """Return a copy of a flat array of values, with the padding that kernels need."""
    copy = aligned_zeros(values.size, dtype)
    copy[...] = values
    return copy


def padded(values):
    """Return a flat array, or a copy if the array does not have the padding that kernels need."""
    return values if type(values.base) is PaddedMemory else padded_copy(values, values.dtype)


@dataclass(frozen=True)
class Layout:
    """The layout of a network with the given layer sizes, inputs first and outputs last.

    ``extras`` are the names and sizes of groups of parameters that follow the norm parameters. If encoders compute the inputs,
    ``n_features`` is the number of columns of X, and ``n_saved`` the number of values that encoders keep for each row. In a network
    of ``n_members`` members that share weights, each member has its own last layer, and with ``own_biases``, its own biases in all
    layers.

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
    extras: tuple = ()
    n_features: int = 0
    n_saved: int = 0
    n_members: int = 0
    own_biases: bool = False

    @cached_property
    def weight_shapes(self):
        """The shape of each W: (n_in, n_out), and in the last layer of members (n_members, n_out, n_in)."""
        shapes: list[tuple] = list(pairwise(self.sizes))
        return [*shapes[:-1], (self.n_members, *reversed(shapes[-1]))] if self.n_members else shapes

    @cached_property
    def bias_shapes(self):
        """The shape of each b: (n_out,), or (n_members, n_out) if each member has its own."""
        n_own = 0 if not self.n_members else len(self.sizes) - 1 if self.own_biases else 1
        shapes: list[tuple] = [(n_out,) for n_out in self.sizes[1:]]
        return [*shapes[: len(shapes) - n_own], *((self.n_members, n) for (n,) in shapes[len(shapes) - n_own :])]

    @cached_property
    def n_coefs(self):
        return sum(map(prod, self.weight_shapes))

    @cached_property
    def n_intercepts(self):
        return sum(map(prod, self.bias_shapes))

    @cached_property
    def n_hidden(self):
        return sum(self.sizes[1:-1])

    @cached_property
    def n_params(self):
        return self._extras_at + sum(size for _, size in self.extras)

    @property
    def _extras_at(self):
        return self.n_coefs + self.n_intercepts + self.n_norms * self.n_hidden

    def extra_at(self, name):
        """Return the index of the first parameter of a group of `extras`, or 0 if the network does not have this group."""
        at = self._extras_at
        for other, size in self.extras:
            if other == name:
                return at
            at += size
        return 0

    def extra(self, flat, name):
        """Return a group of `extras` (size,) as a view of a flat buffer, or an empty view if there is no such group."""
        at = self.extra_at(name)
        return flat[at : at + dict(self.extras).get(name, 0)]

    # The methods below use Python integers, because with few layers NumPy's functions take longer.

    def norms(self, flat):
        """Return the norm parameters in a flat buffer, as a list with n_norms lists.

        The first list is for γ, the second for β. Each list has a view (n_out,) for each hidden layer.
        """
        start = self.n_coefs + self.n_intercepts
        bounds = list(pairwise(accumulate(self.sizes[1:-1], initial=0)))
        starts = [start + n * self.n_hidden for n in range(self.n_norms)]
        return [[flat[at + low : at + high] for low, high in bounds] for at in starts]

    def views(self, flat):
        """Return the lists of all W and all b as views of a flat buffer (n_params,); see `weight_shapes` and `bias_shapes`."""
        weights, biases = self._parts
        coefs = [flat[start:stop].reshape(shape) for start, stop, shape in weights]
        return coefs, [flat[start:stop].reshape(shape) for start, stop, shape in biases]

    @cached_property
    def _parts(self):
        """The (start, stop, shape) of all W and of all b in a flat buffer."""
        starts = accumulate(map(prod, (*self.weight_shapes, *self.bias_shapes)), initial=0)
        parts = [(*bounds, shape) for bounds, shape in zip(pairwise(starts), (*self.weight_shapes, *self.bias_shapes), strict=True)]
        return parts[: len(self.weight_shapes)], parts[len(self.weight_shapes) :]

    def block_size(self, batch_size, itemsize):
        """Return the number of rows that are processed at once, for batches of batch_size rows.

        The blocks of a batch have about the same number of rows, because the weights are read and the gradient is written once for
        each block, also for a last block of a few rows.
        """
        row_bytes, n_bytes = itemsize * max(self.sizes), itemsize * self.n_params
        if n_bytes <= _HALF_FIRST_CACHE:
            n_rows = max(_SMALL_BLOCK, _HALF_FIRST_CACHE // (2 * row_bytes) // _TILE * _TILE)
        elif self.n_members:
            n_rows = _SMALL_BLOCK
        elif n_bytes <= _SECOND_CACHE:
            n_rows = _MIN_ROWS_PER_BLOCK
        else:
            n_rows = max(_MIN_ROWS_PER_BLOCK, min(_MAX_BYTES // row_bytes // _TILE * _TILE, _MAX_ROWS_PER_BLOCK))
        n_rows = min(n_rows, max(1, _MAX_WORK // self.n_params))
        n_blocks = max(1, -(-(4 * batch_size - n_rows) // (4 * n_rows)))  # a block may have up to a quarter more than n_rows
        n_even = -(-batch_size // n_blocks)
        n_tiled = -(-n_even // _TILE) * _TILE
        n_last = batch_size - (n_blocks - 1) * n_tiled
        return min(batch_size, n_tiled if 4 * n_tiled <= 5 * n_rows and 3 * n_last >= n_even else n_even)

    def strides(self, itemsize, vector_bytes):
        """Return the distance between two rows for each layer: whole vectors, except for the inputs and for layers of one unit."""
        lanes = vector_bytes // itemsize
        first = _stride(self.sizes[0], lanes, itemsize) if self.n_features and self.sizes[0] > 1 else self.sizes[0]
        return [first, *(1 if n == 1 else _stride(n, lanes, itemsize) for n in self.sizes[1:])]

    def layer_table(self, block_size, itemsize, vector_bytes):
        """Return the layer table, an array (n_layers,) of `LAYER` records, without codes and addresses of functions."""
        table = np.zeros(len(self.sizes) - 1, LAYER)
        n_packed = self._packed_sizes(block_size, itemsize, vector_bytes)
        for name, values in self._offsets(block_size, self.strides(itemsize, vector_bytes)).items():
            table[name] = values
        table["n_packed"] = n_packed
        for name, value in self._input_offsets().items():
            table[0][name] = value
        if slopes_at := self.extra_at("slopes"):
            table["slopes_at"] = slopes_at + table["unit_at"]
        for name, sizes in (("input_adapters", self.sizes[:-1]), ("output_adapters", self.sizes[1:])):
            at, size = self.extra_at(name), dict(self.extras).get(name, 0)
            starts = _starts([self.n_members * n for n in sizes])
            table[f"{name}_at"] = [at + start if start < size else 0 for start in starts]
        table["packed_at"] = [sum(n_packed[1:]), *_starts(n_packed[1:])]  # the first layer is last: sparse rows need no copy of it
        return table

    def _offsets(self, block_size, strides):
        """Return the sizes and offsets in the layer table, as a dict from field to a list with one entry per layer."""
        n_in, n_out, (weights, biases) = self.sizes[:-1], self.sizes[1:], self._parts
        unit_at, outputs_at = _starts(n_out), _starts([stride * block_size for stride in strides[1:]])
        exchange_at = [4 * at + layer for layer, at in enumerate(unit_at)]
        return {
            "n_in": n_in,
            "n_out": n_out,
            "weights_at": [start for start, _, _ in weights],
            "biases_at": [start for start, _, _ in biases],
            "gamma_at": [self.n_coefs + self.n_intercepts + at for at in unit_at],
            "input_stride": strides[:-1],
            "output_stride": strides[1:],
            "outputs_at": outputs_at,
            # gathered inputs follow all outputs, so that deltas, for which there are no inputs, have the same offsets as outputs
            "inputs_at": [sum(strides[1:]) * block_size, *outputs_at[:-1]],
            "transposed_at": _starts(self._transposed_sizes(strides)),
            "unit_at": unit_at,
            "exchange_at": exchange_at,
            "exchange_back_at": [at + 2 * n + 1 for at, n in zip(exchange_at, n_out, strict=True)],
        }

    def _input_offsets(self):
        """Return the fields of the layer table that only the first layer has, as a dict."""
        return {"n_features": self.n_features, "n_saved": self.n_saved, "scale_at": self.extra_at("input_scale")}

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
        return aligned_zeros(block_size * (sum(strides[1:]) + (strides[0] if gathered else 0)), dtype)

    def gradient_stride(self, itemsize):
        """Return the distance between the gradients of two threads: whole cache lines, with unused space after each gradient."""
        line = _LINE_BYTES // itemsize
        return (-(-self.n_params // line) + 2) * line

    def strip(self, block_size, dtype, vector_bytes, panels=False):
        """Return the buffer for a copy of three vectors of columns of a matrix and, with `panels`, of a block of inputs."""
        n_columns = 3 * vector_bytes // np.dtype(dtype).itemsize
        return aligned_zeros(n_columns * max(block_size, *self.sizes) + panels * block_size * max(self.sizes[:-1]), dtype)

    def _packed_sizes(self, block_size, itemsize, vector_bytes):
        """Return the number of elements in the copy of W for each layer, or 0 for layers without a copy."""
        lanes, enough = vector_bytes // itemsize, block_size >= _MIN_PACKED_ROWS
        is_packed = [enough and n_out * itemsize >= _MIN_PACKED_BYTES for n_out in self.sizes[1:]]
        is_packed[-1] = is_packed[-1] and not self.n_members
        return [
            n_in * (-(-n_out // lanes) * lanes) * packs
            for n_in, n_out, packs in zip(self.sizes, self.sizes[1:], is_packed, strict=False)
        ]

    def packed(self, block_size, dtype, vector_bytes, sparse=False):
        """Return the buffer for the copies of W that `pack_weights` writes; with `sparse` rows, the first layer has no copy."""
        n_packed = self._packed_sizes(block_size, np.dtype(dtype).itemsize, vector_bytes)
        return aligned_zeros(sum(n_packed[1:] if sparse else n_packed), dtype)

    def transposed(self, dtype, vector_bytes):
        """Return the buffer for the transposed weights of all layers; of the first layer, only if its inputs are encoded."""
        return aligned_zeros(sum(self._transposed_sizes(self.strides(np.dtype(dtype).itemsize, vector_bytes))), dtype)

    def _transposed_sizes(self, strides):
        sizes = [n * stride for n, stride in zip(self.sizes[1:], strides[:-1], strict=True)]
        sizes[-1] *= not self.n_members
        return sizes if self.n_features else [0, *sizes[1:]]


def _stride(n_columns, lanes, itemsize):
    stride = -(-n_columns // lanes) * lanes
    # with a stride of a large power of two, all rows would be mapped to the same few cache sets
    return stride + lanes if stride * itemsize % 1024 == 0 else stride


def _starts(lengths):
    """Return the index at which each of several consecutive parts of these lengths starts."""
    return list(accumulate(lengths, initial=0))[:-1]
