"""One estimator used by several threads at once: every call must see one complete model.

Threads fit, update, copy and query the same estimator while its data and parameters change shape. The interpreter switches between
them as often as it can. ``FASTBP_STRESS_SECONDS`` sets the duration of each stress test; `make test-stress` runs them for longer.
"""

import copy
import gc
import os
import pickle
import sys
import threading
import time
import warnings
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import MLPClassifier, MLPRegressor

SECONDS = float(os.environ.get("FASTBP_STRESS_SECONDS", "0.5"))
RANDOM = np.random.RandomState(0)
# number of features → X; each number gives weights of other shapes
DATA = {n_features: RANDOM.normal(size=(60 + n_features, n_features)) for n_features in (3, 8, 30)}
SIZES = [(4,), (30, 7), (11, 5, 3)]
ACTIVATIONS = ["relu", ["tanh", "logistic"], "tanh"]
SMALL = {"max_iter": 4, "random_state": 0, "learning_rate_init": 0.01, "tol": 0.0, "batch_size": 16, "n_threads": 1}
EXPECTED_ERRORS = ("features, but",)  # X of another number of features than the model has at the moment

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def targets(kind, X):
    return (X[:, 0] > 0) + 1 * (X[:, 1] > 0) if kind is MLPClassifier else X[:, 0] - X[:, 1] ** 2


