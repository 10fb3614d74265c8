"""The columns of tables: their kinds, codes of categories, dates, names, files and memory.

The oracles are pandas' factorize, scikit-learn's OrdinalEncoder and loops over the rows.
"""

import datetime as dt
import pickle
import threading
import tracemalloc
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OrdinalEncoder

from fastbp._data import column_labels, column_objects
from fastbp._data.columns import ColumnReader
from fastbp._data.table_inputs import InputTable
from fastbp._files.values import Decoder, Encoder

DAY = dt.timedelta(days=1)
TEXTS = ["a", None, "b", "a"]
FLOATS = [1.5, None, -2.0, 0.0]


class Reading(BaseEstimator):
    """An estimator that reads tables."""

    def fit(self, X, categorical_features="from_dtype", **limits):
        self.table_ = InputTable.checked(X, self, reset=True)
        self.reader_ = ColumnReader.learned(self.table_, categorical_features, **limits)
        return self

    def read(self, X, dtype=np.float64):
        return self.reader_.encode(InputTable.checked(X, self, reset=False), dtype)

    def fit_read(self, X, categorical_features="from_dtype", **limits):
        return self.fit(X, categorical_features, **limits).read(X)


def frames(**columns):
    """The same table as an array of objects and as data frames of pandas, polars and PyArrow."""
    yield np.array(list(zip(*columns.values(), strict=True)), object)
    yield pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    yield pd.DataFrame(columns)
    yield pl.DataFrame(columns)
    yield pa.table(columns)


# ---------------------------------------------------------------------- kinds


