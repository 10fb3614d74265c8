"""Training on clusters of Dask: the same bits for all workers, failures of workers and drivers, and lazy predictions.

The clusters are processes of this machine. Every test has a hard time limit, after which it fails, so that a fit that waits forever
is found.
"""

import contextlib
import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from distributed import Client, LocalCluster
from pages import failures_in
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, MLPRegressor, load, save
from fastbp._distributed.driver import Driver
from fastbp._distributed.executors import SerialExecutor
from fastbp._distributed.model import _MIN_WORK_OF_ROUND
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor
from fastbp.warmup import warmup

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The data or the network are too small"),
    pytest.mark.filterwarnings("ignore:Sending large graph"),
]
SECONDS = 150  # the limit of each test; all take less than a fifth of it on two free processors

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32) / 16
LARGE = np.random.default_rng(0).normal(size=(60_000, 20)).astype(np.float32)
LARGE_Y = (LARGE[:, 0] * LARGE[:, 1] > 0).astype(int)


@pytest.fixture(autouse=True)
def _limited():
    """End the test after its time limit, and the process if that fails."""

    def fail(*_):
        faulthandler.dump_traceback()
        pytest.fail(f"the test took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(SECONDS + 60, exit=True)
    yield
    signal.alarm(0)
    faulthandler.cancel_dump_traceback_later()
    signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def local_cluster(n_workers=2, **options):
    settings = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "memory_limit": 0}
    with LocalCluster(n_workers=n_workers, **settings, silence_logs=60, **options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """Kernels are compiled before a time limit begins."""
    warmup()


@pytest.fixture(scope="module")
def client():
    with local_cluster() as client:
        yield client


def blocks(array, size=200):
    return da.from_array(array, chunks=(size, *array.shape[1:]))


DATA = blocks(X), blocks(y)
OPTIONS = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "max_iter": 4, "random_state": 0}
OPTIONS |= {"n_shards": 4, "local_steps": 2}
SLOW = {"hidden_layer_sizes": (100,), "max_iter": 6, "random_state": 0, "n_shards": 4, "local_steps": 30}
LARGE_DATA = blocks(LARGE, 5000), blocks(LARGE_Y, 5000)


def in_this_process(model, *data, **options):
    """Fit with the serial executor, also if there is a current client."""
    model._validate_params()
    options = {"eval_set": None, "resume": False} | options
    model._fit_on(SerialExecutor(), (*data, *(None,) * (3 - len(data))), **options)
    return model


def assert_same_bits(first, second):
    assert first.loss_curve_ == second.loss_curve_
    assert first.history_ == second.history_
    for one, other in zip(first.coefs_ + first.intercepts_, second.coefs_ + second.intercepts_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first._optimizer.moments, second._optimizer.moments)


@pytest.fixture(scope="module")
def expected():
    with warnings.catch_warnings(action="ignore"):
        return in_this_process(DaskMLPClassifier(**SLOW), *LARGE_DATA)


