"""Dropout, and noise on the inputs, with new random numbers at every step.

A block of rows is changed in place. The random number generator is counter-based: each number is a hash of the seed, the step, the
layer, the row within the batch and the unit. Therefore the numbers do not depend on blocks or threads, and no state is kept between
steps. `draw_state` is a `DRAW_STATE` record. This module does not know about the other computations of a layer.
"""

import numpy as np

from ..elementary import log
from ..formulas import dropout_factor
from ..jit import kernel, lazy_entry
from ..views import vector

_WORD = 0xFFFFFFFF


@kernel()
def _product(x, factor):
    """Return x · factor modulo 2³² for two uint32; Numba's own product has 64 bits, so that half as many fit into a vector."""
    return np.uint32(np.uint64(x) * np.uint64(factor) & np.uint64(_WORD))


@kernel()
def mix_bits(x):
    """Return a hash of a uint32; each bit of x changes about half of the bits of the hash (xor, shift, multiply; Wellons 2018)."""
    x = _product(np.uint32(x ^ (x >> np.uint32(16))), np.uint32(0x7FEB352D))
    x = _product(np.uint32(x ^ (x >> np.uint32(15))), np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@kernel()
def _key(seed, step, layer, row):
    """Return the key of a row of the batch of a step."""
    key = mix_bits(np.uint32(mix_bits(np.uint32(seed & _WORD)) ^ np.uint32(step & _WORD)))
    key = mix_bits(np.uint32(key ^ np.uint32((seed >> 32) & _WORD)))
    key = mix_bits(np.uint32((int(key) + 0x9E3779B9 * (layer + 1)) & _WORD))
    return mix_bits(np.uint32((int(key) + 0x85EBCA6B * (row + 1)) & _WORD))


@kernel()
def _word(key, j):
    """Return the random uint32 of a unit."""
    return mix_bits(np.uint32(key ^ _product(np.uint32(j), np.uint32(0x9E3779B9))))


@lazy_entry
def drop(A, slopes, differences, n_units, draw_state, layer, rate):
    """Set a to 0 with probability p = rate / 2³², otherwise to a / (1 − p).

    Unless they are empty, the slopes and the differences of parametric activations are changed in the same way.
    """
    zero, bound = A.dtype.type(0), np.uint32(rate)
    factor = A.dtype.type(dropout_factor(rate))
    seed, step, first = int(draw_state[0].seed), int(draw_state[0].step), int(draw_state[0].first_row)
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a, s = vector(A, i * A.shape[1], n_units), vector(slopes, i * A.shape[1], n_units if slopes.size else 0)
        d = vector(differences, i * A.shape[1], n_units if differences.size else 0)
        if d.size:
            for j in range(n_units):
                kept = factor if _word(key, j) >= bound else zero
                a[j] *= kept
                s[j] *= kept
                d[j] *= kept
        elif s.size:
            for j in range(n_units):
                kept = factor if _word(key, j) >= bound else zero
                a[j] *= kept
                s[j] *= kept
        else:
            for j in range(n_units):
                a[j] *= factor if _word(key, j) >= bound else zero


@lazy_entry
def add_noise(A, slopes, differences, n_units, draw_state, layer, deviation):
    """Compute a ← a + deviation / 2³² · r, for r from the standard normal distribution (Box and Muller 1958)."""
    real, scale = A.dtype.type, A.dtype.type(deviation / 4294967296)
    unit, half, minus_two = real(1 / 4294967296), real(0.5), real(-2)
    seed, step, first = int(draw_state[0].seed), int(draw_state[0].step), int(draw_state[0].first_row)
    for i in range(A.shape[0]):
        key = _key(seed, step, layer, first + i)
        a = vector(A, i * A.shape[1], n_units)
        for j in range(a.size):
            word = _word(key, j)
            radius = np.sqrt(minus_two * log((real(word) + half) * unit))
            a[j] += scale * radius * _minus_cosine(real(mix_bits(np.uint32(word ^ np.uint32(0x5BD1E995)))) * unit - half, real)


@kernel()
def _minus_cosine(t, real):
    """Return −cos(2π t) for |t| ≤ ½, within 1e-12; coefficients by Chebyshev interpolation in 40 digits."""
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
