"""The layer table: one record for each layer of a network.

`Layout.layer_table` fills in sizes and offsets, `_network.kernel_settings` codes and addresses of functions; kernels read them as
``table[layer].n_in``. Depth and layer sizes are therefore data, and one compiled version serves every network. A field that ends
in ``_at`` is the index of the first element in a flat buffer; one that ends in ``_address`` is the address of a function, or 0.
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
            # in the activations: the input and output of a block of rows, and the distance between two rows; deltas have the
            # offsets and the stride of the outputs
            ("inputs_at", np.int64),
            ("input_stride", np.int64),
            ("outputs_at", np.int64),
            ("output_stride", np.int64),
            # in the transposed weights: Wᵀ, whose rows have the stride of the inputs
            ("transposed_at", np.int64),
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
            # in each thread's row of `Scratch.exchange`: the count and the two sums per unit of batch normalization's forward pass,
            # and the two sums per unit of its backward pass
            ("exchange_at", np.int64),
            ("exchange_back_at", np.int64),
            # the dropout rate of the outputs, times 2³²
            ("dropout", np.int64),
        ],
    )
)
