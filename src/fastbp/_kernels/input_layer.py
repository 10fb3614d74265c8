"""The inputs of the first dense layer: encoded columns, and weights that are multiplied by one number for each input.

Encoders compute the inputs A[0] from the columns of X; each is called by its address. An input scaling s is a layer x ⊙ s in front
of the first dense layer. It is computed as diag(s)·W, once per batch, so that no row needs additional work. This module does not
know about the other layers.
"""

from .function_pointers import call
from .jit import kernel
from .views import matrix, vector


@kernel()
def columns_of_block(table, rows, is_gathered, start, n_rows, columns):
    """Return X (n_rows, n_features) of a block of rows for the encoders.

    If `is_gathered`, this is a view of `columns`, to which the forward pass gathers the rows.
    """
    n_features = table[0].n_features
    return matrix(columns, 0, n_rows, n_features) if is_gathered else matrix(rows.dense, start * n_features, n_rows, n_features)


@kernel(optimize=False)
def encode(table, params, X, scratch, A):
    """Write the inputs A (n_rows, ≥ n_in) of the first dense layer for the columns X (n_rows, n_features)."""
    saved = matrix(scratch.saved, 0, X.shape[0] if scratch.saved.size else 0, table[0].n_saved)
    for i in range(scratch.encoders.size):
        encoder = scratch.encoders[i]
        p = vector(params, encoder.params_at, encoder.n_params)
        call(encoder.forward_address, X, A, p, saved, scratch.encoding, scratch.constants, scratch.encoders, i)


@kernel(optimize=False)
def encode_back(table, params, X, scratch, D, gradient, add):
    """Compute the gradient of the parameters of all encoders from D = ∂/∂A (n_rows, ≥ n_in)."""
    saved = matrix(scratch.saved, 0, X.shape[0] if scratch.saved.size else 0, table[0].n_saved)
    for i in range(scratch.encoders.size):
        encoder = scratch.encoders[i]
        if encoder.back_address:
            p, g = vector(params, encoder.params_at, encoder.n_params), vector(gradient, encoder.params_at, encoder.n_params)
            call(encoder.back_address, X, D, p, saved, scratch.encoding, g, scratch.constants, scratch.encoders, i, int(add))


@kernel()
def scale_weights(table, params, scaled):
    """Compute diag(s)·W of the first dense layer."""
    row = table[0]
    s = vector(params, row.scale_at, row.n_in)
    for j in range(row.n_in):
        w, out = vector(params, row.weights_at + j * row.n_out, row.n_out), vector(scaled, j * row.n_out, row.n_out)
        for k in range(row.n_out):
            out[k] = s[j] * w[k]


@kernel()
def unscale_gradient(table, params, scaled_gradient, gradient, add):
    """Compute ∂/∂W = diag(s)·G and ∂/∂s_j = Σ_k W_jk G_jk from G = ∂/∂(diag(s)·W); set both, or add to them if `add`."""
    row = table[0]
    s, g_s = vector(params, row.scale_at, row.n_in), vector(gradient, row.scale_at, row.n_in)
    for j in range(row.n_in):
        at = row.weights_at + j * row.n_out
        w, g = vector(params, at, row.n_out), vector(scaled_gradient, j * row.n_out, row.n_out)
        out, total = vector(gradient, at, row.n_out), s.dtype.type(0)
        for k in range(row.n_out):
            total += w[k] * g[k]
        if add:
            for k in range(row.n_out):
                out[k] += s[j] * g[k]
            g_s[j] += total
        else:
            for k in range(row.n_out):
                out[k] = s[j] * g[k]
            g_s[j] = total
