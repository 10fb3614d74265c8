"""Columns of strings and categories in the memory of pandas, polars and PyArrow, without a Python object for each row.

A column of a data frame goes in. Its texts with their counts, or the codes of given texts, come out. Strings are counted and looked
up by the library of the data frame. This module does not know what was learned from a column.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .column_objects import find_texts, text_of

_BLOCK = 32_768  # so many values are converted to Python objects at a time


def plain_numbers(values):
    """An array of numbers; dates and durations become microseconds, with NaN for missing values."""
    if values.dtype.kind not in "mM":
        return values
    numbers = values.astype(f"{values.dtype.kind}8[us]").view(np.int64).astype(np.float64)
    numbers[np.isnat(values)] = np.nan
    return numbers


def _texts_with_counts(values, counts):
    """The counts of the texts of the values in an array (n_values,), as a dict."""
    of_text = Counter[str | None]()
    for value, count in zip(plain_numbers(values).astype(object).tolist(), counts.tolist(), strict=True):
        of_text[text_of(value)] += count
    del of_text[None]
    return of_text


def _are_kept(counts, min_count, few):
    """Which values with ``counts`` (n_values,) are kept: those that occur or, if these are more than ``few``, the frequent ones."""
    return counts >= (min_count if np.count_nonzero(counts) > few else 1)


@dataclass(frozen=True)
class Labels:
    """Codes (n_rows,), where -1 is a missing value, and a function that returns the values of a slice of codes as an array."""

    codes: np.ndarray
    n_values: int
    take: Callable[[slice], np.ndarray]

    @property
    def is_null(self):
        """Whether all values are missing."""
        return self.n_values == 0

    def _blocks(self):
        for start in range(0, self.n_values, _BLOCK):
            yield self.take(slice(start, start + _BLOCK))

    def numbers(self):
        """The values of all rows as floats, or None if the values are not numbers."""
        blocks = (plain_numbers(block) for block in self._blocks())
        values = np.concatenate([*blocks, np.array([np.nan])])  # the code -1 refers to the last element
        return values.astype(np.float64)[self.codes] if values.dtype.kind in "biuf" else None

    def count(self, min_count, few):
        """The counts of the texts as a dict, and whether some were left out.

        If there are more than ``few`` texts, those that occur less often than ``min_count`` are left out.
        """
        counts = np.bincount(self.codes + 1, minlength=self.n_values + 1)[1:]
        kept = _are_kept(counts, min_count, few)
        start, of_text = 0, Counter[str | None]()
        for block in self._blocks():
            part = slice(start, start + len(block))
            of_text.update(_texts_with_counts(block[kept[part]], counts[part][kept[part]]))
            start += len(block)
        return of_text, bool(counts[~kept].any())

    def find(self, lookup, unknown, name):
        """The codes (n_rows,) of the values: 0 for missing values, otherwise ``lookup[text]``, or ``unknown``."""
        found = (find_texts(plain_numbers(block).astype(object), lookup, unknown, name) for block in self._blocks())
        return np.concatenate([*found, np.zeros(1, np.int32)])[self.codes]


@dataclass(frozen=True)
class _Strings(ABC):
    """A column of strings; ``native`` is a series of polars or a chunked array of PyArrow."""

    native: Any

    @property
    def is_null(self):
        """Whether all values are missing."""
        nulls = self.native.null_count  # a method in polars
        return (nulls() if callable(nulls) else nulls) == len(self.native)

    def numbers(self):
        """None: strings are not numbers."""
        return None

    @abstractmethod
    def _value_counts(self):
        """A function that returns an array of the strings that a mask selects, and the counts (n_strings,) of all strings."""

    @abstractmethod
    def _find_known(self, texts):
        """The places (n_rows,) of the strings in the list ``texts``, or -1, and whether they are missing (n_rows,)."""

    def count(self, min_count, few):
        """The counts of the texts as a dict, and whether some were left out, as in ``Labels``."""
        take, counts = self._value_counts()
        kept = _are_kept(counts, min_count, few)
        return _texts_with_counts(take(kept), counts[kept]), not kept.all()

    def find(self, lookup, unknown, name):
        """The codes (n_rows,) of the values: 0 for missing values, otherwise ``lookup[text]``, or ``unknown``."""
        places, is_missing = self._find_known(list(lookup))
        codes = np.where(places < 0, np.int32(unknown), places.astype(np.int32) + np.int32(1))
        codes[is_missing] = 0
        return codes


class _PolarsStrings(_Strings):
    def _value_counts(self):
        import polars as pl

        table = self.native.drop_nulls().alias("text").value_counts()
        return lambda mask: table["text"].filter(pl.Series(mask)).to_numpy(), table["count"].to_numpy()

    def _find_known(self, texts):
        import polars as pl

        places = self.native.cast(pl.Enum(texts), strict=False).to_physical().cast(pl.Int32).fill_null(-1)
        return places.to_numpy(), self.native.is_null().to_numpy()


class _ArrowStrings(_Strings):
    def _value_counts(self):
        import pyarrow as pa

        table = self.native.drop_null().value_counts()
        texts = table.field("values")
        return lambda mask: texts.filter(pa.array(mask)).to_numpy(zero_copy_only=False), table.field("counts").to_numpy()

    def _find_known(self, texts):
        import pyarrow as pa
        from pyarrow import compute

        places = compute.index_in(self.native, value_set=pa.array(texts, self.native.type))
        return places.fill_null(-1).to_numpy(), self.native.is_null().to_numpy()


def labels_of(series, is_text):
    """The ``Labels`` or strings of a series of narwhals with strings or categories."""
    native = series.to_native()
    if series.implementation.is_polars():
        import polars as pl

        return _PolarsStrings(native.cast(pl.String))
    if series.implementation.is_pyarrow():
        return _arrow_strings(native) if is_text else _arrow_labels(native)
    if is_text and (getattr(native.dtype, "storage", "") == "pyarrow" or hasattr(native.dtype, "pyarrow_dtype")):
        return _arrow_strings(native)
    return pandas_labels(native)


def pandas_labels(native):
    """The ``Labels`` of a series of pandas."""
    codes, values = native.factorize()
    return Labels(codes, len(values), lambda where: np.asarray(values[where]))


def _arrow_strings(native):
    """The strings of a chunked array of PyArrow, or of a series of pandas that stores such an array."""
    import pyarrow as pa

    array = native if isinstance(native, pa.ChunkedArray) else pa.array(native)
    strings = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    # many functions of PyArrow do not support string views
    return _ArrowStrings(strings.cast(pa.large_string()) if pa.types.is_string_view(strings.type) else strings)


def _arrow_labels(chunks):
    chunks = chunks.unify_dictionaries()
    values = chunks.chunk(0).dictionary
    # indices can be unsigned, as in categories of polars
    codes = np.concatenate([chunk.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks.chunks])
    return Labels(codes, len(values), lambda where: values[where].to_numpy(zero_copy_only=False))
