"""Training for n epochs and then for m epochs is bitwise identical to training for n + m epochs.

The tests continue training with ``warm_start="resume"``, with or without a pickle in between, from a checkpoint, or with
``partial_fit``. The weights, the moments, the random numbers, the order of the rows, the count of epochs without improvement, the
learning rate and the history must all continue.
"""

import copy
import os
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit

from fastbp import Checkpoint, MLPClassifier, MLPRegressor, load_checkpoint
from fastbp._training import epochs as training

RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(60, 4))
Y = {MLPClassifier: np.array(["no", "yes"])[1 * (X[:, 0] * X[:, 1] > 0)], MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
SMALL = {"hidden_layer_sizes": (6,), "batch_size": 8, "learning_rate_init": 0.02, "tol": 0.0, "n_iter_no_change": 1000}
RESUME = SMALL | {"warm_start": "resume"}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class ChangingSplit(ShuffleSplit):
    """A splitter that returns a different split at each call. Each model gets its own new copy."""

    def __init__(self):
        super().__init__(1, test_size=0.2, train_size=0.5)

    def split(self, X, y=None, groups=None):
        self.random_state = getattr(self, "random_state", None) or 0
        self.random_state += 1
        return super().split(X, y, groups)


PARAMS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.3},
    "nadam": {"solver": "nadam"},
    "in order": {"shuffle": False},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "splitter": {"early_stopping": True, "validation_splitter": ChangingSplit()},
    "two threads": {"n_threads": 2},
}
each_params = pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)


def mapped(model, folder):
    """Load a memory-mapped copy of the model. Each copy has its own file, because the files of other copies are still mapped."""
    path = folder / f"{len(list(folder.iterdir()))}"
    joblib.dump(model, path)
    return joblib.load(path, mmap_mode="r")


STREAMS = {
    "int": lambda: 0,
    "RandomState": lambda: np.random.RandomState(0),
    "PCG64": lambda: np.random.RandomState(np.random.PCG64(0)),
}
each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
COPIES = {
    "itself": lambda model, _: model,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "joblib, memory-mapped": mapped,
}
each_copy = pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)


def assert_same(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert_array_equal(a, b)
    assert_array_equal(one._optimizer.moments, other._optimizer.moments)
    names = (
        "loss_",
        "loss_curve_",
        "validation_scores_",
        "best_validation_score_",
        "best_loss_",
        "t_",
        "history_",
        "_no_improvement_count",
    )
    for name in names:
        assert getattr(one, name) == getattr(other, name), name
    assert (one._optimizer.step, one._optimizer.learning_rate) == (other._optimizer.step, other._optimizer.learning_rate)


def clone_of(kind, params):
    """An estimator with these parameters and its own copy of the splitter."""
    return kind(**params | {"validation_splitter": copy.deepcopy(params.get("validation_splitter"))})


def through(kind, counts, make=lambda model, _: model, path=None, data=X, **params):
    """Fit several times with these numbers of epochs, and copy the model after each fit."""
    model = clone_of(kind, RESUME | params)
    for n_epochs in counts:
        model = make(model.set_params(max_iter=n_epochs).fit(data, Y[kind]), path)
        assert model.n_iter_ == n_epochs
    return model


@pytest.mark.slow
@few_epochs
@each_kind
@each_params
@each_stream
@each_copy
def test_resumed_fits_equal_one_fit(kind, params, stream, make, tmp_path):
    parts = through(kind, (3, 1, 7), make, tmp_path, **params, random_state=stream())
    assert_same(parts, through(kind, (11,), **params, random_state=stream()))


@few_epochs
@each_kind
def test_other_users_of_the_global_random_state_do_not_change_the_result(kind):
    """With random_state=None, random numbers that other code draws in between do not change the result."""
    np.random.seed(5)
    whole = through(kind, (9,))
    np.random.seed(5)
    model = kind(**RESUME, max_iter=4).fit(X, Y[kind])
    np.random.random(100)
    assert_same(model.set_params(max_iter=5).fit(X, Y[kind]), whole)


@few_epochs
@each_kind
def test_resumed_fit_with_sparse_inputs(kind):
    data = sp.csr_array(X)
    assert_same(through(kind, (2, 5), data=data, random_state=1), through(kind, (7,), data=data, random_state=1))


@few_epochs
@each_kind
@pytest.mark.parametrize("early_stopping", [False, True])
def test_resumed_fit_with_given_validation_rows(kind, early_stopping):
    y, models = Y[kind], []
    for counts in ((4, 5), (9,)):
        model = kind(**RESUME, random_state=0, early_stopping=early_stopping)
        for n_epochs in counts:
            model.set_params(max_iter=n_epochs).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        models.append(model)
    assert_same(*models)


@few_epochs
@each_kind
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=["loss", "score"])
def test_count_of_epochs_without_improvement_continues(kind, params):
    """Training in one fit and in several fits ends at the same epoch. A further fit trains no epoch and issues a warning."""
    params = params | {"n_iter_no_change": 4, "tol": 0.02, "random_state": 0, "learning_rate_init": 0.1}
    whole = kind(**RESUME | params, max_iter=500).fit(X, Y[kind])
    parts = kind(**RESUME | params, max_iter=3)
    n_epochs = 0
    while n_epochs < whole.n_iter_:
        parts.fit(X, Y[kind])
        n_epochs += parts.n_iter_
    assert_same(parts, whole)
    with pytest.warns(ConvergenceWarning, match=r"had converged before.*n_iter_no_change \(now 4\)"):
        parts.fit(X, Y[kind])
    assert parts.n_iter_ == 0
    parts.n_iter_ = whole.n_iter_
    assert_same(parts, whole)
    parts.set_params(n_iter_no_change=50).fit(X, Y[kind])
    assert parts.n_iter_ > 0


