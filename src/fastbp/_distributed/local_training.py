"""The training of one shard for a part of an epoch.

Blocks of prepared rows, parameters and the state of the optimizer as flat buffers, and a ``Specification`` go in; new buffers come
out. The function is pure: its arguments may be read-only and are not changed, and all random numbers are drawn from a seed, the
number of the round and the number of the shard. Therefore it can run again, and in any process. This module does not know where
it runs and how the results of several shards are combined.
"""

import threading

import numpy as np
from numpy.random import MT19937, RandomState, SeedSequence
from scipy.sparse import issparse, vstack

from .._data.preparation import Preparation
from .._data.row_numbers import row_numbers
from .._network.layout import padded_copy
from .._network.optimizers import Optimizer
from .._network.workspace import MovingStatistics
from .._training.context import EarlyStoppingStart, EpochHooks, FitContext, TrainingRows
from .._training.divergence import divergence_error
from .._training.sgd import SGDRun
from .._training.state import TrainingState
from .rounds import LocalResult, LocalState, PreparedRows, order_of_epoch, range_of_round, rows_per_batch


def local_train(blocks, start, specification, round_number, shard, n_parts):
    """Train on a part of the rows of a shard.

    Parameters
    ----------
    blocks : list of PreparedRows
        The rows of the shard.
    start : LocalState
        The state from which training starts.
    specification : Specification
        The network and the parameters of the fit.
    round_number : int
        The number of the round, counted from 0 over all epochs.
    shard : int
        The number of the shard.
    n_parts : int
        The number of rounds of an epoch. Each round trains on the next part of the rows of the shard, in an order that is drawn
        from ``SeedSequence(seed, spawn_key=(epoch, shard))`` for each epoch. The parts are ranges of whole batches.

    Returns
    -------
    LocalResult
        For the same arguments, all bits are the same. They are also those of one call of ``partial_fit`` with these rows in this
        order.

    Raises
    ------
    ValueError
        If training diverges.
    """
    config, n_rows = specification.config, sum(len(block.y) for block in blocks)
    epoch, part = divmod(round_number, n_parts)
    first, last = range_of_round(config.batch_size, n_rows, part, n_parts)
    order = order_of_epoch(specification.seed, epoch, shard, n_rows, config.shuffle)[first:last]
    if len(blocks) > 1:
        block, order = _gathered(blocks, order), row_numbers(len(order))
    else:
        block = blocks[0]
    rows = TrainingRows(len(block.y), order)
    config = config._replace(batch_size=min(rows_per_batch(config.batch_size, n_rows), len(order)), shuffle=False)
    state = _training_state(start, specification, round_number, shard, n_parts)
    # with the event, Ctrl-C is an error, and no warnings are issued
    hooks = EpochHooks(stop=threading.Event())
    context = FitContext(hooks, EarlyStoppingStart(), True, False, False, False, None)
    result = SGDRun(state, config, specification.plan, (block.X, block.y, block.weight), rows, None, context).train()
    if result.divergence is not None:
        raise divergence_error(result.divergence, epoch)
    return LocalResult(_local_state(state), len(order), result.loss, result.epochs.rates[-1])


def compile_for(block, start, specification):
    """Run `local_train` on a few rows, so that the machine code is in the cache of this host."""
    local_train([block], start, specification, 0, 0, 1)


def _training_state(start, specification, round_number, shard, n_parts):
    """Return a `TrainingState` with copies of the buffers of a `LocalState`."""
    plan, hyperparams = specification.plan, _of_parts(specification.hyperparams, specification.config.max_iter, n_parts)
    numbers = start.learning_rate, start.factor, start.step, round_number, start.product
    seeds = SeedSequence(specification.seed, spawn_key=(round_number, shard, 1))
    return TrainingState(
        plan.layout,
        padded_copy(start.params, start.params.dtype),
        Preparation(),
        specification.norm,
        specification.is_averaged,
        (),
        (),
        "",
        activations=plan.architecture.activations,
        rng=RandomState(MT19937(seeds)),
        optimizer=Optimizer(hyperparams, *numbers, np.array(start.moments)),
        moving=MovingStatistics(np.array(start.statistics)) if specification.norm == "batch_norm" else None,
    )


def _of_parts(hyperparams, max_iter, n_parts):
    """Return hyperparameters for an optimizer whose epochs are parts of an epoch: all numbers of epochs are multiplied."""
    horizon, step = hyperparams["learning_rate_horizon"] or max_iter, hyperparams["learning_rate_step"] or 10
    return hyperparams | {"learning_rate_horizon": horizon * n_parts, "learning_rate_step": step * n_parts}


def _local_state(state):
    optimizer, moving = state.optimizer, state.moving
    return LocalState(
        state.params,
        optimizer.moments,
        np.empty(0) if moving is None else moving.statistics,
        optimizer.step,
        optimizer.product,
        optimizer.learning_rate,
        optimizer.factor,
    )


# ---------------------------------------------------------------------- the rows of a round


def _gathered(blocks, order):
    """Return a `PreparedRows` with the rows of several blocks in an order; the blocks are not concatenated."""
    ends = np.cumsum([len(block.y) for block in blocks])
    numbers = np.searchsorted(ends, order, side="right")
    places = [np.flatnonzero(numbers == n) for n in range(len(blocks))]
    rows = [order[at] - (ends[n] - len(blocks[n].y)) for n, at in enumerate(places)]
    X = _gathered_matrix([block.X for block in blocks], places, rows, len(order))
    y = _gathered_array([block.y for block in blocks], places, rows, len(order))
    if blocks[0].weight is None:
        return PreparedRows(X, y, None)
    return PreparedRows(X, y, _gathered_array([block.weight for block in blocks], places, rows, len(order)))


def _gathered_matrix(matrices, places, rows, n_rows):
    if not issparse(matrices[0]):
        return _gathered_array(matrices, places, rows, n_rows)
    stacked = vstack([X[some] for X, some in zip(matrices, rows, strict=True)], format="csr")
    return stacked[np.argsort(np.concatenate(places), kind="stable")]


def _gathered_array(arrays, places, rows, n_rows):
    out = np.empty((n_rows, *arrays[0].shape[1:]), arrays[0].dtype)
    for array, at, some in zip(arrays, places, rows, strict=True):
        out[at] = array[some]
    return out
