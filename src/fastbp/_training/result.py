"""The result of a fit, during training and at its end.

Training creates the records, and the estimator reads them. This module contains only types; it does not know how a network is
trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class EpochRecord(NamedTuple):
    """The measurements of the epochs of one fit; each sequence has one entry per finished epoch.

    ``val_losses`` and ``scores`` are empty without validation rows. ``best`` is the lowest loss or the highest score so far,
    ``bad_epochs`` the number of epochs in a row without improvement, ``rows_seen`` the value of ``t_``.
    """

    losses: Sequence
    rates: Sequence
    val_losses: Sequence = ()
    scores: Sequence = ()
    is_validated: bool = False
    best: float = float("inf")
    bad_epochs: int = 0
    rows_seen: int = 0

    def since(self, n_epochs):
        """The entries of ``history_`` after the first ``n_epochs`` epochs of this fit."""
        new: dict[str, Sequence] = {"loss": self.losses[n_epochs:], "learning_rate": self.rates[n_epochs:]}
        if self.is_validated:
            new |= {"val_loss": self.val_losses[n_epochs:], "val_score": self.scores[n_epochs:]}
        return new


@dataclass(frozen=True)
class Divergence:
    """The point at which training diverged: the rows ``batch`` of ``epoch``, with the parameters ``params``.

    ``config`` are the parameters of the estimator. ``kept_epoch`` is the epoch whose weights the model keeps, or 0 if there are
    none.
    """

    problem: Any
    config: Any
    params: np.ndarray
    batch: np.ndarray
    epoch: int
    kept_epoch: int


class TrainingEnd(NamedTuple):
    """The end of training without an error, from which it is found out whether training diverged.

    ``X`` and ``y`` are the prepared data, and ``order`` are the numbers of the training rows, or an empty array for all rows.
    ``losses`` are those of all epochs or, for L-BFGS, the first and the last loss. ``largest_weight`` is an upper bound of the
    absolute values of the trained parameters. ``incremental`` is True for ``partial_fit``.
    """

    config: Any
    plan: Any
    X: Any
    y: Any
    order: np.ndarray
    losses: list
    largest_weight: float
    incremental: bool = False


class FitResult(NamedTuple):
    """The result of a fit, or of its epochs so far.

    ``loss`` is None if no epoch ended, ``epochs`` is None for L-BFGS, ``divergence`` is None unless training failed because it
    diverged. ``end`` is None if training failed, and while it runs. ``failure`` is the exception of a stream that ended training.
    """

    n_iter: int
    loss: float | None
    epochs: EpochRecord | None = None
    divergence: Divergence | None = None
    end: TrainingEnd | None = None
    failure: BaseException | None = None
