"""Sources of blocks of rows: functions, lists, other iterables, iterators, and objects like XGBoost's ``DataIter``.

The source that the user passed to ``fit_batches`` goes in; a ``StreamSource`` comes out, which reads ``Block`` objects. Files and
datasets of pyarrow are in ``arrow_source``. This module does not check the rows, and does not know about estimators.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Block(NamedTuple):
    """Rows as the user's source returned them; ``place`` names the block in errors. X is None if only the targets are read."""

    place: str
    X: Any
    y: Any
    sample_weight: Any = None

    @property
    def n_rows(self):
        """The number of rows of X, or 0 if X has no length."""
        shape = getattr(self.X, "shape", None)
        return shape[0] if shape else len(self.X) if hasattr(self.X, "__len__") else 0


class StreamSource(ABC):
    """A source of blocks.

    ``n_parts`` is the number of parts that can be read in any order, or None if there is only one order. ``part_sizes`` are their
    numbers of rows, if these are known without reading the parts. ``names`` are the names of the features, if the source itself
    checks them, and ``kind`` is a noun for errors. ``is_one_shot`` is True if the blocks can be read only once.
    """

    n_parts: int | None = None
    part_sizes: list | None = None
    names: list | None = None
    is_one_shot = False
    kind = "source"

    def __init__(self):
        self._pending = None

    @abstractmethod
    def _read(self, parts, with_features):
        """Yield the blocks of the parts with the given numbers, or all blocks if ``parts`` is None."""

    @property
    def n_rows(self):
        """The number of rows, or None if it is not known without reading them."""
        return None if self.part_sizes is None else sum(self.part_sizes)

    def read(self, parts=None, *, with_features=True):
        """Return an iterator of all blocks, or of those of the parts with the given numbers, in this order.

        If ``with_features`` is False, X need not be read.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            if self.n_parts is None or (parts is None and with_features):
                return pending
            pending.close()
        return self._read(parts, with_features)

    def peek(self, n_rows=1):
        """Return the first blocks that have at least n_rows rows together; the next call of ``read`` returns them again."""
        blocks, first, n_found = self.read(), [], 0
        for block in blocks:
            first.append(block)
            n_found += block.n_rows
            if n_found >= n_rows or not block.n_rows:
                break
        self._pending = _continued(first, blocks)
        return first


def _continued(first, blocks):
    """Yield the blocks that were read already, and then the others."""
    try:
        yield from first
        yield from blocks
    finally:
        blocks.close()


class _Iterations(StreamSource):
    """The blocks of iterators, each of which is created by a function without arguments."""

    def __init__(self, start, kind):
        super().__init__()
        self._start, self.kind = start, kind

    def _read(self, parts, with_features):
        blocks = self._start()
        if not isinstance(blocks, Iterable):
            raise TypeError(
                f"source must be a function that returns an iterator of (X, y) or (X, y, sample_weight), but {self.kind} returned "
                f"{_described(blocks)}. Yield the blocks, or return a list of them."
            )
        iterator = iter(blocks)
        try:
            for n, block in enumerate(iterator):
                yield _as_block(block, n)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()


class _OneShot(_Iterations):
    """The blocks of an iterator, which can be read only once."""

    is_one_shot = True

    def __init__(self, iterator):
        super().__init__(self._take, "the iterator")
        self._iterator: Any = iterator

    def _take(self):
        iterator, self._iterator = self._iterator, None
        if iterator is None:
            raise ValueError("source is an iterator, which can be read only once. Pass a function that returns a new iterator.")
        return iterator


class _BlockList(StreamSource):
    """A list of blocks, which can be read in any order."""

    kind = "the list of blocks"

    def __init__(self, blocks):
        super().__init__()
        self._blocks, self.n_parts = blocks, len(blocks)

    def _read(self, parts, with_features):
        for n in range(len(self._blocks)) if parts is None else parts:
            yield _as_block(self._blocks[n], n)


class _DataIterSource(StreamSource):
    """An object with the methods ``next(input_data)`` and ``reset()``, as XGBoost's ``DataIter`` has them."""

    kind = "the DataIter"

    def __init__(self, data_iter):
        super().__init__()
        self._data_iter = data_iter

    def _read(self, parts, with_features):
        received: list = []

        def input_data(data=None, label=None, weight=None, **others):
            unknown = sorted(name for name, value in others.items() if value is not None)
            if unknown:
                raise TypeError(f"input_data takes data, label and weight, got also {unknown}. Leave {unknown[0]} out.")
            received.append((data, label) if weight is None else (data, label, weight))

        self._data_iter.reset()
        n = 0
        while self._data_iter.next(input_data):
            if len(received) != 1:
                raise ValueError(
                    f"Each call of source.next must call input_data once, but the call for block {n} called it {len(received)} "
                    "times. Return 0 or False after the last block."
                )
            yield _as_block(received.pop(), n)
            n += 1


