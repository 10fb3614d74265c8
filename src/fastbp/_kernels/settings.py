"""The two records that control a fit: its settings and its progress.

Python writes `SETTINGS` once; kernels only read it. Kernels update `PROGRESS`, and Python reads it after each call. Both are NumPy
records, so that a kernel has one argument instead of twenty and reads ``settings.alpha``. A field whose name ends in ``_address``
is the address of a function that the kernels call, or 0. This module does not know how the values are used.
"""

from typing import NamedTuple

import numpy as np

SETTINGS = np.dtype(
    (
        np.record,
        [
            # the codes from `codes`, and the addresses of functions that are not compiled into every fit
            ("out_activation", np.int64),
            ("link_address", np.int64),
            ("loss", np.int64),
            ("loss_address", np.int64),
            ("output_delta_address", np.int64),
            ("solver", np.int64),
            ("solver_address", np.int64),
            ("schedule", np.int64),
            ("schedule_address", np.int64),
            ("n_threads", np.int64),
            # the batches of an epoch; a share of a batch is processed in blocks of at most block_size rows
            ("batch_size", np.int64),
            ("block_size", np.int64),
            ("drop_last", np.int64),  # whether rows at the end of an epoch are left out if they do not fill a batch
            ("shuffle", np.int64),
            ("member_shuffle_address", np.int64),  # 0 for networks without members
            ("shares_batches", np.int64),  # whether all members have the same batches
            ("max_epochs", np.int64),
            # random changes of the inputs: the dropout rate and the standard deviation of the noise, times 2³²
            ("dropout_address", np.int64),
            ("noise_address", np.int64),
            ("input_dropout", np.int64),
            ("input_noise", np.int64),
            # the update
            ("alpha", np.float64),
            ("global_weights", np.int64),  # whether sums over a batch are divided by its number of rows, not by its weights
            ("learning_rate_init", np.float64),
            ("power_t", np.float64),
            ("momentum", np.float64),
            ("nesterov", np.int64),
            ("beta_1", np.float64),
            ("beta_2", np.float64),
            ("epsilon", np.float64),
            ("rho", np.float64),
            ("weight_decay", np.float64),
            ("l1", np.float64),
            ("clip_norm", np.float64),  # 0: no limit
            ("absolute_sum_address", np.int64),
            ("penalty_gradient_address", np.int64),
            ("square_sum_address", np.int64),
            ("limit_weight_norms_address", np.int64),
            ("average_address", np.int64),
            # the learning rate schedule; the horizon is a number of epochs
            ("decay", np.float64),
            ("decay_step", np.float64),
            ("horizon", np.float64),
            ("strength_schedule_address", np.int64),  # of the factor of the dropout rates and of the weight decay
            # the stopping rule; patience is a number of epochs, possibly infinite
            ("tol", np.float64),
            ("patience", np.float64),
            ("validated", np.int64),  # whether Python calls `update_early_stopping` with a validation score after each epoch
        ],
    )
)


class ProgressValues(NamedTuple):
    """The fields of a record of `PROGRESS`. Reading or writing all of them at once takes as long as two accesses by name."""

    status: int = 0  # a `Status`
    n_barriers: int = 0  # how often the threads have waited at the barrier in this call
    shuffled: int = 0  # whether the rows have been shuffled for this epoch
    row: int = 0  # the number of rows of this epoch before this batch
    first_row: int = 0  # the number of rows of this epoch before those of the order; not 0 only if an epoch has several orders
    has_more: int = 0  # whether the epoch has other rows after those of the order
    n_expected: int = 0  # the number of rows of an epoch for schedules, or 0 if it is that of the order
    blocks_done: int = 0  # the number of finished blocks of this batch in each thread
    epoch: int = 0  # the number of finished epochs of this fit
    epochs_before: int = 0  # the number of finished epochs of earlier fits with the same optimizer
    rows_seen: int = 0  # scikit-learn's t_
    step: int = 0  # the number of updates by this optimizer
    from_source: int = 0  # whether the parameters and the moments before the next update are those in `Source`
    learning_rate: float = 0
    factor: float = 0  # the factor of the learning rate from a schedule
    strength: float = 0  # the factor of the dropout rates and of the weight decay from their schedule
    product: float = 0  # the product of Nadam's momenta
    loss: float = 0  # of this epoch so far: the sum over batches of the mean loss times the number of rows
    best: float = 0  # the lowest value of the stopping rule so far
    bad_epochs: int = 0  # the number of consecutive epochs that did not improve on `best` by tol
    plateau: int = 0  # the same, since reduce_on_plateau last reduced the learning rate
    kept_epoch: int = 0  # the epoch whose parameters are in `EpochTrace.best`, or 0 if there is none
    kept_loss: float = 0  # the loss of that epoch


_TYPES = {int: np.int64, float: np.float64}
PROGRESS = np.dtype((np.record, [(name, _TYPES[kind]) for name, kind in ProgressValues.__annotations__.items()]))


def record(dtype, n=1):
    """Return an array (n,) of zeroed records."""
    return np.zeros(n, dtype)
