"""Warnings that point to the user's line of code, and warnings that a process issues at most once."""

import inspect
import os
import warnings
from pathlib import Path

import numba
import sklearn.base

# The files whose functions can be between the call by the user and a warning; one of them is the decorator of `fit`.
_SKIPPED_FILES = (
    f"{Path(__file__).parents[1]}{os.sep}",
    f"{Path(numba.__file__).parent}{os.sep}",
    sklearn.base.__file__,
)
_given = set()


def warn_user(message, category=UserWarning):
    """Issue a warning for the first calling line outside fastbp."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_SKIPPED_FILES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_once(topic, message):
    """Issue a RuntimeWarning, unless this process has already issued one with this topic."""
    if topic not in _given:
        _given.add(topic)
        warn_user(f"fastbp: {message}.", RuntimeWarning)
