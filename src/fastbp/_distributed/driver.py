"""The driver of a distributed fit: rounds, epochs, the stopping rule, and the state from which a killed driver continues.

A training state, shards and an `Executor` go in; the state is trained, and a ``FitResult`` comes out. All decisions are made here,
in the process of the user, from values that do not depend on workers. Between two rounds, the executor keeps nothing but the rows.
This module does not know about estimators and about Dask.
"""

import time
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._kernels.codes import Status
from .._kernels.epochs import update_early_stopping
from .._kernels.user_warnings import warn_user
from .._network.schedules import user_factor
from .._training.context import EarlyStoppingStart, time_message
from .._training.epochs import start_progress
from .._training.progress import Standing
from .._training.result import EpochRecord, FitResult
from .averaging import OuterStep, submit_average
from .evaluation import evaluate_blocks, merged_scores
from .local_training import compile_for, local_train
from .rounds import LocalState, n_rounds_of_epoch, range_of_round


class DriverOptions(NamedTuple):
    """The parameters of the estimator that only the driver uses; ``end_epoch`` is called with the ``Driver``, or None."""

    local_steps: int | None
    outer_learning_rate: float
    outer_momentum: float
    deadline: float
    report: Any
    end_epoch: Any = None
    checkpoint: Any = None  # a `DriverFile` or None


class ValidationData(NamedTuple):
    """Validation rows: a `DataOfFit`, the `Plan` of the network that predicts, and the `ScoreRule`."""

    data: Any
    plan: Any
    rule: Any


