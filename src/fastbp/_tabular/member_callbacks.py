"""The callbacks of the estimators for tables, which are called after each epoch of each member.

The networks of several members, which may be trained in parallel, go in; the decisions whether their training ends come out. Only
one callback runs at a time. This module does not know how a network is trained.
"""

import threading
from contextlib import contextmanager
from typing import Any

import numpy as np

from .member_training import ensemble_of


class MemberCallbacks:
    """Calls functions of (estimator, epoch, logs) for one member after the other.

    ``estimator_of(member, turn)`` makes the estimator that is passed to the functions. While a function runs, members that have
    finished an epoch wait. The ``EnsembleTraining`` that calls the functions sets the attribute ``ensemble``.
    """

    def __init__(self, functions, estimator_of):
        self.functions, self.estimator_of = functions, estimator_of
        self.ensemble: Any = None
        self.changed, self.trained, self.waiting, self.is_busy = threading.Condition(), set(), {}, False

    @contextmanager
    def training(self, n):
        """Inside of this context, member ``n`` is trained and stored."""
        with self.changed:
            self.trained.add(n)
        try:
            yield
        finally:
            with self.changed:
                self.trained.discard(n)
                self.changed.notify_all()

    def end_epoch(self, n, member, paused, epoch, logs):
        """Call the functions; return whether one of them ends the training of member ``n``.

        ``member`` is a copy of it after this epoch, and ``paused()`` is a copy whose training can be continued.
        """
        with self.changed:
            self.waiting[n] = paused
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self.is_busy)
            self.is_busy = True
        turn = CallbackTurn(self)
        try:
            answers = [function(self.estimator_of(member, turn), epoch, {**logs, "member": n}) for function in self.functions]
            return any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)
        finally:
            turn.is_over = True
            with self.changed:
                self.is_busy = False
                del self.waiting[n]
                self.changed.notify_all()

    def paused_members(self):
        """Return the list of the members as if their training stopped after the current epoch of each of them."""
        with self.changed:
            self.changed.wait_for(lambda: self.trained <= set(self.waiting))
            return [self.waiting[n]() if n in self.waiting else member for n, member in enumerate(self.ensemble.members)]


class CallbackTurn:
    """The time during which callbacks run for one member; ``callbacks`` are all ``MemberCallbacks``."""

    def __init__(self, callbacks):
        self.callbacks, self.is_over = callbacks, False

    def paused(self):
        """Return the ``PausedEnsemble`` of all members, and their ``Ensemble``."""
        training = self.callbacks.ensemble
        members = self.callbacks.paused_members()
        return training.paused(members), ensemble_of(training.reader, training.settings, members)
