"""Checks before a distributed fit: that Dask is installed, and that all parameters are supported.

An estimator and its parameters go in; an error that names the parameter and the remedy is raised, or nothing happens. This module
does not know how a fit runs.
"""

from numbers import Integral

from .._network.initializers import DATA


def require_dask():
    """Raise an ImportError if Dask or distributed are not installed."""
    try:
        import dask  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "fastbp.dask needs dask and distributed. Install them with: pip install 'fastbp[dask]', or: pip install "
            "'dask[array,dataframe]' distributed."
        ) from error


def open_executor(client, timeout):
    """The `Executor` for the value of the parameter `client`."""
    require_dask()
    from .dask_executor import executor_of

    return executor_of(client, timeout)


def check_supported(estimator, config, eval_set, resume):
    """Raise a ValueError if a parameter is not supported by a distributed fit."""
    is_wrong = {
        "solver": (config.solver == "lbfgs", "needs the gradient of all rows in each iteration", "Use 'adam' or another solver."),
        "warm_start": (bool(config.warm_start), None, "Set the parameter checkpoint, and call fit with resume=True."),
        "missing": (config.missing != "error", None, "Replace missing values before fit."),
        "scale": (
            config.scale not in (None, "standard"),
            "needs the quantiles of all rows",
            "Use 'standard', whose statistics are computed in one pass.",
        ),
        "scale_y": (config.scale_y not in (None, "standard"), "needs the quantiles of all rows", "Use 'standard'."),
        "scoring": (
            config.scoring not in (None, "loss"),
            "cannot be computed for one partition after the other",
            "Use None or 'loss', or compute the score in a callback.",
        ),
        "validation_splitter": (config.validation_splitter is not None, "needs all rows", "Pass eval_set to fit."),
        "early_stopping": (
            config.early_stopping and eval_set is None,
            "needs validation rows",
            "Pass eval_set=(X_val, y_val) to fit; no rows are held out automatically.",
        ),
    }
    is_wrong |= {
        name: (isinstance(value, str) and value == DATA, "depends on the rows", "Use another initializer.")
        for name, value in (("weight_init", config.weight_init), ("bias_init", config.bias_init))
    }
    for name, (wrong, reason, remedy) in is_wrong.items():
        if wrong:
            kind = type(estimator).__name__
            reason = "" if reason is None else f", because it {reason}"
            raise ValueError(f"{name}={getattr(config, name)!r} is not supported by {kind}{reason}. {remedy}")
    if vars(estimator).get("_skl_callbacks"):
        raise ValueError(
            "Callbacks of scikit-learn are not supported by Dask estimators. Pass functions in the parameter callbacks."
        )
    if estimator.checkpoint is not None and not isinstance(config.random_state, Integral):
        raise ValueError(
            f"random_state must be an int if checkpoint is set, so that a fit that continues draws the same numbers; got "
            f"{config.random_state!r}."
        )
    if resume and estimator.checkpoint is None:
        raise ValueError("resume=True needs the parameter checkpoint, the file from which fit continues. Set it with set_params.")
