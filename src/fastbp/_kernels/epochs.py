"""Epochs: shuffle, batches, updates, and the decision to go on.

One call runs a given number of blocks of rows, be that a part of one long batch or hundreds of short epochs, and returns to Python
so that it can be interrupted. All that must survive between calls is in `PROGRESS`, the scratch buffers, the order of the rows and
the state of the shuffles. The rule for stopping is scikit-learn's, to the letter, its off-by-one included.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from .function_pointers import call
from .jit import entry, kernel
from .lazy.draws import FIRST_ROW, STEP
from .lazy.penalties import SUM
from .lazy.schedules import EPOCH, FACTOR
from .lazy.schedules import PROGRESS as DONE
from .network import B_AT, gradient_of_block
from .shuffles import shuffle
from .solvers import SolverCode, squared_norm, update
from .subnormals import flush_subnormals, restore_subnormals
from .team import LOSS, PENALTY, SQUARES, WEIGHT, add_gradients, share, share_of_line, total, wait_at_barrier
from .views import vector, without_refcounts

# Which parameters are copied after every better epoch, and after how many rows larger ones are, so that it costs a percent or two.
_CACHED_BYTES = 1 << 17
_MANY_ROWS = 4096


class ScheduleCode(IntEnum):
    """What `learning_rate` may be; of scikit-learn's three, only "sgd" heeds the second and third. `called` is any other."""

    constant = 0
    invscaling = 1
    adaptive = 2
    reduce_on_plateau = 3
    called = 4


class Status(IntEnum):
    """Why training goes on, or does not."""

    running = 0
    converged = 1  # patience is at its end
    exhausted = 2  # max_epochs are done
    zero_weights_error = 3  # the sample weights of a batch sum to zero
    aborted = 4  # another thread of the team will come no more
    diverged = 5  # the loss of a batch, which still stands at `row`, is not a number


class Trace(NamedTuple):
    """What epochs leave behind: their mean `losses` and the `rates` of their last steps, both (≥ n,), and the parameters after the
    `best` of those that `_keep` looks at (n_params,), or (0,) where nobody wants these."""

    losses: np.ndarray
    rates: np.ndarray
    best: np.ndarray


@entry
def train(settings, progress, rank, team, table, params, moments, rows, y, weight, order, twister, scratch, trace, n_rounds):
    """Train on at most n_rounds blocks of rows a thread and trace.losses.size epochs; returns how many epochs ended.

    Every thread of a team calls with its rank and its own scratch, all else being shared.
    """
    team, table, params, moments, rows = without_refcounts(team, table, params, moments, rows)
    y, weight, order, twister, scratch, trace = without_refcounts(y, weight, order, twister, scratch, trace)
    steering, state, n_threads = settings[0], progress[rank], team.sums.shape[0]
    mode = flush_subnormals()
    n_epochs = 0
    while state.status == Status.running and n_rounds > 0 and n_epochs < trace.losses.size:
        if steering.shuffle and not state.shuffled:
            state.shuffled = True
            if rank == 0:
                shuffle(order, twister)
            if n_threads > 1 and not wait_at_barrier(team, state):
                break
        _train_round(steering, state, rank, team, table, params, moments, rows, y, weight, order, scratch)
        n_rounds -= 1
        if state.row == order.size:
            loss = state.loss / order.size
            trace.losses[n_epochs], trace.rates[n_epochs] = loss, _rate(steering, state)
            n_epochs += 1
            if trace.best.size:
                _keep(state, params, trace.best, rank, n_threads, order.size, loss)
            _end_epoch(steering, state, order.size, loss)
    restore_subnormals(mode)
    state.squares = 0.0  # until the next call the weights may be changed
    return n_epochs


@entry
def update_early_stopping(settings, progress, value):
    """End the judging of an epoch by a value from Python, lower being better: patience, learning rate, status."""
    _update_early_stopping(settings[0], progress[0], value)


@kernel()
def _rate(settings, state):
    """The learning rate of the last step, without Adam's corrections for its first steps."""
    base = settings.learning_rate_init if settings.solver == SolverCode.adam else state.learning_rate
    return base * state.factor


@kernel(optimize=False)
def _keep(state, params, best, rank, n_threads, n_rows, loss):
    """Copy this thread's share of the parameters, if the loss is the lowest of the epochs that are looked at.

    These are all epochs of networks that stay in a cache; copying a large one takes as long as some rows, and waits for many.
    """
    due = params.nbytes <= _CACHED_BYTES or (state.rows_seen + n_rows) // _MANY_ROWS > state.rows_seen // _MANY_ROWS
    if due and (state.kept_epoch == 0 or loss < state.kept_loss):
        state.kept_epoch, state.kept_loss = state.epoch + 1, loss
        low, high = share_of_line(params.size, rank, n_threads), share_of_line(params.size, rank + 1, n_threads)
        _copy(vector(params, low, high - low), vector(best, low, high - low))


@kernel()
def _copy(source, target):
    for q in range(target.size):
        target[q] = source[q]


