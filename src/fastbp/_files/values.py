"""Python values as JSON and arrays.

Plain values go in: None, booleans, numbers, strings, lists, tuples, dicts, NumPy arrays and scalars, ``RandomState`` and
``LabelBinarizer``. A tree of JSON values comes out, together with numeric arrays by name, and later the same values with the same
types. A value without a JSON equivalent becomes an object with one name that says its type. Other values are refused. This module
does not know about estimators.
"""

import math
from itertools import count
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from .refusals import refusal
from .strict_json import MAX_DIGITS

_NUMERIC = "biuf"
_DTYPES = frozenset(("bool", "float16", "float32", "float64", *(f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64))))
_TEXT_UNITS = {"U": np.uint32, "S": np.uint8}
_MIN_FLOATS = 8  # shorter lists of floats are JSON lists
_LAST_CODE_POINT = 0x10FFFF
# NumPy's bit generators, and the largest position in their buffers; with a larger one, NumPy reads memory outside of them.
_LARGEST_POSITIONS = {"MT19937": 624, "PCG64": 0, "PCG64DXSM": 0, "Philox": 4, "SFC64": 0}
_POSITIONS = ("pos", "buffer_pos")
_OF_LABELS = ("classes_", "y_type_", "sparse_input_")


class DamagedValueError(Exception):
    """A tree is not the result of an ``Encoder``."""


