"""Weighted sums made standard before their activation: over the rows of a batch, or over the units of a row.

A layer's Z = A·W + b enters and becomes y = γ x̂ + β in place, x̂ being Z less its mean, over its standard deviation; on the way
back ∂/∂y becomes ∂/∂Z, and ∂/∂γ is left in the gradient. Over a batch, where any b would cancel, b itself is the shift β; the
threads of a team wait at a barrier for the sums, and moving statistics are kept for prediction, where they are folded into the weights.
"""

import numpy as np

from ..jit import kernel, lazy_entry
from ..team import wait_at_layer_barrier
from ..views import vector

EPSILON = 1e-5  # added to variances, as in PyTorch
_MOMENTUM = 0.1  # of the moving statistics, as in PyTorch
# What stands in `drawn` behind what `draws` has there: the thread's rank, how often it has met others here, and the batch's rows.
RANK, MEETINGS, N_ROWS = 3, 4, 5


@kernel()
def _four_rows(M, i, n_columns):
    """Rows i to i + 4 of M, which may be wider."""
    at, stride = i * M.shape[1], M.shape[1]
    return (
        vector(M, at, n_columns),
        vector(M, at + stride, n_columns),
        vector(M, at + 2 * stride, n_columns),
        vector(M, at + 3 * stride, n_columns),
    )


@lazy_entry
def batch_norm(Z, N, gamma, b, spread, moving, exchange, barrier, drawn, at):
    """y = γ (z − μ) / √(σ² + ε) + b over a batch, x̂ left in N (Ioffe and Szegedy 2015).

    Z and N (n_rows, ≥ n_out); gamma and b (n_out,); spread (3 n_out,) is scratch, for 1 / √(σ² + ε) first. moving (2 n_out,) holds
    the means and the variances of A·W. exchange (n_threads, ≥ at + 2 n_out + 1) is shared.
    """
    n_rows, n_out, rank, n_threads = Z.shape[0], gamma.size, drawn[RANK], exchange.shape[0]
    means, squares = vector(exchange[rank], at + 1, n_out), vector(exchange[rank], at + 1 + n_out, n_out)
    exchange[rank, at] = n_rows
    means[:] = 0.0
    squares[:] = 0.0
    whole = n_rows - n_rows % 4  # rows go in fours, as sums that lie in memory take longer than their terms
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
    wait_at_layer_barrier(barrier, drawn, MEETINGS, n_threads)
    n = 0.0
    for r in range(n_threads):
        n += exchange[r, at]
    drawn[N_ROWS] = int(n)
    for j in range(n_out):
        mean, total = 0.0, 0.0
        for r in range(n_threads):
            mean += exchange[r, at] * exchange[r, at + 1 + j]
        mean /= n
        for r in range(n_threads):  # (Chan, Golub and LeVeque 1979)
            total += exchange[r, at + 1 + n_out + j] + exchange[r, at] * (exchange[r, at + 1 + j] - mean) ** 2
        spread[j], spread[n_out + j] = 1 / np.sqrt(total / n + EPSILON), mean
        if rank == 0 and n > 1:
            moving[j] += _MOMENTUM * (mean - b[j] - moving[j])
            moving[n_out + j] += _MOMENTUM * (total / (n - 1) - moving[n_out + j])
    scales, centres = vector(spread, 0, n_out), vector(spread, n_out, n_out)
    for i in range(n_rows):
        z, x = vector(Z, i * Z.shape[1], n_out), vector(N, i * N.shape[1], n_out)
        for j in range(n_out):
            x[j] = (z[j] - centres[j]) * scales[j]
            z[j] = gamma[j] * x[j] + b[j]


