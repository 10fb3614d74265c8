"""Large arrays and memory maps: fits and predictions that read rows instead of copying the array.

A fit that reads rows must have the same bits as a fit on converted rows. Therefore most tests fit small arrays twice, once with a
limit of 0 for conversions. Row numbers, splits and labels must be scikit-learn's. Peaks of memory are measured in other processes.
"""

import errno
import json
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, mean_pinball_loss, r2_score
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.preprocessing import LabelBinarizer, StandardScaler

import fastbp._data.array_likes as array_likes
import fastbp._data.streamed as streamed
import fastbp._large_inputs as large_inputs
import fastbp._training.validation as validation
from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.inputs import as_rows, as_targets
from fastbp._data.scaling import AffineScaling
from fastbp._data.streamed import StreamedRows
from fastbp._data.targets import encode_labels, learn_labels
from fastbp._data.training_arrays import training_arrays
from fastbp._network.architecture import Architecture, Plan
from fastbp._network.layout import Layout, padded_copy
from fastbp._network.prediction import outputs
from fastbp._training.splits import split_numbers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
N_ROWS = 300
SMALL = {"hidden_layer_sizes": (7,), "batch_size": 50, "max_iter": 4, "random_state": 0, "tol": 0.0, "learning_rate_init": 0.01}
KINDS = {"classifier": MLPClassifier, "binary": MLPClassifier, "regressor": MLPRegressor}
each_kind = pytest.mark.parametrize("kind", KINDS)
ROOT = Path(__file__).parent.parent


def inputs(dtype="float64", n_rows=N_ROWS):
    X = np.random.default_rng(n_rows).normal(size=(n_rows, 5)) * [1, 2, 0.5, 3, 1] + [0, 1, 0, -3, 5]
    if np.dtype(dtype).kind == "f":
        return X.astype(dtype)
    return (X > 0) if dtype == "bool" else np.clip(np.round(10 * X + 60), 0, 120).astype(dtype)


def targets(kind, X, dtype=None):
    y = np.asarray(X[:, 0], float) + 0.1 * np.asarray(X[:, 1], float)
    if kind == "regressor":
        return y.astype(dtype or "float64")
    edges = np.quantile(y, [0.6] if kind == "binary" else [0.3, 0.7])
    return (np.digitize(y, edges) * 2 + 3).astype(dtype or "int64")


@pytest.fixture
def no_copies(monkeypatch):
    """Call the result to set the limits for conversions and scores at once to 0."""

    def set_limits():
        monkeypatch.setattr(streamed, "MAX_COPY_BYTES", 0)
        monkeypatch.setattr(large_inputs, "_PREDICTED_ELEMENTS", 400)

    return set_limits


