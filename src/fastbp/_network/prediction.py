"""From inputs and weights to outputs, and to the loss of outputs.

A network's plan, its flat parameters and rows as `inputs` makes them enter; what its output units say leaves, or their mean loss.
Memory does not grow with the number of rows, but for the result. Which rows may be asked about, and what outputs mean, is the
estimators' matter.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._data.inputs import IN_ORDER
from .._kernels import SETTINGS, evaluate, predict, record
from .layout import LARGEST_BLOCK, Layout
from .turns import BlockPacer, timed_ranges
from .workspace import ScratchTemplate


def outputs(plan, params, rows, n_rows, order=IN_ORDER):
    """What the output units say (n_rows, n_outputs), for rows as they come, or those that order names."""
    ready = _ready(plan, min(n_rows, LARGEST_BLOCK), params.dtype, _gathered(rows, order), False)
    out, scratch = np.empty((n_rows, plan.layout.sizes[-1]), params.dtype), ready.template.scratch()
    for start, stop in timed_ranges(n_rows, BlockPacer(ready.layout, ready.block_size), ready.block_size):
        predict(ready.settings, ready.table, params, rows, order, start, stop, scratch, out)
    return out


def mean_loss(plan, params, rows, y, weight, order=IN_ORDER):
    """The mean loss, without penalties, of rows as they come, or those that order names; y and weight as of `as_targets`."""
    n_rows, loss, weight_sum = order.size or y.shape[0], 0.0, 0.0
    ready = _ready(plan, min(n_rows, LARGEST_BLOCK), params.dtype, _gathered(rows, order), True)
    scratch = ready.template.scratch()
    for start, stop in timed_ranges(n_rows, BlockPacer(ready.layout, ready.block_size), ready.block_size):
        part = evaluate(ready.settings, ready.table, params, rows, y, weight, order, start, stop, scratch)
        loss, weight_sum = loss + part[0], weight_sum + part[1]
    return loss / weight_sum if weight_sum else np.nan


def _gathered(rows, order):
    return order.size > 0 and rows.indptr.size == 0


class _Ready(NamedTuple):
    """All that a network needs for so many rows and that does not depend on its weights."""

    layout: Layout
    block_size: int
    settings: np.ndarray
    table: np.ndarray
    template: ScratchTemplate


@lru_cache(maxsize=64)
def _ready(plan, n_rows, dtype, gathered, with_loss):
    """A `_Ready`, kept because one row takes no longer than to make it."""
    settings, block_size = record(SETTINGS), plan.layout.block_size(n_rows, dtype.itemsize)
    table = plan.table(settings, block_size, dtype)
    template = ScratchTemplate.for_prediction(plan, block_size, dtype, gathered=gathered, with_loss=with_loss)
    return _Ready(plan.layout, block_size, settings, table, template)
