"""Epochs: shuffling, batches, updates, and the stopping rule.

A call of ``train`` processes a given number of blocks of rows, which can be a part of one large batch or hundreds of short epochs.
Between two calls, Python can handle interruptions. The state is then in `PROGRESS`, the scratch buffers, the order of the rows and
the state of the random number generator. An epoch can consist of several parts, whose rows are in memory one part after another.
The stopping rule is exactly scikit-learn's. This module does not know about estimators.
"""

from typing import NamedTuple

import numpy as np

from .codes import ScheduleCode, SolverCode, Status
from .function_pointers import call
from .integers import maximum, minimum
from .jit import EXACT, entry, kernel
from .network import gradient_of_block, prepare_for_gradient
from .references import reference
from .shuffles import shuffle
from .solvers import begin_step, copy_part, penalized_squares, update
from .subnormals import flush_subnormals, restore_subnormals
from .team import (
    LOSS,
    PENALTY,
    SQUARES,
    WEIGHT,
    WEIGHT_SQUARES,
    add_gradients,
    gradient_of_share,
    line_share,
    start_of_share,
    total,
    wait_at_barrier,
)
from .views import vector

# Parameters of at most _CACHED_BYTES are copied after every epoch with a lower loss. Larger ones are copied at most once per
# _MANY_ROWS rows, so that the copies take one or two percent of the time.
_CACHED_BYTES = 1 << 17
_MANY_ROWS = 4096


class EpochTrace(NamedTuple):
    """The results of epochs: their mean `losses` and the learning `rates` of their last steps, both (≥ n,), and `best`.

    `best` (n_params,) holds the parameters after the epoch with the lowest loss among the epochs that `_keep` compares. If its
    shape is (0,), no parameters are kept.
    """

    losses: np.ndarray
    rates: np.ndarray
    best: np.ndarray


@entry
def train(
    settings,
    progress,
    rank,
    team,
    table,
    segments,
    params,
    moments,
    source,
    rows,
    y,
    weight,
    order,
    rng_state,
    scratch,
    trace,
    n_blocks,
):
    """Train for at most n_blocks blocks of rows per thread and trace.losses.size epochs; return the number of finished epochs.

    Each thread of a team calls this with its rank and its own scratch; the other arguments are shared. If `PROGRESS` has
    `has_more`, the epoch does not end with the rows of `order`: training pauses after them, and the next call has the next rows.
    """
    team, source, rows, scratch = reference(team), reference(source), reference(rows), reference(scratch)
    options, state = settings[0], progress[rank]
    n_threads = options.n_threads
    n_rows = state.first_row + order.size - order.size % options.batch_size * options.drop_last
    mode = flush_subnormals()
    n_epochs = 0
    while state.status == Status.running and n_blocks > 0 and n_epochs < trace.losses.size:
        if options.shuffle and not state.shuffled:
            state.shuffled = True
            if rank == 0 and options.member_shuffle_address:
                address, n_members = options.member_shuffle_address, table[0].n_members
                call(address, order, rng_state.key, rng_state.position, n_members, options.shares_batches)
            elif rank == 0:
                shuffle(order, rng_state)
            if not wait_at_barrier(team, state, n_threads):
                break
        _train_block(options, state, rank, team, table, segments, params, moments, source, rows, y, weight, order, n_rows, scratch)
        n_blocks -= 1
        if state.row == n_rows:
            if state.has_more:
                break
            loss = _times_reciprocal(state.loss, n_rows)
            trace.losses[n_epochs], trace.rates[n_epochs] = loss, _rate(options, state)
            n_epochs += 1
            if trace.best.size:
                _keep(state, params, trace.best, rank, n_threads, n_rows, loss)
            _end_epoch(options, state, n_rows, loss)
    restore_subnormals(mode)
    for share in range(rank, team.sums.shape[0], n_threads):
        team.sums[share, WEIGHT_SQUARES] = 0.0  # the weights may be changed before the next call
    return n_epochs


@entry
def update_early_stopping(settings, progress, value):
    """Apply the stopping rule to a value that Python computed (lower is better); update `PROGRESS`."""
    _update_early_stopping(settings[0], progress[0], value)


@kernel(fastmath=EXACT)
def _times_reciprocal(value, n):
    """Return value · (1 / n), the bits that earlier versions of the kernels computed.

    With other options for fast arithmetic, the compiler chooses a product or a division, depending on the code around it.
    """
    return value * (1 / n)


@kernel()
def _rate(settings, state):
    """Return the learning rate of the last step, without Adam's bias corrections."""
    base = settings.learning_rate_init if settings.solver == SolverCode.adam else state.learning_rate
    return base * state.factor