@pytest.mark.parametrize("n", range(5))
def test_all_containers_give_the_same_numbers_and_codes(n):
    columns = {
        "float": FLOATS,
        "integer": [3, None, -1, 2],
        "text": ["b", None, "a", "b"],
        "boolean": [True, None, False, True],
        "date": [dt.date(2020, 1, 1), None, dt.date(2022, 1, 2), dt.date(2021, 5, 5)],
        "time": [dt.time(6), None, dt.time(18), dt.time(0)],
        "duration": [DAY, None, -DAY / 2, 3 * DAY],
        "decimal": [Decimal("1.25"), None, Decimal(2), Decimal(3)],
        "empty": [None] * 4,
    }
    numeric, codes = (reading := Reading()).fit_read(list(frames(**columns))[n])
    nan = np.nan
    expected = {0: [1.5, nan, -2, 0], 1: [3, nan, -1, 2], 2 + 5: [0.25, nan, 0.75, 0], 2 + 5 + 3: [1, nan, -0.5, 3]}
    expected[2 + 5 + 4] = [1.25, nan, 2, 3]
    for column, values in expected.items():
        np.testing.assert_allclose(numeric[:, column], values, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(numeric[:, 2] - numeric[0, 2], [0, nan, 732, 490])
    np.testing.assert_array_equal(codes, [[2, 2], [0, 0], [1, 1], [2, 2]])
    np.testing.assert_array_equal(reading.reader_.n_codes, [2, 2])
    np.testing.assert_array_equal(reading.reader_.categorical_columns, [2, 3])
    np.testing.assert_array_equal(reading.reader_.numeric_sources, [0, 1] + [4] * 5 + [5] * 3 + [6, 7])
    assert len(reading.reader_.numeric_names) == numeric.shape[1]


PANDAS_NUMBERS = ["uint8", "int16", "Int64", "UInt8", "Float32", "Float64", "float32", "float64", "Sparse[float64]"]


@pytest.mark.parametrize("dtype", PANDAS_NUMBERS)
def test_numbers_of_pandas(dtype):
    has_missing = dtype[0].isupper() or dtype.startswith("float")
    values = [1, np.nan, 3] if has_missing else [1, 2, 3]
    numeric, codes = Reading().fit_read(pd.DataFrame({"x": pd.Series(values).astype(dtype)}))
    np.testing.assert_array_equal(numeric[:, 0], values)
    assert codes.shape == (3, 0)


@pytest.mark.parametrize("name", ["Int8", "UInt64", "Int128", "Float32", "Float64", "Decimal"])
def test_numbers_of_polars(name):
    if not hasattr(pl, name):
        pytest.skip("this version of polars does not have the type")
    dtype = getattr(pl, name)
    values = pl.Series("x", [1, None, 3]).cast(dtype(20, 2) if name == "Decimal" else dtype)
    np.testing.assert_array_equal(Reading().fit_read(pl.DataFrame([values])).numeric[:, 0], [1, np.nan, 3])


@pytest.mark.parametrize("name", ["int8", "uint64", "float16", "float32", "float64", "bool_"])
def test_numbers_of_arrow(name):
    table = pa.table({"x": pa.array([1, None, 0]).cast(pa.uint8()).cast(getattr(pa, name)())})
    np.testing.assert_array_equal(Reading().fit_read(table, None).numeric[:, 0], [1, np.nan, 0])


CATEGORICAL = {
    "object": pd.Series(TEXTS, dtype=object),
    "str": pd.Series(TEXTS),
    "string": pd.Series(TEXTS, dtype="string[python]"),
    "category": pd.Series(TEXTS, dtype="category"),
    "unused category": pd.Series(pd.Categorical(TEXTS, categories=["z", "b", "a"])),
    "polars string": pl.Series(TEXTS),
    "polars categorical": pl.Series(TEXTS, dtype=pl.Categorical),
    "polars enum": pl.Series(TEXTS, dtype=pl.Enum(["z", "b", "a"])),
    "polars binary": pl.Series([b"a", None, b"b", b"a"]),
}


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categories_are_sorted_texts_regardless_of_the_type(name):
    series = CATEGORICAL[name]
    table = pd.DataFrame({"x": series}) if isinstance(series, pd.Series) else pl.DataFrame({"x": series})
    reading = Reading()
    np.testing.assert_array_equal(reading.fit_read(table).codes[:, 0], [1, 0, 2, 1])
    assert reading.reader_.n_codes.tolist() == [2]
    for other in CATEGORICAL.values():  # a reader understands all other types
        frame = pd.DataFrame({"x": other}) if isinstance(other, pd.Series) else pl.DataFrame({"x": other})
        np.testing.assert_array_equal(reading.read(frame).codes[:, 0], [1, 0, 2, 1])


@pytest.mark.parametrize("name", ["string", "large_string", "string_view", "binary", "dictionary", "chunked dictionary"])
def test_categories_of_arrow(name):
    array = pa.array(TEXTS)
    if name == "string_view":
        try:
            array.cast(pa.string_view())
        except pa.ArrowNotImplementedError:
            pytest.skip("this version of PyArrow cannot convert string views")
    if name == "dictionary":
        array = array.dictionary_encode()
    elif name == "chunked dictionary":  # the chunks have different dictionaries
        array = pa.chunked_array(
            [pa.array([text], "string").dictionary_encode() for text in ("a", None, "b", "a")], pa.dictionary("int32", "string")
        )
    else:
        array = pa.array([b"a", None, b"b", b"a"] if name == "binary" else TEXTS, getattr(pa, name)())
    reading = Reading()
    np.testing.assert_array_equal(reading.fit_read(pa.table({"x": array})).codes[:, 0], [1, 0, 2, 1])
    new = pa.table({"x": pa.array(["b", "new", None])})
    np.testing.assert_array_equal(reading.read(new).codes[:, 0], [2, 0, 0])
    extension = pd.DataFrame({"x": pd.Series(array.to_pandas(), dtype=pd.ArrowDtype(pa.string()))}) if name == "string" else new
    assert reading.read(extension).codes[0, 0] in (1, 2)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_indices_of_arrow_dictionaries(dtype):
    """polars writes unsigned indices."""
    array = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1], dtype), pa.array(["b", "a"]))
    np.testing.assert_array_equal(Reading().fit_read(pa.table({"x": array})).codes[:, 0], [1, 0, 2, 1])


def test_dates_as_categories():
    days = pa.array([dt.date(2021, 1, 1), dt.date(2020, 1, 1)])
    array = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1], "int32"), days)
    reading = Reading()
    np.testing.assert_array_equal(reading.fit_read(pa.table({"x": array})).codes[:, 0], [1, 0, 2, 1])
    for unit in ("s", "ns"):
        frame = pd.DataFrame({"x": pd.Categorical(pd.to_datetime(["2021-01-01", None, "2020-01-01"]).as_unit(unit))})
        np.testing.assert_array_equal(reading.read(frame).codes[:, 0], [2, 0, 1])


