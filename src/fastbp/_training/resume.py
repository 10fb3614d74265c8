"""What a fit must find again to go on as if it had never stopped.

A descent, at its end or between two epochs, enters; a `ResumeState` leaves, which an estimator carries through copies and files,
and from which the next fit starts. The solver's own state, the patience and the history are attributes of the estimator anyway.
"""

import copy
from dataclasses import dataclass

import numpy as np

from .._kernels.settings import PROGRESS, record

# What belongs to one call of a kernel, or is handed over by the optimiser.
_NOT_KEPT = {"status", "n_barriers", "blocks_done", "batch_loss", "batch_weight", "squares"}
_NOT_KEPT |= {"learning_rate", "factor", "step", "product", "epochs_before"}


@dataclass
class ResumeState:
    """Where a descent stands, beside the published parameters and the optimiser.

    `progress` has the fields of `PROGRESS` by name; a batch that was only half done is begun again. `trained` and `best` are what
    training writes into, and that of the best epoch so far, where these may differ; else None. `seed` is that of what is drawn at
    each step, `shown` the digest of the weights that were published, where those of training are others.
    """

    n_rows: int
    order: np.ndarray
    held_out: np.ndarray | None
    early_stopping: bool
    progress: dict
    random_state: np.random.RandomState
    trained: list | None = None
    best: list | None = None
    seed: int = 0
    shown: bytes | None = None

    @classmethod
    def of(cls, descent, n_rows, held_out, random_state, trained, best=None):
        """A copy of where a descent stands, of what it writes into, and of the best of that, for one that stops early."""
        descent.give_back()
        reached = descent.progress[0]
        validated = best is not None
        return cls(
            n_rows=n_rows,
            order=descent.order.copy(),
            held_out=held_out,
            early_stopping=validated,
            progress={name: reached[name].item() for name in PROGRESS.names if name not in _NOT_KEPT},
            random_state=copy.deepcopy(random_state),
            trained=[array.copy() for array in trained] if validated else None,
            best=[array.copy() for array in best] if validated else None,
            seed=descent.problem.seed,
        )

    def check(self, n_rows, early_stopping, given):
        """Raise if the next fit, of n_rows rows and perhaps given ones to validate with, cannot go on from here."""
        if n_rows != self.n_rows:
            raise ValueError(
                f"warm_start='resume' goes on with the rows of the fit before, which were {self.n_rows}; got {n_rows}. Give the "
                "same rows, or set warm_start=True to go on from the weights alone."
            )
        if early_stopping != self.early_stopping or (early_stopping and given == (self.held_out is not None)):
            raise ValueError(
                "warm_start='resume' goes on with the validation of the fit before: early_stopping must be what it was "
                f"({self.early_stopping}, now {early_stopping}), and X_val and y_val be given again, or be left out again. Set "
                "warm_start=True to go on from the weights alone."
            )

    def start(self):
        """`PROGRESS` to go on from."""
        progress = record(PROGRESS)
        for name, value in self.progress.items():
            if name in PROGRESS.names:
                progress[0][name] = value
        return progress

    def stream(self, wanted):
        """The random numbers to go on with: a user's own stream, if that is wanted, else one that stands where it stood."""
        return wanted if isinstance(wanted, np.random.RandomState) else copy.deepcopy(self.random_state)


def resume_state(estimator):
    """What to resume an estimator from, or an error that says why it cannot be."""
    state = getattr(estimator, "_resume", None)
    if state is None:
        raise ValueError(
            "warm_start='resume' goes on from a fit that was made with it, or from a checkpoint, and this model holds no state of "
            "either: it was fitted with another warm_start, or by partial_fit. Set warm_start=True to go on from the weights alone."
        )
    return state
