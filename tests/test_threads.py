"""Training with several threads: the same results as with one thread, reproducible results, and no thread left after a fit.

Some tests use more threads than there are processors, so that a thread that waits at a barrier must let other threads run. Tests
that would hang if they failed run in a separate process with a time limit.
"""

import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.utils._param_validation import InvalidParameterError
from threadpoolctl import threadpool_info, threadpool_limits

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._network import prediction, threads, turns
from fastbp._network.layout import Layout
from fastbp._network.threads import ThreadCrew, allowed_threads, choose_shares, choose_threads
from fastbp._training import epochs as training
from fastbp._training import sgd

pytestmark = [pytest.mark.compiled, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]
each_solver = pytest.mark.parametrize("solver", N_MOMENTS)


def data(n_rows=90, dtype=np.float64):
    random = np.random.default_rng(0)
    X = (random.normal(size=(n_rows, 6)) * (random.random((n_rows, 6)) < 0.7)).astype(dtype)
    return X, (X[:, 0] * X[:, 1] > X[:, 2]).astype(int) + (X[:, 3] > 0.5)


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": (17, 5), "max_iter": 6, "tol": 0, "batch_size": 20, "random_state": 0}
    return MLPClassifier(**{**defaults, **parameters})


def bits(model):
    return [array.tobytes() for array in [*model.coefs_, *model.intercepts_, np.array(model.loss_curve_)]]


def crew_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastbp")]


def wait_for_idle_threads():
    """Wait until the kept threads have ended, because they had no work."""
    deadline = time.monotonic() + 20
    while crew_threads() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    wait_for_idle_threads()
    yield
    wait_for_idle_threads()
    assert crew_threads() == []


# ---------------------------------------------------------------------- equal to training with one thread


def assert_same_fit(one, other, rtol=1e-9):
    assert other.n_iter_ == one.n_iter_
    assert other.t_ == one.t_
    for name in ("loss_curve_", "validation_scores_"):
        if getattr(one, name) is not None:
            assert_allclose(getattr(other, name), getattr(one, name), rtol=rtol)
    for want, got in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert_allclose(got, want, rtol=rtol, atol=rtol)


@pytest.mark.slow
@each_solver
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 20, 90, "auto"])
def test_two_threads_give_the_results_of_one(batch_size, sparse, solver):
    X, y = data()
    models = [
        classifier(n_threads=n_threads, batch_size=batch_size, solver=solver).fit(csr_array(X) if sparse else X, y)
        for n_threads in (1, 2)
    ]
    assert_same_fit(*models)


@pytest.mark.slow
@each_solver
@pytest.mark.parametrize("n_threads", [2, 5])
@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": "relu"},
        {"activation": "tanh", "alpha": 3.0},
        {"activation": "logistic", "shuffle": False},
        {"activation": "identity", "early_stopping": True, "n_iter_no_change": 2},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (1, 40)},
        {"batch_size": 4},  # fewer rows than five threads
        {"batch_size": 44},  # the last batch has two rows
        {"learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 1, "max_iter": 30},
        {"learning_rate": "invscaling", "nesterovs_momentum": False},
        {"momentum": 0.5, "beta_1": 0.5},
    ],
    ids=str,
)
def test_several_threads_give_the_results_of_one(parameters, n_threads, solver):
    X, y = data()
    parameters = {"solver": solver, "learning_rate_init": 0.02, **parameters}
    assert_same_fit(*(classifier(n_threads=n, **parameters).fit(X, y) for n in (1, n_threads)))


