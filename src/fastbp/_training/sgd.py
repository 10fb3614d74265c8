"""The course of a fit by stochastic gradient descent: how it starts, what is looked at after an epoch, when it ends.

An estimator with its weights, and the data of one call, enter; trained weights and all that is known of the epochs leave as its
attributes. Where nobody looks, many epochs run in one call of a kernel; validation, callbacks and `verbose` have Python look after
each. The rule for stopping is the kernels' own.
"""

import copy
import time
import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from .._kernels.codes import Status
from .._network.optimizers import Optimizer
from .._network.schedules import user_factor
from .._preparation import digest
from ..callbacks import CallbackRunner
from .divergence import diverged
from .epochs import EpochRunner, Shuffles, start_progress, zero_weights_error
from .history import extend_history, start_history
from .resume import ResumeState, resume_state
from .threads import choose_threads
from .validation import Validation, check_given, given_rows, held_out_rows, split

_MOST_EPOCHS = 2**62  # that a kernel counts


@dataclass
class Call:
    """One call of ``fit`` or ``partial_fit``: what came with it, beside the validated data.

    `given` are X and y, and `validation` X_val, y_val and sample_weight_val, as the user gave them; `first` says that the estimator
    had no weights before, `fresh` that it got new ones.
    """

    given: tuple
    validation: tuple
    incremental: bool
    callbacks_runner: CallbackRunner
    deadline: float
    validated: bool
    first: bool = True
    fresh: bool = True

    @classmethod
    def of(cls, estimator, X, y, sample_weight, incremental, validation):
        limit = estimator.max_time
        deadline = float("inf") if limit is None or incremental else time.monotonic() + limit
        callbacks_runner = CallbackRunner(estimator, X, y, sample_weight, 1 if incremental else estimator.max_iter)
        return cls((X, y), validation, incremental, callbacks_runner, deadline, check_given(*validation, estimator.solver))

    @property
    def out_of_time(self):
        return time.monotonic() >= self.deadline


def descend(estimator, X, y, sample_weight, call):
    """Train the weights in an estimator; returns None, or the error of a fit that diverged but left a model worth keeping."""
    course = SGDRun(estimator, X, y, sample_weight, call)
    estimator._course = course
    try:
        ended_by = course.run()
    finally:
        del estimator._course
        course.descent.close()
    return course.finish(ended_by)


