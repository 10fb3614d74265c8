"""A fit by SciPy's L-BFGS-B on all rows at once.

The training state, the parameters of the estimator (``config``) and the data go in; a ``FitResult`` comes out, and the state
contains the parameters that SciPy returned. This module does not know about estimators.
"""

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from .._data.inputs import IN_ORDER
from .._data.sample_weights import zero_weights_error
from .._data.training_arrays import training_arrays
from .._kernels.network import loss_and_gradient
from .._kernels.settings import SETTINGS, record
from .._kernels.team import share_start
from .._kernels.user_warnings import warn_user
from .._network.layout import padded_copy
from .._network.optimizers import write_penalties
from .._network.parameters import largest_absolute
from .._network.threads import STEPS_TO_WAKE, ThreadCrew, one_blas_thread, useful_threads
from .._network.turns import fixed_ranges
from .advice import advice
from .context import time_message
from .epochs import Problem
from .progress import Standing
from .result import FitResult, TrainingEnd


def fit_lbfgs(state, config, plan, data, hooks):
    """Train ``state`` on ``data`` (X, y, sample_weight); return a ``FitResult``."""
    X, y, _ = data
    state.params = padded_copy(state.params, X.dtype)
    settings, dtype = record(SETTINGS), X.dtype
    penalties = write_penalties(settings, config, dtype)
    rows, targets, weight = training_arrays(dtype, *data)
    problem = Problem(plan, rows, targets, weight, penalties, data=data)
    hooks.begin_epoch()
    objective = _Objective(problem, state, settings, config.n_threads, hooks)
    try:
        # SciPy's products of a few vectors are slower with several threads, which then also compete with those of the kernels
        with one_blas_thread:
            result, ended_by = _minimize_with_bar(objective, config, hooks)
    finally:
        objective.crew.close()
    if not np.isfinite(result.x).all():
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed. "
            + advice(config, plan)
        )
    # SciPy computes in float64, and scikit-learn keeps these weights for data of any dtype
    state.params = padded_copy(result.x, np.float64)
    state.publish()
    n_iter = min(result.nit, config.max_iter)
    _warn(result, ended_by, n_iter, config)
    losses = [] if objective.first_loss is None else [objective.first_loss, float(result.fun)]
    end = TrainingEnd(config, plan, X, y, IN_ORDER, losses, largest_absolute(state.params))
    return FitResult(n_iter, float(result.fun), end=end)


# The largest number of shares of the rows, and the smallest number of rows of a share.
_MAX_SHARES, _MIN_SHARE_ROWS = 16, 512
_CALL_WORK = 1e7  # multiply-adds per parameter and row of one kernel call


class _Stop(Exception):
    """Raised to end SciPy's iterations; the argument is the reason."""


