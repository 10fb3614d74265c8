"""Callbacks, scikit-learn's callbacks and the time limit.

A callback without side effects must not change the fit. After epoch n, a callback must get a model that is bitwise identical to the
result of a fit with n epochs.
"""

import contextlib
import io
import pickle
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._model import paused_fits
from fastbp._training import epochs as training
from fastbp.callbacks import MLflowLogger

RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(60, 4))
Y = {MLPClassifier: np.array(["no", "yes"])[1 * (X[:, 0] * X[:, 1] > 0)], MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 10, "learning_rate_init": 0.01, "max_iter": 8, "tol": 0.0, "random_state": 0}
PARAMS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "validated": {"early_stopping": True, "validation_fraction": 0.3},
    "two threads": {"n_threads": 2},
}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
each_params = pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def weights(model):
    return [array.copy() for array in (*model.coefs_, *model.intercepts_)]


def assert_same_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        assert_array_equal(a, b)


# ====================================================================== functions


@few_epochs
@each_kind
@each_params
def test_callback_gets_the_model_of_a_fit_with_that_number_of_epochs(kind, params):
    seen = []

    def watch(estimator, epoch, logs):
        seen.append(
            (epoch, logs, estimator.n_iter_, estimator.loss_curve_[:], estimator.t_, estimator.predict(X), weights(estimator))
        )

    whole = kind(**SMALL | params, callbacks=watch).fit(X, Y[kind])
    plain = kind(**SMALL | params).fit(X, Y[kind])
    assert_same_weights(whole, plain)
    assert whole.history_ == plain.history_
    assert [epoch for epoch, *_ in seen] == list(range(1, 9))
    for epoch, logs, n_iter, curve, t, predicted, arrays in seen:
        assert logs == {name: entries[epoch - 1] for name, entries in plain.history_.items()}
        part = kind(**SMALL | params | {"max_iter": epoch}).fit(X, Y[kind])
        assert (n_iter, curve, t) == (part.n_iter_, part.loss_curve_, part.t_)
        if "early_stopping" not in params:  # with early stopping, the best weights are restored at the end
            assert_array_equal(predicted, part.predict(X))
            for a, b in zip(arrays, weights(part), strict=True):
                assert_array_equal(a, b)


@each_kind
@each_params
def test_callback_that_returns_true_ends_training(kind, params):
    """There is no ConvergenceWarning, because the callback ended training."""
    called = []
    functions = [lambda estimator, epoch, logs: epoch == 3, lambda estimator, epoch, logs: called.append(epoch)]
    stopped = kind(**SMALL | params, callbacks=functions).fit(X, Y[kind])
    with pytest.warns(ConvergenceWarning):
        plain = kind(**SMALL | params | {"max_iter": 3}).fit(X, Y[kind])
    assert called == [1, 2, 3]
    assert stopped.n_iter_ == 3
    assert_same_weights(stopped, plain)


@few_epochs
@each_kind
def test_partial_fit_calls_callbacks_after_its_epoch(kind):
    called = []
    model = kind(**SMALL, callbacks=(lambda estimator, epoch, logs: called.append((epoch, logs["loss"])),))
    options = {"classes": ["no", "yes"]} if kind is MLPClassifier else {}
    for _ in range(3):
        model.partial_fit(X, Y[kind], **options)
    assert called == [(1, loss) for loss in model.loss_curve_]


@few_epochs
@each_kind
def test_lbfgs_calls_callbacks_after_each_iteration(kind):
    seen = []

    def watch(estimator, iteration, logs):
        seen.append((iteration, logs["loss"], estimator.predict(X)))
        return iteration == 4

    stopped = kind(**SMALL | {"max_iter": 30}, solver="lbfgs", callbacks=watch).fit(X, Y[kind])
    assert [iteration for iteration, *_ in seen] == [1, 2, 3, 4]
    for iteration, loss, predicted in seen:
        part = kind(**SMALL | {"max_iter": iteration}, solver="lbfgs").fit(X, Y[kind])
        assert loss == part.loss_
        assert_array_equal(predicted, part.predict(X))
    assert stopped.n_iter_ == 4
    assert_array_equal(stopped.predict(X), seen[-1][2])


