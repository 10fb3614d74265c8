"""``fit_batches``: training on a stream has the same bits as ``fit``, and nothing is lost if the source fails.

The order of the rows of a shuffled stream is compared with a slow implementation that uses lists of rows.
"""

import _thread
import pickle
import threading
import time
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastbp import Checkpoint, MLPClassifier, MLPRegressor, load, load_checkpoint, save
from fastbp._streams.segments import EncodedRows, RowBuffer, SegmentReader, Shuffling, rechunked, whole_batches
from fastbp._streams.sources import Block, StreamSource

RANDOM = np.random.RandomState(0)
N_ROWS = 530
X = RANDOM.normal(size=(N_ROWS, 5))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] * X[:, 2] > 0.3)
Y = {MLPClassifier: np.array(["a", "b", "c"])[CODES], MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
WEIGHT = RANDOM.uniform(0.1, 2, N_ROWS)
SMALL = {"hidden_layer_sizes": (6,), "batch_size": 16, "learning_rate_init": 0.01, "random_state": 0, "n_iter_no_change": 1000}
CLASSES = {MLPClassifier: ["a", "b", "c"], MLPRegressor: None}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def stream(*arrays, size=50, fails=None):
    """A source of blocks of `size` rows; `fails` are the number of a call and of a block, before which an error is raised."""
    calls = []

    def read():
        calls.append(len(calls))
        for start in range(0, len(arrays[1]), size):
            if fails == (calls[-1], start // size):
                raise OSError("the disk is full")
            yield tuple(array[start : start + size] for array in arrays)

    read.calls = calls
    return read


def data_of(kind, weighted=False, dtype=float):
    return (X.astype(dtype), Y[kind], *([WEIGHT] if weighted else []))


def trained(kind, source=None, *, epochs=4, shuffle_buffer=100, **params):
    """A model that was trained on a stream."""
    options = {"epochs": epochs, "shuffle_buffer": shuffle_buffer}
    options |= {name: params.pop(name) for name in ("validation", "classes") if name in params}
    return kind(**SMALL | params).fit_batches(source or stream(*data_of(kind)), **{"classes": CLASSES[kind]} | options)


def arrays_of(model):
    moments = [] if model._state is None else [model._optimizer.moments, model._state.params]
    return [*model.coefs_, *model.intercepts_, *moments]


def assert_same(one, other, *, but=()):
    """Two models have the same bits."""
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    names = ("loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "best_loss_", "t_", "history_")
    for name in (*names, "_no_improvement_count"):
        assert name in but or getattr(one, name) == getattr(other, name), name


def assert_close(one, other, rtol=1e-9):
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        assert_allclose(a, b, rtol=rtol, atol=rtol)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)


# ---------------------------------------------------------------------- the same numbers as in `fit`

PARAMS = {
    "adam": {},
    "sgd": {"solver": "sgd", "momentum": 0.9},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.3},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "cosine": {"learning_rate": "cosine", "learning_rate_horizon": 9},
    "function": {"learning_rate": lambda epoch, progress: 1 / (1 + epoch)},
    "dropout": {"dropout": [0.1, 0.3], "input_noise": 0.1},
    "batch_norm": {"batch_norm": True},
    "ema": {"ema_decay": 0.9, "weight_decay": 0.1, "solver": "adamw"},
    "penalties": {"l1": 0.01, "clip_norm": 0.5, "max_norm": 1.0},
    "smaller batches": {"batch_size": 7},
    "one batch": {"batch_size": N_ROWS},
    "stops early": {"tol": 10.0, "n_iter_no_change": 2},
}


@few_epochs
@each_kind
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
@pytest.mark.parametrize(("weighted", "dtype", "n_threads"), [(False, "float64", 1), (True, "float32", 2)])
def test_an_epoch_in_order_has_the_bits_of_fit(kind, params, weighted, dtype, n_threads):
    params = SMALL | params | {"shuffle": False, "n_threads": n_threads}
    data = data_of(kind, weighted, dtype)
    whole = kind(**params, max_iter=5).fit(*data)
    parts = trained(kind, stream(*data, size=37), epochs=5, **params)
    assert_same(parts, whole)
    assert parts.n_iter_ == whole.n_iter_
    assert_array_equal(parts.predict(X.astype(dtype)), whole.predict(X.astype(dtype)))


@few_epochs
@given(st.lists(st.integers(1, 90), min_size=1), st.integers(1, 700), st.integers(1, 40), st.integers(1, 3))
def test_an_epoch_in_order_does_not_depend_on_blocks_and_buffer(sizes, shuffle_buffer, batch_size, n_shares):
    def read():
        start = n = 0
        while start < N_ROWS:
            stop = start + sizes[n % len(sizes)]
            yield X[start:stop], Y[MLPRegressor][start:stop]
            start, n = stop, n + 1

    params = SMALL | {"shuffle": False, "batch_size": batch_size, "n_shares": n_shares}
    whole = MLPRegressor(**params, max_iter=2).fit(X, Y[MLPRegressor])
    assert_same(MLPRegressor(**params).fit_batches(read, epochs=2, shuffle_buffer=shuffle_buffer), whole)


@few_epochs
def test_sparse_blocks():
    dense = np.where(X > 0.8, X, 0)
    rows = sp.csr_array(dense)
    whole = MLPRegressor(**SMALL, shuffle=False, max_iter=3).fit(rows, Y[MLPRegressor])
    assert_same(trained(MLPRegressor, stream(rows, Y[MLPRegressor], size=61), epochs=3, shuffle=False), whole)
    columns = [(sp.csc_array(dense[:300]), Y[MLPRegressor][:300]), (rows[300:], Y[MLPRegressor][300:])]
    assert_same(trained(MLPRegressor, columns, epochs=3, shuffle=False), whole)


@few_epochs
@each_kind
@pytest.mark.parametrize("early_stopping", [False, True])
def test_validation(kind, early_stopping):
    held_out = X[:50], Y[kind][:50], WEIGHT[:50]
    names = ("X_val", "y_val", "sample_weight_val")
    params = SMALL | {"shuffle": False, "early_stopping": early_stopping, "n_iter_no_change": 2, "tol": 0.01}
    whole = kind(**params, max_iter=30).fit(*data_of(kind), **dict(zip(names, held_out, strict=True)))
    source = stream(*held_out, size=20)
    for validation in (held_out, list(held_out), source, [block for block in source()]):
        assert_same(trained(kind, epochs=30, validation=validation, **params), whole)


@few_epochs
def test_classes_are_found_and_may_be_missing_in_blocks():
    labels = np.sort(Y[MLPClassifier])
    whole = MLPClassifier(**SMALL, shuffle=False, max_iter=2).fit(X, labels)
    source = stream(X, labels, size=30)
    assert_same(trained(MLPClassifier, source, epochs=2, shuffle=False, classes=None), whole)
    assert len(source.calls) == 3  # one call for the classes
    given = trained(MLPClassifier, stream(X, labels), classes=["a", "b", "c", "d"])
    assert given.classes_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match=r"Block 0 of source.*`y` has classes not in"):
        trained(MLPClassifier, stream(X, labels), classes=["b", "c"])


