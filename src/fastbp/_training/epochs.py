"""Run epochs of stochastic gradient descent in compiled kernels.

A problem (a network with its data), the training state, settings and the order of the rows go in; the parameters are trained in
place, and the losses and learning rates of the epochs come out. Kernels run whole epochs; this module determines how long one call
of a kernel takes and provides the random numbers. It does not know about estimators, labels and scores.
"""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._data.row_numbers import row_numbers
from .._data.training_arrays import training_arrays
from .._kernels.barrier import ABORTED
from .._kernels.codes import Status
from .._kernels.epochs import EpochTrace, train, update_early_stopping
from .._kernels.lazy.bfloat16 import store_rows
from .._kernels.products import Rows
from .._kernels.settings import PROGRESS, ProgressValues, record
from .._kernels.shuffles import MT19937State
from .._kernels.solvers import Source
from .._kernels.versions import version_for
from .._network.architecture import Plan
from .._network.kernel_settings import configure_network
from .._network.layout import aligned_zeros
from .._network.mixed_precision import WordSizes, use_bfloat16, use_stored_rows
from .._network.segments import segment_table
from .._network.threads import ThreadCrew, keep_crew, other_threads_exist, take_crew
from .._network.turns import BlockPacer
from .._network.workspace import workspace
from .generators import generator_of, read_twister, write_twister

_MAX_EPOCHS_PER_CALL = 1000
_NO_GENERATOR = MT19937State(np.zeros(624, np.uint32), np.zeros(1, np.int64))
_RUNNING = int(Status.running)  # comparisons with a member of an enumeration take longer


