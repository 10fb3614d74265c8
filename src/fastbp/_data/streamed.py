"""Large arrays whose rows are converted and scaled when they are read, so that the array is never copied.

An array in memory or in a memory map goes in, with the dtype and the scaling of the rows; ``StreamedRows`` come out. Kernels read
the rows from the memory of the array (``sources``). Python reads blocks of rows, or rows with given numbers. Small arrays are
converted at once, which is faster. This module does not know about networks and training.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

# A conversion that would need more bytes than this is not made at once.
MAX_COPY_BYTES = 1 << 23
# So many elements are converted at a time in Python; the temporary arrays of scikit-learn's scalers are several times as large.
_BLOCK_ELEMENTS = 1 << 18
_FLOAT64 = np.dtype(np.float64)
# The characters of the dtypes that kernels can read; comparisons of dtypes and of their names take longer.
_FLOAT_CHARACTERS, _READABLE_CHARACTERS = "fd", "fd?bhilqBHILQ"


def is_readable(array):
    """Whether kernels can read this array: a native array of numbers."""
    return isinstance(array, np.ndarray) and array.dtype.char in _READABLE_CHARACTERS and array.dtype.isnative


def is_large(array, dtype):
    """Whether a conversion of an array to a dtype would need too much memory."""
    return array.size * np.dtype(dtype).itemsize > MAX_COPY_BYTES


def is_small(n_elements):
    """Whether so many numbers of any dtype need so little memory that arrays of them are converted at once."""
    return 8 * n_elements <= MAX_COPY_BYTES


def float_dtype(array):
    """The dtype of an array of floats, and float64 for all other arrays, as in scikit-learn's validation."""
    return array.dtype if array.dtype.char in _FLOAT_CHARACTERS else _FLOAT64


def row_slices(n_rows, n_columns, n_elements=_BLOCK_ELEMENTS):
    """Yield slices of successive blocks of rows with about n_elements elements each."""
    n_block = max(1, n_elements // max(1, n_columns))
    for start in range(0, n_rows, n_block):
        yield slice(start, min(start + n_block, n_rows))


@dataclass(frozen=True)
class StreamedRows:
    """The rows of ``array`` (n_rows, n_columns), scaled by an ``AffineScaling`` unless it is None, and converted to ``dtype``.

    An array of integers is converted to float64 first, as in scikit-learn.
    """

    array: np.ndarray
    dtype: np.dtype
    scaling: Any = None

    @property
    def shape(self):
        return self.array.shape

    @property
    def ndim(self):
        return 2

    @property
    def size(self):
        return self.array.size

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        values = np.asarray(self.array[rows])
        values = values.astype(float_dtype(values), copy=False)
        values = values if self.scaling is None else self.scaling(values)
        with np.errstate(over="ignore"):
            return values.astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def blocks(self):
        """Yield blocks of converted rows."""
        for rows in row_slices(*self.shape):
            yield self[rows]

    def converted_to(self, dtype):
        """The same rows in another dtype."""
        return self if dtype == self.dtype else StreamedRows(self.array, np.dtype(dtype), self.scaling)


def largest_of_rows(values):
    """The largest absolute value of an array or of ``StreamedRows``."""
    n_rows = len(values)
    return float(np.max([np.abs(values[rows]).max() for rows in row_slices(n_rows, values.size // n_rows)]))