@kernel(optimize=False)
def _keep(state, params, best, rank, n_threads, n_rows, loss):
    """Copy this thread's share of the parameters if the loss is the lowest so far.

    Buffers that fit into the cache are considered after every epoch, larger ones only after many rows.
    """
    due = params.nbytes <= _CACHED_BYTES or (state.rows_seen + n_rows) // _MANY_ROWS > state.rows_seen // _MANY_ROWS
    if due and (state.kept_epoch == 0 or loss < state.kept_loss):
        state.kept_epoch, state.kept_loss = state.epoch + 1, loss
        low, high = line_share(params.size, rank, n_threads)
        copy_part(params, best, low, high - low)


@kernel(optimize=False)
def _train_block(
    settings, state, rank, team, table, segments, params, moments, source, rows, y, weight, order, n_rows_of_epoch, scratch
):
    """Process the next block of this thread's shares of a batch; after the last block, update the parameters."""
    current = source.params if state.from_source else params
    n_threads, n_shares, block_size = settings.n_threads, team.sums.shape[0], settings.block_size
    n_rows = minimum(settings.batch_size, n_rows_of_epoch - state.row)
    if state.blocks_done == 0:
        state.strength = 1.0
        if settings.strength_schedule_address:
            address, schedule = settings.strength_schedule_address, vector(scratch.schedule, 1, 1)
            state.strength = _schedule_factor(settings, address, state, schedule, n_rows_of_epoch)
        prepare_for_gradient(table, current, rows, scratch, rank, n_threads)
        if not wait_at_barrier(team, state, n_threads):
            state.status = Status.aborted
            return
    n_blocks = maximum(1, (n_rows + n_shares * block_size - 1) // (n_shares * block_size))  # of a share
    share, block = rank + state.blocks_done // n_blocks * n_threads, state.blocks_done % n_blocks
    if share < n_shares:
        stop = state.row + start_of_share(n_rows, share + 1, n_shares)
        start = minimum(state.row + start_of_share(n_rows, share, n_shares) + block * block_size, stop)
        n_block, add, gradient = minimum(block_size, stop - start), block > 0, gradient_of_share(team, share)
        scratch.draw_state[0].step, scratch.draw_state[0].first_row = state.step, start - state.row
        scratch.draw_state[0].strength = state.strength
        loss, weight_sum = gradient_of_block(
            settings, table, current, rows, y, weight, order, start - state.first_row, n_block, scratch, gradient, add
        )
        team.sums[share, LOSS] = team.sums[share, LOSS] + loss if add else loss
        team.sums[share, WEIGHT] = team.sums[share, WEIGHT] + weight_sum if add else weight_sum
    state.blocks_done += 1
    if state.blocks_done >= n_blocks * ((n_shares + n_threads - 1) // n_threads):
        _end_batch(settings, state, rank, team, table, segments, params, moments, source, current, scratch, n_rows, n_rows_of_epoch)


@kernel(optimize=False, inline=False)
def _end_batch(settings, state, rank, team, table, segments, params, moments, source, current, scratch, n_rows, n_rows_of_epoch):
    """Update this thread's shares of the parameters by the gradients of all shares of the rows."""
    n_coefs = table[0].biases_at  # all weights precede all biases
    n_threads, n_shares, has_penalties = settings.n_threads, team.sums.shape[0], settings.penalty_gradient_address != 0
    for share in range(rank, n_shares, n_threads):
        low, high = line_share(params.size, share, n_shares)
        squares = team.sums[share, WEIGHT_SQUARES]
        if squares == 0 and settings.alpha > 0:
            squares = penalized_squares(segments, current, low, high)
        w = vector(current, low, maximum(0, minimum(high, n_coefs) - low))
        team.sums[share, PENALTY] = _penalty(settings, squares, w, scratch)
    if not wait_at_barrier(team, state, n_threads):
        state.status = Status.aborted
        return
    batch_loss, batch_weight, penalty = total(team, LOSS), total(team, WEIGHT), total(team, PENALTY)
    if batch_weight == 0 and not settings.global_weights:
        state.status = Status.zero_weights
        return
    # a fit with early stopping continues, as in scikit-learn, because its best weights are restored at the end
    if np.isnan(batch_loss) and not settings.validated:
        state.status = Status.diverged
        return
    weight_sum = float(n_rows) if settings.global_weights else batch_weight
    state.loss += (batch_loss + penalty) / weight_sum * n_rows
    if settings.schedule == ScheduleCode.by_address:
        state.factor = _schedule_factor(settings, settings.schedule_address, state, scratch.schedule, n_rows_of_epoch)
    alpha, scale = settings.alpha, 1 / weight_sum
    if has_penalties:
        alpha, scale = 0.0, _adjust_gradient(settings, state, rank, team, current, scratch.penalties, n_coefs, scale)
    rate, base = begin_step(settings, state, scale, scratch.hyperparams)
    for share in range(rank, n_shares, n_threads):
        low, high = line_share(params.size, share, n_shares)
        if not has_penalties:
            add_gradients(team, low, high)
        squares = update(
            settings,
            rate,
            base * state.strength,
            source,
            state.from_source,
            params,
            team.gradients,
            moments,
            scratch.hyperparams,
            segments,
            alpha,
            scale,
            low,
            high,
        )
        team.sums[share, WEIGHT_SQUARES] = 0.0 if settings.limit_weight_norms_address else squares
    wait_at_barrier(team, state, n_threads)
    if settings.limit_weight_norms_address:
        for share in range(rank, n_shares, n_threads):
            call(settings.limit_weight_norms_address, table, params, scratch.strip, scratch.penalties, share, n_shares)
        wait_at_barrier(team, state, n_threads)
    if settings.average_address:  # the averaged parameters follow the moments of the solver
        low, high = line_share(params.size, rank, n_threads)
        average = vector(moments, moments.size - params.size + low, high - low)
        call(settings.average_address, average, vector(params, low, high - low), scratch.penalties)
    state.row += n_rows
    state.blocks_done = 0
    state.from_source = 0


@kernel(optimize=False)
def _penalty(settings, squares, w, scratch):
    """Return alpha / 2 · squares + l1 Σ |w|; squares is Σ (factor of alpha) w²."""
    penalty = 0.5 * settings.alpha * squares
    if settings.l1 > 0:
        call(settings.absolute_sum_address, w, w, scratch.penalties)
        penalty += settings.l1 * scratch.penalties[0].total
    return penalty


@kernel()
def _schedule_factor(settings, address, state, schedule, n_rows_of_epoch):
    """Return the factor of a schedule that is called by address, at the start of the current batch."""
    n_rows = state.n_expected if state.n_expected > 0 else n_rows_of_epoch
    done = state.epochs_before + state.epoch + _times_reciprocal(minimum(state.row, n_rows), n_rows)
    schedule[0].epoch, schedule[0].progress = done, done / settings.horizon
    call(address, schedule)
    return schedule[0].factor


@kernel(optimize=False)
def _adjust_gradient(settings, state, rank, team, params, numbers, n_coefs, scale):
    """Add up this thread's shares of the gradient with the penalties; return its scale, reduced if the norm exceeds clip_norm."""
    n_threads, n_shares = settings.n_threads, team.sums.shape[0]
    for share in range(rank, n_shares, n_threads):
        low, high = line_share(params.size, share, n_shares)
        add_gradients(team, low, high)
        n_weights = maximum(0, minimum(high, n_coefs) - low)
        call(settings.penalty_gradient_address, vector(params, low, n_weights), vector(team.gradients, low, n_weights), numbers)
        if settings.clip_norm > 0:
            gradient = vector(team.gradients, low, high - low)
            call(settings.square_sum_address, gradient, gradient, numbers)
            team.sums[share, SQUARES] = numbers[0].total
    if settings.clip_norm > 0:
        wait_at_barrier(team, state, n_threads)
        norm = np.sqrt(total(team, SQUARES)) * scale
        if norm > settings.clip_norm:
            scale *= settings.clip_norm / norm
    return scale


@kernel(optimize=False)
def _end_epoch(settings, state, n_rows, loss):
    state.row = 0
    state.first_row = 0
    state.shuffled = False
    state.loss = 0.0
    state.epoch += 1
    state.rows_seen += n_rows
    if not settings.validated:
        _update_early_stopping(settings, state, loss)


@kernel()
def _update_early_stopping(settings, state, value):
    """Count the consecutive epochs without an improvement by tol; after more than `patience`, reduce the learning rate or stop."""
    state.bad_epochs = state.bad_epochs + 1 if value > state.best - settings.tol else 0
    if value < state.best:
        state.best = value
    if settings.solver == SolverCode.sgd and settings.schedule == ScheduleCode.invscaling:
        state.learning_rate = settings.learning_rate_init / (state.rows_seen + 1) ** settings.power_t
    if settings.schedule == ScheduleCode.reduce_on_plateau:
        state.plateau = 0 if state.bad_epochs == 0 else state.plateau + 1
        if state.plateau > settings.decay_step:
            state.factor *= settings.decay
            state.plateau = 0
    if state.bad_epochs > settings.patience:
        if settings.solver == SolverCode.sgd and settings.schedule == ScheduleCode.adaptive and state.learning_rate > 1e-6:
            state.learning_rate /= 5
            state.bad_epochs = 0
        else:
            state.status = Status.converged
    if state.status == Status.running and state.epoch == settings.max_epochs:
        state.status = Status.exhausted