# ---------------------------------------------------------------------- the same bits


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param(
            {"outer_momentum": 0.9, "outer_learning_rate": 0.7, "solver": "sgd", "learning_rate": "invscaling"},
            marks=pytest.mark.slow,
        ),
        {"batch_norm": True, "dropout": 0.2, "ema_decay": 0.9, "scale": "standard", "local_steps": None},
        pytest.param(
            {"learning_rate": "cosine", "class_weight": "balanced", "sample_weight_norm": "global", "n_shards": 9},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_cluster_gives_the_bits_of_one_process(client, options):
    model = DaskMLPClassifier(**OPTIONS | options).fit(*DATA, eval_set=DATA)
    serial = in_this_process(DaskMLPClassifier(**OPTIONS | options), *DATA, eval_set=DATA)
    assert_same_bits(model, serial)
    assert len(model.history_["val_score"]) == 4


def test_the_bits_do_not_depend_on_the_workers(client, expected):
    """One worker, two workers, and workers that are added during the fit."""
    cluster = client.cluster
    cluster.scale(1)
    while len(client.nthreads()) > 1:
        time.sleep(0.1)
    assert_same_bits(DaskMLPClassifier(**SLOW).fit(*LARGE_DATA), expected)

    def add(estimator, epoch, logs):
        cluster.scale(2)

    assert_same_bits(DaskMLPClassifier(**SLOW, callbacks=add).fit(*LARGE_DATA), expected)
    await_workers(client)
    assert_same_bits(DaskMLPClassifier(**SLOW).fit(*(part.persist() for part in LARGE_DATA)), expected)


# ---------------------------------------------------------------------- failures


def await_workers(client):
    """Wait for two workers; a nanny whose worker is killed while it starts does not start it again, but the cluster does."""
    while len(client.nthreads()) < 2:
        client.cluster.scale(2)
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(2, timeout=3)


def test_workers_that_are_killed_do_not_change_the_result(client, expected, monkeypatch):
    """Workers are killed in the middle of several rounds: one of two, and both. Their nannies start new processes."""
    average, attempts, kills = Driver._average, [], {3: 1, 7: 2, 8: 2, 12: 1}

    def killing(driver, attempt, n_rows):
        attempts.append((driver.n_rounds, attempt))
        timer = None
        if attempt == 0 and driver.n_rounds in kills:
            await_workers(client)
            pids = sorted(client.run(os.getpid).values())[: kills[driver.n_rounds]]
            timer = threading.Timer(0.03, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids])
            timer.start()
        try:
            return average(driver, attempt, n_rows)
        finally:
            if timer is not None:
                timer.join()

    monkeypatch.setattr(Driver, "_average", killing)
    model = DaskMLPClassifier(**SLOW).fit(*LARGE_DATA)
    assert {n for n, _ in attempts} == set(range(18))
    assert max(attempt for _, attempt in attempts) >= 1  # a round was repeated
    assert_same_bits(model, expected)


@pytest.mark.slow
def test_a_restart_of_all_workers_does_not_change_the_result(client, expected):
    await_workers(client)
    restarts = []

    def restart(estimator, epoch, logs):
        if epoch == 2:
            restarts.append(threading.Thread(target=client.restart))
            restarts[-1].start()

    model = DaskMLPClassifier(**SLOW, callbacks=restart).fit(*LARGE_DATA)
    for thread in restarts:
        thread.join()
    await_workers(client)
    assert_same_bits(model, expected)


@pytest.mark.slow
def test_lost_scattered_data_are_an_error(client):
    """Data that exist in one worker only cannot be computed again."""
    (future,) = client.scatter([LARGE[:3000]])
    lost = da.from_delayed(future, (3000, 20), np.float32)

    def kill(estimator, epoch, logs):
        client.cancel([future])
        client.restart()

    model = DaskMLPClassifier(5, max_iter=20, n_shards=1, callbacks=kill)
    with pytest.raises(Exception, match=r"lost|cancel|Cancel"):
        model.fit(lost, da.from_array(LARGE_Y[:3000], chunks=3000))
    assert not hasattr(model, "coefs_")
    await_workers(client)


def test_a_cluster_without_workers_is_an_error():
    with local_cluster(1) as client:

        def end_workers(estimator, epoch, logs):
            client.cluster.scale(0)
            while client.nthreads():
                time.sleep(0.1)

        with pytest.raises(RuntimeError, match="no worker for worker_timeout=2 seconds"):
            DaskMLPClassifier(**OPTIONS, worker_timeout=2, callbacks=end_workers).fit(*DATA)


def test_a_closed_client_is_an_error():
    with Client(n_workers=0, processes=False, dashboard_address=":0") as client:
        pass
    with pytest.raises(RuntimeError, match=r"client must be connected to a scheduler, but its status is 'closed'\. Pass a new"):
        DaskMLPClassifier(**OPTIONS, client=client).fit(*DATA)


@pytest.mark.slow
def test_a_scheduler_that_ends_is_an_error():
    with local_cluster(1, host="127.0.0.1") as client:

        def end_scheduler(estimator, epoch, logs):
            client.cluster.close()

        with pytest.raises(Exception, match="connection to the scheduler was closed"):
            DaskMLPClassifier(**OPTIONS, client=client, callbacks=end_scheduler).fit(*DATA)


