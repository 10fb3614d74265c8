"""The numbers of rows, in the smallest type that has them. This module does not know what the rows contain."""

import numpy as np


def row_numbers(n_rows):
    """The numbers of all rows in their order; int64 would take twice the memory, and is used only where it is needed."""
    return np.arange(n_rows, dtype=row_dtype(n_rows))


def row_dtype(n_rows):
    """The dtype of the row numbers of n_rows rows."""
    return np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64