@pytest.mark.parametrize("values", [[3, 1, None, 3], [3.5, -1.0, None, 3.5], [True, False, None, True]])
def test_numbers_as_categories(values):
    expected = [2, 1, 0, 2]
    for table in frames(x=values, y=[1.0, 2.0, 3.0, 4.0]):
        reading = Reading()
        encoded = reading.fit_read(table, [0])
        np.testing.assert_array_equal(encoded.codes[:, 0], expected)
        assert encoded.numeric.shape == (4, 1)
        for other in frames(x=values, y=[1.0, 2.0, 3.0, 4.0]):
            if isinstance(table, np.ndarray) == isinstance(other, np.ndarray):
                np.testing.assert_array_equal(reading.read(other).codes, encoded.codes)


def test_integer_categories_of_pandas_are_numbers_if_other_columns_are_listed():
    table = pd.DataFrame({"x": pd.Categorical([3, None, 1]), "y": ["a", "b", "a"]})
    assert Reading().fit_read(table).codes[:, 0].tolist() == [2, 0, 1]
    numeric, codes = Reading().fit_read(table, ["y"])
    np.testing.assert_array_equal(numeric[:, 0], [3, np.nan, 1])
    assert codes.tolist() == [[1], [2], [1]]


def test_large_integers_are_different_categories():
    values = np.array([2**63, 2**63 + 1, 2**63 + 2, 2**63 + 1], np.uint64)
    assert Reading().fit_read(values[:, None], [0]).codes[:, 0].tolist() == [1, 2, 3, 2]


def test_large_numbers_with_a_small_range_keep_their_digits_in_float32():
    days = np.array([20240101, 20240102, 20240103, 20241231])
    numeric = Reading().fit(days[:, None]).read(days[:, None], np.float32).numeric
    np.testing.assert_array_equal(np.diff(numeric[:, 0]), np.diff(days))


def test_arrays_of_the_wanted_dtype_are_not_copied():
    X = np.arange(6.0).reshape(3, 2)
    reading = Reading().fit(X)
    assert np.shares_memory(reading.read(X).numeric, X)
    assert reading.read(X, np.float32).numeric.dtype == np.float32
    assert reading.read(X.tolist()).numeric.tolist() == X.tolist()


@pytest.mark.parametrize("kind", ["list", "array of strings", "array of objects"])
def test_rows_of_texts_and_numbers(kind):
    rows = [["a", 1.5], ["b", 2.5], ["a", None]]
    X = rows if kind != "array of objects" else np.array(rows, object)
    if kind == "array of strings":
        assert Reading().fit_read(np.array([["a", "1"], ["b", "2"], ["a", "1"]])).codes.tolist() == [[1, 1], [2, 2], [1, 1]]
        return
    numeric, codes = Reading().fit_read(X)
    np.testing.assert_array_equal(numeric[:, 0], [1.5, 2.5, np.nan])
    assert codes[:, 0].tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "1", 1.0, "b", None], [1, 1, 1, 2, 0]),  # a column of a CSV file that was read in parts
        ([True, "True", 1, "1", pd.NA], [2, 2, 1, 1, 0]),
        ([float("nan"), np.nan, pd.NaT, "a", np.float64("nan")], [0, 0, 0, 1, 0]),
        ([Decimal(2), "2", Decimal("2.5"), "2.5", "a"], [1, 1, 2, 2, 3]),
        ([dt.date(2020, 1, 1), "2020-01-01", "a", "b", None], [1, 1, 2, 3, 0]),
    ],
)
def test_objects_of_mixed_types_are_compared_as_texts(values, expected):
    for X in (np.array(values, object)[:, None], pd.DataFrame({"x": pd.Series(values, dtype=object)})):
        assert Reading().fit_read(X).codes[:, 0].tolist() == expected


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("values", [[1, 2.5, Fraction(1, 2)], [True, np.False_, True], ["a", "b", "a"], [DAY, DAY * 2, DAY]])
def test_all_missing_values_in_objects(values, missing):
    X = pd.DataFrame({"x": pd.Series([*values, missing], dtype=object)})
    numeric, codes = Reading().fit_read(X)
    assert np.isnan(numeric[-1]).all()
    assert (codes[-1] == 0).all()
    assert not np.isnan(numeric[:-1]).any()
    assert (codes[:-1] > 0).all()
    assert numeric.shape[1] + codes.shape[1] == 1


