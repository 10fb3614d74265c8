"""Where everything lies: layer sizes enter; offsets, views and buffers leave.

The parameters of a network are one flat buffer, weights first and biases after them, in the order in which scikit-learn packs them
for L-BFGS; ``coefs_`` and ``intercepts_`` are views of it. The buffers of a fit are made here once and never grow. What is
computed in them is not known here.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Rows per block: few enough that a block's activations stay in the second-level cache, many enough that products run at full speed.
_CACHE_BYTES = 1 << 20
_FEWEST_ROWS, _MOST_ROWS = 128, 1024
# Multiply-adds of one product over a block, the least that runs between two chances to be interrupted.
_MOST_WORK = 1 << 29


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

    @property
    def n_coefs(self):
        return sum(n_in * n_out for n_in, n_out in pairwise(self.sizes))

    @property
    def n_params(self):
        return self.n_coefs + sum(self.sizes[1:])

    def views(self, flat):
        """The lists of W (n_in, n_out) and of b (n_out,) within a flat buffer (n_params,)."""
        shapes = list(pairwise(self.sizes))
        ends = np.cumsum([n_in * n_out for n_in, n_out in shapes] + [n_out for _, n_out in shapes])
        parts = np.split(flat, ends[:-1])
        n_layers = len(shapes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)], parts[n_layers:]

    def block_size(self, batch_size, itemsize):
        """How many rows pass through the layers at once, for batches of batch_size rows."""
        fitting = _CACHE_BYTES // (itemsize * max(self.sizes))
        wanted = max(_FEWEST_ROWS, min(fitting, _MOST_ROWS))
        return min(batch_size, wanted, max(1, _MOST_WORK // self.n_params))

    def table(self, block_size):
        """int64 (n_layers, 6), the columns as `fastbp.kernels` names them: N_IN, N_OUT, W_AT, B_AT, A_IN, A_OUT."""
        n_in, n_out = np.array(self.sizes[:-1]), np.array(self.sizes[1:])
        a_out = _starts(n_out * block_size)
        # the gathered inputs lie behind all outputs, so that deltas, which have none, can lie as outputs do
        a_in = np.concatenate([[n_out.sum() * block_size], a_out[:-1]])
        columns = n_in, n_out, _starts(n_in * n_out), self.n_coefs + _starts(n_out), a_in, a_out
        return np.stack(columns, axis=1).astype(np.int64)

    def activations(self, block_size, dtype, gathered):
        """The buffer of one block's activations, with room for its inputs where they are `gathered` (dense)."""
        return np.empty(block_size * (sum(self.sizes[1:]) + (self.sizes[0] if gathered else 0)), dtype)

    def deltas(self, block_size, dtype):
        """The buffer of one block's deltas."""
        return np.empty(block_size * sum(self.sizes[1:]), dtype)


def _starts(lengths):
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
