"""The forward and backward pass of a block of rows: from inputs to predictions, loss and gradient.

Rows, targets, a flat buffer of parameters and the layer table with the offsets of W and b go in. Predictions, sums of losses and a
flat gradient come out. Products, activations and losses are defined in their own modules. This module does not know about updates
and epochs.
"""

import numpy as np

from .activations import activate, floor_of, multiply, multiply_by_slope, scale
from .codes import ActivationCode, LossCode
from .formulas import dropout_factor
from .function_pointers import call
from .input_layer import columns_of_block, encode, encode_back
from .integers import minimum
from .jit import entry, kernel
from .layer_products import (
    layer_biases,
    layer_weights,
    multiply_by_transposed_weights,
    multiply_by_weights,
    prepare_weights,
    product_biases,
    product_weights,
    set_weight_gradient,
    transpose_weights,
)
from .losses import link, loss_and_delta
from .products import column_sums, gather, is_sparse, sparse_forward_product, sparse_weight_gradient
from .references import reference
from .residuals import add_inputs, add_kept_derivative, keep_derivative
from .sources import SOURCE_OF_X, gather_targets, has_source, read_source
from .views import empty_array, flat, matrix, vector

# The layer numbers from which the random numbers for the inputs are derived. The numbers of hidden layers start at 0.
_INPUT_DROPOUT, _INPUT_NOISE = -1, -2


@kernel()
def _is_gathered(rows, order):
    """Return whether dense rows are copied to scratch memory before they are used."""
    return order.size > 0 or has_source(rows, SOURCE_OF_X)


@kernel()
def layer_inputs(table, layer, rows, order, start, n_rows, activations):
    """Return A[l−1] (n_rows, ≥ n_in) of a layer; for the first layer, without order and encoders, this is a view of the data."""
    row = table[layer]
    if layer == 0 and row.n_features == 0 and not _is_gathered(rows, order):
        A = matrix(rows.dense, start * row.input_stride, n_rows, row.input_stride)
    else:
        A = matrix(activations, row.inputs_at, n_rows, row.input_stride)
    return A


@kernel()
def layer_outputs(table, layer, n_rows, buffer):
    """Return A[l] or delta[l] (n_rows, ≥ n_out) of a layer as a view of a flat buffer."""
    return matrix(buffer, table[layer].outputs_at, n_rows, table[layer].output_stride)


@kernel()
def _gather_inputs(rows, order, start, out):
    """Write X of rows order[start:start + n], or start to start + n if it is read from a source without an order, to out."""
    if has_source(rows, SOURCE_OF_X):
        read_source(rows, SOURCE_OF_X, order, start, out)
    else:
        gather(rows, order, start, out)


