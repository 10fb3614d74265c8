"""The two records that steer a fit: what was asked for, and how far it is.

Python fills `SETTINGS` once and reads `PROGRESS` after each call; kernels read the first and write the second. Both are NumPy
records, so that a kernel says ``settings.alpha`` and takes one argument where it would take twenty.
"""

import numpy as np

SETTINGS = np.dtype(
    (
        np.record,
        [
            # codes, each read by the module that holds its enumeration
            ("out_activation", np.int64),
            ("loss", np.int64),
            ("solver", np.int64),
            ("schedule", np.int64),
            # the batches of an epoch; a batch passes through the layers in blocks of at most block_size rows
            ("batch_size", np.int64),
            ("block_size", np.int64),
            ("shuffle", np.int64),
            ("max_epochs", np.int64),
            # the update
            ("alpha", np.float64),
            ("learning_rate_init", np.float64),
            ("power_t", np.float64),
            ("momentum", np.float64),
            ("nesterov", np.int64),
            ("beta_1", np.float64),
            ("beta_2", np.float64),
            ("epsilon", np.float64),
            ("rho", np.float64),
            ("weight_decay", np.float64),
            ("solver_at", np.int64),  # the address of a solver that is called
            # when to stop: patience counts epochs, and may be infinite; a validated fit is judged by scores that Python takes
            ("tol", np.float64),
            ("patience", np.float64),
            ("validated", np.int64),
        ],
    )
)

PROGRESS = np.dtype(
    (
        np.record,
        [
            ("status", np.int64),
            ("meeting", np.int64),  # how often the threads have met in the present call
            ("shuffled", np.int64),  # whether the rows are in the order of the present epoch
            ("row", np.int64),  # of the present epoch: where the present batch starts
            (
                "blocks_done",
                np.int64,
            ),  # by each thread, of the present batch, and its sums of loss and weight
            ("batch_loss", np.float64),
            ("batch_weight", np.float64),
            ("epoch", np.int64),  # epochs finished in this fit
            ("rows_seen", np.int64),  # scikit-learn's t_
            ("step", np.int64),  # updates by the present optimiser
            ("learning_rate", np.float64),
            ("product", np.float64),  # of Nadam's momenta so far
            ("loss", np.float64),  # of the present epoch so far: Σ over batches of mean loss × rows
            ("best", np.float64),  # the lowest value that an epoch was judged by
            ("bad_epochs", np.int64),  # in a row that did not better it by tol
            ("kept_epoch", np.int64),  # whose parameters were kept, or 0
            ("kept_loss", np.float64),
        ],
    )
)


def record(dtype, n=1):
    """Zeroed records, as an array (n,) whose elements have their fields as attributes."""
    return np.zeros(n, dtype)
