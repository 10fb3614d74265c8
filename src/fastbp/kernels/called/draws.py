"""What is drawn anew at every step: dropout, and noise on the inputs.

A block of rows enters and changes in place. Numbers are drawn by their places, not one after another: a hash of the seed, the step,
the layer, the row within the batch and the unit. So they depend neither on blocks nor on threads, and nothing is kept between
steps.
"""

import numpy as np

from ..elementary import log
from ..jit import kernel, on_demand
from ..views import vector

# What stands in `drawn`: the seed of a fit, the step, where the block starts in its batch; of these, and what more, see `norms`.
SEED, STEP, FIRST_ROW = range(3)
_WORD = 0xFFFFFFFF  # plain integers with a mask, as the product of two uint32 is none in Numba


@kernel()
def mixed(x):
    """A hash of 32 bits in which each bit of x changes about half of all (an exclusive-or, shift and multiply of Wellons 2018)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


@kernel()
def _key(seed, step, layer, row):
    """The key of a row of a batch at a step."""
    key = mixed(mixed(seed & _WORD) ^ (step & _WORD))
    key = mixed(key ^ ((seed >> 32) & _WORD))
    key = mixed((key + 0x9E3779B9 * (layer + 1)) & _WORD)
    return mixed((key + 0x85EBCA6B * (row + 1)) & _WORD)


@on_demand
def drop(A, slopes, n_units, drawn, layer, threshold):
    """a ← 0 for a share of threshold / 2³² of the units, else a / (1 − share); the slopes, where there are any, alike."""
    zero = A.dtype.type(0)
    factor = A.dtype.type(1 / (1 - threshold / 4294967296))
    seed, step, first = int(drawn[SEED]), int(drawn[STEP]), int(drawn[FIRST_ROW])
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a, s = vector(A, i * A.shape[1], n_units), vector(slopes, i * A.shape[1], n_units if slopes.size else 0)
        for j in range(a.size):
            a[j] *= factor if mixed(key ^ (j * 0x9E3779B9 & _WORD)) >= threshold else zero
        for j in range(s.size):
            s[j] *= factor if mixed(key ^ (j * 0x9E3779B9 & _WORD)) >= threshold else zero


@on_demand
def add_noise(A, slopes, n_units, drawn, layer, deviation):
    """a ← a + deviation / 2³² times a number of the standard normal distribution (Box and Muller 1958)."""
    real, scale = A.dtype.type, A.dtype.type(deviation / 4294967296)
    unit, half, minus_two = real(1 / 4294967296), real(0.5), real(-2)
    seed, step, first = int(drawn[SEED]), int(drawn[STEP]), int(drawn[FIRST_ROW])
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a = vector(A, i * A.shape[1], n_units)
        for j in range(a.size):
            word = mixed(key ^ (j * 0x9E3779B9 & _WORD))
            radius = np.sqrt(minus_two * log((real(word) + half) * unit))
            a[j] += scale * radius * _minus_cosine(real(mixed(word ^ 0x5BD1E995)) * unit - half, real)


@kernel()
def _minus_cosine(t, real):
    """−cos(2π t) for |t| ≤ ½, within 1e-12; by Chebyshev's interpolation in 40 digits."""
    s = t * t
    p = real(-0.24374971577130713)
    p = p * s + real(1.696862015952548)
    p = p * s + real(-7.899154746434429)
    p = p * s + real(26.425615424200487)
    p = p * s + real(-60.24458609245169)
    p = p * s + real(85.45681452640346)
    p = p * s + real(-64.93939395750503)
    p = p * s + real(19.739208801568317)
    return p * s + real(-1.0)


DRAWS = {"drop": drop, "add_noise": add_noise}
