"""Repeated calls of partial_fit, which keep their buffers: the results are bitwise those of calls that do not.

A copy of a model has no buffers of an earlier call."""

import copy
import gc
import threading
import warnings
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from fastbp import MLPClassifier, MLPRegressor
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._network.layout import Layout
from fastbp._training import kept_run, sgd
from fastbp._training.epochs import EpochRunner

SIZES = (40, 40, 33, 7, 1, 40, 20, 60, 60, 13)  # rows of each call; more rows than before need larger buffers
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def rows(kind, n_rows, seed=0):
    random = np.random.RandomState(seed)
    X = random.normal(size=(n_rows, 6))
    return X, random.randint(3, size=n_rows) if kind is MLPClassifier else X[:, 0] - X[:, 1]


def first_call(kind, **params):
    model = kind(**{"hidden_layer_sizes": (9, 5), "random_state": 0} | params)
    X, y = rows(kind, SIZES[0], seed=99)
    return model.partial_fit(X, y, **{"classes": [0, 1, 2]} if kind is MLPClassifier else {})


def outcome(model):
    arrays = [*model.coefs_, *model.intercepts_, model._optimizer.moments]
    values = model.loss_, model.best_loss_, model.loss_curve_, model.history_, model.t_, model.n_iter_
    return [array.tobytes() for array in arrays], values, model._optimizer.learning_rate, model._optimizer.step


PARAMS = {
    "default": {},
    "small batches": {"batch_size": 16},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5},
    "lion": {"solver": "lion"},
    "schedule": {"learning_rate": "cosine"},
    "penalties": {"l1": 0.1, "clip_norm": 0.5, "max_norm": 1.0, "shuffle": False},
    "layer_norm": {"layer_norm": True},
    "RandomState": {"random_state": np.random.RandomState(3)},
    "two threads": {"n_threads": 2},
}


@pytest.fixture
def copies(monkeypatch):
    """A list with an entry for each state that a kept run has allocated."""
    made, original = [], kept_run._copy_of
    monkeypatch.setattr(kept_run, "_copy_of", lambda state: made.append(1) or original(state))
    return made


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@each_kind
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_results_are_those_of_calls_without_kept_buffers(copies, kind, params):
    kept, fresh = first_call(kind, **copy.deepcopy(params)), first_call(kind, **copy.deepcopy(params))
    for seed, n_rows in enumerate(SIZES):
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(*rows(kind, n_rows, seed))
        assert outcome(kept) == outcome(fresh)
    assert copies


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@each_kind
@pytest.mark.parametrize("by_python", [True, False], ids=["shuffled in Python", "shuffled in the kernel"])
def test_rows_are_shuffled_by_the_generator_of_the_user(monkeypatch, kind, by_python):
    if not by_python:
        monkeypatch.setattr(sgd, "_MAX_ROWS_BY_PYTHON", 0)
    generators = [np.random.RandomState(7) for _ in range(2)]
    kept, fresh = (first_call(kind, batch_size=7, random_state=generator) for generator in generators)
    for seed, n_rows in enumerate((40, 40, 1, 40, 20)):
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(*rows(kind, n_rows, seed))
        assert outcome(kept) == outcome(fresh)
    assert generators[0].randint(10**9) == fresh.random_state.randint(10**9)


@each_kind
def test_dense_rows_after_sparse_rows(kind):
    """The buffers of a call with sparse rows have no space for dense rows, so they are not kept."""
    X, y = rows(kind, 40)
    kept, fresh = (first_call(kind).partial_fit(csr_array(X), y) for _ in range(2))
    assert kept._kept_run is None
    for seed in range(2):
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(*rows(kind, 40, seed))
        assert outcome(kept) == outcome(fresh)


@pytest.mark.parametrize(
    ("name", "value", "element"),
    [("activation", ["relu", "tanh"], "logistic"), ("dropout", np.zeros(3), 0.5), ("dropout", [0.0, 0.0, 0.0], 0.5)],
    ids=["activations", "array of rates", "list of rates"],
)
def test_parameters_that_are_changed_in_place(name, value, element):
    kept = first_call(MLPRegressor, hidden_layer_sizes=(5, 4), **{name: value})
    kept.partial_fit(*rows(MLPRegressor, 40, 1))
    getattr(kept, name)[0] = element
    fresh = copy.deepcopy(kept)
    for seed in range(2, 4):
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(*rows(MLPRegressor, 40, seed))
        assert outcome(kept) == outcome(fresh)