@few_epochs
@pytest.mark.parametrize("y", [np.stack([X[:, 0] > 0, X[:, 1] > 0], 1).astype(int), np.stack([CODES, CODES[::-1]], 1)])
def test_several_outputs(y):
    whole = MLPClassifier(**SMALL, shuffle=False, max_iter=2).fit(X, y)
    assert_same(trained(MLPClassifier, stream(X, y), epochs=2, shuffle=False, classes=None), whole)


@few_epochs
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "params",
    [
        {"class_weight": "balanced"},
        {"class_weight": {"a": 2.0}},
        {"sample_weight_norm": "global"},
        {"sample_weight_norm": "global", "class_weight": "balanced"},
        {"sample_weight_norm": "global", "class_weight": {"a": 2.0, "b": 0.5}},
    ],
)
def test_weights_that_need_all_rows(params, weighted):
    data = data_of(MLPClassifier, weighted)
    whole = MLPClassifier(**SMALL, **params, shuffle=False, max_iter=3).fit(*data)
    assert_close(trained(MLPClassifier, stream(*data), epochs=3, shuffle=False, **params), whole)


def with_missing(X):
    X = X.copy()
    X[::7, 1] = X[5, 3] = np.nan
    return X


@few_epochs
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind_of_X", ["dense", "sparse", "missing", "missing and sparse"])
@pytest.mark.parametrize(
    "params",
    [
        {"scale": "standard"},
        {"scale_y": "standard"},
        {"scale": "standard", "scale_y": "standard", "clip_predictions": True},
        {"scale_y": "standard", "out_activation": "relu"},
        {"scale_y": "standard", "out_activation": "exp"},
    ],
    ids=str,
)
def test_scaling_from_a_first_pass(params, kind_of_X, dtype):
    rows = np.hstack([X, np.full((N_ROWS, 1), 3.0)]) * [1, 10, 0.1, 1, 5, 1] + [0, 3, -2, 0, 100, 0]
    if "missing" in kind_of_X:
        rows, params = with_missing(rows), params | {"missing": "indicator"}
    rows = rows.astype(dtype)
    if "sparse" in kind_of_X:
        rows = sp.csr_array(np.where(np.abs(rows) < 0.5, 0, rows))
    y = Y[MLPRegressor] + 20
    whole = MLPRegressor(**SMALL, **params, shuffle=False, max_iter=3).fit(rows, y)
    parts = trained(MLPRegressor, stream(rows, y), epochs=3, shuffle=False, **params)
    tolerance = 1e-7 if dtype == "float64" else 2e-3
    for a, b in zip([*parts.coefs_, *parts.intercepts_], [*whole.coefs_, *whole.intercepts_], strict=True):
        assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    if "clip_predictions" in params:
        assert_array_equal(parts.y_range_, whole.y_range_)


