"""The matrix products of a layer: A·W in the forward pass, Aᵀ·delta and delta·Wᵀ in the backward pass.

Activations and deltas are C-contiguous matrices with one row per sample. They may have more columns than the layer has units; the
additional columns have no effect on the results. Weights and gradients have no additional columns. `pack_strips` and `transpose`
copy weights so that each strip is contiguous. Every buffer has space for one more vector at its end. The inputs of the first layer
may be rows of a CSR matrix, which are never converted to dense rows. A product is computed by strips from `tiles` or, if it has few
columns, by functions of `dots`; products with one column and rows that are not whole vectors are plain loops. The only activation
in this module is ReLU, which is applied when results are stored.
"""

from typing import NamedTuple

import numpy as np

from .bfloat16 import halves_of_words
from .dots import row_dots, weighted_rows
from .integers import maximum, minimum
from .jit import kernel
from .tables import SOURCE
from .targets import VECTOR_BYTES
from .tiles import (
    TILE_ROWS,
    TILE_VECTORS,
    backward_strip,
    forward_strip,
    gradient_strip,
    lanes_of,
    pack_panel,
    transpose_tile,
)
from .views import flat, prefetch, vector

# The number of rows between the row that is gathered and the row that is prefetched. The rows of a batch are not neighbors in
# memory, so the processor cannot predict their addresses. Rows of fewer vectors than the minimum are read fast without this.
_ROWS_AHEAD, _MIN_PREFETCHED = 2, 4
_NO_SOURCES, _NO_NUMBERS = np.empty(0, SOURCE), np.empty(0)


class Rows(NamedTuple):
    """The inputs of a network: `dense` (n_rows, n_features), or, if `dense` has shape (0, 0), the three arrays of a CSR matrix.

    If some arrays are converted when they are read, `sources` (3,) describes X, the targets and the sample weights; the
    read_address of an array that is passed to the kernel itself is 0. `numbers` are the centers and scales of the sources.
    """

    dense: np.ndarray
    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    sources: np.ndarray = _NO_SOURCES
    numbers: np.ndarray = _NO_NUMBERS


@kernel()
def is_sparse(rows):
    return rows.indptr.size > 0


def _gather_in_numpy(rows, order, start, out):
    out[:, : rows.dense.shape[1]] = rows.dense[order[start : start + out.shape[0]]]


@kernel(interpreted=_gather_in_numpy)
def gather(rows, order, start, out):
    """Compute out[i] = rows.dense[order[start + i]]; out (n, n_features), with space for one more vector at its end."""
    dense, lanes = rows.dense, lanes_of(out)
    n_features = dense.shape[1]
    n_vectors = (n_features + lanes - 1) // lanes
    for i in range(out.shape[0]):
        at = order[start + i] * n_features
        if at + n_vectors * lanes <= dense.size:  # the next row overwrites the elements after the last column
            if n_vectors >= _MIN_PREFETCHED:
                next_at = order[start + minimum(i + _ROWS_AHEAD, out.shape[0] - 1)] * n_features
                for j in range(0, n_features, lanes):
                    prefetch(dense, next_at + j)
            pack_panel(n_vectors, dense, at, 0, out, i * n_features, 0, 1)
        else:
            source, target = vector(dense, at, n_features), vector(out, i * n_features, n_features)
            for j in range(n_features):
                target[j] = source[j]


@kernel(optimize=False)
def forward_product(A, W, packed, b, Z, floor, strip):
    """Compute Z = max(A·W + b, floor).

    A (n_rows, ≥ n_in), W (n_in, n_out), packed (0,) or a copy of W from `pack_strips`, b (n_out,), Z (n_rows, ≥ n_out); strip is
    scratch memory.
    """
    if _has_few_columns(A, W.shape[1]):
        _forward_few(A, W, b, Z, Z.dtype.type(floor), strip)
    elif W.shape[1] == 1:
        _forward_one(A, flat(W), b[0], flat(Z), Z.dtype.type(floor))
    else:
        forward_by_strips(A, W, packed, b, Z, Z.dtype.type(floor))


