"""Matrices and vectors that are not NumPy arrays, but of which blocks of rows can be read.

A dataset in an HDF5 file, an array of zarr or Dask, or a pyarrow table goes in. Blocks of its rows come out, or an array with the
same numbers in a map of a file: the file of an HDF5 dataset if its rows are stored one after another, otherwise a temporary file,
to which one block after another is copied. Therefore a fit has the same bits as with the rows in memory, and the memory for
temporary arrays does not depend on the number of rows. This module does not know about networks.
"""

import errno
import os
import tempfile
from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from .streamed import float_dtype, is_readable, is_small, row_slices

_COPIED_ELEMENTS = 1 << 20  # of a block of rows that is copied to a file
_SLICED_KINDS = "fiub"


def is_sliced(X):
    """Whether X is a matrix of numbers whose rows can be read in blocks; a subclass of arrays needs scikit-learn's checks."""
    if isinstance(X, np.ndarray):
        return type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and is_readable(X)
    return (_is_array_like(X) and len(X.shape) == 2) or (is_table(X) and _TableRows(X).dtype is not None)


def is_table(X):
    """Whether X is a table or a record batch of pyarrow."""
    return type(X).__module__.startswith("pyarrow.") and hasattr(X, "schema") and hasattr(X, "slice")


def block_of(X, rows):
    """The rows of a slice: a table of a table, with the names of its columns, and otherwise an array."""
    return X.slice(rows.start, rows.stop - rows.start) if is_table(X) else np.asarray(X[rows])


def blocks_of(X, n_of_row, n_elements):
    """Yield (rows, X[rows]) for slices with at most n_elements elements, if each row has n_of_row elements in temporary arrays.

    Each chunk of X is read once if it fits into a block, or if it has to be decoded as a whole.
    """
    for piece in _slices_of_chunks(X, n_of_row, n_elements):
        values = block_of(X, piece)
        for rows in row_slices(piece.stop - piece.start, n_of_row, n_elements):
            yield slice(piece.start + rows.start, piece.start + rows.stop), block_of(values, rows)
        del values  # before the next piece is read


def in_file(values):
    """``values``, or an array with the same numbers in a map of a file, if they are many and not in an array in memory."""
    if isinstance(values, np.ndarray) or not _is_array_like(values) or is_small(int(np.prod(values.shape))):
        return values
    array = _map_of_dataset(values)
    return _copy_in_file(values) if array is None else array


def table_in_file(X):
    """X, or a matrix with the same numbers in a map of a file, if X is a large pyarrow table of numbers."""
    rows = _TableRows(X)
    return X if rows.dtype is None or is_small(X.num_rows * X.num_columns) else _copy_in_file(rows)


def _is_array_like(values):
    """Whether ``values`` is a vector or a matrix of numbers with a shape, a dtype and slices of rows, but not in memory."""
    shape, dtype = getattr(values, "shape", None), getattr(values, "dtype", None)
    has_shape = isinstance(shape, tuple) and len(shape) in (1, 2) and all(isinstance(n, (int, np.integer)) for n in shape)
    has_numbers = isinstance(dtype, np.dtype) and dtype.kind in _SLICED_KINDS and dtype.names is None
    is_in_memory = any(hasattr(values, name) for name in ("to_numpy", "__array_interface__", "__dlpack__"))
    return has_shape and has_numbers and hasattr(values, "__getitem__") and not is_in_memory and not issparse(values)


class _TableRows:
    """The rows of a pyarrow table as arrays; missing numbers are NaN."""

    def __init__(self, table):
        self.table, self.shape = table, (table.num_rows, table.num_columns)

    @cached_property
    def dtype(self):
        """The dtype of an array of all columns, or None if a column does not contain numbers."""
        dtypes = [self._dtype_of(column) for column in self.table.columns]
        return None if not dtypes or any(dtype is None for dtype in dtypes) else np.result_type(*dtypes)

    @staticmethod
    def _dtype_of(column):
        try:
            dtype = np.dtype(column.type.to_pandas_dtype())
        except (NotImplementedError, TypeError):
            return None
        if dtype.kind not in _SLICED_KINDS or (dtype.kind == "b" and column.null_count):
            return None
        return np.dtype(np.float64) if dtype.kind in "iu" and column.null_count else dtype

    def __getitem__(self, rows):
        columns = self.table.slice(rows.start, rows.stop - rows.start).columns
        return np.column_stack([np.asarray(column) for column in columns])