@each_kind
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("fitted", [False, True])
def test_error_in_a_callback_leaves_the_estimator_unchanged(kind, solver, fitted):
    model = kind(**SMALL, solver=solver)
    if fitted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, Y[kind])

    def fail(estimator, epoch, logs):
        if epoch == 3:
            raise RuntimeError("raised by the test")

    model.callbacks = fail
    before = joblib.hash({name: value for name, value in vars(model).items() if name != "callbacks"})
    with pytest.raises(RuntimeError, match="raised by the test"):
        model.fit(X, Y[kind])
    assert joblib.hash({name: value for name, value in vars(model).items() if name != "callbacks"}) == before


@few_epochs
@each_kind
def test_ctrl_c_in_a_callback_keeps_the_model(kind):
    def interrupt(estimator, epoch, logs):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user"):
        model = kind(**SMALL, callbacks=interrupt).fit(X, Y[kind])
    assert_same_weights(model, kind(**SMALL | {"max_iter": 3}).fit(X, Y[kind]))
    assert len(model.history_["loss"]) == model.n_iter_ == 3


@pytest.mark.parametrize("callbacks", [3, "f", [3], [print, None], {"a": 1}])
def test_invalid_callbacks_are_rejected(callbacks):
    with pytest.raises((TypeError, InvalidParameterError), match="callbacks"):
        MLPRegressor(callbacks=callbacks).fit(X, X[:, 0])


@pytest.mark.parametrize("callback", [ProgressBar(), MLflowLogger()], ids=["ProgressBar", "MLflowLogger"])
def test_error_for_scikit_learns_callbacks_names_set_callbacks(callback):
    for callbacks in (callback, [callback]):
        with pytest.raises(TypeError, match=r"^callbacks must be functions of .*Use the method set_callbacks"):
            MLPRegressor(callbacks=callbacks).fit(X, X[:, 0])


# ====================================================================== scikit-learn's callbacks


class Recorder:
    """A callback for scikit-learn's callback interface. It records its calls and ends training after the epoch `last`."""

    def __init__(self, last=None):
        self.last, self.events = last, []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.events.append(("begin", context.task_name, context.task_id, context.max_subtasks))
        self.seen = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            assert not np.shares_memory(fitted_estimator.coefs_[0], estimator.coefs_[0])
            self.predicted = fitted_estimator.predict(X)
        return context.task_name == "epoch" and context.task_id == self.last


@each_kind
def test_scikit_learns_callbacks_can_distinguish_partial_fit_from_fit(kind):
    recorder, options = Recorder(), {"classes": ["no", "yes"]} if kind is MLPClassifier else {}
    kind(**SMALL).set_callbacks(recorder).partial_fit(X, Y[kind], **options)
    assert recorder.events[1] == ("begin", "partial_fit", 0, 1)
    assert recorder.events[-2:] == [("end", "partial_fit", 0), "teardown"]


@few_epochs
@each_kind
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_calls_of_scikit_learns_callback_methods(kind, solver):
    recorder, weight = Recorder(), np.linspace(1, 2, 60)
    model = kind(**SMALL, solver=solver).set_callbacks(recorder)
    assert isinstance(model, CallbackSupportMixin)
    model.fit(X, Y[kind], weight)
    assert recorder.events[:2] == ["setup", ("begin", "fit", 0, 8)]
    epochs = [event for n in range(8) for event in (("begin", "epoch", n, 0), ("end", "epoch", n))]
    assert recorder.events[2:-2] == epochs
    assert recorder.events[-2:] == [("end", "fit", 0), "teardown"]
    assert recorder.seen[0] is X
    assert recorder.seen[1] is Y[kind]
    assert recorder.seen[2]["sample_weight"] is weight
    assert_array_equal(recorder.predicted, model.predict(X))
    plain = kind(**SMALL, solver=solver).fit(X, Y[kind], weight)
    assert_same_weights(model, plain)
    assert not {name for name in vars(model) if "callback" in name} - {"callbacks", "_skl_callbacks"}


