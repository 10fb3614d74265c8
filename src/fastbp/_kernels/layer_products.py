"""The matrix products of a layer with its weights, in the forward and the backward pass.

The layer table, the number of a layer, its inputs or deltas and the scratch memory of a thread go in. The table states where the
weights and their copies are, and whether factors are rounded to bfloat16; the products of such layers are called by address. This
module does not know about activations, norms and losses.
"""

from .function_pointers import call
from .input_layer import scale_weights, unscale_gradient
from .jit import kernel
from .products import backward_product, forward_product, is_sparse, pack_strips, transpose, weight_gradient
from .tiles import lanes_of
from .views import matrix, vector


@kernel()
def layer_weights(table, layer, buffer):
    """Return W (n_in, n_out) of a layer as a view of a flat buffer."""
    row = table[layer]
    return matrix(buffer, row.weights_at, row.n_in, row.n_out)


@kernel()
def product_weights(table, layer, params, scaled_weights):
    """Return the W (n_in, n_out) by which the inputs of a layer are multiplied; the first layer may have scaled weights."""
    if layer == 0 and scaled_weights.size:
        W = matrix(scaled_weights, 0, table[0].n_in, table[0].n_out)
    else:
        W = layer_weights(table, layer, params)
    return W


@kernel()
def layer_biases(table, layer, buffer):
    """Return b (n_out,) of a layer as a view of a flat buffer."""
    return vector(buffer, table[layer].biases_at, table[layer].n_out)


@kernel()
def product_biases(table, layer, params, zeros):
    """Return the b (n_out,) that is added to the products of a layer; members add their own biases later."""
    if zeros.size and table[layer].output_adapters_at:
        b = vector(zeros, 0, table[layer].n_out)
    else:
        b = layer_biases(table, layer, params)
    return b


@kernel()
def _transposed_weights(table, layer, buffer):
    """Return Wᵀ (n_out, ≥ n_in) of a layer as a view of a flat buffer, as `transpose` writes it."""
    row, lanes = table[layer], lanes_of(buffer)
    n_columns = (row.n_in + lanes - 1) // lanes * lanes if row.n_in > 1 else 1
    return matrix(buffer, row.transposed_at, row.n_out, n_columns)


@kernel()
def _packed_weights(table, layer, buffer):
    """Return the copy of W of a layer for `forward_product` as a view of a flat buffer; it is empty if the layer has none."""
    return vector(buffer, table[layer].packed_at, table[layer].n_packed)


@kernel()
def _words_of_weights(table, layer, buffer):
    return vector(buffer, table[layer].words_at, table[layer].n_words)


@kernel()
def _transposed_words_of_weights(table, layer, buffer):
    return vector(buffer, table[layer].transposed_words_at, table[layer].n_transposed_words)


@kernel()
def transpose_weights(table, params, scratch, rank, n_threads):
    """Compute Wᵀ of every layer for the backward pass; of the first layer, only if its inputs are encoded.

    As in `prepare_weights`, each of n_threads threads with the same buffer writes its strips.
    """
    for layer in range(0 if table[0].n_features else 1, table.shape[0] - (table[table.shape[0] - 1].heads_address != 0)):
        if not table[layer].round_weights_address:
            W = product_weights(table, layer, params, scratch.scaled_weights)
            transpose(W, _transposed_weights(table, layer, scratch.transposed), (rank + layer) % n_threads, n_threads)


@kernel()
def prepare_weights(table, params, rows, scratch, rank, n_threads):
    """Scale the weights of the first layer; copy W of every layer that has a copy for the forward pass, or round it to bfloat16.

    A first layer with sparse rows has no copy. If n_threads threads share the buffers of the copies, they take the strips of a copy
    in turns. The first strip of the next layer belongs to another thread, so that all threads have about the same work.
    """
    packed, weight_words = scratch.packed, scratch.weight_words
    if scratch.scaled_weights.size:
        scale_weights(table, params, scratch.scaled_weights)
    for layer in range(1 if is_sparse(rows) else 0, table.shape[0] if packed.size + weight_words.size else 0):
        share = (rank + layer) % n_threads
        if table[layer].n_packed:
            W = product_weights(table, layer, params, scratch.scaled_weights)
            pack_strips(W, _packed_weights(table, layer, packed), share, n_threads)
        elif table[layer].round_weights_address:
            W, words = product_weights(table, layer, params, scratch.scaled_weights), _words_of_weights(table, layer, weight_words)
            transposed = _transposed_words_of_weights(table, layer, weight_words)
            call(table[layer].round_weights_address, W, words, transposed, scratch.words, share, n_threads)


@kernel(optimize=False)
def multiply_by_weights(table, layer, params, A, Z, floor, scratch):
    """Compute Z = max(A·W + b, floor); A (n_rows, ≥ n_in), Z (n_rows, ≥ n_out)."""
    b, row = product_biases(table, layer, params, scratch.zeros), table[layer]
    if row.bfloat16_forward_address:
        words = _words_of_weights(table, layer, scratch.weight_words)
        call(row.bfloat16_forward_address, A, words, b, Z, row.n_in, int(floor == 0), scratch.words)
    else:
        W = product_weights(table, layer, params, scratch.scaled_weights)
        forward_product(A, W, _packed_weights(table, layer, scratch.packed), b, Z, floor, scratch.strip)


@kernel(optimize=False)
def set_weight_gradient(table, layer, params, A, delta, gradient, add, scratch):
    """Compute ∂/∂W = Aᵀ·delta in the gradient, or add to it if `add`; a first layer with scaled inputs has ∂/∂s, too."""
    row, is_scaled = table[layer], layer == 0 and scratch.scaled_weights.size > 0
    if is_scaled:
        G, adds = matrix(scratch.scaled_gradient, 0, row.n_in, row.n_out), False
    else:
        G, adds = layer_weights(table, layer, gradient), add
    if row.bfloat16_gradient_address:
        call(row.bfloat16_gradient_address, A, delta, G, int(adds), scratch.words)
    else:
        weight_gradient(A, delta, G, adds, scratch.strip)
    if is_scaled:
        unscale_gradient(table, params, scratch.scaled_gradient, gradient, add)


@kernel(optimize=False)
def multiply_by_transposed_weights(table, layer, delta, A, out, relu, scratch):
    """Compute out = delta·Wᵀ; with `relu`, out is zero where A is zero; delta (n_rows, ≥ n_out), A and out (n_rows, ≥ n_in)."""
    row = table[layer]
    if row.bfloat16_backward_address:
        words = _transposed_words_of_weights(table, layer, scratch.weight_words)
        call(row.bfloat16_backward_address, delta, words, A, out, row.n_in, row.n_out, int(relu), scratch.words)
    else:
        backward_product(delta, _transposed_weights(table, layer, scratch.transposed), A, out, relu)
