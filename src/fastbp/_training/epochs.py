"""From starting weights to trained ones.

A network's layout and flat parameters, its rows and targets enter; they are trained in place, and the losses of the epochs leave.
Kernels do whole epochs; here it is decided how much they do before Python gets control back, where their random numbers come from,
and what L-BFGS does with the gradient. Estimators, labels and scores are not known here.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from .._kernels.codes import Status
from .._kernels.epochs import Trace, train, update_early_stopping
from .._kernels.network import loss_and_gradient
from .._kernels.settings import PROGRESS, record
from .._kernels.shuffles import MT19937State
from .._kernels.team import ABORTED
from .._network.architecture import Plan
from .._network.kernel_settings import configure_network
from .._network.turns import BlockPacer, timed_ranges
from .._network.workspace import MovingStatistics, workspace
from .threads import ThreadCrew

_MOST_EPOCHS = 1000  # in one call of the kernel
# What threads know only together, of a batch that lasts longer than a turn.
_OF_EACH_THREAD = ["batch_loss", "batch_weight"]


@dataclass
class Problem:
    """What is trained: the plan and parameters of a network, its data as `inputs` makes it, and what training keeps beside these.

    `moving` are the statistics of a batch's norm, `seed` is where what is drawn at each step comes from, `numbers` are those of
    penalties and limits.
    """

    plan: Plan
    params: np.ndarray
    rows: object
    y: np.ndarray
    weight: np.ndarray
    moving: MovingStatistics | None = None
    seed: int = 0
    numbers: np.ndarray | None = None

    @property
    def n_rows(self):
        return self.y.shape[0]

    def prepare(self, settings, batch_size, n_threads, rates=None):
        """Set the block size for a batch size; returns the table, what the threads share, and the scratch of each."""
        plan, dtype, rows_each = self.plan, self.params.dtype, -(-batch_size // n_threads)
        # a batch that is normed passes in one block, as its statistics are wanted before its activations
        whole = plan.architecture.norm == "batch_norm"
        block_size = rows_each if whole else plan.layout.block_size(rows_each, dtype.itemsize)
        table = configure_network(settings, plan, block_size, dtype)
        team, scratches = workspace(
            plan,
            block_size,
            dtype,
            n_threads,
            gathered=self.rows.indptr.size == 0,
            moving=self.moving,
            penalties=self.numbers,
            schedule=rates,
            seed=self.seed,
        )
        return table, team, scratches


class Shuffles:
    """The random order of an epoch's rows, from a ``RandomState``.

    Its generator's state is lent to the kernel and given back in ``close``; where another thread may draw from the same source in
    the meantime, or the generator is not MT19937, each epoch is shuffled here instead.
    """

    def __init__(self, random_state, *, wanted, shared):
        self.random_state = random_state
        self.state = random_state.get_state(legacy=False)
        lent = self.state["bit_generator"] == "MT19937" and not (shared and threading.active_count() > 1)
        self.by_kernel = wanted and lent
        self.by_python = wanted and not lent
        inner = self.state["state"] if self.by_kernel else {"key": np.zeros(624, np.uint32), "pos": 0}
        self.twister = MT19937State(np.array(inner["key"], np.uint32), np.array([inner["pos"]], np.int64))

    def close(self):
        if self.by_kernel:
            self.state["state"] = {"key": self.twister.key, "pos": int(self.twister.position[0])}
            self.random_state.set_state(self.state)


class EpochRunner:
    """A fit by stochastic gradient descent: call ``turn`` while ``running``, then ``close``.

    ``losses`` and ``rates`` hold the mean loss and the last learning rate of every epoch that ended, whenever they are read;
    `best`, where it has room, the parameters after the epoch of the lowest loss.
    """

    def __init__(self, problem, settings, rates, progress, optimizer, order, shuffles, n_threads, best=None):
        self.problem, self.settings = problem, settings
        self.optimizer, self.order, self.shuffles = optimizer, order, shuffles
        optimizer.write_progress(progress)
        settings["shuffle"] = shuffles.by_kernel
        self._losses, self._rates, self._buffers = [], [], np.empty((2, _MOST_EPOCHS))
        self._first_epoch, self.best = progress["epoch"].item(), problem.params[:0] if best is None else best
        self.crew = ThreadCrew(n_threads)
        try:
            self.progress = np.repeat(progress, self.crew.n_threads)  # each thread's own; the first is read here
            batch_size = settings["batch_size"].item()
            self.table, self.team, self.scratches = problem.prepare(settings, batch_size, self.crew.n_threads, rates)
        except BaseException:
            self.crew.close()
            raise
        self.pace = BlockPacer(problem.plan.layout, settings["block_size"][0])

    @property
    def status(self):
        return Status(self.progress["status"][0])

    @property
    def running(self):
        return self.progress["status"][0] == Status.running

    @property
    def losses(self):
        self._read()
        return self._losses

    @property
    def rates(self):
        self._read()
        return self._rates

    def _read(self):
        # off progress, not off what train returned, so that an interruption in between loses nothing
        n_new = int(self.progress["epoch"][0]) - self._first_epoch - len(self._losses)
        if n_new:
            for kept, new in zip((self._losses, self._rates), self._buffers[:, :n_new].tolist(), strict=True):
                kept.extend(new)

    def turn(self, n_epochs=_MOST_EPOCHS):
        """Train for one turn, or until n_epochs ended; returns whether an epoch ended."""
        n_before = len(self.losses)
        if self.shuffles.by_python:
            n_epochs = 1
            if not self.progress["shuffled"][0]:
                self.shuffles.random_state.shuffle(self.order)
                self.progress["shuffled"][0] = True
        rounds_before = self._rounds()
        start = time.perf_counter()
        if self.crew.n_threads > 1:
            own = self.progress[_OF_EACH_THREAD].copy()
            self.progress[1:] = self.progress[0]  # which Python has judged
            self.progress[_OF_EACH_THREAD] = own
        self.progress["n_barriers"] = 0
        self.team.barrier[:] = 0
        self.crew.run(lambda rank: self._work(rank, n_epochs), self._abort)
        self.pace.measure(self._rounds() - rounds_before, time.perf_counter() - start)
        return len(self.losses) > n_before

    def _work(self, rank, n_epochs):
        problem = self.problem
        train(
            self.settings,
            self.progress,
            rank,
            self.team,
            self.table,
            problem.params,
            self.optimizer.moments,
            problem.rows,
            problem.y,
            problem.weight,
            self.order,
            self.shuffles.twister,
            self.scratches[rank],
            Trace(self._buffers[0, :n_epochs], self._buffers[1], self.best),
            self.pace.n_blocks,
        )

    def _abort(self):
        self.team.barrier[ABORTED] = self.scratches[0].barrier[ABORTED] = 1

    def _rounds(self):
        """How many blocks each thread has done since the start, up to a few."""
        epoch, row, blocks_done = (self.progress[name][0] for name in ("epoch", "row", "blocks_done"))
        return (epoch * self.order.size + row) / (self.settings["block_size"][0] * self.crew.n_threads) + blocks_done

    def update_early_stopping(self, value):
        """End a validated epoch by its value, lower being better."""
        update_early_stopping(self.settings, self.progress, float(value))

    def close(self):
        """End the threads, and give back what was lent."""
        self.crew.close()
        self.give_back()

    def give_back(self):
        """Put the random numbers and the solver's state where they came from; training may go on after it."""
        self.shuffles.close()
        self.optimizer.read_progress(self.progress)