# ---------------------------------------------------------------------- dates


def naive_phases(moments, cycle):
    """The sines and cosines of local times, with Python's datetime; years and weeks are measured in whole days."""
    for moment in moments:
        if cycle == "day":
            fraction = (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)) / DAY
        elif cycle == "week":
            fraction = moment.weekday() / 7
        else:
            start = dt.date(moment.year, 1, 1)
            fraction = (moment.date() - start) / (dt.date(moment.year + 1, 1, 1) - start)
        yield np.sin(2 * np.pi * fraction), np.cos(2 * np.pi * fraction)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "objects", "numpy"])
def test_dates_are_days_and_phases(library):
    random_state = np.random.RandomState(0)
    start = dt.datetime(1965, 3, 1)
    moments = [start + dt.timedelta(hours=int(hours)) for hours in random_state.randint(0, 24 * 3000, 50)]
    if library == "pyarrow":
        X = pa.table({"x": moments})
    else:
        X = {
            "pandas": lambda: pd.DataFrame({"x": moments}),
            "polars": lambda: pl.DataFrame({"x": moments}),
            "objects": lambda: np.array(moments, object)[:, None],
            "numpy": lambda: np.array(moments, "datetime64[s]")[:, None],
        }[library]()
    reading = Reading()
    numeric = reading.fit_read(X).numeric
    column = reading.reader_.columns[0]
    assert column.cycles == ("year", "week", "day")
    np.testing.assert_allclose(numeric[:, 0], [(one - dt.datetime(1970, 1, 1)) / DAY - column.origin for one in moments])
    for n, cycle in enumerate(column.cycles):
        np.testing.assert_allclose(numeric[:, 2 * n + 1 : 2 * n + 3], list(naive_phases(moments, cycle)), atol=1e-12)


