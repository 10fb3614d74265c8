"""One pass of rows through a network: forward to predictions, and back to the gradient.

The parameters are one flat buffer; a table of int64 says where each layer's views of it lie, so that depth and widths are data and
one compiled version serves every network. Rows pass through in blocks of bounded size. What a product, an activation or a loss
does inside is its own module's matter; updates and epochs come later.
"""

from typing import NamedTuple

import numpy as np

from .activations import activate, multiply_by_slope
from .jit import entry, kernel
from .losses import link, loss_and_delta
from .products import (
    backward_product,
    column_sums,
    forward_product,
    gather,
    is_sparse,
    sparse_forward_product,
    sparse_weight_gradient,
    weight_gradient,
)
from .views import matrix, vector

# The columns of a network's table, one row per layer: its sizes; where W and b start in the parameters (all weights before all
# biases); where the layer's input and output start in the activations (deltas lie as outputs do).
N_IN, N_OUT, W_AT, B_AT, A_IN, A_OUT = range(6)


class Scratch(NamedTuple):
    """Buffers of one fit, all flat: four for one block of rows; two (n_params,) for the gradient of a batch and of its next block.

    Of these, only the batch's gradient means anything between calls, in the middle of a batch.
    """

    activations: np.ndarray
    deltas: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    gradient: np.ndarray
    spare: np.ndarray


@kernel()
def layer_weights(table, layer, flat):
    """W (n_in, n_out) of a layer, as a view of a flat buffer."""
    return matrix(flat, table[layer, W_AT], table[layer, N_IN], table[layer, N_OUT])


@kernel()
def layer_biases(table, layer, flat):
    """b (n_out,) of a layer, as a view of a flat buffer."""
    return vector(flat, table[layer, B_AT], table[layer, N_OUT])


@kernel()
def forward(settings, table, params, rows, order, start, n_rows, activations):
    """A[l] = g(A[l−1]·W[l] + b[l]) for rows order[start:start + n_rows], link included; returns A[L] (n_rows, n_outputs)."""
    last = table.shape[0] - 1
    for layer in range(last + 1):
        n_in, n_out = table[layer, N_IN], table[layer, N_OUT]
        W, b = layer_weights(table, layer, params), layer_biases(table, layer, params)
        Z = matrix(activations, table[layer, A_OUT], n_rows, n_out)
        if layer == 0 and is_sparse(rows):
            sparse_forward_product(rows, order, start, W, Z)
        else:
            A = matrix(activations, table[layer, A_IN], n_rows, n_in)
            if layer == 0:
                gather(rows, order, start, A)
            forward_product(A, W, Z)
        if layer < last:
            activate(settings.activation, Z, b)
        else:
            link(settings.out_activation, Z, b)
    return matrix(activations, table[last, A_OUT], n_rows, table[last, N_OUT])


@kernel()
def backward(settings, table, params, rows, order, start, n_rows, activations, deltas, gradient):
    """∂/∂W[l] = A[l−1]ᵀ·delta[l], ∂/∂b[l] = Σ_rows delta[l], delta[l−1] = delta[l]·W[l]ᵀ ⊙ g'; overwrites gradient (n_params,)."""
    for layer in range(table.shape[0] - 1, -1, -1):
        n_in, n_out, a_in = table[layer, N_IN], table[layer, N_OUT], table[layer, A_IN]
        delta = matrix(deltas, table[layer, A_OUT], n_rows, n_out)
        G = layer_weights(table, layer, gradient)
        column_sums(delta, layer_biases(table, layer, gradient))
        if layer == 0 and is_sparse(rows):
            sparse_weight_gradient(rows, order, start, delta, G)
        else:
            A = matrix(activations, a_in, n_rows, n_in)
            weight_gradient(A, delta, G)
            if layer > 0:
                backward_product(delta, layer_weights(table, layer, params), matrix(deltas, a_in, n_rows, n_in))
                size = n_rows * n_in
                multiply_by_slope(settings.activation, vector(activations, a_in, size), vector(deltas, a_in, size))


@kernel()
def gather_targets(y, weight, order, start, y_out, weight_out):
    """Copy rows order[start:start + n] (start … where order is empty) of y (n, n_columns), and of weight (n,) or (0,)."""
    for i in range(y_out.shape[0]):
        r = order[start + i] if order.size else start + i
        for j in range(y_out.shape[1]):
            y_out[i, j] = y[r, j]
        if weight.size:
            weight_out[i] = weight[r]


@kernel()
def gradient_of_block(settings, table, params, rows, y, weight, order, start, n_rows, scratch, fresh):
    """Add Σ ∂loss/∂params of rows order[start:start + n_rows] to scratch.gradient, or set it where fresh.

    Returns Σ weight · loss and Σ weight; n_rows is at most settings.block_size.
    """
    last = table.shape[0] - 1
    targets = matrix(scratch.targets, 0, n_rows, y.shape[1])
    weights = vector(scratch.weights, 0, n_rows if weight.size else 0)
    gather_targets(y, weight, order, start, targets, weights)
    A = forward(settings, table, params, rows, order, start, n_rows, scratch.activations)
    delta = matrix(scratch.deltas, table[last, A_OUT], n_rows, A.shape[1])
    loss = loss_and_delta(settings.loss, settings.out_activation, A, targets, weights, delta)
    gradient = scratch.gradient if fresh else scratch.spare
    backward(settings, table, params, rows, order, start, n_rows, scratch.activations, scratch.deltas, gradient)
    if not fresh:
        for q in range(gradient.size):
            scratch.gradient[q] += gradient[q]
    return loss, float(np.sum(weights) if weight.size else n_rows)


@entry
def loss_and_gradient(settings, table, params, rows, y, weight, start, stop, scratch):
    """`gradient_of_block` over rows start to stop, in their own order, added to what rows before start have left."""
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
def predict(settings, table, params, rows, order, start, stop, activations, out):
    """out[start:stop] = A[L] of rows order[start:stop] (start … where order is empty); out (n_rows, n_outputs)."""
    steering = settings[0]
    for at in range(start, stop, steering.block_size):
        n_rows = min(steering.block_size, stop - at)
        out[at : at + n_rows] = forward(steering, table, params, rows, order, at, n_rows, activations)
