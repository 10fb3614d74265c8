"""Tests of the data set loaders: return types, the three ways to set the folder, and missing, damaged or wrong files."""

import gzip
import hashlib
import re
import shutil
import sys
from inspect import signature
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import fetch_california_housing, fetch_covtype
from sklearn.datasets._covtype import FEATURE_NAMES, TARGET_NAMES
from sklearn.utils import Bunch

from fastbp import _dataset_files, datasets

FOLDER = Path(__file__).parents[1] / "datasets"
FACTS = {
    datasets.load_mnist: _dataset_files.MNIST,
    datasets.load_adult: _dataset_files.ADULT,
    datasets.load_california_housing: _dataset_files.CALIFORNIA_HOUSING,
    datasets.load_diamonds: _dataset_files.DIAMONDS,
    datasets.load_covtype: _dataset_files.COVTYPE,
}
every_loader = pytest.mark.parametrize("load", FACTS, ids=lambda load: load.__name__)
numeric_loader = pytest.mark.parametrize(
    "load", [datasets.load_mnist, datasets.load_covtype, datasets.load_california_housing], ids=lambda load: load.__name__
)


def assert_same(a, b):
    """Check that values are equal. NaN counts as equal to NaN; NumPy does not support this for object arrays."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert ((a == b) | ((a != a) & (b != b))).all()


@pytest.fixture(autouse=True)
def without_data_folder_in_the_environment(monkeypatch):
    monkeypatch.delenv("FASTBP_DATA", raising=False)


def test_every_loader_is_tested():
    assert {load.__name__ for load in FACTS} == set(datasets.__all__)


@every_loader
def test_types_and_shapes_of_arrays(load):
    facts = FACTS[load]
    bunch = load()
    assert isinstance(bunch, Bunch)
    assert type(bunch.data) is type(bunch.target) is np.ndarray
    assert bunch.data.shape == (facts.n_rows, len(facts.features)) == (len(bunch.target), len(bunch.feature_names))
    assert (bunch.data.dtype == object) == bool(bunch.categories)
    assert bunch.data.flags.c_contiguous
    assert bunch.target.dtype.kind == {"int64": "i", "int32": "i", "float64": "f", "str": "U"}[facts.target_type]
    assert bunch.frame is None
    assert bunch.target_names == [facts.target]
    assert bunch.DESCR is facts.about
    assert bunch.filename == str(FOLDER / facts.file)


@pytest.mark.slow
@every_loader
def test_frames_have_the_same_values_as_arrays(load):
    bunch, frames = load(), load(as_frame=True)
    assert list(frames.data.columns) == bunch.feature_names
    assert [frames.target.name] == bunch.target_names
    assert list(frames.frame.columns) == bunch.feature_names + bunch.target_names
    assert_same(frames.data, bunch.data)
    assert_same(frames.target, bunch.target)
    categorical = [name for name in frames.data if frames.data[name].dtype == "category"]
    assert categorical == list(bunch.categories)
    for name in categorical:
        assert list(frames.data[name].cat.categories) == bunch.categories[name]
        assert set(frames.data[name].dropna()) == set(bunch.categories[name])


@pytest.mark.slow
@every_loader
@pytest.mark.parametrize("as_frame", [False, True])
def test_return_X_y(load, as_frame):
    X, y = load(return_X_y=True, as_frame=as_frame)
    bunch = load(as_frame=as_frame)
    assert (type(X), type(y)) == (type(bunch.data), type(bunch.target))
    assert_same(X, bunch.data)
    assert_same(y, bunch.target)
    if not as_frame:
        assert X.flags.writeable
        assert y.flags.writeable


def test_mnist_has_the_standard_order():
    mnist = datasets.load_mnist()
    with np.load(FOLDER / "mnist.npz") as parts:
        np.testing.assert_array_equal(mnist.data[0].reshape(28, 28), parts["X_train"][0])
        np.testing.assert_array_equal(mnist.data[mnist.n_train :].reshape(-1, 28, 28), parts["X_test"])
        np.testing.assert_array_equal(mnist.target[mnist.n_train :], parts["y_test"])
    assert mnist.target[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.data.dtype == np.uint8


def test_adult_training_rows_come_first():
    split = [line.rsplit(",", 1)[1] for line in gzip.decompress((FOLDER / "adult.csv.gz").read_bytes()).decode().split()[1:]]
    n_train = datasets.load_adult().n_train
    assert (set(split[:n_train]), set(split[n_train:])) == ({"train"}, {"test"})


def test_adult_question_marks_are_missing_values():
    adult = datasets.load_adult(as_frame=True)
    missing = adult.data.isna().sum()
    assert missing[missing > 0].to_dict() == {"workclass": 2799, "occupation": 2809, "native_country": 857}
    assert not any("?" in values for values in adult.categories.values())
    occupation = datasets.load_adult().data[:, adult.feature_names.index("occupation")]
    assert sum(value != value for value in occupation) == 2809
    assert "split" not in adult.feature_names
    assert adult.target.value_counts().to_dict() == {"<=50K": 37155, ">50K": 11687}


@pytest.fixture
def fetched_housing(tmp_path):
    """The result of scikit-learn's own loader with ``as_frame=True``, for the numbers in the file."""
    columns = {name: number for number, name in enumerate(RAW_HOUSING)}
    lines = gzip.decompress((FOLDER / "california_housing.csv.gz").read_bytes()).decode().split("\n")[1:-1]
    table = np.array([[float(value or "nan") for value in line.split(",")[:9]] for line in lines])
    order = ["median_house_value", "median_income", "housing_median_age", "total_rooms", "total_bedrooms", "population"]
    order += ["households", "latitude", "longitude"]
    joblib.dump(table[:, [columns[name] for name in order]], tmp_path / "cal_housing_py3.pkz")
    return fetch_california_housing(data_home=tmp_path, download_if_missing=False, as_frame=True)


