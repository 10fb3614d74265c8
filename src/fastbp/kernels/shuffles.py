"""The shuffles of scikit-learn, drawn inside a kernel.

The state of a NumPy ``RandomState`` enters as two arrays and leaves advanced by exactly the words that its own ``shuffle`` would
have drawn, so that epochs need no Python in between and the stream goes on where it stopped. Only MT19937, the generator behind
every ``RandomState`` that scikit-learn makes, is known here (Matsumoto and Nishimura, 1998).
"""

from typing import NamedTuple

import numpy as np

from .jit import kernel
from .views import prefetch, stack_array

_N, _M = 624, 397
_AHEAD = 32  # how many places are drawn before they are exchanged: memory takes about as long as so many draws
_LOWER, _UPPER, _TWIST = np.uint32(0x7FFFFFFF), np.uint32(0x80000000), np.uint32(0x9908B0DF)


class Twister(NamedTuple):
    """The state of MT19937: 624 words, and the position (1,) of the next one."""

    key: np.ndarray
    position: np.ndarray


@kernel()
def shuffle(order, twister):
    """Permute order as ``RandomState.shuffle`` does: Fisher and Yates from the end, each index drawn by masked rejection.

    Some places are drawn before the exchanges are made, so that memory is asked for all of them at once.
    """
    mask = np.uint32(1)
    while mask < order.size - 1:
        mask = np.uint32((mask << np.uint32(1)) | np.uint32(1))
    drawn = stack_array(_AHEAD)
    for top in range(order.size - 1, 0, -_AHEAD):
        n = min(_AHEAD, top)
        for k in range(n):
            while mask >> np.uint32(1) >= top - k:
                mask = np.uint32(mask >> np.uint32(1))
            j = np.int64(_next_word(twister) & mask)
            while j > top - k:
                j = np.int64(_next_word(twister) & mask)
            drawn[k] = j
            prefetch(order, j)
        for k in range(n):
            i, j = top - k, drawn[k]
            order[i], order[j] = order[j], order[i]


@kernel()
def _next_word(twister):
    key, position = twister.key, twister.position
    if position[0] == _N:
        _twist(key)
        position[0] = 0
    word = key[position[0]]
    position[0] += 1
    word ^= word >> np.uint32(11)
    word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
    word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
    return np.uint32(word ^ (word >> np.uint32(18)))


@kernel()
def _twist(key):
    for k in range(_N):
        word = (key[k] & _UPPER) | (key[(k + 1) % _N] & _LOWER)
        key[k] = key[(k + _M) % _N] ^ (word >> np.uint32(1)) ^ (_TWIST if word & np.uint32(1) else np.uint32(0))