def assert_same_fit(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    assert getattr(one, "history_", one.loss_) == getattr(other, "history_", other.loss_)


# ====================================================================== rows that kernels read


def arrays_with_strides(X):
    """The same matrix with different strides."""
    n, k = X.shape
    wide, offset = np.zeros((n, 2 * k + 1), X.dtype), np.empty(X.nbytes + 1, np.uint8)
    wide[:, 1::2] = X
    unaligned = offset[1:].view(X.dtype).reshape(n, k) if X.dtype != bool else X.copy()
    unaligned[...] = X
    return {"C": X, "F": np.asfortranarray(X), "columns": wide[:, 1::2], "reversed": X[::-1].copy()[::-1], "unaligned": unaligned}


@pytest.mark.parametrize("layout", ["C", "F", "columns", "reversed", "unaligned"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_read_by_kernels_equal_converted_rows(dtype, layout):
    X = inputs(dtype, 100)
    if dtype in ("int64", "uint64"):
        X[3] = np.iinfo(dtype).max // 3  # rounded to float64 before it is rounded to float32
    array = arrays_with_strides(X)[layout]
    for to in (np.float32, np.float64):
        rows, converted = StreamedRows(array, np.dtype(to)), X.astype(float).astype(to)
        assert_array_equal(read_by_kernel(rows, to), converted)
        assert_array_equal(rows[:], converted)


def read_by_kernel(X, dtype, order=None):
    """X as the kernel reads it: the outputs of a linear network with the weights of the identity matrix."""
    n = X.shape[1]
    params = padded_copy(np.concatenate([np.eye(n).ravel(), np.zeros(n)]), dtype)
    plan = Plan(Layout((n, n), 0), Architecture(()))
    options = {} if order is None else {"order": order}
    return outputs(plan, params, as_rows(X, dtype), X.shape[0] if order is None else len(order), **options)


@pytest.mark.parametrize("order", [None, [5, 99, 0, 5, 64]], ids=["all", "some"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_scaled_rows_read_by_kernels_equal_scaled_arrays(dtype, order):
    X = inputs(dtype, 100)
    scaling = AffineScaling.learned(X, "standard", centered=True)
    order = None if order is None else np.array(order, np.int32)
    for to in (np.float32, np.float64):
        rows = StreamedRows(X, np.dtype(to), scaling)
        scaled = scaling(X).astype(to)
        assert_array_equal(read_by_kernel(rows, to, order), scaled if order is None else scaled[order])
        assert_array_equal(rows[:], scaled)


def test_sources_keep_their_arrays_alive():
    rows = as_rows(StreamedRows(np.arange(12, dtype=np.int8).reshape(4, 3), np.dtype(float)), np.float64)
    (memory,) = (rows.sources.base,)
    assert_array_equal(memory.arrays[0].array, np.arange(12).reshape(4, 3))


def test_small_arrays_have_no_sources():
    X, y = inputs("float64"), np.arange(N_ROWS)[:, None]
    rows, targets_, weight = training_arrays(np.float32, X, y, np.ones(N_ROWS))
    assert not rows.sources.size
    assert_array_equal(targets_, as_targets(y, np.float32))
    assert weight.dtype == np.float32


# ====================================================================== fits


FITS = {
    "default": {},
    "float32": {"dtype": "float32"},
    "scale": {"scale": "standard"},
    "scale float32": {"scale": "standard", "dtype": "float32"},
    "early stopping": {"early_stopping": True},
    "all": {"scale": "standard", "dtype": "float32", "early_stopping": True},
    "dropout": {"dropout": 0.2, "dtype": "float32"},
    "lbfgs": {"solver": "lbfgs", "dtype": "float32"},
    "threads": {"n_threads": 2, "n_shares": 3, "dtype": "float32"},
    "robust": {"scale": "robust"},
    "clipped": {"scale": "smooth_clip"},
    "missing": {"missing": "indicator"},
}


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@each_kind
def test_fits_that_read_rows_have_the_bits_of_fits_on_converted_rows(kind, dtype, options, no_copies):
    X = inputs(dtype)
    y, weight = targets(kind, X), np.linspace(0.5, 2, N_ROWS)
    for sample_weight in (None, weight, weight.astype(np.float32)):
        converted = KINDS[kind](**SMALL | options).fit(X, y, sample_weight)
        predictions = converted.predict(X), converted.transform(X), converted.score(X, y, sample_weight)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streamed, "MAX_COPY_BYTES", 0)
            read = KINDS[kind](**SMALL | options).fit(X, y, sample_weight)
        assert_same_fit(read, converted)
        no_copies()
        # scikit-learn computes the R² of float32 predictions in float32
        assert_allclose(read.score(X, y, sample_weight), predictions[2], rtol=1e-5 if dtype != "float64" else 1e-9, atol=1e-6)
        for got, want in zip((read.predict(X), read.transform(X)), predictions, strict=False):
            assert got.dtype == want.dtype
            assert_allclose(got, want, rtol=1e-5 if got.dtype == np.float32 else 1e-12, atol=1e-6)


@pytest.mark.parametrize("y_dtype", ["float32", "float64", "int16", "uint8"])
def test_scaled_targets_are_read(y_dtype, no_copies):
    X = inputs("float32")
    y = np.round(np.abs(targets("regressor", X)) * 10).astype(y_dtype)
    options = {"scale_y": "standard", "early_stopping": True, "clip_predictions": True}
    converted = MLPRegressor(**SMALL | options).fit(X, y)
    no_copies()
    read = MLPRegressor(**SMALL | options).fit(X, y)
    assert_same_fit(read, converted)
    assert_allclose(read.score(X, y), r2_score(y, converted.predict(X).astype(float)), rtol=1e-5)


def test_quantiles_of_many_rows_are_not_repeated(no_copies):
    X = inputs("float32")
    y = targets("regressor", X)
    options = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "early_stopping": True}
    converted = MLPRegressor(**SMALL | options).fit(X, y)
    columns = zip(converted.predict(X).T, options["quantile"], strict=True)
    pinball = np.mean([mean_pinball_loss(y, column, alpha=q) for column, q in columns])
    no_copies()
    read = MLPRegressor(**SMALL | options).fit(X, y)
    assert_same_fit(read, converted)
    assert_allclose(read.score(X, y), -pinball, rtol=1e-6)


@each_kind
def test_a_fit_that_reads_rows_can_be_resumed(kind, no_copies):
    X = inputs("int16")
    y = targets(kind, X)
    options = {**SMALL, "warm_start": "resume", "early_stopping": True, "scale": "standard"}
    whole = KINDS[kind](**options | {"max_iter": 8}).fit(X, y)
    no_copies()
    parts = KINDS[kind](**options).fit(X, y)
    order = parts._state.resume.order.copy()
    before = parts._state.resume.order
    parts.fit(X, y)
    assert_array_equal(before, order)  # an earlier state is not changed
    assert_same_fit(parts, whole)


def test_row_numbers_of_an_older_version_can_be_resumed():
    """Up to version 0.7, the stored row numbers were int64."""
    X = inputs()
    y = targets("regressor", X)
    options = {**SMALL, "warm_start": "resume"}
    whole, parts = (MLPRegressor(**options).fit(X, y) for _ in range(2))
    parts._state.resume.order = parts._state.resume.order.astype(np.int64)
    assert_same_fit(parts.fit(X, y), whole.fit(X, y))


@each_kind
def test_partial_fit_reads_rows(kind, no_copies):
    X = inputs("uint8")
    y = targets(kind, X)
    first = {} if kind == "regressor" else {"classes": np.unique(y)}
    models = []
    for limit in (False, True):
        if limit:
            no_copies()
        model = KINDS[kind](**SMALL).partial_fit(X, y, **first)
        models.append(model.partial_fit(X[:200], y[:200]).partial_fit(X, y))
    assert_same_fit(*models)


def test_validation_rows_of_the_user_are_read(no_copies):
    X, X_val = inputs("int32"), inputs("int32", 90)
    y, y_val = targets("regressor", X), targets("regressor", X_val)
    fits = []
    for limit in (False, True):
        if limit:
            no_copies()
        model = MLPRegressor(**SMALL | {"early_stopping": True, "scale": "standard", "dtype": "float32"})
        fits.append(model.fit(X, y, X_val=X_val, y_val=y_val))
    assert_same_fit(*fits)


@pytest.mark.parametrize("splitter", [None, ShuffleSplit(1, test_size=0.3, random_state=1)])
@pytest.mark.parametrize("scoring", [None, "loss", "r2"])
def test_many_validation_rows_are_scored_in_blocks(splitter, scoring, monkeypatch):
    X = inputs()
    y = np.column_stack([targets("regressor", X), X[:, 2]])
    options = {"early_stopping": True, "validation_splitter": splitter, "scoring": scoring}
    at_once = MLPRegressor(**SMALL | options).fit(X, y, np.linspace(0.1, 2, N_ROWS))
    monkeypatch.setattr(validation, "_MAX_SCORED_AT_ONCE", 0)
    monkeypatch.setattr("fastbp._network.prediction._SCORED_BLOCKS", 1)
    blocks = MLPRegressor(**SMALL | options).fit(X, y, np.linspace(0.1, 2, N_ROWS))
    assert_array_equal(blocks.coefs_[0], at_once.coefs_[0])
    assert blocks.history_["val_loss"] == at_once.history_["val_loss"]
    assert_allclose(blocks.validation_scores_, at_once.validation_scores_, rtol=1e-12)


def test_numbers_that_do_not_fit_into_float32_are_an_error(no_copies):
    X = inputs("float64")
    X[250, 1] = 1e300
    message = r"X must hold numbers that fit into dtype='float32', but some are too large"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            MLPRegressor(**SMALL, dtype="float32").fit(X, X[:, 0])
        no_copies()


def test_statistics_of_blocks_are_those_of_the_scaler(monkeypatch):
    X = inputs("float32", 5000)
    X[:, 2] = 7
    monkeypatch.setattr(streamed, "MAX_COPY_BYTES", 0)
    monkeypatch.setattr(streamed.row_slices, "__defaults__", (777,))
    scaling, scaler = AffineScaling.learned(X, "standard", centered=True), StandardScaler().fit(X.astype(float))
    assert_allclose(scaling.center, scaler.mean_, rtol=1e-12)
    assert_allclose(scaling.scale, scaler.scale_, rtol=1e-12)
    assert scaling.scale[2] == 1


# ====================================================================== memory maps


@pytest.fixture
def mapped(tmp_path):
    """A function that returns a memory map of a copy of an array."""

    def map_array(array, name="array"):
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    return map_array


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@each_kind
def test_memory_maps_give_the_bits_of_arrays(kind, dtype, mapped, no_copies):
    X = inputs(dtype)
    y = targets(kind, X)
    no_copies()
    options = SMALL | {"early_stopping": True, "scale": "standard"}
    in_memory, on_disk = KINDS[kind](**options).fit(X, y), KINDS[kind](**options).fit(mapped(X), mapped(y, "y"))
    assert_same_fit(on_disk, in_memory)
    assert_array_equal(on_disk.predict(mapped(X)), in_memory.predict(X))
    assert on_disk.score(mapped(X), mapped(y, "y")) == in_memory.score(X, y)


class Slices:
    """An object like a dataset in an HDF5 file: a shape, a dtype and slices of rows."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.n_read = array, array.shape, array.dtype, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        part = self.array[rows]
        self.n_read.append(len(part))
        return part


@each_kind
def test_predictions_for_objects_with_slices_of_rows(kind, no_copies):
    X = inputs("float32")
    y = targets(kind, X)
    model = KINDS[kind](**SMALL).fit(X, y)
    want = {name: getattr(model, name)(X) for name in ("predict", "predict_proba", "transform") if hasattr(model, name)}
    score = model.score(X, y)
    no_copies()
    for name, expected in want.items():
        X_sliced = Slices(X)
        assert_allclose(getattr(model, name)(X_sliced), expected, rtol=1e-5, atol=1e-6)
        assert max(X_sliced.n_read) <= 80
    assert_allclose(model.score(Slices(X), y), score, rtol=1e-6)


class ChunkedSlices(Slices):
    """The same with chunks: one size for each dimension as in zarr, or a list of sizes as in Dask."""

    def __init__(self, array, chunks):
        super().__init__(array)
        self.chunks = chunks


CHUNKS = {
    "none": None,
    "one_size": (40, 5),
    "sizes": ((100, 20, 180), (5,)),
    "one": (1000, 5),
    "columns": (300, 1),
    "long_columns": (400, 1),
    "sizes_of_columns": ((150, 40, 110), (1,) * 5),
}
# With 60 rows in a block; a larger chunk is read as a whole, because it has to be decoded as a whole.
N_READ = {
    "none": [60] * 5,
    "one_size": [40] * 6 + [60],
    "sizes": [120, 180],
    "one": [300],
    "columns": [60] * 5,
    "long_columns": [75] * 4,
    "sizes_of_columns": [50] * 3 + [40] + [55] * 2,
}


@pytest.fixture
def temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("chunks", CHUNKS)
@each_kind
def test_fit_reads_blocks_of_objects_with_slices(kind, chunks, no_copies, monkeypatch, temporary_folder):
    X = inputs("float32")
    y = targets(kind, X)
    options = SMALL | {"early_stopping": True, "scale": "standard"}
    want = KINDS[kind](**options).fit(X, y)
    no_copies()
    monkeypatch.setattr(array_likes, "_COPIED_ELEMENTS", 300)
    X_sliced, y_sliced = ChunkedSlices(X, CHUNKS[chunks]), Slices(y)
    model = KINDS[kind](**options).fit(X_sliced, y_sliced)
    assert_same_fit(model, want)
    assert model.n_features_in_ == 5
    assert X_sliced.n_read == N_READ[chunks]
    assert len(y_sliced.n_read) == 1  # a smaller array has one block
    assert not list(temporary_folder.iterdir())
    assert_same_fit(KINDS[kind](**options).fit(Slices(X), y), want)
    partial = KINDS[kind](**SMALL)
    classes = {} if kind == "regressor" else {"classes": np.unique(y)}
    assert_array_equal(
        partial.partial_fit(Slices(X), Slices(y), **classes).coefs_[0], KINDS[kind](**SMALL).partial_fit(X, y, **classes).coefs_[0]
    )
    no_early = SMALL | {"scale": "standard"}
    validated = KINDS[kind](**no_early).fit(Slices(X), y, np.ones(N_ROWS), X_val=Slices(X), y_val=Slices(y))
    assert_same_fit(validated, KINDS[kind](**no_early).fit(X, y, np.ones(N_ROWS), X_val=X, y_val=y))


@pytest.mark.parametrize("case", [((20, 5), [20] * 15), ((70, 5), [70] * 4 + [20]), ((70, 1), [23, 23, 24] * 4 + [20])])
def test_predictions_read_pieces_that_end_with_chunks(case, no_copies, monkeypatch):
    chunks, n_read = case
    X = inputs("float32")
    model = MLPRegressor(**SMALL).fit(X, targets("regressor", X))
    expected, score = model.predict(X), model.score(X, X[:, 0])
    no_copies()
    X_sliced, predicted = ChunkedSlices(X, chunks), []
    monkeypatch.setattr(large_inputs, "_PREDICTED_ELEMENTS", 400)
    result = model._by_blocks(X_sliced, lambda model, part: predicted.append(len(part)) or model.predict(part), 8)
    assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert X_sliced.n_read == n_read
    assert max(predicted) <= 400 // 13
    assert_allclose(model.predict(X_sliced), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(model.score(X_sliced, X[:, 0]), score, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", ">f4", ">i4", "longdouble"])
def test_fit_reads_objects_whose_dtype_kernels_cannot_read(dtype, no_copies, temporary_folder):
    X = inputs().astype(dtype)
    y = targets("regressor", inputs())
    want = MLPRegressor(**SMALL).fit(X, y)
    no_copies()
    assert_same_fit(MLPRegressor(**SMALL).fit(Slices(X), y), want)


def test_full_disk_is_an_error_with_a_remedy(no_copies, monkeypatch, temporary_folder):
    class FullFile:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    X = inputs()
    y = targets("regressor", X)
    model = MLPRegressor(**SMALL).fit(X, y)
    coefs = [W.copy() for W in model.coefs_]
    no_copies()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullFile())
    with pytest.raises(OSError, match="No space left") as error:
        model.fit(Slices(X), y)
    (note,) = error.value.__notes__
    assert "A Slices is copied" in note
    assert f"{8 * X.size:,} bytes" in note
    assert "TMPDIR" in note
    for W, expected in zip(model.coefs_, coefs, strict=True):
        assert_array_equal(W, expected)


@pytest.mark.parametrize("case", ["numbers", "missing", "batch"])
def test_fit_reads_blocks_of_tables_of_pyarrow(case, no_copies, monkeypatch, temporary_folder):
    pa = pytest.importorskip("pyarrow")
    X = inputs("float32")
    y = targets("regressor", X)
    columns = {f"x{n}": pa.array(X[:, n].astype("int32" if n == 1 else "float32")) for n in range(5)}
    options = SMALL | {"scale": "standard"}
    if case == "missing":
        columns["x1"] = pa.array([None if n % 7 == 0 else n for n in range(N_ROWS)])
        options["missing"] = "indicator"
    table = pa.table(columns)
    table = table.to_batches()[0] if case == "batch" else pa.concat_tables([table.slice(0, 33), table.slice(33)])
    want = MLPRegressor(**options).fit(table, y)
    expected, score = want.predict(table), want.score(table, y)
    read = []
    monkeypatch.setattr(array_likes, "_COPIED_ELEMENTS", 300)
    monkeypatch.setattr(array_likes._TableRows, "__getitem__", spied(array_likes._TableRows.__getitem__, read))
    no_copies()
    model = MLPRegressor(**options).fit(table, y)
    assert len(read) == 5
    assert_same_fit(model, want)
    if case != "batch":  # scikit-learn does not read the names of a batch
        assert list(model.feature_names_in_) == list(table.schema.names)
    with warnings.catch_warnings(action="error"):
        assert_allclose(model.predict(table), expected, rtol=1e-6)
        assert_allclose(model.score(table, y), score)
    if case != "batch":
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table.select(table.schema.names[::-1]))


def spied(function, calls):
    def call(*args):
        calls.append(args)
        return function(*args)

    return call


def test_tables_with_texts_are_an_error_as_before(no_copies):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": np.arange(N_ROWS), "b": ["x"] * N_ROWS})
    with pytest.raises(ValueError, match="could not convert string to float"):
        MLPRegressor(**SMALL).fit(table, np.arange(N_ROWS))


# ====================================================================== splits and labels


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.999])
@pytest.mark.parametrize("n_rows", [4, 5, 17, 200, 1001])
@pytest.mark.parametrize("share", [None, 0.5, 0.1, 0.9])
def test_splits_are_those_of_scikit_learn(n_rows, fraction, share):
    y = None if share is None else (np.random.RandomState(n_rows).uniform(size=n_rows) < share).astype(np.int64)[:, None]
    labels = None if y is None else y.astype(bool)
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    try:
        want, message = train_test_split(np.arange(n_rows), random_state=theirs, test_size=fraction, stratify=labels), None
    except ValueError as error:
        want, message = (), str(error)
    if message is not None:
        with pytest.raises(ValueError, match=re.escape(message)):
            split_numbers(n_rows, fraction, ours, y)
    else:
        for got, expected in zip(split_numbers(n_rows, fraction, ours, y), want, strict=True):
            assert_array_equal(got, expected)
    assert ours.randint(1 << 30) == theirs.randint(1 << 30)  # the same number of random numbers were drawn


def test_splits_of_many_blocks(monkeypatch):
    monkeypatch.setattr(streamed.row_slices, "__defaults__", (100,))
    y = (np.random.RandomState(0).uniform(size=5000) < 0.3).astype(np.uint8)[:, None]
    got = split_numbers(5000, 0.1, np.random.RandomState(1), y)
    want = train_test_split(np.arange(5000), random_state=np.random.RandomState(1), test_size=0.1, stratify=y.astype(bool))
    for ours, theirs in zip(got, want, strict=True):
        assert ours.dtype == np.int32
        assert_array_equal(ours, theirs)


LARGE_LABELS = {
    "codes": np.arange(3000) % 3,
    "others": np.array([-7, 3, 100])[np.arange(3000) % 3],
    "two": np.array([4, 9], np.uint8)[np.arange(3000) % 2],
    "bool": np.arange(3000) % 2 > 0,
    "one": np.full(3000, 5),
    "floats": np.array([1.0, 2.0, 5.0])[np.arange(3000) % 3],
    "late": np.repeat([0, 1], [2999, 1]),
    "int8": np.array([-1, 0, 1], np.int8)[np.arange(3000) % 3],
    "many": np.arange(3000) % 900,
}


@pytest.mark.parametrize("y", LARGE_LABELS.values(), ids=LARGE_LABELS)
def test_labels_of_large_arrays_are_those_of_scikit_learn(y, no_copies, monkeypatch):
    no_copies()
    monkeypatch.setattr(streamed.row_slices, "__defaults__", (250,))
    got, want = learn_labels(y), LabelBinarizer().fit(y)
    assert (got.y_type_, got.sparse_input_) == (want.y_type_, want.sparse_input_)
    assert_array_equal(got.classes_, want.classes_)
    assert got.classes_.dtype == want.classes_.dtype
    codes = encode_labels(got, y)
    assert codes.shape == (3000, 1)
    assert codes.itemsize <= max(2, y.itemsize)
    assert_array_equal(codes[:, 0], np.searchsorted(want.classes_, y))


def test_labels_that_are_codes_are_not_copied(no_copies):
    no_copies()
    y = LARGE_LABELS["codes"]
    assert np.shares_memory(encode_labels(learn_labels(y), y), y)


def test_labels_that_are_not_classes_have_the_errors_of_scikit_learn(no_copies):
    y = np.arange(3000) / 7
    no_copies()
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - the message is compared
        LabelBinarizer().fit(y)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        learn_labels(y)
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_for_values_that_are_not_finite_are_those_of_small_arrays(dtype, value, no_copies):
    X = inputs(dtype)
    X[200, 3] = value
    model = MLPRegressor(**SMALL).fit(inputs(dtype), np.arange(float(N_ROWS)))
    calls = {"fit": (X, X[:, 0]), "predict": (X,), "transform": (X,), "score": (X, X[:, 0])}
    messages = []
    for limit in (False, True):
        if limit:
            no_copies()
        for name, arguments in calls.items():
            with pytest.raises(ValueError, match="Input X contains") as caught:
                getattr(model, name)(*arguments)
            messages.append(str(caught.value))
    assert messages[:4] == messages[4:]


def test_wrong_numbers_of_columns_or_rows_are_rejected(no_copies):
    X = inputs("int16")
    y = targets("regressor", X)
    model = MLPRegressor(**SMALL).fit(X, y)
    no_copies()
    with pytest.raises(ValueError, match="X has 4 features, but MLPRegressor is expecting 5 features"):
        model.predict(X[:, :4])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, y[:-1])
    with pytest.raises(ValueError, match="y_true and y_pred have different number of output"):
        model.score(X, np.column_stack([y, y]))


def test_a_large_array_without_names_gives_one_warning(no_copies):
    import pandas as pd

    X = inputs()
    model = MLPRegressor(**SMALL).fit(pd.DataFrame(X, columns=list("abcde")), X[:, 0])
    no_copies()
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        model.predict(X.astype(np.float32))
    assert len(caught) == 1


@each_kind
def test_weighted_scores_of_blocks_are_those_of_scikit_learn(kind, no_copies):
    X = inputs()
    y, weight = targets(kind, X), np.linspace(0, 3, N_ROWS)
    model = KINDS[kind](**SMALL).fit(X, y)
    predicted = model.predict(X)
    metric = r2_score if kind == "regressor" else accuracy_score
    no_copies()
    for sample_weight in (None, weight, weight.astype(np.float32), weight.tolist()):
        assert_allclose(model.score(X, y, sample_weight), metric(y, predicted, sample_weight=sample_weight), rtol=1e-6)


# ====================================================================== memory


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is in /proc")
def test_peaks_of_memory(tmp_path):
    """The order of the rows needs 4 bytes for each row. 200 MB stand for the whole file: one copy of it would exceed all limits."""
    command = [sys.executable, str(ROOT / "bench" / "large_files.py"), "--megabytes", "200", "--folder", str(tmp_path)]
    subprocess.run([*command, "--json", str(tmp_path / "peaks.json")], check=True, capture_output=True)
    peaks = json.loads((tmp_path / "peaks.json").read_text(encoding="utf-8"))
    for case, calls in peaks.items():
        for call, megabytes in calls.items():
            order = 200 / 20 if call == "fit" else 0
            assert megabytes < order + 30, (case, call)
