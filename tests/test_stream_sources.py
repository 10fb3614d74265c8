"""The sources of ``fit_batches``: functions, lists, iterators, ``DataIter``, Parquet and CSV files; errors that name the block."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from test_batches import CODES, N_ROWS, SMALL, WEIGHT, X, Y, assert_close, assert_same, few_epochs, naive_order, stream, trained

from fastbp import MLPClassifier, MLPRegressor

TARGET = Y[MLPRegressor]
NAMES = [f"x{n}" for n in range(X.shape[1])]
COLORS = np.array(["green", "red", "blue"])[CODES]


# ---------------------------------------------------------------------- blocks


class Rows:
    """An object like XGBoost's ``DataIter``."""

    def __init__(self, *arrays, size=50, extra=None):
        self.blocks, self.n, self.n_resets, self.extra = list(stream(*arrays, size=size)()), 0, 0, extra or {}

    def next(self, input_data):
        if self.n == len(self.blocks):
            return 0
        names = ("data", "label", "weight")
        input_data(**dict(zip(names, self.blocks[self.n], strict=False)), **self.extra)
        self.n += 1
        return 1

    def reset(self):
        self.n = 0
        self.n_resets += 1


class Loader:
    """An iterable object that is not a list, such as a DataLoader."""

    def __iter__(self):
        return iter(stream(X, TARGET)())


@few_epochs
def test_all_sources_give_the_same_result():
    expected = trained(MLPRegressor, stream(X, TARGET), shuffle=False)
    for source in (
        list(stream(X, TARGET)()),
        tuple(stream(X, TARGET)()),
        Rows(X, TARGET),
        Loader(),
        lambda: Rows(X, TARGET).blocks,
    ):
        assert_same(trained(MLPRegressor, source, shuffle=False), expected)


@few_epochs
@pytest.mark.parametrize("weighted", [False, True])
def test_data_iter_is_reset_for_each_epoch(weighted):
    arrays = (X, TARGET, *([WEIGHT] if weighted else []))
    source = Rows(*arrays)
    assert_same(trained(MLPRegressor, source, epochs=3), trained(MLPRegressor, stream(*arrays), epochs=3))
    assert source.n_resets == 3


def test_data_iter_errors():
    with pytest.raises(TypeError, match=r"input_data takes data, label and weight, got also \['qid'\]. Leave qid out"):
        trained(MLPRegressor, Rows(X, TARGET, extra={"qid": 3, "group": None}))

    class Silent(Rows):
        def next(self, input_data):
            return 1

    with pytest.raises(ValueError, match="must call input_data once, but the call for block 0 called it 0 times"):
        trained(MLPRegressor, Silent(X, TARGET))


@few_epochs
def test_an_iterator_can_be_read_once():
    params = {"epochs": 1, "shuffle": False}
    expected = trained(MLPClassifier, stream(X, CODES), classes=[0, 1, 2], **params)
    assert_same(trained(MLPClassifier, stream(X, CODES)(), classes=[0, 1, 2], **params), expected)
    with pytest.raises(ValueError, match=r"3 epochs \(or pass epochs=1\).*pass read instead of read\(\)"):
        trained(MLPRegressor, stream(X, TARGET)(), epochs=3)
    with pytest.raises(ValueError, match=r"the classes or their weights \(or pass classes, .*and for 200 epochs"):
        MLPClassifier().fit_batches(stream(X, CODES)())
    with pytest.raises(ValueError, match=r"the scale of X \(or pass scale=None"):
        trained(MLPRegressor, stream(X, TARGET)(), epochs=1, scale="standard")
    with pytest.raises(ValueError, match="the number of rows"):
        trained(MLPRegressor, stream(X, TARGET)(), epochs=1, learning_rate="cosine")


@few_epochs
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames(frame):
    blocks = [(frame(dict(zip(NAMES, rows.T, strict=True))), y) for rows, y in stream(X, TARGET)()]
    model = trained(MLPRegressor, blocks, shuffle=False, validation=blocks)
    assert model.feature_names_in_.tolist() == NAMES
    other = trained(MLPRegressor, stream(X, TARGET), shuffle=False, validation=(X, TARGET))
    assert_same(model, other)
    model.predict(blocks[0][0])


