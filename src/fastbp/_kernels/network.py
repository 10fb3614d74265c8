"""One pass of rows through a network: forward to predictions, and back to the gradient.

The parameters are one flat buffer; a table of int64 says where each layer's views of it lie, so that depth and widths are data and
one compiled version serves every network. Rows pass through in blocks of bounded size. What a product, an activation or a loss
does inside is its own module's matter; updates and epochs come later.
"""

from typing import NamedTuple

import numpy as np

from .activations import ActivationCode, activate, floor_of, multiply, multiply_by_slope
from .function_pointers import call
from .jit import entry, kernel
from .lazy.losses import N_GROUPS, SUM
from .losses import LinkCode, LossCode, link, loss_and_delta
from .products import (
    backward_product,
    column_sums,
    forward_product,
    gather,
    is_sparse,
    sparse_forward_product,
    sparse_weight_gradient,
    transpose,
    weight_gradient,
)
from .views import flat, matrix, vector, without_refcounts

# The columns of a network's table, one row per layer: its sizes; where W and b start in the parameters (all weights before all
# biases); where the layer's input and output start in the activations, and how far apart their rows are (deltas lie as outputs do);
# where Wᵀ starts among the transposed weights, whose rows are as far apart as the inputs'. Then the code of its activation, and the
# address of one that is called; the addresses of a norm, forth and back, or 0; where its γ starts in the parameters (its β, where
# it has one, is as far behind as there are hidden units); where its units start among all hidden units; and what share of its
# outputs is dropped, times 2³².
N_IN, N_OUT, W_AT, B_AT, IN_AT, IN_STRIDE, OUT_AT, OUT_STRIDE, T_AT = range(9)
ACTIVATION, CALLED_AT, NORM_AT, NORM_BACK_AT, GAMMA_AT, UNIT_AT, DROP = range(9, 16)


class Scratch(NamedTuple):
    """Buffers of one thread of a fit, all flat but one, those that a network does not need being empty.

    For a block of rows: activations, slopes of called activations and what norms leave for the way back (these lie as outputs do),
    deltas, targets, weights. Then transposed weights, a factor's strip, a batch's gradient, and what a norm divides by. Numbers for
    what is called: solvers, penalties, schedules, loss and link; and the whole numbers of `called.draws` and `called.norms`. Shared
    by all threads are the moving statistics of norms, where they exchange sums, and where they wait_at_barrier for that.
    """

    activations: np.ndarray
    slopes: np.ndarray
    normed: np.ndarray
    deltas: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    transposed: np.ndarray
    strip: np.ndarray
    gradient: np.ndarray
    spread: np.ndarray
    asked: np.ndarray
    penalties: np.ndarray
    rates: np.ndarray
    of_loss: np.ndarray
    drawn: np.ndarray
    moving: np.ndarray
    exchange: np.ndarray
    barrier: np.ndarray


@kernel()
def layer_weights(table, layer, buffer):
    """W (n_in, n_out) of a layer, as a view of a flat buffer."""
    return matrix(buffer, table[layer, W_AT], table[layer, N_IN], table[layer, N_OUT])


@kernel()
def layer_biases(table, layer, buffer):
    """b (n_out,) of a layer, as a view of a flat buffer."""
    return vector(buffer, table[layer, B_AT], table[layer, N_OUT])


@kernel()
def layer_transposed(table, layer, buffer):
    """Wᵀ (n_out, ≥ n_in) of a layer but the first, as a view of a flat buffer."""
    return matrix(buffer, table[layer, T_AT], table[layer, N_OUT], table[layer, IN_STRIDE])


@kernel()
def layer_inputs(table, layer, rows, order, start, n_rows, activations):
    """A[l−1] (n_rows, ≥ n_in) of a layer; the first layer's are the data themselves where no order is given."""
    if layer == 0 and order.size == 0:
        A = matrix(rows.dense, start * table[0, N_IN], n_rows, table[0, N_IN])
    else:
        A = matrix(activations, table[layer, IN_AT], n_rows, table[layer, IN_STRIDE])
    return A