def test_wrong_arguments_are_rejected_in_every_call():
    X, y = rows(MLPRegressor, 40)
    model = MLPRegressor(hidden_layer_sizes=4, random_state=0)
    for _ in range(3):
        for arguments, options in [
            ((None, [0, 1]), {}),
            ((), {"classes": [0, 1]}),
            ((), {"foo": 1}),
            ((None,), {"sample_weight": None}),
        ]:
            with pytest.raises(TypeError, match=r"MLPRegressor.partial_fit\(\)"):
                model.partial_fit(X, y, *arguments, **options)
        model.partial_fit(X, y)


def unaligned(array):
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


FORMS = {
    "Fortran order": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "unaligned": unaligned,
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "big-endian": lambda X: X.astype(">f8"),
    "integers": lambda X: X.astype(int),
    "list": np.ndarray.tolist,
}


@each_kind
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_arrays(kind, form):
    """The compiled code is called without a check of the argument types, so all arrays must have the form of the first call."""
    kept, fresh = (first_call(kind).partial_fit(*rows(kind, 40)) for _ in range(2))
    for seed in range(2):
        X, y = rows(kind, 40, seed)
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(form(X), form(y[:, np.newaxis])[:, 0] if form is unaligned else y.tolist(), np.arange(40).tolist())
            model.partial_fit(form(X), y)
        assert outcome(kept) == outcome(fresh)


@each_kind
def test_order_of_the_rows_after_an_interrupted_call(monkeypatch, kind):
    """A call that is interrupted before its rows are shuffled does not leave their order to the next call."""
    interrupted = first_call(kind, batch_size=7).partial_fit(*rows(kind, 20))
    fresh, run = copy.deepcopy(interrupted), EpochRunner.run_kernel

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochRunner, "run_kernel", interrupt)
    with pytest.warns(UserWarning, match="interrupted by user"):
        interrupted.partial_fit(*rows(kind, 40))
    monkeypatch.setattr(EpochRunner, "run_kernel", run)
    for model in (interrupted, fresh):
        model.partial_fit(*rows(kind, 40))
    assert_array_equal(interrupted.coefs_[0], fresh.coefs_[0])


@each_kind
@pytest.mark.parametrize("weighted", ["sample_weight", "float32"])
def test_weights_and_float32(copies, kind, weighted):
    kept, fresh = first_call(kind), first_call(kind)
    for seed in range(3):
        X, y = rows(kind, 40, seed)
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            if weighted == "float32":  # a network of float64 with rows of float32
                model.partial_fit(X.astype(np.float32), y)
            else:
                model.partial_fit(X, y, np.arange(40.0))
        assert outcome(kept) == outcome(fresh)
    assert bool(copies) == (weighted == "sample_weight")


@each_kind
def test_buffers_are_used_again(copies, kind):
    model = first_call(kind)
    for seed in range(20):
        model.partial_fit(*rows(kind, 40, seed))
    assert len(copies) == 2


@each_kind
@pytest.mark.parametrize(
    "hold", [lambda model: model.coefs_[0], lambda model: model.coefs_[1][1:2], lambda model: model.intercepts_]
)
def test_arrays_that_the_user_holds_do_not_change(kind, hold):
    model, held = first_call(kind), []
    for seed in range(8):
        model.partial_fit(*rows(kind, 40, seed))
        array = hold(model)
        held.append((array, copy.deepcopy(array)))
    for array, before in held:
        assert_array_equal(np.concatenate([*map(np.ravel, array)]), np.concatenate([*map(np.ravel, before)]))


@each_kind
def test_rows_are_not_kept(kind):
    model = first_call(kind)
    X, y = rows(kind, 40)
    for _ in range(2):
        model.partial_fit(X, y)
    reference = weakref.ref(X)
    del X, y
    gc.collect()
    assert reference() is None


