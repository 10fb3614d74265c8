"""The order of the rows of a stream: blocks of a source become shuffled segments, each of which is in memory as a whole.

Encoded blocks go in; ``Segment`` objects come out. A segment has ``capacity`` rows, a multiple of the batch size, so that no batch
has rows of two segments; the last segment of an epoch has the remaining rows. Therefore the segments do not depend on the sizes of
the blocks. The order of the parts of a source, and the order of the rows of each segment, are drawn from generators whose seeds are
the seed of the fit, the number of the epoch and the number of the segment, so that any segment can be read again. This is the
two-level shuffle of Xu, Qiao, Pang and others (2022), "In-Database Machine Learning with CorgiPile: Stochastic Gradient Descent
without Full Data Shuffle". This module does not know what the rows mean.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse, vstack

from .._data.row_numbers import row_dtype, row_numbers

_INITIAL_ROWS = 4096  # the rows of a new buffer, unless the number of rows is known
_PARTS = 2**32 - 1  # the number that stands for the order of the parts, in place of that of a segment


class EncodedRows(NamedTuple):
    """Rows for the network: X (n_rows, n_features), dense or CSR; y (n_rows, n_columns); weights (n_rows,) or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None


class Segment(NamedTuple):
    """Rows that are trained in the given ``order``.

    ``first_row`` is the number of rows of the epoch before this segment. ``buffer`` is the ``RowBuffer`` that contains the rows.
    """

    rows: EncodedRows
    order: np.ndarray
    epoch: int
    first_row: int
    is_last: bool
    buffer: Any


@dataclass(frozen=True)
class Shuffling:
    """How an epoch is read: segments of ``capacity`` rows, shuffled unless ``seed`` is None."""

    capacity: int
    seed: int | None

    def part_order(self, n_parts, epoch):
        """The order of the parts of a source in an epoch, or None if they are read in their own order."""
        if n_parts is None or self.seed is None:
            return None
        return self._generator(epoch, _PARTS).permutation(n_parts)

    def row_order(self, n_rows, epoch, number):
        """The order of the rows of a segment."""
        if self.seed is None:
            return row_numbers(n_rows)
        return self._generator(epoch, number).permutation(n_rows).astype(row_dtype(n_rows))

    def _generator(self, epoch, number):
        # the stream of `RandomState` does not change in later versions of NumPy
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([self.seed, epoch, number])))


