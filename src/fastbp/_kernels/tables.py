"""The tables of a network: one record for each layer, for each range of parameters, and for each encoder of columns.

`Layout.layer_table` writes the sizes and offsets, and `_network.kernel_settings` the codes and addresses of functions. Kernels read
them as ``table[layer].n_in``. Depth and layer sizes are therefore data, and one compiled version works for every network. A field
whose name ends in ``_at`` is the index of the first element in a flat buffer; a field whose name ends in ``_address`` is the
address of a function, or 0. This module does not know how networks are computed.
"""

import numpy as np

LAYER = np.dtype(
    (
        np.record,
        [
            ("n_in", np.int64),
            ("n_out", np.int64),
            # in the parameters and in the gradient: W and b
            ("weights_at", np.int64),
            ("biases_at", np.int64),
            # in the activations: the inputs and outputs of a block of rows, and the distances between two rows; deltas have the
            # same offsets and the same stride as the outputs
            ("inputs_at", np.int64),
            ("input_stride", np.int64),
            ("outputs_at", np.int64),
            ("output_stride", np.int64),
            # in the transposed weights: Wᵀ; its size is at most n_out times the stride of the inputs
            ("transposed_at", np.int64),
            # in the packed weights: a copy of W for the forward pass, and its size, or 0 if the layer has no copy
            ("packed_at", np.int64),
            ("n_packed", np.int64),
            # for products of bfloat16 numbers: the functions, or 0; the offsets and sizes of the words of W and of Wᵀ
            ("round_weights_address", np.int64),
            ("bfloat16_forward_address", np.int64),
            ("bfloat16_gradient_address", np.int64),
            ("bfloat16_backward_address", np.int64),
            ("words_at", np.int64),
            ("n_words", np.int64),
            ("transposed_words_at", np.int64),
            ("n_transposed_words", np.int64),
            # the activation: an `ActivationCode`, and the address for `by_address`
            ("activation", np.int64),
            ("activation_address", np.int64),
            # the norm: its forward and backward functions, and its γ in the parameters; β of layer normalization follows n_hidden
            # elements later
            ("norm_address", np.int64),
            ("norm_back_address", np.int64),
            ("gamma_at", np.int64),
            # the index of the first unit among all hidden units
            ("unit_at", np.int64),
            # in each thread's row of `Scratch.exchange`, for batch normalization: the number of rows and two sums per unit in the
            # forward pass, and two sums per unit in the backward pass
            ("exchange_at", np.int64),
            ("exchange_back_at", np.int64),
            # the dropout rate of the outputs, times 2³²
            ("dropout", np.int64),
            # for parametric activations z + α (g(z) − z): the functions, and α in the parameters
            ("parametric_address", np.int64),
            ("parametric_back_address", np.int64),
            ("slopes_at", np.int64),
            # whether the inputs are added to the outputs
            ("is_residual", np.int64),
            # for members that share weights: their number; their adapters in the parameters; the functions that scale the inputs,
            # and the outputs, by the adapters; and those of the last layer, in which each member has its own weights
            ("n_members", np.int64),
            ("input_adapters_at", np.int64),
            ("output_adapters_at", np.int64),
            ("adapt_inputs_address", np.int64),
            ("adapt_inputs_back_address", np.int64),
            ("adapt_outputs_address", np.int64),
            ("adapt_outputs_back_address", np.int64),
            ("heads_address", np.int64),
            ("heads_back_address", np.int64),
            # of the first layer: the columns of X for encoders, or 0 without encoders; the number of values that encoders keep for
            # each row; and the scaling of the inputs in the parameters
            ("n_features", np.int64),
            ("n_saved", np.int64),
            ("scale_at", np.int64),
        ],
    )
)

# Ranges of parameters that a solver treats in the same way. The ranges are consecutive and cover all parameters; the first ones are
# the weights. The fields other than `start` and `stop` are factors of the values for the whole network.
SEGMENT = np.dtype(
    (
        np.record,
        [
            ("start", np.int64),
            ("stop", np.int64),
            ("rate", np.float64),  # of the learning rate
            ("alpha", np.float64),  # of the L2 penalty
            ("decay", np.float64),  # of the weight decay; the factor of the learning rate has no effect on the decay
            ("epsilon", np.float64),
        ],
    )
)

# For `lazy.rows`, which predicts single rows. A field whose name ends in ``_at`` is the index of the first element in the packed
# parameters.
ROW_LAYER = np.dtype(
    (
        np.record,
        [
            ("n_in", np.int64),
            ("n_out", np.int64),
            ("stride", np.int64),  # n_out, rounded up to whole vectors
            ("weights_at", np.int64),  # the panels of columns, each of which has b, followed by the rows of W
            ("norm_at", np.int64),  # γ and β of layer normalization
            ("norm_address", np.int64),
            ("activation", np.int64),  # an `ActivationCode`; identity for the last layer
            ("activation_address", np.int64),
            ("link", np.int64),  # of the last layer: a `LinkCode`, and the address of links that are not compiled into every fit
            ("link_address", np.int64),
            # of the first layer: the number of features, and for missing values, the values that replace NaN, followed by one flag
            # for each feature that is 1 if the feature has an indicator; -1 if no values are replaced
            ("n_features", np.int64),
            ("fill_at", np.int64),
        ],
    )
)

# For `lazy.encoders`: a group of adjacent columns that are encoded in the same way as inputs of the first layer. A field whose name
# ends in ``_at`` is a column of the matrix, or the index of the first element in the vector, that its comment names.
ENCODER = np.dtype(
    (
        np.record,
        [
            ("forward_address", np.int64),
            ("back_address", np.int64),  # 0 if the encoder has no parameters
            ("column_at", np.int64),  # in X
            ("n_columns", np.int64),
            ("output_at", np.int64),  # in the inputs of the first layer
            ("n_out", np.int64),  # of all columns of the group together
            ("params_at", np.int64),  # in the flat parameters
            ("n_params", np.int64),
            ("constants_at", np.int64),  # in the constants
            # frequencies per column, the largest number of bins of a column, or the number of codes of a categorical column
            ("n_units", np.int64),
            ("saved_at", np.int64),  # in the values that the forward pass keeps for the backward pass
            ("n_saved", np.int64),
        ],
    )
)

# For rows that are converted when they are read: the function, and the array in the memory of the user, which need not be
# contiguous. Strides are in bytes. If `center_at` is not negative, the columns are scaled: `Rows.numbers` contains the centers from
# `center_at` and the scales after them, and results are rounded to float32 after each operation if `rounds` is 1.
SOURCE = np.dtype(
    (
        np.record,
        [
            ("read_address", np.int64),
            ("first_address", np.int64),
            ("row_stride", np.int64),
            ("column_stride", np.int64),
            ("n_columns", np.int64),
            ("center_at", np.int64),
            ("rounds", np.int64),
        ],
    )
)
N_SOURCES = 3  # X, the targets and the sample weights
