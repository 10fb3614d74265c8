"""A callback that logs fits to mlflow.

The hooks of scikit-learn's callback protocol go in; parameters, metrics of each epoch and the fitted model are written to a run of
mlflow. mlflow is imported at the start of a fit. This module does not know how a network is trained.
"""

import time
import warnings
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import sklearn
from scipy.sparse import issparse

_MAX_PARAM_LENGTH = 500  # the limit of older servers; it is 6000 since mlflow 2.8
_MAX_BATCH = 100  # the largest number of parameters, and at most a tenth of the number of metrics, that one request may have
_SECONDS = 1.0  # between two requests
_TAG = "estimator_class"


class _LoggedRun(NamedTuple):
    """The run of the last fit of an estimator, and the parameters of this fit."""

    tracking_uri: str
    run_id: str
    params: dict[str, str]


class MLflowLogger:
    """A callback that logs parameters, the metrics of each epoch, and the fitted model to mlflow.

    It is set with the method ``set_callbacks`` of an estimator. At the start of a fit, it logs all parameters. After each epoch, it
    logs the new entries of ``history_``: the loss, the learning rate and, with validation rows, their loss and score. The step is
    the number of the epoch. The metrics are sent at most once per second. At the end of the fit, the callback logs the model with
    ``mlflow.sklearn.log_model``.

    A fit is logged to the active run of mlflow if this run has no fit yet. Otherwise, the fit gets a run of its own. This run is a
    child of the active run, if there is one, and it is the active run during the fit. Each call of ``partial_fit``, and each fit
    with ``warm_start``, continues the run of the previous fit of this estimator if the parameters are the same.

    The status of a run is "FAILED" if the fit raises an error. Errors of mlflow that occur after the start of the fit become
    warnings, so that the model is not lost.

    Parameters
    ----------
    run_name : str, default=None
        The name of new runs. None means that mlflow chooses a name.
    nested : bool, default=False
        Whether each fit gets a run of its own, also if the active run has no fit yet. Use True for cross-validation and for
        parameter searches inside a run.
    log_model : bool, default=True
        Whether the model is logged at the end of each fit.

    See Also
    --------
    Checkpoint : Writes the estimator to a file during a fit.

    Notes
    -----
    ``mlflow.sklearn.autolog`` logs only the estimators of scikit-learn. It logs a fastbp estimator that is a step of a pipeline.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.callbacks import MLflowLogger
    >>> model = MLPClassifier().set_callbacks(MLflowLogger(run_name="first"))  # fit needs mlflow
    """

    def __init__(self, *, run_name: str | None = None, nested: bool = False, log_model: bool = True) -> None:
        self.run_name, self.nested, self.log_model = run_name, nested, log_model
        self._reset()

    def __repr__(self) -> str:
        return f"MLflowLogger(run_name={self.run_name!r}, nested={self.nested!r}, log_model={self.log_model!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("run_name", "nested", "log_model")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self):
        """Forget all runs."""
        self._fits: dict[int, _LoggedFit] = {}  # by the id of the estimator, because clones share their callbacks
        self._runs: WeakKeyDictionary[Any, _LoggedRun] = WeakKeyDictionary()

    # ------------------------------------------------------------------ the hooks of scikit-learn's protocol

    def setup(self, estimator: Any, context: Any) -> None:
        """Check that mlflow is installed.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator.
        context : sklearn.callback.CallbackContext
            The context of the fit.

        Raises
        ------
        ImportError
            If mlflow is not installed.
        """
        _imported_mlflow()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Start or continue a run at the start of a fit.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator.
        context : sklearn.callback.CallbackContext
            The context of the fit or of an epoch.
        """
        if context.task_name == "epoch":
            return
        params = {name: str(value)[:_MAX_PARAM_LENGTH] for name, value in estimator.get_params(deep=False).items()}
        continues = hasattr(estimator, "coefs_") and (bool(estimator.warm_start) or context.task_name == "partial_fit")
        before = self._runs.get(estimator) if continues else None
        run_id, is_started = self._run_of(params, before)
        self._fits[id(estimator)] = _LoggedFit(run_id, is_started)
        self._fits[id(estimator)].log_params(estimator, params)
        self._runs[estimator] = _LoggedRun(_imported_mlflow().get_tracking_uri(), run_id, params)

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        """Log the metrics of an epoch, or the model at the end of a fit.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator with the attributes of a fit with the epochs so far.
        context : sklearn.callback.CallbackContext
            The context of the fit or of an epoch.
        X : array-like or sparse matrix of shape (n_samples, n_features), default=None
            The training data, whose types become the signature of the model.
        """
        fit = self._fits.get(id(estimator))
        if fit is None:
            return
        if context.task_name == "epoch":
            fit.log_epoch(estimator)
            return
        fit.status = "FINISHED"
        if self.log_model:
            fit.attempt(_log_model, estimator, X)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Send the remaining metrics, and end the run if the fit has started it.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator.
        context : sklearn.callback.CallbackContext
            The context of the fit.
        """
        fit = self._fits.pop(id(estimator), None)
        if fit is not None:
            fit.end()

    def _run_of(self, params, before):
        """The run of a fit, and whether it was started here. ``before`` is the run that the fit continues, or None."""
        mlflow = _imported_mlflow()
        active = mlflow.active_run()
        is_active, active_id = active is not None, None if active is None else active.info.run_id
        if before is not None and before == (mlflow.get_tracking_uri(), before.run_id, params):
            if active_id != before.run_id:
                mlflow.start_run(run_id=before.run_id, nested=is_active)
            return before.run_id, active_id != before.run_id
        if is_active and not self.nested and _TAG not in mlflow.get_run(active_id).data.tags:
            return active_id, False
        return mlflow.start_run(run_name=self.run_name, nested=is_active).info.run_id, True