WRONG = {
    "empty": ((X[:0], TARGET[:0]), "must have at least one row, but it is empty. Leave empty blocks out"),
    "too narrow": ((X[:9, :3], TARGET[:9]), "X has 3 features, but MLPRegressor is expecting 5 features"),
    "NaN": ((np.where(X[:9] == X[4, 1], np.nan, X[:9]), TARGET[:9]), "contains NaN"),
    "lengths": ((X[:9], TARGET[:8]), "inconsistent numbers of samples"),
    "texts": ((X[:9], np.array(["a"] * 9)), "y"),
    "columns of y": ((X[:9], np.stack([TARGET[:9]] * 2, 1)), "y has 2 columns, but 1 in the first block"),
    "weights": ((X[:9], TARGET[:9], WEIGHT[:9]), "it has sample weights, but the first has none"),
    "NaN weights": ((X[:9], TARGET[:9], np.full(9, np.nan)), "NaN"),
    "one array": (X[:9], "must be a tuple"),
    "four arrays": ((X[:9],) * 4, "a tuple of length 4"),
    "number": ((3.0, TARGET[:9]), "."),
}


@few_epochs
@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name in WRONG for n in (0, 4) if n or name not in ("too narrow", "columns of y", "weights")]
)
def test_errors_name_the_block(name, number):
    block, message = WRONG[name]
    blocks = list(stream(X, TARGET)())
    blocks.insert(number, block)
    with pytest.raises((ValueError, TypeError), match=rf"(?s)Block {number} of source.*{message}"):
        trained(MLPRegressor, lambda: iter(blocks), epochs=2)


@few_epochs
def test_missing_weights_and_other_names_are_errors():
    blocks = list(stream(X, TARGET, WEIGHT)())
    blocks[3] = blocks[3][:2]
    with pytest.raises(ValueError, match="Block 3 of source cannot be used: it has no sample weights, but the first block has"):
        trained(MLPRegressor, blocks)
    frames = [(pd.DataFrame(rows, columns=NAMES), y) for rows, y in stream(X, TARGET)()]
    frames[2] = frames[2][0][NAMES[::-1]], frames[2][1]
    with pytest.raises(ValueError, match=r"(?s)Block 2 of source cannot be used: The feature names should match"):
        trained(MLPRegressor, frames)


def test_a_source_without_rows_is_an_error():
    for source in ([], lambda: iter([]), Rows(X[:0], TARGET[:0])):
        with pytest.raises(ValueError, match="must return at least one block of rows"):
            MLPRegressor().fit_batches(source)
    n_calls = []

    def ends():
        n_calls.append(0)
        return stream(X, TARGET)() if len(n_calls) < 2 else iter([])

    model = MLPRegressor(**SMALL)
    with pytest.raises(ValueError, match="in each epoch, but this function returned none"):
        model.fit_batches(ends, epochs=2)
    assert model.n_iter_ == 1
    assert model._state.resume is not None


@pytest.mark.parametrize("source", [3, None, X, (X, TARGET), {"X": X}, [X, TARGET], lambda: 3, "data.txt"], ids=range(8))
def test_wrong_sources_are_errors(source):
    with pytest.raises((TypeError, ValueError), match=r"source must be|format of a file"):
        MLPRegressor().fit_batches(source, epochs=1, target_column="y" if isinstance(source, str) else None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"epochs": True}, "epochs must be an integer"),
        ({"shuffle_buffer": 2.5}, "shuffle_buffer must be an integer of at least 1, the number of rows; got 2.5"),
        ({"categories": "ordinal"}, "categories must be 'one_hot' or 'codes', got 'ordinal'"),
        ({"classes": [0, 1]}, "classes must be None for a regressor"),
        ({"target_column": "y"}, "target_column='y' needs a source of named columns"),
        ({"validation": []}, "its source returned no blocks"),
        ({"validation": (X[:, :2], TARGET)}, "The validation rows cannot be used: X has 2 features"),
    ],
)
def test_wrong_arguments_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**SMALL).fit_batches(stream(X, TARGET), **{"epochs": 1} | options)


