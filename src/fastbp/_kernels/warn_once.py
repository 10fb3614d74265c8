"""Warnings that a process issues at most once."""

import warnings

_given = set()


def warn_once(topic, message):
    """Issue a RuntimeWarning, unless this process has already issued one with this topic."""
    if topic not in _given:
        _given.add(topic)
        warnings.warn(f"fastbp: {message}.", RuntimeWarning, stacklevel=3)
