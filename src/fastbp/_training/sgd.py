"""A fit by stochastic gradient descent: its start, the work after each epoch, and its end.

The training state, the parameters of the estimator (``config``), the data and optional validation rows go in; the state is trained
in place, and a ``FitResult`` comes out. Without callbacks, validation and printed lines, one kernel call runs many epochs.
Otherwise, Python runs after each epoch. The stopping rule is part of the kernels. This module does not know about estimators.
"""

from math import inf, isfinite
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._data.inputs import as_targets
from .._data.row_numbers import row_numbers
from .._data.sample_weights import zero_weights_error
from .._data.training_arrays import training_arrays
from .._kernels.codes import Status
from .._kernels.user_warnings import warn_user
from .._network.optimizers import Optimizer, write_penalties
from .._network.parameters import bound_of_absolute
from .._network.schedules import user_factor
from .._network.segments import segment_table
from .._network.threads import STEPS_TO_WAKE, choose_shares, choose_threads
from .context import EarlyStoppingStart, EpochHooks, FitContext, TrainingRows, time_message
from .divergence import has_grown
from .epochs import EpochRunner, Problem, Shuffles, start_progress
from .progress import Standing
from .result import Divergence, EpochRecord, FitResult, TrainingEnd
from .resume import ResumePoint
from .state import params_hash

# comparisons with a member of an enumeration take longer
_ZERO_WEIGHTS, _DIVERGED = int(Status.zero_weights), int(Status.diverged)
# Up to this number of rows, shuffling them once in Python takes less time than copying the random number generator for a kernel.
_MAX_ROWS_BY_PYTHON = 5000
# Rounding all rows of X once takes about as long as five epochs of a network 784-128-10 save on an EPYC with Zen 5.
_MIN_EPOCHS_WITH_STORED_ROWS = 10
_MAX_EPOCHS = 2**62  # the largest number of epochs of a fit, because kernels count in int64


