"""Distributed training without Dask: shards, averages, the driver and its file. ``tests/tools/test_dask.py`` uses real clusters.

With one shard, the estimators of scikit-learn's interface in one process are the reference.
"""

import functools
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import r2_score

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._config import FitConfig
from fastbp._data.scores import accuracy
from fastbp._distributed import averaging, rounds, statistics
from fastbp._distributed.description import described_value
from fastbp._distributed.evaluation import ScoreRule, merged_scores, r2_block
from fastbp._distributed.executors import Executor, SerialExecutor
from fastbp._distributed.local_training import local_train
from fastbp._distributed.partitions import TableReader, lazy_parts
from fastbp._distributed.predictions import score_part
from fastbp._network.optimizers import Optimizer
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
OPTIONS = {"hidden_layer_sizes": (6,), "batch_size": 32, "learning_rate_init": 0.01, "max_iter": 4, "random_state": 0}


def fitted(model, X=X, y=y, weight=None, *, executor=None, eval_set=None, resume=False):
    """Fit without Dask."""
    model._validate_params()
    model._fit_on(executor or SerialExecutor(), (X, y, weight), eval_set, resume)
    return model


def assert_same_bits(first, second):
    assert first.loss_curve_ == second.loss_curve_
    for one, other in zip(first.coefs_ + first.intercepts_, second.coefs_ + second.intercepts_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first._optimizer.moments, second._optimizer.moments)


# ---------------------------------------------------------------------- one shard


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"solver": "sgd"}, {"solver": "nadam", "ema_decay": 0.9}, {"batch_norm": True}])
def test_one_shard_gives_the_bits_of_partial_fit(dtype, options):
    """The rows of each epoch are in the order drawn from SeedSequence(seed, spawn_key=(epoch, shard))."""
    rows, options = X.astype(dtype), OPTIONS | options
    model = fitted(DaskMLPClassifier(**options, n_shards=1, local_steps=None), rows)
    expected = MLPClassifier(**options, shuffle=False, n_threads=1)
    for epoch in range(4):
        order = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(epoch, 0))).permutation(400)
        expected.partial_fit(rows[order], y[order], classes=np.unique(y))
    assert_same_bits(model, expected)
    assert model.n_rounds_ == 4


def test_the_rounds_of_one_shard_are_calls_of_partial_fit():
    model = fitted(DaskMLPClassifier(**OPTIONS, n_shards=1, local_steps=5))
    expected = MLPClassifier(**OPTIONS, shuffle=False, n_threads=1)
    for epoch in range(4):
        order = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(epoch, 0))).permutation(400)
        for rows in (slice(0, 128), slice(128, 256), slice(256, 400)):  # 13 batches in three rounds
            expected.partial_fit(X[order[rows]], y[order[rows]], classes=np.unique(y))
    assert model.n_rounds_ == 12
    for one, other in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"tol": 0.3, "n_iter_no_change": 2, "max_iter": 50},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1, "max_iter": 20},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"learning_rate": "reduce_on_plateau", "tol": 0.5, "learning_rate_step": 1, "max_iter": 8},
        {"learning_rate": "cosine", "weight_decay": 0.1, "regularization_schedule": "flat_cosine"},
        {"learning_rate": "step", "learning_rate_step": 2},
        {"learning_rate": lambda epoch, progress: 1 - progress / 2},
        {"class_weight": "balanced", "l1": 1e-3, "max_norm": 1.0},
        {"class_weight": {3: 2.0}, "sample_weight_norm": "global"},
        {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.03, "max_iter": 50, "batch_norm": True},
    ],
    ids=lambda options: next(iter(options)) + "-" + str(next(iter(options.values())))[:12],
)
def test_one_shard_without_shuffling_is_fit(options):
    """The driver applies the schedules, the stopping rule and the weights of classes as `fit` does."""
    options, held_out = OPTIONS | {"shuffle": False} | options, (X[300:], y[300:])
    model = fitted(DaskMLPClassifier(**options, n_shards=1, local_steps=None), X[:300], y[:300], eval_set=held_out)
    expected = MLPClassifier(**options, n_threads=1).fit(X[:300], y[:300], X_val=held_out[0], y_val=held_out[1])
    assert model.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-12)
    for name, entries in expected.history_.items():
        np.testing.assert_allclose(model.history_[name], entries, rtol=1e-12, err_msg=name)
    for one, other in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    for name in ("best_loss_", "best_validation_score_", "t_", "classes_", "out_activation_", "n_layers_", "n_features_in_"):
        assert str(getattr(model, name)) == str(getattr(expected, name)), name


