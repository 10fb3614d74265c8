"""What a fit needs to continue exactly where another fit stopped.

A running or finished SGD fit goes in; a ``ResumePoint`` comes out, which is a part of the training state of the estimator and goes
through copies and files. Parameters, optimizer and history are kept by the training state and the estimator.
"""

import copy
from dataclasses import dataclass

import numpy as np

from .._kernels.settings import PROGRESS, record

# Fields of `PROGRESS` that belong to one call of a kernel, or that the optimizer keeps.
_NOT_KEPT = {"status", "n_barriers", "blocks_done", "batch_loss", "batch_weight", "squares"}
_NOT_KEPT |= {"learning_rate", "factor", "step", "product", "epochs_before"}


@dataclass
class ResumePoint:
    """Where a fit stopped.

    ``progress`` has the fields of ``PROGRESS`` by name; an unfinished batch is started again. With early stopping, ``trained`` are
    copies of the arrays that training writes into and ``best`` those after the best epoch; else both are None. ``seed`` is the seed
    of the random numbers drawn in each step, ``published_hash`` the hash of the published parameters if they differ from the
    trained ones.
    """

    n_rows: int
    order: np.ndarray
    held_out: np.ndarray | None
    early_stopping: bool
    progress: dict
    rng: np.random.RandomState
    trained: list | None = None
    best: list | None = None
    seed: int = 0
    published_hash: bytes | None = None

    @classmethod
    def of(cls, state, rows, progress, seed):
        """A copy of where the training of ``state`` stands; ``rows`` are the rows that it trains on."""
        validated = state.best is not None
        return cls(
            n_rows=rows.n_rows,
            order=rows.order.copy(),
            held_out=rows.held_out,
            early_stopping=validated,
            progress={name: progress[name].item() for name in PROGRESS.names if name not in _NOT_KEPT},
            rng=copy.deepcopy(state.rng),
            trained=[array.copy() for array in state.trained] if validated else None,
            best=[array.copy() for array in state.best] if validated else None,
            seed=seed,
        )

    def check(self, n_rows, early_stopping, validated):
        """Raise if a fit of n_rows rows, with validation rows given (``validated``) or not, cannot continue from here."""
        if n_rows != self.n_rows:
            raise ValueError(
                f"warm_start='resume' continues with the rows of the previous fit, which had {self.n_rows} rows; got {n_rows}. "
                "Pass the same rows, or set warm_start=True to continue from the weights only."
            )
        if early_stopping != self.early_stopping or (early_stopping and validated == (self.held_out is not None)):
            raise ValueError(
                "warm_start='resume' continues with the validation of the previous fit: early_stopping must not change (it was "
                f"{self.early_stopping} and is {early_stopping} now), and X_val and y_val must be passed in both fits or in none. "
                "Set warm_start=True to continue from the weights only."
            )

    def start(self):
        """A ``PROGRESS`` record to continue from."""
        progress = record(PROGRESS)
        for name, value in self.progress.items():
            if name in PROGRESS.names:
                progress[0][name] = value
        return progress

    def stream(self, random_state):
        """The random numbers to continue with: those of a user's own ``RandomState``, else a copy of the stored ones."""
        return random_state if isinstance(random_state, np.random.RandomState) else copy.deepcopy(self.rng)


def check_resumable(resume):
    """Raise if a model has no ``ResumePoint``."""
    if resume is None:
        raise ValueError(
            "warm_start='resume' needs a model that was fitted with warm_start='resume' or loaded from a checkpoint; this model "
            "was fitted with another warm_start or by partial_fit. Set warm_start=True to continue from the weights only."
        )
