"""The inputs of a network as kernels take them.

A validated X enters, dense or sparse; `Rows` leave: C-contiguous, aligned, native-endian and read-only, whatever came, so that
ordinary arrays, memory maps and joblib's shared arrays meet one compiled version. Nothing is copied that need not be, and a sparse
matrix is never unfolded.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse, sparray, spmatrix

from .._kernels.products import Rows

Matrix = ArrayLike | sparray | spmatrix  # what a user may give as X
IN_ORDER = np.empty(0, np.int64)  # the order of rows that says: as they come
FLOATS = (np.float64, np.float32)
# The size up to which scikit-learn's checks take longer than those here, and longer than many a small network.
_FEW_NUMBERS = 100_000


def is_plain(array, n_dimensions):
    """Whether an array is small, not empty, finite, and of a type that scikit-learn's validation could only pass on as it is."""
    return (
        type(array) is np.ndarray
        and array.dtype.isnative
        and array.ndim == n_dimensions
        and (array.dtype in FLOATS or (n_dimensions == 1 and array.dtype.kind in "iub"))
        and 0 < array.size <= _FEW_NUMBERS
        and (array.dtype.kind != "f" or bool(np.isfinite(array).all()))
    )


def common_float(*arrays):
    """The dtype in which all of them meet: float32 or float64."""
    dtype = np.result_type(*(array.dtype for array in arrays))
    return dtype if dtype in FLOATS else np.dtype(np.float64)


def as_rows(X, dtype):
    """`Rows` over X (n_rows, n_features), an array or a CSR or CSC matrix, in the given dtype."""
    if issparse(X):
        X = X.tocsr()
        # the row pointers are few, so that one width serves all matrices
        return Rows(_ready(np.empty((0, 0)), dtype), _ready(X.data, dtype), _ready(X.indices, np.int32), _ready(X.indptr, np.int64))
    return Rows(_ready(X, dtype), _nothing(dtype), _nothing(np.int32), _nothing(np.int64))


def as_targets(values, dtype):
    """A read-only array of the given dtype for y (n_rows, n_columns) or sample weights (n_rows,); None gives (0,)."""
    return _nothing(dtype) if values is None else _ready(values, dtype)


@cache
def _nothing(dtype):
    return _ready([], dtype)


def _ready(array, dtype):
    array = np.require(np.asarray(array), dtype=dtype, requirements=["C", "ALIGNED"]).view()
    array.flags.writeable = False
    return array