DRIVER = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = sys.argv[3:]
from distributed import Client
from test_dask import DaskMLPClassifier, LARGE_DATA, SLOW
with Client(sys.argv[1]):
    DaskMLPClassifier(**SLOW, checkpoint=sys.argv[2]).fit(*LARGE_DATA, resume=True)
"""


@pytest.mark.parametrize("n_kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_killed_driver_continues(client, expected, tmp_path, monkeypatch, n_kills):
    await_workers(client)
    path = tmp_path / "driver.safetensors"
    for _ in range(n_kills):
        before = path.stat().st_mtime_ns if path.exists() else 0
        folders = [str(folder) for folder in Path(__file__).parents[:2]]
        arguments = [sys.executable, "-c", DRIVER, client.scheduler.address, str(path), *folders]
        driver = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
        while driver.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
            time.sleep(0.02)
        time.sleep(0.3)
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
    numbers, average = [], Driver._average
    monkeypatch.setattr(Driver, "_average", lambda driver, *rest: numbers.append(driver.n_rounds) or average(driver, *rest))
    model = DaskMLPClassifier(**SLOW, checkpoint=path)
    assert_same_bits(model.fit(*LARGE_DATA, resume=True), expected)
    assert numbers == list(range(numbers[0], 18))
    assert numbers[0] >= n_kills
    numbers.clear()
    assert_same_bits(model.fit(*LARGE_DATA, resume=True), expected)
    assert numbers == []
    longer = DaskMLPClassifier(**SLOW | {"max_iter": 7}, checkpoint=path).fit(*LARGE_DATA, resume=True)
    assert longer.loss_curve_[:6] == expected.loss_curve_
    assert longer.n_iter_ == 7
    with pytest.raises(ValueError, match=r"local_steps was 30 and is 5 now"):
        DaskMLPClassifier(**SLOW | {"local_steps": 5}, checkpoint=path).fit(*LARGE_DATA, resume=True)
    with pytest.raises(ValueError, match=r"the numbers of rows of the shards was"):
        DaskMLPClassifier(**SLOW, checkpoint=path).fit(LARGE_DATA[0][:20_000], LARGE_DATA[1][:20_000], resume=True)


# ---------------------------------------------------------------------- several fits


def test_two_fits_at_once(client, expected):
    results, errors = [None, None], []

    def fit(n):
        try:
            results[n] = DaskMLPClassifier(**SLOW, client=client).fit(*LARGE_DATA)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fit, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for result in results:
        assert_same_bits(result, expected)


@pytest.mark.parametrize("kind", [MLPClassifier, DaskMLPClassifier])
def test_grid_search_with_the_backend_of_dask(client, kind):
    """In a task, a Dask estimator trains in this task and submits nothing, so that tasks cannot wait for each other."""
    options = {"n_shards": 2, "local_steps": 5} if kind is DaskMLPClassifier else {}
    model = kind(10, max_iter=3, learning_rate_init=0.01, random_state=0, **options)
    with joblib.parallel_config("dask", client=client):
        search = GridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2).fit(X, y)
    direct = GridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2).fit(X, y)  # the fits of a Dask estimator use the cluster
    assert search.cv_results_["mean_test_score"].tolist() == direct.cv_results_["mean_test_score"].tolist()
    assert_same_bits(search.best_estimator_, direct.best_estimator_)


def test_adaptive_cluster(expected):
    with local_cluster(0) as client:
        client.cluster.adapt(minimum=0, maximum=2, interval="100ms", wait_count=2)
        assert_same_bits(DaskMLPClassifier(**SLOW).fit(*LARGE_DATA), expected)


# ---------------------------------------------------------------------- data


@pytest.mark.filterwarnings("ignore:The classes are not evenly distributed")
def test_uneven_empty_and_single_class_partitions(client):
    rows = np.argsort(y, kind="stable")
    sizes = (0, 500, 1, 40, 0, 700, 177, 379, 0)
    lazy = [da.from_array(array[rows], chunks=(sizes, *array.shape[1:])) for array in (X, y)]
    model = DaskMLPClassifier(**OPTIONS | {"max_iter": 30, "local_steps": 1}).fit(*lazy)
    assert model.n_shards_ == 4
    assert model.classes_.tolist() == list(range(10))
    assert model.score(*lazy) == model.score(X, y) > 0.7
    labels = model.predict(lazy[0])
    assert labels.chunks == (sizes,)
    np.testing.assert_array_equal(labels.compute(), model.predict(X[rows]))
    assert_same_bits(model, in_this_process(clone(model), *lazy))


def test_empty_data_are_an_error(client):
    with pytest.raises(ValueError, match="at least one row"):
        DaskMLPClassifier().fit(da.zeros((0, 3), chunks=(0, 3)), da.zeros(0, chunks=0))


def test_sorted_classes_and_small_data_are_warnings(client):
    with pytest.warns(UserWarning, match="too small to gain from a cluster"):
        DaskMLPClassifier(**OPTIONS).fit(*DATA)
    rows = np.argsort(y, kind="stable")
    with pytest.warns(UserWarning, match="The classes are not evenly distributed"):
        DaskMLPClassifier(**OPTIONS).fit(blocks(X[rows], 450), blocks(y[rows], 450))


def test_large_rounds_are_not_a_warning():
    """A network with 200,000 weights needs no more than 250 steps of 128 rows."""
    assert _MIN_WORK_OF_ROUND < 3 * 200_000 * 250 * 128


def test_unknown_chunk_sizes_and_sparse_blocks(client):
    keep = DATA[1] >= 0
    unknown = DATA[0][keep], DATA[1][keep]
    assert np.isnan(unknown[0].chunks[0]).all()
    known = DaskMLPClassifier(**OPTIONS).fit(*DATA)
    model = DaskMLPClassifier(**OPTIONS).fit(*unknown)
    assert_same_bits(model, known)
    np.testing.assert_array_equal(model.predict(unknown[0]).compute(), known.predict(X))
    sparse = DATA[0].map_blocks(sp.csr_matrix)
    model = DaskMLPClassifier(**OPTIONS).fit(sparse, DATA[1])
    np.testing.assert_allclose(model.loss_curve_, known.loss_curve_, rtol=1e-4)
    assert model.score(sparse, DATA[1]) == pytest.approx(known.score(X, y), abs=0.01)


def test_data_frames_with_categories(client):
    diabetes, target = load_diabetes(return_X_y=True, as_frame=True)
    frame = diabetes[["bmi", "s5"]].assign(sex=pd.Categorical(np.where(diabetes.sex > 0, "f", "m")))
    frame.index += 1000
    lazy, lazy_y = dd.from_pandas(frame, npartitions=5), dd.from_pandas(target.set_axis(frame.index), npartitions=5)
    options = {"scale": "standard", "scale_y": "standard", "max_iter": 40, "learning_rate_init": 0.02, "random_state": 0}
    model = DaskMLPRegressor(hidden_layer_sizes=8, early_stopping=True, n_iter_no_change=40, **options)
    model.fit(lazy, lazy_y, eval_set=(lazy, lazy_y))
    assert model.feature_names_in_.tolist() == ["bmi", "s5", "sex_f", "sex_m"]
    assert model.score(lazy, lazy_y) == pytest.approx(model.score(frame, target)) == pytest.approx(model.best_validation_score_)
    assert model.best_validation_score_ > 0.35
    predicted = model.predict(lazy)
    assert predicted.compute().index.tolist() == frame.index.tolist()
    np.testing.assert_allclose(predicted.compute().to_numpy(), model.predict(frame), rtol=1e-12)  # other blocks of rows
    local = model.to_local()
    assert type(local) is MLPRegressor
    np.testing.assert_array_equal(local.predict(pd.get_dummies(frame)), model.predict(frame))
    assert model.transform(lazy).compute().shape == (442, 8)
    with pytest.raises(ValueError, match=r"The columns of X must contain numbers, booleans or categories, but \['sex'\]"):
        clone(model).fit(lazy.assign(sex=lazy.sex.astype(str)), lazy_y, eval_set=(lazy, lazy_y))
    unknown = lazy.assign(sex=lazy.sex.astype(str).astype("category"))
    with pytest.raises(ValueError, match=r"Call X.categorize\(columns=\['sex'\]\)"):
        clone(model).fit(unknown, lazy_y, eval_set=(lazy, lazy_y))
    with pytest.raises(ValueError, match="must contain only the categories of fit"):
        model.predict(dd.from_pandas(frame.assign(sex=pd.Categorical(["x"] * 442)), npartitions=2)).compute()


def test_labels_weights_and_several_outputs(client):
    names = np.array([f"digit {digit}" for digit in range(10)])[y]
    weight = 1 + (y == 3) * 2.0
    model = DaskMLPClassifier(**OPTIONS).fit(DATA[0], blocks(names), blocks(weight))
    assert model.predict(DATA[0]).compute()[0].startswith("digit")
    assert model.score(DATA[0], blocks(names), blocks(weight)) == pytest.approx(model.score(X, names, weight))
    assert_same_bits(model, in_this_process(clone(model), DATA[0], names, weight))
    both = np.stack([y % 2, y // 5], axis=1)
    multilabel = DaskMLPClassifier(**OPTIONS).fit(DATA[0], blocks(both))
    assert multilabel.predict(DATA[0]).compute().shape == both.shape
    assert multilabel.predict_proba(DATA[0]).shape == both.shape
    assert multilabel.score(DATA[0], blocks(both)) == pytest.approx(multilabel.score(X, both))
    quantiles = DaskMLPRegressor(hidden_layer_sizes=5, loss="quantile", quantile=[0.1, 0.9], max_iter=2, random_state=0)
    quantiles.fit(DATA[0], blocks(y * 1.0), eval_set=DATA)
    assert quantiles.predict(DATA[0]).compute().shape == (1797, 2)
    assert quantiles.score(*DATA) == pytest.approx(quantiles.score(X, y))
    assert quantiles.history_["val_score"][-1] == pytest.approx(quantiles.score(X, y), rel=1e-5)


def test_partitions_that_do_not_agree_are_errors(client):
    with pytest.raises(ValueError, match="same partitions as X, which has 9"):
        DaskMLPClassifier().fit(DATA[0][DATA[1] >= 0], DATA[1].rechunk(300)[DATA[1].rechunk(300) >= 0])
    with pytest.raises(ValueError, match=r"y must have as many rows|Each partition of y"):
        DaskMLPClassifier().fit(DATA[0][DATA[1] >= 0], DATA[1][DATA[1] >= 1])
    with pytest.raises(TypeError, match="y is a Dask collection"):
        DaskMLPClassifier().fit(X, DATA[1])
    bad = X.copy()
    bad[700, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        DaskMLPClassifier(**OPTIONS).fit(blocks(bad), DATA[1])


# ---------------------------------------------------------------------- the estimators


def test_local_model_copies_and_files(client, tmp_path):
    model = DaskMLPClassifier(**OPTIONS, client=client).fit(*DATA)
    copy = clone(model)
    assert copy.client is client
    assert copy.get_params() == model.get_params()
    restored = pickle.loads(pickle.dumps(model))
    assert restored.client is None
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    local = model.to_local()
    assert type(local) is MLPClassifier
    save(local, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(DATA[0]).compute())
    before = [array.copy() for array in model.coefs_]
    local.partial_fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], before[0])


def test_the_driver_stops_early_and_reports(client, capsys):
    model = DaskMLPClassifier(**OPTIONS | {"max_iter": 200}, early_stopping=True, n_iter_no_change=2, tol=0.02, verbose=True)
    model.fit(*DATA, eval_set=(blocks(X), blocks(y)))
    assert 3 < model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_) == pytest.approx(model.score(X, y))
    assert "Iteration 3, loss = " in capsys.readouterr().out
    answers = DaskMLPClassifier(**OPTIONS, callbacks=lambda estimator, epoch, logs: epoch == 2).fit(*DATA)
    assert answers.n_iter_ == 2
    with pytest.warns(ConvergenceWarning, match="max_time"):
        stopped = DaskMLPClassifier(**SLOW | {"max_iter": 10_000, "tol": 0}, max_time=1.5).fit(*LARGE_DATA)
    assert 0 < stopped.n_rounds_ < 10_000


def test_code_on_the_page_runs():
    page = Path(__file__).parents[2] / "docs" / "user_guide" / "cluster.md"
    assert failures_in(page.read_text(encoding="utf-8"), page.name) == ""