class Encoder:
    """Converts values to JSON trees, and collects their arrays in ``tensors``."""

    def __init__(self):
        self.tensors, self._generators = {}, []

    def encode(self, value, where):
        """Return a value as a JSON tree; ``where`` is its place in the estimator, for errors and for the names of arrays."""
        if value is None or type(value) in (bool, str):
            return value
        if isinstance(value, np.generic):
            return self._scalar(value, where)
        encode = _ENCODERS.get(type(value))
        if encode is None:
            raise refusal(value, where)
        return encode(self, value, where)

    def _integer(self, value, where):
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"{where} must have at most {MAX_DIGITS} digits to be saved. Use a smaller number.")
        return value

    def _float(self, value, where):
        return value if math.isfinite(value) else {"float": repr(value)}

    def _list(self, values, where):
        if len(values) >= _MIN_FLOATS and set(map(type, values)) == {float}:
            return {"floats": self._tensor(np.array(values), where)}
        return [self.encode(value, f"{where}.{n}") for n, value in enumerate(values)]

    def _tuple(self, values, where):
        return {"tuple": [self.encode(value, f"{where}.{n}") for n, value in enumerate(values)]}

    def _dict(self, values, where):
        return {"dict": [[self.encode(key, where), self.encode(value, f"{where}.{key}")] for key, value in values.items()]}

    def _scalar(self, value, where):
        if value.dtype.name in _DTYPES:
            return {"scalar": self.encode(value.item(), where), "dtype": value.dtype.name}
        if type(value) is np.str_:
            return {"scalar": str(value), "dtype": "str"}
        raise refusal(value, where)

    def _array(self, array, where):
        if array.dtype.name in _DTYPES:
            return {"array": self._tensor(array, where)}
        if array.dtype.kind in _TEXT_UNITS and array.dtype.itemsize:
            unit = _TEXT_UNITS[array.dtype.kind]
            units = np.array(array, array.dtype.newbyteorder("<"), order="C")
            units = units.reshape(-1).view(unit).reshape(*array.shape, array.dtype.itemsize // np.dtype(unit).itemsize)
            return {"text": self._tensor(units, where), "kind": array.dtype.kind}
        if array.dtype.kind == "O":
            return {"objects": [self.encode(value, where) for value in array.ravel().tolist()], "shape": list(array.shape)}
        raise refusal(array, where)

    def _tensor(self, array, where):
        """Add an array to ``tensors``; return its name."""
        names = (where if n == 0 else f"{where}#{n}" for n in count())
        name = next(name for name in names if name not in self.tensors)
        self.tensors[name] = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        return name

    def _generator(self, generator, where):
        """The state of a ``RandomState``, or its number if it was encoded before, so that it is also one object after loading."""
        known = next((n for n, one in enumerate(self._generators) if one is generator), None)
        if known is not None:
            return {"same_random_state": known}
        state = generator.get_state(legacy=False)
        if state["bit_generator"] not in _LARGEST_POSITIONS:
            raise refusal(generator, where)
        self._generators.append(generator)
        return {"random_state": self._dict(state, where)}

    def _labels(self, binarizer, where):
        return {"labels": [self.encode(getattr(binarizer, name), f"{where}.{name}") for name in _OF_LABELS]}


_ENCODERS = {
    int: Encoder._integer,
    float: Encoder._float,
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    np.ndarray: Encoder._array,
    np.memmap: Encoder._array,
    np.random.RandomState: Encoder._generator,
    LabelBinarizer: Encoder._labels,
}


class Decoder:
    """Converts JSON trees to values; each array in ``tensors`` may be used once, so that a small file stays small in memory."""

    def __init__(self, tensors):
        self._unused, self._generators = dict(tensors), []

    def finish(self):
        """Raise a ``DamagedValueError`` if an array was not used."""
        if self._unused:
            raise DamagedValueError(f"the array {min(self._unused)!r} is not used")

    def decode(self, tree):
        """Return the value of a JSON tree."""
        if isinstance(tree, list):
            return [self.decode(part) for part in tree]
        if not isinstance(tree, dict):
            return tree
        kind = next(iter(tree), None)
        decode, names = _DECODERS.get(kind, (None, ()))
        if decode is None or tuple(tree) != names:
            raise DamagedValueError(f"{kind!r} is not the name of a type")
        return decode(self, *tree.values())

    def _float(self, text):
        if text not in ("nan", "inf", "-inf"):
            raise DamagedValueError("a number is damaged")
        return float(text)

    def _floats(self, name):
        values = self._tensor(name)
        if values.dtype != np.float64 or values.ndim != 1:
            raise DamagedValueError("a list of numbers is damaged")
        return values.tolist()

    def _tuple(self, trees):
        return tuple(self._list(trees))

    def _list(self, trees):
        if not isinstance(trees, list):
            raise DamagedValueError("a list is damaged")
        return self.decode(trees)

    def _dict(self, pairs):
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise DamagedValueError("a dict is damaged")
        result = {_hashable(self.decode(key)): self.decode(value) for key, value in pairs}
        if len(result) < len(pairs):
            raise DamagedValueError("a key occurs twice in a dict")
        return result

    def _scalar(self, tree, dtype):
        value = self.decode(tree)
        if dtype == "str" and isinstance(value, str):
            return np.str_(value)
        if dtype not in _DTYPES or type(value) not in (bool, int, float):
            raise DamagedValueError("a number is damaged")
        return np.dtype(dtype).type(value)

    def _array(self, name):
        return self._tensor(name)

    def _text(self, name, kind):
        units = self._tensor(name)
        if kind not in _TEXT_UNITS or units.dtype != _TEXT_UNITS[kind] or units.ndim == 0 or units.shape[-1] == 0:
            raise DamagedValueError("an array of strings is damaged")
        if kind == "U" and units.size and units.max() > _LAST_CODE_POINT:
            raise DamagedValueError("an array of strings has an invalid character")
        return units.reshape(-1).view(f"{kind}{units.shape[-1]}").reshape(units.shape[:-1])

    def _objects(self, trees, shape):
        values = self._list(trees)
        if not isinstance(shape, list) or not all(type(n) is int and 0 <= n <= len(values) for n in shape) or len(shape) > 8:
            raise DamagedValueError("an array of objects is damaged")
        if math.prod(shape) != len(values) or not all(map(_is_scalar, values)):
            raise DamagedValueError("an array of objects is damaged")
        array = np.empty(len(values), object)
        array[:] = values
        return array.reshape(shape)

    def _generator(self, tree):
        state = self.decode(tree)
        name = state["bit_generator"] if isinstance(state, dict) else None
        if name not in _LARGEST_POSITIONS:
            raise DamagedValueError("a generator is unknown")
        generator = np.random.RandomState(getattr(np.random, name)(0))
        if not _is_like(generator.get_state(legacy=False), state, _LARGEST_POSITIONS[name]):
            raise DamagedValueError("a generator is damaged")
        generator.set_state(state)
        self._generators.append(generator)
        return generator

    def _same_generator(self, number):
        if type(number) is not int or not 0 <= number < len(self._generators):
            raise DamagedValueError("a generator is damaged")
        return self._generators[number]

    def _labels(self, trees):
        classes, y_type, sparse_input = self._list(trees)
        kinds = ("binary", "multiclass", "multilabel-indicator")
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or y_type not in kinds or type(sparse_input) is not bool:
            raise DamagedValueError("the labels are damaged")
        binarizer = LabelBinarizer()
        binarizer.classes_, binarizer.y_type_, binarizer.sparse_input_ = classes, y_type, sparse_input
        return binarizer

    def _tensor(self, name):
        if not isinstance(name, str) or name not in self._unused:
            raise DamagedValueError(f"the array {name!r:.60} is missing or used twice")
        return self._unused.pop(name).copy()  # safetensors returns read-only arrays


def _is_like(expected, value, largest_position, name=""):
    """Whether a part of the state of a generator has the same names, types and shapes as the state of another generator."""
    if isinstance(expected, dict):
        is_dict = type(value) is dict and set(value) == set(expected)
        return is_dict and all(_is_like(expected[name], value[name], largest_position, name) for name in expected)
    if isinstance(expected, np.ndarray):
        return isinstance(value, np.ndarray) and (value.dtype, value.shape) == (expected.dtype, expected.shape)
    if isinstance(expected, int):
        return type(value) is int and 0 <= value <= (largest_position if name in _POSITIONS else 2**128)
    return type(value) is type(expected)


def _is_scalar(value):
    return type(value) in (bool, int, float, str, type(None)) or isinstance(value, np.generic)


def _hashable(key):
    if not _is_scalar(key):
        raise DamagedValueError("a key of a dict is damaged")
    return key


# The method for each kind of object, and the names in the object; the first one is the kind.
_DECODERS: dict[Any, tuple[Any, tuple[str, ...]]] = {
    "float": (Decoder._float, ("float",)),
    "floats": (Decoder._floats, ("floats",)),
    "tuple": (Decoder._tuple, ("tuple",)),
    "dict": (Decoder._dict, ("dict",)),
    "scalar": (Decoder._scalar, ("scalar", "dtype")),
    "array": (Decoder._array, ("array",)),
    "text": (Decoder._text, ("text", "kind")),
    "objects": (Decoder._objects, ("objects", "shape")),
    "random_state": (Decoder._generator, ("random_state",)),
    "same_random_state": (Decoder._same_generator, ("same_random_state",)),
    "labels": (Decoder._labels, ("labels",)),
}