@each_kind
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scikit_learns_callback_can_end_training(kind, solver):
    model = kind(**SMALL, solver=solver).set_callbacks(Recorder(last=2)).fit(X, Y[kind])
    assert model.n_iter_ == 3


@few_epochs
@each_kind
def test_callbacks_are_torn_down_after_a_failure(kind):
    recorder = Recorder()
    model = kind(**SMALL).set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, Y[kind])
    assert recorder.events[-1] == "teardown"
    assert not {name for name in vars(model) if "callback" in name} - {"callbacks", "_skl_callbacks"}
    model.fit(X, Y[kind])


@few_epochs
@each_kind
def test_with_early_stopping_callbacks_get_the_best_model_so_far(kind):
    """The callback gets the model that `fit` returns if training ends at that epoch."""
    recorder = Recorder(last=5)
    model = kind(**SMALL, early_stopping=True).set_callbacks(recorder).fit(X, Y[kind])
    assert_array_equal(recorder.predicted, model.predict(X))


@few_epochs
@each_kind
def test_interruption_ends_all_begun_tasks(kind, monkeypatch):
    recorder, calls = Recorder(), iter(range(10))
    train = training.train

    def interrupt(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(training, "train", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        kind(**SMALL).set_callbacks(recorder).fit(X, Y[kind])
    begun = [event[1:3] for event in recorder.events if event[0] == "begin"]
    assert sorted(begun) == sorted(event[1:3] for event in recorder.events if event[0] == "end")


@few_epochs
@each_kind
def test_scoring_monitor_has_the_scores_of_each_epoch(kind):
    scoring = "neg_log_loss" if kind is MLPClassifier else "r2"
    monitor = ScoringMonitor(scoring=scoring)
    kind(**SMALL).set_callbacks(monitor).fit(X, Y[kind])
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    scores = []
    kind(**SMALL, scoring=scoring).set_params(callbacks=lambda e, n, logs: scores.append(logs["val_score"])).fit(
        X, Y[kind], X_val=X, y_val=Y[kind]
    )
    assert [row[scoring] for row in rows] == pytest.approx(scores, rel=1e-9)
    assert len(rows) == 8


@few_epochs
@each_kind
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_bar(kind, solver):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        kind(**SMALL, solver=solver).set_callbacks(ProgressBar()).fit(X, Y[kind])
    assert f"{kind.__name__} - fit" in out.getvalue()
    assert "100%" in out.getvalue()


@few_epochs
@each_kind
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_callbacks_of_a_parameter_search(kind, n_jobs):
    """The search passes its callbacks to the estimators. The scores of all epochs of all fits are recorded."""
    scoring = "accuracy" if kind is MLPClassifier else "r2"
    monitor, grid = ScoringMonitor(scoring=scoring), {"alpha": [0.0, 1.0]}
    search = GridSearchCV(kind(**SMALL), grid, cv=2, n_jobs=n_jobs).set_callbacks(monitor, ProgressBar(max_propagation_depth=None))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        search.fit(X, Y[kind])
    assert "100%" in out.getvalue()
    assert kind.__name__ in out.getvalue()
    plain = GridSearchCV(kind(**SMALL), grid, cv=2).fit(X, Y[kind])
    assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert paused_fits.fits == []
    pickle.loads(pickle.dumps(search.best_estimator_)).predict(X)


@pytest.mark.slow
@few_epochs
@each_kind
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_callbacks_of_an_estimator_in_a_parameter_search(kind, n_jobs):
    scoring = "accuracy" if kind is MLPClassifier else "r2"
    monitor = ScoringMonitor(scoring=scoring)
    model = kind(**SMALL).set_callbacks(monitor)
    cross_validate(model, X, Y[kind], cv=2, n_jobs=n_jobs)
    GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, Y[kind])
    rows = [row for log in monitor.get_logs(select="all") for row in log.data if row["task_name"] == "epoch"]
    assert len(rows) == 8 * (2 + 2 * 2 + 1)


@few_epochs
@each_kind
def test_progress_bar_of_a_pipeline(kind):
    pipeline = make_pipeline(StandardScaler(), kind(**SMALL)).set_callbacks(ProgressBar())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        pipeline.fit(X, Y[kind])
    assert "Pipeline" in out.getvalue()
    assert kind.__name__ in out.getvalue()


def test_clones_keep_callbacks():
    recorder = Recorder()
    assert clone(MLPRegressor().set_callbacks(recorder))._skl_callbacks == [recorder]


# ====================================================================== time limit


class Clock:
    """A clock that advances by `step` each time it is read."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(1.0)
    monkeypatch.setattr("fastbp._training.context.time", clock)
    return clock


@each_kind
@each_params
@pytest.mark.usefixtures("clock")
def test_max_time_ends_training(kind, params):
    params = SMALL | params | {"max_iter": 10**6, "n_iter_no_change": np.inf, "callbacks": lambda *_: None}
    with pytest.warns(ConvergenceWarning, match=r"max_time=4 seconds and 4 epochs.*Increase max_time") as caught:
        model = kind(**params, max_time=4).fit(X, Y[kind])
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(ConvergenceWarning):
        plain = kind(**params | {"max_iter": model.n_iter_}).fit(X, Y[kind])
    assert_same_weights(model, plain)
    assert model.history_ == plain.history_


@each_kind
@pytest.mark.usefixtures("clock")
def test_max_time_ends_lbfgs(kind):
    params = SMALL | {"solver": "lbfgs", "max_iter": 10**6, "max_fun": 10**6, "tol": 0.0}
    with pytest.warns(ConvergenceWarning, match=r"max_time=5.5 seconds and \d iterations") as caught:
        model = kind(**params, max_time=5.5).fit(X, Y[kind])
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(ConvergenceWarning):
        plain = kind(**params | {"max_iter": model.n_iter_}).fit(X, Y[kind])
    assert_same_weights(model, plain)


@few_epochs
@each_kind
@pytest.mark.usefixtures("clock")
def test_partial_fit_trains_an_epoch_in_spite_of_max_time(kind):
    options = {"classes": ["no", "yes"]} if kind is MLPClassifier else {}
    model = kind(**SMALL, max_time=0.1).partial_fit(X, Y[kind], **options)
    assert model.n_iter_ == 1


@each_kind
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_warning_if_training_ends_before_max_time(kind, solver):
    kind(**SMALL | {"solver": solver, "tol": 10.0, "n_iter_no_change": 1, "max_time": 1000}).fit(X, Y[kind])


def test_max_time_ends_a_fit_with_a_million_epochs(monkeypatch):
    """This test uses the real clock. Its own limit is large, because the machine may be busy."""
    rows = np.random.default_rng(0).normal(size=(20_000, 20))
    model = MLPRegressor(hidden_layer_sizes=(200, 200), max_iter=10**6, tol=0, n_iter_no_change=np.inf, max_time=0.3)
    start = time.monotonic()
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model.fit(rows, rows[:, 0])
    assert time.monotonic() - start < 30
    assert np.isfinite(model.predict(rows)).all()


# ====================================================================== where warnings point


@each_kind
@pytest.mark.parametrize("name", ["script.py", "fastbp_user.py"])
def test_warnings_point_to_the_file_outside_fastbp(kind, name):
    """Also if the path of that file starts with the path of the package."""
    path = str(Path(fastbp.__file__).parent.with_name(name))
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as caught:
        exec(compile("model.fit(X, y)", path, "exec"), {"model": kind(**SMALL), "X": X, "y": Y[kind]})
    assert {warning.filename for warning in caught} == {path}


@each_kind
def test_filters_written_for_scikit_learn_apply(kind):
    with warnings.catch_warnings(action="error"):
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        kind(**SMALL).fit(X, Y[kind])
        warnings.filterwarnings("error", category=ConvergenceWarning, module=r"sklearn\.neural_network")
        with pytest.raises(ConvergenceWarning, match="Maximum iterations"):
            kind(**SMALL).fit(X, Y[kind])


def test_a_class_instead_of_an_instance_is_refused():
    with pytest.raises(TypeError, match=r"got the class Checkpoint. Pass an instance, such as Checkpoint\(\)"):
        fastbp.MLPClassifier(callbacks=fastbp.Checkpoint).fit(np.eye(4), [0, 1, 0, 1])
