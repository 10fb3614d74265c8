"""The description of a fit in the file of its driver: texts that are the same in each process that starts the same fit.

Parameters, statistics of the data and schedules go in; texts come out. Addresses of objects differ from one process to another and
do not occur in them. This module does not know how a fit runs and how the file is written.
"""

import re
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np

from .._network.user_functions import UserFunction

HORIZON = "learning_rate_horizon (None means max_iter)"
_MAX_LENGTH = 1000  # of a text; the rest is replaced by a checksum
_WITHOUT_HORIZON = (None, "constant", "invscaling", "adaptive", "reduce_on_plateau", "step")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def described_value(value):
    """A text for the value of a parameter: equal numbers have the same text, and functions are described by their names."""
    text = _text(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}... (checksum {crc32(text.encode()):08x})"


def _text(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} with the checksum {crc32(repr(value.tolist()).encode()):08x}"
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{_text(key)}: {_text(entry)}" for key, entry in value.items())) + "}"
    return _text_of_object(value)


def _text_of_object(value):
    if isinstance(value, UserFunction):
        return f"{type(value).__qualname__}({', '.join(map(_text, value.functions))})"
    if isinstance(value, partial):
        return f"partial({_text(value.func)}, {_text(value.args)}, {_text(value.keywords)})"
    name, owner = getattr(value, "__qualname__", None), getattr(value, "__self__", None)
    if isinstance(name, str):
        is_bound = owner is not None and not isinstance(owner, (type, type(re)))  # the owner of a built-in function is a module
        return f"{getattr(value, '__module__', None)}.{name}" + (f" of {_text(owner)}" if is_bound else "")
    kind: Any = type(value)
    if kind.__repr__ is object.__repr__:
        return f"{kind.__module__}.{kind.__qualname__}({_text(getattr(value, '__dict__', {}))})"
    return _ADDRESS.sub("", repr(value))


def described_schedules(config):
    """The number of epochs on which the schedules of a `FitConfig` depend, as a text."""
    if config.learning_rate in _WITHOUT_HORIZON and config.strength_schedule in _WITHOUT_HORIZON:
        return "not used"
    return _text(config.learning_rate_horizon or config.max_iter)


def described_rows(merged, partitions):
    """A text that identifies rows by their `PartitionStatistics`: their number, their partitions, targets and weights."""
    rows = [one.n_rows for one in partitions]
    values = [rows, merged.n_features, merged.weight_sum, merged.labels, merged.counts, merged.limits, merged.targets]
    return f"{merged.n_rows} rows in {len(rows)} partitions (checksum {crc32(_text(values).encode()):08x})"
