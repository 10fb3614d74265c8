"""Draw the progress bar of a fit with rich, in a terminal or in a notebook.

The ``Standing`` of training goes in; a line on stderr, or in the output of a notebook cell, comes out. The process shows at
most one bar at a time. There is no bar if stderr is not a terminal, in worker processes, and while rich shows another display. This
module does not know how a network is trained. Only ``progress`` imports it, and only if a bar was requested.
"""

import inspect
import sys
import threading
from collections.abc import Callable
from math import ceil, inf, isfinite
from multiprocessing import parent_process
from typing import Any

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

# Held while a bar is shown. Two bars would overwrite each other.
_on_screen = threading.Lock()
# The smallest and the largest width of the bar in characters, and the usual length of the text after it.
_MIN_BAR, _MAX_BAR, _N_FACTS = 4, 30, 61
# The largest width of a line in a notebook, whose real width is not known.
_NOTEBOOK_WIDTH = 100
# Both colors are readable on white and on black.
_COLOR, _BACKGROUND = "dodger_blue1", "grey54"
# The number of the notebook cell and the display that the last temporary bar used, if there is one.
_reusable: list = []


def open_display(unit, total):
    """Show a bar for a fit with ``total`` epochs or iterations; return its display, or None if it cannot be shown."""
    if parent_process() is not None or not _on_screen.acquire(blocking=False):
        return None
    try:
        display = _open(unit, total)
    except BaseException:
        _on_screen.release()
        raise
    if display is None:
        _on_screen.release()
    return display


def _open(unit, total):
    console, is_temporary = Console(stderr=True), _is_called_by_joblib()
    if console.is_jupyter:
        return _NotebookDisplay(unit, total, console, is_temporary)
    if not (_is_terminal(sys.stderr) and console.is_interactive) or _is_redirected():
        return None
    return _TerminalDisplay(unit, total, console, is_temporary)


def _is_terminal(stream):
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream is closed
        return False


def _is_redirected():
    """Whether another display of rich is shown, which redirects the output to itself."""
    return isinstance(sys.stdout, FileProxy) or isinstance(sys.stderr, FileProxy)


def _is_called_by_joblib():
    """Whether the fit is one of many, for example in a cross-validation: then its bar is removed at the end."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "joblib.parallel":
            return True
        frame = frame.f_back
    return False


# ---------------------------------------------------------------------- the two kinds of displays


class _Display:
    """A bar of rich with one task; the subclasses determine where it is drawn."""

    refresh: Callable[[], None]

    def __init__(self, unit, total, progress):
        self.unit, self.total, self.progress = unit, total, progress
        self.bar = progress.columns[1]
        self.bar.bar_width = max(_MIN_BAR, min(_MAX_BAR, self._width_without(_N_FACTS)))
        self.task = progress.add_task(self._position(0), total=total, facts="")

    def _position(self, done):
        return f"{self.unit} {int(done):>{len(str(self.total))}}/{self.total}"

    @property
    def _values(self):
        return self.progress.tasks[0]

    def draw(self, standing, seconds_left):
        """Draw the bar during training, which has to end in ``seconds_left`` seconds."""
        self._move(standing)
        remaining = self._values.time_remaining
        left = min(inf if remaining is None else remaining, max(0.0, seconds_left))
        self._write(f"{as_duration(ceil(left)) if isfinite(left) else '-:--'} left", standing)
        self.refresh()

    def draw_end(self, standing, outcome):
        """Draw the bar at the end of training."""
        self._move(standing)
        self._write(f"{outcome} after {as_duration(self._values.elapsed)}", standing)

    def _move(self, standing):
        self.progress.update(self.task, completed=standing.done, description=self._position(standing.done))

    def _write(self, time_text, standing):
        texts = [time_text, *facts_of(standing, self._values.speed, self._values.elapsed)]
        while len(texts) > 1 and self._width_without(len("  ".join(texts))) < _MIN_BAR:
            texts.pop()  # the last one is the least important
        facts = "  ".join(texts)
        self.bar.bar_width = max(_MIN_BAR, min(self.bar.bar_width, self._width_without(len(facts))))
        self.progress.update(self.task, facts=facts)

    def _width_without(self, n_facts):
        """The width that remains for the bar."""
        console = self.progress.console
        width = min(console.width, _NOTEBOOK_WIDTH) if console.is_jupyter else console.width
        return width - len(self._position(0)) - n_facts - 2


class _TerminalDisplay(_Display):
    """A bar in a terminal."""

    def __init__(self, unit, total, console, is_temporary):
        # text that callbacks print appears above the bar, unless stdout is a file
        redirected = {"redirect_stdout": _is_terminal(sys.stdout), "redirect_stderr": True}
        columns = _bar_columns(Column(no_wrap=True, overflow="ellipsis", ratio=1))
        progress = Progress(*columns, console=console, auto_refresh=False, transient=is_temporary, expand=True, **redirected)
        super().__init__(unit, total, progress)
        try:
            progress.start()
        except BaseException:
            progress.stop()
            raise

    def refresh(self):
        self.progress.refresh()

    def close(self):
        try:
            self.progress.stop()
        finally:
            _on_screen.release()


class _NotebookDisplay(_Display):
    """A bar in the output of a notebook cell; temporary bars of one cell are drawn in the same place."""

    def __init__(self, unit, total, console, is_temporary):
        from IPython import get_ipython
        from IPython.display import display

        # rich's own display needs ipywidgets and is not stored in the notebook
        super().__init__(unit, total, Progress(*_bar_columns(Column(no_wrap=True)), console=console, disable=True))
        self.is_temporary, self.cell = is_temporary, get_ipython().execution_count
        self.handle: Any
        cell, self.handle = _reusable.pop() if _reusable else (None, None)
        if cell == self.cell:
            self.refresh()
        else:
            self.handle = display(self.progress, display_id=True)

    def refresh(self):
        self.handle.update(self.progress)

    def close(self):
        try:
            if self.is_temporary:
                self.handle.update({"text/plain": ""}, raw=True)
                _reusable.append((self.cell, self.handle))
            else:
                self.refresh()
        finally:
            _on_screen.release()


def _bar_columns(facts):
    bar = BarColumn(style=_BACKGROUND, complete_style=_COLOR, finished_style=_COLOR)
    return (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        bar,
        TextColumn("{task.fields[facts]}", markup=False, table_column=facts),
    )


# ---------------------------------------------------------------------- text


def facts_of(standing, speed, elapsed):
    """Return the texts for the loss, the score, the learning rate and the rows per second, with constant widths.

    ``speed`` is the number of epochs or iterations per second; if it is None, the mean since the start is used.
    """
    known = (("loss", standing.loss, 7), ("score", standing.score, 6), ("lr", standing.learning_rate, 5))
    texts = [f"{name} {value:<{width}.4g}" for name, value, width in known if value is not None]
    if standing.done and elapsed:
        rows = standing.n_rows / standing.done * speed if speed else standing.n_rows / elapsed
        texts.append(f"{as_rate(rows)} rows/s")
    return texts


def as_duration(seconds):
    """Format seconds as in "0:07" or "1:02:03"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def as_rate(value):
    """Format a positive number with three digits, as in "950", "12.3k" or "1.23M"."""
    value = float(f"{value:.3g}")
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