class SGDRun:
    """A fit, which ``train`` runs once.

    It trains ``state`` in place on ``data`` (X, y, sample_weight). ``rows`` are the ``TrainingRows``, whose order is changed in
    place, ``validation`` is a ``Validation`` or None, and ``context`` is the ``FitContext``.
    """

    def __init__(self, state, config, plan, data, rows, validation, context):
        self.state, self.config, self.rows, self.validation, self.context = state, config, rows, validation, context
        self.val_losses, self.scores = [], []
        progress = start_progress(context.start) if context.resume is None else context.resume.start()
        self._start_state()
        settings, rates, batch_size = self._settings(progress["epoch"].item())
        problem = self._problem(plan, data, settings)
        shuffles = Shuffles(state.rng, wanted=config.shuffle, shared=not isinstance(config.random_state, Integral))
        self.batch_capacity, self._no_values = batch_size, as_targets(None, state.params.dtype)
        self._n_ordered = None  # the number of rows whose order the next call with the same seed can use again
        self.division = self._divide(batch_size, self.rows.order.size)
        # so that a new model has weights even if training diverges
        keep_best = context.is_first and not context.incremental and not config.early_stopping and len(state.trained) == 1
        self.runner = self._new_runner(
            problem,
            state,
            settings,
            rates,
            progress,
            # a resumed fit must not change the order that the state of the last fit contains
            np.ascontiguousarray(rows.order) if context.resume is None else rows.order.copy(),
            shuffles,
            *self.division,
            keep_best=keep_best,
            keep_threads=context.incremental,
        )

    # ------------------------------------------------------------------ start

    def _new_runner(self, *arguments, **options):
        runner = EpochRunner(*arguments, **options)
        if not self.context.incremental and self.config.max_iter >= _MIN_EPOCHS_WITH_STORED_ROWS:
            try:
                runner.store_rows()
            except BaseException:
                runner.crew.close()
                raise
        return runner

    def _start_state(self):
        """Prepare the optimizer and the best weights.

        As in scikit-learn, a fit with early stopping that continues from the best weights of another fit overwrites them, unless it
        resumes.
        """
        state, config, resume = self.state, self.config, self.context.resume
        if (self.context.incremental or resume is not None) and state.optimizer is not None:
            state.optimizer = state.optimizer.continued(state.params, state.is_averaged)
        else:
            state.optimizer = Optimizer.fresh(config, state.params)
        if config.early_stopping:
            state.best = state.trained
            if self.context.is_fresh or resume is not None:
                state.keep_best()
        if resume is not None and resume.trained is not None:
            state.best = [array.copy() for array in resume.best]
            state.restore(resume.trained)

    def _settings(self, n_epochs_before):
        config = self.config
        settings, rates = self.state.optimizer.settings(self._n_planned(n_epochs_before), config.strength_schedule)
        # fields are accessed by name, because this is five times as fast as attributes, which matters in small fits
        settings["tol"], settings["patience"], settings["validated"] = config.tol, config.n_iter_no_change, config.early_stopping
        settings["global_weights"] = config.sample_weight_norm == "global"
        n_members = self.state.layout.n_members or 1
        settings["batch_size"] = batch_size = n_members * _batch_size(config.batch_size, self.rows.order.size // n_members)
        n_epochs = 1 if self.context.incremental else min(config.max_iter, _MAX_EPOCHS)
        settings["max_epochs"] = n_epochs_before + n_epochs
        if config.kinds is not None:
            settings["drop_last"], settings["shares_batches"] = config.kinds.drop_last, config.kinds.shares_batches
        return settings, rates, batch_size

    def _n_planned(self, n_epochs_before):
        """The number of epochs that a schedule takes by default."""
        return self.config.max_iter

    def _problem(self, plan, data, settings):
        dtype = self.state.params.dtype
        config = self.config
        penalties = write_penalties(settings, config, dtype)
        if self.context.resume is not None:
            seed = self.context.resume.seed
        else:  # draw a number only if it is needed, because scikit-learn does not draw one
            seed = int(self.state.rng.randint(np.iinfo(np.int32).max)) if plan.architecture.draws else 0
        segments = segment_table(plan.layout, config.factors(plan.layout))
        rows, y, weight = training_arrays(dtype, *data)
        return Problem(plan, rows, y, weight, penalties, seed, segments, data)

    def _divide(self, batch_size, n_rows):
        """The number of threads, and the number of shares of a batch that they compute."""
        config, work_of_row = self.config, 3 * self.state.params.nbytes
        work = batch_size * work_of_row
        # twice as much as for a prediction, because threads also wait for each other in each step
        most = n_rows * work_of_row / (2 * STEPS_TO_WAKE) if self.context.incremental else inf
        n_threads = choose_threads(config.n_threads, min(work, most), batch_size)
        # batch normalization needs all rows of a batch at the same time
        n_shares = n_threads if config.batch_norm else choose_shares(config.n_shares, n_threads, work, batch_size)
        return min(n_threads, n_shares), n_shares

    # ------------------------------------------------------------------ other rows

    @property
    def is_plain(self):
        """Whether this is a call of ``partial_fit`` that ``continue_with`` can follow."""
        config, state, problem = self.config, self.state, self.runner.problem
        is_sparse = problem.rows.indptr.size > 0  # the buffers have no space for the rows of a dense array
        is_observed = self.context.hooks.report.prints or config.callbacks is not None or callable(config.learning_rate)
        is_prepared = state.is_folded or not state.preparation.is_folded
        has_factors = config.learning_rate_factors is not None  # a dict, which the user can change in place
        is_special = is_sparse or is_observed or is_prepared or has_factors or problem.plan.architecture.draws
        return self.context.incremental and not is_special

    def can_continue_with(self, n_rows):
        """Whether ``continue_with`` gives the same result as a new run for n_rows rows."""
        batch_size = _clipped_batch_size(self.config.batch_size, n_rows)
        return batch_size <= self.batch_capacity and self._divide(batch_size, n_rows) == self.division

    def continue_with(self, state, source, data, start):
        """Train another state of the same network for one epoch on other rows, with the same buffers; return the result.

        Training starts with the parameters and moments of the state ``source``.
        """
        n_rows, seed = len(data[1]), self.config.random_state
        self.state, self.rows, self.runner.settings["batch_size"] = state, None, _batch_size(self.config.batch_size, n_rows)
        self.runner.restart(state, source, data, start, self._shuffles(state, n_rows))
        result = self.train()
        self._n_ordered = n_rows if result.n_iter and isinstance(seed, Integral) else None
        return result

    def _shuffles(self, state, n_rows):
        """The ``Shuffles`` of n_rows rows, or None if their order is that of the last call, which had the same seed."""
        seed, n_ordered, self._n_ordered = self.config.random_state, self._n_ordered, None
        if n_rows == n_ordered:
            return None
        if isinstance(seed, Integral):
            return Shuffles.of_seed(int(seed), wanted=self.config.shuffle)
        state.rng, wanted = check_random_state(seed), self.config.shuffle and n_rows > 1
        if n_rows <= _MAX_ROWS_BY_PYTHON:
            return Shuffles.by_generator(state.rng, wanted=wanted)
        return Shuffles(state.rng, wanted=wanted, shared=True)

    def release_rows(self):
        """Drop the references to the rows of the last call."""
        problem, problem.rows, problem.data = self.runner.problem, None, None
        problem.y = problem.weight = self._no_values

    # ------------------------------------------------------------------ epochs

    def train(self):
        """Run all epochs, publish the trained state and return the ``FitResult``."""
        try:
            ended_by = self.run()
        finally:
            progress = self.runner.close()
        return self.finish(ended_by, progress)

    def run(self):
        """Train; return 'interrupted', 'max_time', 'callback' or 'converged before', or None if a kernel ended training."""
        config, context, bar = self.config, self.context, self.context.hooks.report.bar
        if context.resume is not None and self.runner.progress[0].bad_epochs > config.n_iter_no_change:
            return "converged before"
        if bar is None:
            return self._run_epochs()
        with bar.shown("Epoch", config.max_iter, self._standing):
            ended_by = self._run_epochs(bar)
            bar.end(self._outcome(ended_by))
        return ended_by

    def _run_epochs(self, bar=None):
        """Do the same, and show the progress in a `ProgressBar`."""
        runner, hooks = self.runner, self.context.hooks
        self.schedule = self.state.optimizer.hyperparams["learning_rate"]
        is_watched = self.validation is not None or hooks.end_epoch is not None or hooks.report.prints
        by_epoch, is_limited = is_watched or callable(self.schedule), hooks.is_limited
        try:
            while runner.running:
                if not by_epoch:
                    runner.run_kernel()
                elif self._run_epoch():
                    return "callback"
                if is_limited and runner.running and hooks.out_of_time:
                    return "max_time"
                if bar is not None and bar.is_due():
                    bar.show()
        except KeyboardInterrupt:
            if hooks.stop is not None:
                raise
            return "interrupted"
        return None

    def _run_epoch(self):
        """Run one kernel call of at most one epoch and the work after an epoch; return whether a callback stops training."""
        runner, hooks = self.runner, self.context.hooks
        hooks.begin_epoch()
        learning_rate = float(runner.progress[0].learning_rate)
        self._apply_schedule()
        if not runner.run_kernel(1):
            return False
        hooks.report.line(f"Iteration {len(runner.losses)}, loss = {runner.losses[-1]:.8f}")
        if self.validation is not None:
            self._validate()
        self._print_decision(learning_rate)
        if hooks.end_epoch is None:
            return False
        runner.write_optimizer()
        return hooks.end_epoch(self.state, self.result(), self, runner.problem)

    def _apply_schedule(self):
        """Set the factor of the learning rate if the schedule is a user-defined function."""
        if callable(self.schedule):
            progress = self.runner.progress
            epoch = int(progress["epochs_before"][0] + progress["epoch"][0])
            progress["factor"] = user_factor(self.schedule, epoch, float(self.runner.settings["horizon"][0]))

    def _validate(self):
        loss, score = self.validation.measure(self.state.predicting_params(), self.runner.crew)
        self.val_losses.append(loss)
        self.scores.append(score)
        self.context.hooks.report.line(f"Validation score: {score:f}")
        if self.config.early_stopping:
            best, kinds = self.runner.progress[0].best, self.config.kinds
            if -score < best or (-score == best and kinds is not None and kinds.prefers_last_best):
                self.state.keep_best()
            self.runner.end_validated_epoch(-score)

    def _print_decision(self, learning_rate_before):
        runner, config = self.runner, self.config
        learning_rate, adaptive = runner.progress[0].learning_rate, self.state.optimizer.is_adaptive
        if runner.status == Status.converged:
            decision = "Learning rate too small. Stopping." if adaptive else "Stopping."
        elif adaptive and learning_rate < learning_rate_before:
            decision = f"Setting learning rate to {learning_rate:f}"
        else:
            return
        quantity = "Validation score" if config.early_stopping else "Training loss"
        self.context.hooks.report.line(
            f"{quantity} did not improve more than tol={config.tol:f} for {config.n_iter_no_change} consecutive epochs. {decision}"
        )

    def _standing(self):
        """The `Standing` for a progress bar."""
        runner = self.runner
        (losses, rates), n_rows = runner.read_epochs(), runner.order.size
        n_done = len(losses) * n_rows + runner.values.row
        latest = (entries[-1] if entries else None for entries in (losses, self.scores, rates))
        return Standing(n_done / n_rows, n_done, *latest)

    def _outcome(self, ended_by):
        """The outcome of training for a progress bar: `ended_by`, or the reason why the kernels ended training."""
        if ended_by is not None:
            return ended_by
        losses = self.runner.read_epochs()[0]
        if losses and has_grown(self._end(losses, inf), self.state.params.dtype):
            return "diverged"
        converged = "stopped early" if self.config.early_stopping else "converged"
        outcomes = {Status.converged: converged, Status.exhausted: "finished", Status.diverged: "diverged"}
        return outcomes.get(self.runner.status, "failed")

    # ------------------------------------------------------------------ end

    def result(self, progress=None, divergence=None, largest_weight=None):
        """Return the result of the epochs so far; if ``largest_weight`` is given, training has ended without an error."""
        progress, (losses, rates) = progress or self.runner.values, self.runner.read_epochs()
        validation = self.val_losses, self.scores, self.validation is not None
        best = -progress.best if self.config.early_stopping else progress.best
        epochs = EpochRecord(losses, rates, *validation, best, progress.bad_epochs, progress.rows_seen)
        end = None if largest_weight is None else self._end(losses, largest_weight)
        return FitResult(len(losses), losses[-1] if losses else None, epochs, divergence, end)

    def _end(self, losses, largest_weight):
        problem, order = self.runner.problem, self.runner.order[:: self.state.layout.n_members or 1]
        X, y, _ = problem.data
        return TrainingEnd(self.config, problem.plan, X, y, order, losses, largest_weight, self.context.incremental)

    def finish(self, ended_by, progress):
        """Publish the trained state and return the result; ``progress`` are the ``ProgressValues``."""
        state = self.state
        if progress.status == _ZERO_WEIGHTS:
            raise zero_weights_error()
        resume = self._resume_point(self.runner.order) if self.context.resumable else None
        self._restore_best()
        largest_weight = bound_of_absolute(state.params)
        if progress.status == _DIVERGED or not isfinite(largest_weight):
            divergence = self._keep_best_epoch()
            state.publish()
            return self.result(progress, divergence)
        state.publish()
        self._keep_resume_point(state, resume)
        if self.context.hooks.stop is None:
            self._warn(ended_by)
        return self.result(progress, largest_weight=largest_weight)

    def state_if_stopped(self):
        """Return the state that the fit would have if it ended after the last epoch, as a copy with a ``ResumePoint``."""
        resume = self._resume_point(self.runner.order.copy())
        state = self.state.copy()
        if self.state.best is not None:
            state.restore(self.state.best)
        state.publish()
        self._keep_resume_point(state, resume)
        return state

    def _resume_point(self, order):
        self.runner.write_back()
        rows = TrainingRows(self.rows.n_rows, order, self.rows.held_out)
        return ResumePoint.of(self.state, rows, self.runner.progress[0], self.runner.problem.seed)

    def _keep_resume_point(self, state, resume):
        """Store the ``ResumePoint``; if the published weights differ from the trained ones, add a hash that detects changes."""
        state.resume = resume
        if resume is not None and resume.trained is not None and not state.is_folded:
            resume.published_hash = params_hash(state.published.params)

    def _restore_best(self):
        if self.state.best is not None:
            self.state.restore(self.state.best)
            self.state.best = None

    def _keep_best_epoch(self):
        """Restore the weights of the best epoch, if there are any; return the ``Divergence``."""
        state, runner = self.state, self.runner
        progress, epoch = runner.progress[0], len(runner.losses) + (runner.status == Status.diverged)
        kept_epoch = int(progress.kept_epoch) if np.isfinite(runner.kept).all() else 0
        start = progress.row - progress.first_row
        batch = runner.order[start : start + runner.settings[0].batch_size]
        divergence = Divergence(runner.problem, self.config, state.params.copy(), batch, epoch, kept_epoch)
        if kept_epoch:
            state.params[...] = runner.kept
            state.optimizer = None  # its moments led to the divergence, so `partial_fit` starts with a new optimizer
        return divergence

    def _warn(self, ended_by):
        config = self.config
        if ended_by == "interrupted":
            warn_user("Training interrupted by user.")
        elif ended_by == "max_time":
            warn_user(time_message(config.max_time, f"{len(self.runner.losses)} epochs"), ConvergenceWarning)
        elif ended_by == "converged before":
            warn_user(
                "Stochastic Optimizer: training had converged before, and warm_start='resume' did nothing. Increase "
                f"n_iter_no_change (now {config.n_iter_no_change}) to continue.",
                ConvergenceWarning,
            )
        elif not self.context.incremental and ended_by is None and self.runner.status == Status.exhausted:
            warn_user(
                f"Stochastic Optimizer: Maximum iterations ({config.max_iter}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )


def one_step(state, config, plan, data):
    """Return a copy of ``state`` after one step on all rows of ``data`` (X, y, sample_weight), and the learning rate of the step.

    The step is that of ``partial_fit`` with all rows in one batch.
    """
    n_rows, state = len(data[1]), state.copy()
    quiet = {"early_stopping": False, "callbacks": None, "n_threads": 1, "n_shares": None}
    config = config._replace(batch_size=n_rows, shuffle=False, **quiet)
    context = FitContext(EpochHooks(), EarlyStoppingStart(), True, False, False, False, None)
    result = SGDRun(state, config, plan, data, TrainingRows(n_rows, row_numbers(n_rows)), None, context).train()
    return state, result.epochs.rates[-1] if result.epochs.rates else np.nan


def next_step(fit, gradient):
    """Return the changes of all parameters of an ``InspectedFit`` in its next step, and a description of the step.

    Without the state of a stochastic solver, this is a step of gradient descent with the given gradient.
    """
    state, config = fit.state, fit.config
    if not has_optimizer(state, config):
        rate = config.learning_rate_init
        reason = "L-BFGS keeps no state after a fit" if config.solver == "lbfgs" else "the estimator has no state of a solver"
        return -gradient.dtype.type(rate) * gradient, f"gradient descent with learning rate {rate:g}, because {reason}"
    after, rate = one_step(state, config, fit.plan, (fit.X, fit.y, fit.sample_weight))
    solver = state.optimizer.hyperparams["solver"]
    if np.isnan(rate):
        return np.full_like(gradient, np.nan), f"{solver}: no step, because the loss is NaN"
    return after.params - state.params, f"{solver}, step {after.optimizer.step}, with learning rate {rate:g}"


def has_optimizer(state, config):
    """Return whether a step can continue with the optimizer of the last fit; it cannot after the layers were replaced."""
    try:
        is_kept = state.optimizer is not None and config.solver != "lbfgs"
        return is_kept and state.optimizer.continued(state.params, state.is_averaged) is not None
    except ValueError:
        return False


def _batch_size(batch_size, n_rows):
    if batch_size != "auto" and batch_size > n_rows:
        warn_user("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return _clipped_batch_size(batch_size, n_rows)


def _clipped_batch_size(batch_size, n_rows):
    return min(200 if batch_size == "auto" else batch_size, n_rows)