@lazy_entry
def batch_norm_back(D, N, gamma, g, spread, moving, exchange, barrier, drawn, at):
    """∂/∂γ = Σ d x̂ in g, and d ← γ (d − mean d − x̂ mean d x̂) / √(σ² + ε)."""
    n_rows, n_out, rank, n_threads = D.shape[0], gamma.size, drawn[RANK], exchange.shape[0]
    totals, products = vector(exchange[rank], at, n_out), vector(exchange[rank], at + n_out, n_out)
    totals[:] = 0.0
    products[:] = 0.0
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):
        (d, d1, d2, d3), (x, x1, x2, x3) = _four_rows(D, i, n_out), _four_rows(N, i, n_out)
        for j in range(n_out):
            totals[j] += (float(d[j]) + float(d1[j])) + (float(d2[j]) + float(d3[j]))
            products[j] += (float(d[j] * x[j]) + float(d1[j] * x1[j])) + (float(d2[j] * x2[j]) + float(d3[j] * x3[j]))
    for i in range(whole, n_rows):
        d, x = vector(D, i * D.shape[1], n_out), vector(N, i * N.shape[1], n_out)
        for j in range(n_out):
            totals[j] += d[j]
            products[j] += d[j] * x[j]
    for j in range(n_out):
        g[j] = products[j]
    wait_at_layer_barrier(barrier, drawn, MEETINGS, n_threads)
    n = max(drawn[N_ROWS], 1)
    means, slopes = vector(spread, n_out, n_out), vector(spread, 2 * n_out, n_out)
    for j in range(n_out):
        total, product = 0.0, 0.0
        for r in range(n_threads):
            total += exchange[r, at + j]
            product += exchange[r, at + n_out + j]
        means[j], slopes[j] = total / n, product / n
        spread[j] *= gamma[j]
    for i in range(n_rows):
        d, x = vector(D, i * D.shape[1], n_out), vector(N, i * N.shape[1], n_out)
        for j in range(n_out):
            d[j] = spread[j] * (d[j] - means[j] - x[j] * slopes[j])


@lazy_entry
def layer_norm(Z, N, gamma, beta, spread, moving, exchange, barrier, drawn, at):
    """y = γ (z − μ) / √(σ² + ε) + β over the units of each row, x̂ left in N where it has rows (Ba, Kiros and Hinton 2016).

    spread has 1 / √(σ² + ε) of each row, where N has rows. The arguments behind it are of no use here.
    """
    n_out, real = gamma.size, Z.dtype.type
    zero, one, epsilon, size = real(0), real(1), real(EPSILON), real(gamma.size)
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
        if N.shape[0]:
            spread[i] = scale
            x = vector(N, i * N.shape[1], n_out)
            for j in range(n_out):
                x[j] = z[j] * scale
        for j in range(n_out):
            z[j] = gamma[j] * (z[j] * scale) + beta[j]


@lazy_entry
def layer_norm_back(D, N, gamma, g, spread, moving, exchange, barrier, drawn, at):
    """d ← (γ d − mean γ d − x̂ mean γ d x̂) / √(σ² + ε), over the units, and the gradients of γ, Σ d x̂, and of β, Σ d.

    These are put at the start and at the end of g or, where `at` is set, added.
    """
    n_out, real = gamma.size, D.dtype.type
    zero, size = real(0), real(gamma.size)
    of_gamma, of_beta = vector(g, 0, n_out), vector(g, g.size - n_out, n_out)
    if at == 0:
        for j in range(n_out):
            of_gamma[j] = of_beta[j] = zero
    for i in range(D.shape[0]):
        d, x = vector(D, i * D.shape[1], n_out), vector(N, i * N.shape[1], n_out)
        total, product = zero, zero
        for j in range(n_out):
            of_gamma[j] += d[j] * x[j]
            of_beta[j] += d[j]
            d[j] *= gamma[j]
            total += d[j]
            product += d[j] * x[j]
        total, product, scale = total / size, product / size, spread[i]
        for j in range(n_out):
            d[j] = scale * (d[j] - total - x[j] * product)


NORMS = {function.__name__: function for function in (batch_norm, batch_norm_back, layer_norm, layer_norm_back)}
