"""Checks of the types of values that were read from a file.

Values go in; the answers whether they have a type come out. This module does not know the names of attributes.
"""

import numpy as np

from .values import DamagedValueError


def is_count(value):
    """Whether a value is an int of at least 0 that fits into 64 bits."""
    return type(value) is int and 0 <= value < 2**63


def is_real(value):
    """Whether a value is a real number."""
    return type(value) in (int, float) or isinstance(value, np.floating | np.integer)


def is_flag(value):
    """Whether a value is a boolean."""
    return isinstance(value, bool | np.bool_)


def is_string(value):
    """Whether a value is a string."""
    return isinstance(value, str)


def is_digest(value):
    """Whether a value is a digest as a hexadecimal text."""
    return isinstance(value, str) and len(value) == 32


def is_reals(value):
    """Whether a value is an array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def is_vector(value):
    """Whether a value is a flat array of floats, as kernels use it."""
    return isinstance(value, np.ndarray) and value.dtype in (np.float32, np.float64) and value.ndim == 1


def is_indices(value):
    """Whether a value is a flat array of integers."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.ndim == 1


def is_labels(value):
    """Whether a value is a flat array."""
    return isinstance(value, np.ndarray) and value.ndim == 1


def is_generator(value):
    """Whether a value is a ``RandomState``."""
    return isinstance(value, np.random.RandomState)


def list_of(is_valid, *types):
    """Return a check of lists, or of values of other ``types``, with valid elements."""
    types = types or (list,)
    return lambda value: type(value) in types and all(map(is_valid, value))


def optional(is_valid):
    """Return a check that also accepts None."""
    return lambda value: value is None or is_valid(value)


def one_of(*values):
    """Return a check that accepts some strings, and None if it is one of the values."""
    return lambda value: isinstance(value, str | None) and value in values


def anything(value):
    """Accept any value."""
    return True


def check_types(values, types, place):
    """Raise a ``DamagedValueError`` if a dict has other names, or values of other types."""
    if type(values) is not dict or set(values) != set(types):
        raise DamagedValueError(f"{place} must have the entries {sorted(types)}")
    for name, is_valid in types.items():
        if not is_valid(values[name]):
            raise DamagedValueError(f"{place}.{name} has a wrong type or value")