class _LoggedFit:
    """A fit and its run. ``is_started`` is whether the run must be ended with the fit."""

    def __init__(self, run_id, is_started):
        self.run_id, self.is_started, self.status = run_id, is_started, "FAILED"
        self.client, self.metrics, self.last_sent = _imported_mlflow().MlflowClient(), [], 0.0
        self.works = True

    def log_params(self, estimator, params):
        """Log the parameters and the class of the estimator."""
        from mlflow.entities import Param, RunTag

        kind = type(estimator)
        tags = [RunTag("estimator_name", kind.__name__), RunTag(_TAG, f"{kind.__module__}.{kind.__name__}")]
        entries = [Param(name, text) for name, text in params.items()]
        for start in range(0, len(entries), _MAX_BATCH):
            self.client.log_batch(self.run_id, params=entries[start : start + _MAX_BATCH], tags=tags)

    def log_epoch(self, estimator):
        """Log the metrics of the last epoch."""
        from mlflow.entities import Metric

        # L-BFGS has no history
        history = {"loss": [estimator.loss_]} if estimator.solver == "lbfgs" else estimator.history_
        step, now = estimator.n_iter_ if estimator.solver == "lbfgs" else len(history["loss"]), time.time()
        self.metrics += [Metric(name, float(entries[-1]), int(now * 1000), step) for name, entries in history.items()]
        if now > self.last_sent + _SECONDS or len(self.metrics) >= 10 * _MAX_BATCH - len(history):
            self.attempt(self.send)

    def send(self):
        """Send the metrics that were not sent before."""
        metrics, self.metrics, self.last_sent = self.metrics, [], time.time()
        if metrics:
            self.client.log_batch(self.run_id, metrics=metrics)

    def end(self):
        """Send the remaining metrics, and end the run if it was started here."""
        self.attempt(self.send)
        if self.is_started:
            self.works = True  # the run must end even if an earlier call failed
            self.attempt(_imported_mlflow().end_run, self.status)

    def attempt(self, function, *arguments):
        """Call a function of mlflow unless an earlier call failed; an error becomes a warning."""
        if not self.works:
            return
        try:
            function(*arguments)
        except Exception as error:
            self.works = False
            warnings.warn(
                f"MLflowLogger could not write to the run {self.run_id} of mlflow, so the run is incomplete. The fit is not "
                f"affected. The error was: {type(error).__name__}: {error}",
                stacklevel=2,
            )


def _log_model(estimator, X):
    """Log the model to the active run."""
    from . import __version__

    mlflow = _imported_mlflow()
    requirements = [f"fastbp=={__version__}", f"scikit-learn=={sklearn.__version__}", "cloudpickle"]
    mlflow.sklearn.log_model(
        estimator,
        name="model",
        signature=_signature(estimator, X),
        pip_requirements=requirements,
        serialization_format="cloudpickle",
    )


def _signature(estimator, X):
    """The types of the columns of X and of the predictions, or None if mlflow does not know the type of X."""
    if isinstance(X, list):
        X = np.asarray(X)
    if issparse(X):
        rows = X.tocsr()[:5]
    elif hasattr(X, "iloc"):
        rows = X.iloc[:5]
    elif isinstance(X, np.ndarray):
        rows = X[:5]
    else:
        return None
    return _imported_mlflow().models.infer_signature(rows, estimator.predict(rows))


def _imported_mlflow():
    """Return the module mlflow, or raise an ImportError that tells how to install it."""
    try:
        import mlflow
        import mlflow.sklearn
    except ImportError as error:
        raise ImportError(
            f"MLflowLogger needs mlflow 3.1 or newer, which cannot be imported ({error}). Install it with: "
            "pip install 'fastbp[mlflow]', or: pip install mlflow"
        ) from error
    return mlflow