@each_solver
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_with_sample_weights(n_threads, solver):
    X, y = data()
    weight = np.random.default_rng(1).uniform(0, 2, len(y)) * (np.arange(len(y)) % 3 > 0)
    fitted = [classifier(n_threads=n, solver=solver).fit(X, y, sample_weight=weight) for n in (1, n_threads)]
    assert_same_fit(*fitted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        *({"solver": solver} for solver in N_MOMENTS),
        {"alpha": 3.0, "activation": "logistic"},
        {"weight_decay": 0.01, "learning_rate": "cosine"},
        {"clip_norm": 0.1},
        {"l1": 0.01, "ema_decay": 0.9},
        {"max_norm": 0.5},
        {"layer_norm": True, "dropout": 0.2, "input_noise": 0.1},
        {"activation": ["gelu", "tanh"]},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (1, 40)},
        {"batch_size": 44, "early_stopping": True},  # the last batch has fewer rows than shares
        {"batch_size": 90, "shuffle": False},
        {"n_shares": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_same_number_of_shares_gives_the_same_bits(parameters, dtype, monkeypatch):
    monkeypatch.setattr(Layout, "block_size", lambda layout, n_rows, itemsize: min(n_rows, 4))  # several blocks in a share
    X, y = data(dtype=dtype)
    weight = np.linspace(0, 2, len(y))
    one, *others = (classifier(**{"n_shares": 5, **parameters}, n_threads=n).fit(X, y, sample_weight=weight) for n in (1, 2, 3, 9))
    for other in others:
        assert bits(other) == bits(one)
    rows = csr_array(X)
    if not {"dropout"} & parameters.keys():
        one, *others = (classifier(**{"n_shares": 5, **parameters}, n_threads=n).fit(rows, y) for n in (1, 2))
        assert all(bits(other) == bits(one) for other in others)


def test_number_of_shares_changes_only_rounding():
    X, y = data()
    one, *others = (classifier(n_threads=1, n_shares=n).fit(X, y) for n in (1, 2, 5, 30))
    for other in others:
        assert_same_fit(one, other)
    assert len({tuple(bits(model)) for model in (one, *others)}) > 1


def test_shares_are_rejected_with_batch_normalization():
    X, y = data()
    with pytest.raises(ValueError, match=r"n_shares=2 is not supported with batch_norm=True.*Set n_shares to None"):
        classifier(n_shares=2, batch_norm=True).fit(X, y)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_threads_of_a_regressor(loss):
    X, y = data()
    fitted = [
        MLPRegressor(hidden_layer_sizes=(8,), loss=loss, max_iter=5, random_state=0, batch_size=32, n_threads=n).fit(
            X, np.column_stack([y, 2 - y])
        )
        for n in (1, 2, 3)
    ]
    assert_same_fit(fitted[0], fitted[1])
    assert_same_fit(fitted[0], fitted[2])


@each_solver
def test_continued_training_with_threads(solver):
    X, y = data()
    weight = np.linspace(0.1, 2, len(y))
    partial = [classifier(n_threads=n, solver=solver) for n in (1, 2)]
    warm = [classifier(n_threads=n, solver=solver, warm_start=True) for n in (1, 2)]
    for start in (0, 40, 10):
        for model in partial:
            model.partial_fit(X[start : start + 50], y[start : start + 50], classes=[0, 1, 2], sample_weight=weight[:50])
        for model in warm:
            model.fit(X, y)
        assert_same_fit(*partial)
        assert_same_fit(*warm)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_rows", [90, 3000])
def test_n_threads_does_not_change_the_result_of_lbfgs(n_rows, sparse):
    X, y = data(n_rows)
    X = csr_array(X) if sparse else X
    params = {"solver": "lbfgs", "hidden_layer_sizes": (60, 60), "l1": 0.01}
    one, *others = (classifier(**params, n_threads=n).fit(X, y) for n in (1, 2, 3))
    for other in others:
        for want, got in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
            assert_array_equal(got, want)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_n_threads_does_not_change_predictions(monkeypatch, dtype, sparse):
    X, y = data(3001, dtype)
    model = classifier(max_iter=1, layer_norm=True, n_threads=1).fit(X, y)
    rows = csr_array(X) if sparse else X
    expected, hidden = model.predict_proba(rows), model.transform(rows)
    started = []
    run = ThreadCrew.run
    monkeypatch.setattr(ThreadCrew, "run", lambda crew, *work: started.append(crew.n_threads) or run(crew, *work))
    for n_threads in (2, 3, None):
        model.set_params(n_threads=n_threads)
        assert_array_equal(model.predict_proba(rows), expected)
        assert_array_equal(model.transform(rows), hidden)
    assert started[:4] == [2, 2, 3, 3]


@pytest.mark.parametrize("n_threads", ["many", 0, 1.5])
def test_predictions_reject_an_invalid_n_threads(n_threads):
    X, y = data(20)
    model = classifier(max_iter=1).fit(X, y).set_params(n_threads=n_threads)
    with pytest.raises(ValueError, match="n_threads must be None or an integer of at least 1"):
        model.predict(X)


def test_error_in_a_predicting_thread_is_raised(monkeypatch):
    monkeypatch.setattr(prediction, "_PART_WORK", 1)
    X, y = data(3001)
    model = classifier(max_iter=1, n_threads=2).fit(X, y)

    def fail(*arguments):
        raise RuntimeError("no memory")

    monkeypatch.setattr(prediction, "_predict", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        model.predict(X)


def test_blas_threads_are_limited_until_the_last_fit_by_lbfgs_ends():
    def blas_threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=3, user_api="blas"):
        before = blas_threads()
        with threads.one_blas_thread:
            with threads.one_blas_thread:
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == before


def test_threads_with_float32():
    X, y = data(dtype=np.float32)
    one, two = (classifier(n_threads=n).fit(X, y) for n in (1, 2))
    assert two.coefs_[0].dtype == np.float32
    assert_allclose(two.loss_curve_, one.loss_curve_, rtol=1e-5)


def test_threads_divide_long_batches_into_blocks(monkeypatch):
    """Blocks are smaller than a thread's share, of equal or different sizes, and some shares end before the last block."""
    X, y = data(301)
    one = classifier(n_threads=1, batch_size=150).fit(X, y)
    for block_size in (1, 7, 25, 50, 74):
        monkeypatch.setattr(Layout, "block_size", lambda *_, size=block_size: size)
        for n_threads in (2, 3):
            assert_same_fit(one, classifier(n_threads=n_threads, batch_size=150).fit(X, y))


# ---------------------------------------------------------------------- only the kernel, with scratch memory filled with NaN


@pytest.mark.slow
@each_solver
@pytest.mark.parametrize("n_threads", [2, 3, 5])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_initial_scratch_memory_and_number_of_calls_do_not_change_the_result(sparse, n_threads, solver, network):
    parameters = {
        "solver": solver,
        "sparse": sparse,
        "weighted": True,
        "n_rows": 13,
        "batch_size": 5,
        "block_size": 1,
        "shuffle": True,
    }
    clean, whole, pieces, alone = (
        network(max_epochs=4, fill=fill, n_threads=n, **parameters)
        for fill, n in ((0, n_threads), (np.nan, n_threads), (np.nan, n_threads), (0, 1))
    )

    def parts(net):
        return [array.tobytes() for array in (net.params, net.moments, net.order, net.losses, *net.twister)]

    assert clean.train() == whole.train() == alone.train() == 4
    n_calls = 0
    while pieces.status == "running":
        assert pieces.train(n_blocks=1) <= 1
        n_calls += 1
        assert len({state.tobytes() for state in pieces.progress}) == 1 or pieces.progress[0].blocks_done
    assert n_calls == 4 * (2 * -(-5 // n_threads) + -(-3 // n_threads))
    assert parts(whole) == parts(pieces) == parts(clean)
    assert_array_equal(whole.order, alone.order)
    assert_allclose(whole.params, alone.params, rtol=1e-9, atol=1e-12)
    assert_allclose(whole.losses, alone.losses, rtol=1e-9)
    assert {int(state.epoch) for state in whole.progress} == {4}


# ---------------------------------------------------------------------- reproducible results


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_threads_write_the_copies_of_weights_together(dtype):
    """The layers are so wide, and the blocks so large, that the forward pass reads copies of W, too."""
    X, y = np.random.default_rng(0).normal(size=(400, 40)).astype(dtype), np.arange(400) % 3
    options = {"hidden_layer_sizes": (300, 270, 260), "batch_size": 200, "n_shares": 3, "max_iter": 3}
    one, *others = (classifier(**options, n_threads=n).fit(X, y) for n in (1, 2, 3, 7))
    for other in others:
        assert bits(other) == bits(one)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
def test_same_seed_and_number_of_threads_give_identical_results(n_threads, dtype):
    X, y = data(dtype=dtype)
    model = classifier(n_threads=n_threads, early_stopping=n_threads == 3)
    assert len({tuple(bits(clone(model).fit(X, y))) for _ in range(8)}) == 1


def test_number_of_threads_does_not_change_the_random_numbers():
    X, y = data()
    states = []
    for n_threads in (1, 2, 3):
        random_state = np.random.RandomState(3)
        classifier(n_threads=n_threads, random_state=random_state, early_stopping=True).fit(X, y)
        states.append(random_state.randint(2**31))
    assert len(set(states)) == 1


# ---------------------------------------------------------------------- concurrent fits, and fits in other processes


def models():
    return [
        classifier(n_threads=n_threads, solver=solver, random_state=seed)
        for n_threads in (1, 2, 3)
        for solver in N_MOMENTS
        for seed in (0, 1)
    ]


def test_concurrent_fits_with_threads_equal_sequential_fits():
    X, y = data()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda model: model.fit(X, y), models()))
    assert [bits(model) for model in at_once] == [bits(model.fit(X, y)) for model in models()]


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fits_in_joblib_workers(backend):
    X, y = data()
    model = classifier(n_threads=2)
    with joblib.parallel_backend(backend, n_jobs=2):
        scores = cross_val_score(model, X, y, cv=3, n_jobs=2)
        fitted = joblib.Parallel()(joblib.delayed(clone(each).fit)(X, y) for each in models()[:6])
    assert_array_equal(scores, cross_val_score(model, X, y, cv=3))
    assert [bits(each) for each in fitted] == [bits(each.fit(X, y)) for each in models()[:6]]


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fit_with_threads_in_another_process(method):
    X, y = data()
    model = classifier(n_threads=2, hidden_layer_sizes=(300, 300)).fit(X, y)  # large enough for two threads
    context = multiprocessing.get_context(method)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, concurrent.futures.ProcessPoolExecutor(1, context) as processes:
        busy = pool.submit(clone(model).set_params(max_iter=100).fit, X, y)  # these threads run at the moment of the fork
        fitted = processes.submit(clone(model).fit, X, y).result(timeout=120)
        busy.result()
    assert bits(fitted) == bits(model)


# ---------------------------------------------------------------------- the end of a fit


def interrupting(function, rank_to_stop, calls_before=2):
    """Wrap a function so that it raises KeyboardInterrupt after some calls by one rank, as after a signal during the call."""
    n_calls = [0]

    def call(settings, progress, rank, *others):
        result = function(settings, progress, rank, *others)
        if rank == rank_to_stop:
            n_calls[0] += 1
            if n_calls[0] == calls_before + 1:
                raise KeyboardInterrupt
        return result

    return call


@each_solver
@pytest.mark.parametrize("early_stopping", [False, True], ids=["plain", "early stopping"])
def test_interrupted_fit_returns_a_model_and_leaves_no_thread(solver, early_stopping, monkeypatch):
    X, y = data()
    monkeypatch.setattr(training, "train", interrupting(training.train, 0))
    monkeypatch.setattr(turns, "_FIRST_CALL_WORK", 1)
    model = classifier(n_threads=2, solver=solver, max_iter=10**6, early_stopping=early_stopping, n_iter_no_change=10**6)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert crew_threads() == []
    assert len(model.loss_curve_) == model.n_iter_ < 10**6
    assert np.isfinite(model.predict_proba(X)).all()
    model.set_params(max_iter=3).fit(X, y)


SIGNAL = """
import json, os, signal, threading, time, warnings
import numpy as np
from fastbp import MLPRegressor
from fastbp._network import threads
threads._MIN_WORK = 1
random = np.random.default_rng(0)
X = random.normal(size=(20_000, 30))
endless = dict(max_iter=10**6, tol=0, n_iter_no_change=10**6, random_state=0, n_threads=2)
model = MLPRegressor(hidden_layer_sizes=(60, 60), batch_size=500, **endless)
MLPRegressor(max_iter=1, n_threads=2).fit(X[:10], X[:10, 0])  # compiled before the clock starts
seen = []

def interrupt():
    time.sleep(1)
    seen.extend(thread.name for thread in threading.enumerate() if thread.name.startswith("fastbp"))
    seen.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, X[:, 0] * X[:, 1])
*names, pressed = seen
seconds = time.perf_counter() - pressed
print(json.dumps({
    "names": names,
    "seconds": seconds,
    "left": [thread.name for thread in threading.enumerate() if thread.name.startswith("fastbp")],
    "warnings": [str(warning.message) for warning in caught],
    "epochs": [model.n_iter_, len(model.loss_curve_)],
    "finite": bool(np.isfinite(model.predict(X)).all()),
}))
"""


def run(script, timeout=100, **environment):
    """Run a script in a process and return the values in its last line of output. Limits of threads are not inherited."""
    path = str(Path(fastbp.__file__).parents[1])
    inherited = {name: value for name, value in os.environ.items() if name not in threads._LIMITS}
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**inherited, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return SimpleNamespace(**json.loads(process.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="requires POSIX signals")
def test_ctrl_c_ends_two_threads_within_a_second():
    got = run(SIGNAL)
    assert len(got.names) == 1
    assert got.left == []
    assert "Training interrupted by user." in got.warnings
    assert got.epochs[0] == got.epochs[1] > 0
    assert got.finite
    assert got.seconds < 1  # about 0.1 if no other process uses the processors


# A KeyboardInterrupt in the first thread before the thread runs the kernel: while the kernel is compiled or loaded, or after the
# other threads have started. The other threads then wait at a barrier that the first thread never reaches.
EARLY = """
import json, sys, threading, warnings
import numpy as np
from fastbp import MLPRegressor
from fastbp._network import prediction, threads, turns
from fastbp._training import epochs as training
train, n_calls = training.train, [0]

def interrupted(settings, progress, rank, *others):
    if rank == 0:
        n_calls[0] += 1
        if n_calls[0] == 2:
            raise KeyboardInterrupt
    return train(settings, progress, rank, *others)

training.train, turns._FIRST_CALL_WORK, threads._MIN_WORK = interrupted, 1, 1
X = np.random.default_rng(0).normal(size=(100, 3))
model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=10**4, tol=0, n_iter_no_change=10**6, batch_size=10, n_threads=2)
model.fit(X, X[:, 0])
left = [thread.name for thread in threading.enumerate() if thread.name.startswith("fastbp")]
print(json.dumps({"left": left, "epochs": model.n_iter_, "finite": bool(np.isfinite(model.predict(X)).all())}))
"""


@pytest.mark.slow
def test_interruption_before_the_first_thread_runs_does_not_hang():
    got = run(EARLY, timeout=40)
    assert got.left == []
    assert got.finite


@pytest.mark.parametrize("failing", [0, 1])
def test_error_in_a_thread_is_raised_and_leaves_no_thread(failing, monkeypatch):
    """The simulated error is raised after the kernel has run. Before that, the other threads would wait for this thread."""
    X, y = data()
    train = training.train

    def fail(settings, progress, rank, *others):
        train(settings, progress, rank, *others)
        if rank == failing:
            raise MemoryError("made up")

    monkeypatch.setattr(training, "train", fail)
    model = classifier(n_threads=2)
    with pytest.raises(MemoryError, match="made up"):
        model.fit(X, y)
    assert crew_threads() == []
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_may_take_several_kernel_calls(weighted, monkeypatch):
    """Each thread keeps its own partial sums of loss and weight between the calls."""
    X, y = data()
    weight = np.linspace(0, 3, len(y)) if weighted else None
    whole, pieces = (classifier(n_threads=2, batch_size=len(y), max_iter=5) for _ in range(2))
    monkeypatch.setattr(Layout, "block_size", lambda *_: 3)
    whole.fit(X, y, weight)
    train = training.train
    monkeypatch.setattr(training, "train", lambda *arguments: train(*arguments[:-1], 1))
    pieces.fit(X, y, weight)
    assert pieces.loss_curve_ == whole.loss_curve_
    for a, b in zip(pieces.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_error_before_training_leaves_no_thread(monkeypatch):
    X, y = data()

    def fail(*_, **__):
        raise MemoryError("no memory for the buffers")

    monkeypatch.setattr(training.Problem, "workspace", fail)
    with pytest.raises(MemoryError):
        classifier(n_threads=2).fit(X, y)
    assert crew_threads() == []


def test_error_while_rows_are_stored_leaves_no_thread(monkeypatch):
    X, y = data()

    def fail(runner):
        raise MemoryError("no memory for the rounded rows")

    monkeypatch.setattr(training.EpochRunner, "store_rows", fail)
    with pytest.raises(MemoryError):
        classifier(n_threads=2, max_iter=10).fit(X, y)
    assert crew_threads() == []


@each_solver
def test_batch_with_zero_weights_is_an_error_and_leaves_no_thread(solver):
    X, y = data()
    weight = np.ones(len(y))
    model = classifier(n_threads=2, solver=solver, shuffle=False).fit(X, y)
    before = bits(model)
    weight[40:60] = 0
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        model.fit(X, y, sample_weight=weight)
    assert crew_threads() == []
    assert bits(model) == before


def test_diverging_fit_leaves_no_thread():
    X, y = data()
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        classifier(n_threads=2, solver="sgd", activation="identity", learning_rate_init=1e30, max_iter=50).fit(X * 1e10, y)


# ---------------------------------------------------------------------- ThreadCrew


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_crew_runs_in_the_given_number_of_threads(n_threads):
    crew, seen = ThreadCrew(n_threads), {}
    together = threading.Barrier(n_threads, timeout=20)
    for _ in range(3):

        def work(rank):
            together.wait()
            seen[rank] = threading.get_ident()

        crew.run(work, lambda: None)
        assert sorted(seen) == list(range(n_threads))
        assert len(set(seen.values())) == n_threads
        assert seen[0] == threading.get_ident()
    crew.close()
    crew.close()
    assert crew_threads() == []


@pytest.mark.parametrize("n_possible", [0, 1, 2])
def test_one_thread_is_used_if_other_threads_cannot_be_started(n_possible, monkeypatch):
    X, y = data()
    want = classifier(n_threads=1, n_shares=4).fit(X, y)
    start, n_started = threading.Thread.start, [0]

    def limited(thread):
        if thread.name.startswith("fastbp"):
            n_started[0] += 1
            if n_started[0] > n_possible:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    crew = ThreadCrew(4)
    assert crew.n_threads == 1
    ran = []
    crew.run(ran.append, lambda: None)
    assert ran == [0]
    assert crew_threads() == []
    n_started[0] = 0
    assert bits(classifier(n_threads=4).fit(X, y)) == bits(want)
    assert n_started[0] == n_possible + 1


def test_crew_works_after_an_error_in_another_thread():
    crew, aborted, ran = ThreadCrew(3), [], []

    def fail(rank):
        if rank == 2:
            raise OSError("made up")

    with pytest.raises(OSError, match="made up"):
        crew.run(fail, lambda: aborted.append(True))
    assert aborted == [True]
    crew.run(ran.append, lambda: None)
    assert sorted(ran) == [0, 1, 2]
    crew.close()


def test_crew_starts_threads_again_that_ended_without_work():
    crew, ran = ThreadCrew(3, idle_seconds=0.001), []
    for _ in range(3):
        wait_for_idle_threads()
        assert crew_threads() == []
        crew.run(ran.append, lambda: None)
    assert sorted(ran) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    crew.close()


def test_task_is_not_lost_if_a_new_thread_ends_at_once():
    crew, ran = ThreadCrew(2, idle_seconds=0.0), []
    for _ in range(20):
        crew.run(ran.append, lambda: None)
    assert sorted(ran) == [0] * 20 + [1] * 20
    crew.close()


# ---------------------------------------------------------------------- threads of repeated calls of partial_fit


def close_kept_crews():
    for crews in threads._kept_crews.values():
        while crews:
            crews.pop().close()


@pytest.fixture
def kept_threads(monkeypatch):
    """Kept threads do not end before the end of the test."""
    monkeypatch.setattr(threads, "IDLE_SECONDS", 60)
    close_kept_crews()
    yield
    close_kept_crews()


def updated(n_threads=2, n_calls=2):
    X, y = data()
    model = classifier(n_threads=n_threads)
    for _ in range(n_calls):
        model.partial_fit(X, y, classes=[0, 1, 2])
    return model


@pytest.mark.usefixtures("kept_threads")
def test_partial_fit_keeps_its_threads():
    model, one = updated(), updated(n_threads=1, n_calls=3)
    before = crew_threads()
    assert len(before) == 1
    assert_same_fit(one, model.partial_fit(*data()))
    assert crew_threads() == before


@pytest.mark.usefixtures("kept_threads")
def test_estimators_and_predictions_use_the_same_threads():
    models = [updated() for _ in range(3)]
    before = crew_threads()
    assert len(before) == 1
    for model in models:
        model.partial_fit(*data()).predict(data(3001)[0])
        assert crew_threads() == before


@pytest.mark.usefixtures("kept_threads")
def test_calls_with_different_numbers_of_threads_keep_their_threads():
    two, three = updated(n_threads=2), updated(n_threads=3)
    before = crew_threads()
    assert len(before) == 3
    for model in (two, three, two):
        model.partial_fit(*data())
        assert crew_threads() == before


@pytest.mark.usefixtures("kept_threads")
def test_estimators_in_several_threads_have_their_own_threads():
    """Every estimator is updated in a thread of its own; all results are those of one thread."""
    models = [updated(n_calls=1) for _ in range(3)]

    def update(model):
        for _ in range(30):
            model.partial_fit(*data())
        return bits(model)

    expected = update(updated(n_calls=1))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(update, models)) == [expected] * 3
    assert 1 <= len(crew_threads()) <= 3


def test_partial_fit_starts_its_threads_again():
    model, one = updated(), updated(n_threads=1, n_calls=3)
    wait_for_idle_threads()
    assert crew_threads() == []
    assert_same_fit(one, model.partial_fit(*data()))


@pytest.mark.usefixtures("kept_threads")
def test_threads_are_not_kept_after_an_interruption(monkeypatch):
    """If Ctrl-C is pressed again while the calling thread waits for the others, they have ended when the call returns."""
    model = updated()
    assert len(crew_threads()) == 1

    def interrupt(tasks):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_wait_for", interrupt)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.partial_fit(*data())
    assert crew_threads() == []
    X, y = data()
    model.partial_fit(X, y)
    assert np.isfinite(model.loss_)
    assert len(crew_threads()) == 1


def test_partial_fit_uses_one_thread_if_its_thread_cannot_be_started_again(monkeypatch):
    model, one = updated(n_calls=1), updated(n_threads=1, n_calls=3)
    wait_for_idle_threads()

    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    for _ in range(2):
        model.partial_fit(*data())
    assert_same_fit(one, model)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("kept_threads")
def test_partial_fit_after_a_fork():
    """The threads that the parent process keeps do not exist in the child process."""
    model = updated()
    ended, status = run_in_fork(lambda: bits(model.partial_fit(*data())) == bits(updated(n_calls=3)))
    assert ended, "the forked process hangs"
    assert status == 0


def run_in_fork(is_correct):
    """Call a function in a forked process; return whether the process has ended, and its status, which is 0 for True."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if is_correct() else 1
        finally:
            os._exit(status)
    deadline, (ended, status) = time.monotonic() + 60, (0, 0)
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    return ended, status


# ---------------------------------------------------------------------- threads of predictions


@pytest.fixture
def predicting(kept_threads):
    """A function that predicts with two threads, which are kept for the test, and the expected result."""
    X, y = data(3001)
    model = classifier(max_iter=1, n_threads=1).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(n_threads=2)
    return lambda: model.predict_proba(X), expected


def test_predictions_keep_their_threads(predicting):
    predict, expected = predicting
    assert_array_equal(predict(), expected)
    before = crew_threads()
    assert len(before) == 1
    assert_array_equal(predict(), expected)
    assert crew_threads() == before


def test_predictions_in_several_threads_have_their_own_threads(predicting):
    predict, expected = predicting
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for result in pool.map(lambda _: predict(), range(30)):
            assert_array_equal(result, expected)
    assert 1 <= len(crew_threads()) <= 3


def test_threads_of_a_prediction_end_after_an_error(predicting, monkeypatch):
    predict, expected = predicting
    predict()

    def fail(*arguments):
        raise OSError("made up")

    with monkeypatch.context() as patch:
        patch.setattr(prediction, "_predict", fail)
        with pytest.raises(OSError, match="made up"):
            predict()
    assert crew_threads() == []
    assert_array_equal(predict(), expected)


def test_threads_of_a_prediction_end_after_an_interruption(predicting, monkeypatch):
    predict, expected = predicting
    predict()

    def interrupt(tasks):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_wait_for", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predict()
    assert crew_threads() == []
    assert_array_equal(predict(), expected)


def test_predictions_with_different_numbers_of_threads(monkeypatch):
    X, y = data(3001)
    model = classifier(max_iter=1, n_threads=1).fit(X, y)
    expected = model.predict_proba(X)
    for n_threads in (2, 3, 2, None, 3):
        assert_array_equal(model.set_params(n_threads=n_threads).predict_proba(X), expected)
        assert len(crew_threads()) <= 3


def test_predictions_use_one_thread_if_others_cannot_be_started(predicting, monkeypatch):
    predict, expected = predicting

    def fail(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert_array_equal(predict(), expected)
    assert crew_threads() == []
    assert not any(threads._kept_crews.values())


def test_kept_threads_do_not_prevent_shuffling_in_the_kernel(predicting, monkeypatch):
    predict, _ = predicting
    predict()
    kept, other = crew_threads(), threading.Thread()
    assert kept
    for existing, by_kernel in (([threading.current_thread(), *kept], True), ([threading.current_thread(), other], False)):
        with monkeypatch.context() as patch:
            patch.setattr(threading, "enumerate", lambda existing=existing: existing)
            assert threads.other_threads_exist() != by_kernel
            assert training.Shuffles(np.random.RandomState(0), wanted=True, shared=True).by_kernel == by_kernel


def test_predictions_start_threads_again_that_have_ended(predicting, monkeypatch):
    predict, expected = predicting
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.001)
    for _ in range(3):
        assert_array_equal(predict(), expected)
        wait_for_idle_threads()
        assert crew_threads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_predictions_after_a_fork(predicting):
    predict, expected = predicting
    predict()
    ended, status = run_in_fork(lambda: (predict() == expected).all())
    assert ended, "the forked process hangs"
    assert status == 0
    assert_array_equal(predict(), expected)


# ---------------------------------------------------------------------- the number of threads


@pytest.fixture
def many_processors(monkeypatch):
    """A computer with eight processors and no limits."""
    for name in threads._LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_n_cpus", lambda *limits: 8)


@pytest.mark.usefixtures("many_processors")
def test_environment_variables_limit_threads(monkeypatch):
    assert allowed_threads() == 8
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        for value, want in (("1", 1), ("3", 3), ("100", 8), ("0", 1), ("", 8), ("many", 8), ("-2", 8)):
            monkeypatch.setenv(name, value)
            assert allowed_threads() == want
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("MKL_NUM_THREADS", "2")
    assert allowed_threads() == 2


@pytest.mark.usefixtures("many_processors")
def test_first_number_of_a_nested_openmp_limit_is_used(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert allowed_threads() == 2


@pytest.mark.usefixtures("many_processors")
def test_fit_in_a_thread_of_a_pool_uses_one_thread():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(allowed_threads).result() == 1
        assert pool.submit(choose_threads, None, 10**12, 1000).result() == 1
        assert pool.submit(choose_threads, 3, 10**12, 1000).result() == 3  # n_threads takes precedence


@pytest.mark.usefixtures("many_processors", "default_min_work")
def test_choose_threads():
    plenty = 10**12
    assert choose_threads(None, plenty, 200) == 8
    assert choose_threads(None, plenty, 3) == 3  # not more threads than rows
    for wanted in (None, 2):  # the work takes less time than two barriers
        assert choose_threads(wanted, 0, 200) == choose_threads(wanted, 10_000, 200) == 1
    in_order = [choose_threads(None, work, 200) for work in np.geomspace(1, plenty, 50)]
    assert in_order == sorted(in_order)
    for wanted in (1, 2, 5, 30, np.int64(7)):
        chosen = choose_threads(wanted, plenty, 200)
        assert (chosen, type(chosen)) == (wanted, int)
        assert choose_threads(wanted, plenty, 1) == 1
    assert choose_threads(30, plenty, 20) == 20


@pytest.mark.usefixtures("many_processors")
def test_choose_shares():
    plenty = 10**8
    assert choose_shares(None, 1, 1000, 200) == 1  # the default for small networks
    n_rows = (1, 199, 200, 1499, 1500, 2000, 3999, 4000, 10**6)
    assert [choose_shares(None, 1, plenty, n) for n in n_rows] == [1, 1, 2, 2, 3, 4, 7, 8, 8]
    assert [choose_shares(None, 5, plenty, n) for n in (20, 2000, 4000)] == [5, 5, 8]
    assert choose_shares(None, 1, 10**14, 4000) == 1  # gradients of 8 GB
    assert choose_shares(7, 2, 1000, 200) == choose_shares(np.int64(7), 2, plenty, 200) == 7
    assert choose_shares(7, 2, 1000, 4) == 4  # not more shares than rows


def test_default_number_of_shares_depends_on_the_problem_only():
    """With enough rows in a batch, every number of threads gives the same bits without further parameters."""
    X, y = data(2500)
    params = {"hidden_layer_sizes": (120, 80), "batch_size": 2000, "max_iter": 2}
    assert len({b"".join(bits(classifier(**params, n_threads=n).fit(X, y))) for n in (1, 2, 3, 4)}) == 1
    small = params | {"hidden_layer_sizes": (240, 120), "batch_size": 200}
    assert len({b"".join(bits(classifier(**small, n_threads=n).fit(X, y))) for n in (1, 2)}) == 1
    assert bits(classifier(**params, n_threads=1, n_shares=1).fit(X, y)) != bits(classifier(**params, n_threads=1).fit(X, y))


def test_one_thread_is_used_without_compilation(monkeypatch):
    """The threads wait at a barrier that exists only in compiled code."""
    monkeypatch.setattr(threads, "is_interpreted", lambda: True)
    assert choose_threads(2, 1e12, 100) == choose_threads(None, 1e12, 100) == 1


@pytest.mark.slow
def test_workers_of_a_process_pool_are_limited():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        assert joblib.Parallel()(joblib.delayed(allowed_threads)() for _ in range(4)) == [1] * 4


ALLOWED = """
import json, os
from joblib import cpu_count
from fastbp._network.threads import allowed_threads
numbers = [allowed_threads(), cpu_count()]
os.environ["OMP_NUM_THREADS"] = "1"
numbers.append(allowed_threads())
del os.environ["OMP_NUM_THREADS"]
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(json.dumps({"numbers": [*numbers, allowed_threads()]}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="requires affinity, which only Linux has")
def test_affinity_limits_threads():
    unlimited, n_processors, by_environment, by_affinity = run(ALLOWED).numbers
    assert unlimited == n_processors
    assert by_environment == by_affinity == 1


class Recorder:
    """Records the number of threads that each `EpochRunner` gets."""

    def __init__(self, monkeypatch):
        self.numbers = []
        descent = sgd.EpochRunner

        def record(*arguments, **options):
            self.numbers.append(arguments[-2])
            return descent(*arguments, **options)

        monkeypatch.setattr(sgd, "EpochRunner", record)


@pytest.mark.usefixtures("many_processors", "default_min_work")
def test_small_networks_use_one_thread(monkeypatch):
    X, y = data()
    recorder = Recorder(monkeypatch)
    for n_threads in (None, 2):
        classifier(n_threads=n_threads).fit(X, y)
    assert recorder.numbers == [1, 1]


@pytest.mark.usefixtures("many_processors")
def test_number_of_threads_that_estimators_use(monkeypatch):
    X, y = data()
    recorder = Recorder(monkeypatch)
    assert classifier().n_threads is None
    assert MLPRegressor().n_threads is None
    classifier(n_threads=3).fit(X, y)
    classifier(n_threads=3, batch_size=2).fit(X, y)
    MLPRegressor(hidden_layer_sizes=(500, 500), max_iter=1, n_threads=np.int32(2)).fit(X, y)
    MLPRegressor(hidden_layer_sizes=(500, 500), max_iter=1).fit(X, y)
    classifier(n_threads=2).partial_fit(X, y, classes=[0, 1, 2])
    assert recorder.numbers == [3, 2, 2, 8, 2]
    classifier(n_threads=3, solver="lbfgs").fit(X, y)
    assert len(recorder.numbers) == 5


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, "2", "auto", [1]])
def test_invalid_numbers_of_threads_are_rejected(value, estimator):
    X, y = data()
    with pytest.raises(InvalidParameterError, match=f"The 'n_threads' parameter of {estimator.__name__} must be .*int.* or None"):
        estimator(n_threads=value).fit(X, y)


def test_n_threads_is_a_keyword_only_parameter():
    model = classifier(n_threads=2)
    assert clone(model).get_params()["n_threads"] == 2
    assert model.set_params(n_threads=None).n_threads is None
    with pytest.raises(TypeError):
        MLPClassifier((5,), "relu", "adam", 0.1, 2)
    with pytest.warns(ConvergenceWarning):
        model.set_params(n_threads=2, max_iter=1).fit(*data())


def test_wide_layer_with_fewer_rows_in_the_last_batch_than_threads():
    """A thread that has no rows must not pack inputs."""
    random = np.random.default_rng(0)
    X = random.normal(size=(65, 300)).astype(np.float32)
    y = X[:, 0].copy()
    parameters = {"hidden_layer_sizes": (64,), "batch_size": 64, "max_iter": 20, "tol": 0, "random_state": 0}
    one, three = (MLPRegressor(**parameters, n_threads=n_threads).fit(X, y) for n_threads in (1, 3))
    np.testing.assert_allclose(one.loss_curve_, three.loss_curve_, rtol=1e-3)