@kernel(optimize=False)
def forward(settings, table, params, rows, order, start, n_rows, scratch):
    """Compute A[l] = g(A[l−1]·W[l] + b[l]) for rows order[start:start + n_rows] and apply the link.

    `prepare_weights` must have been called for these parameters. Return A[L] (n_rows, ≥ n_outputs).
    """
    last = table.shape[0] - 1
    sparse = is_sparse(rows)
    activations = scratch.activations
    is_gathered = _is_gathered(rows, order)
    if not sparse and (is_gathered or table[0].n_features):
        A = layer_inputs(table, 0, rows, order, start, n_rows, activations)
        if table[0].n_features:
            X = columns_of_block(table, rows, _is_gathered(rows, order), start, n_rows, scratch.columns)
            if is_gathered:
                _gather_inputs(rows, order, start, X)
            encode(table, params, X, scratch, A)
        else:
            _gather_inputs(rows, order, start, A)
        none, draw_state = vector(scratch.slopes, 0, 0), scratch.draw_state
        if settings.input_noise:
            call(settings.noise_address, A, none, none, A.shape[1], draw_state, _INPUT_NOISE, settings.input_noise)
        if settings.input_dropout:
            rate = int(settings.input_dropout * draw_state[0].strength)
            call(settings.dropout_address, A, none, none, A.shape[1], draw_state, _INPUT_DROPOUT, rate)
        if table[0].adapt_inputs_address:
            _adapt_inputs(table, 0, params, A, start, scratch)
    for layer in range(last + 1):
        Z = layer_outputs(table, layer, n_rows, activations)
        floor = floor_of(table[layer].activation) if layer < last else -np.inf
        if layer == 0 and sparse:
            W, b = (
                product_weights(table, layer, params, scratch.scaled_weights),
                product_biases(table, layer, params, scratch.zeros),
            )
            sparse_forward_product(rows, order, start, W, b, Z, floor)
        elif table[layer].heads_address:
            A = layer_inputs(table, layer, rows, order, start, n_rows, activations)
            call(table[layer].heads_address, table, layer, params, A, Z, start)
        else:
            A = layer_inputs(table, layer, rows, order, start, n_rows, activations)
            multiply_by_weights(table, layer, params, A, Z, floor, scratch)
        if layer < last:
            _activate(settings, table, layer, params, Z, start, scratch)
        elif settings.link_address:
            call(settings.link_address, Z, table[layer].n_out, scratch.output_numbers)
        else:
            link(settings.out_activation, Z, table[layer].n_out)
    return layer_outputs(table, last, n_rows, activations)


@kernel(optimize=False)
def _adapt_inputs(table, layer, params, A, start, scratch):
    """Multiply the inputs A (n_rows, ≥ n_in) of a layer by the adapters of the members; `scratch.unscaled` keeps A for training."""
    row = table[layer]
    unscaled = matrix(scratch.unscaled, row.inputs_at, A.shape[0] if scratch.unscaled.size else 0, A.shape[1])
    call(row.adapt_inputs_address, table, layer, params, A, unscaled, start)


@kernel(optimize=False)
def _activate(settings, table, layer, params, Z, start, scratch):
    """Apply the norm, the activation and the dropout of a hidden layer in place; norm and dropout are optional.

    In a network of members, apply the adapters of the outputs before, and those of the inputs of the next layer afterwards.
    """
    row, z = table[layer], flat(Z)
    if row.adapt_outputs_address:
        products = matrix(scratch.products, row.outputs_at, Z.shape[0] if scratch.products.size else 0, Z.shape[1])
        call(row.adapt_outputs_address, table, layer, params, Z, products, start)
    if row.norm_address:
        n_hidden = table[table.shape[0] - 1].unit_at
        beta_at = row.biases_at if scratch.moving_statistics.size else row.gamma_at + n_hidden
        _norm(table, layer, row.norm_address, params, vector(params, beta_at, row.n_out), Z, scratch, row.exchange_at, False)
    has_slopes = scratch.slopes.size > 0 and row.activation == ActivationCode.by_address
    slopes = vector(scratch.slopes, row.outputs_at, z.size if has_slopes else 0)
    if row.parametric_address:
        differences, alphas = layer_outputs(table, layer, Z.shape[0], scratch.differences), vector(params, row.slopes_at, row.n_out)
        call(row.parametric_address, Z, differences, slopes, alphas, row.activation_address)
    elif row.activation == ActivationCode.by_address:
        call(row.activation_address, z, slopes)
    else:
        activate(row.activation, z)
    if row.dropout:
        rate, draw_state = _dropout_rate(row, scratch), scratch.draw_state
        differences = vector(scratch.differences, row.outputs_at, z.size if row.parametric_address else 0)
        call(settings.dropout_address, Z, slopes, differences, row.n_out, draw_state, layer, rate)
    if row.is_residual:
        add_inputs(row, Z, scratch.activations)
    if table[layer + 1].adapt_inputs_address:
        _adapt_inputs(table, layer + 1, params, Z, start, scratch)


