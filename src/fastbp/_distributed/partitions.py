"""The partitions of Dask collections and of arrays in memory.

X, y and sample weights go in: Dask arrays, Dask data frames, or what the other estimators accept. A list of lazy parts (X, y,
weight) comes out, together with the columns of a data frame. `TableReader` converts a partition to arrays: category columns become
columns of 0 and 1, as in ``pandas.get_dummies``. This module does not compute any partition, and does not know about networks.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._wrong_estimator import described


@dataclass(frozen=True)
class TableReader:
    """Converts partitions to arrays.

    ``columns`` are the names of the columns of a data frame, or None for arrays. ``categories`` has the list of categories of each
    category column.
    """

    columns: tuple | None = None
    categories: dict = field(default_factory=dict)

    @classmethod
    def of(cls, X):
        """The reader for a Dask collection, or for X in memory."""
        if not _is_frame(X):
            return cls()
        empty = getattr(X, "_meta", X)
        kinds = {name: empty[name].dtype for name in empty.columns}
        texts = [name for name, kind in kinds.items() if kind.kind not in "biuf" and kind.name != "category"]
        if texts:
            raise ValueError(
                f"The columns of X must contain numbers, booleans or categories, but {texts[:10]} have the types "
                f"{[str(kinds[name]) for name in texts[:10]]}. Convert them, for example with X.categorize(columns=...)."
            )
        categorical = [name for name, kind in kinds.items() if kind.name == "category"]
        unknown = [name for name in categorical if not getattr(X[name].cat, "known", True)]
        if unknown:
            raise ValueError(
                f"The categories of the columns {unknown[:10]} of X are not known. Call X.categorize(columns={unknown[:10]!r}), "
                "which reads these columns once."
            )
        return cls(tuple(empty.columns), {name: kinds[name].categories.tolist() for name in categorical})

    @staticmethod
    def columns_of(X):
        """The names of the columns of a data frame, or None for arrays."""
        return tuple(X.columns) if _is_frame(X) else None

    @property
    def names(self):
        """The names of the features (n_features,), or None for arrays."""
        if self.columns is None:
            return None
        numeric = [name for name in self.columns if name not in self.categories]
        return numeric + [f"{name}_{value}" for name, values in self.categories.items() for value in values]

    def read(self, X):
        """The features of a partition as an array or CSR matrix (n_rows, n_features)."""
        if self.columns is None:
            X = X.tocsr() if issparse(X) else np.asarray(X)
            return X if X.ndim == 2 else X.reshape(-1, 1)
        if not _is_frame(X) or tuple(X.columns) != self.columns:
            raise ValueError(f"X must be a data frame with the columns {list(self.columns)}, got {described(X)}.")
        numeric = X[[name for name in self.columns if name not in self.categories]]
        is_small = len(numeric.columns) > 0 and all(kind == np.float32 for kind in numeric.dtypes)
        parts = [numeric.to_numpy(np.float32 if is_small else np.float64, na_value=np.nan)]
        for name, values in self.categories.items():
            parts.append(self._indicators(X[name], name, values, parts[0].dtype))
        return np.hstack(parts)

    def _indicators(self, column, name, values, dtype):
        """Columns (n_rows, n_categories) of 0 and 1; a missing value has 0 in all of them."""
        is_missing, codes = column.isna().to_numpy(), {value: n for n, value in enumerate(values)}
        numbers = np.array([-1 if gone else codes.get(value, -2) for value, gone in zip(column, is_missing, strict=True)], np.int64)
        if (numbers == -2).any():
            raise ValueError(
                f"The column {name!r} of X must contain only the categories of fit, {values[:10]}, got "
                f"{column.to_numpy(object)[numbers == -2][0]!r}. Replace the value, or fit again with all categories."
            )
        return (numbers[:, None] == np.arange(len(values))).astype(dtype)


def _is_frame(X):
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def is_lazy(value):
    """Whether a value is a collection of Dask; Dask is not imported."""
    return hasattr(value, "__dask_graph__")


def lazy_parts(n_parts, X, y, weight=None):
    """Return a list of the parts (X, y, weight) of the data, and their `TableReader`; y and weight may be None.

    X in memory is divided into ``n_parts`` parts of nearly equal size.
    """
    reader = TableReader.of(X)
    if not is_lazy(X):
        lazy = next((name for name, value in (("y", y), ("sample_weight", weight)) if is_lazy(value)), None)
        if lazy is not None:
            raise TypeError(f"{lazy} is a Dask collection, but X is {described(X)}. Pass both as Dask collections, or none.")
        return _parts_in_memory(X, y, weight, n_parts), reader
    divided = [_delayed(X, "X")]
    for value, name in ((y, "y"), (weight, "sample_weight")):
        divided.append([None] * len(divided[0]) if value is None else _delayed(_like(X, value, name), name))
        if len(divided[-1]) != len(divided[0]):
            raise ValueError(
                f"{name} must have the same partitions as X, which has {len(divided[0])}, but it has {len(divided[-1])}. Call "
                "compute_chunk_sizes() or repartition, so that the partitions agree."
            )
    return list(zip(*divided, strict=True)), reader


def _parts_in_memory(X, y, weight, n_parts):
    X = X.tocsr() if issparse(X) else X if hasattr(X, "iloc") else np.asarray(X)
    n_rows = X.shape[0]
    n_parts = max(1, min(n_parts, n_rows))
    ends = [n * n_rows // n_parts for n in range(n_parts + 1)]
    ranges = [slice(*pair) for pair in pairwise(ends)]
    columns = []
    for name, value in (("y", y), ("sample_weight", weight)):
        array = None if value is None else np.asarray(value)
        if array is not None and (array.ndim == 0 or len(array) != n_rows):
            raise ValueError(f"{name} must have the {n_rows} rows of X, got an array of shape {array.shape}.")
        columns.append(array)
    rows = X.iloc if hasattr(X, "iloc") else X
    return [(rows[some], *(None if column is None else column[some] for column in columns)) for some in ranges]


def _delayed(value, name):
    """The partitions of a Dask collection as a list of delayed objects, whose columns are in one partition."""
    if _is_frame(value) or hasattr(value, "to_frame"):
        return list(value.to_delayed())
    if value.ndim == 2 and value.numblocks[1] > 1:
        value = value.rechunk({1: -1})
    if value.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions, got a Dask array of shape {value.shape}.")
    return list(value.to_delayed().ravel())


def _like(X, value, name):
    """The values for the rows of X as a Dask collection, with the partitions of X if their sizes are known."""
    chunks: Any = getattr(X, "chunks", None)
    if is_lazy(value):
        own: Any = getattr(value, "chunks", None)
        are_known = chunks is not None and own is not None and not np.isnan([*chunks[0], *own[0]]).any()
        return value.rechunk({0: chunks[0]}) if are_known and own[0] != chunks[0] and sum(own[0]) == sum(chunks[0]) else value
    if chunks is None or np.isnan(chunks[0]).any():
        raise ValueError(
            f"{name} must be a Dask collection like X, because the sizes of the partitions of X are not known; got "
            f"{described(value)}. Call X.compute_chunk_sizes() first, or create {name} from the same source."
        )
    from dask import array

    value = np.asarray(value)
    if len(value) != sum(chunks[0]):
        raise ValueError(f"{name} must have the {sum(chunks[0])} rows of X, got {len(value)}.")
    return array.from_array(value, chunks=(chunks[0], *((n,) for n in value.shape[1:])))


def checked_length(n_rows, value, name):
    """The value as an array with n_rows rows, or None."""
    if value is None:
        return None
    array: Any = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if len(array) != n_rows:
        raise ValueError(
            f"Each partition of {name} must have as many rows as that of X, but one has {len(array)} rows and X has {n_rows}. "
            "Create them from the same source, and filter both in the same way."
        )
    return array
