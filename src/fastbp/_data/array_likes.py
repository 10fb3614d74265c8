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
            for rows in _slices_of_chunks(values):
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


def _slices_of_chunks(values):
    """Slices of rows that end where chunks of ``values`` end, so that each chunk is read once."""
    n_rows, n_columns = values.shape[0], int(np.prod(values.shape[1:]))
    chunks = getattr(values, "chunks", None)
    if not chunks:
        yield from row_slices(n_rows, n_columns, _COPIED_ELEMENTS)
        return
    # Dask has a list of sizes for each dimension, h5py and zarr have one size
    ends = range(chunks[0], n_rows, chunks[0]) if isinstance(chunks[0], int) else np.cumsum(chunks[0]).tolist()
    start = 0
    for end in (*ends, n_rows):
        if (end - start) * n_columns >= _COPIED_ELEMENTS or end == n_rows > start:
            yield slice(start, end)
            start = end
