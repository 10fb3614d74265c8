"""The forward pass over all rows: from inputs to outputs and to the mean loss.

A `Plan`, flat parameters and `Rows` from `_data.inputs` go in; outputs, a loss or both come out. Apart from the result, the memory
does not grow with the number of rows. This module does not know what the outputs mean.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._data.inputs import IN_ORDER
from .._data.row_numbers import row_numbers
from .._kernels.network import evaluate, predict
from .._kernels.scratch import Scratch
from .._kernels.settings import SETTINGS, record
from .._kernels.versions import version_for
from .kernel_settings import configure_network
from .layout import Layout, padded
from .threads import STEPS_TO_WAKE, kept_crew, take_crew, useful_threads
from .turns import BlockPacer, fixed_ranges, timed_ranges
from .workspace import ScratchTemplate

# If threads are useful, the rows are divided into at least _MIN_BLOCKS blocks, but not into smaller ones than _MIN_BLOCK_ROWS,
# because the weights are read again for every block. There are at least _MIN_PARTS parts for each thread, of at most _PART_WORK
# multiply-adds.
_MIN_BLOCKS, _MIN_BLOCK_ROWS = 4, 72
_MIN_PARTS, _PART_WORK = 2, 1e8
# The maximum size of buffers that are kept. Their allocation takes about a quarter of the time of a prediction of one row.
_MAX_KEPT_BYTES = 1 << 17
_ROWS_OF_MEMBERS = 1 << 12  # so many rows at a time are predicted by all members of a network
_SCORED_BLOCKS = 512  # the outputs of so many blocks of rows are scored together
_versions: dict[tuple, Callable] = {}  # of `predict`, by the dtypes of the parameters, the rows and the order


def outputs(plan, params, rows, n_rows, order=IN_ORDER, n_threads=1):
    """Return the outputs (n_rows, n_outputs) for all rows, or for the rows whose numbers are in order.

    ``n_threads`` is the maximum number of threads, or None for the default. The result does not depend on it. The outputs of a
    network of members are the means over its members.
    """
    if plan.layout.n_members:
        order = order if order.size else row_numbers(n_rows)
        parts = [order[start : start + _ROWS_OF_MEMBERS] for start in range(0, n_rows, _ROWS_OF_MEMBERS)]
        return np.concatenate([member_outputs(plan, params, rows, part, n_threads).mean(axis=1) for part in parts])
    return _outputs(plan, params, rows, n_rows, order, n_threads)


def member_outputs(plan, params, rows, order, n_threads=1):
    """Return the outputs (n, n_members, n_outputs) of all members of a network for the rows whose numbers are in order (n,)."""
    n_members = plan.layout.n_members
    out = _outputs(plan, params, rows, len(order) * n_members, np.repeat(order, n_members), n_threads)
    return out.reshape(len(order), n_members, -1)


def _outputs(plan, params, rows, n_rows, order, n_threads):
    params = padded(params)
    work, block_size = n_rows * params.nbytes / STEPS_TO_WAKE, plan.layout.block_size(n_rows, params.dtype.itemsize)
    if useful_threads(2, work, 2) > 1:  # whether or not this prediction uses threads
        block_size = min(block_size, max(_MIN_BLOCK_ROWS, -(-n_rows // _MIN_BLOCKS)))
    forward = _forward_pass(plan, block_size, params.dtype, *_kind(rows, order), False)
    out = np.empty((n_rows, plan.layout.sizes[-1]), params.dtype)
    n_threads = useful_threads(n_threads, work, -(-n_rows // block_size))

    def predict_part(start, stop, scratch, is_new):
        _predict(forward.settings, forward.table, params, rows, order, start, stop, scratch, is_new, out)

    if n_threads == 1:
        forward.run(take_crew(1), n_rows, predict_part)
    else:
        with kept_crew(n_threads) as crew:
            forward.run(crew, n_rows, predict_part)
    return out


def _predict(settings, table, params, rows, order, start, stop, scratch, is_new, out):
    """Call `predict` for arguments whose types depend only on three dtypes, as those of `outputs` do."""
    dtypes = params.dtype, rows.dense.dtype, order.dtype
    arguments = settings, table, params, rows, order, start, stop, scratch, out, is_new
    version = _versions.get(dtypes)
    if version is None:
        predict(*arguments)
        _versions[dtypes] = version_for(predict, arguments)
    else:
        version(*arguments)


def mean_loss(plan, params, rows, y, weight, order=IN_ORDER):
    """Return the mean loss without penalties, for the same rows as `outputs`; y and weight are results of `as_targets`."""
    return loss_and_outputs(plan, params, rows, y, weight, order, with_outputs=False)[0]


def loss_and_outputs(plan, params, rows, y, weight, order=IN_ORDER, crew=None, *, with_outputs=True):
    """Return the results of `mean_loss` and `outputs`, or None instead of the outputs if they are not wanted.

    The threads of the ``crew``, a `ThreadCrew` that no other call uses, take part if this is useful.
    """
    n_rows, n_members = order.size or y.shape[0], plan.layout.n_members
    if not n_members:
        sums, out = _evaluated(plan, params, (rows, y, weight, order), n_rows, crew, with_outputs)
        return _mean_of_blocks(sums), out if with_outputs else None
    order, sums, means = order if order.size else row_numbers(n_rows), [], []
    for start in range(0, n_rows, _ROWS_OF_MEMBERS):
        part = np.repeat(order[start : start + _ROWS_OF_MEMBERS], n_members)
        part_sums, out = _evaluated(plan, params, (rows, y, weight, part), len(part), crew, with_outputs)
        sums += part_sums
        if with_outputs:
            means.append(out.reshape(-1, n_members, out.shape[1]).mean(axis=1))
    return _mean_of_blocks(sums), np.concatenate(means) if with_outputs else None


def loss_and_scores(plan, params, data, score, crew=None):
    """Return the mean loss of the rows of ``data`` (rows, y, weight, order), and call score(start, outputs) for parts of the rows.

    The outputs are those of the rows order[start : start + len(outputs)]. The threads of the ``crew`` take part.
    """
    rows, y, weight, order = data
    n_block = plan.layout.block_size(order.size, params.dtype.itemsize)
    step, sums = n_block * _SCORED_BLOCKS, []
    for start in range(0, order.size, step):
        part = order[start : start + step]
        part_sums, out = _evaluated(plan, params, (rows, y, weight, part), part.size, crew, True, n_block)
        sums += part_sums
        score(start, out)
    return _mean_of_blocks(sums)


def _mean_of_blocks(sums):
    """Return the mean loss for the (Σ weight · loss, Σ weight) of each block."""
    loss, weight = (sum(column) for column in zip(*sums, strict=True))  # in this order, so that threads do not change the result
    return loss / weight if weight else np.nan


def _evaluated(plan, params, data, n_rows, crew, with_outputs, block_size=None):
    """Return a list of [Σ weight · loss, Σ weight] of each block, and the outputs, which are empty if they are not wanted.

    ``data`` are (rows, y, weight, order).
    """
    params, (rows, _, _, order) = padded(params), data
    block_size = block_size or plan.layout.block_size(n_rows, params.dtype.itemsize)
    forward, n_blocks = _forward_pass(plan, block_size, params.dtype, *_kind(rows, order), True), -(-n_rows // block_size)
    sums, out = np.empty((n_blocks, 2)), np.empty((n_rows if with_outputs else 0, plan.layout.sizes[-1]), params.dtype)
    if crew is None or useful_threads(crew.n_threads, n_rows * params.nbytes, n_blocks) == 1:
        crew = take_crew(1)

    def evaluate_part(start, stop, scratch, is_new):
        evaluate(forward.settings, forward.table, params, *data, start, stop, scratch, sums, out, is_new)

    forward.run(crew, n_rows, evaluate_part)
    return sums.tolist(), out


def _kind(rows, order):
    """Return whether the rows must be gathered and whether they are sparse."""
    sparse = rows.indptr.size > 0
    return (order.size > 0 or rows.sources.size > 0) and not sparse, sparse


class _ForwardPass(NamedTuple):
    """The parts of a forward pass that do not depend on the parameters."""

    layout: Layout
    block_size: int
    settings: np.ndarray
    table: np.ndarray
    template: ScratchTemplate
    kept: deque

    def scratch(self):
        """A `Scratch` that no other prediction uses. After the prediction, it can be added to `kept`."""
        try:
            return self.kept.pop()
        except IndexError:
            return self.template.scratch()

    def run(self, crew, n_rows, work):
        """Call work(start, stop, scratch, is_new) for parts of the rows in the threads of a `ThreadCrew`.

        Threads take the parts in turns; `is_new` is True for the first part of a thread.
        """
        ranges = self._ranges(n_rows) if crew.n_threads == 1 else iter(self._parts(n_rows, crew.n_threads))

        def run_parts(rank):
            scratch, is_new = self.scratch(), True
            for start, stop in ranges:
                work(start, stop, scratch, is_new)
                is_new = False
            self.kept.append(scratch)

        crew.run(run_parts, lambda: deque(ranges, maxlen=0))  # after an error, no thread gets another part

    def _parts(self, n_rows, n_threads):
        """A list of the (start, stop) of whole blocks, each of at most a few milliseconds."""
        work = min(_PART_WORK, n_rows * self.layout.n_params / (_MIN_PARTS * n_threads))
        return fixed_ranges(0, n_rows, self.layout, self.block_size, work)

    def _ranges(self, n_rows):
        """Yield the (start, stop) of kernel calls of limited duration."""
        return timed_ranges(n_rows, BlockPacer(self.layout, self.block_size), self.block_size)


@lru_cache(maxsize=64)
def _forward_pass(plan, block_size, dtype, gathered, sparse, with_loss):
    """Return a `_ForwardPass`. The result is cached, because this function takes longer than the prediction of one row."""
    settings = record(SETTINGS)
    table = configure_network(settings, plan, block_size, dtype)
    kind = {"gathered": gathered, "sparse": sparse, "with_loss": with_loss}
    template = ScratchTemplate.for_prediction(plan, block_size, dtype, **kind)
    kept = deque[Scratch](maxlen=2 if template.nbytes <= _MAX_KEPT_BYTES else 0)
    return _ForwardPass(plan.layout, block_size, settings, table, template, kept)
