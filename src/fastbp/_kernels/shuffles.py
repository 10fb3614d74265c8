"""The shuffles of scikit-learn, drawn inside a kernel.

The state of a NumPy ``RandomState`` enters as two arrays and leaves advanced by exactly the words that its own ``shuffle`` would
have drawn, so that epochs need no Python in between and the stream goes on where it stopped. Only MT19937, the generator behind
every ``RandomState`` that scikit-learn makes, is known here (Matsumoto and Nishimura, 1998).
"""

from typing import NamedTuple

import numpy as np

from .jit import kernel
from .views import prefetch, stack_array, vector

_N, _M = 624, 397
# How many places are drawn before they are exchanged, as memory takes about as long; and how many words at once for these.
_AHEAD, _WORDS = 64, 96
_LOWER, _UPPER, _TWIST = np.uint32(0x7FFFFFFF), np.uint32(0x80000000), np.uint32(0x9908B0DF)


class MT19937State(NamedTuple):
    """The state of MT19937: 624 words, and the position (1,) of the next one."""

    key: np.ndarray
    position: np.ndarray


@kernel()
def shuffle(order, twister):
    """Permute order as ``RandomState.shuffle`` does: Fisher and Yates from the end, each index drawn by masked rejection.

    Some places are drawn before the exchanges are made, so that memory is asked for all of them at once.
    """
    places, words = stack_array(_AHEAD), stack_array(_WORDS)
    top = order.size - 1
    while top > 0:
        n = min(_AHEAD, top)
        _draw(places, words, top, n, twister)
        for k in range(n):
            prefetch(order, places[k])
        for k in range(n):
            i, j = top - k, np.uint64(places[k])
            order[i], order[j] = order[j], order[i]
        top -= n


@kernel()
def _draw(places, words, top, n, twister):
    """places[k] = a number up to top − k, for k below n: the next word of as many bits that is not larger."""
    mask = np.int64(1)
    while mask < top:
        mask = mask << 1 | 1
    k = 0
    while k < n:
        n_words = _next_words(twister, words, 2 * (n - k))
        used = 0
        while used < n_words and k < n:
            while mask >> 1 >= top - k:
                mask >>= 1
            # a word that is too large is written over by the next, as no processor could guess which are
            places[k] = words[used] & mask
            k += places[k] <= top - k
            used += 1
        twister.position[0] += used


@kernel()
def _next_words(twister, words, n_wanted):
    """Put n_wanted words into `words`, or as many as there are before the state is used up; who takes some moves the position."""
    key, position = twister.key, twister.position
    if position[0] == _N:
        _twist(key)
        position[0] = 0
    n_words = min(words.size, _N - position[0], n_wanted)
    ahead = vector(key, position[0], n_words)
    for q in range(n_words):
        word = ahead[q]
        word ^= word >> np.uint32(11)
        word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
        word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
        words[q] = np.uint32(word ^ (word >> np.uint32(18)))
    return n_words


@kernel()
def _twist(key):
    """The next 624 words of the state, each from two old ones and the one 397 further on, which is new where that begins anew."""
    for k in range(_N - _M):
        key[k] = key[k + _M] ^ _mixed(key[k], key[k + 1])
    for k in range(_N - _M, _N - 1):
        key[k] = key[k + _M - _N] ^ _mixed(key[k], key[k + 1])
    key[_N - 1] = key[_M - 1] ^ _mixed(key[_N - 1], key[0])


@kernel()
def _mixed(word, following):
    word = (word & _UPPER) | (following & _LOWER)
    return (word >> np.uint32(1)) ^ (_TWIST if word & np.uint32(1) else np.uint32(0))
