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


# Filters such as `filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")` are written for this module.
_SKLEARN_MODULE = "sklearn.neural_network._multilayer_perceptron"


def warn_user(message, category=UserWarning, module=_SKLEARN_MODULE):
    """Issue a warning for the first calling line outside fastbp; filters see it as a warning of ``module``."""
    frame = inspect.currentframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED_FILES):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, module, registry)


def warn_once(topic, message):
    """Issue a RuntimeWarning, unless this process has already issued one with this topic."""
    if topic not in _given:
        _given.add(topic)
        warn_user(f"fastbp: {message}.", RuntimeWarning, "fastbp")
