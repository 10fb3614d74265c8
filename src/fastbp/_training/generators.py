"""Random number generators: creation from a seed, and access to the state of a generator.

A value of ``random_state`` goes in; a ``RandomState`` comes out. The words and the position of the state of MT19937 are read from
memory and written to it, because NumPy takes longer for this than a small fit for several epochs. This module does not know what is
drawn.
"""

import ctypes
from functools import cache
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import MT19937, RandomState, SeedSequence
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state

from .._compat import bit_generator_of

_N_STATE_WORDS = 624
_Memory = ctypes.c_uint32 * (_N_STATE_WORDS + 1)  # NumPy's struct: the words, then the position


class _NoEntropy(ISeedSequence):
    """The initial state of a generator that is seeded afterwards. Without it, NumPy draws entropy for a state that is not used."""

    words = [0] * _N_STATE_WORDS  # a list, because NumPy reads each element

    def generate_state(self, n_words, dtype=np.uint32):
        return self.words

    def __reduce__(self):
        return SeedSequence, (0,)  # so that a pickled generator contains only NumPy's classes


_no_entropy: Any = _NoEntropy()  # NumPy's annotations allow only SeedSequence


def generator_of(random_state):
    """The generator that scikit-learn's ``check_random_state`` returns; for a number, it is created in a fifteenth of the time."""
    if not isinstance(random_state, Integral):
        return check_random_state(random_state)
    generator = RandomState(MT19937(_no_entropy))
    generator.seed(int(random_state))
    return generator


def read_twister(random_state):
    """The words (624,) and the position of the state of an MT19937 generator; None for another generator."""
    memory = _memory(random_state)
    if memory is not None:
        return memory[:_N_STATE_WORDS].copy(), memory[_N_STATE_WORDS:].view(np.int32).item()
    state = random_state.get_state(legacy=False)
    return (state["state"]["key"], state["state"]["pos"]) if state["bit_generator"] == "MT19937" else None


def write_twister(random_state, words, position):
    """Set the state of an MT19937 generator."""
    memory = _memory(random_state)
    if memory is not None:
        memory[:_N_STATE_WORDS], memory[_N_STATE_WORDS] = words, position
    else:
        state = random_state.get_state(legacy=False)
        random_state.set_state(state | {"state": {"key": words, "pos": position}})


def _memory(random_state):
    """A writable view (625,) of the state of an MT19937 generator, or None if its layout in memory is unknown."""
    bit_generator = bit_generator_of(random_state)
    if type(bit_generator) is not MT19937 or not _is_layout_known():
        return None
    return np.frombuffer(memoryview(_Memory.from_address(bit_generator.ctypes.state_address)), np.uint32)


@cache
def _is_layout_known():
    """Whether the memory of a generator contains the words and the position that NumPy returns."""
    bit_generator = MT19937(1)
    RandomState(bit_generator).random_sample(5)
    memory = np.frombuffer(memoryview(_Memory.from_address(bit_generator.ctypes.state_address)), np.uint32)
    state = bit_generator.state["state"]
    return memory.tolist() == [*state["key"].tolist(), state["pos"]]
