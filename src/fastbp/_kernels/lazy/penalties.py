"""Parts of an update other than the step of the solver: penalties, the weight norm limit, and the average of the parameters.

Flat arrays of the parameters that one thread updates go in and are changed in place. `numbers` is a `PENALTY_NUMBERS` record; its
field `total` receives the value of a sum. This module does not know about solvers.
"""

import numpy as np

from ..jit import EXACT, lazy_entry
from ..views import vector


@lazy_entry
def absolute_sum(w, g, numbers):
    """Compute Σ |w|."""
    total = w.dtype.type(0)
    for q in range(w.size):
        total += abs(w[q])
    numbers[0].total = total


@lazy_entry
def add_penalty_gradient(w, g, numbers):
    """Compute g ← g + alpha w + l1 sign(w)."""
    alpha, l1, zero = w.dtype.type(numbers[0].alpha), w.dtype.type(numbers[0].l1), w.dtype.type(0)
    for q in range(w.size):
        g[q] += alpha * w[q] + (l1 if w[q] > zero else (-l1 if w[q] < zero else zero))


@lazy_entry
def square_sum(w, g, numbers):
    """Compute Σ g²."""
    total = 0.0
    for q in range(g.size):
        total += float(g[q]) * float(g[q])
    numbers[0].total = total


@lazy_entry(fastmath=EXACT)
def update_average(average, w, numbers):
    """Compute average ← d average + (1 − d) w for ema_decay d (Polyak and Juditsky 1992, with exponential weights)."""
    decay, rest = w.dtype.type(numbers[0].ema_decay), w.dtype.type(1 - numbers[0].ema_decay)
    for q in range(w.size):
        average[q] = decay * average[q] + rest * w[q]


@lazy_entry
def limit_weight_norms(table, params, sums, numbers, share, n_shares):
    """Reduce the norm of the weights of each unit in a share to at most max_norm (Srivastava and others 2014).

    The weights of a unit are a column of W (n_in, n_out); `sums` is scratch memory for one number per unit.
    """
    real = params.dtype.type
    zero, one, most = real(0), real(1), real(numbers[0].max_norm)
    for layer in range(table.shape[0]):
        n_in, n_out, at = table[layer].n_in, table[layer].n_out, table[layer].weights_at
        low, high = n_out * share // n_shares, n_out * (share + 1) // n_shares
        factors = vector(sums, low, high - low)
        for j in range(factors.size):
            factors[j] = zero
        for k in range(n_in):
            w = vector(params, at + k * n_out + low, factors.size)
            for j in range(factors.size):
                factors[j] += w[j] * w[j]
        for j in range(factors.size):
            norm = np.sqrt(factors[j])
            factors[j] = most / norm if norm > most else one
        for k in range(n_in):
            w = vector(params, at + k * n_out + low, factors.size)
            for j in range(factors.size):
                w[j] *= factors[j]


PENALTIES = {function.__name__: function for function in (absolute_sum, add_penalty_gradient, square_sum, update_average)}
WEIGHT_NORM_LIMITS = {"limit_weight_norms": limit_weight_norms}