@kernel(optimize=False)
def _norm(table, layer, address, params, beta, Z, scratch, exchange_at, add):
    """Call the forward or backward function of a norm.

    `beta` is the shift β in the forward pass, and the gradient of the norm's parameters in the backward pass.
    """
    row, per_unit = table[layer], scratch.moving_statistics.size > 0
    n_out, unit_at = row.n_out, row.unit_at
    n_rows = Z.shape[0] if scratch.normalized.size else 0
    normalized = matrix(scratch.normalized, row.outputs_at, n_rows, row.output_stride)
    gamma = vector(params, row.gamma_at, n_out)
    # batch normalization has three statistics for each unit, layer normalization one for each row of a block
    inv_std = vector(scratch.inv_std, 3 * unit_at, 3 * n_out) if per_unit else vector(scratch.inv_std, layer * Z.shape[0], n_rows)
    moving = vector(scratch.moving_statistics, 2 * unit_at, 2 * n_out if per_unit else 0)
    exchange, barrier, state = scratch.exchange, scratch.barrier, scratch.norm_state
    call(address, Z, normalized, gamma, beta, inv_std, moving, exchange, barrier, state, exchange_at, np.int64(add))


@kernel(optimize=False)
def backward(table, params, rows, order, start, n_rows, scratch, gradient, add):
    """Set the gradient (≥ n_params,), or add to it if `add`.

    ∂/∂W[l] = A[l−1]ᵀ·delta[l], ∂/∂b[l] = Σ_rows delta[l], delta[l−1] = delta[l]·W[l]ᵀ ⊙ g'(Z[l−1]).
    """
    n_hidden = table[table.shape[0] - 1].unit_at
    for layer in range(table.shape[0] - 1, -1, -1):
        row, per_unit = table[layer], scratch.moving_statistics.size > 0
        delta = layer_outputs(table, layer, n_rows, scratch.deltas)
        if row.norm_back_address and not per_unit:
            g = vector(gradient, row.gamma_at, n_hidden + row.n_out)
            _norm(table, layer, row.norm_back_address, params, g, delta, scratch, row.exchange_back_at, add)
        if row.heads_address:
            A = layer_inputs(table, layer, rows, order, start, n_rows, scratch.activations)
            before = layer_outputs(table, layer - 1, n_rows, scratch.deltas)
            call(row.heads_back_address, table, layer, params, A, delta, before, gradient, start, int(add))
            _multiply_by_slopes(table, layer - 1, A, before, scratch, gradient, add)
            continue
        if row.adapt_outputs_address:
            products = layer_outputs(table, layer, n_rows, scratch.products)
            call(row.adapt_outputs_back_address, table, layer, params, delta, products, gradient, start, int(add))
        else:
            column_sums(delta, layer_biases(table, layer, gradient), add, scratch.strip)
        if row.norm_back_address and per_unit:  # after the column sums, because b is the shift of batch normalization
            g = vector(gradient, row.gamma_at, row.n_out)
            _norm(table, layer, row.norm_back_address, params, g, delta, scratch, row.exchange_back_at, add)
        if layer == 0 and is_sparse(rows):
            sparse_weight_gradient(rows, order, start, delta, layer_weights(table, layer, gradient), add)
        else:
            A = layer_inputs(table, layer, rows, order, start, n_rows, scratch.activations)
            set_weight_gradient(table, layer, params, A, delta, gradient, add, scratch)
            if layer == 0 and row.n_features:
                before = matrix(scratch.deltas, row.inputs_at, n_rows, row.input_stride)
                multiply_by_transposed_weights(table, 0, delta, A, before, False, scratch)
                if row.adapt_inputs_address:
                    _adapt_inputs_back(table, 0, params, before, start, scratch, gradient, add)
                X = columns_of_block(table, rows, _is_gathered(rows, order), start, n_rows, scratch.columns)
                encode_back(table, params, X, scratch, before, gradient, add)
            if layer > 0:
                before = layer_outputs(table, layer - 1, n_rows, scratch.deltas)
                code = table[layer - 1].activation
                multiply_by_transposed_weights(table, layer, delta, A, before, code == ActivationCode.relu, scratch)
                if row.adapt_inputs_address:
                    _adapt_inputs_back(table, layer, params, before, start, scratch, gradient, add)
                if row.is_residual:
                    add_kept_derivative(row, before, scratch.residuals)
                _multiply_by_slopes(table, layer - 1, A, before, scratch, gradient, add)