RAW_HOUSING = (
    *("longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms", "population", "households"),
    *("median_income", "median_house_value"),
)


def test_california_housing_is_the_same_as_in_scikit_learn(fetched_housing):
    """Scikit-learn's loader computes the columns from the numbers in the file, without a download."""
    ours, theirs = datasets.load_california_housing(as_frame=True), fetched_housing
    assert set(theirs) <= set(ours)
    assert (ours.feature_names, ours.target_names) == (theirs.feature_names, theirs.target_names)
    for name in ("data", "target", "frame"):
        mine, other = ours[name], theirs[name]
        assert type(mine) is type(other)
        assert mine.equals(other)  # values, dtypes and names; NaN counts as equal to NaN
    arrays = datasets.load_california_housing()
    assert (arrays.data.dtype, arrays.target.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(arrays.data, theirs.data.to_numpy())
    missing = np.isnan(arrays.data).sum(axis=0)
    assert missing.tolist() == [0, 0, 0, 207, 0, 0, 0, 0]


def test_california_housing_has_the_documented_values_of_scikit_learn():
    """The first row, as printed by scikit-learn, and the range of the target in its documentation (0.15 to 5)."""
    housing = datasets.load_california_housing()
    row = [8.3252, 41.0, 6.98412698, 1.02380952, 322.0, 2.55555556, 37.88, -122.23]
    np.testing.assert_allclose(housing.data[0], row, rtol=1e-8)
    assert (housing.target[0], round(housing.target.min(), 2), housing.target.max()) == (4.526, 0.15, 5.00001)


def test_covtype_has_the_columns_and_dtypes_of_scikit_learn():
    covtype = datasets.load_covtype()
    assert covtype.feature_names == FEATURE_NAMES
    assert covtype.target_names == TARGET_NAMES
    assert (covtype.data.dtype, covtype.target.dtype) == (np.float64, np.int32)


@pytest.mark.parametrize(
    ("load", "fetch"),
    [(datasets.load_california_housing, fetch_california_housing), (datasets.load_covtype, fetch_covtype)],
    ids=["california_housing", "covtype"],
)
def test_parameters_are_those_of_scikit_learn(load, fetch):
    """The names, their order, the defaults and the kinds are the same."""
    assert described_parameters(load) == described_parameters(fetch)
    X = load(download_if_missing=False, n_retries=1, delay=0.0, return_X_y=True)[0]
    np.testing.assert_array_equal(X, load().data)


@every_loader
def test_parameters_of_all_loaders_have_the_same_defaults(load):
    theirs = described_parameters(fetch_covtype)
    ours = described_parameters(load)
    assert {"data_home", "return_X_y", "as_frame"} <= {name for name, *_ in ours}
    assert set(ours) <= set(theirs)


def described_parameters(function):
    return [(name, parameter.default, parameter.kind) for name, parameter in signature(function).parameters.items()]


@pytest.mark.parametrize("download_if_missing", [False, True])
@pytest.mark.parametrize("load", [datasets.load_california_housing, datasets.load_covtype], ids=["california_housing", "covtype"])
def test_missing_files_are_never_downloaded(load, download_if_missing, tmp_path):
    with pytest.raises(OSError, match="data_home must be a folder that contains"):
        load(data_home=tmp_path, download_if_missing=download_if_missing)


@pytest.mark.parametrize("as_frame", [False, True])
def test_covtype_is_shuffled_as_in_scikit_learn(as_frame, tmp_path):
    """Scikit-learn's loader shuffles the rows of the file, without a download."""
    rows = datasets.load_covtype()
    folder = tmp_path / "covertype"
    folder.mkdir()
    joblib.dump(rows.data, folder / "samples_py3")
    joblib.dump(rows.target, folder / "targets_py3")
    options = {"shuffle": True, "as_frame": as_frame, "return_X_y": True}
    for seed in (0, 7):
        X, y = datasets.load_covtype(random_state=seed, **options)
        theirs = fetch_covtype(data_home=tmp_path, download_if_missing=False, random_state=np.random.RandomState(seed), **options)
        assert not np.array_equal(y, rows.target)
        if as_frame:
            assert X.equals(theirs[0])
            assert y.equals(theirs[1])
        else:
            np.testing.assert_array_equal(X, theirs[0])
            np.testing.assert_array_equal(y, theirs[1])
            assert X.flags.c_contiguous
    unshuffled = datasets.load_covtype(random_state=0, return_X_y=True)
    np.testing.assert_array_equal(unshuffled[1], rows.target)


@pytest.mark.slow
@every_loader
def test_arrays_can_be_changed(load):
    """As with scikit-learn's loaders, and without effect on the next call."""
    X, y = load(return_X_y=True)
    first = X[0, 0], y[0]
    X[0, 0] = y[0] = y[-1]
    assert (load().data[0, 0], load().target[0]) == first


def test_diamonds_grades_are_ordered():
    cut = datasets.load_diamonds(as_frame=True).data["cut"]
    assert (cut.cat.ordered, cut.min(), cut.max()) == (True, "Fair", "Ideal")


def test_covtype_indicators_and_classes():
    covtype = datasets.load_covtype(as_frame=True)
    for prefix, count in [("Wilderness_Area_", 4), ("Soil_Type_", 40)]:
        indicators = covtype.data.filter(like=prefix)
        assert indicators.shape[1] == count
        assert (indicators.sum(axis=1) == 1).all()
    assert set(covtype.target) == set(range(1, 8))


@pytest.mark.parametrize("as_type", [str, Path])
def test_data_home_takes_precedence_over_the_environment(tmp_path, monkeypatch, as_type):
    shutil.copy(FOLDER / "covtype_20k.csv.gz", tmp_path)
    monkeypatch.setenv("FASTBP_DATA", str(tmp_path / "elsewhere"))
    assert datasets.load_covtype(data_home=as_type(tmp_path)).filename == str(tmp_path / "covtype_20k.csv.gz")


def test_environment_takes_precedence_over_the_checkout(tmp_path, monkeypatch):
    shutil.copy(FOLDER / "covtype_20k.csv.gz", tmp_path)
    monkeypatch.setenv("FASTBP_DATA", str(tmp_path))
    assert datasets.load_covtype().filename == str(tmp_path / "covtype_20k.csv.gz")


@every_loader
@pytest.mark.parametrize("source", ["data_home", "FASTBP_DATA", "the default"])
def test_error_for_a_missing_folder_names_the_three_ways_to_set_it(load, source, tmp_path, monkeypatch):
    nowhere = tmp_path / "nowhere"
    if source == "FASTBP_DATA":
        monkeypatch.setenv("FASTBP_DATA", str(nowhere))
    if source == "the default":
        monkeypatch.setattr(datasets, "__file__", str(tmp_path / "lib" / "python" / "fastbp" / "datasets.py"))
    message = rf"^{source} must .* contains {FACTS[load].file}; got .* data_home, .* FASTBP_DATA, .*pip install -e"
    with pytest.raises(FileNotFoundError, match=message):
        load(data_home=nowhere if source == "data_home" else None)


@every_loader
def test_truncated_file_is_an_error(load, tmp_path):
    file = FACTS[load].file
    content = (FOLDER / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=rf"{file} must contain .*cannot be read .*sha256"):
        load(data_home=tmp_path)


@every_loader
def test_file_of_another_format_is_an_error(load, tmp_path):
    (tmp_path / FACTS[load].file).write_text("<html>not found</html>")
    with pytest.raises(OSError, match=r"must contain .*cannot be read .*sha256"):
        load(data_home=tmp_path)


@every_loader
def test_missing_row_is_an_error(load, tmp_path):
    facts = FACTS[load]
    if load is datasets.load_mnist:
        with np.load(FOLDER / facts.file) as parts:
            np.savez(tmp_path / facts.file, **{**parts, "X_test": parts["X_test"][:-1]})
    else:
        lines = gzip.decompress((FOLDER / facts.file).read_bytes()).splitlines(keepends=True)
        (tmp_path / facts.file).write_bytes(gzip.compress(b"".join(lines[:-1]), compresslevel=1))
    with pytest.raises(OSError, match=rf"must contain {facts.n_rows} rows .*got data of shape \({facts.n_rows - 1}, .*sha256"):
        load(data_home=tmp_path)


@every_loader
def test_frames_without_pandas_are_an_error(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'needs pandas.*pip install "fastbp\[datasets\]"'):
        load(as_frame=True)


@numeric_loader
def test_numeric_data_sets_do_not_need_pandas(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert load().data.shape[0] == FACTS[load].n_rows


def test_readme_lists_the_checksums():
    listed = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (FOLDER / "README.md").read_text(), re.MULTILINE))
    found = {hashlib.sha256((FOLDER / facts.file).read_bytes()).hexdigest(): facts.file for facts in FACTS.values()}
    assert listed == found