@pytest.fixture(autouse=True)
def short_switch_interval():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_threads(works, seconds=SECONDS):
    """Call each function in its own thread, for some time and at least four times each; raise the first unexpected error."""
    stop, errors, counts = time.monotonic() + seconds, [], [0] * len(works)

    def loop(n, work):
        while (time.monotonic() < stop or min(counts) <= 3) and not errors:
            try:
                work()
            except Exception as error:
                if not any(text in str(error) for text in EXPECTED_ERRORS):
                    errors.append(error)
            counts[n] += 1

    threads = [threading.Thread(target=loop, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


def outcome(model, X):
    """Everything that identifies a fitted model, as bytes."""
    arrays = [*model.coefs_, *model.intercepts_, np.array(model.loss_curve_), model.predict(X)]
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def known_models(kind, **params):
    """The outcomes and the predictions of all fits that the threads of a test can run."""
    outcomes, predictions = set(), {n_features: [] for n_features in DATA}
    with warnings.catch_warnings(action="ignore"):
        for n_features, X in DATA.items():
            for sizes, activation in zip(SIZES, ACTIVATIONS, strict=True):
                model = kind(**SMALL | params, hidden_layer_sizes=sizes, activation=activation).fit(X, targets(kind, X))
                outcomes.add(outcome(model, X))
                predictions[n_features].append(model.predict(X).tobytes())
    return outcomes, predictions


def predict_in_callback(estimator, epoch, logs):
    estimator.predict(np.zeros((2, estimator.n_features_in_)))


FEATURES = {
    "plain": {},
    "folded": {"scale": "standard", "batch_norm": True, "ema_decay": 0.9},
    "validated": {"early_stopping": True, "validation_fraction": 0.3},
    "callback": {"callbacks": predict_in_callback},
}


@each_kind
@pytest.mark.parametrize("params", FEATURES.values(), ids=FEATURES)
def test_each_call_uses_one_consistent_model(kind, params):
    """Predictions and pickles that are made during refits are bitwise identical to those of one of the fits."""
    outcomes, predictions = known_models(kind, **params)
    model = kind(**SMALL | params, hidden_layer_sizes=SIZES[0], activation=ACTIVATIONS[0]).fit(DATA[3], targets(kind, DATA[3]))
    random, has_callback = np.random.RandomState(1), "callbacks" in params
    n_seen = [0]

    def fit():
        X = DATA[random.choice(list(DATA))]
        assert model.fit(X, targets(kind, X)) is model

    def set_params():
        n = random.randint(len(SIZES))
        model.set_params(hidden_layer_sizes=SIZES[n], activation=ACTIVATIONS[n])

    def predict():
        n_features = random.choice(list(DATA))
        predicted = model.predict(DATA[n_features]).tobytes()
        n_seen[0] += 1
        assert has_callback or predicted in predictions[n_features]

    def duplicate():
        same = pickle.loads(pickle.dumps(model))
        assert len(same.loss_curve_) == len(same.history_["loss"])
        assert has_callback or outcome(same, DATA[same.n_features_in_]) in outcomes

    run_threads([fit, fit, set_params, predict, predict, duplicate])
    assert n_seen[0] > 0


@each_kind
def test_partial_fit_during_fits_and_copies(kind):
    """While several threads update one estimator, its attributes are always those of one network."""
    X = DATA[8]
    y = targets(kind, X)
    options = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    model = kind(**SMALL, hidden_layer_sizes=(9, 6)).partial_fit(X, y, **options)

    def update():
        model.partial_fit(X[:20], y[:20])

    def refit():
        model.fit(X, y)

    def check():
        same = pickle.loads(pickle.dumps(model))
        assert len(same.loss_curve_) == len(same.history_["loss"])
        assert same._optimizer.moments.size == 2 * sum(array.size for array in (*same.coefs_, *same.intercepts_))
        other = copy.deepcopy(same)
        assert_array_equal(same.partial_fit(X, y).coefs_[0], other.partial_fit(X, y).coefs_[0])

    run_threads([update, update, refit, check, lambda: model.transform(X), lambda: model.score(X, y)])
    assert np.isfinite(model.predict(X).astype(float)).all()


@each_kind
def test_fit_reads_its_parameters_once(kind):
    """Parameters that are set during a fit, here by a callback, do not change the running fit."""
    X = DATA[8]

    def change(estimator, epoch, logs):
        estimator.set_params(hidden_layer_sizes=(50,), early_stopping=True, solver="lbfgs", batch_size=1, activation="relu")

    with warnings.catch_warnings(action="ignore"):
        changed = kind(**SMALL, hidden_layer_sizes=(5,), callbacks=change).fit(X, targets(kind, X))
        plain = kind(**SMALL, hidden_layer_sizes=(5,)).fit(X, targets(kind, X))
    assert changed.loss_curve_ == plain.loss_curve_
    for a, b in zip(changed.coefs_, plain.coefs_, strict=True):
        assert_array_equal(a, b)
    assert changed.hidden_layer_sizes == (50,)


@each_kind
def test_fit_does_not_change_the_arrays_of_an_earlier_model(kind):
    """A fit puts new arrays into coefs_, so that predictions that are running in other threads use their model to the end."""
    X = DATA[3]
    model = kind(**SMALL, hidden_layer_sizes=(5,), warm_start=True)
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, targets(kind, X))
        before = model.coefs_[0]
        values = before.copy()
        model.fit(X, targets(kind, X)).partial_fit(X, targets(kind, X))
    assert_array_equal(before, values)
    assert not np.shares_memory(before, model.coefs_[0])


@each_kind
def test_histories_belong_to_their_model(kind):
    """Entries of models that another thread has replaced are not in the lists of the present model."""
    X = DATA[8]
    y = targets(kind, X)
    model = kind(**SMALL, hidden_layer_sizes=(5,), warm_start=True).fit(X, y)

    def check():
        same = pickle.loads(pickle.dumps(model))
        assert len(same.loss_curve_) == len(same.history_["loss"])
        assert same.t_ == len(same.loss_curve_) * len(X)

    run_threads([lambda: model.partial_fit(X, y), lambda: model.partial_fit(X, y), lambda: model.fit(X, y), check])
    check()


class OtherThread:
    """A callback that lets another thread work while the fit of this thread waits, after its second epoch."""

    def __init__(self, work):
        self.work, self.copied = work, None

    def __call__(self, estimator, epoch, logs):
        if epoch == 2:
            thread = threading.Thread(target=self.work)
            thread.start()
            thread.join()
            self.copied = copy.deepcopy(estimator)


@each_kind
def test_a_copy_in_a_callback_is_of_the_fit_of_the_callback(kind):
    X, other = DATA[3], DATA[8]
    model = kind(**SMALL, hidden_layer_sizes=(5,))
    callback = OtherThread(lambda: model.set_params(callbacks=None, hidden_layer_sizes=(9,)).fit(other, targets(kind, other)))
    model.set_params(callbacks=callback).fit(X, targets(kind, X))
    assert callback.copied.n_features_in_ == 3
    assert len(callback.copied.loss_curve_) == callback.copied.n_iter_ == 2
    part = kind(**SMALL | {"max_iter": 2}, hidden_layer_sizes=(5,)).fit(X, targets(kind, X))
    assert_array_equal(callback.copied.predict(X), part.predict(X))


@each_kind
def test_a_fit_that_fails_keeps_the_fit_of_another_thread(kind):
    X, other = DATA[3], DATA[8]
    model = kind(**SMALL, hidden_layer_sizes=(5,))

    def fit_and_fail(estimator, epoch, logs):
        callback(estimator, epoch, logs)
        if epoch == 2:
            raise RuntimeError("made up")

    callback = OtherThread(lambda: model.set_params(callbacks=None).fit(other, targets(kind, other)))
    with pytest.raises(RuntimeError, match="made up"):
        model.set_params(callbacks=fit_and_fail).fit(X, targets(kind, X))
    expected = kind(**SMALL, hidden_layer_sizes=(5,)).fit(other, targets(kind, other))
    assert_array_equal(model.predict(other), expected.predict(other))


@each_kind
def test_a_fit_with_callbacks_releases_its_data(kind):
    X = DATA[3].copy()
    y = targets(kind, X)
    alive = weakref.ref(X)
    gc.disable()
    try:
        model = kind(**SMALL, hidden_layer_sizes=(5,), callbacks=predict_in_callback).fit(X, y)
        del X
        assert alive() is None
    finally:
        gc.enable()
    assert model.n_iter_ == 4


def test_a_solver_set_after_partial_fit_was_looked_up_is_refused():
    X = DATA[3]
    model = MLPClassifier(**SMALL, hidden_layer_sizes=(5,))
    update = model.partial_fit
    model.set_params(solver="lbfgs")
    with pytest.raises(AttributeError, match="stochastic optimizers"):
        update(X, targets(MLPClassifier, X), classes=[0, 1, 2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_can_predict():
    """The lock around attributes may be held by another thread at the moment of the fork."""
    X = DATA[3]
    model = MLPRegressor(**SMALL, hidden_layer_sizes=(5,))
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, X[:, 0])
    stop = threading.Event()

    def read():
        while not stop.is_set():
            pickle.dumps(model)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.isfinite(model.predict(X)).all() else 1)
            deadline, (done, status) = time.monotonic() + 60, (0, 0)
            while not done and time.monotonic() < deadline:
                done, status = os.waitpid(child, os.WNOHANG)
                time.sleep(0.01)
            assert done, "the forked process hangs"
            assert status == 0
    finally:
        stop.set()
        reader.join()
