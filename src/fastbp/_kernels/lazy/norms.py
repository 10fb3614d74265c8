"""Batch normalization and layer normalization of the weighted sums of a hidden layer.

The forward functions replace Z = A·W + b by y = γ x̂ + β, with x̂ = (Z − mean) / standard deviation. The backward functions replace
∂/∂y by ∂/∂Z and compute the gradients of γ and β. In batch normalization, b is used as β, because subtracting the mean cancels any
bias; the threads of a team exchange sums at a barrier. For predictions, `_network.folding` includes the moving statistics in the
weights. This module does not know about other layers.
"""

import numpy as np

from ..jit import kernel, lazy_entry
from ..team import wait_at_layer_barrier
from ..views import vector

VARIANCE_EPSILON = 1e-5  # added to variances, as in PyTorch
_MOMENTUM = 0.1  # the weight of a new batch in the moving statistics, as in PyTorch


@kernel()
def _four_rows(M, i, n_columns):
    """Return the first n_columns of rows i to i + 4 of M."""
    at, stride = i * M.shape[1], M.shape[1]
    return (
        vector(M, at, n_columns),
        vector(M, at + stride, n_columns),
        vector(M, at + 2 * stride, n_columns),
        vector(M, at + 3 * stride, n_columns),
    )


@lazy_entry
def batch_norm(Z, normalized, gamma, beta, inv_std, moving, exchange, barrier, state, exchange_at, add):
    """Compute y = γ x̂ + β with x̂ = (z − μ) / √(σ² + ε), for μ and σ² over the rows of a batch (Ioffe and Szegedy 2015).

    Z and normalized (n_rows, ≥ n_out); gamma and beta (n_out,). x̂ is written to normalized, and 1 / √(σ² + ε) and μ to inv_std
    (3 n_out,). moving (2 n_out,) contains the moving means and variances of A·W. exchange (n_threads, ≥ exchange_at + 2 n_out + 1)
    is shared by the threads.
    """
    n_rows, n_out, rank, n_threads = Z.shape[0], gamma.size, state[0].rank, exchange.shape[0]
    at = exchange_at
    means, squares = vector(exchange[rank], at + 1, n_out), vector(exchange[rank], at + 1 + n_out, n_out)
    exchange[rank, at] = n_rows
    means[:] = 0.0
    squares[:] = 0.0
    whole = n_rows - n_rows % 4  # four rows at once, because updating a sum in memory takes longer than adding its terms
    for i in range(0, whole, 4):
        z, z1, z2, z3 = _four_rows(Z, i, n_out)
        for j in range(n_out):
            means[j] += (float(z[j]) + float(z1[j])) + (float(z2[j]) + float(z3[j]))
    for i in range(whole, n_rows):
        z = vector(Z, i * Z.shape[1], n_out)
        for j in range(n_out):
            means[j] += z[j]
    for j in range(n_out):
        means[j] /= max(n_rows, 1)
    for i in range(0, whole, 4):
        z, z1, z2, z3 = _four_rows(Z, i, n_out)
        for j in range(n_out):
            mean = means[j]
            squares[j] += ((z[j] - mean) ** 2 + (z1[j] - mean) ** 2) + ((z2[j] - mean) ** 2 + (z3[j] - mean) ** 2)
    for i in range(whole, n_rows):
        z = vector(Z, i * Z.shape[1], n_out)
        for j in range(n_out):
            squares[j] += (z[j] - means[j]) ** 2
    state[0].n_barriers += 1
    wait_at_layer_barrier(barrier, state[0].n_barriers, n_threads)
    n = 0.0
    for r in range(n_threads):
        n += exchange[r, at]
    state[0].n_rows = int(n)
    for j in range(n_out):
        mean, total = 0.0, 0.0
        for r in range(n_threads):
            mean += exchange[r, at] * exchange[r, at + 1 + j]
        mean /= n
        for r in range(n_threads):  # the combined sum of squares (Chan, Golub and LeVeque 1979)
            total += exchange[r, at + 1 + n_out + j] + exchange[r, at] * (exchange[r, at + 1 + j] - mean) ** 2
        inv_std[j], inv_std[n_out + j] = 1 / np.sqrt(total / n + VARIANCE_EPSILON), mean
        if rank == 0 and n > 1:
            moving[j] += _MOMENTUM * (mean - beta[j] - moving[j])
            moving[n_out + j] += _MOMENTUM * (total / (n - 1) - moving[n_out + j])
    scales, centers = vector(inv_std, 0, n_out), vector(inv_std, n_out, n_out)
    for i in range(n_rows):
        z, x = vector(Z, i * Z.shape[1], n_out), vector(normalized, i * normalized.shape[1], n_out)
        for j in range(n_out):
            x[j] = (z[j] - centers[j]) * scales[j]
            z[j] = gamma[j] * x[j] + beta[j]


