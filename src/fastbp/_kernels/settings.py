"""The two records that control a fit: its settings and its progress.

Python writes `SETTINGS` once and reads `PROGRESS` after each kernel call; kernels read the first and write the second. Both are
NumPy records: a kernel takes one argument instead of twenty and reads ``settings.alpha``. A field that ends in ``_address`` is the
address of a function that the kernels call, or 0.
"""

import numpy as np

SETTINGS = np.dtype(
    (
        np.record,
        [
            # codes of `codes`, and addresses of functions that are not compiled into every fit
            ("out_activation", np.int64),
            ("link_address", np.int64),
            ("loss", np.int64),
            ("loss_address", np.int64),
            ("output_delta_address", np.int64),
            ("solver", np.int64),
            ("solver_address", np.int64),
            ("schedule", np.int64),
            ("schedule_address", np.int64),
            # the batches of an epoch; a batch passes through the layers in blocks of at most block_size rows
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
            ("global_weights", np.int64),  # whether the sum over a batch is divided by its rows, not by their weights
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
            ("n_barriers", np.int64),  # how often the threads have waited for each other in this call
            ("shuffled", np.int64),  # whether the rows are already in the order of this epoch
            ("row", np.int64),  # the start of this batch, in rows of this epoch
            ("blocks_done", np.int64),  # finished blocks of this batch in each thread, with their sums of loss and weight
            ("batch_loss", np.float64),
            ("batch_weight", np.float64),
            ("epoch", np.int64),  # epochs finished in this fit
            ("epochs_before", np.int64),  # epochs finished in earlier calls with the same optimizer
            ("rows_seen", np.int64),  # scikit-learn's t_
            ("step", np.int64),  # updates by this optimizer
            ("learning_rate", np.float64),
            ("factor", np.float64),  # the factor of the learning rate from a schedule
            ("product", np.float64),  # the product of Nadam's momenta
            ("squares", np.float64),  # Σ w² of this thread's share of the weights, known only within a call; otherwise 0
            ("loss", np.float64),  # of this epoch so far: Σ over batches of mean loss × rows
            ("best", np.float64),  # the lowest value that the stopping rule has seen
            ("bad_epochs", np.int64),  # consecutive epochs that did not improve on it by tol
            ("plateau", np.int64),  # such epochs since reduce_on_plateau last reduced the learning rate
            ("kept_epoch", np.int64),  # the epoch whose parameters are in `Trace.best`, or 0, with its loss
            ("kept_loss", np.float64),
        ],
    )
)


def record(dtype, n=1):
    """Return an array (n,) of zeroed records."""
    return np.zeros(n, dtype)
