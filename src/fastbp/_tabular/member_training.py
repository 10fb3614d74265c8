"""The training of all members of an ensemble, in turn or in parallel.

Rows, the rows of each member, and settings go in; trained members come out. If training ends early, it can be continued later from
the members. This module does not know what targets and outputs mean.
"""

import hashlib
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._network.threads import allowed_threads
from .control import TrainingControl
from .ensembles import Ensemble, FoldSplit, RowData, Split
from .members import trained_member
from .network_kind import NetworkKind


class Limits(NamedTuple):
    """The limits of a fit: parameters of the estimator with the same names."""

    n_threads: int | None
    max_time: float | None
    verbose: bool | int


@dataclass
class EnsembleTraining:
    """The training of the members of an ensemble.

    ``data`` are the training rows, and ``given`` the ``RowData`` of validation rows for all members, or None. ``splits`` and
    ``seeds`` have an entry for each member. ``options`` are attributes and parameters of the networks. ``members`` has a ``Member``
    or None for each member; those that are missing or whose training is paused are trained. ``callbacks`` are ``MemberCallbacks``,
    or None. ``fixed`` are parameters of the estimator that must not change while training continues. If ``is_resumable`` is True,
    training that ends early can be continued with the ``members``, and ``error`` is the exception that ended it, or None.
    ``has_ended_early`` is whether a member has fewer epochs than it should have, and no callback has ended its training. The
    encoded rows of ``data`` are deleted when those of the only member have been selected, unless training can be continued.
    """

    settings: Any
    reader: Any
    data: RowData
    given: RowData | None
    splits: list[Split | FoldSplit]
    seeds: np.ndarray
    limits: Limits
    options: tuple[dict, dict]
    members: list
    callbacks: Any = None
    is_resumable: bool = False
    fixed: dict = field(default_factory=dict)
    error: BaseException | None = None
    has_ended_early: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    _held_out: RowData | None = None

    def call_back(self, callbacks):
        """Call these ``MemberCallbacks`` after each epoch of each member."""
        self.callbacks, callbacks.ensemble = callbacks, self

    def validation_parts(self):
        """Yield the members with validation rows, each with the numbers of these rows and the encoded rows."""
        for split, member in zip(self.splits, self.members, strict=True):
            if member is not None and split.validation is not None:
                yield member, split.validation, self._validation_rows(split).rows

    def _validation_rows(self, split):
        return self._held_out or self.data.selected(split.validation)

    def run(self):
        """Train all members that are not complete.

        If a member fails or Ctrl-C is pressed, the training of all members ends. The exception is raised, unless it is kept in
        ``error``.
        """
        limits, numbers = self.limits, [n for n, member in enumerate(self.members) if member is None or member.is_paused]
        n_allowed = allowed_threads() if limits.n_threads is None else limits.n_threads
        n_parallel = min(len(numbers), n_allowed)
        deadline = float("inf") if limits.max_time is None else time.monotonic() + limits.max_time

        def train(place):
            if not self.stop.is_set():
                seconds = _deadline_of_member(deadline, len(numbers) - place, n_parallel)
                self._train(numbers[place], seconds, limits.n_threads if n_parallel == 1 else n_allowed // n_parallel)

        try:
            if n_parallel == 1:
                for place in range(len(numbers)):
                    train(place)
            elif n_parallel:
                self._run_in_parallel(train, len(numbers), n_parallel)
        except KeyboardInterrupt as error:
            self.stop.set()
            if not self.is_resumable:
                raise
            self.error = error

    def _run_in_parallel(self, train, n_members, n_parallel):
        are_submitted = threading.Event()

        def train_when_submitted(place):
            are_submitted.wait()
            train(place)

        with ThreadPoolExecutor(n_parallel) as pool:
            try:
                # Ctrl-C during submit can leave a thread that the pool does not know; it must not have begun to train
                futures = [pool.submit(train_when_submitted, place) for place in range(n_members)]
                are_submitted.set()
                # with a timeout, because Ctrl-C does not interrupt a wait without one on all systems
                while wait(futures, 0.1, FIRST_EXCEPTION).not_done and not any(map(_has_failed, futures)):
                    pass
                failed = next(filter(_has_failed, futures), None)
                if failed is not None:
                    failed.result()
            except BaseException:
                self.stop.set()
                are_submitted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _train(self, n, deadline, n_threads):
        """Train member n, and store it."""
        limits, split, before = self.limits, self.splits[n], self.members[n]
        attributes, parameters = self.options
        label = f"Member {n + 1}: " if len(self.splits) > 1 and limits.verbose else None
        control = TrainingControl(deadline, self.stop, label, self.settings.max_iter, n, self.callbacks, self.is_resumable)
        own = {"random_state": int(self.seeds[n]), "n_threads": n_threads, "verbose": limits.verbose}
        own["warm_start"] = "resume" if self.is_resumable else False
        options = {"attributes": {"control": control, **attributes}, "parameters": own | parameters}

        def data():
            training = self.data.selected(split.training)
            if len(self.splits) == 1 and not self.is_resumable and self.callbacks is None:
                # the rows are not needed again, and preparing the selected rows takes as much memory
                self._held_out = None if split.validation is None else self.data.selected(split.validation)
                self.data.rows = None
            return training

        def validation():
            return self.given if split.validation is None else self._validation_rows(split)

        with self._turn(n):
            settings = self.settings.of_member(n)
            self.members[n] = trained_member(settings, self.reader, data, validation, options, before)
        self.has_ended_early |= not control.has_ended(self.members[n].n_iter_)
        if control.error is not None:
            self.error = control.error

    def _turn(self, n):
        return nullcontext() if self.callbacks is None else self.callbacks.training(n)

    def paused(self, members):
        """Return the ``PausedEnsemble`` with these members."""
        is_validated = self.given is not None
        return PausedEnsemble(len(self.data.y), self.splits, self.seeds, members, is_validated, self.fixed, self._digest)

    @cached_property
    def _digest(self):
        return _digest_of_data(self.data, self.given)


class PausedEnsemble(NamedTuple):
    """What is needed to continue the training of an ensemble.

    ``n_rows`` is the number of training rows. ``splits``, ``seeds``, ``members`` and ``fixed`` are those of ``EnsembleTraining``.
    ``is_validated`` is whether validation rows were passed to ``fit``. ``digest`` is that of the data; None in old files.
    """

    n_rows: int
    splits: list
    seeds: np.ndarray
    members: list
    is_validated: bool
    fixed: dict
    digest: str | None = None

    def to_plain(self):
        """Return a dict of plain values and arrays without the members, which are those of the ensemble."""
        splits = [[split.training, split.validation] for split in self.splits]
        are_started = [member is not None for member in self.members]
        return {**self._asdict(), "splits": splits, "members": are_started}

    @classmethod
    def from_plain(cls, plain, ensemble):
        """Return the result for an ``Ensemble`` with the members."""
        members = iter(ensemble.members)
        all_members = [next(members) if is_started else None for is_started in plain["members"]]
        return cls(**plain | {"splits": [Split(*pair) for pair in plain["splits"]], "members": all_members})

    def check(self, data, given, fixed):
        """Raise a ValueError if training cannot continue with these ``RowData`` and parameters."""
        n_rows, is_validated = len(data.y), given is not None
        for name, value in fixed.items():
            if value != self.fixed[name]:
                raise ValueError(
                    f"{name} must not change with warm_start='resume', because training continues where it stopped; it was "
                    f"{self.fixed[name]!r} and is {value!r} now. Set {name}={self.fixed[name]!r}, or warm_start=False."
                )
        if n_rows != self.n_rows:
            raise ValueError(
                "warm_start='resume' continues with the rows of the previous fit, which had "
                f"{self.n_rows} rows with a weight above 0; got {n_rows}. Pass the same rows, or set warm_start=False."
            )
        if is_validated != self.is_validated:
            raise ValueError(
                "warm_start='resume' continues with the validation rows of the previous fit: X_val and y_val must be passed in "
                "both fits or in none. Pass them as in the previous fit, or set warm_start=False."
            )
        if self.digest not in (None, _digest_of_data(data, given)):
            raise ValueError(
                "warm_start='resume' continues with the data of the previous fit, but values in X, y, sample_weight or the "
                "validation rows differ, or rows have another order. Pass the same data, or set warm_start=False."
            )


def ensemble_of(reader, settings, members):
    """Return the ``Ensemble`` of the members that are not None, which have networks with these settings."""
    started = [member for member in members if member is not None]
    plan = started[0].network.plan
    kind = NetworkKind(settings, plan.layout.sizes[-1], plan.architecture.link, plan.architecture.numbers)
    return Ensemble(reader, started, kind)


def _digest_of_data(data, given):
    """A text that depends on all values of training rows and of validation rows or None, and on their order."""
    digest = hashlib.blake2b(digest_size=16)
    for rows in (data, given):
        for array in () if rows is None else (*rows.rows, rows.y, rows.weights):
            digest.update(str(np.shape(array)).encode())
            for column in [] if array is None else array.reshape(len(array), -1).T:
                digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def _has_failed(future):
    return future.done() and future.exception() is not None


def _deadline_of_member(deadline, n_left, n_parallel):
    """The time at which a member stops, so that those of ``n_left`` members that start later have as much time."""
    now = time.monotonic()
    return now + max(0.0, deadline - now) / -(-n_left // n_parallel)