@few_epochs
def test_validation_can_be_lists():
    options, rows = {"epochs": 2, "shuffle": False}, (X[:60], TARGET[:60], WEIGHT[:60])
    weighted = trained(MLPRegressor, stream(X, TARGET), validation=rows, **options)
    plain = trained(MLPRegressor, stream(X, TARGET), validation=rows[:2], **options)
    lists, blocks = [part.tolist() for part in rows], [tuple(part[n : n + 30] for part in rows) for n in (0, 30)]
    given = {
        "lists": (tuple(lists), weighted),
        "a list of lists": (lists[:2], plain),
        "a list of arrays": ((list(rows[0]), *lists[1:]), weighted),
        "mixed": ((rows[0], lists[1]), plain),
        "blocks": (blocks, weighted),
        "blocks of lists": ([tuple(part.tolist() for part in block) for block in blocks], weighted),
    }
    for name, (validation, expected) in given.items():
        model = trained(MLPRegressor, stream(X, TARGET), validation=validation, **options)
        assert model.history_["val_loss"] == expected.history_["val_loss"], name


@pytest.mark.parametrize("validation", [3, X, [1, 2, 3, 4], {"X": X}, ([1.0, 2.0], [1.0, 2.0])], ids=range(5))
def test_errors_for_wrong_validation_rows_name_the_argument(validation):
    with pytest.raises(TypeError, match=r"^validation must be a tuple \(X, y\), or a function .*Pass validation=\(X, y\)"):
        MLPRegressor(**SMALL).fit_batches(stream(X, TARGET), epochs=1, validation=validation)


@pytest.mark.parametrize(
    "params", [{"solver": "lbfgs"}, {"scale": "robust"}, {"scale": "smooth_clip"}, {"scale_y": "robust"}, {"early_stopping": True}]
)
def test_parameters_that_need_all_rows_are_errors(params):
    name, value = next(iter(params.items()))
    with pytest.raises(ValueError, match=f"fit_batches does not support {name}={value!r}, which needs"):
        MLPRegressor(**params).fit_batches(stream(X, TARGET))


# ---------------------------------------------------------------------- files and datasets


def table_of(dtype=float, **columns):
    return pa.table(dict(zip(NAMES, X.astype(dtype).T, strict=True)) | {"y": TARGET, "w": WEIGHT} | columns)


@pytest.fixture
def path(tmp_path):
    """A folder with two Parquet files of five and six row groups; the columns of the second file have another order."""
    table = table_of()
    pq.write_table(table[:250], tmp_path / "a.parquet", row_group_size=50)
    pq.write_table(table.select(table.column_names[::-1])[250:], tmp_path / "b.parquet", row_group_size=50)
    return tmp_path


PARTS = [list(range(start, min(start + 50, N_ROWS))) for start in range(0, N_ROWS, 50)]
COLUMNS = {"target_column": "y", "weight_column": "w"}


def from_files(kind, source, *, epochs=3, shuffle_buffer=100, columns=COLUMNS, params=None, **options):
    return kind(**SMALL | (params or {})).fit_batches(source, epochs=epochs, shuffle_buffer=shuffle_buffer, **columns, **options)


@few_epochs
def test_parquet_files(path):
    files = [str(path / "a.parquet"), path / "b.parquet"]
    expected = trained(MLPRegressor, stream(X, TARGET, WEIGHT), epochs=3, shuffle=False)
    for source in (path, str(path), files, ds.dataset(path), ds.dataset(list(map(str, files)))):
        model = from_files(MLPRegressor, source, params={"shuffle": False})
        assert_same(model, expected)
        assert model.feature_names_in_.tolist() == NAMES
    model.predict(pd.DataFrame(X, columns=NAMES))
    shuffled = trained(MLPRegressor, list(stream(X, TARGET, WEIGHT)()), epochs=3)
    assert_same(from_files(MLPRegressor, files), shuffled)


@few_epochs
def test_order_of_row_groups_is_that_of_the_naive_implementation(path):
    model = from_files(MLPRegressor, path)
    seed, expected = model._state.resume.segments["seed"], MLPRegressor(**SMALL, shuffle=False, max_iter=1, warm_start="resume")
    for epoch in range(3):
        order = naive_order(N_ROWS, 112, seed, epoch, PARTS)
        expected.fit(X[order], TARGET[order], WEIGHT[order])
    assert_same(model, expected)