@kernel(optimize=False)
def weight_gradient(A, delta, G, add, strip):
    """Compute G = Aᵀ·delta, plus G if `add`.

    A (n_rows, ≥ n_in), delta (n_rows, ≥ n_out), G (n_in, n_out); strip is scratch memory.
    """
    if _has_few_columns(A, G.shape[1]):
        _gradient_few(A, delta, G, add, strip)
    elif G.shape[1] == 1:
        _gradient_one(A, flat(delta), flat(G), add)
    else:
        gradient_by_strips(A, delta, G, add, strip)


@kernel(optimize=False)
def backward_product(delta, W_T, A, out, relu):
    """Compute out = delta·Wᵀ; with `relu`, out is zero where A is zero.

    delta (n_rows, ≥ n_out), W_T (n_out, ≥ n_in) from `transpose`, A and out (n_rows, ≥ n_in). The columns of out after those of W_T
    are not written.
    """
    if out.shape[1] == 1:
        _backward_one(delta, flat(W_T), flat(A), flat(out), relu)
    else:
        backward_by_strips(delta, W_T, A, out, relu)


@kernel()
def column_sums(D, g, add, strip):
    """Compute g = Σ_rows D, plus g if `add`; D (n_rows, ≥ n_out), with rows of whole vectors or with one column, g (n_out,)."""
    if D.shape[1] == 1:
        d, total = flat(D), g[0] if add else g.dtype.type(0)
        for i in range(d.size):
            total += d[i]
        g[0] = total
    else:
        _column_sums_of_vectors(D, g, add, strip)


@kernel()
def _has_few_columns(A, n_columns):
    """Return whether `dots` can be used and is faster: there are few columns, and the rows of A are whole vectors."""
    whole = A.shape[1] * A.itemsize % VECTOR_BYTES == 0
    return whole and A.shape[0] >= 4 and n_columns <= 4 and 2 * n_columns * A.itemsize <= VECTOR_BYTES


def _pack_strips_in_numpy(W, packed, share, n_shares):
    pass


