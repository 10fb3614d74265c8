"""The report of a fit while it runs: the lines that scikit-learn prints, a progress bar, or nothing.

The value of the parameter ``verbose`` and the ``Standing`` of training go in; lines are printed, or a bar is drawn. This is the
only module that interprets ``verbose``. It does not know about estimators, how a network is trained, and how a bar is drawn.
"""

import time
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, NamedTuple

# The seconds between two updates of a bar. Drawing takes about 0.7 milliseconds.
_UPDATE_SECONDS = 0.15
# The words for outcomes that need more than one word.
_OUTCOMES = {"max_time": "out of time", "callback": "stopped by a callback"}


class Standing(NamedTuple):
    """The point that training has reached.

    ``done`` is the number of finished epochs or iterations, with the finished part of the current epoch. ``n_rows`` is the number
    of rows that were processed; a row counts once for each epoch or evaluation. The other values are None if there are none yet.
    """

    done: float
    n_rows: int
    loss: float | None = None
    score: float | None = None
    learning_rate: float | None = None


class Report(NamedTuple):
    """What is reported: lines of text if ``prints`` is True, and a ``bar`` unless it is None."""

    prints: bool = False
    bar: Any = None

    def line(self, text):
        """Print a line, unless lines are switched off."""
        if self.prints:
            print(text)


SILENT = Report()
_LINES = Report(prints=True)


def report_of(verbose, *, has_bar=True, deadline=inf):
    """Return the ``Report`` that ``verbose`` selects; without `has_bar`, there is no bar. ``deadline`` is that of the fit."""
    if not isinstance(verbose, str):
        return _LINES if verbose else SILENT
    if not has_bar:
        return SILENT
    try:
        import rich  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "verbose='bar' needs rich. Install it with: pip install 'fastbp[progress]', or: pip install rich. Without it, set "
            "verbose=True to print a line after each epoch."
        ) from error
    return Report(bar=ProgressBar(deadline))


class ProgressBar:
    """The progress bar of one fit.

    Inside ``with bar.shown(...)``, call ``show`` whenever ``is_due`` returns True, and ``end`` at the end of training. If nothing
    can be displayed, ``is_due`` never returns True. An error while the bar is drawn ends the bar, but not the training.
    """

    def __init__(self, deadline=inf):
        self._deadline, self._next = deadline, inf
        self._display: Any = None
        self._standing: Any = None

    @contextmanager
    def shown(self, unit, total, standing):
        """Show the bar of a fit with ``total`` epochs or iterations.

        ``unit`` is "Epoch" or "Iteration", and ``standing`` is a function that returns the current `Standing`.
        """
        from .progress_display import open_display

        self._standing = standing
        with suppress(Exception):
            self._display = open_display(unit, total)
        try:
            if self._display is not None:
                self._next = time.monotonic() + _UPDATE_SECONDS
            yield self
        finally:
            self.end("failed")  # does nothing after training has ended without an error

    def is_due(self):
        """Whether it is time to call ``show``."""
        return time.monotonic() >= self._next

    def show(self):
        """Draw the bar."""
        standing = self._standing()
        try:
            self._display.draw(standing, self._deadline - time.monotonic())
        except Exception:
            self._close()
        else:
            self._next = time.monotonic() + _UPDATE_SECONDS

    def end(self, outcome):
        """Draw the bar for the last time, with the ``outcome`` of training, and close it."""
        if self._display is not None:
            try:
                with suppress(Exception):
                    self._display.draw_end(self._standing(), _OUTCOMES.get(outcome, outcome))
            finally:
                self._close()

    def _close(self):
        display, self._display, self._standing, self._next = self._display, None, None, inf
        with suppress(Exception):
            display.close()