def test_scaling_does_not_depend_on_blocks():
    rows = np.random.RandomState(0).normal(size=(20000, 3)) * [1, 100, 1e-3] + [1e4, 0, 1]
    y = rows[:, 0]
    models = [trained(MLPRegressor, stream(rows, y, size=size), epochs=1, scale="standard") for size in (123, 20000)]
    assert_same(*models)
    assert_allclose(models[0]._state.preparation.scaling.inputs.scale, StandardScaler().fit(rows).scale_, rtol=1e-12)


def test_class_weights_of_batches():
    """The weights of the rows are multiplied by those of the classes."""
    rows = {"class_weight": {"a": 3.0, "b": 1.0, "c": 0.5}}
    weight = WEIGHT * np.array([3.0, 1.0, 0.5])[CODES]
    one = trained(MLPClassifier, stream(*data_of(MLPClassifier, weighted=True)), **rows)
    assert_close(one, trained(MLPClassifier, stream(X, Y[MLPClassifier], weight)))


# ---------------------------------------------------------------------- the order of the rows


def naive_order(n_rows, capacity, seed, epoch, parts=None):
    """The numbers of the rows of an epoch in the order in which they are trained, by lists.

    ``parts`` are the lists of row numbers of the parts of a source that can be reordered.
    """

    def permuted(values, number):
        generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch, number])))
        return [values[i] for i in generator.permutation(len(values))]

    rows = list(range(n_rows))
    if parts is not None:
        rows = [row for part in permuted(parts, 2**32 - 1) for row in part]
    order = []
    for number, start in enumerate(range(0, len(rows), capacity)):
        order += permuted(rows[start : start + capacity], number)
    return order