@pytest.mark.parametrize(
    ("moments", "cycles"),
    [
        (pd.date_range("2020-01-01", periods=10, freq="D"), ()),  # the phase of the week does not repeat
        (pd.date_range("2020-01-01", periods=30, freq="D"), ("week",)),
        (pd.date_range("2020-01-01", periods=30, freq="7D"), ()),  # always the same weekday
        (pd.date_range("2020-01-01 05:00", periods=30, freq="h"), ("day",)),
        (pd.date_range("2020-01-01", periods=400, freq="D"), ("year", "week")),
        (pd.date_range("2000-01-01", periods=20, freq="YS"), ("week",)),  # always the first day of the year
        (pd.DatetimeIndex(["2020-01-01"] * 3), ()),
        (pd.period_range("2020-01", periods=30, freq="M"), ("year", "week")),
    ],
)
def test_only_cycles_that_vary_and_repeat_have_features(moments, cycles):
    reading = Reading()
    numeric = reading.fit_read(pd.DataFrame({"x": moments})).numeric
    assert reading.reader_.columns[0].cycles == cycles
    assert numeric.shape == (len(moments), 1 + 2 * len(cycles))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_time_zones(library):
    berlin = pd.date_range("2020-01-01", periods=500, freq="37h", tz="Europe/Berlin")
    convert = {"pandas": lambda X: X, "polars": pl.DataFrame, "pyarrow": lambda X: pa.Table.from_pandas(X)}[library]
    if library == "polars":

        def convert(X):
            naive = pl.DataFrame({"x": X["x"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()})
            return naive.with_columns(pl.col("x").dt.replace_time_zone("UTC").dt.convert_time_zone(str(X["x"].dt.tz)))

    reading = Reading()
    numeric = reading.fit_read(convert(pd.DataFrame({"x": berlin}))).numeric
    elapsed = (berlin - berlin[0]).total_seconds() / 86400
    np.testing.assert_allclose(numeric[:, 0] - numeric[0, 0], elapsed)
    np.testing.assert_allclose(numeric[:, 5:], list(naive_phases([one.tz_localize(None) for one in berlin], "day")), atol=1e-12)
    tokyo = convert(pd.DataFrame({"x": berlin.tz_convert("Asia/Tokyo")}))
    np.testing.assert_allclose(reading.read(tokyo).numeric, numeric, atol=1e-12)  # the same moments


def test_objects_with_time_zones_are_converted_to_utc():
    zone = dt.timezone(dt.timedelta(hours=2))
    X = np.array([dt.datetime(2020, 1, 1, tzinfo=zone), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None], object)[:, None]
    numeric = Reading().fit_read(X).numeric
    np.testing.assert_allclose(np.diff(numeric[:, 0]), [2 / 24, np.nan])


# ---------------------------------------------------------------------- categories


def naive_codes(train, new, min_count, max_categories):
    """The codes of texts with loops over the rows: the documented rule."""
    counts = Counter(value for value in train if value is not None)
    kept = sorted(text for text in counts if len(counts) <= 32 or counts[text] >= min_count)
    if len(kept) + (len(kept) < len(counts)) > max_categories:
        kept = sorted(sorted(kept, key=lambda text: -counts[text])[: max_categories - 1])
    unknown = len(kept) + 1 if len(kept) < len(counts) else 0
    return [0 if value is None else kept.index(value) + 1 if value in kept else unknown for value in new]


@settings(max_examples=5)
@given(
    texts=st.lists(st.one_of(st.none(), st.integers(0, 60).map("t{}".format)), min_size=1, max_size=150),
    new=st.lists(st.one_of(st.none(), st.integers(0, 80).map("t{}".format)), min_size=1, max_size=50),
    min_count=st.integers(1, 4),
    max_categories=st.integers(2, 50),
)
@example([f"t{n % 40}" for n in range(60)], ["t0", "t30", "t50", None], 2, 50)  # rare categories
@example([f"t{n % 40}" for n in range(60)], ["t0", "t30", "t50", None], 1, 10)  # too many categories
@example([f"t{n % 40}" for n in range(60)], ["t0", "t30", "t50", None], 2, 20)
def test_codes_agree_with_a_loop(texts, new, min_count, max_categories):
    texts, new = ["t0", *texts], ["t0", *new]  # a column without values would be ignored
    expected = naive_codes(texts, new, min_count, max_categories)
    for train_table, new_table in zip(frames(x=texts), frames(x=new), strict=True):
        reading = Reading().fit(train_table, min_count=min_count, max_categories=max_categories)
        assert reading.read(new_table).codes[:, 0].tolist() == expected


def test_codes_agree_with_pandas_and_scikit_learn():
    random_state = np.random.RandomState(0)
    texts = np.array([f"category {n}" for n in random_state.randint(0, 500, 5000)], object)
    texts[random_state.rand(5000) < 0.1] = None
    X = pd.DataFrame({"x": pd.Series(texts, dtype=object)})
    codes = Reading().fit_read(X, min_count=1).codes[:, 0]
    np.testing.assert_array_equal(codes, pd.factorize(texts, sort=True)[0] + 1)
    encoder = OrdinalEncoder(dtype=int)
    present = codes > 0
    np.testing.assert_array_equal(codes[present], encoder.fit_transform(X[present])[:, 0] + 1)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_unknown_categories_and_new_missing_values(library):
    reading = Reading().fit(library({"c": ["a", "b", "b"], "x": [1.0, 2.0, 3.0]}))
    numeric, codes = reading.read(library({"c": ["new", None, "b"], "x": [None, 5.0, float("nan")]}))
    assert codes[:, 0].tolist() == [0, 0, 2]
    np.testing.assert_array_equal(numeric[:, 0], [np.nan, 5, np.nan])
    empty = library({"c": [None, None], "x": [None, None]})
    numeric, codes = reading.read(empty)
    assert np.isnan(numeric).all()
    assert not codes.any()


def test_ten_thousand_categories():
    texts = [f"c{n}" for n in range(10_000)] * 2
    for X in (pd.DataFrame({"x": texts}), pl.DataFrame({"x": texts})):
        reading = Reading()
        codes = reading.fit_read(X).codes[:, 0]
        assert reading.reader_.n_codes.tolist() == [10_000]
        assert len(np.unique(codes)) == 10_000
        assert reading.fit_read(X, max_categories=1000).codes.max() == 1000
        assert np.bincount(reading.read(X).codes[:, 0])[-1] == 2 * 9001


def test_categories_that_are_all_different_share_one_code():
    texts = [f"c{n}" for n in range(2000)]
    for X in frames(x=texts):
        reading = Reading()
        assert (reading.fit_read(X).codes == 1).all()
        assert reading.reader_.n_codes.tolist() == [1]
        new = X[:2] if not hasattr(X, "slice") else X.slice(0, 2)
        assert (reading.read(new).codes == 1).all()


def test_all_different_categories_of_few_rows_are_kept():
    assert Reading().fit_read(np.array([["a"], ["b"], ["c"]], object)).codes[:, 0].tolist() == [1, 2, 3]


def test_more_texts_than_can_be_counted(monkeypatch):
    """The frequent texts remain, although the counter is reduced several times."""
    monkeypatch.setattr(column_objects, "_MAX_COUNTED", 1000)
    monkeypatch.setattr(column_objects, "_BLOCK_OF_TEXTS", 300)
    identifiers = [f"id {n}" for n in range(5000)]
    identifiers[::100] = ["frequent"] * 50
    reading = Reading().fit(np.array(identifiers, object)[:, None])
    column = reading.reader_.columns[0]
    assert column.categories == ["frequent"]
    assert column.has_rare


@pytest.mark.parametrize("library", ["objects", "pandas", "polars", "pyarrow"])
def test_memory_is_at_most_twice_the_values_in_four_bytes(library, monkeypatch):
    monkeypatch.setattr(column_labels, "_BLOCK", 256)  # Python objects are made of blocks of rows
    monkeypatch.setattr(column_objects, "_BLOCK_OF_TEXTS", 256)
    n_rows = 4000
    random_state = np.random.RandomState(0)
    columns = {f"x{n}": random_state.randn(n_rows) for n in range(10)}
    columns |= {f"c{n}": np.array([f"identifier {i}" for i in random_state.permutation(n_rows)], object) for n in range(10)}
    X = {
        "objects": lambda: pd.DataFrame(columns).astype(object),
        "pandas": lambda: pd.DataFrame(columns),
        "polars": lambda: pl.DataFrame({name: values.tolist() for name, values in columns.items()}),
        "pyarrow": lambda: pa.table(columns),
    }[library]()
    reading = Reading().fit(X)
    table = InputTable.checked(X, reading, reset=False)
    reading.reader_.encode(table, np.float32)
    tracemalloc.start()
    numeric, codes = reading.reader_.encode(table, np.float32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes.dtype == np.int8  # all identifiers occur once and have the same code
    assert peak < 2.1 * 4 * (numeric.size + codes.size)


# ---------------------------------------------------------------------- parameters, names and errors


@pytest.mark.parametrize("categorical_features", [[1], ["b"], [False, True, False], np.array([1])])
def test_categorical_features(categorical_features):
    table = pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 1], "c": [True, False, True]})
    numeric, codes = Reading().fit_read(table, categorical_features)
    assert numeric[:, 0].tolist() == [1, 2, 3]
    assert codes.tolist() == [[1, 2], [2, 1], [1, 2]]