def source_of_blocks(source: Any, name: str = "source") -> StreamSource:
    """Return the ``StreamSource`` of a function, a list, another iterable, an iterator, or a ``DataIter``.

    ``name`` is the name of the argument in errors: 'source' or 'validation'.
    """
    if callable(getattr(source, "next", None)) and callable(getattr(source, "reset", None)):
        return _DataIterSource(source)
    if isinstance(source, (list, tuple)):
        if source and not all(_is_tuple_of_rows(block) for block in source):
            raise _wrong_source(source, name)
        return _BlockList(source)
    if isinstance(source, Iterator):
        return _OneShot(source)
    if hasattr(source, "shape"):
        raise _wrong_source(source, name)
    if callable(source):
        return _Iterations(source, "this function")
    if isinstance(source, Iterable) and not isinstance(source, (dict, set, bytes)):
        return _Iterations(lambda: iter(source), f"the {type(source).__name__}")
    raise _wrong_source(source, name)


def is_path(source: Any) -> bool:
    """Return whether a source is a path, or a list of paths that is not empty."""
    if isinstance(source, (list, tuple)):
        return len(source) > 0 and all(isinstance(path, (str, os.PathLike)) for path in source)
    return isinstance(source, (str, os.PathLike))


def is_block(value: Any) -> bool:
    """Return whether a value is (X, y) or (X, y, sample_weight), where X can be a list of rows, and not a list of such blocks."""
    if not isinstance(value, (list, tuple)) or len(value) not in (2, 3) or isinstance(value[0], (str, os.PathLike)):
        return False
    X = value[0]
    if not isinstance(X, (list, tuple)):
        return True
    return len(X) > 0 and (np.ndim(X[0]) == 1 if isinstance(X[0], np.ndarray) else _is_list_of_numbers(X[0]))


def _is_list_of_numbers(row):
    return isinstance(row, (list, tuple)) and not any(hasattr(number, "__len__") for number in row)


def _is_tuple_of_rows(block):
    is_tuple = isinstance(block, (list, tuple)) and len(block) in (2, 3)
    return is_tuple and all(part is None or hasattr(part, "__len__") for part in block)


def _as_block(block, n):
    if not isinstance(block, (list, tuple)) or len(block) not in (2, 3):
        raise TypeError(
            f"Block {n} of source must be a tuple (X, y) or (X, y, sample_weight), got {_described(block)}. Return tuples of two "
            "or three arrays."
        )
    return Block(f"Block {n} of source", *block)


def _described(value):
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of length {len(value)}"
    return f"an object of type {type(value).__name__}"


def _wrong_source(source, name):
    is_validation = name == "validation"
    remedy = "Pass validation=(X, y) if X and y are arrays" if is_validation else "If X and y are arrays, call fit(X, y)"
    return TypeError(
        f"{name} must be {'a tuple (X, y), or ' if is_validation else ''}a function without arguments that returns an iterator of "
        "(X, y) or (X, y, sample_weight), a list of such tuples, paths of Parquet or CSV files, a pyarrow Dataset, or an object "
        f"with the methods next(input_data) and reset(); got {_described(source)}. {remedy}."
    )
