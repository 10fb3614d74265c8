"""The columns of a table that a user passes: a data frame of pandas, polars or PyArrow, an array, or a list of rows.

A table goes in. ``InputTable.column`` returns one column at a time as a ``RawColumn``: numbers, points in time, time differences,
labels (codes and the values that they stand for), or Python objects. The conversions run in the library of the data frame, without
loops over rows. This module checks shapes and names with scikit-learn's functions, and does not know what was learned in ``fit``.
"""

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .column_labels import labels_of, pandas_labels
from .column_objects import objects_to_values

_NESTED = (nw.List, nw.Array, nw.Struct)
_WITHOUT_NUMPY_TYPE = (nw.Boolean, nw.Decimal, nw.Int128, nw.UInt128)


@dataclass(frozen=True)
class RawColumn:
    """One column of a table.

    ``values`` is an array of booleans, integers or floats with NaN for kind "boolean" and "number"; of datetime64[us] in UTC for
    "date"; of timedelta64[us] for "duration" and "time" (since midnight); ``Labels`` or strings for "text" and "category"; an array
    of Python objects for "object"; None for "null", a column without a value.
    """

    name: str
    kind: str
    values: Any
    zone: str | None = None
    series: Any = None

    def wall_clock(self, zone):
        """The local times (n_rows,) of a column of dates in a time zone; dates without a time zone are not converted."""
        if self.zone is None:
            return self.values
        local = self.series if zone in (None, self.zone) else self.series.dt.convert_time_zone(zone)
        return local.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")

    def labels_of_strings(self):
        """The ``Labels`` of a column of objects of pandas, if all objects are strings or missing, otherwise None."""
        if self.series is None or not self.series.implementation.is_pandas_like():
            return None
        try:
            labels = pandas_labels(self.series.to_native())
        except TypeError:  # lists, for example, have no hash value
            return None
        return labels if all(one is str for one in set(map(type, labels.take(slice(None))))) else None

    def resolved(self):
        """This column, where Python objects are converted to another kind; they are "text" only if some of them are no numbers."""
        if self.kind in ("text", "category") and self.values.is_null:
            return RawColumn(self.name, "null", None)
        if self.kind != "object":
            return self
        kind, values = objects_to_values(self.values, self.name)
        return RawColumn(self.name, kind, values)


