"""A run that is kept between calls of ``partial_fit``, with its plan, settings and buffers.

The current state, new rows and the start of the stopping rule go in; a new state and a ``FitResult`` come out. The states of the
last calls are used again if nothing else refers to them. This module does not know about estimators.
"""

import sys
import threading
from operator import is_

import numpy as np


class KeptRun:
    """A run of ``partial_fit`` that continues with other rows.

    ``run`` is an ``SGDRun``, ``params`` are the values of all parameters of the estimator, ``state`` is the state after the last
    call, ``moments`` are those of its optimizer, and ``lock`` is held during a call.
    """

    def __init__(self, run, params):
        self.run, self.params, self.state, self.lock = run, params, run.state, threading.Lock()
        # the user can change the elements of lists and arrays in place
        self.copies = [(value, value.copy()) for value in params if isinstance(value, (list, np.ndarray))]
        self.hyperparams, self.moments, self.spares = run.state.optimizer.hyperparams, run.state.optimizer.moments, []
        self.release_rows()

    def __reduce__(self):
        return _no_run, ()

    def release_rows(self):
        """Drop the references to the rows of the last call."""
        self.run.release_rows()

    def can_continue(self, attributes, params, X):
        """Whether the next call can use this run: the attributes and parameters of the estimator fit it, and X is an array."""
        state = self.state
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and len(X) > 0
            and attributes["_state"] is state
            and state.published.are_in(attributes)
            and state.optimizer.hyperparams is self.hyperparams  # the settings of the run contain these values
            and state.optimizer.moments is self.moments  # the kernel does not check other arrays
            and all(map(is_, params, self.params))
            and all(_has_same_elements(value, copy) for value, copy in self.copies)
            and X.dtype == state.params.dtype
            and self.run.can_continue_with(len(X))
        )

    def train(self, data, start):
        """Train for one epoch on ``data`` (X, y, sample_weight) without changing ``state``; return the ``FitResult``."""
        spare = next((spare for spare in self.spares if spare.state is not self.state and spare.is_unused()), None)
        if spare is None:
            spare = _Spare(_copy_of(self.state))
            spare.remember_references()
            self.spares = [*(old for old in self.spares if old.state is self.state), spare]
        else:
            _prepare(spare.state, self.state)
        result = self.run.continue_with(spare.state, self.state, data, start)
        if result.divergence is None:
            self.state, self.moments = spare.state, spare.state.optimizer.moments
        return result


def _has_same_elements(value, copy):
    """Whether a list has the same objects as before, or an array the same numbers."""
    if isinstance(value, np.ndarray):
        return value.shape == copy.shape and value.tobytes() == copy.tobytes()
    return len(value) == len(copy) and all(map(is_, value, copy))


def _no_run():
    """The copy of a kept run: copies of an estimator have none."""
    return


class _Spare:
    """A state, and the number of references to each of its parts while nothing but this object refers to it."""

    def __init__(self, state):
        self.state, optimizer, published = state, state.optimizer, state.published
        self.parts = [state, published, state.params, optimizer, optimizer.moments]
        self.parts += [array for arrays in published.views.values() for array in arrays]
        self.parts += [array.base for array in (state.params, optimizer.moments) if array.base is not None]
        self.n_references = []

    def remember_references(self):
        """Count the references. Called when nothing else refers to the state."""
        self.n_references = list(map(sys.getrefcount, self.parts))

    def is_unused(self):
        """Whether neither a model nor the user refers to the state or to one of its arrays."""
        return list(map(sys.getrefcount, self.parts)) == self.n_references


def _copy_of(state):
    """A copy of a state with its parameters published."""
    copy = state.copy()
    copy.publish()
    return copy


def _prepare(target, state):
    """Copy what training changes to another state of the same network, except for the arrays, which the first update writes."""
    moments = target.optimizer.moments
    vars(target.optimizer).update(vars(state.optimizer))
    target.optimizer.moments = moments
    target.rng = state.rng
