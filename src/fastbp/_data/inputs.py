"""Conversion of arrays to the form that kernels require.

A validated X, dense or sparse, goes in; ``Rows`` come out: C-contiguous, aligned, native-endian and read-only arrays. Ordinary
arrays, memory maps and joblib's shared arrays therefore use the same compiled version. Arrays are copied only if they do not have
this form already, and sparse matrices are never converted to dense arrays. This module does not know about networks.
"""

from functools import cache
from math import inf, isfinite

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse, sparray, spmatrix

from .._kernels.products import Rows
from .sources import source_records
from .streamed import StreamedRows

Matrix = ArrayLike | sparray | spmatrix  # the types of X that users may pass
IN_ORDER = np.empty(0, np.int32)  # an empty order of rows means the order of the array
FLOATS = (np.float64, np.float32)
# Up to this size, scikit-learn's validation takes longer than `is_plain`, and for many small networks longer than the fit.
_MAX_PLAIN_SIZE = 100_000
# Up to this size, a dot product takes a third of the time of a reduction, and BLAS does not use several threads.
_MAX_DOT_SIZE = 10_000


def is_plain(array, n_dimensions):
    """Whether scikit-learn's validation would return this array unchanged: small, not empty, finite and of a usual dtype."""
    if type(array) is not np.ndarray or array.ndim != n_dimensions or not 0 < array.size <= _MAX_PLAIN_SIZE:
        return False
    dtype = array.dtype
    if dtype.char in "fd":  # comparisons of dtypes take longer
        return dtype.isnative and is_finite(array)
    return n_dimensions == 1 and dtype.kind in "iub" and dtype.isnative


def sum_of_squares_if_small(array):
    """The sum of squares of an array of floats, or infinity if the array is large; not finite if an element is not finite."""
    # unlike `dot`, `vdot` overflows without a warning
    return float(np.vdot(array, array)) if array.size <= _MAX_DOT_SIZE else inf


def is_finite(array):
    """Whether all elements of an array of floats are finite."""
    return isfinite(sum_of_squares_if_small(array)) or bool(np.isfinite(array).all())


def common_float(*arrays):
    """The smaller of float32 and float64 that can represent the values of all arrays."""
    dtype = np.result_type(*(array.dtype for array in arrays))
    return dtype if dtype in FLOATS else np.dtype(np.float64)


def as_rows(X, dtype):
    """``Rows`` over X of shape (n_rows, n_features), an array, ``StreamedRows`` or a CSR or CSC matrix, in the given dtype."""
    if isinstance(X, StreamedRows):
        dense = _kernel_array(np.empty((0, X.shape[1])), dtype)
        records, numbers = source_records((X.converted_to(dtype), None, None), dtype)
        return Rows(dense, _empty(dtype), _empty(np.int32), _empty(np.int64), records, numbers)
    if issparse(X):
        X = X.tocsr()
        # row pointers are few and always int64, so that one compiled version can be used for all matrices
        dense = _kernel_array(np.empty((0, 0)), dtype)
        return Rows(dense, _kernel_array(X.data, dtype), _kernel_array(X.indices, np.int32), _kernel_array(X.indptr, np.int64))
    return Rows(_kernel_array(X, dtype), _empty(dtype), _empty(np.int32), _empty(np.int64))


def as_matrix(rows, n_columns):
    """The array or CSR matrix of ``Rows``, without a copy."""
    if not rows.indptr.size:
        return rows.dense
    return csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.indptr.size - 1, n_columns))


def as_targets(values, dtype):
    """A read-only array of the given dtype for y (n_rows, n_columns) or sample weights (n_rows,); None gives shape (0,)."""
    return _empty(dtype) if values is None else _kernel_array(values, dtype)


@cache
def _empty(dtype):
    return _kernel_array([], dtype)


def _kernel_array(array, dtype):
    array = np.asarray(array)
    if not (array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned):
        array = np.array(array, dtype, order="C")
    view = array.view()
    view.setflags(write=False)
    return view