@few_epochs
@each_kind
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("at", [2, 7, 13])
def test_resumed_fit_after_an_interruption_within_an_epoch(monkeypatch, kind, n_threads, at):
    """After an interruption within a batch, the whole batch is computed again."""
    params = RESUME | {"random_state": 0, "batch_size": 40, "n_threads": n_threads}
    whole = kind(**params, max_iter=9).fit(X, Y[kind])
    train, calls = training.train, iter(range(1, 10**6))

    def slowly(settings, progress, rank, *others):
        settings[0].block_size = 5
        if rank == 0 and next(calls) == at:
            raise KeyboardInterrupt
        return train(settings, progress, rank, *others[:-1], 1)

    monkeypatch.setattr(training, "train", slowly)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = kind(**params, max_iter=9).fit(X, Y[kind])
    monkeypatch.undo()
    model.set_params(max_iter=9 - model.n_iter_).fit(X, Y[kind])
    for a, b in zip(model.coefs_, whole.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)  # with other block sizes, terms are added in another order
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-9)
    assert model._optimizer.step == whole._optimizer.step


@few_epochs
@each_kind
@each_params
@each_stream
def test_checkpoint_equals_a_shorter_fit(kind, params, stream, tmp_path):
    """A checkpoint equals the result of a fit with that number of epochs, and training continues from it exactly."""
    path = tmp_path / "model"
    checkpoint = Checkpoint(path, every=4, format="pickle" if "validation_splitter" in params else "safetensors")
    whole = clone_of(kind, SMALL | params | {"max_iter": 11, "random_state": stream(), "callbacks": checkpoint})
    whole.fit(X, Y[kind])
    loaded = load_checkpoint(path)
    part = clone_of(kind, SMALL | params | {"max_iter": 8, "random_state": stream()}).fit(X, Y[kind])
    assert loaded.n_iter_ == 8
    assert_same(loaded, part)
    assert_array_equal(loaded.predict(X), part.predict(X))
    assert loaded.warm_start == "resume"
    assert_same(loaded.set_params(max_iter=3).fit(X, Y[kind]), whole)
    assert list(tmp_path.iterdir()) == [path]


@few_epochs
@each_kind
@each_copy
@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"solver": "nadam"}], ids=str)
def test_partial_fit_continues_after_a_copy(kind, params, make, tmp_path):
    options = {"classes": ["no", "yes"]} if kind is MLPClassifier else {}
    one, other = (
        kind(**SMALL | params, random_state=np.random.RandomState(0)).partial_fit(X, Y[kind], **options) for _ in range(2)
    )
    for n in range(8):
        one.partial_fit(X, Y[kind])
        other.partial_fit(X, Y[kind])
        if n == 3:
            other = make(other, tmp_path)
    assert_same(one, other)


# ====================================================================== changes in between


@few_epochs
@each_kind
def test_parameters_changed_between_fits(kind):
    """As with partial_fit, the solver keeps its initial settings. All other changes take effect."""
    models = [kind(**RESUME, random_state=0, max_iter=3).fit(X, Y[kind]) for _ in range(4)]
    for model, change in zip(
        models, [{}, {"learning_rate_init": 5.0, "beta_1": 0.1}, {"alpha": 1.0}, {"batch_size": 20}], strict=True
    ):
        model.set_params(**change).fit(X, Y[kind])
    assert_same(models[0], models[1])
    assert (models[0].coefs_[0] != models[2].coefs_[0]).any()
    assert models[3]._optimizer.step == 3 * 8 + 3 * 3


@few_epochs
@each_kind
def test_resumed_fit_uses_weights_replaced_by_the_user(kind):
    model = kind(**RESUME, random_state=0, max_iter=1).fit(X, Y[kind])
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.fit(X, Y[kind])
    assert abs(model.coefs_[0]).max() < 0.2


