"""The shuffles of scikit-learn, drawn inside a kernel.

The state of a NumPy ``RandomState`` goes in as two arrays, and is advanced by exactly the 32-bit words that
``RandomState.shuffle`` would draw. Therefore Python need not run between epochs, and later draws from the ``RandomState`` are the
same as in scikit-learn. The only supported generator is MT19937, which is the default of ``RandomState`` (Matsumoto and Nishimura,
1998). This module does not know what the shuffled numbers mean.
"""

from typing import NamedTuple

import numpy as np

from .integers import minimum
from .jit import kernel
from .views import prefetch, stack_array, vector

_STATE_SIZE, _SHIFT = 624, 397
# The number of indices that are drawn before the elements are exchanged, so that the elements can be prefetched, and the number of
# words that are drawn together.
_N_AHEAD, _N_WORDS = 64, 96
_LOWER, _UPPER, _TWIST = np.uint32(0x7FFFFFFF), np.uint32(0x80000000), np.uint32(0x9908B0DF)


class MT19937State(NamedTuple):
    """The state of MT19937: `key`, its 624 words, and the `position` (1,) of the next word."""

    key: np.ndarray
    position: np.ndarray


@kernel(inline=False)
def shuffle(order, twister):
    """Permute `order` as ``RandomState.shuffle`` does: Fisher–Yates from the end, with indices drawn by masked rejection.

    Indices are drawn in groups, so that their elements can be prefetched together.
    """
    _shuffle(order, 0, 1, order.size, twister)


@kernel(inline=False)
def shuffle_part(order, first, step, n, twister):
    """Permute the n elements order[first], order[first + step], order[first + 2 step], … as `shuffle` does."""
    _shuffle(order, first, step, n, twister)


@kernel()
def _shuffle(order, first, step, n_elements, twister):
    indices, words = stack_array(_N_AHEAD), stack_array(_N_WORDS)
    top = n_elements - 1
    while top > 0:
        n = minimum(_N_AHEAD, top)
        _draw_indices(indices, words, top, n, twister)
        for k in range(n):
            prefetch(order, first + step * indices[k])
        for k in range(n):
            i, j = first + step * (top - k), np.uint64(first + step * indices[k])
            order[i], order[j] = order[j], order[i]
        top -= n


@kernel()
def _draw_indices(indices, words, top, n, twister):
    """Draw indices[k] from 0 … top − k for k < n.

    Each word is masked to the bits of top − k; words that are then larger than top − k are rejected.
    """
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
            # the next word overwrites a word that is too large; a branch would often be mispredicted
            indices[k] = words[used] & mask
            k += indices[k] <= top - k
            used += 1
        twister.position[0] += used


@kernel()
def _next_words(twister, words, n_wanted):
    """Fill `words` with up to n_wanted words, as far as the state has unused words, and return their number.

    The caller advances the position by the number of words that it uses.
    """
    key, position = twister.key, twister.position
    if position[0] == _STATE_SIZE:
        _twist(key)
        position[0] = 0
    n_words = minimum(minimum(words.size, n_wanted), _STATE_SIZE - position[0])
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
    """Replace the state by the next 624 words, each computed from words k, k + 1 and k + 397 (modulo 624)."""
    for k in range(_STATE_SIZE - _SHIFT):
        key[k] = key[k + _SHIFT] ^ _twisted_word(key[k], key[k + 1])
    for k in range(_STATE_SIZE - _SHIFT, _STATE_SIZE - 1):
        key[k] = key[k + _SHIFT - _STATE_SIZE] ^ _twisted_word(key[k], key[k + 1])
    key[_STATE_SIZE - 1] = key[_SHIFT - 1] ^ _twisted_word(key[_STATE_SIZE - 1], key[0])


@kernel()
def _twisted_word(word, following):
    """Return the contribution of two consecutive words to a word of the next state."""
    word = (word & _UPPER) | (following & _LOWER)
    return (word >> np.uint32(1)) ^ (_TWIST if word & np.uint32(1) else np.uint32(0))
