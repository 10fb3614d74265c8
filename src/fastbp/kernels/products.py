"""The matrix products of a layer: A·W on the way forward, Aᵀ·delta and delta·Wᵀ on the way back.

Dense factors are C-contiguous views; the first layer's A may be rows of a CSR matrix instead, which are walked, never unfolded.
Everything that multiplies matrices is here, so that what is inside can change. Bias, activation and update live elsewhere.
"""

from typing import NamedTuple

import numpy as np

from .jit import kernel
from .views import flat


class Rows(NamedTuple):
    """The inputs of a network: `dense` (n_rows, n_features), or, where that is (0, 0), the three arrays of a CSR matrix."""

    dense: np.ndarray
    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


@kernel()
def is_sparse(rows):
    return rows.indptr.size > 0


@kernel()
def gather(rows, order, start, out):
    """Copy rows order[start:start + n] (start … where order is empty) of the dense inputs to out (n, n_features)."""
    for i in range(out.shape[0]):
        r = order[start + i] if order.size else start + i
        for j in range(out.shape[1]):
            out[i, j] = rows.dense[r, j]


@kernel()
def forward_product(A, W, Z):
    """Z = A·W; A (n_rows, n_in), W (n_in, n_out), Z (n_rows, n_out)."""
    if W.shape[1] == 1:
        np.dot(A, flat(W), flat(Z))
    else:
        np.dot(A, W, Z)


@kernel()
def weight_gradient(A, delta, G):
    """G = Aᵀ·delta; A (n_rows, n_in), delta (n_rows, n_out), G (n_in, n_out)."""
    if G.shape[1] == 1:
        np.dot(flat(delta), A, flat(G))
    else:
        np.dot(A.T, delta, G)


@kernel()
def backward_product(delta, W, out):
    """out = delta·Wᵀ; delta (n_rows, n_out), W (n_in, n_out), out (n_rows, n_in)."""
    if W.shape[1] == 1:
        for i in range(out.shape[0]):
            d = delta[i, 0]
            for j in range(out.shape[1]):
                out[i, j] = d * W[j, 0]
    else:
        np.dot(delta, W.T, out)


@kernel()
def sparse_forward_product(rows, order, start, W, Z):
    """Z = A·W for CSR rows order[start:start + n_rows] (start … where order is empty); W (n_in, n_out), Z (n_rows, n_out)."""
    for i in range(Z.shape[0]):
        r = order[start + i] if order.size else start + i
        z = Z[i]
        z[:] = 0
        for q in range(rows.indptr[r], rows.indptr[r + 1]):
            _add_scaled(rows.data[q], W[rows.indices[q]], z)


@kernel()
def sparse_weight_gradient(rows, order, start, delta, G):
    """G = Aᵀ·delta for CSR rows order[start:start + n_rows]; delta (n_rows, n_out), G (n_in, n_out)."""
    G[:] = 0
    for i in range(delta.shape[0]):
        r = order[start + i] if order.size else start + i
        for q in range(rows.indptr[r], rows.indptr[r + 1]):
            _add_scaled(rows.data[q], delta[i], G[rows.indices[q]])


@kernel()
def column_sums(D, g):
    """g = Σ_rows D; D (n_rows, n_out), g (n_out,)."""
    g[:] = 0
    for i in range(D.shape[0]):
        for j in range(g.size):
            g[j] += D[i, j]


@kernel()
def _add_scaled(a, x, y):
    """y + a·x, in place; x and y of one length."""
    for j in range(y.size):
        y[j] += a * x[j]