@kernel(optimize=False)
def _adapt_inputs_back(table, layer, params, D, start, scratch, gradient, add):
    """Compute the gradient of the adapters of the inputs of a layer, and multiply D = ∂/∂(A ⊙ r) (n_rows, ≥ n_in) by them."""
    row = table[layer]
    unscaled = matrix(scratch.unscaled, row.inputs_at, D.shape[0], D.shape[1])
    call(row.adapt_inputs_back_address, table, layer, params, D, unscaled, gradient, start, int(add))


@kernel(optimize=False)
def _multiply_by_slopes(table, layer, A, delta, scratch, gradient, add):
    """Multiply delta = ∂/∂A (n_rows, ≥ n_out) of a hidden layer by the slopes of its activation.

    For parametric activations, compute the gradient of their parameters, too. A layer with a residual connection keeps delta.
    """
    row = table[layer]
    code = row.activation
    if row.is_residual:
        keep_derivative(row, delta, scratch.residuals)
    if row.parametric_back_address:
        slopes = vector(scratch.slopes, row.outputs_at, delta.size)
        g = vector(gradient, row.slopes_at, row.n_out)
        differences = layer_outputs(table, layer, delta.shape[0], scratch.differences)
        call(row.parametric_back_address, delta, differences, slopes, g, int(add))
    elif code == ActivationCode.by_address:
        multiply(flat(delta), vector(scratch.slopes, row.outputs_at, delta.size))
    else:
        multiply_by_slope(code, flat(A), flat(delta))
        if row.dropout:  # of ReLU: delta is zero where the activation is zero
            scale(flat(delta), dropout_factor(_dropout_rate(row, scratch)))


@kernel()
def _dropout_rate(row, scratch):
    """Return the dropout rate of a layer in this step, as a multiple of 2⁻³²."""
    return int(row.dropout * scratch.draw_state[0].strength)


@kernel()
def _sum_of_weights(weights):
    """Return Σ weights; NumPy's function would take long to compile."""
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
    return total


@kernel(optimize=False)
def _loss_of_outputs(settings, table, A, rows, y, weight, order, start, scratch):
    """Return Σ weight · loss and Σ weight for the outputs A (n_rows, ≥ n_outputs) of rows order[start:start + n_rows].

    Write ∂/∂Z[L] to the delta of the last layer; A is overwritten.
    """
    last, n_rows = table.shape[0] - 1, A.shape[0]
    numbers, n_outputs = scratch.loss_numbers, table[last].n_out
    codes = y.shape[1] < n_outputs or (settings.loss == LossCode.by_address and numbers[0].n_groups > 0)
    n_columns = y.shape[1] if codes else table[last].output_stride
    targets = matrix(scratch.targets, 0, n_rows, n_columns)
    weights = vector(scratch.weights, 0, n_rows if weight.size else 0)
    gather_targets(rows, y, weight, order, start, targets, weights)
    delta = layer_outputs(table, last, n_rows, scratch.deltas)
    if settings.loss == LossCode.by_address:
        address, loss_address, output_numbers = settings.output_delta_address, settings.loss_address, scratch.output_numbers
        call(address, A, scratch.targets, y.shape[1], weights, delta, n_outputs, numbers, output_numbers, loss_address)
        loss = numbers[0].loss
    else:
        loss = float(loss_and_delta(settings.loss, settings.out_activation, A, targets, weights, delta, n_outputs))
    return loss, _sum_of_weights(weights) if weight.size else float(n_rows)


