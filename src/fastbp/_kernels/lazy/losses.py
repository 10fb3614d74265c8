"""What is minimised, as it is called: for each target y and output a, the loss, and its slope by a.

Flat arrays enter; the losses are left in the place of the targets, the slopes in g. Numbers of the loss stand where the names below
say. That a loss is canonical with its link means that g is the delta already. How outputs come about is the matter of `links`.
"""

import numpy as np

from ..elementary import exp, log
from ..jit import kernel, lazy_entry

# What stands among the numbers of a loss: the sum that comes out, the link's code, whether loss and link are canonical, the
# smoothing of labels, Huber's δ, the Tweedie power, how many groups of classes targets are codes of (0 where that is seen by their
# columns), the number of quantiles or groups; then the quantiles, or the sizes of the groups.
SUM, LINK, CANONICAL, SMOOTHING, DELTA, POWER, N_GROUPS, N_LIST, LIST = range(9)


@lazy_entry
def squared_error(a, y, g, numbers):
    """(a − y)² / 2."""
    half = a.dtype.type(0.5)
    for q in range(a.size):
        d = a[q] - y[q]
        g[q] = d
        y[q] = half * (d * d)


@lazy_entry
def absolute_error(a, y, g, numbers):
    """|a − y|."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for q in range(a.size):
        d = a[q] - y[q]
        g[q] = one if d > zero else (-one if d < zero else d)
        y[q] = abs(d)


@lazy_entry
def huber(a, y, g, numbers):
    """d² / 2 up to |d| = δ, from there δ (|d| − δ/2), for d = a − y (Huber 1964)."""
    delta, half = a.dtype.type(numbers[DELTA]), a.dtype.type(0.5)
    for q in range(a.size):
        d = a[q] - y[q]
        size = abs(d)
        inside = delta if d > delta else (-delta if d < -delta else d)
        g[q] = inside
        y[q] = abs(inside) * (size - half * abs(inside))


@lazy_entry
def quantile(a, y, g, numbers):
    """max(q d, (q − 1) d) for d = y − a (Koenker and Bassett 1978), of one quantile q."""
    share, zero = a.dtype.type(numbers[LIST]), a.dtype.type(0)
    rest = a.dtype.type(1 - numbers[LIST])
    for q in range(a.size):
        d = y[q] - a[q]
        g[q] = -share if d > zero else (rest if d < zero else d)
        y[q] = share * d if d > zero else -rest * d


@lazy_entry
def poisson(a, y, g, numbers):
    """Half the Poisson deviance, y ln(y / a) − y + a, with 0 ln 0 = 0."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for q in range(a.size):
        p = _positive(a[q], a.dtype.type)
        g[q] = one - y[q] / p
        y[q] = p - y[q] + (zero if y[q] == zero else y[q] * log(y[q] / p))


@lazy_entry
def gamma(a, y, g, numbers):
    """Half the gamma deviance, ln(a / y) + y / a − 1 (Jørgensen 1987)."""
    one = a.dtype.type(1)
    for q in range(a.size):
        p = _positive(a[q], a.dtype.type)
        ratio = y[q] / p
        g[q] = (one - ratio) / p
        y[q] = ratio - log(ratio) - one


@lazy_entry
def tweedie(a, y, g, numbers):
    """Half the Tweedie deviance of power p, y²⁻ᵖ/((1−p)(2−p)) − y a¹⁻ᵖ/(1−p) + a²⁻ᵖ/(2−p) (Jørgensen 1987), for 1 < p < 2."""
    real = a.dtype.type
    power, zero = real(numbers[POWER]), real(0)
    first, second = real(1 - numbers[POWER]), real(2 - numbers[POWER])
    for q in range(a.size):
        p = _positive(a[q], real)
        logarithm = log(p)
        low, high = exp(first * logarithm), exp(second * logarithm)
        of_y = zero if y[q] == zero else exp(second * log(y[q])) / (first * second)
        g[q] = (p - y[q]) * exp(-power * logarithm)
        y[q] = of_y - y[q] * low / first + high / second


@lazy_entry
def log_loss(a, y, g, numbers):
    """−ln a times the target, of a softmax, and of the other side as well below a logistic link; canonical with both."""
    real, both = a.dtype.type, numbers[LINK] == 1
    one, low = real(1), real(np.finfo(a.dtype).eps)
    for q in range(a.size):
        p, t = a[q], y[q]
        g[q] = p - t
        p = low if p < low else (one - low if p > one - low else p)
        y[q] = -(t * log(p))
        if both:
            y[q] -= (one - t) * log(one - p)


@kernel()
def _positive(a, real):
    """a, held above 0, where an output has been rounded to it; NaN passes."""
    tiny = real(1e-37)
    return tiny if a < tiny else a


LOSSES = {
    function.__name__: function for function in (squared_error, absolute_error, huber, quantile, poisson, gamma, tweedie, log_loss)
}
