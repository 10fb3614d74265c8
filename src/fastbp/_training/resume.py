"""The data that a fit needs to continue exactly where another fit stopped.

A running or finished SGD fit goes in; a ``ResumePoint`` comes out. It is a part of the training state of the estimator and is
copied and pickled with it. The training state and the estimator contain the parameters, the optimizer and the history. After it was
loaded from a pickle, all numbers that kernels use as indices are checked once. This module does not know how a network is trained.
"""

import copy
from dataclasses import dataclass

import numpy as np

from .._kernels.settings import PROGRESS, record

# Fields of `PROGRESS` that belong to one call of a kernel, or that are stored in the optimizer.
_NOT_KEPT = {"status", "n_barriers", "blocks_done", "from_source"}
_NOT_KEPT |= {"first_row", "has_more", "n_expected"}
_NOT_KEPT |= {"strength", "learning_rate", "factor", "step", "product", "epochs_before"}
_KEPT = [name for name in PROGRESS.names or () if name not in _NOT_KEPT]


@dataclass
class ResumePoint:
    """The point at which a fit stopped.

    ``progress`` is a dict of fields of ``PROGRESS``; an unfinished batch is started again. With early stopping, ``trained`` are
    copies of the arrays that training changes, and ``best`` are copies of the same arrays after the best epoch; otherwise both are
    None. ``seed`` is the seed of the random numbers that are drawn in each step. ``published_hash`` is the hash of the published
    parameters if they differ from the trained ones. ``is_checked`` is False after loading, until ``check`` has checked the indices.
    ``segments`` is None after a fit of arrays. After a fit on a stream, it has the ``capacity`` of the segments and the ``seed`` of
    their order, ``n_rows`` is 0, and ``order`` is empty.
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
    is_checked: bool = True
    segments: dict | None = None

    def __setstate__(self, attributes):
        vars(self).update(attributes, is_checked=False)

    @classmethod
    def of(cls, state, rows, progress, seed):
        """A ``ResumePoint`` with copies of the current values; ``rows``, which are not copied, are those that train ``state``."""
        validated = state.best is not None
        return cls(
            n_rows=rows.n_rows,
            order=rows.order,
            held_out=None if rows.held_out is None else np.array(rows.held_out),  # it may be mapped from a file
            early_stopping=validated,
            progress={name: progress[name].item() for name in _KEPT},
            rng=copy.deepcopy(state.rng),
            trained=[array.copy() for array in state.trained] if validated else None,
            best=[array.copy() for array in state.best] if validated else None,
            seed=seed,
        )

    def to_plain(self):
        """The fields as a dict of plain values and arrays, for files and pickles."""
        plain = {name: value for name, value in vars(self).items() if name != "is_checked"}
        if self.segments is None:
            del plain["segments"]
        return plain | {"published_hash": None if self.published_hash is None else self.published_hash.hex()}

    @classmethod
    def from_plain(cls, plain):
        """The ``ResumePoint`` in the result of ``to_plain``, whose indices are checked when it is used."""
        digest = plain["published_hash"]
        return cls(**plain | {"published_hash": None if digest is None else bytes.fromhex(digest)}, is_checked=False)

    def check(self, n_rows, early_stopping, validated, capacity=None):
        """Raise a ValueError if a fit on n_rows rows cannot continue; ``validated`` says whether X_val and y_val were passed.

        For a stream, ``n_rows`` is 0 and ``capacity`` is the number of rows of a segment.
        """
        self._check_method(capacity)
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
        if not self.is_checked:
            self._check_indices()
            self.is_checked = True

    def _check_method(self, capacity):
        """Raise a ValueError if the previous fit was not a fit on a stream with segments of ``capacity`` rows."""
        if (capacity is None) != (self.segments is None):
            before, now = ("fit", "fit_batches") if self.segments is None else ("fit_batches", "fit")
            raise ValueError(
                f"warm_start='resume' continues the previous fit, which was a call of {before}, but {now} was called. Call "
                f"{before}, or set warm_start=True to continue from the weights only."
            )
        if self.segments is not None and capacity != self.segments["capacity"]:
            raise ValueError(
                f"warm_start='resume' continues with the batches of the previous fit, in which shuffle_buffer was "
                f"{self.segments['capacity']} after rounding up to a multiple of batch_size; now it is {capacity}. Restore "
                "shuffle_buffer and batch_size, or set warm_start=True to continue from the weights only."
            )

    def _check_indices(self):
        """Raise a ValueError if a number that kernels use as an index is out of range, because the loaded file was damaged."""
        if self.segments is not None:
            self._check_segments(self.segments)
            return
        rows = [self.order] if self.held_out is None else [self.order, self.held_out]
        are_valid = all(_are_row_numbers(numbers, self.n_rows) for numbers in rows)
        if not are_valid or not 0 <= self.progress["row"] < len(self.order) or self.progress["epoch"] < 0:
            raise ValueError(
                "warm_start='resume' cannot continue, because the file from which the model was loaded is damaged: the stored row "
                f"numbers must be between 0 and {self.n_rows - 1}, and the number of the epoch must not be negative. Load another "
                "copy of the model, or set warm_start=True to continue from the weights only."
            )

    def _check_segments(self, segments):
        seed, capacity = segments["seed"], segments["capacity"]
        if min(self.progress["row"], self.progress["epoch"], 0 if seed is None else seed) < 0 or capacity < 1:
            raise ValueError(
                "warm_start='resume' cannot continue, because the file from which the model was loaded is damaged: the numbers of "
                "the row, the epoch and the seed must not be negative. Load another copy of the model, or set warm_start=True to "
                "continue from the weights only."
            )

    def start(self):
        """A ``PROGRESS`` record to continue from."""
        progress = record(PROGRESS)
        for name, value in self.progress.items():
            if name in _KEPT:
                progress[0][name] = value
        return progress

    def stream(self, random_state):
        """The generator to continue with: the ``RandomState`` of the user, or else a copy of the stored generator."""
        return random_state if isinstance(random_state, np.random.RandomState) else copy.deepcopy(self.rng)


def _are_row_numbers(numbers, n_rows):
    """Whether an array that was loaded from a file contains only row numbers of n_rows rows."""
    is_array = isinstance(numbers, np.ndarray) and numbers.ndim == 1 and numbers.dtype.kind == "i" and numbers.size > 0
    return is_array and numbers.min() >= 0 and numbers.max() < n_rows


def check_resumable(resume):
    """Raise a ValueError if a model has no ``ResumePoint``."""
    if resume is None:
        raise ValueError(
            "warm_start='resume' needs a model that was fitted with warm_start='resume' or loaded from a checkpoint; this model "
            "was fitted with another warm_start or by partial_fit. Set warm_start=True to continue from the weights only."
        )
