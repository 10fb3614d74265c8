"""The buffers of one thread, and the records that kernels pass to functions that they call by address.

`_network.workspace` creates a `Scratch` for each thread of a fit. Each record array has one element, unless a comment says
otherwise: the caller writes the input fields, and the called function reads them and writes the output field, if there is one. This
module contains only types.
"""

from typing import NamedTuple

import numpy as np

# For solvers; written at every step.
HYPERPARAMS = np.dtype(
    (
        np.record,
        [
            ("learning_rate", np.float64),
            ("scale", np.float64),  # 1 / the sum of the sample weights of the batch
            ("alpha", np.float64),  # the L2 penalty; 0 for biases and norm parameters
            ("rho", np.float64),
            ("beta_1", np.float64),
            ("beta_2", np.float64),
            ("epsilon", np.float64),
            ("correction_1", np.float64),  # 1 − β₁ᵗ
            ("correction_2", np.float64),  # 1 − β₂ᵗ
            ("momentum", np.float64),  # Nadam's μₜ and μₜ₊₁
            ("next_momentum", np.float64),
            ("momentum_product", np.float64),  # Π μᵢ up to t and up to t + 1
            ("next_momentum_product", np.float64),
        ],
    )
)

# For penalties, the weight norm limit and the parameter average; `total` is the output.
PENALTY_NUMBERS = np.dtype(
    (
        np.record,
        [("alpha", np.float64), ("l1", np.float64), ("max_norm", np.float64), ("ema_decay", np.float64), ("total", np.float64)],
    )
)

# For schedules; `factor` is the output. There are two records: for the learning rate, and for dropout and weight decay.
SCHEDULE_NUMBERS = np.dtype(
    (
        np.record,
        [
            ("progress", np.float64),  # the fraction of the horizon that is finished
            ("epoch", np.float64),  # the number of finished epochs
            ("decay", np.float64),
            ("decay_step", np.float64),  # the number of epochs between two decays
            ("warmup", np.float64),  # the fraction of the horizon in which the learning rate increases
            ("factor", np.float64),
        ],
    )
)

# For losses and links; `loss` is the output.
LOSS_NUMBERS = np.dtype(
    (
        np.record,
        [
            ("link", np.int64),  # a `LinkCode`
            ("canonical", np.int64),  # whether the loss returns the delta ∂loss/∂z instead of ∂loss/∂a
            ("n_groups", np.int64),  # the number of groups of classes; 0 if the outputs form no groups
            ("smoothing", np.float64),
            ("delta", np.float64),  # Huber's δ
            ("power", np.float64),  # the Tweedie power
            ("loss", np.float64),
        ],
    )
)

# For dropout and noise: the position of a block of rows in the sequence of random numbers, and the factor of the dropout rates.
DRAW_STATE = np.dtype((np.record, [("seed", np.int64), ("step", np.int64), ("first_row", np.int64), ("strength", np.float64)]))

# For batch normalization: the rank of the thread, how often it has waited at `Scratch.barrier`, and the number of rows in a batch.
NORM_STATE = np.dtype((np.record, [("rank", np.int64), ("n_barriers", np.int64), ("n_rows", np.int64)]))


class Scratch(NamedTuple):
    """The buffers of one thread; all are flat except `exchange`, and those that a network does not need are empty.

    `activations`, `slopes`, `normalized`, `differences`, `residuals`, `products`, `unscaled`, `deltas`, `targets`, `weights` and
    `columns` contain values for a block of rows; `slopes`, `normalized`, `differences`, `residuals` and `products` have the same
    offsets as the outputs, and `unscaled` the same offsets as the activations. `residuals` are the derivatives with respect to the
    outputs of layers with residual connections. In a network of members, `products` are the weighted sums, `unscaled` the
    inputs of layers before they are multiplied by adapters, and `zeros` the biases of the products. `columns` are the columns of X
    for encoders, of which `encoders` has one `ENCODER` record each; `saved` are values that they keep for the backward pass,
    `encoding` is their scratch memory, and `constants` are numbers that are not trained. With a scaling of the inputs,
    `scaled_weights` contains the scaled W of the first layer, and `scaled_gradient` its gradient. `transposed` contains Wᵀ of all
    layers, `packed` copies of W of wide layers, `strip` copies of columns for the products, and `inv_std` the statistics of norms:
    three for each unit with batch normalization, one for each row with layer normalization. `hyperparams`, `penalties`, `schedule`,
    `loss_numbers`, `draw_state` and `norm_state` are the records above. `output_numbers` lists quantiles, or the sizes of groups of
    classes. For products of bfloat16 numbers, `weight_words` contains the words of W and Wᵀ, and `words` those of a block of rows,
    both as uint32. The threads of a team share `moving_statistics`, `exchange` and `barrier`, which batch normalization needs. In
    `epochs.train`, they also share `transposed`, `packed` and `weight_words`.
    """

    activations: np.ndarray
    slopes: np.ndarray
    normalized: np.ndarray
    differences: np.ndarray
    residuals: np.ndarray
    products: np.ndarray
    unscaled: np.ndarray
    zeros: np.ndarray
    deltas: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    columns: np.ndarray
    saved: np.ndarray
    encoding: np.ndarray
    encoders: np.ndarray
    constants: np.ndarray
    scaled_weights: np.ndarray
    scaled_gradient: np.ndarray
    transposed: np.ndarray
    packed: np.ndarray
    strip: np.ndarray
    weight_words: np.ndarray
    words: np.ndarray
    inv_std: np.ndarray
    hyperparams: np.ndarray
    penalties: np.ndarray
    schedule: np.ndarray
    loss_numbers: np.ndarray
    output_numbers: np.ndarray
    draw_state: np.ndarray
    norm_state: np.ndarray
    moving_statistics: np.ndarray
    exchange: np.ndarray
    barrier: np.ndarray