class Numbers(StreamSource):
    """A source whose rows are their own numbers."""

    def __init__(self, sizes, movable):
        super().__init__()
        ends = np.cumsum(sizes).tolist()
        self.ranges = [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
        self.n_parts = len(sizes) if movable else None
        self.part_sizes = list(sizes) if movable == "sized" else None

    def _read(self, parts, with_features):
        for n in range(len(self.ranges)) if parts is None else parts:
            numbers = np.array(self.ranges[n])
            yield Block(f"Block {n}", numbers[:, None], numbers[:, None])


def orders_of(source, shuffling, epochs, first_row=0):
    """The row numbers of each epoch, as the segments of a reader have them."""
    reader = SegmentReader(source, lambda block: EncodedRows(block.X, block.y, None), shuffling, epochs, first_row)
    orders, n_skipped = {}, {epochs[0]: first_row // shuffling.capacity * shuffling.capacity}
    for segment in reader(lambda: RowBuffer(shuffling.capacity, float)):
        rows = orders.setdefault(segment.epoch, [])
        assert segment.first_row == len(rows) + n_skipped.get(segment.epoch, 0)
        rows += segment.rows.y[segment.order, 0].astype(int).tolist()
        assert_array_equal(segment.rows.X, segment.rows.y)
        assert segment.is_last == (segment.first_row + len(segment.order) == sum(map(len, source.ranges)))
    return orders


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    capacity=st.integers(1, 200),
    seed=st.one_of(st.none(), st.integers(0, 2**31)),
    movable=st.sampled_from([False, True, "sized"]),
    data=st.data(),
)
def test_order_of_rows_is_that_of_the_naive_implementation(sizes, capacity, seed, movable, data):
    source, shuffling = Numbers(sizes, movable), Shuffling(capacity, seed)
    n_rows = sum(sizes)
    orders = orders_of(source, shuffling, range(2, 4))
    expected = {}
    for epoch in (2, 3):
        parts = source.ranges if movable else None
        expected[epoch] = list(range(n_rows)) if seed is None else naive_order(n_rows, capacity, seed, epoch, parts)
        assert sorted(orders[epoch]) == list(range(n_rows))
    assert orders == expected
    first_row = data.draw(st.integers(0, n_rows - 1))
    start = first_row // capacity * capacity
    later = orders_of(source, shuffling, range(2, 4), first_row)
    assert later == {2: expected[2][start:], 3: expected[3]}


def test_whole_batches():
    assert [whole_batches(n, 16) for n in (1, 16, 17, 65536)] == [16, 16, 32, 65536]


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(1, 20), st.booleans())
def test_rechunked_keeps_the_rows(sizes, n_rows, is_sparse):
    numbers = np.arange(1, sum(sizes) + 1)
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    blocks = [EncodedRows(sp.csr_array(part[:, None]) if is_sparse else part[:, None], part, None) for part in parts]
    pieces = list(rechunked(blocks, n_rows))
    assert [len(piece.y) for piece in pieces[:-1]] == [n_rows] * len(pieces[:-1])
    assert np.concatenate([piece.y for piece in pieces] or [[]]).tolist() == numbers.tolist()
    for piece in pieces:
        dense = piece.X.toarray() if is_sparse else piece.X
        assert_array_equal(dense[:, 0], piece.y)
        assert piece.weight is None


@few_epochs
@pytest.mark.parametrize("movable", [False, True])
def test_training_uses_the_rows_in_this_order(movable):
    """Each epoch has the bits of an epoch of ``fit`` with the rows in the order of the naive implementation."""
    rows, y, size = X, Y[MLPRegressor], 60
    source = list(stream(rows, y, size=size)()) if movable else stream(rows, y, size=size)
    model = trained(MLPRegressor, source, epochs=3, shuffle_buffer=100)
    seed, capacity = (model._state.resume.segments[name] for name in ("seed", "capacity"))
    assert capacity == 112
    numbers = np.arange(N_ROWS)
    parts = [list(numbers[start : start + size]) for start in range(0, N_ROWS, size)] if movable else None
    expected = MLPRegressor(**SMALL, shuffle=False, max_iter=1, warm_start="resume")
    for epoch in range(3):
        order = naive_order(N_ROWS, capacity, seed, epoch, parts)
        expected.fit(rows[order], y[order])
    assert_same(model, expected)