@kernel()
def layer_outputs(table, layer, n_rows, buffer):
    """A[l] or delta[l] (n_rows, ≥ n_out) of a layer, as a view of a flat buffer."""
    return matrix(buffer, table[layer, OUT_AT], n_rows, table[layer, OUT_STRIDE])


@kernel()
def transpose_weights(table, params, transposed):
    """Wᵀ of every layer but the first, for the way back."""
    for layer in range(1, table.shape[0]):
        transpose(layer_weights(table, layer, params), layer_transposed(table, layer, transposed))


@kernel(optimize=False)
def forward(settings, table, params, rows, order, start, n_rows, scratch):
    """A[l] = g(A[l−1]·W[l] + b[l]) for rows order[start:start + n_rows], link included; returns A[L] (n_rows, ≥ n_outputs)."""
    last = table.shape[0] - 1
    sparse = is_sparse(rows)
    activations = scratch.activations
    if order.size and not sparse:
        A = layer_inputs(table, 0, rows, order, start, n_rows, activations)
        gather(rows, order, start, A)
        if settings.input_noise:
            call(settings.noise_at, A, vector(scratch.slopes, 0, 0), A.shape[1], scratch.drawn, -2, settings.input_noise)
        if settings.input_drop:
            call(settings.drop_at, A, vector(scratch.slopes, 0, 0), A.shape[1], scratch.drawn, -1, settings.input_drop)
    for layer in range(last + 1):
        W, b = layer_weights(table, layer, params), layer_biases(table, layer, params)
        Z = layer_outputs(table, layer, n_rows, activations)
        floor = floor_of(table[layer, ACTIVATION]) if layer < last else -np.inf
        if layer == 0 and sparse:
            sparse_forward_product(rows, order, start, W, b, Z, floor)
        else:
            A = layer_inputs(table, layer, rows, order, start, n_rows, activations)
            forward_product(A, W, b, Z, floor, scratch.strip)
        if layer < last:
            _activate(settings, table, layer, params, Z, scratch)
        elif settings.out_activation == LinkCode.called:
            call(settings.link_at, Z, table[layer, N_OUT], scratch.of_loss)
        else:
            link(settings.out_activation, Z, table[layer, N_OUT])
    return layer_outputs(table, last, n_rows, activations)


@kernel(optimize=False)
def _activate(settings, table, layer, params, Z, scratch):
    """The norm, if any, the activation, and what is dropped of it, of a hidden layer, in place."""
    code, z = table[layer, ACTIVATION], flat(Z)
    if table[layer, NORM_AT]:
        n_hidden = table[table.shape[0] - 1, UNIT_AT]
        shift_at = table[layer, B_AT] if scratch.moving.size else table[layer, GAMMA_AT] + n_hidden
        b = vector(params, shift_at, table[layer, N_OUT])
        _norm(table, layer, table[layer, NORM_AT], params, b, Z, scratch, 4 * table[layer, UNIT_AT] + layer)
    slopes = vector(scratch.slopes, table[layer, OUT_AT], z.size if scratch.slopes.size else 0)
    if code == ActivationCode.called:
        call(table[layer, CALLED_AT], z, slopes)
    else:
        activate(code, z)
    if table[layer, DROP]:
        call(settings.drop_at, Z, slopes, table[layer, N_OUT], scratch.drawn, layer, table[layer, DROP])