@few_epochs
@each_kind
def test_fits_that_cannot_be_resumed_are_rejected(kind):
    y = Y[kind]
    model = kind(**SMALL, random_state=0, max_iter=2).fit(X, y).set_params(warm_start="resume")
    with pytest.raises(ValueError, match=r"needs a model that was fitted with warm_start='resume'.*warm_start=True"):
        model.fit(X, y)
    model = kind(**RESUME, random_state=0, max_iter=2).fit(X, y)
    state = joblib.hash(vars(model))
    with pytest.raises(ValueError, match="which had 60 rows; got 59"):
        model.fit(X[1:], y[1:])
    model.early_stopping = True
    with pytest.raises(ValueError, match="early_stopping must not change"):
        model.fit(X, y)
    model.early_stopping = False
    assert joblib.hash(vars(model)) == state
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match="or by partial_fit"):
        model.fit(X, y)


@few_epochs
@each_kind
def test_validation_rows_must_be_passed_in_both_fits(kind):
    y = Y[kind]
    given = {"X_val": X[40:], "y_val": y[40:]}
    for first, then in ((given, {}), ({}, given)):
        model = kind(**RESUME, random_state=0, max_iter=2, early_stopping=True).fit(X, y, **first)
        with pytest.raises(ValueError, match="X_val and y_val must be passed in both fits or in none"):
            model.fit(X, y, **then)


@each_kind
def test_resume_with_lbfgs_is_rejected(kind):
    with pytest.raises(ValueError, match="warm_start='resume' is not supported for solver='lbfgs'"):
        kind(solver="lbfgs", warm_start="resume").fit(X, Y[kind])


@few_epochs
@each_kind
def test_state_for_resuming_is_kept_only_with_warm_start_resume(kind):
    """The pickle of a fit that cannot be resumed has neither the order of the rows nor a random state."""
    plain = kind(**SMALL, max_iter=2, random_state=0).fit(X, Y[kind])
    assert plain._state.resume is None
    resumable = kind(**RESUME, max_iter=2, random_state=0).fit(X, Y[kind])
    assert_array_equal(plain.predict(X), resumable.predict(X))
    assert resumable._state.resume is not None
    assert clone(resumable)._state is None


# ====================================================================== files


@few_epochs
@each_kind
@pytest.mark.parametrize("file_format", ["safetensors", "pickle"])
def test_failed_write_keeps_the_earlier_checkpoint(kind, file_format, tmp_path, monkeypatch):
    path = tmp_path / "model"
    callbacks = [Checkpoint(path, format=file_format)]
    kind(**SMALL, max_iter=2, random_state=0, callbacks=callbacks).fit(X, Y[kind])
    before = path.read_bytes()

    def break_off(*arguments, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", break_off)
    model = kind(**SMALL, max_iter=2, random_state=0, callbacks=callbacks)
    with pytest.raises(OSError, match="full"):
        model.fit(X, Y[kind])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert not hasattr(model, "coefs_")


@each_kind
def test_error_names_the_parameters_that_cannot_be_pickled(kind, tmp_path):
    model = kind(**SMALL, callbacks=[Checkpoint(tmp_path / "model", format="pickle"), lambda *_: None])
    with pytest.raises(TypeError, match=r"cannot be written.*callbacks, scoring"):
        model.fit(X, Y[kind])
    assert list(tmp_path.iterdir()) == []


@few_epochs
def test_other_files_are_rejected(tmp_path):
    path = tmp_path / "model"
    for thing in ({"a": 1}, MLPRegressor(max_iter=1).fit(X, X[:, 0])):
        path.write_bytes(pickle.dumps(thing))
        with pytest.raises(ValueError, match=r"must be a file written by a fastbp\.Checkpoint"):
            load_checkpoint(path)


@pytest.mark.parametrize("every", [0, -1, 1.5, "2"])
def test_every_must_be_a_number_of_epochs(every):
    with pytest.raises(ValueError, match="every must be an int >= 1"):
        Checkpoint("model", every=every)


def test_repr_and_clone_of_a_checkpoint(tmp_path):
    assert repr(Checkpoint("a/b", every=3)) == "Checkpoint('a/b', every=3)"
    assert clone(MLPRegressor(callbacks=Checkpoint("a/b"))).callbacks.path == Checkpoint("a/b").path


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_changed_weights_before_a_resumed_fit_are_an_error():
    """With early stopping, training continues from the last weights, and coefs_ has the best weights."""
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
    model = MLPClassifier(4, max_iter=5, random_state=0, early_stopping=True, warm_start="resume").fit(X, y)
    model.coefs_[0][:] = 0
    with pytest.raises(ValueError, match="must not be changed before a fit with warm_start='resume'"):
        model.fit(X, y)
    model.set_params(warm_start=True).fit(X, y)


def test_warning_that_is_raised_as_an_error_leaves_the_estimator_unchanged():
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60.0)
    with warnings.catch_warnings(action="ignore"):
        model = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0, warm_start=True).fit(X, y)
    before = pickle.dumps(model)
    with warnings.catch_warnings(action="error"), pytest.raises(ConvergenceWarning):
        model.fit(X, y)
    assert pickle.dumps(model) == before
