"""Encoders: they compute the inputs of the first layer from columns of X.

An encoder reads a group of adjacent columns of a block of rows X (n_rows, n_features) and writes its outputs to adjacent columns of
A (n_rows, ≥ n_outputs). An `ENCODER` record has the columns and sizes. The backward function of an encoder with parameters computes
their gradient from D = ∂/∂A. params and g are the parameters of this encoder, and their gradient. g is set, or added to if `add`.
scratch has the size `encoder_scratch_size`; its contents before and after a call do not matter. A number that is not a code, such
as NaN or −1, is treated as the code 0. This module does not know how columns are scaled, or how parameters are drawn.
"""

import numpy as np

from ..formulas import clip
from ..jit import kernel, lazy_entry
from ..views import vector
from .periodic import pbld, pbld_back, periodic_scratch_size, plr, plr_back


@lazy_entry
def copy(X, A, params, saved, scratch, constants, encoders, index):
    """Copy the columns without a change."""
    encoder = encoders[index]
    for i in range(X.shape[0]):
        x = vector(X, i * X.shape[1] + encoder.column_at, encoder.n_columns)
        a = vector(A, i * A.shape[1] + encoder.output_at, encoder.n_columns)
        for j in range(a.size):
            a[j] = x[j]


# ---------------------------------------------------------------------- categories


@kernel()
def _code(x, n_codes, zero):
    """Return the code x as an integer, or 0 if x is not between 0 and n_codes − 1."""
    return np.int64(x if (x >= zero) & (x < n_codes) else zero)


@lazy_entry
def one_hot(X, A, params, saved, scratch, constants, encoders, index):
    """Set the output that belongs to the code of a column to the value "on", and the other outputs of the column to "off".

    Each column has d = n_out / n_columns outputs for its last d codes; for example, with d = n_units − 1, code 0 has no output. The
    constants from constants_at are the values "off" (n_out,), followed by the values "on" (n_out,). There are no parameters.
    """
    encoder, zero = encoders[index], X.dtype.type(0)
    d = encoder.n_out // encoder.n_columns
    n_without = encoder.n_units - d
    for i in range(X.shape[0]):
        x = vector(X, i * X.shape[1] + encoder.column_at, encoder.n_columns)
        for c in range(encoder.n_columns):
            a = vector(A, i * A.shape[1] + encoder.output_at + c * d, d)
            off = vector(constants, encoder.constants_at + c * d, d)
            on = vector(constants, encoder.constants_at + encoder.n_out + c * d, d)
            for j in range(d):
                a[j] = off[j]
            j = _code(x[c], encoder.n_units, zero) - n_without
            if j >= 0:
                a[j] = on[j]


@lazy_entry
def embedding(X, A, params, saved, scratch, constants, encoders, index):
    """Copy the row of a table that belongs to the code of a column; params contains the tables (n_columns, n_units, d)."""
    encoder, zero = encoders[index], X.dtype.type(0)
    d = encoder.n_out // encoder.n_columns
    for i in range(X.shape[0]):
        x = vector(X, i * X.shape[1] + encoder.column_at, encoder.n_columns)
        for c in range(encoder.n_columns):
            row = vector(params, (c * encoder.n_units + _code(x[c], encoder.n_units, zero)) * d, d)
            a = vector(A, i * A.shape[1] + encoder.output_at + c * d, d)
            for j in range(d):
                a[j] = row[j]


@lazy_entry
def embedding_back(X, D, params, saved, scratch, g, constants, encoders, index, add):
    """Compute the gradients of the tables of `embedding`: the sum of ∂/∂A over the rows with a code."""
    encoder, zero = encoders[index], X.dtype.type(0)
    d = encoder.n_out // encoder.n_columns
    if add == 0:
        g[:] = zero
    for i in range(X.shape[0]):
        x = vector(X, i * X.shape[1] + encoder.column_at, encoder.n_columns)
        for c in range(encoder.n_columns):
            row = vector(g, (c * encoder.n_units + _code(x[c], encoder.n_units, zero)) * d, d)
            delta = vector(D, i * D.shape[1] + encoder.output_at + c * d, d)
            for j in range(d):
                row[j] += delta[j]


# ---------------------------------------------------------------------- piecewise-linear encodings


@kernel()
def _edges_of(constants, encoder, c):
    """Return the edges of the bins of a column, one more than its bins."""
    at = encoder.constants_at + c * (encoder.n_units + 2)
    return vector(constants, at + 1, np.int64(constants[at]) + 1)


@kernel()
def _bin_and_share(x, edges, zero, one):
    """Return the number t of the bin of x, and (x − e_t) / (e_{t+1} − e_t); the first and the last bin are unbounded."""
    count = zero  # the number of inner edges that are at most x, as a float, so that the loop has only one type of vectors
    for t in range(1, edges.size - 1):
        count += one if x >= edges[t] else zero
    t = np.int64(count)
    return t, (x - edges[t]) / (edges[t + 1] - edges[t])