@kernel(optimize=False)
def _norm(table, layer, address, params, b, Z, scratch, at):
    """Call a norm forth, with what it shifts by, or back, with where the gradient of its own parameters goes."""
    n_out, unit_at = table[layer, N_OUT], table[layer, UNIT_AT]
    n_rows = Z.shape[0] if scratch.normed.size else 0
    N = matrix(scratch.normed, table[layer, OUT_AT], n_rows, table[layer, OUT_STRIDE])
    gamma = vector(params, table[layer, GAMMA_AT], n_out)
    per_unit = scratch.moving.size > 0  # as a batch has it; a row has one number for all units, for each row of a block
    spread = vector(scratch.spread, 3 * unit_at, 3 * n_out) if per_unit else vector(scratch.spread, layer * Z.shape[0], n_rows)
    moving = vector(scratch.moving, 2 * unit_at, 2 * n_out if per_unit else 0)
    call(address, Z, N, gamma, b, spread, moving, scratch.exchange, scratch.barrier, scratch.drawn, at)


@kernel(optimize=False)
def backward(table, params, rows, order, start, n_rows, scratch, add):
    """∂/∂W[l] = A[l−1]ᵀ·delta[l], ∂/∂b[l] = Σ_rows delta[l], delta[l−1] = delta[l]·W[l]ᵀ ⊙ g'; put in or added to the gradient."""
    n_hidden = table[table.shape[0] - 1, UNIT_AT]
    for layer in range(table.shape[0] - 1, -1, -1):
        delta = layer_outputs(table, layer, n_rows, scratch.deltas)
        G = layer_weights(table, layer, scratch.gradient)
        if table[layer, NORM_BACK_AT] and not scratch.moving.size:
            g = vector(scratch.gradient, table[layer, GAMMA_AT], n_hidden + table[layer, N_OUT])
            _norm(table, layer, table[layer, NORM_BACK_AT], params, g, delta, scratch, int(add))
        column_sums(delta, layer_biases(table, layer, scratch.gradient), add, scratch.strip)
        if table[layer, NORM_BACK_AT] and scratch.moving.size:  # that of a batch shifts by the biases
            g = vector(scratch.gradient, table[layer, GAMMA_AT], table[layer, N_OUT])
            at = 4 * table[layer, UNIT_AT] + layer + 2 * g.size + 1
            _norm(table, layer, table[layer, NORM_BACK_AT], params, g, delta, scratch, at)
        if layer == 0 and is_sparse(rows):
            sparse_weight_gradient(rows, order, start, delta, G, add)
        else:
            A = layer_inputs(table, layer, rows, order, start, n_rows, scratch.activations)
            weight_gradient(A, delta, G, add, scratch.strip)
            if layer > 0:
                before = layer_outputs(table, layer - 1, n_rows, scratch.deltas)
                code = table[layer - 1, ACTIVATION]
                W_T = layer_transposed(table, layer, scratch.transposed)
                backward_product(delta, W_T, A, before, code == ActivationCode.relu, scratch.strip)
                if code == ActivationCode.called:
                    multiply(flat(before), vector(scratch.slopes, table[layer - 1, OUT_AT], before.size))
                else:
                    multiply_by_slope(code, flat(A), flat(before))


@kernel()
def gather_targets(y, weight, order, start, y_out, weight_out):
    """Copy rows order[start:start + n] (start … where order is empty) of y to y_out (n, ≥ n_columns), of weight to weight_out."""
    n_rows, n_weights = y_out.shape[0], weight_out.size if weight.size else 0
    if order.size:
        rows = vector(order, start, n_rows)
        for j in range(y.shape[1]):
            for i in range(n_rows):
                y_out[i, j] = y[rows[i], j]
        for i in range(n_weights):
            weight_out[i] = weight[rows[i]]
    else:
        for j in range(y.shape[1]):
            for i in range(n_rows):
                y_out[i, j] = y[start + i, j]
        for i in range(n_weights):
            weight_out[i] = weight[start + i]


@kernel()
def _sum(weights):
    """Σ weights; NumPy's own function takes long to compile."""
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
    return total


