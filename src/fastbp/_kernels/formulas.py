"""Formulas for one element that several array loops share.

Numbers of one real type go in, and one number comes out. `one`, `half` and `zero` are constants of that type, since a Python
constant would turn float32 into float64. Each formula is inlined into its loops.
"""

from .jit import kernel


@kernel()
def tanh_slope(a, one):
    """g'(z) = 1 − a² for a = tanh z."""
    return one - a * a


@kernel()
def logistic_slope(a, one):
    """g'(z) = a (1 − a) for a = 1 / (1 + e^−z)."""
    return a * (one - a)


@kernel()
def half_square(d, half):
    """½ d²."""
    return half * (d * d)


@kernel()
def clip(p, low, high):
    """p limited to [low, high]; NaN is passed on."""
    p = low if p < low else p
    return high if p > high else p