@kernel(optimize=False)
def prepare_for_gradient(table, params, rows, scratch, rank, n_threads):
    """Prepare the weights for `gradient_of_block`, after each change of the parameters.

    If n_threads threads share the buffers for copies of weights, each of them must call this function with its rank.
    """
    prepare_weights(table, params, rows, scratch, rank, n_threads)
    transpose_weights(table, params, scratch, rank, n_threads)


@kernel(optimize=False)
def gradient_of_block(settings, table, params, rows, y, weight, order, start, n_rows, scratch, gradient, add):
    """Set the gradient to Σ ∂loss/∂params of rows order[start:start + n_rows], or add this sum to it if `add`.

    Return Σ weight · loss and Σ weight; n_rows is at most settings.block_size.
    """
    A = forward(settings, table, params, rows, order, start, n_rows, scratch)
    sums = _loss_of_outputs(settings, table, A, rows, y, weight, order, start, scratch)
    backward(table, params, rows, order, start, n_rows, scratch, gradient, add)
    return sums


@entry
def loss_and_gradient(settings, table, params, rows, y, weight, start, stop, scratch, gradient, first):
    """Apply `gradient_of_block` to rows start to stop, in the order of the data.

    The gradient is set if `first` is True; otherwise, it is added to.
    """
    rows, scratch = reference(rows), reference(scratch)
    options = settings[0]
    order = empty_array(np.int32)  # entries cannot allocate memory
    loss, weight_sum = 0.0, 0.0
    for at in range(start, stop, options.block_size):
        n_rows = minimum(options.block_size, stop - at)
        is_new = first and at == start
        if is_new:
            prepare_for_gradient(table, params, rows, scratch, 0, 1)
        block = gradient_of_block(options, table, params, rows, y, weight, order, at, n_rows, scratch, gradient, not is_new)
        block_loss, block_weight = block
        loss += block_loss
        weight_sum += block_weight
    return loss, weight_sum


@kernel()
def _copy_columns(A, out):
    """Copy the first columns of A (n_rows, ≥ n_outputs) to out (n_rows, n_outputs)."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = A[i, j]


@entry
def predict(settings, table, params, rows, order, start, stop, scratch, out, is_new):
    """Write A[L] of rows order[start:stop], or of rows start to stop if the order is empty, to out[start:stop].

    out has shape (n_rows, n_outputs). `is_new` is True in the first call with this scratch memory and these parameters.
    """
    rows, scratch = reference(rows), reference(scratch)
    options = settings[0]
    if is_new:
        prepare_weights(table, params, rows, scratch, 0, 1)
    for at in range(start, stop, options.block_size):
        n_rows = minimum(options.block_size, stop - at)
        A = forward(options, table, params, rows, order, at, n_rows, scratch)
        _copy_columns(A, matrix(out, at * out.shape[1], n_rows, out.shape[1]))


@entry
def evaluate(settings, table, params, rows, y, weight, order, start, stop, scratch, sums, out, is_new):
    """Write Σ weight · loss and Σ weight of each block of the same rows to sums (n_blocks, 2), and outputs as `predict`.

    start is a multiple of settings.block_size. out is empty if the outputs are not needed.
    """
    rows, scratch = reference(rows), reference(scratch)
    options = settings[0]
    if is_new:
        prepare_weights(table, params, rows, scratch, 0, 1)
    for at in range(start, stop, options.block_size):
        n_rows = minimum(options.block_size, stop - at)
        A = forward(options, table, params, rows, order, at, n_rows, scratch)
        if out.size:
            _copy_columns(A, matrix(out, at * out.shape[1], n_rows, out.shape[1]))
        loss, weight_sum = _loss_of_outputs(options, table, A, rows, y, weight, order, at, scratch)
        block = at // options.block_size
        sums[block, 0] = loss
        sums[block, 1] = weight_sum