def whole_batches(n_rows, batch_size):
    """Return n_rows, rounded up to a multiple of the batch size."""
    return -(-max(1, n_rows) // batch_size) * batch_size


class RowBuffer:
    """Up to ``capacity`` rows in the order in which they were added.

    The arrays grow with the rows, so that the capacity can be larger than the data. ``n_likely`` is the number of rows for which
    memory is allocated at first.
    """

    def __init__(self, capacity, dtype, n_likely=None):
        self.capacity, self.dtype = capacity, np.dtype(dtype)
        self._n_likely = min(capacity, n_likely or _INITIAL_ROWS)
        self._arrays: list = []
        self._matrices: list = []
        self.n_rows = 0

    @property
    def is_full(self):
        """Whether no other row can be added."""
        return self.n_rows == self.capacity

    def clear(self):
        """Remove all rows, and keep the memory."""
        self.n_rows, self._matrices = 0, []

    def add(self, rows, start):
        """Add rows from number ``start`` on, as many as fit; return the number of the first row that was not added."""
        stop = min(len(rows.y), start + self.capacity - self.n_rows)
        end, parts = self.n_rows + stop - start, [rows.y, *([] if rows.weight is None else [rows.weight])]
        if issparse(rows.X):
            self._matrices.append(rows.X[start:stop])
        else:
            parts.append(rows.X)
        self._reserve(parts, end)
        for array, part in zip(self._arrays, parts, strict=True):
            array[self.n_rows : end] = part[start:stop]
        self.n_rows = end
        return stop

    def _reserve(self, parts, n_rows):
        """Make place for n_rows rows in one array for each part."""
        if not self._arrays:
            n_rows = max(n_rows, self._n_likely)
            self._arrays = [np.empty((n_rows, *part.shape[1:]), self.dtype) for part in parts]
        elif n_rows > len(self._arrays[0]):
            n_rows = min(self.capacity, max(n_rows, 2 * len(self._arrays[0])))
            for n, array in enumerate(self._arrays):
                self._arrays[n] = np.empty((n_rows, *array.shape[1:]), self.dtype)
                self._arrays[n][: self.n_rows] = array[: self.n_rows]

    def rows(self):
        """All rows as ``EncodedRows``, without a copy of dense rows."""
        arrays = [array[: self.n_rows] for array in self._arrays]
        X = vstack(self._matrices, format="csr") if self._matrices else arrays.pop()
        return EncodedRows(X, arrays[0], arrays[1] if len(arrays) > 1 else None)


class SegmentReader:
    """The segments of all epochs of a fit.

    ``encode`` converts a ``Block`` to ``EncodedRows``. ``epochs`` are the numbers of the epochs. The first of them starts with the
    segment that contains row number ``first_row``.
    """

    def __init__(self, source, encode, shuffling, epochs, first_row=0):
        self.source, self.encode, self.shuffling, self.epochs, self.first_row = source, encode, shuffling, epochs, first_row

    def __call__(self, take_buffer):
        """Yield the segments of all epochs; ``take_buffer`` returns a ``RowBuffer``."""
        first_row = self.first_row
        for epoch in self.epochs:
            yield from self._of_epoch(epoch, first_row // self.shuffling.capacity, take_buffer)
            first_row = 0

    def _of_epoch(self, epoch, number, take_buffer):
        buffer, n_skipped = None, number * self.shuffling.capacity
        for rows in self._encoded(epoch, n_skipped):
            start = 0
            while start < len(rows.y):
                if buffer is not None and buffer.is_full:
                    yield self._segment(buffer, epoch, number, is_last=False)
                    buffer, number = None, number + 1
                if buffer is None:
                    buffer = take_buffer()
                    buffer.clear()
                start = buffer.add(rows, start)
        if buffer is None:
            raise ValueError(
                f"source must return at least one block of rows in each epoch, but {self.source.kind} returned "
                + (f"only {n_skipped} rows or fewer, which are already trained" if n_skipped else "none")
                + ". Return the same rows in each epoch."
            )
        yield self._segment(buffer, epoch, number, is_last=True)

    def _segment(self, buffer, epoch, number, is_last):
        order = self.shuffling.row_order(buffer.n_rows, epoch, number)
        return Segment(buffer.rows(), order, epoch, number * self.shuffling.capacity, is_last, buffer)

    def _encoded(self, epoch, n_skipped):
        """Yield the encoded rows of an epoch except for the first ``n_skipped``."""
        source = self.source
        parts = self.shuffling.part_order(source.n_parts, epoch)
        if source.part_sizes is not None and n_skipped:
            parts = list(range(source.n_parts) if parts is None else parts)
            while parts and source.part_sizes[parts[0]] <= n_skipped:
                n_skipped -= source.part_sizes[parts.pop(0)]
        blocks = source.read(parts)
        try:
            for block in blocks:
                n_rows = block.n_rows
                if n_rows <= n_skipped and n_rows:
                    n_skipped -= n_rows
                    continue
                rows = self.encode(block)
                if n_skipped:
                    rows, n_skipped = _slice_of(rows, n_skipped, n_rows), 0
                yield rows
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()


def rechunked(blocks, n_rows):
    """Yield the rows of ``EncodedRows`` in pieces of n_rows rows, whose number does not depend on the sizes of the blocks."""
    kept: list = []
    n_kept = 0
    for rows in blocks:
        start, n_block = 0, len(rows.y)
        while n_kept + n_block - start >= n_rows:
            stop = start + n_rows - n_kept
            yield _joined_rows([*kept, _slice_of(rows, start, stop)])
            kept, n_kept, start = [], 0, stop
        if start < n_block:
            kept.append(_slice_of(rows, start, n_block))
            n_kept += n_block - start
    if kept:
        yield _joined_rows(kept)


def _slice_of(rows, start, stop):
    X, y, weight = rows
    X, weight = (None if part is None else part[start:stop] for part in (X, weight))
    return EncodedRows(X, y[start:stop], weight)


def _joined_rows(pieces):
    return pieces[0] if len(pieces) == 1 else EncodedRows(*map(_concatenated, zip(*pieces, strict=True)))


def _concatenated(parts):
    if parts[0] is None:
        return None
    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)
