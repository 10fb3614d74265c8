"""What is drawn anew at every step: dropout, and noise on the inputs.

A block of rows enters and changes in place. Numbers are drawn by their places, not one after another: a hash of the seed, the step,
the layer, the row within the batch and the unit. So they depend neither on blocks nor on threads, and nothing is kept between
steps.
"""

import numpy as np

from ..elementary import log
from ..jit import kernel, lazy_entry
from ..views import vector

# What stands in `drawn`: the seed of a fit, the step, where the block starts in its batch; of these, and what more, see `norms`.
SEED, STEP, FIRST_ROW = range(3)
_WORD = 0xFFFFFFFF


@kernel()
def _product(x, factor):
    """x · factor modulo 2³², both uint32: Numba's product of two has 64 bits, and vectors of half as many numbers."""
    return np.uint32(np.uint64(x) * np.uint64(factor) & np.uint64(_WORD))


@kernel()
def mixed(x):
    """A hash of a uint32 in which each bit of x changes about half of all (exclusive-or, shift and multiply of Wellons 2018)."""
    x = _product(np.uint32(x ^ (x >> np.uint32(16))), np.uint32(0x7FEB352D))
    x = _product(np.uint32(x ^ (x >> np.uint32(15))), np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@kernel()
def _key(seed, step, layer, row):
    """The key of a row of a batch at a step."""
    key = mixed(np.uint32(mixed(np.uint32(seed & _WORD)) ^ np.uint32(step & _WORD)))
    key = mixed(np.uint32(key ^ np.uint32((seed >> 32) & _WORD)))
    key = mixed(np.uint32((int(key) + 0x9E3779B9 * (layer + 1)) & _WORD))
    return mixed(np.uint32((int(key) + 0x85EBCA6B * (row + 1)) & _WORD))


@kernel()
def _word(key, j):
    """The uint32 drawn for a unit."""
    return mixed(np.uint32(key ^ _product(np.uint32(j), np.uint32(0x9E3779B9))))


@lazy_entry
def drop(A, slopes, n_units, drawn, layer, threshold):
    """a ← 0 for a share of threshold / 2³² of the units, else a / (1 − share); the slopes, where there are any, alike."""
    zero, bound = A.dtype.type(0), np.uint32(threshold)
    factor = A.dtype.type(1 / (1 - threshold / 4294967296))
    seed, step, first = int(drawn[SEED]), int(drawn[STEP]), int(drawn[FIRST_ROW])
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a, s = vector(A, i * A.shape[1], n_units), vector(slopes, i * A.shape[1], n_units if slopes.size else 0)
        if s.size:
            for j in range(n_units):
                kept = factor if _word(key, j) >= bound else zero
                a[j] *= kept
                s[j] *= kept
        else:
            for j in range(n_units):
                a[j] *= factor if _word(key, j) >= bound else zero


@lazy_entry
def add_noise(A, slopes, n_units, drawn, layer, deviation):
    """a ← a + deviation / 2³² times a number of the standard normal distribution (Box and Muller 1958)."""
    real, scale = A.dtype.type, A.dtype.type(deviation / 4294967296)
    unit, half, minus_two = real(1 / 4294967296), real(0.5), real(-2)
    seed, step, first = int(drawn[SEED]), int(drawn[STEP]), int(drawn[FIRST_ROW])
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a = vector(A, i * A.shape[1], n_units)
        for j in range(a.size):
            word = _word(key, j)
            radius = np.sqrt(minus_two * log((real(word) + half) * unit))
            a[j] += scale * radius * _minus_cosine(real(mixed(np.uint32(word ^ np.uint32(0x5BD1E995)))) * unit - half, real)


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
