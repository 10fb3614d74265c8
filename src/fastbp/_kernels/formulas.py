"""Formulas for one element that several array loops share.

Numbers of one real type go in, and one number comes out. `one`, `half` and `zero` are constants of that type, because a Python
constant would convert float32 to float64. Each formula is inlined into the loops that use it. This module does not know about
arrays.
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
    """p limited to [low, high]; NaN stays NaN."""
    p = low if p < low else p
    return high if p > high else p


@kernel()
def dropout_factor(rate):
    """1 / (1 − p), by which dropout multiplies the activations that are kept; p = rate / 2³²."""
    return 1 / (1 - rate / 4294967296)
