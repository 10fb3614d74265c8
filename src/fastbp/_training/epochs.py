"""Run epochs of stochastic gradient descent in compiled kernels.

A problem (a network with its data), the training state, settings and the order of the rows go in; the parameters are trained in
place, and the losses and learning rates of the epochs come out. Kernels run whole epochs; this module determines how long one call
of a kernel takes and provides the random numbers. It does not know about estimators, labels and scores.
"""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._kernels.barrier import ABORTED
from .._kernels.codes import Status
from .._kernels.epochs import EpochTrace, train, update_early_stopping
from .._kernels.products import Rows
from .._kernels.settings import PROGRESS, ProgressValues, record
from .._kernels.shuffles import MT19937State
from .._kernels.versions import version_for
from .._network.architecture import Plan
from .._network.kernel_settings import configure_network
from .._network.threads import IDLE_SECONDS, ThreadCrew, other_threads_exist
from .._network.turns import BlockPacer
from .._network.workspace import workspace

_MAX_EPOCHS_PER_CALL = 1000
_NO_GENERATOR = MT19937State(np.zeros(624, np.uint32), np.zeros(1, np.int64))
_RUNNING = int(Status.running)  # comparisons with a member of an enumeration take longer


@dataclass
class Problem:
    """A network and its training data, in the form that kernels require.

    ``penalties`` are the ``PENALTY_NUMBERS``, ``seed`` is the seed of the random numbers that are drawn in each step.
    """

    plan: Plan
    rows: Rows | None
    y: np.ndarray
    weight: np.ndarray
    penalties: np.ndarray | None = None
    seed: int = 0

    @property
    def n_rows(self):
        return self.y.shape[0]

    def workspace(self, state, settings, batch_size, n_threads, n_shares, schedule=None):
        """Set the block size for a batch size; return the layer table, the ``Team``, and the ``Scratch`` of each thread."""
        plan, dtype, rows_each = self.plan, state.params.dtype, -(-batch_size // n_shares)
        # batch normalization needs the statistics of all rows of a batch before it can compute the next layer
        whole = plan.architecture.norm == "batch_norm"
        block_size = rows_each if whole else plan.layout.block_size(rows_each, dtype.itemsize)
        table = configure_network(settings, plan, block_size, dtype)
        team, scratches = workspace(
            plan,
            block_size,
            dtype,
            n_threads,
            n_shares,
            gathered=self.rows is None or self.rows.indptr.size == 0,
            moving=state.moving,
            penalties=self.penalties,
            schedule=schedule,
            seed=self.seed,
        )
        return table, team, scratches


class Shuffles:
    """The random order of the rows of each epoch, drawn from a ``RandomState``.

    The kernel draws from a copy of the state of the generator, and ``close`` writes the copy back. Python shuffles the rows instead
    if the generator is not MT19937, or if another thread may draw from the same generator at the same time (``shared``).
    """

    def __init__(self, random_state, *, wanted, shared):
        self.random_state = random_state
        self.state = random_state.get_state(legacy=False)
        is_twister = self.state["bit_generator"] == "MT19937"
        in_kernel = is_twister and not (shared and other_threads_exist())
        self.by_kernel = wanted and in_kernel
        self.by_python = wanted and not in_kernel
        inner: dict = self.state["state"] if wanted and is_twister else {"key": np.zeros(624, np.uint32), "pos": 0}
        if not 0 <= inner["pos"] <= 624:  # NumPy accepts any position, and reads outside its state
            raise ValueError(
                f"random_state must be a valid generator, but the position of its next number is {inner['pos']}, which is not "
                "between 0 and 624. Its stored state is damaged; create a new generator."
            )
        self.generator = MT19937State(np.array(inner["key"], np.uint32), np.array([inner["pos"]], np.int64))

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
            self.state["state"] = {"key": self.generator.key, "pos": int(self.generator.position[0])}
            self.random_state.set_state(self.state)


@lru_cache(maxsize=64)
def _first_generator_state(seed):
    state = np.random.RandomState(seed).get_state(legacy=False)["state"]
    return np.array(state["key"], np.uint32), np.array([state["pos"]], np.int64)


class EpochRunner:
    """Trains a state by stochastic gradient descent: call ``run_kernel`` while ``running``, then ``close``.

    If ``keep_best`` is True, ``kept`` contains the parameters after the epoch with the lowest loss; otherwise it is empty.
    """

    def __init__(self, problem, state, settings, schedule, progress, order, shuffles, n_threads, n_shares, *, keep_best=False):
        self.problem, self.state, self.settings = problem, state, settings
        self.order, self.shuffles = order, shuffles
        state.optimizer.write_progress(progress)
        settings["shuffle"] = shuffles.by_kernel
        self._losses, self._rates, self._buffers = [], [], np.empty((2, _MAX_EPOCHS_PER_CALL))
        self._first_epoch = progress["epoch"].item()
        self.kept = np.empty_like(state.params) if keep_best else state.params[:0]
        self._kernel, self._is_restarted = train, False
        self.crew = ThreadCrew(n_threads)
        try:
            self.progress = np.repeat(progress, self.crew.n_threads)  # one record per thread; Python reads the first
            batch_size = settings["batch_size"].item()
            n_threads = settings["n_threads"] = self.crew.n_threads
            self.table, self.team, self.scratches = problem.workspace(state, settings, batch_size, n_threads, n_shares, schedule)
        except BaseException:
            self.crew.close()
            raise
        self.pacer = BlockPacer(problem.plan.layout, settings["block_size"][0])
        self._n_counted = self._n_blocks() if self._first_epoch else 0

    def restart(self, state, rows, start, shuffles=None):
        """Continue with another state of the same network and other rows, whose batches are not larger than the buffers.

        ``keep_threads`` must have returned True. Without `shuffles`, the rows are processed in the same order as in the last call.
        """
        problem = self.problem
        problem.rows, problem.y, problem.weight = rows
        self.state, self._losses, self._rates, self._first_epoch, self._n_counted = state, [], [], 0, 0
        if shuffles is not None:
            self.shuffles, self.order, self.settings["shuffle"] = shuffles, np.arange(problem.n_rows), shuffles.by_kernel
        self.progress[0] = ProgressValues(
            shuffled=shuffles is None,
            rows_seen=start.rows_seen,
            best=start.best,
            bad_epochs=start.bad_epochs,
            **state.optimizer.progress(),
        )

    def keep_threads(self):
        """Start the threads for calls of ``restart``, unless they run; return False if the system cannot start them."""
        if not self._is_restarted:
            self.crew = ThreadCrew(len(self.scratches), IDLE_SECONDS)
            self._kernel = None  # found in the first call, because all later calls have arguments of the same types
            self._is_restarted = self.crew.n_threads == len(self.scratches)
        return self._is_restarted

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
        self.read_epochs()  # the kernel writes the losses of new epochs to the same buffer
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
            n_blocks = self._n_blocks()
            self.pacer.measure(n_blocks - self._n_counted, time.perf_counter() - start)
            self._n_counted = n_blocks
        return self.progress["epoch"].item(0) > epoch

    def _shuffle(self):
        if not self.progress["shuffled"][0]:
            self.shuffles.random_state.shuffle(self.order)
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
            state.params,
            state.optimizer.moments,
            problem.rows,
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
        """Copy the state that the kernels changed to the optimizer. Training can continue afterwards."""
        self.state.optimizer.read_progress(self.values)

    def write_back(self):
        """Copy the state that the kernels changed to the random number generator and the optimizer. Training can continue."""
        self.shuffles.close()
        self.write_optimizer()

    def close(self):
        """End the threads, unless they are kept for the next call, then call ``write_back``."""
        if not self._is_restarted or self.team.barrier[ABORTED]:  # after an error or an interruption, a thread may still run
            self._is_restarted = False
            self.crew.close()
        self.write_back()


def start_progress(start):
    """A ``PROGRESS`` record for an ``EarlyStoppingStart``."""
    progress = record(PROGRESS)
    progress["best"], progress["bad_epochs"], progress["rows_seen"] = start.best, start.bad_epochs, start.rows_seen
    return progress