@few_epochs
@pytest.mark.parametrize("names", [["x3", "x0"], "x2"])
def test_feature_columns(path, names):
    columns = COLUMNS | {"feature_columns": names}
    model = from_files(MLPRegressor, path, columns=columns, params={"shuffle": False})
    numbers = [int(name[1]) for name in ([names] if isinstance(names, str) else names)]
    assert model.feature_names_in_.tolist() == [NAMES[n] for n in numbers]
    assert_same(model, trained(MLPRegressor, stream(X[:, numbers], TARGET, WEIGHT), epochs=3, shuffle=False))


@few_epochs
@pytest.mark.parametrize(
    ("kinds", "dtype"),
    [((pa.float32(), pa.int16()), "float32"), ((pa.float32(), pa.int32()), "float64"), ((pa.bool_(),), "float32")],
)
def test_dtype_is_the_smallest_that_is_exact(tmp_path, kinds, dtype):
    columns = {f"n{n}": pa.array(np.arange(N_ROWS) % 2).cast(kind) for n, kind in enumerate(kinds)}
    pq.write_table(pa.table(columns | {"y": TARGET}), tmp_path / "a.parquet")
    model = from_files(MLPRegressor, tmp_path, columns={"target_column": "y"})
    assert model.coefs_[0].dtype == dtype


@few_epochs
@pytest.mark.parametrize("is_dictionary", [False, True])
@pytest.mark.parametrize("encoding", ["one_hot", "codes"])
def test_categories(tmp_path, is_dictionary, encoding):
    colors = np.where(np.arange(N_ROWS) == 7, None, COLORS)
    column = pa.array(colors, pa.string())
    for n, rows in enumerate(np.split(np.arange(N_ROWS), 5)):  # each file has its own dictionary
        part = column.take(pa.array(rows))
        table = pa.table({"x": X[rows, 0], "color": part.dictionary_encode() if is_dictionary else part, "y": CODES[rows]})
        pq.write_table(table, tmp_path / f"{n}.parquet", row_group_size=40)
    frame = pd.DataFrame({"x": X[:, 0], "color": colors})
    if encoding == "one_hot":
        expected = pd.get_dummies(frame)
    else:
        codes = frame["color"].map({"blue": 0, "green": 1, "red": 2})
        expected = pd.DataFrame({"x": X[:, 0], "color": codes})
    params, columns = {"shuffle": False, "missing": "indicator"}, {"target_column": "y", "categories": encoding}
    model = from_files(MLPClassifier, tmp_path, params=params, columns=columns)
    whole = MLPClassifier(**SMALL | params, max_iter=3).fit(expected.astype(float), CODES)
    assert model.feature_names_in_.tolist() == list(expected)
    assert_close(model, whole, rtol=1e-7)


@few_epochs
def test_validation_of_files_has_the_categories_of_training(tmp_path):
    table = table_of(color=COLORS)
    pq.write_table(table, tmp_path / "train.parquet")
    green = table.filter(pa.compute.equal(table["color"], "green"))
    unknown = pa.array(np.where(np.arange(len(green)) < 9, "black", "green"))
    green = green.set_column(green.column_names.index("color"), "color", unknown)
    pq.write_table(green, tmp_path / "test.parquet")
    model = from_files(
        MLPRegressor,
        tmp_path / "train.parquet",
        validation=tmp_path / "test.parquet",
        params={"early_stopping": True, "scoring": "neg_mean_absolute_error"},
    )
    frame = pd.get_dummies(green.to_pandas()).reindex(columns=model.feature_names_in_, fill_value=0)
    error = np.average(np.abs(model.predict(frame) - green["y"].to_numpy()), weights=green["w"].to_numpy())
    assert model.validation_scores_[-1] == pytest.approx(-error)


