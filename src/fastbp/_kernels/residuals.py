"""Residual connections: a hidden layer adds its inputs to its outputs (He, Zhang, Ren and Sun 2016).

A[l] = A[l−1] + g(Z[l]), so that ∂/∂A[l−1] = delta[l]·W[l]ᵀ + ∂/∂A[l]. The second term is kept in `Scratch.residuals` before it is
multiplied by the slopes of g, which gives delta[l]. This module does not know about the other parts of a layer.
"""

from .jit import kernel
from .views import flat, vector


@kernel()
def add_inputs(row, Z, activations):
    """Add the inputs A[l−1] of a layer to its outputs Z (n_rows, stride), in place."""
    z = flat(Z)
    a = vector(activations, row.inputs_at, z.size)
    for q in range(z.size):
        z[q] += a[q]


@kernel()
def keep_derivative(row, D, residuals):
    """Copy D = ∂/∂A[l] (n_rows, stride) to the residuals."""
    d = flat(D)
    kept = vector(residuals, row.outputs_at, d.size)
    for q in range(d.size):
        kept[q] = d[q]


@kernel()
def add_kept_derivative(row, D, residuals):
    """Add the kept ∂/∂A[l] to D = delta[l]·W[l]ᵀ (n_rows, stride), in place; this gives ∂/∂A[l−1]."""
    d = flat(D)
    kept = vector(residuals, row.outputs_at, d.size)
    for q in range(d.size):
        d[q] += kept[q]
