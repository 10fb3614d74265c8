"""Records that describe one call of ``fit`` or ``partial_fit``.

The estimator creates a ``FitContext`` and passes it to training. This module contains only types; it does not know how a network is
trained.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from .progress import SILENT, Report
from .resume import ResumePoint


class EarlyStoppingStart(NamedTuple):
    """The start of the stopping rule: the best value so far (lower is better), epochs without improvement, and rows seen."""

    best: float = float("inf")
    bad_epochs: int = 0
    rows_seen: int = 0


@dataclass(frozen=True)
class TrainingRows:
    """The numbers of the rows for training, in their initial order, and of the held-out rows, or None.

    For a network of k members, the elements m, m + k, m + 2k, … of `order` are the rows of member m.
    """

    n_rows: int
    order: np.ndarray
    held_out: np.ndarray | None = None

    def for_members(self, n_members):
        """The same rows for each member."""
        return TrainingRows(self.n_rows, np.repeat(self.order, n_members), self.held_out)


@dataclass(frozen=True)
class TrainingData:
    """The data of a fit: prepared rows, the ``given`` X and y that the user passed, and (X_val, y_val, sample_weight_val)."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    given: tuple
    validation: tuple

    @property
    def is_validated(self):
        return self.validation[0] is not None


@dataclass
class Publication:
    """What a running fit has committed for its callbacks: the last state, and how many epochs the attributes describe."""

    state: Any = None
    n_epochs: int = 0


def _do_nothing():
    pass


@dataclass(frozen=True)
class EpochHooks:
    """The functions that training calls around each epoch, the time at which it stops, and the report of its progress.

    ``end_epoch`` is None if there are no callbacks. Otherwise, it is called after each epoch with (state, result, run, problem) and
    returns whether training should stop; run is None for L-BFGS, and problem is the ``Problem`` with the rows. ``deadline`` is a
    value of ``time.monotonic``. ``report`` shows the progress of the fit. For a network of an ensemble, ``stop`` is an event that
    ends its training. The ensemble then handles Ctrl-C and warns about the end of training, not the network.
    """

    deadline: float = float("inf")
    begin_epoch: Callable[[], None] = _do_nothing
    end_epoch: Callable[[Any, Any, Any, Any], bool] | None = None
    report: Report = SILENT
    stop: threading.Event | None = None

    @property
    def is_limited(self):
        return self.deadline != float("inf") or self.stop is not None

    @property
    def out_of_time(self):
        return time.monotonic() >= self.deadline or (self.stop is not None and self.stop.is_set())


@dataclass(frozen=True)
class FitContext:
    """One call of ``fit`` or ``partial_fit``.

    ``incremental`` is True for ``partial_fit``, ``is_first`` if the estimator had no weights before, ``is_fresh`` if this call
    draws new weights, and ``resumable`` if a later fit can resume this one. ``resume`` is the point at which this fit resumes.
    """

    hooks: EpochHooks
    start: EarlyStoppingStart
    incremental: bool
    is_first: bool
    is_fresh: bool
    resumable: bool
    resume: ResumePoint | None


class InspectedFit(NamedTuple):
    """A network and the rows on which its objective is computed, as a call of ``fit`` that continues training would use them.

    ``state`` is a copy of the training state, ``config`` are the parameters of the estimator. The ``plan`` has no dropout and no
    noise. ``X``, ``y`` and ``sample_weight`` are prepared: encoded, scaled, and without missing values.
    """

    state: Any
    config: Any
    plan: Any
    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None

    def target_columns(self):
        """Return the targets with a column for each output (n_rows, n_outputs), in float64: classes as indicators of 0 and 1."""
        y, n_outputs = self.y.astype(np.float64), self.plan.layout.sizes[-1]
        if y.shape[1] == n_outputs:
            return y
        groups = self.plan.architecture.numbers or (n_outputs,)
        return np.hstack([column[:, None] == np.arange(n) for column, n in zip(y.T, groups, strict=True)]).astype(np.float64)

    def drawn(self, max_rows, candidates=None):
        """Return a copy with at most max_rows rows, drawn without replacement from those whose weight is not 0.

        The rows are drawn from all rows, or from those whose numbers are in ``candidates``. They are the same in each call.
        """
        if candidates is None and len(self.y) <= max_rows:
            return self
        candidates = np.arange(len(self.y)) if candidates is None else candidates
        if len(candidates) > max_rows:
            if self.sample_weight is not None and self.sample_weight[candidates].any():
                candidates = candidates[self.sample_weight[candidates] != 0]
            size = min(max_rows, len(candidates))
            candidates = candidates[np.random.default_rng(0).choice(len(candidates), size, replace=False)]
        rows = np.sort(candidates)
        X = self.X.tocsr() if issparse(self.X) else self.X
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return self._replace(X=X[rows], y=self.y[rows], sample_weight=weight)


def deadline_after(seconds):
    """The value of ``time.monotonic`` after which a fit stops; infinite for None."""
    return float("inf") if seconds is None else time.monotonic() + seconds


def time_message(max_time, done):
    """The message for a fit that ended because of ``max_time``."""
    return (
        f"Training ended after max_time={max_time:g} seconds and {done}, and hasn't converged yet. Increase max_time, or continue "
        "with warm_start."
    )