def test_no_categorical_features():
    numeric, codes = Reading().fit_read(pd.DataFrame({"a": [1, 2, 3], "c": [True, False, True]}), None)
    assert numeric.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert codes.shape == (3, 0)
    with pytest.raises(
        ValueError, match=r"categorical_features=None, .* column 'a' has text. Set categorical_features='from_dtype'"
    ):
        Reading().fit(pd.DataFrame({"a": ["x", "y"]}), None)


@pytest.mark.parametrize(
    ("categorical_features", "message"),
    [
        ([5], r"must be in .* X has 2 columns; got categorical_features=\[5\]. Pass the names"),
        (["z"], "not a valid feature name"),
        ([True], "boolean mask"),
        ([0.5], "array-like of bool, int or"),
    ],
)
def test_wrong_categorical_features(categorical_features, message):
    with pytest.raises(ValueError, match=message):
        Reading().fit(pd.DataFrame({"a": [1, 2], "b": [3, 4]}), categorical_features)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_names_are_checked_as_in_scikit_learn(library):
    reading = Reading().fit(library({"a": [1, 2], "b": ["x", "y"]}))
    assert reading.n_features_in_ == 2
    assert reading.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        reading.read(library({"b": ["x", "y"], "a": [1, 2]}))
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        reading.read(library({"a": [1, 2], "z": ["x", "y"]}))
    with pytest.raises(ValueError, match="2 features as input"):
        Reading().fit(np.ones((2, 2))).read(np.ones((2, 3)))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        reading.read(np.array([[1, "x"]], object))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, lambda X: pl.DataFrame(np.array(X))])