@each_kind
@pytest.mark.parametrize(("solver", "schedule"), [("sgd", "constant"), ("sgd", "invscaling"), ("adam", "constant")])
def test_changes_by_the_user_are_used(kind, solver, schedule):
    """New weights, elements of weights, parameters and the learning rate of the optimizer act on the next call."""

    def replace(model):
        model.coefs_[0] = model.coefs_[0] * 2

    def assign(model):
        model.coefs_[0][0] = 0.5

    changes = [
        replace,
        assign,
        lambda model: model.set_params(alpha=0.1),
        lambda model: setattr(model._optimizer, "learning_rate", 0.1),
        lambda model: setattr(model._optimizer, "learning_rate_init", 0.1),
        lambda model: setattr(model._optimizer, "moments", model._optimizer.moments / 2),
        lambda model: setattr(model._optimizer, "moments", model._optimizer.moments.astype(np.float32)),
        lambda model: model.fit(*rows(kind, 50)),
    ]
    for change in changes:
        params = {"solver": solver, "learning_rate": schedule, "max_iter": 2, "tol": 1e9}
        kept, fresh = (first_call(kind, **params).partial_fit(*rows(kind, 40)) for _ in range(2))
        with warnings.catch_warnings(action="ignore"):
            change(kept)
            change(fresh)
        for seed in range(3):
            fresh = copy.deepcopy(fresh)
            for model in (kept, fresh):
                model.partial_fit(*rows(kind, 40, seed))
            assert outcome(kept) == outcome(fresh)


@each_kind
def test_moments_of_a_wrong_size_are_rejected(kind):
    model = first_call(kind).partial_fit(*rows(kind, 40))
    model._optimizer.moments = model._optimizer.moments[:-1]
    with pytest.raises(ValueError, match="another number of weights"):
        model.partial_fit(*rows(kind, 40))


@each_kind
@pytest.mark.parametrize("solver", sorted(N_MOMENTS))
def test_assigned_initial_learning_rate_acts_with_every_solver(kind, solver):
    """With "sgd", it acts only if the schedule computes the rate from the initial rate, as in scikit-learn."""
    params = {"solver": solver, "learning_rate": "invscaling" if solver == "sgd" else "constant", "learning_rate_init": 0.01}
    model, unchanged = (first_call(kind, **params).partial_fit(*rows(kind, 40)) for _ in range(2))
    model._optimizer.learning_rate_init = 0.02
    for one in (model, unchanged):
        one.partial_fit(*rows(kind, 40)).partial_fit(*rows(kind, 40))
    assert not np.allclose(model.coefs_[0], unchanged.coefs_[0], rtol=1e-6, atol=0)
    if solver not in ("sgd", "adam"):
        assert model._optimizer.learning_rate == 0.02


@each_kind
def test_a_call_that_fails_changes_nothing(kind):
    model = first_call(kind).partial_fit(*rows(kind, 40))
    X, y = rows(kind, 40, seed=1)
    bad_X, bad_y = X.copy(), y.astype(float)
    bad_X[3, 2], bad_y[5] = np.nan, np.inf
    before = outcome(model)
    for arguments in ((bad_X, y), (X, bad_y), (X, y[:-1]), (X[:, :3], y), (X / np.abs(X).max() * 1.7e308, y), (X, y, np.zeros(40))):
        with pytest.raises((ValueError, ZeroDivisionError)):
            model.partial_fit(*arguments)
        assert outcome(model) == before
    again = copy.deepcopy(model)
    assert outcome(model.partial_fit(X, y)) == outcome(again.partial_fit(X, y))


# ---------------------------------------------------------------------- the first update writes to other buffers