@dataclass
class Problem:
    """A network and its training data, in the form that kernels require.

    ``penalties`` are the ``PENALTY_NUMBERS``, ``seed`` is the seed of the random numbers that are drawn in each step. ``segments``
    is the segment table; None stands for the table without special factors. ``data`` are the (X, y, sample_weight) of which rows, y
    and weight are the converted arrays, unless kernels read them from their sources.
    """

    plan: Plan
    rows: Rows | None
    y: np.ndarray
    weight: np.ndarray
    penalties: np.ndarray | None = None
    seed: int = 0
    segments: np.ndarray | None = None
    data: tuple | None = None

    def __post_init__(self):
        if self.segments is None:
            self.segments = segment_table(self.plan.layout)

    @property
    def n_rows(self):
        return self.y.shape[0] if self.data is None else len(self.data[1])

    def workspace(self, state, settings, batch_size, n_threads, n_shares, schedule=None, *, shares_weights):
        """Set the block size for a batch size; return the layer table, the ``Team``, and the ``Scratch`` of each thread.

        With `shares_weights`, the threads share the copies of the weights. ``train`` requires it; other kernels do not support it.
        """
        plan, dtype, rows_each = self.plan, state.params.dtype, -(-batch_size // n_shares)
        # batch normalization needs the statistics of all rows of a batch before it can compute the next layer
        whole = plan.architecture.norm == "batch_norm"
        block_size = rows_each if whole else plan.layout.block_size(rows_each, dtype.itemsize)
        table = configure_network(settings, plan, block_size, dtype)
        is_mixed = plan.architecture.product_dtype == "bfloat16" and dtype == np.float32
        team, scratches = workspace(
            plan,
            block_size,
            dtype,
            n_threads,
            n_shares,
            gathered=self.rows is None or self.rows.indptr.size == 0,
            shares_weights=shares_weights,
            moving=state.moving,
            penalties=self.penalties,
            schedule=schedule,
            seed=self.seed,
            words=use_bfloat16(table, block_size) if is_mixed else WordSizes(),
        )
        return table, team, scratches


class Shuffles:
    """The random order of the rows of each epoch, drawn from a ``RandomState``.

    The kernel draws from a copy of the state of the generator, and ``close`` writes the copy back. Python shuffles the rows instead
    if the generator is not MT19937, or if another thread may draw from the same generator at the same time (``shared``).
    """

    def __init__(self, random_state, *, wanted, shared):
        self.random_state = random_state
        state = read_twister(random_state)
        in_kernel = state is not None and not (shared and other_threads_exist())
        self.by_kernel = wanted and in_kernel
        self.by_python = wanted and not in_kernel
        words, position = state if wanted and state is not None else (np.zeros(624, np.uint32), 0)
        if not 0 <= position <= 624:  # NumPy accepts any position, and reads outside its state
            raise ValueError(
                f"random_state must be a valid generator, but the position of its next number is {position}, which is not "
                "between 0 and 624. Its stored state is damaged; create a new generator."
            )
        self.generator = MT19937State(words, np.array([position], np.int64))

    @classmethod
    def of_seed(cls, seed, *, wanted):
        """The same shuffles as for a new ``RandomState(seed)``, which takes longer to create than a step of a small network."""
        shuffles = object.__new__(cls)
        key, position = _first_generator_state(seed)
        shuffles.random_state, shuffles.by_kernel, shuffles.by_python = None, wanted, False
        shuffles.generator = MT19937State(key.copy(), position.copy())
        return shuffles

    @classmethod
    def by_generator(cls, random_state, *, wanted):
        """The shuffles of a ``RandomState`` that an earlier call has checked, drawn by Python.

        Copying the generator takes as long as shuffling thousands of rows.
        """
        shuffles = object.__new__(cls)
        shuffles.random_state, shuffles.by_kernel, shuffles.by_python = random_state, False, wanted
        shuffles.generator = _NO_GENERATOR
        return shuffles

    def close(self):
        if self.by_kernel and self.random_state is not None:
            write_twister(self.random_state, self.generator.key, int(self.generator.position[0]))


@lru_cache(maxsize=64)
def _first_generator_state(seed):
    words, position = read_twister(generator_of(seed))
    return words, np.array([position], np.int64)


class EpochRunner:
    """Trains a state by stochastic gradient descent: call ``run_kernel`` while ``running``, then ``close``.

    If ``keep_best`` is True, ``kept`` contains the parameters after the epoch with the lowest loss; otherwise it is empty. With
    ``keep_threads``, ``close`` keeps the threads for the next call; otherwise, it ends them.
    """

    def __init__(
        self,
        problem,
        state,
        settings,
        schedule,
        progress,
        order,
        shuffles,
        n_threads,
        n_shares,
        *,
        keep_best=False,
        keep_threads=False,
    ):
        self.problem, self.state, self.settings = problem, state, settings
        self.order, self.shuffles = order, shuffles
        state.optimizer.write_progress(progress)
        settings["shuffle"] = shuffles.by_kernel
        self._losses, self._rates, self._buffers = [], [], np.empty((2, _MAX_EPOCHS_PER_CALL))
        self._first_epoch = progress["epoch"].item()
        self._source, self._stored_rows = state, None
        self.kept = np.empty_like(state.params) if keep_best else state.params[:0]
        self._kernel, self._keep_threads = train, keep_threads
        self.crew = take_crew(n_threads) if keep_threads else ThreadCrew(n_threads)
        try:
            self.progress = np.repeat(progress, self.crew.n_threads)  # one record per thread; Python reads the first
            batch_size = settings["batch_size"].item()
            n_threads = settings["n_threads"] = self.crew.n_threads
            self.table, self.team, self.scratches = problem.workspace(
                state, settings, batch_size, n_threads, n_shares, schedule, shares_weights=True
            )
        except BaseException:
            self.crew.close()
            raise
        self.pacer = BlockPacer(problem.plan.layout, settings["block_size"][0])
        self._n_counted = self._n_blocks() if self._first_epoch else 0

    def store_rows(self):
        """Round the rows of X once for all steps, if they are rounded in each step. Afterwards, ``restart`` is not possible.

        X that is sparse or converted when it is read is not stored.
        """
        X = self.problem.rows.dense
        if X.shape[0] and (n_words := use_stored_rows(self.table, self.settings, X.shape[0])):
            stored = aligned_zeros(X.shape[0] * n_words, np.float32).reshape(X.shape[0], n_words)
            store_rows(X, stored.view(np.uint32))
            stored.setflags(write=False)
            self._stored_rows = self.problem.rows._replace(dense=stored)

    def restart(self, state, source, data, start, shuffles=None):
        """Continue with another state of the same network and other ``data``, whose batches are not larger than the buffers.

        The parameters and moments are those of the state ``source``, and the first update writes the new ones to ``state``. Without
        `shuffles`, the rows are processed in the same order as in the last call.
        """
        assert self._stored_rows is None  # they would be those of the previous data
        problem = self.problem
        problem.rows, problem.y, problem.weight = training_arrays(state.params.dtype, *data)
        problem.data = data
        self.state, self._losses, self._rates, self._first_epoch, self._n_counted = state, [], [], 0, 0
        if shuffles is not None:
            self.shuffles, self.order, self.settings["shuffle"] = shuffles, row_numbers(problem.n_rows), shuffles.by_kernel
        self.progress[0] = _first_values(start, shuffled=shuffles is None, from_source=True, **state.optimizer.progress())
        self._source = source
        if self._kernel is train:
            self._kernel = None  # found in the first call, because all later calls have arguments of the same types
        self.crew = take_crew(len(self.scratches))
        self.settings["n_threads"] = self.crew.n_threads  # 1 if the system cannot start other threads

    @property
    def status(self):
        return Status(self.progress["status"].item(0))

    @property
    def values(self):
        """The current ``ProgressValues``."""
        return ProgressValues._make(self.progress.item(0))

    @property
    def running(self):
        return self.progress["status"].item(0) == _RUNNING

    @property
    def losses(self):
        """The mean loss of every finished epoch."""
        return self.read_epochs()[0]

    def read_epochs(self):
        """The mean loss and the last learning rate of every finished epoch, as two lists."""
        # read from `progress`, not from the result of `train`, so that no epoch is lost if Python is interrupted after the call
        n_new = self.progress["epoch"].item(0) - self._first_epoch - len(self._losses)
        if n_new:
            for entries, new in zip((self._losses, self._rates), self._buffers[:, :n_new].tolist(), strict=True):
                entries.extend(new)
        return self._losses, self._rates

    def run_kernel(self, n_epochs=_MAX_EPOCHS_PER_CALL):
        """Train for one kernel call, at most n_epochs epochs; return whether an epoch ended."""
        epoch = self.progress["epoch"].item(0)
        if self.shuffles.by_python:
            n_epochs = 1
            self._shuffle()
        start = time.perf_counter()
        if self.crew.n_threads > 1:
            self._synchronize()
            self.crew.run(lambda rank: self._train(rank, n_epochs), self._abort)
        else:
            self._train(0, n_epochs)
        if self.running:
            self.read_epochs()  # the next call writes the losses of new epochs to the same buffer
            n_blocks = self._n_blocks()
            self.pacer.measure(n_blocks - self._n_counted, time.perf_counter() - start)
            self._n_counted = n_blocks
        return self.progress["epoch"].item(0) > epoch

    def _shuffle(self):
        if not self.progress["shuffled"][0]:
            n_members, shares_batches = self.state.layout.n_members or 1, self.settings["shares_batches"][0]
            of_members = self.order.reshape(-1, n_members).T
            for rows in of_members[: 1 if shares_batches else n_members]:
                self.shuffles.random_state.shuffle(rows)
            if shares_batches:
                of_members[1:] = of_members[0]
            self.progress["shuffled"][0] = True

    def _synchronize(self):
        """Copy the progress of the first thread, which Python may have changed, to all threads, and reset the barrier."""
        self.progress[1:] = self.progress[0]
        self.progress["n_barriers"] = 0
        self.team.barrier[:] = 0

    def _train(self, rank, n_epochs):
        problem, state = self.problem, self.state
        arguments = (
            self.settings,
            self.progress,
            rank,
            self.team,
            self.table,
            problem.segments,
            state.params,
            state.optimizer.moments,
            Source(self._source.params, self._source.optimizer.moments),
            problem.rows if self._stored_rows is None else self._stored_rows,
            problem.y,
            problem.weight,
            self.order,
            self.shuffles.generator,
            self.scratches[rank],
            EpochTrace(self._buffers[0, :n_epochs], self._buffers[1], self.kept),
            self.pacer.n_blocks,
        )
        if self._kernel is None:
            self._kernel = version_for(train, arguments)
        self._kernel(*arguments)

    def _abort(self):
        self.team.barrier[ABORTED] = self.scratches[0].barrier[ABORTED] = 1

    def _n_blocks(self):
        """The number of blocks that each thread has processed, up to a constant."""
        epoch, row, blocks_done = (self.progress[name][0] for name in ("epoch", "row", "blocks_done"))
        return (epoch * self.order.size + row) / (self.settings["block_size"][0] * self.crew.n_threads) + blocks_done

    def end_validated_epoch(self, value):
        """Apply the stopping rule to the validation result of an epoch; lower values are better."""
        update_early_stopping(self.settings, self.progress, float(value))

    def write_optimizer(self):
        """Copy the state that the kernels changed to the optimizer, and return ``values``. Training can continue afterwards."""
        values = self.values
        self.state.optimizer.read_progress(values)
        return values

    def write_back(self):
        """Do the same, and copy the state of the random number generator. Training can continue afterwards."""
        self.shuffles.close()
        return self.write_optimizer()

    def close(self):
        """End the threads or keep them for the next call, then return the result of ``write_back``."""
        crew, self.crew = self.crew, take_crew(1)
        if self._keep_threads and not self.team.barrier[ABORTED]:
            keep_crew(crew)
        else:  # after an error or an interruption, a thread may still run
            crew.close()
        self._release_source()
        return self.write_back()

    def _release_source(self):
        """Drop the reference to the source, and copy its arrays if training ended before the first update."""
        source, self._source = self._source, self.state
        if self.progress["from_source"].item(0):
            np.copyto(self.state.params, source.params)
            np.copyto(self.state.optimizer.moments, source.optimizer.moments)


def start_progress(start):
    """A ``PROGRESS`` record for an ``EarlyStoppingStart``."""
    progress = record(PROGRESS)
    progress[0] = _first_values(start)
    return progress


def _first_values(start, **others):
    return ProgressValues(rows_seen=start.rows_seen, best=start.best, bad_epochs=start.bad_epochs, **others)
