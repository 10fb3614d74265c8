"""How one call of ``fit`` or ``partial_fit`` runs, apart from its data and the parameters of the estimator."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class EarlyStoppingStart:
    """Where the rule for stopping starts: best value so far (lower is better), epochs without improvement, rows seen."""

    best: float = float("inf")
    bad_epochs: int = 0
    rows_seen: int = 0


@dataclass(frozen=True)
class TrainingRows:
    """The row numbers that a fit trains on, in their first order, and those that it holds out, or None."""

    n_rows: int
    order: np.ndarray
    held_out: np.ndarray | None = None


def _do_nothing():
    pass


@dataclass
class FitContext:
    """One call of ``fit`` or ``partial_fit``.

    ``is_first`` says that the estimator had no weights before, ``is_fresh`` that this call draws new ones. ``end_epoch`` is None
    without callbacks; else it is called after each epoch with (state, result, run) and returns whether training should stop; run is
    None for L-BFGS.
    """

    incremental: bool
    deadline: float
    is_first: bool = True
    is_fresh: bool = True
    start: EarlyStoppingStart = field(default_factory=EarlyStoppingStart)
    resumable: bool = False  # whether a later fit may resume from this one
    resume: Any = None  # the `ResumePoint` to continue from, if any
    n_published: int = 0  # the epochs of this fit that the attributes of the estimator show
    begin_epoch: Callable[[], None] = _do_nothing
    end_epoch: Callable[[Any, Any, Any], bool] | None = None

    @property
    def out_of_time(self):
        return time.monotonic() >= self.deadline


def deadline_after(seconds):
    """The time of ``time.monotonic`` after which a fit stops; infinite for None."""
    return float("inf") if seconds is None else time.monotonic() + seconds
