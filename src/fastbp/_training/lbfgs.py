"""A fit by SciPy's L-BFGS-B on all rows at once.

The training state, the parameters of the estimator (``config``) and the data go in; a ``FitResult`` comes out, and the state
contains the parameters that SciPy returned. This module does not know about estimators.
"""

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from .._data.inputs import as_rows, as_targets
from .._data.sample_weights import zero_weights_error
from .._kernels.network import loss_and_gradient
from .._kernels.settings import SETTINGS, record
from .._kernels.user_warnings import warn_user
from .._network.layout import padded_copy
from .._network.optimizers import write_penalties
from .._network.turns import BlockPacer, timed_ranges
from .context import time_message
from .epochs import Problem
from .result import FitResult


def fit_lbfgs(state, config, plan, data, hooks):
    """Train ``state`` on ``data`` (X, y, sample_weight); return a ``FitResult``."""
    X, y, sample_weight = data
    state.params = padded_copy(state.params, X.dtype)
    settings, dtype = record(SETTINGS), X.dtype
    penalties = write_penalties(settings, config, dtype)
    problem = Problem(plan, as_rows(X, dtype), as_targets(y, dtype), as_targets(sample_weight, dtype), penalties)
    hooks.begin_epoch()
    result, ended_by = _minimize(_Objective(problem, state, settings, hooks), config, hooks)
    if not np.isfinite(result.x).all():
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            " Scale the data, for example with scale='standard', or use a larger alpha."
        )
    # SciPy computes in float64, and scikit-learn keeps these weights for data of any dtype
    state.params = padded_copy(result.x, np.float64)
    state.publish()
    n_iter = min(result.nit, config.max_iter)
    _warn(result, ended_by, n_iter, config)
    return FitResult(n_iter, float(result.fun))


class _Stop(Exception):
    """Raised to end SciPy's iterations; the argument is the reason."""


class _Objective:
    """The function x ↦ (mean loss with penalties, gradient) over all rows, evaluated in several kernel calls."""

    def __init__(self, problem, state, settings, hooks):
        self.problem, self.state, self.settings, self.hooks = problem, state, settings, hooks
        self.params = state.params
        self.table, _, (self.scratch,) = problem.workspace(state, settings, problem.n_rows, 1)
        self.pacer = BlockPacer(problem.plan.layout, settings["block_size"][0])

    def __call__(self, x):
        settings, n_coefs = self.settings[0], self.problem.plan.layout.n_coefs
        self.params[...] = x  # x is float64 and has no padding
        loss, weight_sum = self._sums()
        W, gradient, l1 = x[:n_coefs], self.scratch.gradient.astype(np.float64), settings.l1
        gradient[:n_coefs] += settings.alpha * W + l1 * np.sign(W)
        return (loss + 0.5 * settings.alpha * (W @ W) + l1 * np.abs(W).sum()) / weight_sum, gradient / weight_sum

    def _sums(self):
        """Return Σ loss and Σ weight of all rows; the gradient is in ``scratch.gradient`` afterwards."""
        problem, settings = self.problem, self.settings
        loss, weight_sum = 0.0, 0.0
        for start, stop in timed_ranges(problem.n_rows, self.pacer, settings[0].block_size):
            part = loss_and_gradient(
                settings, self.table, self.params, problem.rows, problem.y, problem.weight, start, stop, self.scratch
            )
            loss, weight_sum = loss + part[0], weight_sum + part[1]
            if self.hooks.out_of_time:
                raise _Stop("max_time")
        if weight_sum == 0:
            raise zero_weights_error()
        return loss, weight_sum


def _minimize(objective, config, hooks):
    """Return the result of SciPy and None, or the result of the last iteration and the reason why training was stopped."""
    start = objective.params.astype(np.float64)
    latest = OptimizeResult(x=start, fun=np.inf, nit=0, status=0)

    def end_iteration(intermediate_result):
        latest.x, latest.fun, latest.nit = intermediate_result.x.copy(), intermediate_result.fun, latest.nit + 1
        _report(objective.state, latest, config, hooks)

    options = {"maxfun": config.max_fun, "maxiter": config.max_iter, "gtol": config.tol}
    try:
        result = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=end_iteration)
    except KeyboardInterrupt:
        return latest, "interrupted"
    except _Stop as stop:
        return latest, str(stop)
    return result, None


def _report(state, latest, config, hooks):
    """Print the loss of an iteration and call the callbacks."""
    if config.verbose:
        print(f"Iteration {latest.nit}, loss = {latest.fun:.8f}")
    if hooks.end_epoch is None:
        return
    state.params = padded_copy(latest.x, np.float64)
    if hooks.end_epoch(state, FitResult(latest.nit, float(latest.fun)), None):
        raise _Stop("callback")
    if latest.nit < config.max_iter:
        hooks.begin_epoch()


def _warn(result, ended_by, n_iter, config):
    if ended_by == "interrupted":
        warn_user("Training interrupted by user.")
    elif ended_by == "max_time":
        warn_user(time_message(config.max_time, f"{n_iter} iterations"), ConvergenceWarning)
    elif ended_by is None and result.status != 0:
        warn_user(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}): {result.message}. Increase max_iter "
            f"(now {config.max_iter}) or max_fun (now {config.max_fun}), or scale the data.",
            ConvergenceWarning,
        )
