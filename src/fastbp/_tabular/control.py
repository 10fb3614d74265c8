"""The control of the training of one member of an ensemble.

A deadline, an event, a label and the callbacks of the ensemble go in; the hooks of a fit come out. This module does not know how a
network is trained.
"""

import threading
from dataclasses import dataclass, replace
from typing import Any, NamedTuple


class LabeledReport(NamedTuple):
    """A report that prints lines with a label in front."""

    label: str
    prints: bool = True
    bar: None = None

    def line(self, text):
        print(f"{self.label}{text}\n", end="")  # one write, because several members print at the same time


@dataclass
class TrainingControl:
    """The limits of the training of one member, and the reason why it ended.

    ``deadline`` (of ``time.monotonic``) and ``stop`` end training early. ``label`` begins printed lines, unless it is None.
    ``max_iter`` is the number of epochs of complete training. ``callbacks`` are the ``MemberCallbacks`` with the number ``member``,
    or None. ``is_resumable`` is whether training that ends early can be continued; after Ctrl-C or an exception of a callback, the
    network is then kept, and ``error`` is this exception. ``is_converged`` is whether the stopping rule ended training.
    ``as_member`` makes a ``Member`` of a network.
    """

    deadline: float
    stop: threading.Event
    label: str | None
    max_iter: int
    member: int
    callbacks: Any = None
    is_resumable: bool = False
    as_member: Any = None
    error: BaseException | None = None
    is_stopped: bool = False
    is_converged: bool = False

    def applied_to(self, hooks, end_epoch):
        """Return the ``EpochHooks`` of a fit with these limits; ``end_epoch`` is the function that calls ``self.end_epoch``."""
        report = hooks.report if self.label is None else LabeledReport(self.label)
        return replace(hooks, deadline=self.deadline, stop=self.stop, report=report, end_epoch=end_epoch)

    def end_epoch(self, network, paused):
        """Call the callbacks; return whether one of them ends training.

        ``network`` is a copy of the network after this epoch. ``paused()`` is a copy whose training can be continued.
        """
        try:
            logs = {name: entries[-1] for name, entries in network.history.items()}
            member, epoch = self.as_member(network), len(network.loss_curve)
            self.is_stopped = self.callbacks.end_epoch(self.member, member, lambda: self.as_member(paused()), epoch, logs)
        except Exception as error:
            self.error = error
            raise
        return self.is_stopped

    def keeps(self, error):
        """Return whether the network is kept although training was ended by this exception."""
        is_kept = self.is_resumable and (isinstance(error, KeyboardInterrupt) or error is self.error)
        if is_kept:
            self.error = error
            self.stop.set()
        return is_kept

    def has_ended(self, n_epochs):
        """Return whether training is complete after this number of epochs, has converged, or was ended by a callback."""
        return self.is_stopped or self.is_converged or n_epochs >= self.max_iter