class SGDRun:
    """A fit under way. Its descent is open until somebody closes it."""

    def __init__(self, estimator, X, y, sample_weight, call):
        if estimator.early_stopping and call.incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self.estimator, self.call, self.callbacks_runner, self.n_rows = estimator, call, call.callbacks_runner, len(y)
        if estimator.scoring not in (None, "loss"):
            check_scoring(estimator, estimator.scoring)  # a name that there is not is said whoever is scored
        self.resumes = estimator._resumes and not call.incremental
        self.state = resume_state(estimator) if self.resumes and not call.fresh else None
        if self.state is not None:
            self.state.check(len(y), estimator.early_stopping, call.validated)
            estimator._random_state = self.state.stream(estimator.random_state)
            if self.state.shown not in (None, digest(estimator._flat_params())):
                raise ValueError(
                    "coefs_ and intercepts_ were changed since training, and warm_start='resume' goes on from where that stood, "
                    "beside its best weights: set warm_start=True to go on from the changed ones."
                )
        params = estimator._params_to_train()
        order = self._split(X, y)
        sample_weight = estimator._relative_weights(sample_weight, order)
        self._start_attributes()
        progress = self._start_progress()
        self._start_best(params)
        settings, rates, batch_size = self._settings(len(order), progress["epoch"].item(), params)
        self.validation = self._validation(X, y, sample_weight, params)
        problem = estimator._problem(X, y, sample_weight, params)
        problem.numbers, problem.seed = self.numbers, self._seed(problem)
        shuffles = Shuffles(
            estimator._random_state, wanted=estimator.shuffle, shared=not isinstance(estimator.random_state, Integral)
        )
        n_threads = choose_threads(estimator.n_threads, 3 * batch_size * params.nbytes, batch_size)
        # for a model that would otherwise have nothing, should training diverge
        keep = call.first and not call.incremental and not estimator.early_stopping and len(self.trained) == 1
        best = np.empty_like(params) if keep else None
        self.descent = EpochRunner(problem, settings, rates, progress, estimator._optimizer, order, shuffles, n_threads, best=best)

    # ------------------------------------------------------------------ the start

    def _split(self, X, y):
        """The order of the rows to train on; the others are held out."""
        if self.state is not None:
            self.held_out = copy.copy(self.state.held_out)  # which may be mapped from a file
            return self.state.order.copy()
        if not self.estimator.early_stopping or self.call.validated:
            self.held_out = None
            return np.arange(len(y))
        order, self.held_out = split(self.estimator, X, y, self.call.given[1])
        return order

    def _start_attributes(self):
        """Make room for what will be known of the epochs; in lists of this fit's own where it may fail after adding to them."""
        estimator, call = self.estimator, self.call
        if not hasattr(estimator, "loss_curve_"):
            estimator.loss_curve_, estimator._no_improvement_count = [], 0
        if call.fresh or not hasattr(estimator, "history_"):
            estimator.history_ = start_history(estimator.loss_curve_)
        if self._judged is None:
            estimator._start_judging()
        if call.callbacks_runner.wanted or not call.incremental:
            estimator.loss_curve_ = list(estimator.loss_curve_)
            estimator.history_ = {name: list(entries) for name, entries in estimator.history_.items()}
            if estimator.early_stopping:
                estimator.validation_scores_ = list(estimator.validation_scores_)

    @property
    def _judged(self):
        return getattr(self.estimator, "best_validation_score_" if self.estimator.early_stopping else "best_loss_", None)

    def _start_progress(self):
        """Where training starts: anew, or from the judgements of the fit before."""
        if self.state is not None:
            return self.state.start()
        judged = -self._judged if self.estimator.early_stopping else self._judged
        return start_progress(judged, self.estimator._no_improvement_count, self.estimator.t_)

    def _start_best(self, params):
        """The solver, all that training writes into, and the best of it so far, where that is wanted.

        A fit that goes on from best weights goes on in them, as scikit-learn's does, but for one that resumes.
        """
        estimator, call, state = self.estimator, self.call, self.state
        averaged = estimator.ema_decay is not None
        if (call.incremental or state is not None) and hasattr(estimator, "_optimizer"):
            estimator._optimizer = estimator._optimizer.continued(params, averaged)
        else:
            estimator._optimizer = Optimizer.fresh(estimator, params)
        self.trained = [params]
        if estimator._moving is not None:
            self.trained.append(estimator._moving.statistics)
        if averaged:
            self.trained.append(estimator._optimizer.moments[-params.size :])
        self.best = None
        if estimator.early_stopping:
            self.best = [array.copy() for array in self.trained] if call.fresh or state is not None else self.trained
        if state is not None and state.trained is not None:
            self.best = [array.copy() for array in state.best]
            _put(self.trained, state.trained)
        vars(estimator).pop("_resume", None)  # of an earlier fit

    def _settings(self, n_rows, n_epochs_before, params):
        estimator = self.estimator
        settings, rates = estimator._optimizer.settings(estimator.max_iter)
        self.numbers = estimator._settings(settings, params.dtype)
        settings["batch_size"] = batch_size = _batch_size(estimator.batch_size, n_rows)
        n_epochs = 1 if self.call.incremental else min(estimator.max_iter, _MOST_EPOCHS)
        settings["max_epochs"] = n_epochs_before + n_epochs
        return settings, rates, batch_size

    def _seed(self, problem):
        """Where what is drawn at each step comes from; nothing is taken from the random numbers if nothing is drawn."""
        if self.state is not None:
            return self.state.seed
        return int(self.estimator._random_state.randint(np.iinfo(np.int32).max)) if problem.plan.architecture.draws else 0

    def _validation(self, X, y, sample_weight, params):
        self.val_losses, self.scores = [], []
        if self.call.validated:
            return Validation(self.estimator, given_rows(self.estimator, *self.call.validation), self.call.validation[:2], params)
        if self.held_out is None:
            return None
        return Validation(self.estimator, *held_out_rows(X, y, sample_weight, self.call.given, self.held_out), params)

    # ------------------------------------------------------------------ the epochs

    def run(self):
        """Train; returns None where a kernel ended it, or "interrupted", "max_time", "callback", "converged before"."""
        descent, estimator, self.n_published = self.descent, self.estimator, 0
        if self.state is not None and descent.progress[0].bad_epochs > estimator.n_iter_no_change:
            return "converged before"
        self.schedule = estimator._optimizer.hyperparams["learning_rate"]
        scheduled = callable(self.schedule)
        watched = self.validation is not None or self.callbacks_runner.wanted or estimator.verbose or scheduled
        limited = self.call.deadline != float("inf")
        try:
            while descent.running:
                if watched and self._epoch():
                    return "callback"
                if not watched:
                    descent.turn()
                if limited and descent.running and self.call.out_of_time:
                    return "max_time"
        except KeyboardInterrupt:
            return "interrupted"
        return None

    def _epoch(self):
        """A turn of at most one epoch, and all that is done at its end; returns whether a callback wants training to end."""
        descent, callbacks_runner = self.descent, self.callbacks_runner
        callbacks_runner.begin_epoch()
        learning_rate = float(descent.progress[0].learning_rate)
        if callable(self.schedule):
            epoch = int(descent.progress["epochs_before"][0] + descent.progress["epoch"][0])
            descent.progress["factor"] = user_factor(self.schedule, epoch, float(descent.settings["horizon"][0]))
        if not descent.turn(1):
            return False
        self._say(f"Iteration {len(descent.losses)}, loss = {descent.losses[-1]:.8f}")
        if self.validation is not None:
            self._validate()
        if self.estimator.verbose:
            self._say_decision(learning_rate)
        if not callbacks_runner.wanted:
            return False
        self._publish()
        self.estimator._publish()
        logs = {name: entries[-1] for name, entries in self.estimator.history_.items()}
        return callbacks_runner.end_epoch(self.estimator, len(descent.losses), logs)

    def _validate(self):
        descent = self.descent
        loss, score = self.validation.measure()
        self.val_losses.append(loss)
        self.scores.append(score)
        self._say(f"Validation score: {score:f}")
        if self.estimator.early_stopping:
            if -score < descent.progress[0].best:
                self.best = [array.copy() for array in self.trained]
            descent.update_early_stopping(-score)

    def _say_decision(self, learning_rate_before):
        descent, estimator = self.descent, self.estimator
        learning_rate, adaptive = descent.progress[0].learning_rate, descent.optimizer.is_adaptive
        if descent.status == Status.converged:
            decision = "Learning rate too small. Stopping." if adaptive else "Stopping."
        elif adaptive and learning_rate < learning_rate_before:
            decision = f"Setting learning rate to {learning_rate:f}"
        else:
            return
        judged, patience = "Validation score" if estimator.early_stopping else "Training loss", estimator.n_iter_no_change
        self._say(f"{judged} did not improve more than tol={estimator.tol:f} for {patience} consecutive epochs. {decision}")

    def _say(self, text):
        if self.estimator.verbose:
            print(text)

    # ------------------------------------------------------------------ what it leaves

    def _publish(self):
        """Put what has been reached since the last time into the estimator's attributes."""
        estimator, descent, done = self.estimator, self.descent, self.n_published
        losses, rates = descent.losses, descent.rates
        rows_seen, bad_epochs, best = (descent.progress[name][0].item() for name in ("rows_seen", "bad_epochs", "best"))
        estimator.n_iter_, estimator.t_, estimator._no_improvement_count = len(losses), rows_seen, bad_epochs
        new = {"loss": losses[done:], "learning_rate": rates[done:]}
        if self.validation is not None:
            new |= {"val_loss": self.val_losses[done:], "val_score": self.scores[done:]}
        extend_history(estimator.history_, new)
        estimator.loss_curve_.extend(new["loss"])
        if losses:
            estimator.loss_ = losses[-1]
        if estimator.early_stopping:
            estimator.validation_scores_.extend(new["val_score"])
            estimator.best_validation_score_ = -best
        else:
            estimator.best_loss_ = best
        self.n_published = len(losses)

    def finish(self, ended_by):
        """Leave a trained estimator, or raise; returns an error to be raised where the estimator is to be kept all the same."""
        estimator, descent = self.estimator, self.descent
        params = descent.problem.params
        if descent.status == Status.zero_weights:
            raise zero_weights_error()
        resumable = self._resume_state() if self.resumes else None
        if estimator.early_stopping:
            _put(self.trained, self.best)
        error = None
        if descent.status == Status.diverged or not np.isfinite(params).all():
            error = self._divergence()
        self._publish()
        if error is None:
            if resumable is not None:
                estimator._resume = resumable
                self._mark(resumable, estimator._flat_params())
            self._warn(ended_by)
        return error

    def _divergence(self):
        """The error of a fit that diverged, the weights of its best epoch being put back; raised where there are none."""
        descent, losses = self.descent, self.descent.losses
        problem, state = descent.problem, descent.progress[0]
        kept = int(state.kept_epoch) if np.isfinite(descent.best).all() else 0
        batch = descent.order[state.row : state.row + descent.settings[0].batch_size]
        epoch = len(losses) + (descent.status == Status.diverged)
        error = diverged(self.estimator, problem, batch, epoch, kept)
        if not kept:
            raise error
        problem.params[...] = descent.best
        del self.estimator._optimizer  # whose moments led away; partial_fit begins with new ones
        return error

    def _resume_state(self):
        state = self.descent, self.n_rows, self.held_out, self.estimator._random_state, self.trained
        return ResumeState.of(*state, self.best)

    def _warn(self, ended_by):
        estimator = self.estimator
        if ended_by == "interrupted":
            warnings.warn("Training interrupted by user.", stacklevel=7)
        elif ended_by == "max_time":
            warn_of_time(estimator, f"{estimator.n_iter_} epochs", stacklevel=8)
        elif ended_by == "converged before":
            warnings.warn(
                "Stochastic Optimizer: training had converged before, so that warm_start='resume' had nothing to do. Raise "
                f"n_iter_no_change (now {estimator.n_iter_no_change}) to go on.",
                ConvergenceWarning,
                stacklevel=7,
            )
        elif self.descent.status == Status.exhausted and not self.call.incremental and ended_by is None:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't converged "
                "yet.",
                ConvergenceWarning,
                stacklevel=7,
            )

    def _mark(self, state, params):
        """Remember what is shown beside weights of training that may be others; folded ones are remembered anyway."""
        if state.trained is not None and self.estimator._training_params is None:
            state.shown = digest(params)

    def state_now(self):
        """The attributes in which a copy that is made between two epochs differs from the estimator under way."""
        estimator, changed = self.estimator, {"_resume": self._resume_state()}
        if estimator._training_params is None:
            if self.best is not None:
                changed |= estimator._shown(self.best[0])
                self._mark(changed["_resume"], self.best[0])
            return changed
        now = [array.copy() for array in self.trained]
        if self.best is not None:
            _put(self.trained, self.best)
        estimator._publish()
        for name in ("_training_params", "_moving", "_optimizer"):
            changed[name] = copy.deepcopy(getattr(estimator, name))
        changed |= estimator._shown(estimator._params.copy())
        _put(self.trained, now)
        estimator._publish()
        return changed


def warn_of_time(estimator, done, stacklevel):
    """Say that max_time ended a fit."""
    warnings.warn(
        f"Training ended after max_time={estimator.max_time:g} seconds and {done}, and hasn't converged yet. Raise max_time, or go "
        "on with warm_start.",
        ConvergenceWarning,
        stacklevel=stacklevel,
    )


def _batch_size(wanted, n_rows):
    if wanted == "auto":
        return min(200, n_rows)
    if wanted > n_rows:
        warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=8)
    return min(wanted, n_rows)


def _put(arrays, values):
    for array, value in zip(arrays, values, strict=True):
        array[...] = value