@few_epochs
def test_text_labels_of_files_are_found_without_reading_the_features(tmp_path, monkeypatch):
    from fastbp._streams import arrow_source

    pq.write_table(table_of(label=pa.array(COLORS).dictionary_encode()), tmp_path / "a.parquet", row_group_size=100)
    read, columns = [], {"target_column": "label", "feature_columns": NAMES}
    batches = arrow_source._ArrowSource._batches
    monkeypatch.setattr(
        arrow_source._ArrowSource, "_batches", lambda self, n, names: read.append(tuple(names)) or batches(self, n, names)
    )
    model = from_files(MLPClassifier, tmp_path, columns=columns, params={"shuffle": False}, epochs=2)
    assert model.classes_.tolist() == ["blue", "green", "red"]
    assert read.count(("label",)) == 6
    assert read.count((*NAMES, "label")) == 1 + 2 * 6  # the first block is read once more
    assert_same(model, trained(MLPClassifier, stream(X, COLORS), epochs=2, shuffle=False, classes=["blue", "green", "red"]))


@few_epochs
def test_index_of_pandas_is_no_feature(tmp_path):
    frame = pd.DataFrame(X, columns=NAMES, index=np.arange(N_ROWS)[::-1]).assign(y=TARGET)
    frame.to_parquet(tmp_path / "a.parquet")
    assert len(pq.read_schema(tmp_path / "a.parquet").names) == len(NAMES) + 2
    model = from_files(MLPRegressor, tmp_path, columns={"target_column": "y"}, params={"shuffle": False})
    assert_same(model, trained(MLPRegressor, stream(X, TARGET), epochs=3, shuffle=False))


@few_epochs
def test_csv_files(tmp_path):
    for ending in (".csv", ".csv.gz"):
        path = tmp_path / f"rows{ending}"
        with pa.CompressedOutputStream(str(path), "gzip") if ending.endswith("gz") else open(path, "wb") as file:
            pa_csv.write_csv(table_of(color=COLORS), file)
        model = from_files(MLPRegressor, path, params={"shuffle": False})
        rows = np.hstack([X, COLORS[:, None] == np.array(["blue", "green", "red"])])
        assert_close(model, trained(MLPRegressor, stream(rows, TARGET, WEIGHT), epochs=3, shuffle=False))


@few_epochs
def test_other_datasets(path):
    """A filtered dataset, a table, several targets, and missing numbers."""
    table = table_of(
        z=pa.array([None if n == 3 else n % 5 for n in range(N_ROWS)]), b=pa.array([n % 2 == 1 for n in range(N_ROWS)])
    )
    expected = trained(MLPRegressor, stream(X[:400], TARGET[:400], WEIGHT[:400]), epochs=3, shuffle=False)
    is_first = ds.field("w") > -1
    for source in (ds.dataset(table[:400].drop(["z", "b"])).filter(is_first), table[:400].drop(["z", "b"])):
        assert_same(from_files(MLPRegressor, source, params={"shuffle": False}), expected)
    both = from_files(MLPRegressor, table, columns={"target_column": ["y", "w"]}, params={"shuffle": False, "missing": "indicator"})
    assert (both.n_outputs_, both.n_features_in_) == (2, 7)
    with pytest.raises(ValueError, match=r"Block 0 of source \(the dataset\) cannot be used: (.|\n)*NaN"):
        from_files(MLPRegressor, table)


@few_epochs
def test_errors_name_the_row_group(path):
    table = table_of(dtype=float)
    values = table["x2"].to_numpy().copy()
    values[330] = np.nan
    table = table.set_column(2, "x2", pa.array(values))
    pq.write_table(table[250:], path / "b.parquet", row_group_size=50)
    with pytest.raises(ValueError, match=r"(?s)Block 6 of source \(b.parquet, row group 1\) cannot be used: .*NaN"):
        from_files(MLPRegressor, path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "target_column must be the name of the column with y"),
        ({"target_column": "z"}, "target_column must have names of columns of source, but 'z' is not one"),
        ({"target_column": "y", "weight_column": "z"}, "weight_column must have names"),
        ({"target_column": "y", "feature_columns": ["x1", "u"]}, "feature_columns must have names of columns of source, but 'u'"),
        ({"target_column": "y", "feature_columns": ["x1", "y"]}, "none of the target columns"),
        ({"target_column": "y", "feature_columns": []}, "feature_columns must have at least one column"),
    ],
)
def test_wrong_columns_are_errors(path, columns, message):
    with pytest.raises(ValueError, match=message):
        from_files(MLPRegressor, path, columns=columns)


