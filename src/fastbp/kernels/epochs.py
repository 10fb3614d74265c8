"""Epochs: shuffle, batches, updates, and the decision to go on.

One call runs a given number of blocks of rows, be that a part of one long batch or hundreds of short epochs, and returns to Python
so that it can be interrupted. All that must survive between calls is in `PROGRESS`, the scratch buffers, the order of the rows and
the state of the shuffles. The rule for stopping is scikit-learn's, to the letter, its off-by-one included.
"""

from enum import IntEnum

from .jit import entry, kernel
from .network import B_AT, gradient_of_block
from .shuffles import shuffle
from .solvers import Solver, squared_norm, update
from .views import vector


class Schedule(IntEnum):
    """What `learning_rate` may be; the names are scikit-learn's, and only "sgd" heeds them."""

    constant = 0
    invscaling = 1
    adaptive = 2


class Status(IntEnum):
    """Why training goes on, or does not."""

    running = 0
    converged = 1  # patience is at its end
    exhausted = 2  # max_epochs are done
    weightless = 3  # the sample weights of a batch sum to zero


@entry
def train(settings, progress, table, params, moments, rows, y, weight, order, twister, scratch, losses, n_blocks):
    """Train on at most n_blocks blocks of rows and losses.size epochs; returns how many epochs ended, their losses in losses."""
    steering, state = settings[0], progress[0]
    n_epochs = 0
    while state.status == Status.running and n_blocks > 0 and n_epochs < losses.size:
        if state.row == 0 and steering.shuffle:
            shuffle(order, twister)
        _train_block(steering, state, table, params, moments, rows, y, weight, order, scratch)
        n_blocks -= 1
        if state.row == order.size and state.status == Status.running:
            losses[n_epochs] = state.loss / order.size
            n_epochs += 1
            _end_epoch(steering, state, order.size, losses[n_epochs - 1])
    return n_epochs


@entry
def judge(settings, progress, value):
    """End the judging of an epoch by a value from Python, lower being better: patience, learning rate, status."""
    _judge(settings[0], progress[0], value)


@kernel()
def _train_block(settings, state, table, params, moments, rows, y, weight, order, scratch):
    """The next block of the present batch, and the update where it is the batch's last."""
    batch_start = state.row - state.batch_rows
    batch_stop = min(batch_start + settings.batch_size, order.size)
    n_rows = min(settings.block_size, batch_stop - state.row)
    fresh = state.batch_rows == 0
    loss, weight_sum = gradient_of_block(settings, table, params, rows, y, weight, order, state.row, n_rows, scratch, fresh)
    state.batch_loss += loss
    state.batch_weight += weight_sum
    state.batch_rows += n_rows
    if state.row + n_rows == batch_stop:
        _end_batch(settings, state, table, params, moments, scratch)
    state.row += n_rows


@kernel()
def _end_batch(settings, state, table, params, moments, scratch):
    if state.batch_weight == 0:
        state.status = Status.weightless
        return
    n_coefs = table[0, B_AT]  # all weights stand before all biases
    loss = state.batch_loss + 0.5 * settings.alpha * squared_norm(vector(params, 0, n_coefs))
    state.loss += loss / state.batch_weight * state.batch_rows
    update(settings, state, params, scratch.gradient, moments, n_coefs, state.batch_weight)
    state.batch_rows = 0
    state.batch_loss = 0.0
    state.batch_weight = 0.0


@kernel()
def _end_epoch(settings, state, n_rows, loss):
    state.row = 0
    state.loss = 0.0
    state.epoch += 1
    state.rows_seen += n_rows
    if not settings.validated:
        _judge(settings, state, loss)


@kernel()
def _judge(settings, state, value):
    """Count the epochs without improvement by tol, end the epoch's learning rate, and stop after more than `patience` of them."""
    state.bad_epochs = state.bad_epochs + 1 if value > state.best - settings.tol else 0
    if value < state.best:
        state.best = value
    if settings.solver == Solver.sgd and settings.schedule == Schedule.invscaling:
        state.learning_rate = settings.learning_rate_init / (state.rows_seen + 1) ** settings.power_t
    if state.bad_epochs > settings.patience:
        if settings.solver == Solver.sgd and settings.schedule == Schedule.adaptive and state.learning_rate > 1e-6:
            state.learning_rate /= 5
            state.bad_epochs = 0
        else:
            state.status = Status.converged
    if state.status == Status.running and state.epoch == settings.max_epochs:
        state.status = Status.exhausted
