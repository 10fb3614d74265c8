"""The two records that control a fit: its settings and its progress.

Python writes `SETTINGS` once; kernels only read it. Kernels update `PROGRESS`, and Python reads it after each call. Both are NumPy
records, so that a kernel has one argument instead of twenty and reads ``settings.alpha``. A field whose name ends in ``_address``
is the address of a function that the kernels call, or 0. This module does not know how the values are used.
"""

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
            ("shuffle", np.int64),
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
            # the stopping rule; patience is a number of epochs, possibly infinite
            ("tol", np.float64),
            ("patience", np.float64),
            ("validated", np.int64),  # whether Python calls `update_early_stopping` with a validation score after each epoch
        ],
    )
)

PROGRESS = np.dtype(
    (
        np.record,
        [
            ("status", np.int64),  # a `Status`
            ("n_barriers", np.int64),  # how often the threads have waited at the barrier in this call
            ("shuffled", np.int64),  # whether the rows have been shuffled for this epoch
            ("row", np.int64),  # the number of rows of this epoch before this batch
            ("blocks_done", np.int64),  # the number of finished blocks of this batch in each thread
            ("epoch", np.int64),  # the number of finished epochs of this fit
            ("epochs_before", np.int64),  # the number of finished epochs of earlier fits with the same optimizer
            ("rows_seen", np.int64),  # scikit-learn's t_
            ("step", np.int64),  # the number of updates by this optimizer
            ("learning_rate", np.float64),
            ("factor", np.float64),  # the factor of the learning rate from a schedule
            ("product", np.float64),  # the product of Nadam's momenta
            ("loss", np.float64),  # of this epoch so far: the sum over batches of the mean loss times the number of rows
            ("best", np.float64),  # the lowest value of the stopping rule so far
            ("bad_epochs", np.int64),  # the number of consecutive epochs that did not improve on `best` by tol
            ("plateau", np.int64),  # the same, since reduce_on_plateau last reduced the learning rate
            ("kept_epoch", np.int64),  # the epoch whose parameters are in `Trace.best`, or 0 if there is none
            ("kept_loss", np.float64),  # the loss of that epoch
        ],
    )
)


def record(dtype, n=1):
    """Return an array (n,) of zeroed records."""
    return np.zeros(n, dtype)
