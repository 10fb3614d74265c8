"""What an update does beside its solver's step: penalties, limits of norms, and a moving mean of the parameters.

Flat arrays enter, of the parameters that a thread updates, and change in place; numbers enter and leave by the places named below.
"""

import numpy as np

from ..jit import EXACT, lazy_entry
from ..views import vector

# What the alpha and l1 penalties, the largest norm of a unit's weights and the mean's decay are; and the sum that a function
# leaves.
L2, L1, MAX_NORM, EMA, SUM = range(5)
N_NUMBERS = 5


@lazy_entry
def absolute_sum(w, g, numbers):
    """Σ |w|."""
    total = w.dtype.type(0)
    for q in range(w.size):
        total += abs(w[q])
    numbers[SUM] = total


@lazy_entry
def penalise(w, g, numbers):
    """g ← g + alpha w + l1 sign(w)."""
    alpha, l1, zero = w.dtype.type(numbers[L2]), w.dtype.type(numbers[L1]), w.dtype.type(0)
    for q in range(w.size):
        g[q] += alpha * w[q] + (l1 if w[q] > zero else (-l1 if w[q] < zero else zero))


@lazy_entry
def square_sum(w, g, numbers):
    """Σ g²."""
    total = 0.0
    for q in range(g.size):
        total += float(g[q]) * float(g[q])
    numbers[SUM] = total


@lazy_entry(fastmath=EXACT)
def average(mean, w, numbers):
    """mean ← d mean + (1 − d) w (Polyak and Juditsky 1992, with exponential weights)."""
    decay, rest = w.dtype.type(numbers[EMA]), w.dtype.type(1 - numbers[EMA])
    for q in range(w.size):
        mean[q] = decay * mean[q] + rest * w[q]


@lazy_entry
def hold_norms(table, params, sums, numbers, rank, n_threads):
    """Scale the weights into each unit of this thread's share down to the largest norm allowed (Srivastava and others 2014).

    The first columns of table are a layer's n_in, n_out and the start of its weights; sums is scratch for one number per unit.
    """
    real = params.dtype.type
    zero, one, most = real(0), real(1), real(numbers[MAX_NORM])
    for layer in range(table.shape[0]):
        n_in, n_out, at = table[layer, 0], table[layer, 1], table[layer, 2]
        low, high = n_out * rank // n_threads, n_out * (rank + 1) // n_threads
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


PENALTIES = {function.__name__: function for function in (absolute_sum, penalise, square_sum, average)}