class Driver:
    """The training of ``state`` (a `TrainingState`) on the shards of ``data`` (a `DataOfFit`).

    ``config`` are the parameters of the estimator, ``specification`` is the `Specification` for the workers, ``validation`` is a
    `ValidationData` or None.
    """

    def __init__(self, executor, state, config, specification, data, validation, options):
        self.executor, self.state, self.config, self.specification = executor, state, config, specification
        self.data, self.validation, self.options = data, validation, options
        self.n_parts = n_rounds_of_epoch(config.batch_size, data.rows_of_shards, options.local_steps)
        self.outer = OuterStep(options.outer_learning_rate, options.outer_momentum, state.params.size)
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.val_losses: list[float] = []
        self.scores: list[float] = []
        self.n_rounds, self.sum_of_losses = 0, 0.0
        self.settings, _ = state.optimizer.settings(config.max_iter, config.strength_schedule)
        self.settings["tol"], self.settings["patience"] = config.tol, config.n_iter_no_change
        self.settings["max_epochs"] = config.max_iter
        self.progress = start_progress(EarlyStoppingStart())
        self.state.optimizer.write_progress(self.progress)
        if config.early_stopping:
            state.keep_best()

    @property
    def n_epochs(self):
        """The number of finished epochs."""
        return len(self.losses)

    @property
    def n_rows(self):
        """The number of training rows."""
        return sum(self.data.rows_of_shards)

    def continue_to(self, max_iter):
        """Continue a restored fit up to max_iter epochs, which may be more or fewer than before."""
        if self._status in (Status.exhausted, Status.running):
            self.progress["status"] = Status.running if self.n_epochs < max_iter else Status.exhausted

    # ------------------------------------------------------------------ the fit

    def run(self):
        """Train until the stopping rule, the time or a callback ends the fit; return the ``FitResult``."""
        bar, ended_by = self.options.report.bar, None
        if bar is None:
            ended_by = self._run_rounds(None)
        else:
            with bar.shown("Epoch", self.config.max_iter, self._standing):
                ended_by = self._run_rounds(bar)
                bar.end(ended_by or ("converged" if self._status == Status.converged else "finished"))
        self._warn(ended_by)
        return self.finish()

    def _run_rounds(self, bar):
        try:
            self.executor.repeated(self._compile)
            while self._status == Status.running:
                if self._run_round() and self._ends_epoch():
                    return "callback"
                if bar is not None and bar.is_due():
                    bar.show()
                if self._status == Status.running and time.monotonic() >= self.options.deadline:
                    return "max_time"
        except KeyboardInterrupt:
            if not self.n_rounds:
                raise
            return "interrupted"
        return None

    @property
    def _status(self):
        return Status(int(self.progress["status"][0]))

    def _compile(self, attempt):
        """Compile the kernels once on each host, so that workers of one host do not compile the same code."""
        block = self.data.executor.submit(_first_rows, self.data.shards[0])
        self.executor.each_host(compile_for, block, self._start(), self.specification)

    def _start(self):
        """The `LocalState` from which the next round starts."""
        state, optimizer, values = self.state, self.state.optimizer, self.progress[0]
        statistics = np.empty(0) if state.moving is None else state.moving.statistics
        numbers = optimizer.step, optimizer.product, float(values.learning_rate), float(values.factor)
        return LocalState(state.params, optimizer.moments, statistics, *numbers)

    def _run_round(self):
        """Train all shards on the next part of the epoch, and make the outer step; return whether the epoch has ended."""
        epoch, part = divmod(self.n_rounds, self.n_parts)
        if part == 0 and callable(self.config.learning_rate):
            self.progress["factor"] = user_factor(self.config.learning_rate, epoch, float(self.settings["horizon"][0]))
        batch_size, rows_of_shards = self.config.batch_size, self.data.rows_of_shards
        ranges = [range_of_round(batch_size, n_rows, part, self.n_parts) for n_rows in rows_of_shards]
        n_rows = {shard: last - first for shard, (first, last) in enumerate(ranges) if last > first}
        average = self.executor.repeated(lambda attempt: self._average(attempt, n_rows))
        self._apply(average, sum(n_rows.values()))
        self.n_rounds += 1
        if part == self.n_parts - 1:
            self._end_epoch(average.rate)
        if self.options.checkpoint is not None:
            self.options.checkpoint.write(self)
        return part == self.n_parts - 1

    def _average(self, attempt, n_rows):
        """The `WeightedSum` of a round for the numbers of rows of the shards that take part."""
        if attempt:
            self.data.make_again()
        executor, start = self.executor, self.executor.put(self._start())
        options = self.specification, self.n_rounds
        results = [executor.submit(local_train, self.data.shards[shard], start, *options, shard, self.n_parts) for shard in n_rows]
        return executor.gather([submit_average(executor, results, list(n_rows.values()))])[0]

    def _apply(self, average, n_rows):
        state, optimizer = self.state, self.state.optimizer
        params = self.outer(state.params, average.params)
        if not isfinite(average.loss) or not np.isfinite(params).all():
            raise ValueError(
                f"Solver produced non-finite parameter weights in round {self.n_rounds + 1}. Decrease learning_rate_init, "
                "outer_learning_rate or outer_momentum, or set scale='standard'."
            )
        state.params[...], optimizer.moments[...] = params, average.moments
        if state.moving is not None:
            state.moving.statistics[...] = average.statistics
        optimizer.step, optimizer.product, self.progress["factor"] = average.step, average.product, average.factor
        self.sum_of_losses += n_rows / self.n_rows * average.loss

    # ------------------------------------------------------------------ the end of an epoch

    def _end_epoch(self, rate):
        """Record the epoch, and apply scikit-learn's stopping rule to its loss or its validation score."""
        self.losses.append(self.sum_of_losses)
        self.rates.append(rate)
        self.sum_of_losses = 0.0
        self.progress["epoch"] += 1
        self.progress["rows_seen"] += self.n_rows
        report, value = self.options.report, self.losses[-1]
        report.line(f"Iteration {self.n_epochs}, loss = {value:.8f}")
        if self.validation is not None:
            loss, score = self._validate()
            self.val_losses.append(loss)
            self.scores.append(score)
            report.line(f"Validation score: {score:f}")
        if self.config.early_stopping:
            value = -self.scores[-1]
            if value < self.progress["best"][0]:
                self.state.keep_best()
        update_early_stopping(self.settings, self.progress, value)
        if self._status == Status.converged:
            quantity = "Validation score" if self.config.early_stopping else "Training loss"
            report.line(
                f"{quantity} did not improve more than tol={self.config.tol:f} for {self.config.n_iter_no_change} consecutive "
                "epochs. Stopping."
            )
        optimizer, values = self.state.optimizer, self.progress[0]
        optimizer.learning_rate, optimizer.factor = float(values.learning_rate), float(values.factor)
        optimizer.epochs = self.n_epochs

    def _validate(self):
        data, plan, rule = self.validation

        def run(attempt):
            if attempt:
                data.make_again()
            params = self.executor.put(np.array(self.state.predicting_params()))
            return self.executor.gather([self.executor.submit(evaluate_blocks, shard, params, plan, rule) for shard in data.shards])

        score = merged_scores(self.executor.repeated(run))
        return score.loss, -score.loss if self.config.scoring == "loss" else score.value()

    def _ends_epoch(self):
        """Call the function for the end of an epoch; return whether it ends the fit."""
        return self.options.end_epoch is not None and self.options.end_epoch(self)

    # ------------------------------------------------------------------ results

    def _standing(self):
        latest = (entries[-1] if entries else None for entries in (self.losses, self.scores, self.rates))
        done = self.n_rounds / self.n_parts
        return Standing(done, int(done * self.n_rows), *latest)

    def result(self):
        """The ``FitResult`` of the epochs so far."""
        values = self.progress[0]
        best = -values.best if self.config.early_stopping else values.best
        validation = self.val_losses, self.scores, self.validation is not None
        epochs = EpochRecord(self.losses, self.rates, *validation, float(best), int(values.bad_epochs), int(values.rows_seen))
        return FitResult(self.n_epochs, self.losses[-1] if self.losses else None, epochs)

    def finish(self):
        """Restore the best parameters of early stopping, publish the state, and return the ``FitResult``."""
        if self.state.best is not None:
            self.state.restore(self.state.best)
            self.state.best = None
        self.state.publish()
        return self.result()

    def _warn(self, ended_by):
        if ended_by == "interrupted":
            warn_user("Training interrupted by user.")
        elif ended_by == "max_time":
            warn_user(time_message(self.config.max_time, f"{self.n_epochs} epochs"), ConvergenceWarning)
        elif ended_by is None and self._status == Status.exhausted:
            warn_user(
                f"Stochastic Optimizer: Maximum iterations ({self.config.max_iter}) reached and the optimization hasn't converged "
                "yet.",
                ConvergenceWarning,
            )


def _first_rows(blocks):
    """A `PreparedRows` with the first row of the first block of a shard, and a weight of 1, because its weight may be 0."""
    X, y, weight = (None if part is None else part[:1] for part in blocks[0])
    return type(blocks[0])(X, y, None if weight is None else np.ones_like(weight))