def test_infinite_numbers(make, dtype):
    reading = Reading().fit(make([[1.0], [2.0]]))
    for value in (np.inf, -np.inf, *([1e300] if dtype == np.float32 else [])):
        with pytest.raises(ValueError, match=r"Input X contains infinity or a value too large for dtype\('float"):
            reading.read(make([[1.0], [value]]), dtype)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, "Expected 2D array, got 1D array"),
        (np.ones((0, 2)), ValueError, r"Found array with 0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1 is required"),
        (np.ones((2, 0)), ValueError, r"0 feature\(s\) \(shape=\(2, 0\)\) while a minimum of 1 is required"),
        (
            pd.DataFrame({"a": []}),
            ValueError,
            r"Found array with 0 sample\(s\) \(shape=\(0, 1\)\) while a minimum of 1 is required",
        ),
        (pl.DataFrame(), ValueError, r"Found array with 0 sample\(s\)"),
        (pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\) \(shape=\(2, 0\)\) while a minimum of 1 is required"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, r"different names, got \['a'\] more than once"),
        (csr_array((2, 2)), TypeError, "Sparse data was passed"),
        (pl.LazyFrame({"a": [1]}), TypeError, r"lazy data frame of polars. Pass X.collect\(\)"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": [1j]}), ValueError, "Complex data not supported: column 'a'"),
        (pd.DataFrame({"a": [1j, "b"]}), ValueError, "Complex data not supported: column 'a'"),
        (pd.DataFrame({"a": [[1], [2]]}), TypeError, "Column 'a' .* 'list'; each value must be a string, a number"),
        (np.array([[{"a": 1}], [2]], object), TypeError, "Column 'x0' .* 'dict'; each value must be a string, a number"),
        (pd.DataFrame({"a": [object(), 1]}), TypeError, "Column 'a' .* 'object'"),
        (pl.DataFrame({"a": [[1], [2]]}), TypeError, r"nested type List\(Int64\)"),
        (pl.DataFrame({"a": [{"b": 1}]}), TypeError, "nested type Struct"),
    ],
)
def test_tables_that_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        Reading().fit(X)


def test_record_batches_of_pyarrow():
    batch = pa.RecordBatch.from_pydict({"a": [1.0, 2.0], "b": ["x", "y"]})
    numeric, codes = Reading().fit_read(batch)
    np.testing.assert_array_equal(numeric[:, 0], [1, 2])
    np.testing.assert_array_equal(codes[:, 0], [1, 2])


@pytest.mark.parametrize("new", [[1.0, 2.0], [dt.datetime(2020, 1, 1)] * 2, [DAY] * 2])
def test_columns_of_words_refuse_numbers_and_dates(new):
    words = Reading().fit(pd.DataFrame({"a": ["x", "y"]}))
    with pytest.raises(ValueError, match=r"Column 'a' of X must have text, as in the table passed to fit, but it has .* to text\."):
        words.read(pd.DataFrame({"a": new}))
    mixed = Reading().fit(pd.DataFrame({"a": ["x", 2.0, DAY, dt.datetime(2020, 1, 1)]}, dtype=object))
    assert (mixed.read(pd.DataFrame({"a": new}))[1] >= 0).all()
    assert (words.read(pd.DataFrame({"a": [np.nan, np.nan]}))[1] == 0).all()