class _Objective:
    """The function x ↦ (mean loss with penalties, gradient) over all rows, evaluated by threads that take shares in turns.

    The number of shares depends on the problem only, and their sums are added in their order. The result therefore does not depend
    on the number of threads.
    """

    def __init__(self, problem, state, settings, n_threads, hooks):
        self.problem, self.settings, self.hooks, self.state, self.params = problem, settings, hooks, state, state.params
        work = 3 * problem.n_rows * self.params.nbytes / STEPS_TO_WAKE
        n_shares = max(1, min(_MAX_SHARES, problem.n_rows // _MIN_SHARE_ROWS)) if useful_threads(2, work, 2) > 1 else 1
        self.crew = ThreadCrew(useful_threads(n_threads, work, n_shares))
        try:
            workspace = problem.workspace(state, settings, problem.n_rows, self.crew.n_threads, n_shares, shares_weights=False)
        except BaseException:
            self.crew.close()
            raise
        self.table, self.team, self.scratches = workspace
        self.parts = [self._parts(share, n_shares) for share in range(n_shares)]
        self.sums, self.stopped, self.first_loss = np.empty((n_shares, 2)), False, None
        self.n_calls, self.n_iter, self.loss = 0, 0, None

    def _parts(self, share, n_shares):
        """The (start, stop) of the kernel calls for a share of the rows, each of which takes a few milliseconds."""
        n_rows, layout, block_size = self.problem.n_rows, self.problem.plan.layout, self.settings["block_size"].item(0)
        start, stop = (share_start(n_rows, end, n_shares) for end in (share, share + 1))
        return fixed_ranges(start, stop, layout, block_size, _CALL_WORK)

    def __call__(self, x):
        settings, n_coefs = self.settings[0], self.problem.plan.layout.n_coefs
        self.params[...] = x  # x is float64 and has no padding
        loss, weight_sum = self._sums()
        first, *others = self.team.gradients[:, : x.size]
        W, gradient, l1 = x[:n_coefs], first.astype(np.float64), settings.l1
        for other in others:
            gradient += other
        gradient[:n_coefs] += settings.alpha * W + l1 * np.sign(W)
        loss = (loss + 0.5 * settings.alpha * (W @ W) + l1 * np.abs(W).sum()) / weight_sum
        if self.first_loss is None:
            self.first_loss = self.loss = loss
        self.n_calls += 1
        return loss, gradient / weight_sum

    def standing(self):
        """Return the `Standing` for a progress bar."""
        return Standing(self.n_iter, self.n_calls * self.problem.n_rows, self.loss)

    def _sums(self):
        """Return Σ loss and Σ weight of all rows; the gradient of each share is in ``team.gradients`` afterwards."""
        self.sums[...], self.stopped = 0, False
        shares = iter(range(len(self.parts)))
        self.crew.run(lambda rank: self._work(shares, self.scratches[rank]), self._stop)
        if self.stopped:
            raise _Stop("max_time")
        loss, weight_sum = (float(sum(column)) for column in self.sums.T)
        if weight_sum == 0:
            raise zero_weights_error()
        return loss, weight_sum

    def _work(self, shares, scratch):
        """Compute the shares that no other thread has taken."""
        problem = self.problem
        for share in shares:
            for start, stop in self.parts[share]:
                if self.stopped:
                    return
                first = start == self.parts[share][0][0]
                rows = problem.rows, problem.y, problem.weight, start, stop
                gradient = self.team.gradients[share]
                sums = loss_and_gradient(self.settings, self.table, self.params, *rows, scratch, gradient, first)
                self.sums[share] += sums
                if self.hooks.out_of_time:
                    self.stopped = True  # not |=, which could undo the assignment of another thread

    def _stop(self):
        self.stopped = True


def _minimize_with_bar(objective, config, hooks):
    """Call `_minimize`, and show the progress if there is a `ProgressBar`."""
    bar = hooks.report.bar
    if bar is None:
        return _minimize(objective, config, hooks)
    with bar.shown("Iteration", config.max_iter, objective.standing):
        result, ended_by = _minimize(objective, config, hooks)
        bar.end(_outcome(result, ended_by))
    return result, ended_by


def _outcome(result, ended_by):
    """The outcome of training for a progress bar: `ended_by`, or the reason why SciPy ended training."""
    if ended_by is not None:
        return ended_by
    if not np.isfinite(result.fun):
        return "diverged"
    return "converged" if result.status == 0 else "finished"


def _minimize(objective, config, hooks):
    """Return the result of SciPy and None, or the result of the last iteration and the reason why training was stopped."""
    start = objective.params.astype(np.float64)
    latest = OptimizeResult(x=start, fun=np.inf, nit=0, status=0)

    def end_iteration(intermediate_result):
        latest.x, latest.fun, latest.nit = intermediate_result.x.copy(), intermediate_result.fun, latest.nit + 1
        objective.n_iter, objective.loss = latest.nit, latest.fun
        _end_iteration(objective, latest, config, hooks)

    options = {"maxfun": config.max_fun, "maxiter": config.max_iter, "gtol": config.tol}
    try:
        result = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=end_iteration)
        return result, None
    except KeyboardInterrupt:
        ended_by = "interrupted"
    except _Stop as stop:
        ended_by = str(stop)
    if latest.nit == 0 and objective.first_loss is not None:
        latest.fun = objective.first_loss
    return latest, ended_by


def _end_iteration(objective, latest, config, hooks):
    """Report the loss of an iteration and call the callbacks."""
    report = hooks.report
    report.line(f"Iteration {latest.nit}, loss = {latest.fun:.8f}")
    if report.bar is not None and report.bar.is_due():
        report.bar.show()
    if hooks.end_epoch is None:
        return
    objective.state.params = padded_copy(latest.x, np.float64)
    if hooks.end_epoch(objective.state, FitResult(latest.nit, float(latest.fun)), None, objective.problem):
        raise _Stop("callback")
    if latest.nit < config.max_iter:
        hooks.begin_epoch()


def _warn(result, ended_by, n_iter, config):
    if ended_by == "interrupted":
        warn_user("Training interrupted by user.")
    elif ended_by == "max_time":
        warn_user(time_message(config.max_time, f"{n_iter} iterations"), ConvergenceWarning)
    elif ended_by is None and result.status != 0 and np.isfinite(result.fun):  # otherwise, training diverged
        warn_user(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}): {result.message}. Increase max_iter "
            f"(now {config.max_iter}) or max_fun (now {config.max_fun}){', or scale the data' * (config.scale is None)}.",
            ConvergenceWarning,
        )