@few_epochs
@each_kind
@given(sizes=st.lists(st.integers(1, 200), min_size=1), shuffle_buffer=st.sampled_from([64, 10**6]))
def test_the_result_does_not_depend_on_the_sizes_of_the_blocks(kind, sizes, shuffle_buffer):
    data = data_of(kind, weighted=True)

    def read():
        start = n = 0
        while start < N_ROWS:
            stop = start + sizes[n % len(sizes)]
            yield tuple(array[start:stop] for array in data)
            start, n = stop, n + 1

    one = trained(kind, read, epochs=2, shuffle_buffer=shuffle_buffer, classes=None)
    assert_same(one, trained(kind, stream(*data, size=N_ROWS), epochs=2, shuffle_buffer=shuffle_buffer))


def test_random_state_determines_the_order():
    models = [trained(MLPRegressor, shuffle_buffer=10**6, random_state=seed) for seed in (1, 1, 2)]
    assert_same(models[0], models[1])
    assert models[0].loss_curve_ != models[2].loss_curve_


@few_epochs
def test_initial_values_from_data_do_not_depend_on_blocks():
    params = {"weight_init": "data", "bias_init": "data", "epochs": 1}
    data = np.tile(X, (10, 1)), np.tile(Y[MLPRegressor], 10)
    assert_same(*[trained(MLPRegressor, stream(*data, size=size), **params) for size in (50, 5300)])


# ---------------------------------------------------------------------- failures and continuation

CONTINUED = {
    "adam": {},
    "dropout": {"dropout": 0.2},
    "cosine": {"learning_rate": "cosine"},
    "early stopping": {"early_stopping": True, "validation": (X[:60], Y[MLPRegressor][:60])},
    "batch_norm": {"batch_norm": True, "ema_decay": 0.9},
    "scaled": {"scale": "standard", "scale_y": "standard"},
    "in order": {"shuffle": False},
    "weighted": {"sample_weight_norm": "global"},
    "list": {},
}


def read_again(model, source, n_left, **options):
    model = pickle.loads(pickle.dumps(model))
    return model.fit_batches(source, **{"epochs": n_left, "shuffle_buffer": 100, **options})


@few_epochs
@pytest.mark.parametrize("name", CONTINUED)
@pytest.mark.parametrize("block", [3, 7, 10])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_source_that_fails_loses_nothing(name, block, epoch):
    params = CONTINUED[name] | {"warm_start": "resume"}
    data = data_of(MLPRegressor, weighted=name == "weighted")
    source, again = stream(*data), stream(*data)
    if name == "list":
        again = list(again())
    whole = trained(MLPRegressor, again, **params)
    options = {"validation": params.pop("validation")} if "validation" in params else {}
    n_calls_before = {"cosine": 1, "scaled": 1, "weighted": 1}.get(name, 0)
    source = stream(*data, fails=(epoch + n_calls_before, block))
    if name == "list":
        source = FailingList(list(stream(*data)()), n_good=11 * epoch + block)
    model = MLPRegressor(**SMALL | params)
    with pytest.raises(OSError, match="the disk is full") as caught:
        model.fit_batches(source, epochs=4, shuffle_buffer=100, **options)
    assert model.n_iter_ == epoch
    assert len(model.loss_curve_) == epoch
    assert np.isfinite(model.predict(X)).all()
    if name != "list":  # whose last block has fewer rows and is not always the last one
        assert model._state.resume.progress["row"] == (block * 50 - 1) // 112 * 112
    assert (
        f"set warm_start='resume' with set_params and call fit_batches again with epochs={4 - epoch}." in caught.value.__notes__[-1]
    )
    assert_same(read_again(model, again, 4 - epoch, **options), whole)


