"""Parquet files, CSV files and datasets of pyarrow as sources of blocks.

Paths or a dataset, and the names of columns, go in; blocks with arrays of numbers come out. Columns are found by their names, so
that files can have them in different orders. Only the columns that are used are read. This module does not know about estimators.
"""

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .sources import Block, StreamSource

ENCODINGS = ("one_hot", "codes")
_BYTES_OF_BLOCK = 1 << 21  # of X: smaller blocks take more time, larger ones more memory
_MIN_ROWS_OF_BLOCK = 1 << 10
_CACHED_BYTES_OF_X = 1 << 17  # so much of X is written at a time, because the columns of X are not contiguous
_MAX_ONE_HOT = 1000  # the largest number of categories of a column with one-hot columns
_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".feather": "feather", ".arrow": "feather"}


@dataclass(frozen=True)
class ColumnNames:
    """The names of columns as the user passed them: features, target or targets, weights, and the encoding of categories."""

    features: Any = None
    target: Any = None
    weight: Any = None
    encoding: str = ENCODINGS[0]

    @property
    def targets(self):
        """The list of the target columns."""
        return [self.target] if isinstance(self.target, str) else list(self.target or ())


def is_dataset(source: Any) -> bool:
    """Return whether a source is a dataset or a table of pyarrow, without importing pyarrow."""
    is_arrow = any(base.__module__.partition(".")[0] == "pyarrow" for base in type(source).__mro__)
    return is_arrow and (hasattr(source, "to_batches") and hasattr(source, "schema"))


def arrow_source(source: Any, names: ColumnNames, categories: dict | None = None) -> StreamSource:
    """Return the ``StreamSource`` of paths or of a dataset.

    ``categories`` are those of the source with the training rows; None means that they are learned from all rows of this source.
    """
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError(
            "A source of Parquet or CSV files, or of a pyarrow Dataset, needs pyarrow. Install it with: pip install "
            "'fastbp[parquet]', or: pip install pyarrow. Without it, pass a function that returns an iterator of (X, y)."
        ) from error
    if is_dataset(source):
        dataset = source if hasattr(source, "get_fragments") else ds.dataset(source)
    else:
        paths = [os.fspath(path) for path in source] if isinstance(source, (list, tuple)) else os.fspath(source)
        dataset = ds.dataset(paths, format=_format_of(paths if isinstance(paths, str) else paths[0]))
    if not getattr(dataset, "files", True):
        place = "the dataset" if is_dataset(source) else f"the folder {paths!r}"
        raise ValueError(
            f"source must have at least one file, but {place} contains no Parquet files. Write Parquet files to the folder, or "
            "pass another folder or the paths of files."
        )
    return _ArrowSource(dataset, names, categories, ds, has_all_columns=is_dataset(source))


def _format_of(path):
    stem, ending = os.path.splitext(path.lower())
    if ending in (".gz", ".bz2", ".zst"):
        ending = os.path.splitext(stem)[1]
    if ending not in _FORMATS and not (os.path.isdir(path) or ending == ""):
        raise ValueError(
            f"The format of a file is found by its name, which must end in {', '.join(_FORMATS)}; got {path!r}. Pass a dataset: "
            "pyarrow.dataset.dataset(path, format=...)."
        )
    return _FORMATS.get(ending, "parquet")