@kernel(optimize=False)
def _train_round(settings, state, rank, team, table, params, moments, rows, y, weight, order, scratch):
    """The next block of this thread's rows of the present batch, and the update where it is the last."""
    n_threads = team.sums.shape[0]
    n_rows = min(settings.batch_size, order.size - state.row)
    stop = state.row + share(n_rows, rank + 1, n_threads)
    start = min(state.row + share(n_rows, rank, n_threads) + state.blocks_done * settings.block_size, stop)
    n_block, fresh = min(settings.block_size, stop - start), state.blocks_done == 0
    scratch.drawn[STEP], scratch.drawn[FIRST_ROW] = state.step, start - state.row
    loss, weight_sum = gradient_of_block(settings, table, params, rows, y, weight, order, start, n_block, scratch, fresh)
    state.batch_loss += loss
    state.batch_weight += weight_sum
    state.blocks_done += 1
    if state.blocks_done * settings.block_size * n_threads >= n_rows:
        _end_batch(settings, state, rank, team, table, params, moments, scratch, n_rows, order.size)


@kernel(optimize=False)
def _end_batch(settings, state, rank, team, table, params, moments, scratch, n_rows, n_rows_of_epoch):
    """The update of this thread's share of the parameters, from the gradients of all."""
    n_coefs = table[0, B_AT]  # all weights stand before all biases
    n_threads = team.sums.shape[0]
    low, high = share_of_line(params.size, rank, n_threads), share_of_line(params.size, rank + 1, n_threads)
    penalty = _penalty(settings, state, vector(params, low, max(0, min(high, n_coefs) - low)), scratch)
    if n_threads > 1:
        team.sums[rank, LOSS], team.sums[rank, WEIGHT], team.sums[rank, PENALTY] = state.batch_loss, state.batch_weight, penalty
        if not wait_at_barrier(team, state):
            state.status = Status.aborted
            return
        state.batch_loss, state.batch_weight, penalty = total(team, LOSS), total(team, WEIGHT), total(team, PENALTY)
        add_gradients(team, low, high)
    if state.batch_weight == 0 and not settings.global_weights:
        state.status = Status.zero_weights_error
        return
    # a validated fit goes on, as scikit-learn's does: it will go back to its best weights
    if np.isnan(state.batch_loss) and not settings.validated:
        state.status = Status.diverged
        return
    weight_sum = float(n_rows) if settings.global_weights else state.batch_weight
    state.loss += (state.batch_loss + penalty) / weight_sum * n_rows
    if settings.schedule == ScheduleCode.called:
        _follow_schedule(settings, state, scratch.rates, n_rows_of_epoch)
    alpha, scale = settings.alpha, 1 / weight_sum
    if settings.penalise_at:
        alpha, scale = 0.0, _adjust_gradient(settings, state, rank, team, params, scratch.penalties, n_coefs, scale, low, high)
    update(settings, state, params, team.gradients, moments, scratch.asked, n_coefs, alpha, scale, low, high)
    if n_threads > 1:
        wait_at_barrier(team, state)
    if settings.hold_norms_at:
        call(settings.hold_norms_at, table, params, scratch.strip, scratch.penalties, rank, n_threads)
        state.squares = 0.0
        if n_threads > 1:
            wait_at_barrier(team, state)
    if settings.average_at:  # the means stand behind the solver's moments
        means = vector(moments, moments.size - params.size + low, high - low)
        call(settings.average_at, means, vector(params, low, high - low), scratch.penalties)
    state.row += n_rows
    state.blocks_done = 0
    state.batch_loss = 0.0
    state.batch_weight = 0.0


@kernel(optimize=False)
def _penalty(settings, state, w, scratch):
    """alpha / 2 Σ w² + l1 Σ |w|."""
    penalty = 0.5 * settings.alpha * (state.squares if state.squares > 0 else squared_norm(w))
    if settings.l1 > 0:
        call(settings.absolute_sum_at, w, w, scratch.penalties)
        penalty += settings.l1 * scratch.penalties[SUM]
    return penalty


@kernel()
def _follow_schedule(settings, state, rates, n_rows_of_epoch):
    """The factor of the learning rate, by the share of the course that is done."""
    done = state.epochs_before + state.epoch + state.row / n_rows_of_epoch
    rates[EPOCH], rates[DONE] = done, done / settings.horizon
    call(settings.schedule_at, rates)
    state.factor = rates[FACTOR]


@kernel(optimize=False)
def _adjust_gradient(settings, state, rank, team, params, numbers, n_coefs, scale, low, high):
    """Add the penalties to this thread's share of the gradient; returns what it is to be multiplied by, clipping included."""
    n_threads, n_weights = team.sums.shape[0], max(0, min(high, n_coefs) - low)
    call(settings.penalise_at, vector(params, low, n_weights), vector(team.gradients, low, n_weights), numbers)
    if settings.clip_norm > 0:
        gradient = vector(team.gradients, low, high - low)
        call(settings.square_sum_at, gradient, gradient, numbers)
        squares = numbers[SUM]
        if n_threads > 1:
            team.sums[rank, SQUARES] = squares
            wait_at_barrier(team, state)
            squares = total(team, SQUARES)
        norm = np.sqrt(squares) * scale
        if norm > settings.clip_norm:
            scale *= settings.clip_norm / norm
    return scale


@kernel(optimize=False)
def _end_epoch(settings, state, n_rows, loss):
    state.row = 0
    state.shuffled = False
    state.loss = 0.0
    state.epoch += 1
    state.rows_seen += n_rows
    if not settings.validated:
        _update_early_stopping(settings, state, loss)


@kernel()
def _update_early_stopping(settings, state, value):
    """Count the epochs without improvement by tol, end the epoch's learning rate, and stop after more than `patience` of them."""
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