def start_progress(best, bad_epochs, rows_seen):
    """`PROGRESS` at the start of a fit that goes on from these; best is the lowest value so far."""
    progress = record(PROGRESS)
    progress["best"], progress["bad_epochs"], progress["rows_seen"] = best, bad_epochs, rows_seen
    return progress


class Stop(Exception):
    """Ends L-BFGS from within, with its reason."""


def minimize_lbfgs(problem, settings, *, max_iter, max_fun, tol, report, check=lambda: None):
    """Train by SciPy's L-BFGS-B on the whole of the data.

    `report` is called with (iteration, loss, x) after each iteration, `check` several times a second; either may raise a `Stop`.
    Returns SciPy's result, and None or why it ended before: "interrupted", or the reason of the `Stop`; its x then is the last
    iterate.
    """
    objective = _Objective(problem, settings, check)
    start = problem.params.astype(np.float64)
    latest = OptimizeResult(x=start, fun=np.inf, nit=0, status=0)

    def remember(intermediate_result):
        latest.x, latest.fun, latest.nit = intermediate_result.x.copy(), intermediate_result.fun, latest.nit + 1
        report(latest.nit, latest.fun, latest.x)

    try:
        options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
        result = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=remember)
    except KeyboardInterrupt:
        return latest, "interrupted"
    except Stop as stop:
        return latest, str(stop)
    return result, None


class _Objective:
    """x ↦ (mean loss with its penalty, gradient), over all rows, in turns; `check` is called after each."""

    def __init__(self, problem, settings, check=lambda: None):
        self.problem, self.settings, self.check = problem, settings, check
        self.table, _, (self.scratch,) = problem.prepare(settings, problem.n_rows, 1)
        self.pace = BlockPacer(problem.plan.layout, settings["block_size"][0])

    def __call__(self, x):
        problem, settings, n_coefs = self.problem, self.settings, self.problem.plan.layout.n_coefs
        problem.params[...] = x  # which SciPy keeps in float64, and without room behind it
        loss, weight_sum = self.sums()
        W, gradient, l1 = x[:n_coefs], self.scratch.gradient.astype(np.float64), settings[0].l1
        gradient[:n_coefs] += settings[0].alpha * W + l1 * np.sign(W)
        return (loss + 0.5 * settings[0].alpha * (W @ W) + l1 * np.abs(W).sum()) / weight_sum, gradient / weight_sum

    def sums(self):
        """Σ loss and Σ weight of all rows at the present parameters; the gradient is left in scratch."""
        problem, settings = self.problem, self.settings
        loss, weight_sum = 0.0, 0.0
        for start, stop in timed_ranges(problem.n_rows, self.pace, settings[0].block_size):
            part = loss_and_gradient(
                settings, self.table, problem.params, problem.rows, problem.y, problem.weight, start, stop, self.scratch
            )
            loss, weight_sum = loss + part[0], weight_sum + part[1]
            self.check()
        if weight_sum == 0:
            raise zero_weights_error()
        return loss, weight_sum


def zero_weights_error():
    """The error for rows that are averaged with weights of sum zero."""
    return ZeroDivisionError(
        "Weights sum to zero, can't be normalized: the rows of a batch need a sample_weight whose sum is not 0. Drop the rows of "
        "weight 0, or take a larger batch_size."
    )