@pytest.mark.parametrize("options", [{"scale": "standard", "scale_y": "standard", "clip_predictions": True}, {"loss": "poisson"}])
def test_regression_with_one_shard_is_fit(options):
    rows, target = load_diabetes(return_X_y=True)
    options = {"hidden_layer_sizes": (5,), "max_iter": 5, "shuffle": False, "random_state": 1} | options
    held_out, weight = (rows[:50], target[:50]), np.linspace(0, 1, 442)
    model = fitted(DaskMLPRegressor(**options, n_shards=1, local_steps=None), rows, target, weight, eval_set=held_out)
    expected = MLPRegressor(**options, n_threads=1).fit(rows, target, weight, X_val=held_out[0], y_val=held_out[1])
    for name, entries in expected.history_.items():
        np.testing.assert_allclose(model.history_[name], entries, rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(model.predict(rows), expected.predict(rows), rtol=1e-8)


def test_sparse_rows_and_several_outputs():
    rows, both = sp.csr_matrix(X), np.stack([y % 3, y // 5], axis=1)
    for targets in (y, y > 4, both, np.eye(10)[y].astype(int), np.array(["a", "b"])[y % 2]):
        options = OPTIONS | {"shuffle": False, "scale": "standard"}
        model = fitted(DaskMLPClassifier(**options, n_shards=1, local_steps=None), rows, targets)
        expected = MLPClassifier(**options, n_threads=1).fit(rows, targets)
        np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-9)
        np.testing.assert_array_equal(model.predict(X[:50]), expected.predict(X[:50]))


# ---------------------------------------------------------------------- rounds and shards


def task(options=OPTIONS, dtype=np.float32, n_blocks=3):
    """The arguments of `local_train` for a small network."""
    model = MLPClassifier(**options).partial_fit(X.astype(dtype), y, classes=np.unique(y))
    config = FitConfig.of(model)
    plan, state = model._training_plan(model._state, config), model._state
    optimizer = Optimizer.fresh(config, state.params)
    start = rounds.LocalState(state.params, optimizer.moments, np.empty(0), 0, 1.0, optimizer.learning_rate, 1.0)
    specification = rounds.Specification(rounds.worker_config(config), plan, optimizer.hyperparams, None, False, 7)
    parts = zip(*(np.array_split(values, n_blocks) for values in (X.astype(dtype), y.astype(dtype)[:, None])), strict=True)
    return [rounds.PreparedRows(np.ascontiguousarray(rows), targets, None) for rows, targets in parts], start, specification


def test_local_training_is_a_pure_function():
    blocks, start, specification = task(OPTIONS | {"dropout": 0.2})
    arrays = [start.params, start.moments, *(array for block in blocks for array in block[:2])]
    for array in arrays:
        array.flags.writeable = False
    before = [array.copy() for array in arrays]
    first = local_train(blocks, start, specification, 4, 1, 2)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    again = local_train(*pickle.loads(pickle.dumps((blocks, start, specification))), 4, 1, 2)
    np.testing.assert_array_equal(first.state.params, again.state.params)
    assert first.loss == again.loss
    assert first.n_rows == 192
    joined = [rounds.PreparedRows(X.astype(np.float32), y.astype(np.float32)[:, None], None)]
    whole = local_train(joined, start, specification, 4, 1, 2)
    np.testing.assert_array_equal(first.state.params, whole.state.params)
    for other in ((5, 1, 2), (4, 0, 2), (2, 1, 1)):
        assert (local_train(blocks, start, specification, *other).state.params != first.state.params).any()


def test_local_training_on_sparse_blocks_agrees_with_dense_blocks():
    blocks, start, specification = task(dtype=np.float64)
    dense = local_train(blocks, start, specification, 1, 0, 3)
    sparse = local_train([block._replace(X=sp.csr_array(block.X)) for block in blocks], start, specification, 1, 0, 3)
    np.testing.assert_allclose(sparse.state.params, dense.state.params, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("local_steps", [None, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("rows_of_shards", [[400], [7, 1000, 33], [1, 1, 1], [64, 65, 63]])
def test_each_row_is_used_once_in_an_epoch(local_steps, rows_of_shards):
    n_parts = rounds.n_rounds_of_epoch(32, rows_of_shards, local_steps)
    for shard, n_rows in enumerate(rows_of_shards):
        ranges = [rounds.range_of_round(32, n_rows, part, n_parts) for part in range(n_parts)]
        assert [n for first, last in ranges for n in range(first, last)] == list(range(n_rows))
        assert all(last - first <= 32 * (local_steps or 100) for first, last in ranges)
        assert all(first % 32 == 0 or first == n_rows for first, _ in ranges)
        orders = [rounds.order_of_epoch(0, epoch, shard, n_rows, True) for epoch in range(3)]
        assert all(sorted(order) == list(range(n_rows)) for order in orders)
    assert (rounds.order_of_epoch(0, 0, 0, 50, True) != rounds.order_of_epoch(0, 0, 1, 50, True)).any()
    assert (rounds.order_of_epoch(0, 0, 0, 50, True) != rounds.order_of_epoch(0, 1, 0, 50, True)).any()


def result(seed):
    draws = np.random.default_rng(seed)
    arrays = draws.normal(size=5).astype(np.float32), draws.normal(size=10).astype(np.float32), np.empty(0)
    return rounds.LocalResult(rounds.LocalState(*arrays, 3 + seed % 2, 0.5, 0.1, 1.0), 10, float(seed), 0.01)


@pytest.mark.parametrize("n_shards", [1, 2, 8, 9, 64, 70])
def test_average_is_the_weighted_mean(n_shards):
    results, n_rows = [result(n) for n in range(n_shards)], [1 + n % 5 for n in range(n_shards)]
    average = averaging.submit_average(SerialExecutor(), results, n_rows)
    for name in ("params", "moments"):
        stacked = np.stack([getattr(one.state, name) for one in results]).astype(np.float64)
        np.testing.assert_allclose(getattr(average, name), np.average(stacked, axis=0, weights=n_rows), rtol=1e-12)
    assert average.params.dtype == np.float64
    assert average.loss == pytest.approx(np.average(range(n_shards), weights=n_rows))
    assert average.step == (4 if n_shards > 1 else 3)
    if n_shards == 1:
        np.testing.assert_array_equal(average.params, results[0].state.params)


def test_outer_step():
    """Nesterov's momentum, written out for two rounds; without momentum, the parameters are the mean."""
    params, means = np.array([1.0, 2.0], np.float32), [np.array([1.5, 1.0]), np.array([2.0, 0.0])]
    assert averaging.OuterStep(1, 0, 2)(params, means[0]) is means[0]
    np.testing.assert_allclose(averaging.OuterStep(0.5, 0, 2)(params, means[0]), [1.25, 1.5])
    step = averaging.OuterStep(0.7, 0.9, 2)
    first = step(params, means[0])
    d = means[0] - params
    np.testing.assert_allclose(first, params + 0.7 * (d + 0.9 * d))
    velocity, d = 0.9 * d + means[1] - first, means[1] - first
    np.testing.assert_allclose(step(first, means[1]), first + 0.7 * (d + 0.9 * velocity))
    np.testing.assert_allclose(step.velocity, velocity)


class DisorderedExecutor(Executor):
    """Runs functions in threads, some of them twice, and starts them in a random order."""

    is_remote = False

    def __init__(self, seed):
        self.pool, self.draws = ThreadPoolExecutor(3), random.Random(seed)

    def load(self, parts):
        return [self.submit(pickle.loads, pickle.dumps(part)) for part in parts]

    def put(self, value):
        return self.submit(pickle.loads, pickle.dumps(value))

    def submit(self, function, *arguments):
        def run():
            values = [self._value(argument) for argument in arguments]
            return [function(*values) for _ in range(1 + (self.draws.random() < 0.2))][-1]

        return self.pool.submit(run) if self.draws.random() < 0.5 else run

    def _value(self, argument):
        if isinstance(argument, list):
            return [self._value(part) for part in argument]
        if hasattr(argument, "result"):
            return argument.result()
        return argument() if getattr(argument, "__qualname__", "").startswith("DisorderedExecutor") else argument

    def gather(self, handles):
        places = list(range(len(handles)))
        self.draws.shuffle(places)
        values = {place: self._value(handles[place]) for place in places}
        return [values[place] for place in range(len(handles))]

    def each_host(self, function, *arguments):
        self._value(self.submit(function, *arguments))

    def repeated(self, function):
        return function(0)


@pytest.mark.parametrize("options", [{}, {"outer_momentum": 0.9, "outer_learning_rate": 0.5, "batch_norm": True, "dropout": 0.1}])
def test_the_order_of_execution_does_not_change_the_result(options):
    options = OPTIONS | {"n_shards": 11, "local_steps": 1} | options
    expected = fitted(DaskMLPClassifier(**options), eval_set=(X, y))
    for seed in range(3):
        executor = DisorderedExecutor(seed)
        model = fitted(DaskMLPClassifier(**options), executor=executor, eval_set=(X, y))
        executor.pool.shutdown()
        assert_same_bits(model, expected)
        assert model.history_ == expected.history_


def test_shards_learn():
    """Averages of several shards reach the accuracy of one shard; averages of wrong rounds would not."""
    options = OPTIONS | {"max_iter": 40, "hidden_layer_sizes": (20,), "local_steps": 2}
    for own in ({"n_shards": 1}, {"n_shards": 4}, {"n_shards": 4, "outer_momentum": 0.5}):
        assert fitted(DaskMLPClassifier(**options | own)).score(X, y) > 0.95


# ---------------------------------------------------------------------- statistics and scores


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_merged_statistics_are_those_of_all_rows(kind):
    rows, weight = X + 5 * (kind is np.asarray), np.linspace(0, 2, 400)
    parts = [
        statistics.partition_statistics(kind(rows[some]), y[some], weight[some], of_classes=of_classes, with_moments=True)
        for of_classes in (True, False)
        for some in (slice(0, 1), slice(1, 1), slice(1, 150), slice(150, 400))
    ]
    of_labels, of_values = statistics.merged_statistics(parts[:4]), statistics.merged_statistics(parts[4:])
    np.testing.assert_array_equal(of_labels.labels[0], np.arange(10))
    np.testing.assert_allclose(of_labels.counts[0], np.bincount(y, weight))
    assert of_labels.n_rows == 400
    assert of_values.weight_sum == pytest.approx(weight.sum())
    np.testing.assert_array_equal(of_values.limits[:, 0], [0, 9])
    for moments, values in ((of_labels.inputs, rows), (of_values.targets, y[:, None])):
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(moments.squares / 400, values.var(axis=0), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(moments.two_rows().var(axis=0), values.var(axis=0), rtol=1e-9, atol=1e-14)


def test_partitions_of_different_kinds_are_errors():
    first = statistics.partition_statistics(X, y, None, of_classes=True, with_moments=False)
    for rows, targets in ((X[:, 1:], y), (sp.csr_matrix(X), y), (X, np.stack([y, y], 1))):
        with pytest.raises(ValueError, match="All partitions must have the same"):
            first.merged(statistics.partition_statistics(rows, targets, None, of_classes=True, with_moments=False))


def test_merged_scores_are_those_of_all_rows():
    draws = np.random.default_rng(0)
    targets, outputs, weight = draws.normal(size=(50, 2)) + 100, draws.normal(size=(50, 2)) + 100, draws.uniform(size=50)
    parts = [slice(0, 1), slice(1, 20), slice(20, 50)]
    merged = merged_scores([r2_block(targets[some], outputs[some], weight[some]) for some in parts])
    assert merged.value() == pytest.approx(r2_score(targets, outputs, sample_weight=weight))
    codes, rule = y[:50, None], ScoreRule("accuracy")
    probabilities = draws.uniform(size=(50, 10))
    merged = merged_scores([rule.of(codes[some], probabilities[some], weight[some]) for some in parts])
    assert merged.value() == pytest.approx(accuracy(codes, probabilities, weight))
    with pytest.raises(ValueError, match="weights whose sum is not 0"):
        merged_scores([rule.of(codes, probabilities, np.zeros(50))])


@pytest.mark.parametrize("n_shards", [None, 3, 100])
def test_arrays_in_memory_are_divided(n_shards):
    model = fitted(DaskMLPClassifier(**OPTIONS, n_shards=n_shards))
    assert model.n_shards_ == {None: 8, 3: 3, 100: 100}[n_shards]
    parts, reader = lazy_parts(3, X, y, None)
    assert [len(part[1]) for part in parts] == [133, 133, 134]
    assert reader == TableReader()


def test_warning_for_sorted_classes():
    order = np.argsort(y, kind="stable")
    with pytest.warns(UserWarning, match="The classes are not evenly distributed: in one shard, more than [3-9].% of the rows"):
        fitted(DaskMLPClassifier(**OPTIONS, n_shards=4), X[order], y[order])


# ---------------------------------------------------------------------- the file of the driver


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_after(n_epochs):
    def end(estimator, epoch, logs):
        if epoch == n_epochs:
            raise KilledError

    return end


RESUMED = [
    {"local_steps": 3},
    {"outer_momentum": 0.9, "outer_learning_rate": 0.7, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.1},
    {"early_stopping": True, "batch_norm": True, "ema_decay": 0.9, "dropout": 0.1, "max_iter": 6},
    {"learning_rate": "reduce_on_plateau", "tol": 0.5, "learning_rate_step": 1, "checkpoint_every": 2, "local_steps": 3},
]


@pytest.mark.parametrize("options", RESUMED, ids=lambda options: next(iter(options)))
def test_a_driver_that_continues_gives_the_same_bits(tmp_path, options):
    options, path = OPTIONS | {"n_shards": 3} | options, tmp_path / "driver.safetensors"
    expected = fitted(DaskMLPClassifier(**options), eval_set=(X, y))
    for n_epochs in (1, 3):
        with pytest.raises(KilledError):
            fitted(DaskMLPClassifier(**options, checkpoint=path, callbacks=killed_after(n_epochs)), eval_set=(X, y), resume=True)
    seen = []
    again = DaskMLPClassifier(**options, checkpoint=path, callbacks=lambda estimator, epoch, logs: seen.append(epoch))
    fitted(again, eval_set=(X, y), resume=True)
    assert_same_bits(again, expected)
    assert again.history_ == expected.history_
    assert again.best_validation_score_ == expected.best_validation_score_
    assert again.n_iter_ == expected.n_iter_
    assert seen[0] in (3, 4)
    assert b"pickle" not in path.read_bytes()


def test_files_that_do_not_belong_to_the_fit_are_errors(tmp_path):
    path = tmp_path / "driver.safetensors"
    model = fitted(DaskMLPClassifier(**OPTIONS, n_shards=3, checkpoint=str(path)))
    content = path.read_bytes()
    for change, message in (
        ({"alpha": 0.5}, "alpha was 0.0001 and is 0.5 now"),
        ({"n_shards": 2}, "n_shards was 3 and is 2 now"),
        ({"random_state": 1}, "random_state was 0 and is 1 now"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted(clone(model).set_params(**change), resume=True)
    with pytest.raises(ValueError, match="the number of features was 64 and is 63 now"):
        fitted(clone(model), X[:, 1:], y, resume=True)
    for damaged in (content[:-5], content[:100], b"", content.replace(b"losses", b"lossed"), content[:-1] + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="must be a file that the parameter checkpoint of a Dask estimator wrote"):
            fitted(clone(model), resume=True)
    fastbp.save(model.to_local(), path)
    with pytest.raises(ValueError, match="it contains an estimator"):
        fitted(clone(model), resume=True)
    path.unlink()
    assert_same_bits(fitted(clone(model), resume=True), model)  # without a file, a fit starts from the beginning
    with pytest.raises(ValueError, match="resume=True needs the parameter checkpoint"):
        fitted(clone(model).set_params(checkpoint=None), resume=True)
    with pytest.raises(FileNotFoundError):
        fitted(clone(model).set_params(checkpoint=tmp_path / "missing" / "file"))


def killed(model, **data):
    """Fit until the end of the second epoch."""
    with pytest.raises(KilledError):
        fitted(clone(model).set_params(callbacks=killed_after(2)), **data)


def test_a_changed_eval_set_is_an_error(tmp_path):
    model = DaskMLPClassifier(**OPTIONS, n_shards=3, early_stopping=True, checkpoint=tmp_path / "driver.safetensors")
    held_out, n_rows = (X[:90], y[:90]), "90 rows in 3 partitions"
    killed(model, eval_set=held_out)
    expected = fitted(clone(model).set_params(checkpoint=None), eval_set=held_out)
    others = [(X[:89], y[:89]), (X[:90], y[90:180]), (*held_out, np.arange(90))]
    for other in others:
        with pytest.raises(ValueError, match=rf"eval_set was {n_rows}.* and is .* rows in .* now\. Pass the same eval_set"):
            fitted(clone(model), eval_set=other, resume=True)
    assert_same_bits(fitted(clone(model), eval_set=held_out, resume=True), expected)
    model.set_params(early_stopping=False)
    killed(model, eval_set=held_out)
    with pytest.raises(ValueError, match=rf"eval_set was {n_rows}.* and is None now"):
        fitted(clone(model), resume=True)
    killed(model)
    with pytest.raises(ValueError, match=rf"eval_set was None and is {n_rows}"):
        fitted(clone(model), eval_set=held_out, resume=True)


def decreasing(epoch, progress):
    return 1 / (1 + epoch)


class Decreasing:
    def __init__(self, speed):
        self.speed = speed

    def __call__(self, epoch, progress):
        return 1 / (1 + self.speed * epoch)


def test_values_of_parameters_are_described_without_addresses():
    """Each pair is the same value in two processes, in which objects have different addresses."""

    def square(z):
        return z * z

    def again():
        return type(decreasing)(decreasing.__code__, globals(), "decreasing")

    pairs = [
        (decreasing, again()),
        (Decreasing(0.5), Decreasing(0.5)),
        (Decreasing(0.5).__call__, Decreasing(0.5).__call__),
        (functools.partial(decreasing, progress=1), functools.partial(again(), progress=1)),
        (fastbp.Activation(square), fastbp.Activation(type(square)(square.__code__, globals(), "square"))),
        (np.int64(100), 100),
        (np.float64(0.25), 0.25),
        (1, 1.0),
        ((np.int64(3), 4), [3, 4]),
        ({np.int64(1): 2.0, 0: 1}, {0: np.float32(1), 1: 2}),
        (np.zeros(3), np.zeros(3)),
        ("adam", "adam"),
    ]
    pairs[4][1].value.__qualname__ = square.__qualname__
    for one, other in pairs:
        assert one is not other or isinstance(one, str)
        assert described_value(one) == described_value(other)
        assert "0x" not in described_value(one)
    values = [one for one, _ in pairs] + [Decreasing(0.25), square, np.ones(3), np.zeros(2000), [3, 5], True, None, "None"]
    values += [list(range(5000)), [*range(4999), 0]]
    assert len({described_value(value) for value in values}) == len(values)


def test_a_fit_with_functions_continues_in_another_process(tmp_path):
    """Functions of the same names have other addresses after the process has been started again."""
    program = """
import sys, warnings
import fastbp
import numpy as np
from fastbp.dask import DaskMLPClassifier
warnings.simplefilter("ignore")

class Decreasing:
    def __call__(self, epoch, progress):
        return 1 / (1 + epoch)

def bent(z):
    return z / (1 + abs(z))

def end(estimator, epoch, logs):
    if epoch == 2 and sys.argv[2] == "kill":
        sys.exit(3)

held = [object() for _ in range(int(sys.argv[3]))]  # moves the addresses
schedule = Decreasing() if sys.argv[4] == "object" else lambda epoch, progress: 1 / (1 + epoch)
model = DaskMLPClassifier((3,), max_iter=4, random_state=0, learning_rate=schedule, activation=fastbp.Activation(bent))
model.set_params(checkpoint=sys.argv[1], callbacks=end, n_shards=2)
X = np.random.default_rng(0).normal(size=(60, 3))
model._fit_on(__import__("fastbp._distributed.executors", fromlist=[""]).SerialExecutor(), (X, (X[:, 0] > 0) * 1, None), None, True)
print(model.n_iter_)
"""
    for kind in ("object", "function"):
        path = str(tmp_path / kind)
        first, second = (
            subprocess.run([sys.executable, "-c", program, path, *arguments, kind], capture_output=True, text=True, check=False)
            for arguments in (("kill", "0"), ("continue", "100000"))
        )
        assert first.returncode == 3, first.stderr
        assert second.stdout == "4\n", second.stderr


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": name} for name in ("cosine", "linear_warmup_cosine", "one_cycle", "exponential", "coslog4", "flat_cosine")]
    + [{"learning_rate": decreasing}, {"weight_decay": 0.1, "solver": "adamw", "regularization_schedule": "cosine"}],
    ids=lambda options: str(list(options.values())[-1])[:20],
)
def test_schedules_that_depend_on_a_changed_max_iter_are_errors(tmp_path, options):
    model = DaskMLPClassifier(**OPTIONS | options, n_shards=3, checkpoint=tmp_path / "driver.safetensors")
    killed(model)
    for max_iter in (3, 6):
        message = rf"learning_rate_horizon \(None means max_iter\) was 4 and is {max_iter} now.*Set learning_rate_horizon=4"
        with pytest.raises(ValueError, match=message):
            fitted(clone(model).set_params(max_iter=max_iter), resume=True)
    longer = clone(model).set_params(max_iter=6, learning_rate_horizon=4)
    assert_same_bits(fitted(longer, resume=True), fitted(clone(longer)))


@pytest.mark.parametrize("options", [{}, {"learning_rate": "step"}, {"learning_rate": "adaptive", "solver": "sgd"}])
def test_other_schedules_continue_with_another_max_iter(tmp_path, options):
    model = DaskMLPClassifier(**OPTIONS | options, n_shards=3, local_steps=2, checkpoint=tmp_path / "driver.safetensors")
    for max_iter in (2, 3, 6):
        other = clone(model).set_params(max_iter=max_iter)
        killed(model)
        assert_same_bits(fitted(other, resume=True), fitted(clone(other)))
    with pytest.raises(ValueError, match=r"max_iter must be at least 6 for resume=True, the number of epochs .* got 5"):
        fitted(clone(model).set_params(max_iter=5), resume=True)


# ---------------------------------------------------------------------- the estimators


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs"}, "solver='lbfgs' is not supported by DaskMLPClassifier"),
        ({"warm_start": True}, r"warm_start=True is not supported by DaskMLPClassifier\. Set the parameter checkpoint"),
        ({"missing": "indicator"}, r"missing='indicator' is not supported by DaskMLPClassifier\. Replace missing values"),
        ({"scale": "robust"}, "scale='robust'"),
        ({"scoring": "roc_auc"}, "scoring='roc_auc'"),
        ({"early_stopping": True}, "Pass eval_set="),
        ({"weight_init": "data"}, "weight_init='data'"),
        ({"checkpoint": "x", "random_state": None}, "random_state must be an int"),
        ({"n_shards": 0}, "'n_shards' parameter"),
        ({"outer_momentum": 1}, "'outer_momentum' parameter"),
        ({"local_steps": 0}, "'local_steps' parameter"),
    ],
)
def test_parameters_that_are_not_supported(options, message):
    model = DaskMLPClassifier(**OPTIONS | options)
    with pytest.raises(ValueError, match=message):
        fitted(model)
    assert not hasattr(model, "coefs_")


def test_parameters_are_those_of_the_other_estimators():
    for kind, base in ((DaskMLPClassifier, MLPClassifier), (DaskMLPRegressor, MLPRegressor)):
        own, others = kind().get_params(), base().get_params()
        assert own.items() >= others.items()
        added = {"client", "n_shards", "local_steps", "outer_learning_rate", "outer_momentum", "checkpoint", "checkpoint_every"}
        assert own.keys() - others.keys() == {*added, "worker_timeout"}
    assert DaskMLPClassifier((3,), "tanh").get_params()["activation"] == "tanh"
    assert DaskMLPRegressor("poisson", 4).hidden_layer_sizes == 4
    for arguments, options in (((1, "relu", 3), {}), ((), {"hidden": 3}), ((1,), {"hidden_layer_sizes": 2})):
        with pytest.raises(TypeError, match="unexpected arguments"):
            DaskMLPClassifier(*arguments, **options)


def test_a_client_is_neither_copied_nor_pickled():
    class Connection:
        def __reduce__(self):
            raise TypeError("cannot be copied")

    model = fitted(DaskMLPClassifier(**OPTIONS))
    model.client = Connection()
    assert clone(model).client is model.client
    assert pickle.loads(pickle.dumps(model)).client is None
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    with pytest.raises(TypeError, match=r"Save the result of its method to_local\(\)"):
        fastbp.save(model, "unused")
    local = model.to_local()
    assert type(local) is MLPClassifier
    assert set(local.get_params()) == set(MLPClassifier().get_params())
    assert local.partial_fit(X, y).n_iter_ == 1
    assert model.coefs_[0] is not local.coefs_[0]


@pytest.mark.parametrize("package", ["dask", "distributed"])
def test_missing_packages_are_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[dask\]'"):
        DaskMLPClassifier().fit(X, y)


def test_divergence_and_zero_weights_are_errors():
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        fitted(DaskMLPRegressor(solver="sgd", learning_rate_init=1e8, n_shards=2, random_state=0), X, y * 1e6)
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        fitted(DaskMLPClassifier(**OPTIONS), weight=np.zeros(400))
    weight = np.repeat([0.0, 1.0], [100, 300])  # two of eight partitions have no weight
    model = fitted(DaskMLPClassifier(**OPTIONS, sample_weight_norm="global"), weight=weight, eval_set=(X, y, weight))
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X, y, weight))


@pytest.mark.parametrize("missing", [None, np.nan, "NA"])
def test_missing_labels_are_errors(missing):
    if missing == "NA":
        missing = pytest.importorskip("pandas").NA
    labels = np.array(["a", "b"], object)[y % 2]
    labels[250] = missing
    for model, targets in ((DaskMLPClassifier(), labels), (DaskMLPClassifier(), np.stack([labels, labels], 1))):
        with pytest.raises(ValueError, match=r"y must not contain missing values .* Remove their rows"):
            fitted(model, X, targets)
    with pytest.raises(ValueError, match="y must not contain missing values"):
        fitted(DaskMLPClassifier(**OPTIONS), X, np.array(["a", "b"])[y % 2], eval_set=(X, labels))
    model = MLPClassifier(**OPTIONS).fit(X, np.array(["a", "b"])[y % 2])
    with pytest.raises(ValueError, match="y must not contain missing values"):
        score_part((X, labels, None), model, TableReader())
    for kind in (DaskMLPClassifier, DaskMLPRegressor):
        with pytest.raises(ValueError, match="y must not contain missing values"):
            fitted(kind(), X, np.where(y == 3, np.nan, y))


@pytest.mark.parametrize("norm", ["batch", "global"])
def test_partitions_without_weight(norm):
    """Batches of weight 0 are errors as in one process, unless the whole partition has no weight."""
    options = OPTIONS | {"sample_weight_norm": norm}
    weight = np.repeat([0.0, 1.0], [100, 300])
    model = fitted(DaskMLPClassifier(**options), weight=weight)  # two of eight partitions have no weight
    assert model.n_shards_ == (6 if norm == "batch" else 8)
    if norm == "batch":
        assert_same_bits(model, fitted(DaskMLPClassifier(**options, n_shards=6), X[100:], y[100:], np.ones(300)))
        weight = np.repeat([0.0, 1.0], [80, 320])  # two of twelve batches
        for estimator in (MLPClassifier(**options, shuffle=False), DaskMLPClassifier(**options, shuffle=False, n_shards=1)):
            with pytest.raises(ZeroDivisionError, match="the sample weights of a batch must not sum to 0"):
                fitted(estimator, weight=weight) if hasattr(estimator, "client") else estimator.fit(X, y, weight)


def test_the_first_row_may_have_no_weight():
    """A cluster first compiles the kernels with this row."""
    weight = np.where(np.arange(400) == 0, 0.0, 1.0)
    executor = DisorderedExecutor(0)
    model = fitted(DaskMLPClassifier(**OPTIONS), weight=weight, executor=executor)
    executor.pool.shutdown()
    assert_same_bits(model, fitted(DaskMLPClassifier(**OPTIONS), weight=weight))


def test_incremental_methods_are_not_available():
    for model in (DaskMLPClassifier(**OPTIONS), DaskMLPRegressor(**OPTIONS), fitted(DaskMLPClassifier(**OPTIONS))):
        for name in ("partial_fit", "fit_batches"):
            assert not hasattr(model, name)
            with pytest.raises(
                AttributeError, match=rf"has no method {name}.* Use fit, or after a fit to_local\(\)\.{name}\("
            ) as error:
                getattr(model, name)
            assert error.value.name == name
    assert hasattr(model.to_local(), "partial_fit")
