"""From inputs and weights to outputs.

A network's layout, its flat parameters and rows as `inputs` makes them enter; what its output units say leaves. Memory does not
grow with the number of rows, but for the result. Which rows may be asked about, and what outputs mean, is the estimators' matter.
"""

from functools import lru_cache

import numpy as np

from .activations import write_into
from .inputs import IN_ORDER
from .kernels import SETTINGS, VECTOR_BYTES, OutActivation, predict, record
from .training import Pace, turns


def outputs(layout, params, activations, rows, n_rows, order=IN_ORDER):
    """What the output units say (n_rows, n_outputs), for rows as they come, or those that order names.

    `activations` are those of the hidden layers, a tuple, and the name of the output units'.
    """
    settings, table = _plan(layout, min(n_rows, layout.block_size(n_rows, params.itemsize)), params.dtype, *activations)
    block_size = int(settings[0].block_size)
    out = np.empty((n_rows, layout.sizes[-1]), params.dtype)
    gathered = order.size > 0 and rows.indptr.size == 0
    scratch = layout.activations(block_size, params.dtype, VECTOR_BYTES, gathered)
    strip = layout.strip(block_size, params.dtype, VECTOR_BYTES)
    for start, stop in turns(n_rows, Pace(layout, block_size), block_size):
        predict(settings, table, params, rows, order, start, stop, scratch, strip, out)
    return out


@lru_cache(maxsize=64)
def _plan(layout, block_size, dtype, activations, out_activation):
    """What does not depend on the weights, kept because one row takes no longer than to make it."""
    settings = record(SETTINGS)
    settings[0].out_activation = OutActivation[out_activation]
    settings[0].block_size = block_size
    table = layout.table(block_size, dtype.itemsize, VECTOR_BYTES)
    write_into(table, activations, dtype)
    return settings, table
