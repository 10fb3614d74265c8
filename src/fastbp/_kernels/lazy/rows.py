"""The forward pass of a few rows, one after another.

Raw rows of X and the packed parameters of a network go in; its outputs come out. The kernels for batches need more than a dozen
buffers, and passing them from Python takes longer than the arithmetic of one row. Here, all parameters are in one buffer, and each
layer is a record of `ROW_LAYER`. A product keeps up to twelve vectors of sums in registers, because the tiles for batches have too
few sums for a single row. This module does not know what the outputs mean.
"""

import numpy as np

from ..codes import ActivationCode
from ..dots import MAX_PANEL_VECTORS, panel_sums
from ..function_pointers import call
from ..jit import kernel, lazy_entry
from ..losses import link
from ..scratch import NORM_STATE
from ..tiles import lanes_of
from ..views import empty_array, matrix, stack_array, vector


def panel_widths(n_vectors):
    """Return the numbers of vectors of the panels into which the columns of a layer are divided."""
    n_panels = -(-n_vectors // MAX_PANEL_VECTORS)
    return [(n_vectors + panel) // n_panels for panel in range(n_panels)]


def row_scratch_size(widest, lanes):
    """Return the size of the scratch memory for a network whose widest layer has `widest` units, or inputs."""
    return 2 * (lanes + -(-widest // lanes) * lanes)


@kernel()
def _read_row(table, params, X, row, scratch, at):
    """Copy a row of X to scratch[at:]; with values for NaN, replace NaN by them and append the indicators."""
    n_features, fill_at = table[0].n_features, table[0].fill_at
    a, start = vector(scratch, at, table[0].n_in), row * n_features
    for j in range(n_features):
        a[j] = X[start + j]
    if fill_at >= 0:
        fill, has_indicator = vector(params, fill_at, n_features), vector(params, fill_at + n_features, n_features)
        zero, one = scratch.dtype.type(0), scratch.dtype.type(1)
        end = n_features
        for j in range(n_features):
            is_missing = np.isnan(a[j])
            if is_missing:
                a[j] = fill[j]
            if has_indicator[j] > 0:
                a[end] = one if is_missing else zero
                end += 1


def _row_product_in_numpy(params, weights_at, n_vectors, scratch, a_at, z_at, n_in):
    for width in panel_widths(n_vectors):
        stride = width * lanes_of(scratch)
        W = params[weights_at : weights_at + (n_in + 1) * stride].reshape(n_in + 1, stride)
        scratch[z_at : z_at + stride] = scratch[a_at - 1 : a_at + n_in] @ W
        weights_at, z_at = weights_at + W.size, z_at + stride


@kernel(interpreted=_row_product_in_numpy)
def _row_product(params, weights_at, n_vectors, scratch, a_at, z_at, n_in):
    """Compute z = a·W + b for a = scratch[a_at:], z = scratch[z_at:]; scratch[a_at − 1] is 1, by which b is multiplied."""
    n_panels, lanes = (n_vectors + MAX_PANEL_VECTORS - 1) // MAX_PANEL_VECTORS, lanes_of(scratch)
    for panel in range(n_panels):
        width = (n_vectors + panel) // n_panels
        stride = width * lanes
        panel_sums(params, weights_at, stride, scratch, a_at - 1, 1, scratch, z_at, n_in + 1, width)
        weights_at += (n_in + 1) * stride
        z_at += stride


@kernel()
def _apply_functions(layer, params, numbers, scratch, at):
    """Apply the norm and the activation, or the link of the last layer, to z = scratch[at:] in place."""
    Z, z = matrix(scratch, at, 1, layer.stride), vector(scratch, at, layer.stride)
    nothing, zero = vector(scratch, 0, 0), z.dtype.type(0)
    if layer.norm_address:
        gamma, beta = vector(params, layer.norm_at, layer.n_out), vector(params, layer.norm_at + layer.n_out, layer.n_out)
        doubles, exchange, barrier = vector(numbers, 0, 0), matrix(numbers, 0, 0, 0), vector(stack_array(1), 0, 0)
        no_rows, state, none = matrix(scratch, 0, 0, 0), empty_array(NORM_STATE), np.int64(0)
        call(layer.norm_address, Z, no_rows, gamma, beta, nothing, doubles, exchange, barrier, state, none, none)
    if layer.activation == ActivationCode.relu:
        for q in range(z.size):
            z[q] = zero if z[q] < zero else z[q]
    elif layer.activation == ActivationCode.by_address:
        call(layer.activation_address, z, nothing)
    if layer.link_address:
        call(layer.link_address, Z, layer.n_out, numbers)
    else:
        link(layer.link, Z, layer.n_out)


@kernel()
def _most_probable(a):
    """Return the index of the largest output, or, for a single output, 1 if it is greater than 0.5."""
    if a.size == 1:
        return np.int64(a[0] > 0.5)
    best = np.int64(0)
    for j in range(1, a.size):
        best = np.int64(j) if a[j] > a[best] else best
    return best


@kernel()
def _write_outputs(a, out, row, n_columns):
    """Write a (n_outputs,) to a row of out; if it has two columns for one output, they become 1 − a and a."""
    target, n_more = vector(out, row * n_columns, n_columns), n_columns - a.size
    if n_more:
        target[0] = a.dtype.type(1) - a[0]
    for j in range(a.size):
        target[n_more + j] = a[j]


@kernel()
def _forward_rows(table, params, numbers, X, scratch, out):
    """Compute the outputs of all rows, and return the label of the last row."""
    half, lanes, last = scratch.size // 2, lanes_of(scratch), table.shape[0] - 1
    n_rows, label = X.size // table[0].n_features, np.int64(0)
    scratch[lanes - 1] = scratch[half + lanes - 1] = 1
    for row in range(n_rows):
        at = lanes
        _read_row(table, params, X, row, scratch, at)
        for number in range(last + 1):
            layer, a_at = table[number], at
            at = half + lanes if at == lanes else lanes
            _row_product(params, layer.weights_at, layer.stride // lanes, scratch, a_at, at, layer.n_in)
            _apply_functions(layer, params, numbers, scratch, at)
        a = vector(scratch, at, table[last].n_out)
        label = _most_probable(a)
        if out.size:
            _write_outputs(a, out, row, out.size // n_rows)
    return label


@lazy_entry(nogil=False)
def short_rows(table, params, numbers, X, scratch, out):
    """Write the outputs of the rows of X to out (n_rows, n_columns), and return the label of the last row.

    X and out are flat; X may have any stride and alignment, and out may be empty. table, params and numbers are the constants of a
    `RowNetwork`, and scratch has the size `row_scratch_size`. The call keeps the GIL.
    """
    return _forward_rows(table, params, numbers, X, scratch, out)


@lazy_entry
def long_rows(table, params, numbers, X, scratch, out):
    """The same as `short_rows`, without the GIL."""
    return _forward_rows(table, params, numbers, X, scratch, out)


ROWS = {"short_rows": short_rows, "long_rows": long_rows}
