"""Warnings that a process gives at most once."""

import warnings

_given = set()


def warn_once(topic, message):
    """Give a RuntimeWarning, unless this process has already given one about this topic."""
    if topic not in _given:
        _given.add(topic)
        warnings.warn(f"fastbp: {message}.", RuntimeWarning, stacklevel=3)