def written(folder, *tables, ending=".parquet"):
    """A folder with a file for each table: 0.parquet, 1.parquet and so on."""
    for n, table in enumerate(tables):
        write = pq.write_table if ending == ".parquet" else pa_csv.write_csv
        write(table, str(folder / f"{n}{ending}"))
    return folder


@few_epochs
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
@pytest.mark.parametrize("order", [1, -1], ids=["second", "first"])
@pytest.mark.parametrize("lacking", ["x2", "color", "y", "w"])
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS | {"feature_columns": [*NAMES, "color"]}], ids=["all", "named"])
def test_files_that_lack_a_column_are_errors(tmp_path, lacking, columns, order, ending):
    """Without an error, the numbers would be imputed and the texts would have no category."""
    whole = table_of(color=COLORS)
    written(tmp_path, *[whole, whole.drop([lacking])][::order], ending=ending)
    files = [tmp_path / f"{n}{ending}" for n in range(2)]
    remedy = "or leave the column out with feature_columns" if lacking in ("x2", "color") else "or leave the file out"
    message = rf"but '.*{1 if order == 1 else 0}{ending}' has no column '{lacking}'. Add the column to the file.* {remedy}"
    datasets = [ds.dataset(files, format=ending[1:])] if order == 1 else []  # the others have the schema of the first file
    for source in (files, *datasets, *(dataset.filter(ds.field("x0") > -100) for dataset in datasets)):
        with pytest.raises(ValueError, match=message):
            from_files(MLPRegressor, source, columns=columns, params={"missing": "indicator"})
    with pytest.raises(ValueError, match=message):
        from_files(MLPRegressor, whole, columns=columns, validation=files)


@few_epochs
def test_columns_that_are_not_used_can_be_absent(tmp_path):
    table = table_of(color=COLORS)
    written(tmp_path, table[:250], table[250:].drop(["color"]))
    model = from_files(MLPRegressor, tmp_path, columns=COLUMNS | {"feature_columns": NAMES}, params={"shuffle": False})
    assert_same(model, trained(MLPRegressor, stream(X, TARGET, WEIGHT), epochs=3, shuffle=False))


