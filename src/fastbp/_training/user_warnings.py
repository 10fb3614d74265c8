"""Warnings that point to the user's line of code.

A message goes in; a warning is issued for the first calling frame outside fastbp. Therefore, the number of functions between the
call by the user and the warning does not matter. This module does not know when a warning is needed.
"""

import inspect
import os
import warnings
from pathlib import Path

import sklearn.base

_OWN_FILES = f"{Path(__file__).parents[1]}{os.sep}"
_WRAPPER = sklearn.base.__file__  # the decorator of `fit` and `partial_fit`


def warn_user(message, category=UserWarning):
    """Issue a warning for the line outside fastbp that called an estimator."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and (frame.f_code.co_filename == _WRAPPER or frame.f_code.co_filename.startswith(_OWN_FILES)):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def time_message(max_time, done):
    """The message for a fit that ended because of ``max_time``."""
    return (
        f"Training ended after max_time={max_time:g} seconds and {done}, and hasn't converged yet. Increase max_time, or continue "
        "with warm_start."
    )
