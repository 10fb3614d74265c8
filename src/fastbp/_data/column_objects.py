"""Python objects in a column: their common kind, and their values as arrays.

An array of objects goes in, as in pandas columns of dtype object. The kind of the column and an array come out. Each object has one
text, by which categories are compared. This module does not know about tables.
"""

import datetime
import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from itertools import repeat
from numbers import Real

import numpy as np

_BLOCK_OF_TEXTS = 32_768  # so many objects are counted or looked up at a time
_NOT_FOUND = -1
_MISSING_TYPES = ("NoneType", "NAType", "NaTType")  # the last two are types of pandas
_MAX_COUNTED = 131_072  # counters of more texts are reduced to the most frequent half


def objects_to_values(array, name):
    """The kind of the column ``name`` of objects, and its values.

    The kind is "null" if there are only missing values, and "boolean", "number", "date", "duration" or "time" if all other values
    have such a type. Otherwise it is "text", with the same array. A float NaN is a missing value in all of these.
    """
    counts = Counter(map(type, array))
    present = {one for one in counts if one.__name__ not in _MISSING_TYPES}
    _check_types_of_objects(present, name)
    is_nan = (value != value for value in array if type(value) is float)
    if float in present and not all(map(_is_number_type, present)) and all(is_nan):
        present.discard(float)
    if not present:
        return "null", None
    for kind, is_member, convert in _CONVERSIONS:
        if all(map(is_member, present)):
            values = convert(array, counts)
            return (_kind_of_numbers(values, counts) if kind == "number" else kind), values
    return "text", array


def _kind_of_numbers(values, counts):
    """The kind of a column of numbers (n_rows,) if ``counts`` are the counts of the types of objects."""
    n_present = len(values) - int(np.isnan(values).sum())
    n_booleans = sum(counts[one] for one in counts if _is_boolean_type(one))
    return "null" if n_present == 0 else "boolean" if n_present == n_booleans else "number"


def text_of(value):
    """The text by which a category is compared, or None for a missing value; integral numbers have the text of the integer."""
    if isinstance(value, str):
        return str(value)
    if type(value).__name__ in _MISSING_TYPES:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if not _is_number_type(type(value)) or _is_boolean_type(type(value)):
        return None if value is np.ma.masked else str(value)
    if value != value:
        return None
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


def is_missing_object(value):
    """Whether an object is None or a missing value of pandas; NaN is a number."""
    return type(value).__name__ in _MISSING_TYPES


def count_texts(array):
    """The counts of the texts in an array of objects, as a dict, and whether some texts were dropped.

    The counts are exact up to 131,072 different texts. If there are more, the less frequent half is dropped repeatedly during the
    counting, so that memory stays bounded (lossy counting: Manku and Motwani, 2002).
    """
    counts: Counter = Counter()
    has_dropped = False
    for start in range(0, len(array), _BLOCK_OF_TEXTS):
        part = array[start : start + _BLOCK_OF_TEXTS].tolist()
        counts.update(map(text_of, part) if any(map(_has_ambiguous_hash, set(map(type, part)))) else part)
        for key in [key for key in counts if type(key) is not str]:  # missing values, and some floats in a column of text
            counts.update({text_of(key): counts.pop(key)})
        del counts[None]
        if len(counts) > _MAX_COUNTED:
            counts, has_dropped = Counter(dict(counts.most_common(_MAX_COUNTED // 2))), True
    return counts, has_dropped


def find_texts(array, lookup, unknown, name):
    """The codes (n_values,) of an array of objects: 0 for missing values, otherwise ``lookup[text]``, or ``unknown``."""
    known = {**lookup, None: 0, np.nan: 0}
    parts = [
        _find_block(array[start : start + _BLOCK_OF_TEXTS].tolist(), known, unknown, name)
        for start in range(0, len(array), _BLOCK_OF_TEXTS)
    ]
    return np.concatenate([np.empty(0, np.int32), *parts])


def _find_block(values, known, unknown, name):
    try:
        codes = np.fromiter(map(known.get, values, repeat(_NOT_FOUND)), np.int32, len(values))
    except TypeError:  # a list, for example, has no hash value
        _check_types_of_objects(set(map(type, values)), name)
        raise
    places = np.flatnonzero(codes == _NOT_FOUND)
    others = [values[n] for n in places.tolist()]
    if all(one is str for one in set(map(type, others))):
        codes[places] = unknown
    else:
        codes[places] = [known.get(text_of(value), unknown) for value in others]
    return codes


def _check_types_of_objects(types, name):
    for one in types:
        is_nested = issubclass(one, Mapping | Set | np.ndarray) or (issubclass(one, Sequence) and not issubclass(one, str | bytes))
        if is_nested or (one.__str__ is object.__str__ and one.__repr__ is object.__repr__):
            raise TypeError(
                f"Column {name!r} of X has a value of type {one.__name__!r}; each value must be a string, a number, a boolean "
                "or a date. Convert the values, and split nested values into several columns."
            )
        if issubclass(one, complex | np.complexfloating):
            raise ValueError(f"Complex data not supported: column {name!r} of X has complex numbers. Pass real numbers.")


# ---------------------------------------------------------------------- types and conversions


def _has_ambiguous_hash(one):
    """Whether objects of a type can be equal to objects with another text, such as True and 1."""
    return one not in (str, float) and one.__name__ not in _MISSING_TYPES


def _is_boolean_type(one):
    return issubclass(one, bool | np.bool_)


def _is_number_type(one):
    return issubclass(one, Real | Decimal | np.bool_)


def _is_date_type(one):
    return issubclass(one, datetime.date | np.datetime64)


def _is_duration_type(one):
    return issubclass(one, datetime.timedelta | np.timedelta64)


def _is_time_type(one):
    return issubclass(one, datetime.time)


def _without_missing(array, counts):
    """A list of the objects, with None instead of all missing values."""
    missing = tuple(one for one in counts if one.__name__ in _MISSING_TYPES)
    return [None if isinstance(value, missing) or value != value else value for value in array]


def _numbers(array, counts):
    if any(one.__name__ in _MISSING_TYPES[1:] for one in counts):  # NumPy converts None to NaN, but not pandas' missing values
        array = np.array(_without_missing(array, counts), object)
    return array.astype(np.float64)


def _dates(array, counts):
    values = [_in_utc(value) for value in _without_missing(array, counts)]
    return np.array(values, "datetime64[us]")


def _in_utc(value):
    if getattr(value, "tzinfo", None) is None:
        return value
    return value.astimezone(datetime.UTC).replace(tzinfo=None)


def _durations(array, counts):
    return np.array(_without_missing(array, counts), "timedelta64[us]")


def _times(array, counts):
    midnight = datetime.datetime(1970, 1, 1)
    values = _without_missing(array, counts)
    since = [None if one is None else datetime.datetime.combine(midnight, one.replace(tzinfo=None)) - midnight for one in values]
    return np.array(since, "timedelta64[us]")


_CONVERSIONS = (
    ("number", _is_number_type, _numbers),
    ("date", _is_date_type, _dates),
    ("duration", _is_duration_type, _durations),
    ("time", _is_time_type, _times),
)
