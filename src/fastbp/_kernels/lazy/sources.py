"""Functions that read and convert rows of an array in the memory of the user, one for each dtype of the array.

A function receives the records of all sources, the index of one of them, the numbers of all sources, and the numbers of the rows.
It writes the rows to out (n, ≥ n_columns). An integer is first converted to float64. Columns are scaled as NumPy does it for the
whole array: (x − center) / scale in float64, rounded to float32 after each operation if the array is float32. The last step is the
conversion to the dtype of out. This module does not know what the numbers mean.
"""

import numpy as np

from ..jit import kernel, lazy_entry
from ..views import element, vector

# No reordering, no reciprocals: the results are those of NumPy.
_AS_WRITTEN = frozenset()


@kernel(fastmath=_AS_WRITTEN)
def _read(source, numbers, positions, out, kind, size):
    """Convert the rows of an array whose elements have the type of `kind` and a size in bytes."""
    n_columns, is_contiguous = source.n_columns, source.column_stride == size
    for i in range(positions.size):
        at = source.first_address + positions[i] * source.row_stride
        target = vector(out, i * out.shape[1], n_columns)
        if source.center_at >= 0:
            _read_scaled(source, numbers, at, target, kind)
        elif is_contiguous:
            for j in range(n_columns):
                target[j] = np.float64(element(kind, at, j))
        else:
            for j in range(n_columns):
                target[j] = np.float64(element(kind, at + j * source.column_stride, 0))


@kernel(fastmath=_AS_WRITTEN)
def _read_scaled(source, numbers, at, target, kind):
    """Convert and scale one row."""
    n_columns = source.n_columns
    center, scale = vector(numbers, source.center_at, n_columns), vector(numbers, source.center_at + n_columns, n_columns)
    if source.rounds:
        for j in range(n_columns):
            centered = np.float32(np.float64(element(kind, at + j * source.column_stride, 0)) - center[j])
            target[j] = np.float32(np.float64(centered) / scale[j])
    else:
        for j in range(n_columns):
            target[j] = (np.float64(element(kind, at + j * source.column_stride, 0)) - center[j]) / scale[j]


@lazy_entry(fastmath=_AS_WRITTEN)
def read_float32(sources, index, numbers, positions, out):
    """Read rows of a float32 array."""
    _read(sources[index], numbers, positions, out, np.float32(0), 4)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_float64(sources, index, numbers, positions, out):
    """Read rows of a float64 array."""
    _read(sources[index], numbers, positions, out, np.float64(0), 8)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_int8(sources, index, numbers, positions, out):
    """Read rows of an int8 array."""
    _read(sources[index], numbers, positions, out, np.int8(0), 1)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_int16(sources, index, numbers, positions, out):
    """Read rows of an int16 array."""
    _read(sources[index], numbers, positions, out, np.int16(0), 2)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_int32(sources, index, numbers, positions, out):
    """Read rows of an int32 array."""
    _read(sources[index], numbers, positions, out, np.int32(0), 4)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_int64(sources, index, numbers, positions, out):
    """Read rows of an int64 array."""
    _read(sources[index], numbers, positions, out, np.int64(0), 8)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_uint8(sources, index, numbers, positions, out):
    """Read rows of a uint8 or bool array."""
    _read(sources[index], numbers, positions, out, np.uint8(0), 1)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_uint16(sources, index, numbers, positions, out):
    """Read rows of a uint16 array."""
    _read(sources[index], numbers, positions, out, np.uint16(0), 2)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_uint32(sources, index, numbers, positions, out):
    """Read rows of a uint32 array."""
    _read(sources[index], numbers, positions, out, np.uint32(0), 4)


@lazy_entry(fastmath=_AS_WRITTEN)
def read_uint64(sources, index, numbers, positions, out):
    """Read rows of a uint64 array."""
    _read(sources[index], numbers, positions, out, np.uint64(0), 8)


# By the names of dtypes.
SOURCES = {
    "float32": read_float32,
    "float64": read_float64,
    "int8": read_int8,
    "int16": read_int16,
    "int32": read_int32,
    "int64": read_int64,
    "uint8": read_uint8,
    "uint16": read_uint16,
    "uint32": read_uint32,
    "uint64": read_uint64,
}