@lazy_entry
def piecewise_linear(X, A, params, saved, scratch, constants, encoders, index):
    """Compute u_t − m_t for each bin t of a column, with u_t = (x − e_t) / (e_{t+1} − e_t) limited to [0, 1].

    In the paper (Gorishniy, Rubachev and Babenko 2022), nothing is subtracted, and the first and the last bin have no outer limit.
    Here, outputs are centered, and numbers outside narrow bins do not have large outputs. From constants_at, each column has
    n_units + 2 constants: the number of its bins, which is at most n_units, and their edges e. A column without bins has one edge.
    Then follow the constants m of all outputs. There are no parameters.
    """
    encoder, zero, one = encoders[index], X.dtype.type(0), X.dtype.type(1)
    at, means_at = encoder.output_at, encoder.constants_at + encoder.n_columns * (encoder.n_units + 2)
    for c in range(encoder.n_columns):
        edges = _edges_of(constants, encoder, c)
        n_bins = edges.size - 1
        means = vector(constants, means_at + at - encoder.output_at, n_bins)
        for i in range(X.shape[0]):
            x, a = X[i, encoder.column_at + c], vector(A, i * A.shape[1] + at, n_bins)
            for t in range(n_bins):
                a[t] = clip((x - edges[t]) / (edges[t + 1] - edges[t]), zero, one) - means[t]
        at += n_bins


@lazy_entry
def piecewise_linear_embedding(X, A, params, saved, scratch, constants, encoders, index):
    """Compute b + w x + u·W for each column, where u is its piecewise-linear encoding.

    This is version B of the embedding in the package rtdl_num_embeddings, which TabM uses (Gorishniy, Kotelnikov and Babenko 2024).
    params contains w (n_columns, d), b (n_columns, d) with d = n_out / n_columns, and W (number of bins, d) of the first column, of
    the second column and so on. The constants are those of `piecewise_linear`, without m. The first and the last bin have no outer
    limit, as in the paper. Because u is 1 below the bin of x and 0 above it, u·W is read from the cumulative sums of the rows of W.
    """
    encoder, zero, one = encoders[index], X.dtype.type(0), X.dtype.type(1)
    n_columns, d = encoder.n_columns, encoder.n_out // encoder.n_columns
    at = 2 * n_columns * d
    for c in range(n_columns):
        edges = _edges_of(constants, encoder, c)
        n_bins = edges.size - 1
        w, sums, W = vector(params, c * d, d), vector(scratch, 0, n_bins * d), vector(params, at, n_bins * d)
        for j in range(d):
            sums[j] = params[(n_columns + c) * d + j]
        for t in range(1, n_bins):
            last, row, total = vector(sums, (t - 1) * d, d), vector(W, (t - 1) * d, d), vector(sums, t * d, d)
            for j in range(d):
                total[j] = last[j] + row[j]
        for i in range(X.shape[0]):
            x = X[i, encoder.column_at + c]
            t, share = _bin_and_share(x, edges, zero, one)
            a = vector(A, i * A.shape[1] + encoder.output_at + c * d, d)
            base, row = vector(sums, t * d, d), vector(W, t * d, d)
            for j in range(d):
                a[j] = base[j] + w[j] * x + row[j] * share
        at += n_bins * d


@lazy_entry
def piecewise_linear_embedding_back(X, D, params, saved, scratch, g, constants, encoders, index, add):
    """Compute the gradients of the parameters of `piecewise_linear_embedding`.

    The gradient of a row of W is the sum of u_t ∂/∂A. Because u_t is 1 for the rows of X in higher bins, the sums of ∂/∂A in each
    bin are added from the last bin to the first.
    """
    encoder, zero, one = encoders[index], X.dtype.type(0), X.dtype.type(1)
    n_columns, d = encoder.n_columns, encoder.n_out // encoder.n_columns
    at = 2 * n_columns * d
    if add == 0:
        g[:] = zero
    for c in range(n_columns):
        edges = _edges_of(constants, encoder, c)
        n_bins = edges.size - 1
        of_w, of_b, of_W = vector(g, c * d, d), vector(g, (n_columns + c) * d, d), vector(g, at, n_bins * d)
        sums = vector(scratch, 0, n_bins * d)
        sums[:] = zero
        for i in range(X.shape[0]):
            x = X[i, encoder.column_at + c]
            t, share = _bin_and_share(x, edges, zero, one)
            delta = vector(D, i * D.shape[1] + encoder.output_at + c * d, d)
            total, row = vector(sums, t * d, d), vector(of_W, t * d, d)
            for j in range(d):
                total[j] += delta[j]
                row[j] += share * delta[j]
                of_w[j] += x * delta[j]
        for t in range(n_bins - 2, -1, -1):
            total, higher, row = vector(sums, t * d, d), vector(sums, (t + 1) * d, d), vector(of_W, t * d, d)
            for j in range(d):
                row[j] += higher[j]
                total[j] += higher[j]
        for j in range(d):
            of_b[j] += sums[j]
        at += n_bins * d


ENCODERS = {
    "copy": copy,
    "one_hot": one_hot,
    "embedding": embedding,
    "pbld": pbld,
    "plr": plr,
    "plr_lite": plr,  # with one linear layer for all columns
    "piecewise_linear": piecewise_linear,
    "piecewise_linear_embedding": piecewise_linear_embedding,
}
ENCODERS_BACK = {
    "embedding": embedding_back,
    "pbld": pbld_back,
    "plr": plr_back,
    "plr_lite": plr_back,
    "piecewise_linear_embedding": piecewise_linear_embedding_back,
}


def encoder_scratch_size(name, n_units, n_outputs):
    """Return the size of the scratch memory of an encoder, for n_units of its record and n_outputs = n_out / n_columns."""
    if name in ("pbld", "plr", "plr_lite"):
        return periodic_scratch_size(n_outputs)
    return n_units * n_outputs if name == "piecewise_linear_embedding" else 0
