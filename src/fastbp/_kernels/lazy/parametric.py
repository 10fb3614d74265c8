"""Parametric activations: z + α (g(z) − z), with one α for each unit, and g any activation.

For α = 0, the activation is linear; for α = 1, it is g. The functions are called for a block of rows. This module does not know
about other layers.
"""

from ..function_pointers import call
from ..jit import lazy_entry
from ..views import flat, vector


@lazy_entry
def parametric(Z, differences, slopes, alphas, activation_address):
    """Compute a = z + α (g(z) − z) in place; Z and differences (n_rows, ≥ n_units), alphas (n_units,).

    g(z) − z is written to differences and the slope 1 + α (g'(z) − 1) to slopes, unless slopes is empty.
    """
    z, before, one = flat(Z), flat(differences), Z.dtype.type(1)
    for q in range(z.size):
        before[q] = z[q]
    call(activation_address, z, slopes)
    for i in range(Z.shape[0]):
        at = i * Z.shape[1]
        a, d = vector(Z, at, alphas.size), vector(differences, at, alphas.size)
        s = vector(slopes, at, alphas.size if slopes.size else 0)
        for j in range(alphas.size):
            x = d[j]
            d[j] = a[j] - x
            a[j] = x + alphas[j] * d[j]
        for j in range(s.size):
            s[j] = one + alphas[j] * (s[j] - one)


@lazy_entry
def parametric_back(D, differences, slopes, gradient, add):
    """Compute the gradient Σ_rows d · (g(z) − z) of α, which is set, or added to if `add`; then d ← d · slope."""
    n_units, zero = gradient.size, D.dtype.type(0)
    if add == 0:
        for j in range(n_units):
            gradient[j] = zero
    for i in range(D.shape[0]):
        at = i * D.shape[1]
        d, x, s = vector(D, at, n_units), vector(differences, at, n_units), vector(slopes, at, n_units)
        for j in range(n_units):
            gradient[j] += d[j] * x[j]
            d[j] *= s[j]


PARAMETRIC = {"parametric": parametric}
PARAMETRIC_BACK = {"parametric_back": parametric_back}