@kernel(interpreted=_pack_strips_in_numpy)
def pack_strips(W, packed, share, n_shares):
    """Copy W (n_in, n_out) for `forward_product`; packed (n_in · n_out, with n_out rounded up to whole vectors).

    The strips of the copy follow each other in memory, each with n_in contiguous rows. Only the strips share, share + n_shares, …
    are copied.
    """
    (n_in, n_out), lanes = W.shape, lanes_of(W)
    n_columns, j, strip = (n_out + lanes - 1) // lanes * lanes, 0, 0
    while j < n_columns:
        width = strip_width(j, n_columns, lanes)
        if strip % n_shares == share:
            pack_panel(width // lanes, W, j, n_out, packed, j * n_in, width, n_in)
        j += width
        strip += 1


def _transpose_in_numpy(W, W_T, share, n_shares):
    W_T[:, : W.shape[0]] = W.T


@kernel(interpreted=_transpose_in_numpy)
def transpose(W, W_T, share, n_shares):
    """Compute Wᵀ for `backward_product`; W (n_in, n_out), W_T (n_out, n_in rounded up to whole vectors, or 1 if n_in is 1).

    The strips of W_T follow each other in memory, each with n_out contiguous rows. Only the strips share, share + n_shares, … are
    written.
    """
    (n_in, n_out), n_columns, lanes, target = W.shape, W_T.shape[1], lanes_of(W), flat(W_T)
    n_whole, start, strip = n_out // lanes * lanes, 0, 0
    if n_out == 1:
        for i in range(n_in if share == 0 else 0):
            target[i] = W[i, 0]
        return
    while start < n_columns:
        width = strip_width(start, n_columns, lanes) if n_columns > 1 else 1
        if strip % n_shares == share:
            at, stop = start * n_out, minimum(start + width, n_in)
            whole = start + (stop - start) // lanes * lanes
            for j in range(0, n_whole, lanes):  # all rows of a strip, so that whole cache lines are written
                for i in range(start, whole, lanes):
                    transpose_tile(W, i * n_out + j, n_out, W_T, at + j * width + i - start, width)
            for j in range(n_whole if whole == stop else 0, n_out):
                for i in range(whole if j < n_whole else start, stop):
                    target[at + j * width + i - start] = W[i, j]
        start += width
        strip += 1


@kernel()
def should_pack(n_tiled, stride, strip):
    """Return whether to copy the columns of a strip to scratch memory before n_tiled rows are multiplied by them.

    With a large stride, each row is on a different page of memory, and the rows are mapped to few sets of the cache. The copy is
    contiguous.
    """
    return n_tiled >= 48 and stride * strip.itemsize >= 1024


@kernel()
def _n_columns_of_widest(n_columns, lanes):
    """Return the number of columns in strips of three vectors, or 0 if tiles have only two; the other strips have two or one."""
    n_vectors = (n_columns + lanes - 1) // lanes
    return 3 * lanes * maximum(0, (n_vectors - 2 * (-n_vectors % 3)) // 3) if TILE_VECTORS == 3 else 0


@kernel()
def strip_width(at, n_columns, lanes):
    """Return the number of columns, rounded up to whole vectors, in the strip that starts at column `at`."""
    if at < _n_columns_of_widest(n_columns, lanes):
        return TILE_VECTORS * lanes
    return 2 * lanes if n_columns - at > lanes else lanes


@kernel()
def _columns(n_columns, M, j, packed, strip):
    """Return the array, offset and stride of M[:, j : j + n_columns], which is copied to the strip if `packed`."""
    if packed:
        pack_panel(n_columns // lanes_of(M), M, j, M.shape[1], strip, 0, n_columns, M.shape[0])
        return flat(strip), 0, n_columns
    return flat(M), j, M.shape[1]


def _multiply_in_numpy(A, B):
    """Return A·B for matrices of numbers, or of words, which contain pairs of bfloat16 numbers."""
    if A.dtype != np.uint32:
        return A @ B
    return sum(a @ b for a, b in zip(halves_of_words(A), halves_of_words(B), strict=True))


def _joined_strips(strips, n_rows, n_columns):
    """Return the matrix (n_rows, n_columns) that consists of strips, which follow each other in memory."""
    lanes, at, parts = lanes_of(strips), 0, []
    while at < n_columns:
        width = strip_width(at, n_columns, lanes)
        parts.append(strips[at * n_rows : (at + width) * n_rows].reshape(n_rows, width))
        at += width
    return np.hstack(parts)[:, :n_columns]


def _forward_in_numpy(A, W, packed, b, Z, floor):
    W = _joined_strips(packed, *W.shape) if W.dtype == np.uint32 else W
    Z[:, : W.shape[1]] = np.maximum(_multiply_in_numpy(A[:, : W.shape[0]], W) + b, floor)


@kernel(interpreted=_forward_in_numpy)
def forward_by_strips(A, W, packed, b, Z, floor):
    (n_rows, lda), (n_in, n_out), ldz, lanes = A.shape, W.shape, Z.shape[1], lanes_of(A)
    is_packed, j = packed.size > 0, 0
    B = packed if is_packed else flat(W)
    while j < n_out:
        width = strip_width(j, n_out, lanes)
        b_at, ldb = (j * n_in, width) if is_packed else (j, n_out)
        if TILE_VECTORS == 3 and width > 2 * lanes:
            forward_strip(TILE_VECTORS, A, lda, B, b_at, ldb, Z, j, ldz, n_rows, n_in, b, j, floor)
        elif width > lanes:
            forward_strip(2, A, lda, B, b_at, ldb, Z, j, ldz, n_rows, n_in, b, j, floor)
        else:
            forward_strip(1, A, lda, B, b_at, ldb, Z, j, ldz, n_rows, n_in, b, j, floor)
        j += width


def _gradient_in_numpy(A, delta, G, add, strip):
    G[:] = (G if add else 0) + _multiply_in_numpy(A[:, : G.shape[0]].T, delta[:, : G.shape[1]])


@kernel(interpreted=_gradient_in_numpy)
def gradient_by_strips(A, delta, G, add, strip):
    (n_rows, lda), ldd, (n_in, n_out), lanes = A.shape, delta.shape[1], G.shape, lanes_of(A)
    packed, j = should_pack(n_in, ldd, strip), _n_columns_of_widest(n_out, lanes)
    panels = vector(strip, TILE_VECTORS * lanes * n_rows, n_in * n_rows)
    if (
        n_rows > 0 and should_pack(n_out, lda, strip) and strip.size >= (TILE_VECTORS * lanes + n_in) * n_rows
    ):  # a thread may have no rows
        _pack_panels(A, n_in, panels)
        A_at, in_panels = panels, True
    else:
        A_at, in_panels = flat(A), False
    for at in range(0, j, TILE_VECTORS * lanes):
        B, b_at, ldb = _columns(TILE_VECTORS * lanes, delta, at, packed, strip)
        n_valid = n_out - at - (TILE_VECTORS - 1) * lanes
        gradient_strip(TILE_VECTORS, A_at, lda, B, b_at, ldb, G, at, n_out, n_in, n_rows, add, in_panels, n_valid)
    while n_out - j > lanes:
        B, b_at, ldb = _columns(2 * lanes, delta, j, packed, strip)
        gradient_strip(2, A_at, lda, B, b_at, ldb, G, j, n_out, n_in, n_rows, add, in_panels, n_out - j - lanes)
        j += 2 * lanes
    if j < n_out:
        gradient_strip(1, A_at, lda, flat(delta), j, ldd, G, j, n_out, n_in, n_rows, add, in_panels, n_out - j)


@kernel()
def _pack_panels(A, n_in, panels):
    """Copy A[:, :n_in] to panels that have as many columns as a tile has rows; the rows of a panel follow each other in memory."""
    n_rows, stride = A.shape
    at = 0
    for width in TILE_ROWS:
        n_vectors = (width + lanes_of(A) - 1) // lanes_of(A)
        while at + width <= n_in:
            # the last row is copied element by element, because the memory after the user's data must not be read
            pack_panel(n_vectors, A, at, stride, panels, at * n_rows, width, n_rows - 1)
            for j in range(width):
                panels[at * n_rows + (n_rows - 1) * width + j] = A[n_rows - 1, at + j]
            at += width


def _backward_in_numpy(delta, W_T, A, out, relu):
    n_in = minimum(W_T.shape[1], out.shape[1])
    W_T = _joined_strips(flat(W_T), *W_T.shape) if W_T.dtype == np.uint32 else W_T
    out[:, :n_in] = _multiply_in_numpy(delta[:, : W_T.shape[0]], W_T)[:, :n_in]
    if relu:
        out[A == 0] = 0


@kernel(interpreted=_backward_in_numpy)
def backward_by_strips(delta, W_T, A, out, relu):
    (n_rows, ldd), (n_out, n_in), stride, lanes = delta.shape, W_T.shape, out.shape[1], lanes_of(A)
    B, j = flat(W_T), 0
    while j < n_in:
        width = strip_width(j, n_in, lanes)
        if TILE_VECTORS == 3 and width > 2 * lanes:
            backward_strip(TILE_VECTORS, delta, ldd, B, j * n_out, width, out, j, stride, n_rows, n_out, A, j, relu)
        elif width > lanes:
            backward_strip(2, delta, ldd, B, j * n_out, width, out, j, stride, n_rows, n_out, A, j, relu)
        else:
            backward_strip(1, delta, ldd, B, j * n_out, width, out, j, stride, n_rows, n_out, A, j, relu)
        j += width


def _forward_few_in_numpy(A, W, b, Z, floor, strip):
    _forward_in_numpy(A, W, None, b, Z, floor)


@kernel(interpreted=_forward_few_in_numpy)
def _forward_few(A, W, b, Z, floor, strip):
    (n_rows, a_stride), (n_in, n_out), z_stride = A.shape, W.shape, Z.shape[1]
    for j in range(n_out):
        w = flat(W) if n_out == 1 else vector(strip, 0, n_in)
        if n_out > 1:
            for k in range(n_in):
                w[k] = W[k, j]
        row_dots(A, 0, a_stride, w, 0, Z, j, z_stride, n_rows, n_in, b[j], floor)


@kernel(interpreted=_gradient_in_numpy)
def _gradient_few(A, delta, G, add, strip):
    (n_rows, a_stride), d_stride, (n_in, n_out), lanes = A.shape, delta.shape[1], G.shape, lanes_of(A)
    for j in range(n_out):
        weighted_rows(A, 0, a_stride, delta, j, d_stride, strip, 0, n_rows, (n_in + lanes - 1) // lanes)
        for k in range(n_in):
            G[k, j] = G[k, j] + strip[k] if add else strip[k]


def _column_sums_in_numpy(D, g, add, strip):
    g[:] = (g if add else 0) + D[:, : g.size].sum(axis=0)


@kernel(interpreted=_column_sums_in_numpy)
def _column_sums_of_vectors(D, g, add, strip):
    lanes = lanes_of(D)
    strip[0] = 1
    weighted_rows(D, 0, D.shape[1], strip, 0, 0, strip, lanes, D.shape[0], (g.size + lanes - 1) // lanes)
    for j in range(g.size):
        g[j] = g[j] + strip[lanes + j] if add else strip[lanes + j]


@kernel()
def _forward_one(A, w, b, z, floor):
    """Compute z = max(A·w + b, floor); A (n_rows, ≥ n_in), w (n_in,), z (n_rows,)."""
    for i in range(z.size):
        a = vector(A, i * A.shape[1], w.size)
        total = b
        for j in range(w.size):
            total += a[j] * w[j]
        z[i] = floor if total < floor else total


@kernel()
def _gradient_one(A, d, g, add):
    """Compute g = Aᵀ·d, plus g if `add`; A (n_rows, ≥ n_in), d (n_rows,), g (n_in,)."""
    if not add:
        g[:] = 0
    stride, n_rows = A.shape[1], d.size
    i = 0
    while i + 4 <= n_rows:  # four rows at a time, so that g is read and written less often
        a0, a1 = vector(A, i * stride, g.size), vector(A, (i + 1) * stride, g.size)
        a2, a3 = vector(A, (i + 2) * stride, g.size), vector(A, (i + 3) * stride, g.size)
        for j in range(g.size):
            g[j] += (d[i] * a0[j] + d[i + 1] * a1[j]) + (d[i + 2] * a2[j] + d[i + 3] * a3[j])
        i += 4
    for r in range(i, n_rows):
        add_scaled(d[r], vector(A, r * stride, g.size), g)


@kernel()
def _backward_one(delta, w, a, out, relu):
    """Compute out = delta·w, with `relu` zero where a is zero; delta (n_rows, ≥ n_out), w (n_out,), a and out (n_rows,)."""
    zero = out.dtype.type(0)
    for i in range(out.size):
        d = vector(delta, i * delta.shape[1], w.size)
        total = zero
        for j in range(w.size):
            total += d[j] * w[j]
        out[i] = zero if relu and a[i] == zero else total


@kernel()
def sparse_forward_product(rows, order, start, W, b, Z, floor):
    """Compute Z = max(A·W + b, floor) for CSR rows order[start:start + n_rows], or start to start + n_rows if order is empty."""
    n_out, low = W.shape[1], Z.dtype.type(floor)
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    for i in range(Z.shape[0]):
        r = order[start + i] if order.size else start + i
        z = vector(Z, i * Z.shape[1], n_out)
        for j in range(n_out):
            z[j] = b[j]
        for q in range(indptr[r], indptr[r + 1]):
            add_scaled(data[q], vector(W, indices[q] * n_out, n_out), z)
        for j in range(n_out):
            z[j] = low if z[j] < low else z[j]


@kernel()
def sparse_weight_gradient(rows, order, start, delta, G, add):
    """Compute G = Aᵀ·delta, plus G if `add`, for the same CSR rows; delta (n_rows, ≥ n_out), G (n_in, n_out)."""
    n_out, g = G.shape[1], flat(G)
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    if not add:
        for q in range(g.size):
            g[q] = 0
    for i in range(delta.shape[0]):
        r = order[start + i] if order.size else start + i
        d = vector(delta, i * delta.shape[1], n_out)
        for q in range(indptr[r], indptr[r + 1]):
            add_scaled(data[q], d, vector(G, indices[q] * n_out, n_out))


@kernel()
def add_scaled(a, x, y):
    """Compute y ← y + a·x; x and y (n,)."""
    for j in range(y.size):
        y[j] += a * x[j]