class _ArrowSource(StreamSource):
    """A dataset of pyarrow, whose parts are the row groups of Parquet files, or other files as a whole.

    ``has_all_columns`` is False if the schema of the dataset is that of its first file, which may lack columns of other files.
    """

    kind = "the dataset"

    def __init__(self, dataset, names, categories, ds, *, has_all_columns):
        super().__init__()
        self._dataset: Any
        self._dataset, self._names, self._ds = dataset, names, ds
        try:
            files = list(dataset.get_fragments())
        except ValueError:  # a dataset with a filter has no fragments
            files = None
        self._check_columns(files or [], has_all_columns)
        self._features = _feature_names(dataset.schema, names)
        self._fragments: list
        self._places: list
        self._fragments, self._places = ([dataset], ["the dataset"]) if files is None else self._parts(files)
        self.n_parts: int = len(self._fragments)
        sizes = [_n_rows_of(fragment) for fragment in self._fragments]
        self.part_sizes = None if None in sizes else sizes
        self._dtype = np.result_type(np.float32, *map(self._dtype_of, self._features))
        self.categories = self._learned_categories() if categories is None else categories
        self.names: list = [name for feature in self._features for name in self._names_of(feature)]

    # ------------------------------------------------------------------ parts

    def _check_columns(self, files, has_all_columns):
        """Raise a ValueError if one of the fragments lacks a column that is used."""
        found: dict = {}
        for file in files:  # the folders of a file can be columns
            schema, keys = file.physical_schema, self._ds.get_partition_keys(file.partition_expression)
            found[getattr(file, "path", None) or f"part {len(found)} of the dataset"] = schema, {*schema.names, *keys}
        _check_columns_of_files(found, self._dataset.schema, self._names, has_all_columns)

    @staticmethod
    def _parts(files):
        """The fragments that are read one after another, and the text that names each of them in errors."""
        parts, places = [], []
        for fragment in files:
            name = os.path.basename(getattr(fragment, "path", "") or "") or "the dataset"
            if not hasattr(fragment, "split_by_row_group"):
                parts.append(fragment)
                places.append(name)
                continue
            for group in fragment.split_by_row_group():
                parts.append(group)
                places.append(f"{name}, row group {group.row_groups[0].id}")
        return parts, places

    def _batches(self, n, columns):
        """The record batches of a part, with these columns."""
        n_rows = max(_MIN_ROWS_OF_BLOCK, _BYTES_OF_BLOCK // (self._dtype.itemsize * max(1, len(self.names or columns))))
        part, options = self._fragments[n], {"columns": columns, "batch_size": n_rows, "use_threads": False}
        options |= {"batch_readahead": 1, "fragment_readahead": 1}  # a batch that is read ahead needs memory
        if part is not self._dataset:
            options["schema"] = self._dataset.schema
        if hasattr(part, "row_groups"):
            # otherwise, the whole row group would be in memory
            scan = self._ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=1 << 16)
            options["fragment_scan_options"] = scan
        return part.to_batches(**options) if part is not self._dataset else self._filtered_batches(options)

    def _filtered_batches(self, options):
        """The batches of a dataset with a filter, which can leave out files that lack columns."""
        checked = None
        for batch in self._dataset.scanner(**options).scan_batches():
            if batch.record_batch.num_rows and batch.fragment is not checked:
                self._check_columns([batch.fragment], has_all_columns=True)
                checked = batch.fragment
            yield batch.record_batch

    def _read(self, parts, with_features):
        features = self._features if with_features else []
        targets, weight = self._names.targets, self._names.weight
        columns = [*features, *targets, *([] if weight is None else [weight])]
        for n in range(self.n_parts) if parts is None else parts:
            for batch in self._batches(int(n), list(dict.fromkeys(columns))):
                if batch.num_rows:
                    yield self._block(f"Block {n} of source ({self._places[n]})", batch, features)

    def _block(self, place, batch, features):
        try:
            y = [_target_values(batch.column(name), name) for name in self._names.targets]
            weight = None if self._names.weight is None else _column_values(batch.column(self._names.weight))
            X = self._matrix(batch, features) if features else None
        except (ValueError, TypeError) as error:
            raise type(error)(f"{place} cannot be used: {error}") from error
        return Block(place, X, y[0] if isinstance(self._names.target, str) else np.column_stack(y), weight)

    # ------------------------------------------------------------------ features

    def _matrix(self, batch, features):
        X = np.empty((batch.num_rows, len(self.names)), self._dtype)
        columns = [self._feature(batch.column(name), name) for name in features]
        widths = [len(self._names_of(name)) for name in features]
        n_rows = max(1, _CACHED_BYTES_OF_X // X[:1].nbytes)
        for first in range(0, len(X), n_rows):
            rows, start = slice(first, first + n_rows), 0
            for values, width in zip(columns, widths, strict=True):
                if width == 1:
                    X[rows, start] = values[rows]
                else:
                    X[rows, start : start + width] = values[rows, None] == np.arange(width)
                start += width
        return X

    def _feature(self, column, name):
        """The numbers of a feature, or the codes of its categories."""
        if name not in self.categories:
            return _column_values(column)
        codes = _category_codes(column, self.categories[name])
        if self._names.encoding == "codes":
            return np.where(codes < 0, np.nan, codes)
        return codes if len(self.categories[name]) != 1 else codes == 0

    def _names_of(self, feature):
        """The names of the columns of X for a feature; those of categories are the names that ``pandas.get_dummies`` gives them."""
        if feature not in self.categories or self._names.encoding == "codes":
            return [feature]
        return [f"{feature}_{value}" for value in self.categories[feature]]

    def _dtype_of(self, feature):
        """The type of X that can represent the values of a feature."""
        field = self._dataset.schema.field(feature)
        is_exact = _is_categorical(field) or field.type.id in _exact_types()
        return np.float32 if is_exact else np.float64

    def _learned_categories(self):
        """The sorted categories of each feature of texts or of a dictionary, read from all rows."""
        import pyarrow.compute as pc

        schema = self._dataset.schema
        found: dict = {name: set() for name in self._features if _is_categorical(schema.field(name))}
        for n in range(self.n_parts) if found else ():
            for batch in self._batches(n, list(found)):
                for name, values in found.items():
                    values.update(_dictionary_values(pc.unique(batch.column(name))).to_pylist())
        for name, values in found.items():
            values.discard(None)
            if self._names.encoding == "one_hot" and len(values) > _MAX_ONE_HOT:
                raise ValueError(
                    f"Column {name!r} has {len(values)} categories, more than {_MAX_ONE_HOT}. Leave it out with feature_columns, "
                    "or set categories='codes'."
                )
        return {name: sorted(values) for name, values in found.items()}


def _check_columns_of_files(files, schema, names, has_all_columns):
    """Raise a ValueError if a file lacks a column that is used; pyarrow would fill it with missing values."""
    known, indexes = dict.fromkeys(schema.names), {*_index_names(schema)}
    if not has_all_columns:
        for of_file, _ in files.values():
            known |= dict.fromkeys(of_file.names)
            indexes |= {*_index_names(of_file)}
    given, features = [*names.targets, *([] if names.weight is None else [names.weight])], names.features
    features = [name for name in known if name not in indexes] if features is None else features
    used = [*given, *([features] if isinstance(features, str) else features)]
    for path, (_, columns) in files.items():
        lacking = [name for name in used if name in known and name not in columns]
        if lacking:
            remedy = (
                "or leave the file out"
                if lacking[0] in given
                else "leave the file out, or leave the column out with feature_columns"
            )
            raise ValueError(
                f"Each file of source must have all columns that are used, but {path!r} has no column {lacking[0]!r}. Add the "
                f"column to the file, {remedy}."
            )


def _feature_names(schema, names):
    """The names of the features in a schema; raise a ValueError if a name is wrong."""
    known, targets = set(schema.names), names.targets
    if not targets:
        raise ValueError(
            "target_column must be the name of the column with y, or a list of names, if source is a path or a dataset; got "
            f"{names.target!r}. The columns are {_shortened_names(schema.names)}."
        )
    features, weights = names.features, [] if names.weight is None else [names.weight]
    if features is None:
        others = {*targets, *weights, *_index_names(schema)}
        features = [name for name in schema.names if name not in others]
    features = [features] if isinstance(features, str) else features
    given = {"target_column": targets, "weight_column": weights, "feature_columns": features}
    for parameter, columns in given.items():
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(
                f"{parameter} must have names of columns of source, but {unknown[0]!r} is not one of them. The columns are "
                f"{_shortened_names(schema.names)}."
            )
    features = list(given["feature_columns"])
    if not features or any(name in targets for name in features):
        raise ValueError(
            f"feature_columns must have at least one column, and none of the target columns; got {features!r}, with target_column="
            f"{names.target!r}. Leave the target out of feature_columns."
        )
    for name in features:
        _check_type(schema.field(name))
    return features


def _index_names(schema):
    """The names of the columns with the index of a data frame of pandas."""
    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in described.get("index_columns", []) if isinstance(name, str)]