class FailingList(list):
    """A list of blocks that can be read a limited number of times."""

    def __init__(self, blocks, n_good):
        super().__init__(blocks)
        self.n_left = n_good + 1  # the first block is read once more, before training

    def __getitem__(self, n):
        self.n_left -= 1
        if self.n_left < 0:
            raise OSError("the disk is full")
        return super().__getitem__(n)


def test_without_a_trained_batch_the_estimator_is_unchanged():
    model = MLPRegressor(**SMALL)
    with pytest.raises(OSError, match="the disk is full"):
        model.fit_batches(stream(*data_of(MLPRegressor), fails=(0, 1)), epochs=2, shuffle_buffer=100)
    assert not hasattr(model, "coefs_")
    model = trained(MLPRegressor, warm_start="resume")
    before = pickle.loads(pickle.dumps(model))
    with pytest.raises(OSError, match="the disk is full"):
        model.fit_batches(stream(*data_of(MLPRegressor), fails=(0, 1)), epochs=2, shuffle_buffer=100)
    assert_same(model, before)


@few_epochs
@pytest.mark.parametrize(
    "changed", [{"early_stopping": True, "validation": (X, Y[MLPRegressor])}, {"batch_norm": True}, {}], ids=str
)
def test_two_calls_that_resume_equal_one_call(changed, tmp_path):
    whole = trained(MLPRegressor, epochs=7, warm_start="resume", **changed)
    options = {"validation": changed["validation"]} if "validation" in changed else {}
    model = trained(MLPRegressor, epochs=3, warm_start="resume", **changed)
    path = tmp_path / "model.safetensors"
    save(model, path)
    for copy in (model, load(path)):
        assert_same(read_again(copy, stream(*data_of(MLPRegressor)), 4, **options), whole)


def test_resume_checks_the_previous_fit():
    source, model = stream(*data_of(MLPRegressor)), trained(MLPRegressor, warm_start="resume")
    with pytest.raises(ValueError, match=r"shuffle_buffer was\s112 after rounding.*now it is 208. Restore shuffle_buffer"):
        model.fit_batches(source, epochs=1, shuffle_buffer=200)
    with pytest.raises(ValueError, match=r"was a call of fit_batches, but fit was called. Call fit_batches"):
        model.fit(X, Y[MLPRegressor])
    with pytest.raises(ValueError, match="validation of the previous fit"):
        model.set_params(early_stopping=True).fit_batches(source, shuffle_buffer=100, validation=data_of(MLPRegressor))
    model = MLPRegressor(**SMALL, max_iter=1, warm_start="resume", tol=10)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y[MLPRegressor])
    with pytest.raises(ValueError, match=r"was a call of fit, but fit_batches was called. Call fit,"):
        model.fit_batches(source, epochs=1)


def test_damaged_numbers_of_a_pickle_are_refused():
    model = trained(MLPRegressor, warm_start="resume")
    model._state.resume.progress["row"] = -16
    with pytest.raises(ValueError, match="is damaged"):
        read_again(model, stream(*data_of(MLPRegressor)), 1)


@few_epochs
def test_warm_start_continues_from_the_weights():
    source = stream(*data_of(MLPRegressor))
    model = trained(MLPRegressor, source, epochs=2, shuffle=False, warm_start=True)
    model.fit_batches(source, epochs=3, shuffle_buffer=100)
    other = MLPRegressor(**SMALL, shuffle=False, warm_start=True, max_iter=2).fit(X, Y[MLPRegressor])
    assert_same(model, other.set_params(max_iter=3).fit(X, Y[MLPRegressor]))
    other.partial_fit(X, Y[MLPRegressor])


def test_a_new_fit_forgets_classes_and_features():
    model = trained(MLPClassifier)
    model.fit_batches(stream(X[:, :2], CODES), epochs=1)
    assert (model.n_features_in_, model.classes_.tolist(), model.n_iter_) == (2, [0, 1, 2], 1)


