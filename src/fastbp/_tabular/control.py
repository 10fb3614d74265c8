"""The control of the training of one member of an ensemble.

A deadline, an event and a label go in; the hooks of a fit come out. This module does not know how a network is trained.
"""

import threading
from dataclasses import replace
from typing import NamedTuple


class LabeledReport(NamedTuple):
    """A report that prints lines with a label in front."""

    label: str
    prints: bool = True
    bar: None = None

    def line(self, text):
        print(f"{self.label}{text}")


class TrainingControl(NamedTuple):
    """The time (of ``time.monotonic``) and the event at which training ends early, and the label of printed lines or None."""

    deadline: float
    stop: threading.Event
    label: str | None

    def applied_to(self, hooks):
        """Return the ``EpochHooks`` of a fit with these limits."""
        report = hooks.report if self.label is None else LabeledReport(self.label)
        return replace(hooks, deadline=self.deadline, stop=self.stop, report=report)
