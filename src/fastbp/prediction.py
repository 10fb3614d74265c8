"""From inputs and weights to outputs, and to the loss of outputs.

A network's plan, its flat parameters and rows as `inputs` makes them enter; what its output units say leaves, or their mean loss.
Memory does not grow with the number of rows, but for the result. Which rows may be asked about, and what outputs mean, is the
estimators' matter.
"""

from functools import lru_cache

import numpy as np

from .inputs import IN_ORDER
from .kernels import SETTINGS, evaluate, predict, record
from .training import Pace, turns
from .workspace import scratch_for_prediction


def outputs(plan, params, rows, n_rows, order=IN_ORDER):
    """What the output units say (n_rows, n_outputs), for rows as they come, or those that order names."""
    layout = plan.layout
    settings, table = _table(plan, min(n_rows, layout.block_size(n_rows, params.itemsize)), params.dtype)
    block_size = int(settings[0].block_size)
    out = np.empty((n_rows, layout.sizes[-1]), params.dtype)
    scratch = scratch_for_prediction(plan, block_size, params.dtype, gathered=_gathered(rows, order))
    for start, stop in turns(n_rows, Pace(layout, block_size), block_size):
        predict(settings, table, params, rows, order, start, stop, scratch, out)
    return out


def mean_loss(plan, params, rows, y, weight, order=IN_ORDER):
    """The mean loss, without penalties, of rows as they come, or those that order names; y and weight as of `as_targets`."""
    layout, n_rows = plan.layout, order.size or y.shape[0]
    settings, table = _table(plan, min(n_rows, layout.block_size(n_rows, params.itemsize)), params.dtype)
    block_size, loss, weight_sum = int(settings[0].block_size), 0.0, 0.0
    scratch = scratch_for_prediction(plan, block_size, params.dtype, gathered=_gathered(rows, order), with_loss=True)
    for start, stop in turns(n_rows, Pace(layout, block_size), block_size):
        part = evaluate(settings, table, params, rows, y, weight, order, start, stop, scratch)
        loss, weight_sum = loss + part[0], weight_sum + part[1]
    return loss / weight_sum if weight_sum else np.nan


def _gathered(rows, order):
    return order.size > 0 and rows.indptr.size == 0


@lru_cache(maxsize=64)
def _table(plan, block_size, dtype):
    """What does not depend on the weights, kept because one row takes no longer than to make it."""
    settings = record(SETTINGS)
    return settings, plan.table(settings, block_size, dtype)