def ctrl_c():
    """Interrupt the main thread as Ctrl-C does."""
    _thread.interrupt_main()
    time.sleep(0.3)


@few_epochs
@pytest.mark.parametrize("block", [4, 9])
def test_ctrl_c_keeps_the_model(block):
    """The signal arrives while the thread reads; the main thread trains, or waits for rows."""
    data, calls = data_of(MLPRegressor), []

    def read():
        calls.append(0)
        for n, rows in enumerate(stream(*data)()):
            if (len(calls), n) == (2, block):
                ctrl_c()
            yield rows

    model = MLPRegressor(**SMALL, warm_start="resume")
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit_batches(read, epochs=4, shuffle_buffer=100)
    n_left = 4 - model.n_iter_
    assert 1 <= n_left <= 3
    assert_same(read_again(model, stream(*data), n_left), trained(MLPRegressor, stream(*data), warm_start="resume"))


def read_ahead_threads():
    return [thread for thread in threading.enumerate() if thread.name == "fastbp-read-ahead"]


@few_epochs
@pytest.mark.parametrize("end", ["normal", "converged", "callback", "error of a callback", "error of the source", "max_time"])
def test_the_thread_ends_and_closes_the_source(end):
    closed, data = [], data_of(MLPRegressor)

    def read():
        try:
            for n, rows in enumerate(stream(*data)()):
                if end == "error of the source" and n == 8:
                    raise OSError("the disk is full")
                yield rows
        finally:
            closed.append(threading.current_thread().name)

    def callback(estimator, epoch, logs):
        if end == "error of a callback":
            raise RuntimeError("a mistake")
        return end == "callback"

    params = {"converged": {"tol": 100.0, "n_iter_no_change": 1}, "max_time": {"max_time": 1e-9}}.get(end, {})
    model = MLPRegressor(**SMALL | params | ({"callbacks": callback} if "callback" in end else {}))
    try:
        model.fit_batches(read, epochs=5, shuffle_buffer=100)
    except (OSError, RuntimeError):
        assert "error" in end
    else:
        assert "error" not in end
    assert read_ahead_threads() == []
    assert closed
    assert set(closed) == {"fastbp-read-ahead"}


def test_max_time_ends_while_the_source_waits():
    """A source that never returns keeps neither training nor the process from ending."""
    release, data = threading.Event(), data_of(MLPRegressor)

    def read():
        yield from list(stream(*data)())[:6]
        release.wait(60)

    start = time.monotonic()
    model = MLPRegressor(**SMALL, max_time=1.0)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model.fit_batches(read, epochs=3, shuffle_buffer=100)
    assert time.monotonic() - start < 30
    assert model._state.resume.progress["row"] == 224
    assert all(thread.daemon for thread in read_ahead_threads())
    release.set()
    for thread in read_ahead_threads():
        thread.join(10)
    assert read_ahead_threads() == []


