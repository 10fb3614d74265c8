"""The two records that steer a fit: what was asked for, and how far it is.

Python fills `SETTINGS` once and reads `PROGRESS` after each call; kernels read the first and write the second. Both are NumPy
records, so that a kernel says ``settings.alpha`` and takes one argument where it would take twenty. A field that ends in ``_at`` is
the address of a function that is called, or 0.
"""

import numpy as np

SETTINGS = np.dtype(
    (
        np.record,
        [
            # codes, each read by the module that holds its enumeration
            ("out_activation", np.int64),
            ("link_at", np.int64),
            ("loss", np.int64),
            ("loss_at", np.int64),
            ("finish_at", np.int64),
            ("solver", np.int64),
            ("solver_at", np.int64),
            ("schedule", np.int64),
            ("schedule_at", np.int64),
            # the batches of an epoch; a batch passes through the layers in blocks of at most block_size rows
            ("batch_size", np.int64),
            ("block_size", np.int64),
            ("shuffle", np.int64),
            ("max_epochs", np.int64),
            # what is drawn for the inputs: a share and a deviation, times 2³²
            ("drop_at", np.int64),
            ("noise_at", np.int64),
            ("input_drop", np.int64),
            ("input_noise", np.int64),
            # the update
            ("alpha", np.float64),
            ("global_weights", np.int64),  # whether a batch is averaged by its number of rows
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
            ("clip_norm", np.float64),  # 0 for none
            ("absolute_sum_at", np.int64),
            ("penalise_at", np.int64),
            ("square_sum_at", np.int64),
            ("hold_norms_at", np.int64),
            ("average_at", np.int64),
            # what schedules are asked; horizon counts epochs
            ("decay", np.float64),
            ("decay_step", np.float64),
            ("horizon", np.float64),
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
            ("blocks_done", np.int64),  # by each thread, of the present batch, and its sums of loss and weight
            ("batch_loss", np.float64),
            ("batch_weight", np.float64),
            ("epoch", np.int64),  # epochs finished in this fit
            ("epochs_before", np.int64),  # by fits before it, of one course of training
            ("rows_seen", np.int64),  # scikit-learn's t_
            ("step", np.int64),  # updates by the present optimiser
            ("learning_rate", np.float64),
            ("factor", np.float64),  # by which a schedule multiplies it
            ("product", np.float64),  # of Nadam's momenta so far
            ("squares", np.float64),  # Σ w² of this thread's share of the weights, known within a call only; else 0
            ("loss", np.float64),  # of the present epoch so far: Σ over batches of mean loss × rows
            ("best", np.float64),  # the lowest value that an epoch was judged by
            ("bad_epochs", np.int64),  # in a row that did not better it by tol
            ("plateau", np.int64),  # the same, since the learning rate was last reduced for them
            ("kept_epoch", np.int64),  # whose parameters were kept, or 0
            ("kept_loss", np.float64),
        ],
    )
)


def record(dtype, n=1):
    """Zeroed records, as an array (n,) whose elements have their fields as attributes."""
    return np.zeros(n, dtype)
