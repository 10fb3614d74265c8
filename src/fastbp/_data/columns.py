"""What is learned from the columns of a table, and the arrays of numbers and codes that networks need.

An ``InputTable`` goes in. A float matrix with NaN for missing values and a matrix of category codes come out. Each column of the
table is a number, a category, a date, or is ignored because it has no values in the training table. The learned state consists of
plain values and arrays. This module does not know about scaling, one-hot columns and embeddings.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite

from .._compat import _check_categorical_features
from .column_labels import plain_numbers
from .column_objects import count_texts, find_texts, text_of

_DAY = 86_400_000_000  # microseconds
_FIRST_MONDAY = 4  # 5 January 1970 is this many days after 1 January 1970
# All categories of a column with at most so many are kept, also rare ones: their number does not allow to recognize single rows.
_FEW_CATEGORIES = 32
# A column is shifted if its values are this many times larger than their range: float32 has 24 bits, of which 16 remain.
_LARGE_OFFSET = 256


def _phase_of_day(times):
    """The fraction of the day (n_rows,) that has passed."""
    return (times.view(np.int64) % _DAY) / _DAY


def _phase_of_week(times):
    """The fraction of the week that has passed at the start of the day; Monday is 0."""
    return ((times.view(np.int64) // _DAY - _FIRST_MONDAY) % 7) / 7


def _phase_of_year(times):
    """The fraction of the year that has passed at the start of the day."""
    days, years = times.astype("datetime64[D]"), times.astype("datetime64[Y]")
    start, end = years.astype("datetime64[D]"), (years + 1).astype("datetime64[D]")
    return (days - start) / (end - start)


_PHASES = {"year": _phase_of_year, "week": _phase_of_week, "day": _phase_of_day}


def _days(values):
    """Dates since 1970, or durations, as floats (n_rows,) in days; missing values are NaN."""
    return plain_numbers(values) / _DAY


class EncodedTable(NamedTuple):
    """A matrix of floats (n_rows, n_numeric) with NaN for missing values, and codes (n_rows, n_categorical).

    Code 0 is a missing value, or an unknown category if the column has no code for rare categories.
    """

    numeric: np.ndarray
    codes: np.ndarray


class _PlainColumn:
    """Conversion of a column to a dict of plain values and arrays, and pickles without values that can be computed again."""

    kind: ClassVar[str]

    def to_plain(self):
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in fields(self)}}  # type: ignore[arg-type]

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state):
        self.__dict__.update(state)


@dataclass(frozen=True)
class IgnoredColumn(_PlainColumn):
    """A column without values in the training table; its values in other tables are ignored."""

    name: str
    kind = "ignored"
    features = ()


@dataclass(frozen=True)
class NumberColumn(_PlainColumn):
    """A column of numbers; ``origin`` is subtracted so that large numbers with a small range keep their digits in float32."""

    name: str
    origin: float
    kind = "number"

    @classmethod
    def learned(cls, raw):
        values = _numbers_of(raw)
        present = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
        size = max(abs(low), abs(high))
        return cls(raw.name, low + (high - low) / 2 if size > _LARGE_OFFSET * (high - low) else 0.0)

    @property
    def features(self):
        return (self.name,)

    def write(self, raw, out):
        """Write the numbers (n_rows,) of a column to ``out`` (n_rows, 1)."""
        raw = raw.resolved()
        values = _numbers_of(raw, len(out)) if raw.kind in ("boolean", "number", "category", "null") else None
        if values is None:
            raise _wrong_kind(self, raw)
        out[:, 0] = values - np.float64(self.origin) if self.origin else values


@dataclass(frozen=True)
class DateColumn(_PlainColumn):
    """A column of dates, times of the day or durations.

    The first feature is the number of days since ``origin`` (in days since 1970), in UTC. For each of the ``cycles`` "year", "week"
    and "day" follow the sine and the cosine of the phase, of the local time in ``zone``.
    """

    name: str
    measured: str
    origin: float
    zone: str | None
    cycles: tuple[str, ...]
    kind = "date"

    @classmethod
    def learned(cls, raw):
        days = _days(raw.values)
        present = days[~np.isnan(days)]
        low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
        origin = float(np.floor(low + (high - low) / 2)) if raw.kind == "date" else 0.0
        return cls(raw.name, raw.kind, origin, raw.zone, cls._cycles_of(raw, high - low))

    @staticmethod
    def _cycles_of(raw, span):
        """The cycles whose phase varies and repeats in the training table; another phase says no more than the elapsed time."""
        if raw.kind == "time":
            return ("day",) if span > 0 else ()
        if raw.kind == "duration":
            return ()
        wall = raw.wall_clock(raw.zone)
        wall = wall[~np.isnat(wall)]
        repeats = {"year": span >= 365, "week": span >= 14, "day": span >= 1}
        return tuple(name for name, is_repeated in repeats.items() if is_repeated and np.ptp(_PHASES[name](wall)) > 0)

    @property
    def features(self):
        parts = (f"{self.name} ({part} of the {cycle})" for cycle in self.cycles for part in ("sine", "cosine"))
        return (f"{self.name} (days)", *parts)

    def write(self, raw, out):
        """Write the features (n_rows, n_features) of a column to ``out``; a missing value is NaN in all of them."""
        raw = raw.resolved()
        if raw.kind == "null":
            out[:] = np.nan
            return
        if raw.kind != self.measured:
            raise _wrong_kind(self, raw)
        days = _days(raw.values)
        out[:, 0] = days - self.origin
        if not self.cycles:
            return
        wall = raw.values.view("datetime64[us]") if raw.kind == "time" else raw.wall_clock(self.zone)
        for n, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * _PHASES[cycle](wall)
            angle[np.isnan(days)] = np.nan
            out[:, 2 * n + 1], out[:, 2 * n + 2] = np.sin(angle), np.cos(angle)


@dataclass(frozen=True, eq=False)
class CategoryColumn(_PlainColumn):
    """A column of categories with the codes 1, 2, …; ``categories`` is a list of texts, or a sorted array of numbers.

    If ``has_rare`` is true, the last code belongs to all categories that are not in ``categories``: to those that were too rare,
    and to unknown ones. Otherwise, unknown categories have code 0, like missing values.
    """

    name: str
    categories: Any
    has_rare: bool
    kind = "category"

    @classmethod
    def learned(cls, raw, min_count, max_categories):
        values, counts, has_rare = _frequent(raw, min_count)
        if len(counts) + has_rare > max_categories:
            most_frequent = np.argsort(-counts, kind="stable")[: max_categories - 1]
            values, has_rare = values[np.sort(most_frequent)], True
        return cls(raw.name, values.tolist() if values.dtype == object else values, has_rare)

    @property
    def n_codes(self):
        """The number of codes without 0."""
        return len(self.categories) + self.has_rare

    @property
    def _unknown(self):
        return self.n_codes if self.has_rare else 0

    @cached_property
    def _lookup(self):
        return {text_of(value): n + 1 for n, value in enumerate(np.asarray(self.categories, object).tolist())}

    @cached_property
    def _has_only_words(self):
        """Whether the training table had only texts that cannot be those of numbers and dates, as a column of mixed objects has."""
        return not self.has_rare and not any(text[:1].isdigit() or text[:1] in "+-" for text in self.categories)

    def encode(self, raw):
        """The codes (n_rows,) of a column; raises a ``ValueError`` for numbers or dates if the training table had only words."""
        if isinstance(self.categories, np.ndarray):
            raw = raw.resolved()  # objects that are numbers, booleans or dates become an array
        values = raw.values
        if values is None:
            return 0
        if not isinstance(values, np.ndarray):
            return values.find(self._lookup, self._unknown, self.name)
        if values.dtype == object:
            return self._find_objects(raw)
        values = plain_numbers(values)
        if isinstance(self.categories, np.ndarray):
            return self._find_numbers(values)
        if raw.kind != "boolean" and self._has_only_words and not np.isnan(values).all():
            raise _wrong_kind(self, raw)
        unique, inverse = np.unique(values, return_inverse=True)
        return find_texts(unique.astype(object), self._lookup, self._unknown, self.name)[inverse]

    def _find_objects(self, raw):
        """The codes of Python objects; pandas finds equal strings faster."""
        labels = raw.labels_of_strings()
        if labels is None:
            return find_texts(raw.values, self._lookup, self._unknown, self.name)
        return labels.find(self._lookup, self._unknown, self.name)

    def _find_numbers(self, values):
        if len(self.categories) == 0:
            return np.where(values != values, 0, self._unknown).astype(np.int32)
        places = np.minimum(np.searchsorted(self.categories, values), len(self.categories) - 1)
        codes = np.where(self.categories[places] == values, places + 1, self._unknown)
        codes[values != values] = 0
        return codes


_COLUMN_KINDS = {one.kind: one for one in (IgnoredColumn, NumberColumn, DateColumn, CategoryColumn)}


@dataclass(frozen=True)
class ColumnReader:
    """What was learned from the columns of a table; encodes tables with the same columns.

    Parameters
    ----------
    columns : tuple of IgnoredColumn, NumberColumn, DateColumn and CategoryColumn
        What was learned from each column.
    """

    columns: tuple[Any, ...]

    @classmethod
    def learned(cls, table, categorical_features="from_dtype", *, min_count=2, max_categories=10_000):
        """The reader of a training table.

        Parameters
        ----------
        table : InputTable
        categorical_features : None, "from_dtype", or array-like of bool, int or str, default="from_dtype"
            The categorical columns, as in scikit-learn's ``HistGradientBoostingClassifier``. With "from_dtype", these are the
            columns of strings, booleans and categorical types. With an array, these are the given columns and those of strings and
            booleans. With None, no column is categorical: booleans are numbers, and strings are an error.
        min_count : int, default=2
            In a column with more than 32 categories, rarer categories share one code, which unknown categories also have. With 2, a
            column whose values are all different has one code, and a network cannot learn single rows from it.
        max_categories : int, default=10_000
            The maximum number of codes of a column. If there are more categories, the least frequent ones share the last code.
        """
        try:
            mask = _check_categorical_features(table.native, categorical_features)
        except ValueError as error:
            raise ValueError(
                f"{str(error).rstrip('.')}. X has {table.n_columns} columns; got categorical_features={categorical_features!r}. "
                "Pass the names or the numbers of columns of X, a mask with an element for each of them, or 'from_dtype'."
            ) from error
        by_dtype = isinstance(categorical_features, str) and categorical_features == "from_dtype"
        columns = []
        for j in range(table.n_columns):
            raw = table.column(j).resolved()
            if raw.kind == "null":
                columns.append(IgnoredColumn(raw.name))
            elif (mask is not None and mask[j]) or (categorical_features is not None and _is_category(raw, by_dtype)):
                columns.append(CategoryColumn.learned(raw, min_count, max_categories))
            else:
                columns.append(_number_or_date(raw))
        return cls(tuple(columns))

    @cached_property
    def numeric_names(self):
        """The names of the columns of the numeric matrix."""
        return tuple(name for column in self.columns if column.kind != "category" for name in column.features)

    @cached_property
    def numeric_sources(self):
        """For each column of the numeric matrix (n_numeric,), the number of the column of the table that it was computed from."""
        counts = [0 if column.kind == "category" else len(column.features) for column in self.columns]
        return np.repeat(np.arange(len(counts)), counts)

    @cached_property
    def categorical_columns(self):
        """The numbers of the columns of the table in the order of the columns of codes (n_categorical,)."""
        return np.array([j for j, column in enumerate(self.columns) if column.kind == "category"], np.int64)

    @cached_property
    def n_codes(self):
        """The numbers of codes (n_categorical,) without code 0: the codes of column j are 0 to ``n_codes[j]``."""
        return np.array([self.columns[j].n_codes for j in self.categorical_columns], np.int64)

    @cached_property
    def _dtype_of_codes(self):
        """The smallest type that has all codes, because tables of categories are small."""
        largest = self.n_codes.max(initial=0)
        return next(dtype for dtype in (np.int8, np.int16, np.int32) if largest <= np.iinfo(dtype).max)

    def encode(self, table, dtype):
        """The ``EncodedTable`` of a checked table; raises ``ValueError`` if a number is infinite in ``dtype``."""
        matrix = self._array_without_changes(table, dtype)
        if matrix is None:
            encoded = self._encode_columns(table, dtype)
        else:
            encoded = EncodedTable(matrix, np.empty((table.n_rows, 0), np.int32))
        self._check_finite(encoded.numeric)
        return encoded

    def _check_finite(self, numeric):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                assert_all_finite(numeric, allow_nan=True, input_name="X")
        except ValueError as error:
            first = int(np.isinf(numeric).any(axis=0).argmax())
            raise ValueError(
                f"{error} Such numbers are in column {self.columns[self.numeric_sources[first]].name!r}. Replace infinity by NaN, "
                "which is a missing value, and divide columns with too large numbers by a constant."
            ) from error

    def _array_without_changes(self, table, dtype):
        """The array of the table if it has the wanted values and dtype, otherwise None."""
        source = table.native
        if not isinstance(source, np.ndarray) or source.dtype != dtype:
            return None
        return source if all(column.kind == "number" and not column.origin for column in self.columns) else None

    def _encode_columns(self, table, dtype):
        numeric = np.empty((table.n_rows, len(self.numeric_names)), dtype)
        codes = np.empty((table.n_rows, len(self.n_codes)), self._dtype_of_codes)
        n_numeric = n_categorical = 0
        for j, column in enumerate(self.columns):
            if column.kind == "category":
                codes[:, n_categorical] = column.encode(table.column(j))
                n_categorical += 1
            elif column.kind != "ignored":
                end = n_numeric + len(column.features)
                with np.errstate(over="ignore"):  # infinite numbers are an error, with scikit-learn's message
                    column.write(table.column(j), numeric[:, n_numeric:end])
                n_numeric = end
        return EncodedTable(numeric, codes)

    def to_plain(self):
        """The learned state as a list of dicts of plain values and arrays."""
        return [column.to_plain() for column in self.columns]

    @classmethod
    def from_plain(cls, plain):
        """The reader of the result of ``to_plain``."""
        return cls(tuple(_COLUMN_KINDS[one["kind"]](**{name: one[name] for name in one if name != "kind"}) for one in plain))


def _is_category(raw, by_dtype):
    """Whether a column that was not listed is categorical; if columns were listed, categories that are numbers are not."""
    if raw.kind == "category":
        return by_dtype or _numbers_of(raw) is None
    return raw.kind in ("text", "boolean")


def _number_or_date(raw):
    if raw.kind in ("date", "duration", "time"):
        return DateColumn.learned(raw)
    if raw.kind == "text" or _numbers_of(raw) is None:
        raise ValueError(
            f"With categorical_features=None, the columns of X must be numbers or dates, but column {raw.name!r} has text. Set "
            "categorical_features='from_dtype', or convert the column to numbers."
        )
    return NumberColumn.learned(raw)


def _wrong_kind(column, raw):
    words = {"number": "numbers", "boolean": "booleans", "date": "dates", "duration": "durations", "time": "times"}
    was, now = (words.get(kind, "text") for kind in (getattr(column, "measured", column.kind), raw.kind))
    return ValueError(
        f"Column {column.name!r} of X must have {was}, as in the table passed to fit, but it has {now}. "
        f"Convert the column to {was}."
    )


# ---------------------------------------------------------------------- values of columns


def _numbers_of(raw, n_rows=0):
    """The numbers (n_rows,) of a resolved column, or None if its values are not numbers."""
    if raw.kind == "null":
        return np.full(n_rows, np.nan)
    return plain_numbers(raw.values) if isinstance(raw.values, np.ndarray) else raw.values.numbers()


def _frequent(raw, min_count):
    """The sorted categories that are not rare, their counts, and whether there are rare ones.

    The categories are an array of numbers, or an array of objects that are texts. If there are few categories, none is rare.
    """
    values, counts, has_dropped = _counted(raw, min_count)
    if has_dropped or len(counts) > _FEW_CATEGORIES:
        is_frequent = counts >= min_count
        return values[is_frequent], counts[is_frequent], has_dropped or not is_frequent.all()
    return values, counts, False


def _counted(raw, min_count):
    """The sorted values of a column, their counts, and whether rare values were dropped during the counting."""
    numbers = _numbers_of(raw) if raw.kind != "text" else None
    if numbers is not None:
        values, counts = np.unique(numbers[numbers == numbers], return_counts=True)
        return values.astype(bool) if raw.kind == "boolean" else values, counts, False
    if isinstance(raw.values, np.ndarray):
        of_text, has_dropped = count_texts(raw.values)
    else:
        of_text, has_dropped = raw.values.count(min_count, _FEW_CATEGORIES)
    values = np.empty(len(of_text), object)
    values[:] = sorted(of_text)
    return values, np.array([of_text[text] for text in values], np.int64), has_dropped