def test_nested_values_at_prediction():
    reading = Reading().fit(pd.DataFrame({"a": ["x", "y"]}))
    with pytest.raises(TypeError, match=r"Column 'a' .* 'list'; each value must be"):
        reading.read(pd.DataFrame({"a": [["x"], "y"]}))


@pytest.mark.parametrize("new", [["x", "y"], [dt.datetime(2020, 1, 1)] * 2, [True, False], [DAY] * 2, [dt.time(1)] * 2, [1.0, 2.0]])
@pytest.mark.parametrize("old", [[1.0, 2.0], [dt.datetime(2020, 1, 1)] * 2, [DAY] * 2, [dt.time(1)] * 2])
def test_columns_of_another_kind(old, new):
    reading = Reading().fit(pd.DataFrame({"a": old}))
    if type(old[0]) is type(new[0]) or (isinstance(old[0], float) and isinstance(new[0], bool)):
        assert np.isfinite(reading.read(pd.DataFrame({"a": new})).numeric).all()
        return
    was = {float: "numbers", dt.datetime: "dates", dt.timedelta: "durations", dt.time: "times"}[type(old[0])]
    with pytest.raises(ValueError, match=f"Column 'a' of X must have {was}, as in the table passed to fit, but it has"):
        reading.read(pd.DataFrame({"a": new}))


def test_columns_without_values_are_ignored():
    reading = Reading().fit(pd.DataFrame({"a": [None, None], "b": [1.0, 2.0], "c": [np.nan, np.nan]}))
    numeric, codes = reading.read(pd.DataFrame({"a": ["x", [1]], "b": [3.0, 4.0], "c": [1.0, np.nan]}))
    np.testing.assert_array_equal(numeric, [[3, 1], [4, np.nan]])
    assert codes.shape == (2, 0)


# ---------------------------------------------------------------------- state


def mixed_table(n_rows=200):
    random_state = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "x": random_state.randn(n_rows),
            "c": random_state.choice(["a", "b", None], n_rows),
            "d": pd.date_range("2020", periods=n_rows, freq="59h", tz="Europe/Paris"),
            "e": random_state.randint(0, 100, n_rows),
            "f": random_state.rand(n_rows) < 0.5,
            "g": [None] * n_rows,
        }
    )


def test_the_state_is_plain_and_survives_files_and_pickles():
    X = mixed_table()
    reading = Reading().fit(X, ["e", "c"])
    expected = reading.read(X)
    plain = reading.reader_.to_plain()
    encoder = Encoder()
    tree = encoder.encode(plain, "columns")
    loaded = Decoder(encoder.tensors).decode(tree)
    copies = [ColumnReader.from_plain(loaded), pickle.loads(pickle.dumps(reading.reader_))]
    assert len(pickle.dumps(reading.reader_)) < 10_000
    for copy in copies:
        encoded = copy.encode(InputTable.checked(X, reading, reset=False), np.float64)
        np.testing.assert_array_equal(encoded.numeric, expected.numeric)
        np.testing.assert_array_equal(encoded.codes, expected.codes)


def test_threads_can_share_a_reader():
    X = mixed_table()
    reading = Reading().fit(X)
    expected = reading.read(X)
    results = []

    def read():
        for _ in range(3):
            results.append(reading.reader_.encode(InputTable.checked(X, Reading(), reset=True), np.float64))

    fresh = pickle.loads(pickle.dumps(reading.reader_))
    reading.reader_ = fresh
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    for encoded in results:
        np.testing.assert_array_equal(encoded.numeric, expected.numeric)
        np.testing.assert_array_equal(encoded.codes, expected.codes)


@settings(max_examples=5)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_infinity=False, width=32)),
            st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)),
            st.one_of(st.none(), st.booleans()),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_containers_agree_for_random_tables(rows):
    rows = [(0.5, "a", True), *rows]
    columns = dict(zip("xyz", map(list, zip(*rows, strict=True)), strict=True))
    first, *others = (Reading().fit_read(table) for table in frames(**columns))
    for other in others:
        np.testing.assert_array_equal(first.numeric, other.numeric)
        np.testing.assert_array_equal(first.codes, other.codes)
