"""Losses: for each target y and output a, the loss and its derivative with respect to a.

Flat arrays go in. The function replaces each target in y by the loss and writes the derivative to g. `numbers` is a `LOSS_NUMBERS`
record, and `output_numbers` lists the quantiles. A loss that is canonical with its link writes the delta to g instead. A new loss
is added as a function in this module, an entry in `LOSSES`, and its links in `_network.losses`. Apart from this, the module does
not know about links.
"""

import numpy as np

from ..codes import LinkCode
from ..elementary import exp, log
from ..formulas import clip, half_square
from ..jit import kernel, lazy_entry


@lazy_entry
def squared_error(a, y, g, numbers, output_numbers):
    """(a − y)² / 2."""
    half = a.dtype.type(0.5)
    for q in range(a.size):
        d = a[q] - y[q]
        g[q] = d
        y[q] = half_square(d, half)


@lazy_entry
def absolute_error(a, y, g, numbers, output_numbers):
    """|a − y|."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for q in range(a.size):
        d = a[q] - y[q]
        g[q] = one if d > zero else (-one if d < zero else d)
        y[q] = abs(d)


@lazy_entry
def huber(a, y, g, numbers, output_numbers):
    """d² / 2 for |d| ≤ δ, otherwise δ (|d| − δ/2), with d = a − y (Huber 1964)."""
    delta, half = a.dtype.type(numbers[0].delta), a.dtype.type(0.5)
    for q in range(a.size):
        d = a[q] - y[q]
        size = abs(d)
        inside = delta if d > delta else (-delta if d < -delta else d)
        g[q] = inside
        y[q] = abs(inside) * (size - half * abs(inside))


@lazy_entry
def quantile(a, y, g, numbers, output_numbers):
    """max(q d, (q − 1) d) for d = y − a and one quantile q (Koenker and Bassett 1978)."""
    share, zero = a.dtype.type(output_numbers[0]), a.dtype.type(0)
    rest = a.dtype.type(1 - output_numbers[0])
    for q in range(a.size):
        d = y[q] - a[q]
        g[q] = -share if d > zero else (rest if d < zero else d)
        y[q] = share * d if d > zero else -rest * d


@lazy_entry
def poisson(a, y, g, numbers, output_numbers):
    """Half the Poisson deviance, y ln(y / a) − y + a, with 0 ln 0 = 0.

    `_kernels.losses` has the same formula. With shared code, the compiler would order the sum differently and round differently.
    """
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for q in range(a.size):
        p = _positive(a[q], a.dtype.type)
        g[q] = one - y[q] / p
        y[q] = p - y[q] + (zero if y[q] == zero else y[q] * log(y[q] / p))


@lazy_entry
def gamma(a, y, g, numbers, output_numbers):
    """Half the gamma deviance, ln(a / y) + y / a − 1 (Jørgensen 1987)."""
    one = a.dtype.type(1)
    for q in range(a.size):
        p = _positive(a[q], a.dtype.type)
        ratio = y[q] / p
        g[q] = (one - ratio) / p
        y[q] = ratio - log(ratio) - one


@lazy_entry
def tweedie(a, y, g, numbers, output_numbers):
    """Half the Tweedie deviance of power p, y²⁻ᵖ/((1−p)(2−p)) − y a¹⁻ᵖ/(1−p) + a²⁻ᵖ/(2−p) (Jørgensen 1987), for 1 < p < 2."""
    real = a.dtype.type
    power, zero = real(numbers[0].power), real(0)
    first, second = real(1 - numbers[0].power), real(2 - numbers[0].power)
    for q in range(a.size):
        p = _positive(a[q], real)
        logarithm = log(p)
        low, high = exp(first * logarithm), exp(second * logarithm)
        of_y = zero if y[q] == zero else exp(second * log(y[q])) / (first * second)
        g[q] = (p - y[q]) * exp(-power * logarithm)
        y[q] = of_y - y[q] * low / first + high / second


@lazy_entry
def log_loss(a, y, g, numbers, output_numbers):
    """−y ln a for a softmax, and −y ln a − (1 − y) ln(1 − a) for a logistic link; canonical with both.

    The loss in `_kernels.losses` computes one logarithm instead of two, which is possible only if y is exactly 0 or 1.
    """
    real, both = a.dtype.type, numbers[0].link == LinkCode.logistic
    one, low = real(1), real(np.finfo(a.dtype).eps)
    for q in range(a.size):
        p, t = a[q], y[q]
        g[q] = p - t
        p = clip(p, low, one - low)
        y[q] = -(t * log(p))
        if both:
            y[q] -= (one - t) * log(one - p)


@kernel()
def _positive(a, real):
    """Return a, or a tiny positive number if an output was rounded to 0; NaN stays NaN."""
    tiny = real(1e-37)
    return tiny if a < tiny else a


LOSSES = {
    function.__name__: function for function in (squared_error, absolute_error, huber, quantile, poisson, gamma, tweedie, log_loss)
}