def test_rows_are_read_while_others_are_trained():
    """The source is called from another thread, and at most two segments are read ahead."""
    seen, threads, data = [], set(), data_of(MLPRegressor)

    def read():
        threads.add(threading.current_thread().name)
        for n, rows in enumerate(stream(*data, size=16)()):
            seen.append(n)
            yield rows

    def callback(estimator, epoch, logs):
        end = time.monotonic() + 10
        while epoch < 3 and len(seen) < epoch * per_epoch + 4 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        n_ahead.append(len(seen) - epoch * per_epoch)

    n_ahead, per_epoch = [], -(-N_ROWS // 16)
    MLPRegressor(**SMALL, callbacks=callback).fit_batches(read, epochs=3, shuffle_buffer=48)
    assert threads == {"MainThread", "fastbp-read-ahead"}  # the main thread reads the first block
    assert n_ahead == [4, 4, 0]  # a segment, and the next row


def test_memory_does_not_grow_with_the_rows():
    n_blocks, rows = 100, np.random.RandomState(0).normal(size=(4000, 30)).astype("float32")
    y = rows[:, 0]

    def read():
        for n in range(n_blocks):
            yield rows + np.float32(n), y

    options = {"epochs": 1, "shuffle_buffer": 8000}
    MLPRegressor(**SMALL).fit_batches(lambda: [(rows, y)], **options)
    tracemalloc.start()
    MLPRegressor(**SMALL | {"scale": "standard"}).fit_batches(read, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # two buffers of two blocks each, some blocks between them, and in the first pass two copies in float64
    assert peak < 16 * rows.nbytes < n_blocks * rows.nbytes / 6


# ---------------------------------------------------------------------- callbacks, history and reports


def test_callbacks_and_history():
    logs_of, source = [], stream(*data_of(MLPRegressor))

    def callback(estimator, epoch, logs):
        logs_of.append((epoch, estimator.n_iter_, logs["loss"], np.isfinite(estimator.predict(X)).all()))
        return epoch == 3

    model = MLPRegressor(**SMALL, callbacks=callback).fit_batches(source, epochs=9, validation=data_of(MLPRegressor))
    assert model.n_iter_ == 3
    assert logs_of == [(n + 1, n + 1, loss, True) for n, loss in enumerate(model.loss_curve_)]
    assert {name: len(entries) for name, entries in model.history_.items()} == dict.fromkeys(
        ("loss", "learning_rate", "val_loss", "val_score"), 3
    )
    assert model.t_ == 3 * N_ROWS


@few_epochs
def test_a_checkpoint_resumes(tmp_path):
    checkpoint = Checkpoint(tmp_path / "model.safetensors", every=2)
    whole = trained(MLPClassifier, epochs=5, callbacks=checkpoint)
    model = load_checkpoint(checkpoint.path)
    model.fit_batches(stream(*data_of(MLPClassifier)), epochs=1, shuffle_buffer=100)
    assert_same(model, whole)


def test_verbose(capsys):
    trained(MLPRegressor, verbose=True, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["Iteration 1", "Iteration 2"]


def test_bar_shows_the_part_of_the_epoch(monkeypatch):
    from fastbp._training import progress

    standings = []

    class Display:
        def draw(self, standing, seconds):
            standings.append(standing)

        def draw_end(self, standing, outcome):
            standings.append((standing, outcome))

        def close(self):
            pass

    monkeypatch.setattr(progress, "_UPDATE_SECONDS", 0)
    monkeypatch.setattr("fastbp._training.progress_display.open_display", lambda unit, total: Display())
    trained(MLPRegressor, list(stream(*data_of(MLPRegressor))()), verbose="bar", epochs=2, shuffle_buffer=200)
    done = [standing.done for standing in standings[:-1]]
    assert done == sorted(done)
    assert len([part for part in done if 1 < part < 2]) > 0  # in the second epoch, the number of rows is known
    standing, outcome = standings[-1]
    assert (standing.done, standing.n_rows, outcome) == (2, 2 * N_ROWS, "finished")


def test_convergence_warning_only_for_max_iter():
    trained(MLPRegressor, epochs=2)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        trained(MLPRegressor, epochs=None, max_iter=2)


def test_divergence_is_an_error():
    rows = np.where(np.arange(N_ROWS)[:, None] < 300, X, 1e200)
    model = MLPRegressor(**SMALL | {"solver": "sgd"}, shuffle=False)
    with pytest.raises(ValueError, match=r"Solver produced non-finite parameter weights.*In epoch 1"):
        model.fit_batches(stream(rows, Y[MLPRegressor]), epochs=2, shuffle_buffer=100)
    assert not hasattr(model, "coefs_")


def test_diagnostics_of_a_stream():
    from fastbp.inspection import DiagnosticsMonitor

    monitor = DiagnosticsMonitor()
    trained(MLPRegressor, epochs=2, callbacks=monitor)
    assert len(monitor.records) == 2