# the weight decay changes weights in place before the step of Adam
UPDATES = [
    *({"solver": solver} for solver in sorted(N_MOMENTS)),
    {"weight_decay": 0.1},
    {"l1": 0.1, "clip_norm": 0.1, "max_norm": 1.0},
]
each_update = pytest.mark.parametrize("params", UPDATES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_n_threads = pytest.mark.parametrize("n_threads", [1, 2])


def float_rows(dtype, n_rows, seed=0):
    X, y = rows(MLPRegressor, n_rows, seed)
    return X.astype(dtype), y.astype(dtype)


def updated_twice(dtype, n_threads, **params):
    """A regressor whose next call continues the run of the previous call. 17 units give shares that are not whole vectors."""
    model = MLPRegressor(hidden_layer_sizes=(17, 5), random_state=0, batch_size=16, n_threads=n_threads, **params)
    for seed in range(3):
        model.partial_fit(*float_rows(dtype, 40, seed))
    assert model._kept_run.run.division[0] == n_threads
    assert model.coefs_[0].dtype == dtype
    return model


def arrays_of(model):
    return [*model.coefs_, *model.intercepts_, model._optimizer.moments]


@each_update
@each_dtype
@each_n_threads
def test_kept_buffers_give_the_same_results_with_every_solver(copies, params, dtype, n_threads):
    kept, fresh = (updated_twice(dtype, n_threads, **params) for _ in range(2))
    for seed in range(4):
        fresh = copy.deepcopy(fresh)
        for model in (kept, fresh):
            model.partial_fit(*float_rows(dtype, 40, seed))
        assert outcome(kept) == outcome(fresh)
    assert copies


@each_update
@each_dtype
@each_n_threads
def test_arrays_of_earlier_calls_do_not_change(params, dtype, n_threads):
    model, held = updated_twice(dtype, n_threads, **params), []
    for seed in range(5):
        model.partial_fit(*float_rows(dtype, 40, seed))
        held.append((arrays_of(model), copy.deepcopy(arrays_of(model))))
    for arrays, before in held:
        for array, values in zip(arrays, before, strict=True):
            assert_array_equal(array, values)


class InterruptedRunner:
    """Lets the n-th call of ``run_kernel`` raise a KeyboardInterrupt; each call processes one block of rows in each thread."""

    def __init__(self, monkeypatch, n):
        self.run_kernel, self.n_calls, self.n = EpochRunner.run_kernel, 0, n
        monkeypatch.setattr(EpochRunner, "run_kernel", lambda runner: self.call(runner))

    def call(self, runner):
        self.n_calls += 1
        if self.n_calls == self.n:
            raise KeyboardInterrupt
        runner.pacer.n_blocks = 1
        return self.run_kernel(runner)


@each_update
@each_dtype
@each_n_threads
@pytest.mark.parametrize("n_calls", [0, 1, 4])
def test_interrupted_call(monkeypatch, params, dtype, n_threads, n_calls):
    """The first batch has four blocks in one thread, or two in each of two threads. Until its end, nothing changes."""
    monkeypatch.setattr(Layout, "block_size", lambda *_: 4)
    kept = updated_twice(dtype, n_threads, **params)
    fresh, before = copy.deepcopy(kept), copy.deepcopy(arrays_of(kept))
    for model in (kept, fresh):
        with monkeypatch.context() as patch:
            InterruptedRunner(patch, n_calls + 1)
            with pytest.warns(UserWarning, match="interrupted by user"):
                model.partial_fit(*float_rows(dtype, 40))
    unchanged = [np.array_equal(array, values) for array, values in zip(arrays_of(kept), before, strict=True)]
    assert all(unchanged) if n_calls < 2 else not all(unchanged)
    for model in (kept, fresh):
        model.partial_fit(*float_rows(dtype, 40, seed=1))
    assert [array.tobytes() for array in arrays_of(kept)] == [array.tobytes() for array in arrays_of(fresh)]


@each_update
@each_dtype
@each_n_threads
def test_error_after_the_update_changes_nothing(monkeypatch, params, dtype, n_threads):
    model = updated_twice(dtype, n_threads, **params)
    before, held, again = outcome(model), arrays_of(model), copy.deepcopy(model)
    train = EpochRunner._train

    def fail(runner, rank, n_epochs):
        train(runner, rank, n_epochs)
        raise MemoryError("made up")

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "_train", fail)
        with pytest.raises(MemoryError, match="made up"):
            model.partial_fit(*float_rows(dtype, 40))
    assert outcome(model) == before
    assert [array.tobytes() for array in held] == before[0]
    assert outcome(model.partial_fit(*float_rows(dtype, 40))) == outcome(again.partial_fit(*float_rows(dtype, 40)))


@each_dtype
@each_n_threads
def test_invalid_rows_change_nothing(dtype, n_threads):
    """Rows with which the first loss is NaN, or with which the weights are infinite after the first update."""
    model = updated_twice(dtype, n_threads, solver="sgd", activation="identity")
    before, held, again = outcome(model), arrays_of(model), copy.deepcopy(model)
    X, y = float_rows(dtype, 40)
    large = dtype(np.finfo(dtype).max / 8)
    for bad_X, bad_y in ((np.where(X > 0, np.nan, X).astype(dtype), y), (X * large, y), (X, y * large)):
        with pytest.raises(ValueError, match=r"NaN|non-finite|infinity"), np.errstate(all="ignore"):
            model.partial_fit(bad_X, bad_y)
        assert outcome(model) == before
    assert [array.tobytes() for array in held] == before[0]
    assert outcome(model.partial_fit(X, y)) == outcome(again.partial_fit(X, y))


@each_kind
def test_several_threads_update_one_model(kind):
    model = first_call(kind)
    data = [rows(kind, 40, seed) for seed in range(4)]
    threads = [threading.Thread(target=lambda pair: [model.partial_fit(*pair) for _ in range(50)], args=(pair,)) for pair in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(model.loss_curve_) == len(model.history_["loss"])
    assert np.isfinite(model.loss_curve_).all()
