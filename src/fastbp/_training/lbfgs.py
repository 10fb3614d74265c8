"""A fit by SciPy's L-BFGS-B, for an estimator.

An estimator with its weights, and the data of one call, enter; trained weights and what is known of the iterations leave as its
attributes. The objective and its minimisation are the matter of `training`.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._kernels.settings import SETTINGS, record
from .._network.optimizers import write_penalties
from .._preparation import padded_copy
from .epochs import Stop, minimize_lbfgs
from .sgd import warn_of_time


def fit(estimator, X, y, sample_weight, call):
    """Train the weights in an estimator by L-BFGS, and leave what is known of it as its attributes."""
    _check(estimator)

    def report(iteration, loss, x):
        if estimator.verbose:
            print(f"Iteration {iteration}, loss = {loss:.8f}")
        if call.callbacks_runner.wanted:
            estimator._hold_trained(problem.plan.layout, padded_copy(x, np.float64))
            estimator._publish()
            estimator.n_iter_, estimator.loss_ = iteration, float(loss)
            if call.callbacks_runner.end_epoch(estimator, iteration, {"loss": estimator.loss_}):
                raise Stop("callback")
            if iteration < estimator.max_iter:
                call.callbacks_runner.begin_epoch()

    def check():
        if call.out_of_time:
            raise Stop("max_time")

    sample_weight = estimator._relative_weights(sample_weight)
    problem = estimator._problem(X, y, sample_weight, padded_copy(estimator._params_to_train(), X.dtype))
    limits = {"max_iter": estimator.max_iter, "max_fun": estimator.max_fun, "tol": estimator.tol}
    settings = record(SETTINGS)
    write_penalties(settings, estimator, X.dtype)
    call.callbacks_runner.begin_epoch()
    result, ended_by = minimize_lbfgs(problem, settings, report=report, check=check, **limits)
    if not np.isfinite(result.x).all():
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            " A smaller learning_rate_init may help too."
        )
    # SciPy iterates in float64, and scikit-learn's weights then are what it returns, whatever the data
    estimator._hold_trained(problem.plan.layout, padded_copy(result.x, np.float64))
    estimator.n_iter_, estimator.loss_ = min(result.nit, estimator.max_iter), float(result.fun)
    if ended_by == "interrupted":
        warnings.warn("Training interrupted by user.", stacklevel=5)
    elif ended_by == "max_time":
        warn_of_time(estimator, f"{estimator.n_iter_} iterations", stacklevel=6)
    elif ended_by is None and result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) (status={result.status}): {result.message}. Raise "
            f"max_iter (now {estimator.max_iter}) or max_fun (now {estimator.max_fun}), or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )


def _check(estimator):
    """Refuse what L-BFGS, which wants one function of all rows, cannot do."""
    if estimator._resumes:
        raise ValueError(
            "warm_start='resume' is not for solver='lbfgs', whose memory of past gradients SciPy does not hand out: set "
            "warm_start=True to go on from the weights, or choose another solver."
        )
    asked = {
        "learning_rate": estimator.learning_rate not in ("constant", "invscaling", "adaptive"),
        "dropout": any(estimator._dropout_rates()),
    }
    names = ("input_noise", "batch_norm", "clip_norm", "max_norm", "weight_decay")
    asked |= {name: getattr(estimator, name) for name in names} | {"ema_decay": estimator.ema_decay is not None}
    for name, wanted in asked.items():
        if wanted:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} is not for solver='lbfgs', which minimises one function of all rows: take "
                f"another solver, as 'adam', or leave {name} out."
            )