def _shortened_names(names):
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _check_type(field):
    """Raise a TypeError if a column cannot be a feature."""
    import pyarrow.types as kinds

    is_number = kinds.is_integer(field.type) or kinds.is_floating(field.type) or kinds.is_boolean(field.type)
    if not (is_number or kinds.is_decimal(field.type) or _is_categorical(field)):
        raise TypeError(
            f"Column {field.name!r} has the type {field.type}, but features must be numbers, truth values, texts or dictionaries. "
            "Convert it, or leave it out with feature_columns."
        )


def _is_categorical(field):
    import pyarrow.types as kinds

    tests = (kinds.is_dictionary, kinds.is_string, kinds.is_large_string)
    return any(test(field.type) for test in tests)


def _exact_types():
    """The numbers of the types whose values float32 represents exactly."""
    import pyarrow as pa

    small = (pa.bool_(), pa.int8(), pa.int16(), pa.uint8(), pa.uint16(), pa.float16(), pa.float32())
    return {kind.id for kind in small}


def _n_rows_of(fragment):
    """The number of rows of a fragment of a Parquet file, from its metadata; None for other fragments."""
    groups = getattr(fragment, "row_groups", None)
    return sum(group.num_rows for group in groups) if groups else None


def _dictionary_values(column):
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _column_values(column):
    """The values of a column as an array; missing numbers are NaN."""
    import pyarrow as pa

    column = _dictionary_values(column)
    kind = column.type
    if pa.types.is_decimal(kind) or (column.null_count and (pa.types.is_boolean(kind) or pa.types.is_integer(kind))):
        column = column.cast(pa.int8()).cast(pa.float64()) if pa.types.is_boolean(kind) else column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)


def _target_values(column, name):
    """The values of a column with targets; raise a ValueError if a target is missing."""
    column = _dictionary_values(column)
    values = _column_values(column)
    n_missing = column.null_count or (np.count_nonzero(np.isnan(values)) if values.dtype.kind == "f" else 0)
    if n_missing:
        raise ValueError(
            f"y must not have missing values, but the column {name!r} has {n_missing} (null or NaN). Remove these rows from "
            "the source."
        )
    return values


def _category_codes(column, categories):
    """The number of the category of each row, or -1 for missing values and unknown categories."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if hasattr(column, "dictionary"):  # the text of a category is compared only once
        of_values = np.append(_category_codes(column.dictionary, categories), -1)
        return of_values[column.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    codes = pc.index_in(column, value_set=pa.array(categories, column.type))
    return codes.fill_null(-1).to_numpy(zero_copy_only=False)
