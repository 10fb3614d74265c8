"""MLflowLogger writes fits to a database of mlflow: parameters, metrics and models, also after errors and in searches."""

import copy
import pickle
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.callback import FitCallback
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import MLflowLogger

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A new database; creating its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').as_posix()}")
    return folder


@pytest.fixture(autouse=True)
def experiment(database, request):
    """A new experiment for each test. No run is active before and after it."""
    number = mlflow.create_experiment(request.node.name, artifact_location=(database / request.node.name).as_uri())
    mlflow.set_experiment(experiment_id=number)
    yield number
    assert mlflow.active_run() is None


def runs():
    """All runs of the experiment, the oldest first."""
    return mlflow.search_runs(output_format="list", order_by=["attributes.start_time ASC"])


def steps(run, name):
    """The steps and values of a metric."""
    entries = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    return {entry.step: entry.value for entry in entries}


def statuses():
    return [run.info.status for run in runs()]


def model(**params):
    return MLPClassifier(**SMALL | params).set_callbacks(MLflowLogger(log_model=False))


def test_logger_follows_the_protocol_of_scikit_learn():
    assert isinstance(MLflowLogger(), FitCallback)
    with pytest.raises(TypeError, match=r"set_callbacks"):
        MLPClassifier(callbacks=[MLflowLogger()]).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_parameters_and_metrics_of_each_epoch_are_logged(solver):
    est = model(solver=solver).fit(X, y)
    (run,) = runs()
    assert run.data.params == {name: str(value) for name, value in est.get_params().items()}
    assert run.data.tags["estimator_name"] == "MLPClassifier"
    assert run.info.status == "FINISHED"
    if solver == "lbfgs":
        assert list(steps(run, "loss")) == [1, 2, 3]
        assert steps(run, "loss")[3] == est.loss_
        return
    assert set(run.data.metrics) == set(est.history_) == {"loss", "learning_rate"}
    for name, entries in est.history_.items():
        assert steps(run, name) == dict(enumerate(entries, 1))


def test_validation_metrics_are_logged():
    est = model().fit(X, y, X_val=X[::2], y_val=y[::2])
    (run,) = runs()
    assert set(run.data.metrics) == {"loss", "learning_rate", "val_loss", "val_score"}
    assert list(steps(run, "val_score").values()) == est.history_["val_score"]


def test_all_metrics_of_a_long_fit_are_sent():
    est = model(max_iter=1500, tol=0, n_iter_no_change=2000).fit(X, y)
    assert list(steps(runs()[0], "loss").values()) == est.loss_curve_


def test_the_fit_is_the_same_as_without_logger():
    plain, logged = MLPClassifier(**SMALL).fit(X, y), model().fit(X, y)
    assert_array_equal(plain.coefs_[0], logged.coefs_[0])
    assert plain.history_ == logged.history_


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, np.ndarray.tolist])
def test_model_is_logged_with_the_run(kind, container):
    est = kind(**SMALL).set_callbacks(MLflowLogger()).fit(container(X), y)
    (run,) = runs()
    (logged,) = mlflow.search_logged_models(output_format="list")
    assert logged.source_run_id == run.info.run_id
    loaded = mlflow.sklearn.load_model(logged.model_uri)
    assert_array_equal(loaded.predict(X), est.predict(X))
    signature = mlflow.models.get_model_info(logged.model_uri).signature
    assert len(signature.inputs) == (4 if container is pd.DataFrame else 1)


def test_first_fit_of_an_active_run_is_logged_to_it():
    with mlflow.start_run() as active:
        model().fit(X, y)
        assert mlflow.active_run().info.run_id == active.info.run_id
        mlflow.log_metric("own", 1.0)
        model(alpha=1.0).fit(X, y)
    parent, child = runs()
    assert parent.data.params["alpha"] == "0.0001"
    assert (len(steps(parent, "loss")), parent.data.metrics["own"]) == (3, 1.0)
    assert child.data.params["alpha"] == "1.0"
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_nested_fits_leave_the_active_run_empty():
    est = MLPClassifier(**SMALL).set_callbacks(MLflowLogger(nested=True, log_model=False, run_name="fold"))
    with mlflow.start_run() as active:
        cross_val_score(est, X, y, cv=3)
    parent, *children = runs()
    assert parent.data.params == {}
    assert [run.data.tags["mlflow.parentRunId"] for run in children] == [active.info.run_id] * 3
    assert [run.info.run_name for run in children] == ["fold"] * 3
    assert [len(steps(run, "loss")) for run in children] == [3] * 3


def test_each_fit_has_a_run_of_its_own():
    est = model().fit(X, y)
    est.fit(X, y)
    clone(est).fit(X, y)
    assert [len(steps(run, "loss")) for run in runs()] == [3, 3, 3]


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_searches(n_jobs):
    search = GridSearchCV(make_pipeline(model()), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, y)
    found = runs()
    assert len(found) == 5
    assert sorted(run.data.params["alpha"] for run in found[:4]) == ["0.1", "0.1", "1.0", "1.0"]
    assert found[-1].data.params["alpha"] == str(search.best_params_["mlpclassifier__alpha"])
    assert statuses() == ["FINISHED"] * 5