@lazy_entry
def batch_norm_back(D, normalized, gamma, g, inv_std, moving, exchange, barrier, state, exchange_at, add):
    """Compute g ← ∂/∂γ = Σ d x̂ and d ← γ (d − mean(d) − x̂ mean(d x̂)) / √(σ² + ε)."""
    n_rows, n_out, rank, n_threads = D.shape[0], gamma.size, state[0].rank, exchange.shape[0]
    at = exchange_at
    totals, products = vector(exchange[rank], at, n_out), vector(exchange[rank], at + n_out, n_out)
    totals[:] = 0.0
    products[:] = 0.0
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):
        (d, d1, d2, d3), (x, x1, x2, x3) = _four_rows(D, i, n_out), _four_rows(normalized, i, n_out)
        for j in range(n_out):
            totals[j] += (float(d[j]) + float(d1[j])) + (float(d2[j]) + float(d3[j]))
            products[j] += (float(d[j] * x[j]) + float(d1[j] * x1[j])) + (float(d2[j] * x2[j]) + float(d3[j] * x3[j]))
    for i in range(whole, n_rows):
        d, x = vector(D, i * D.shape[1], n_out), vector(normalized, i * normalized.shape[1], n_out)
        for j in range(n_out):
            totals[j] += d[j]
            products[j] += d[j] * x[j]
    for j in range(n_out):
        g[j] = products[j]
    state[0].n_barriers += 1
    wait_at_layer_barrier(barrier, state[0].n_barriers, n_threads)
    n = max(state[0].n_rows, 1)
    means, slopes = vector(inv_std, n_out, n_out), vector(inv_std, 2 * n_out, n_out)
    for j in range(n_out):
        total, product = 0.0, 0.0
        for r in range(n_threads):
            total += exchange[r, at + j]
            product += exchange[r, at + n_out + j]
        means[j], slopes[j] = total / n, product / n
        inv_std[j] *= gamma[j]
    for i in range(n_rows):
        d, x = vector(D, i * D.shape[1], n_out), vector(normalized, i * normalized.shape[1], n_out)
        for j in range(n_out):
            d[j] = inv_std[j] * (d[j] - means[j] - x[j] * slopes[j])


@lazy_entry
def layer_norm(Z, normalized, gamma, beta, inv_std, moving, exchange, barrier, state, exchange_at, add):
    """Compute y = γ x̂ + β with x̂ = (z − μ) / √(σ² + ε), for μ and σ² over the units of each row (Ba, Kiros and Hinton 2016).

    Unless normalized is empty, x̂ is written to it, and 1 / √(σ² + ε) to inv_std (n_rows,). The other arguments are not used.
    """
    n_out, real = gamma.size, Z.dtype.type
    zero, one, epsilon, size = real(0), real(1), real(VARIANCE_EPSILON), real(gamma.size)
    for i in range(Z.shape[0]):
        z = vector(Z, i * Z.shape[1], n_out)
        mean, squares = zero, zero
        for j in range(n_out):
            mean += z[j]
        mean /= size
        for j in range(n_out):
            z[j] -= mean
            squares += z[j] * z[j]
        scale = one / np.sqrt(squares / size + epsilon)
        if normalized.shape[0]:
            inv_std[i] = scale
            x = vector(normalized, i * normalized.shape[1], n_out)
            for j in range(n_out):
                x[j] = z[j] * scale
        for j in range(n_out):
            z[j] = gamma[j] * (z[j] * scale) + beta[j]


@lazy_entry
def layer_norm_back(D, normalized, gamma, g, inv_std, moving, exchange, barrier, state, exchange_at, add):
    """Compute d ← (γ d − mean(γ d) − x̂ mean(γ d x̂)) / √(σ² + ε), and the gradients Σ d x̂ of γ and Σ d of β.

    The means are over units, the sums over rows. The gradient of γ is at the start of g and that of β at the end. They are set, or
    added to if `add`.
    """
    n_out, real = gamma.size, D.dtype.type
    zero, size = real(0), real(gamma.size)
    of_gamma, of_beta = vector(g, 0, n_out), vector(g, g.size - n_out, n_out)
    if add == 0:
        for j in range(n_out):
            of_gamma[j] = of_beta[j] = zero
    for i in range(D.shape[0]):
        d, x = vector(D, i * D.shape[1], n_out), vector(normalized, i * normalized.shape[1], n_out)
        total, product = zero, zero
        for j in range(n_out):
            of_gamma[j] += d[j] * x[j]
            of_beta[j] += d[j]
            d[j] *= gamma[j]
            total += d[j]
            product += d[j] * x[j]
        total, product, scale = total / size, product / size, inv_std[i]
        for j in range(n_out):
            d[j] = scale * (d[j] - total - x[j] * product)


NORMS = {function.__name__: function for function in (batch_norm, batch_norm_back, layer_norm, layer_norm_back)}