def _map_of_dataset(values):
    """A memory map of an h5py dataset that is stored in its file like an array, or None."""
    if not type(values).__module__.startswith("h5py.") or not is_readable(np.empty(0, values.dtype)):
        return None
    file = values.file
    is_written = file.mode != "r"  # rows may not be in the file yet
    if is_written or file.driver != "sec2" or file.userblock_size or values.chunks or values.is_virtual or values.external:
        return None
    start = values.id.get_offset()
    try:  # another file may have this name now, or the name may be relative to an earlier working directory
        with open(file.filename, "rb") as opened:
            is_same = _identity_of_file(opened.fileno()) == _identity_of_file(file.id.get_vfd_handle())
            return np.memmap(opened, values.dtype, "r", start, values.shape) if is_same and start is not None else None
    except (OSError, RuntimeError, TypeError, ValueError):  # a copy of the rows does not need the name
        return None


def _identity_of_file(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size


def _copy_in_file(values):
    """A memory map of a temporary file with a copy of ``values``; the file is removed with the last reference to the map."""
    dtype = values.dtype if is_readable(np.empty(0, values.dtype)) else float_dtype(np.empty(0, values.dtype))
    with tempfile.TemporaryFile(prefix="fastbp-") as file:
        try:
            for rows in _slices_of_chunks(values, int(np.prod(values.shape[1:])), _COPIED_ELEMENTS):
                file.write(np.ascontiguousarray(np.asarray(values[rows]), dtype).data)
            file.flush()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                n_bytes = dtype.itemsize * int(np.prod(values.shape))
                error.add_note(
                    f"A {type(values).__name__} is copied to a file in the folder {tempfile.gettempdir()!r}, which needs "
                    f"{n_bytes:,} bytes. Set the environment variable TMPDIR to a folder with enough space, or use fit_batches."
                )
            raise
        return np.memmap(file, dtype, "r", shape=values.shape)


def _slices_of_chunks(values, n_of_row, n_elements):
    """Slices of rows with at most n_elements elements, n_of_row in each row, so that chunks of ``values`` are rarely read twice.

    A slice has whole chunks if these are small enough. A longer chunk is read in equal parts, but if it has to be decoded as a
    whole, and needs that memory anyway, the limit is its number of elements.
    """
    n_rows, n_columns = values.shape[0], int(np.prod(values.shape[1:]))
    chunks = getattr(values, "chunks", None)
    if not chunks:
        yield from row_slices(n_rows, n_of_row, n_elements)
        return
    n_block = max(1, n_elements // max(1, n_of_row), _n_decoded_at_once(values) // max(1, n_columns))
    if isinstance(chunks[0], int):  # h5py and zarr have one size for each dimension, Dask has a list of sizes
        step = max(chunks[0], n_block // chunks[0] * chunks[0])
        sizes = [min(step, n_rows - start) for start in range(0, n_rows, step)]
    else:
        sizes = chunks[0]
    start = end = 0
    for size in sizes:
        if start < end and end + size - start > n_block:
            yield slice(start, end)
            start = end
        end += size
        if size > n_block:
            yield from (slice(start + part.start, start + part.stop) for part in _equal_parts(size, n_block))
            start = end
    if start < end:
        yield slice(start, end)


def _equal_parts(n_rows, n_block):
    """Slices of n_rows rows, with at most n_block rows each."""
    n_parts = -(-n_rows // n_block)
    edges = [n * n_rows // n_parts for n in range(n_parts + 1)]
    return map(slice, edges[:-1], edges[1:])


def _n_decoded_at_once(values):
    """The number of elements of the largest chunk, or 0 if parts of a chunk can be read from the file."""
    if type(values).__module__.startswith("h5py.") and not values.id.get_create_plist().get_nfilters():
        return 0
    return int(np.prod([size if isinstance(size, int) else max(size, default=0) for size in values.chunks]))