def test_partial_fit_continues_the_run():
    est = model()
    for _ in range(4):
        est.partial_fit(X, y, classes=[0, 1, 2])
    (run,) = runs()
    assert steps(run, "loss") == dict(enumerate(est.loss_curve_, 1))
    assert run.info.status == "FINISHED"
    est.fit(X, y)
    assert len(runs()) == 2


def test_partial_fit_in_an_active_run():
    est = model()
    with mlflow.start_run():
        for _ in range(3):
            est.partial_fit(X, y, classes=[0, 1, 2])
    (run,) = runs()
    assert list(steps(run, "loss")) == [1, 2, 3]


@pytest.mark.parametrize("warm_start", [True, "resume"])
def test_warm_start_continues_the_run(warm_start):
    est = model(warm_start=warm_start).fit(X, y).fit(X, y)
    (run,) = runs()
    assert steps(run, "loss") == dict(enumerate(est.loss_curve_, 1))
    assert len(est.loss_curve_) == 6


def test_warm_start_with_other_parameters_has_a_new_run():
    est = model(warm_start=True).fit(X, y).set_params(alpha=1.0)
    est.fit(X, y)
    first, second = runs()
    assert (first.data.params["alpha"], second.data.params["alpha"]) == ("0.0001", "1.0")
    assert list(steps(second, "loss")) == [4, 5, 6]


def test_run_fails_if_the_fit_diverges():
    est = MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", learning_rate_init=1e3, batch_size=10, max_iter=50, random_state=0)
    est.set_callbacks(MLflowLogger())
    with pytest.raises(ValueError, match="non-finite"):
        est.fit(100 * X, 100.0 * y)
    assert statuses() == ["FAILED"]
    assert mlflow.search_logged_models(output_format="list") == []


def test_run_fails_if_the_data_are_invalid():
    with pytest.raises(ValueError, match="NaN"):
        model().fit(np.full_like(X, np.nan), y)
    assert statuses() == ["FAILED"]


def test_interrupted_fit_keeps_its_metrics_and_model():
    def interrupt(estimator, epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    est = MLPClassifier(**SMALL, callbacks=interrupt).set_callbacks(MLflowLogger(log_model=False))
    with pytest.warns(UserWarning, match="interrupted"):
        est.fit(X, y)
    (run,) = runs()
    assert steps(run, "loss") == dict(enumerate(est.loss_curve_, 1))


def test_errors_of_mlflow_after_the_start_do_not_stop_the_fit(monkeypatch):
    def fail(*args, **kwargs):
        raise mlflow.MlflowException("the server is down")

    def break_server(estimator, epoch, logs):
        monkeypatch.setattr(mlflow.MlflowClient, "log_batch", fail)
        monkeypatch.setattr(mlflow.sklearn, "log_model", fail)

    est = MLPClassifier(**SMALL, callbacks=break_server).set_callbacks(MLflowLogger())
    with pytest.warns(UserWarning, match="server is down") as caught:
        est.fit(X, y)
    assert len([entry for entry in caught if "server is down" in str(entry.message)]) == 1
    assert est.n_iter_ == 3
    assert statuses() == ["FINISHED"]


def test_long_parameters_are_shortened():
    est = model(hidden_layer_sizes=(1,) * 300).fit(X, y)
    assert runs()[0].data.params["hidden_layer_sizes"] == str(est.hidden_layer_sizes)[:500]


def test_copies_forget_the_runs():
    est = model().fit(X, y)
    for copied in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        (logger,) = copied._skl_callbacks
        assert repr(logger) == "MLflowLogger(run_name=None, nested=False, log_model=False)"
        copied.partial_fit(X, y)
    first, *others = runs()
    assert list(steps(first, "loss")) == [1, 2, 3]
    assert [list(steps(run, "loss")) for run in others] == [[4], [4]]


def test_missing_mlflow_is_an_error_before_the_fit(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    est = MLPClassifier(**SMALL).set_callbacks(MLflowLogger())
    with pytest.raises(ImportError, match=r"fastbp\[mlflow\]"):
        est.fit(X, y)
    assert not hasattr(est, "coefs_")


@pytest.mark.slow
def test_autolog_logs_estimators_in_pipelines_only():
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        MLPClassifier(**SMALL).fit(X, y)
        assert runs() == []
        make_pipeline(MLPClassifier(**SMALL)).fit(X, y)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    (run,) = runs()
    assert run.data.params["mlpclassifier__hidden_layer_sizes"] == "(4,)"
    assert {"training_score", "training_accuracy_score", "training_log_loss"} <= set(run.data.metrics)