@few_epochs
def test_names_of_folders_can_be_columns(tmp_path):
    table = table_of(n=np.arange(N_ROWS) // 300)
    by_folder = ds.partitioning(pa.schema([("n", pa.int64())]), flavor="hive")
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=by_folder)
    dataset = ds.dataset(tmp_path, partitioning=by_folder)
    rows = np.column_stack([X, np.arange(N_ROWS) // 300])
    for source in (dataset, dataset.filter(ds.field("n") >= 0)):
        columns = COLUMNS | {"feature_columns": [*NAMES, "n"]}
        model = from_files(MLPRegressor, source, columns=columns, params={"shuffle": False})
        assert_same(model, trained(MLPRegressor, stream(rows, TARGET, WEIGHT), epochs=3, shuffle=False))
    late = table[300:].append_column("late", pa.array(np.ones(N_ROWS - 300)))  # in the files of one folder only
    pq.write_table(late.drop(["n"]), next((tmp_path / "n=1").iterdir()))
    schema = pa.schema([*dataset.schema, ("late", pa.float64())])
    dataset = ds.dataset(tmp_path, partitioning=by_folder, schema=schema)
    assert from_files(MLPRegressor, dataset.filter(ds.field("n") == 1)).n_features_in_ == len(NAMES) + 2
    with pytest.raises(ValueError, match=r"n=0.*parquet' has no column 'late'"):
        from_files(MLPRegressor, dataset)


@few_epochs
@pytest.mark.parametrize("classes", [None, ["blue", "green", "red"]])
@pytest.mark.parametrize("kind", ["text", "dictionary", "integer", "float", "regressor"])
def test_missing_targets_are_errors_that_name_the_file(tmp_path, kind, classes):
    values = {"text": COLORS, "dictionary": COLORS, "integer": CODES, "float": CODES.astype(float), "regressor": TARGET}[kind]
    is_missing = np.isin(np.arange(N_ROWS), [330, 331])
    column = pa.array(values, mask=is_missing) if kind != "float" else pa.array(np.where(is_missing, np.nan, values))
    table = table_of(y=column.dictionary_encode() if kind == "dictionary" else column)
    written(tmp_path, table[:250], table[250:])
    options = {} if kind == "regressor" else {"classes": classes if values is COLORS or classes is None else [0, 1, 2]}
    message = r"\(1.parquet, row group 0\) cannot be used: y must not have missing values, but the column 'y' has 2"
    with pytest.raises(ValueError, match=message):
        from_files(MLPRegressor if kind == "regressor" else MLPClassifier, tmp_path, **options)


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"but the folder '.*' contains no Parquet files. Write Parquet files to the folder"):
        from_files(MLPRegressor, tmp_path)
    with pytest.raises(ValueError, match="but the dataset contains no Parquet files"):
        from_files(MLPRegressor, ds.dataset(tmp_path))


def test_types_that_are_no_features_are_errors():
    day = pa.array(np.arange(N_ROWS).astype("datetime64[D]"))
    with pytest.raises(TypeError, match=r"Column 'day' has the type date32.*leave it out with feature_columns"):
        from_files(MLPRegressor, table_of(day=day))
    with pytest.raises(ValueError, match="Column 'id' has 1060 categories, more than 1000"):
        from_files(MLPRegressor, pa.concat_tables([table_of(id=[f"{n}{k}" for n in range(N_ROWS)]) for k in "ab"]))


@few_epochs
def test_resumed_fits_check_the_features(path):
    table = table_of(color=COLORS)
    params = {"warm_start": "resume"}
    model = from_files(MLPRegressor, table, params=params)
    whole = from_files(MLPRegressor, table, params=params, epochs=5)
    assert_same(model.fit_batches(table, epochs=2, shuffle_buffer=100, **COLUMNS), whole)
    with pytest.raises(ValueError, match="source must have the features of the previous fit"):
        model.fit_batches(table_of(color=COLORS == "red"), epochs=2, shuffle_buffer=100, **COLUMNS)


@few_epochs
def test_row_groups_that_were_trained_are_not_read_again(path, monkeypatch):
    from fastbp._streams import arrow_source

    model = MLPRegressor(**SMALL, warm_start="resume", callbacks=None)
    original, n_read = arrow_source._ArrowSource._batches, []

    def failing(self, n, names):
        n_read.append(n)
        if fails and len(n_read) == 10:
            raise OSError("no connection")
        return original(self, n, names)

    monkeypatch.setattr(arrow_source._ArrowSource, "_batches", failing)
    fails = True
    with pytest.raises(OSError, match="no connection"):
        model.fit_batches(path, epochs=2, shuffle_buffer=100, **COLUMNS)
    fails = False
    assert model._state.resume.progress["row"] == 336
    order = n_read[1:]
    n_trained = np.cumsum([len(PARTS[n]) for n in order])
    n_read.clear()
    model.fit_batches(path, epochs=2, shuffle_buffer=100, **COLUMNS)
    n_skipped = np.count_nonzero(n_trained <= 336)
    assert n_skipped >= 6
    assert n_read[1 : 1 + len(order) - n_skipped] == order[n_skipped:]  # the first block is read once more, before training
    assert len(n_read) == 1 + 11 - n_skipped + 11
    assert_same(model, from_files(MLPRegressor, path, epochs=2))


def test_missing_pyarrow_is_an_error(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r"needs pyarrow. Install it with: pip install 'fastbp\[parquet\]'"):
        from_files(MLPRegressor, path)


def test_values_of_columns():
    from fastbp._streams.arrow_source import _category_codes, _column_values

    numbers = pa.array([1, None, 3], pa.int32())
    assert_array_equal(_column_values(numbers), [1, np.nan, 3])
    assert_array_equal(_column_values(pa.array([True, None])), [1, np.nan])
    assert_array_equal(_column_values(pa.array([1.5, 2.25]).cast(pa.decimal128(5, 2))), [1.5, 2.25])
    texts = pa.array(["b", None, "x", "a"])
    for column in (texts, texts.dictionary_encode(), texts.cast(pa.large_string())):
        assert_array_equal(_category_codes(column, ["a", "b"]), [1, -1, -1, 0])