@kernel(optimize=False)
def loss_of_block(settings, table, params, rows, y, weight, order, start, n_rows, scratch):
    """Σ weight · loss and Σ weight of rows order[start:start + n_rows], with ∂/∂Z[L] left in the last layer's delta."""
    last = table.shape[0] - 1
    codes = y.shape[1] < table[last, N_OUT] or (settings.loss == LossCode.called and scratch.of_loss[N_GROUPS] > 0)
    n_columns = y.shape[1] if codes else table[last, OUT_STRIDE]
    targets = matrix(scratch.targets, 0, n_rows, n_columns)
    weights = vector(scratch.weights, 0, n_rows if weight.size else 0)
    gather_targets(y, weight, order, start, targets, weights)
    A = forward(settings, table, params, rows, order, start, n_rows, scratch)
    delta = layer_outputs(table, last, n_rows, scratch.deltas)
    if settings.loss == LossCode.called:
        numbers = scratch.of_loss
        call(settings.finish_at, A, scratch.targets, y.shape[1], weights, delta, table[last, N_OUT], numbers, settings.loss_at)
        loss = numbers[SUM]
    else:
        loss = float(loss_and_delta(settings.loss, settings.out_activation, A, targets, weights, delta, table[last, N_OUT]))
    return loss, _sum(weights) if weight.size else float(n_rows)


@kernel(optimize=False)
def gradient_of_block(settings, table, params, rows, y, weight, order, start, n_rows, scratch, fresh):
    """Add Σ ∂loss/∂params of rows order[start:start + n_rows] to scratch.gradient, or set it where fresh, as new parameters are.

    Returns Σ weight · loss and Σ weight; n_rows is at most settings.block_size.
    """
    if fresh:
        transpose_weights(table, params, scratch.transposed)
    sums = loss_of_block(settings, table, params, rows, y, weight, order, start, n_rows, scratch)
    backward(table, params, rows, order, start, n_rows, scratch, not fresh)
    return sums


@entry
def loss_and_gradient(settings, table, params, rows, y, weight, start, stop, scratch):
    """`gradient_of_block` over rows start to stop, in their own order, added to what rows before start have left."""
    table, params, rows, y, weight, scratch = without_refcounts(table, params, rows, y, weight, scratch)
    steering = settings[0]
    order = np.empty(0, np.int64)
    loss, weight_sum = 0.0, 0.0
    for at in range(start, stop, steering.block_size):
        n_rows = min(steering.block_size, stop - at)
        block_loss, block_weight = gradient_of_block(steering, table, params, rows, y, weight, order, at, n_rows, scratch, at == 0)
        loss += block_loss
        weight_sum += block_weight
    return loss, weight_sum


@entry
def evaluate(settings, table, params, rows, y, weight, order, start, stop, scratch):
    """Σ weight · loss and Σ weight of rows order[start:stop] (start … where order is empty)."""
    table, params, rows, order = without_refcounts(table, params, rows, order)
    y, weight, scratch = without_refcounts(y, weight, scratch)
    steering = settings[0]
    loss, weight_sum = 0.0, 0.0
    for at in range(start, stop, steering.block_size):
        n_rows = min(steering.block_size, stop - at)
        block_loss, block_weight = loss_of_block(steering, table, params, rows, y, weight, order, at, n_rows, scratch)
        loss += block_loss
        weight_sum += block_weight
    return loss, weight_sum


@entry
def predict(settings, table, params, rows, order, start, stop, scratch, out):
    """out[start:stop] = A[L] of rows order[start:stop] (start … where order is empty); out (n_rows, n_outputs)."""
    table, params, rows, order = without_refcounts(table, params, rows, order)
    scratch, out = without_refcounts(scratch, out)
    steering = settings[0]
    for at in range(start, stop, steering.block_size):
        n_rows = min(steering.block_size, stop - at)
        A = forward(steering, table, params, rows, order, at, n_rows, scratch)
        for i in range(n_rows):
            for j in range(out.shape[1]):
                out[at + i, j] = A[i, j]