@dataclass(frozen=True)
class InputTable:
    """A table of ``n_rows`` rows; ``source`` is a data frame of narwhals or an array with two dimensions."""

    source: Any
    n_rows: int
    names: tuple[str, ...]

    @classmethod
    def checked(cls, X, estimator, *, reset):
        """The table X after scikit-learn's checks, which set or compare ``n_features_in_`` and ``feature_names_in_``.

        Raises ``ValueError`` if X does not have two dimensions, has no rows or no columns, has two columns of the same name, or has
        other columns than in ``fit``, and ``TypeError`` for sparse matrices and lazy data frames.
        """
        pyarrow = nw.dependencies.get_pyarrow()
        if pyarrow is not None and isinstance(X, pyarrow.RecordBatch):
            X = pyarrow.Table.from_batches([X])
        if nw.dependencies.is_into_dataframe(X):
            return cls._of_data_frame(X, estimator, reset)
        if nw.dependencies.is_polars_lazyframe(X):
            raise TypeError("X must be a table in memory, got a lazy data frame of polars. Pass X.collect().")
        array = check_array(_as_array(X), dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
        validate_data(estimator, X if hasattr(X, "shape") else array, reset=reset, skip_check_array=True)
        if array.dtype.kind in "US":
            array = array.astype(object)
        return cls(array, len(array), tuple(f"x{j}" for j in range(array.shape[1])))

    @classmethod
    def _of_data_frame(cls, X, estimator, reset):
        columns = list(getattr(X, "column_names", X.columns))  # a table of PyArrow has both, with different meanings
        names = tuple(map(str, columns))
        repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else ()
        if repeated:
            raise ValueError(f"The columns of X must have different names, got {repeated} more than once. Rename these columns.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        frame = nw.from_native(X, eager_only=True)
        for count, what in zip(frame.shape, ("sample", "feature"), strict=True):
            if count == 0:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is required by "
                    f"{type(estimator).__name__}."
                )
        return cls(frame, len(frame), names)

    @property
    def n_columns(self):
        return len(self.names)

    @property
    def native(self):
        """The data frame of the user's library, or the array."""
        return self.source if isinstance(self.source, np.ndarray) else self.source.to_native()

    def column(self, j):
        """Column number ``j`` as a ``RawColumn``."""
        if isinstance(self.source, np.ndarray):
            return _array_column(self.source[:, j], self.names[j])
        return _series_column(self.source[:, j], self.names[j])


def _as_array(X):
    """X, where lists that contain strings become arrays of objects, so that numbers remain numbers."""
    if hasattr(X, "__array__") or hasattr(X, "shape"):
        return X
    array = np.asarray(X)
    return np.asarray(X, object) if array.dtype.kind in "US" else array


def _array_column(array, name):
    """A column of an array, or of an array that a data frame returned."""
    kind = array.dtype.kind
    if kind in "biuf":
        return RawColumn(name, "boolean" if kind == "b" else "number", array)
    if kind == "M":
        return RawColumn(name, "date", array.astype("datetime64[us]"))
    if kind == "m":
        return RawColumn(name, "duration", array.astype("timedelta64[us]"))
    if kind == "c":
        raise ValueError(
            f"Complex data not supported: column {name!r} of X has complex numbers. Pass the real and imaginary parts."
        )
    return RawColumn(name, "object", array.astype(object, copy=False))


def _series_column(series, name):
    """A column of a data frame; ``series`` is a series of narwhals."""
    dtype = series.dtype
    if isinstance(dtype, _NESTED):
        raise TypeError(
            f"Column {name!r} of X has the nested type {dtype}; each value must be a string, a number, a boolean or a date. "
            "Split the column into several columns."
        )
    if _has_python_objects(series):
        return RawColumn(name, "object", series.to_numpy(), series=series)
    if dtype.is_numeric() or dtype == nw.Boolean:
        return _number_column(series, name)
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return RawColumn(name, "text" if dtype == nw.String else "category", labels_of(series, dtype == nw.String))
    if dtype in (nw.Date, nw.Datetime):
        return _date_column(series, name)
    if dtype == nw.Unknown and str(getattr(series.to_native(), "dtype", "")).startswith("period"):
        return _array_column(series.to_native().dt.to_timestamp().to_numpy(), name)  # pandas
    column = _array_column(series.to_numpy(), name)
    if dtype == nw.Unknown and column.kind == "number" and np.isnan(column.values).all():
        return RawColumn(name, "null", None)  # the type of a column of polars without values
    return column


def _has_python_objects(series):
    """Whether a series has Python objects; narwhals reports the type of pandas' objects by looking at some of them."""
    if series.implementation.is_pandas_like():
        return series.to_native().dtype == object
    return series.dtype in (nw.Object, nw.Binary)


def _number_column(series, name):
    kind = "boolean" if series.dtype == nw.Boolean else "number"
    values = None if series.dtype in _WITHOUT_NUMPY_TYPE else series.to_numpy()
    if values is None or values.dtype.kind not in "biuf":
        values = series.cast(nw.Float64).to_numpy()
    return RawColumn(name, kind, values)


def _date_column(series, name):
    """A column of dates, or of dates with times; those with a time zone are converted to UTC."""
    zone = getattr(series.dtype, "time_zone", None)
    if series.dtype == nw.Date:
        series = series.cast(nw.Datetime("us"))
    return RawColumn(name, "date", series.to_numpy().astype("datetime64[us]"), zone, series)
