"""The arrays of X, targets and weights that training kernels receive.

Prepared X, y and sample weights go in; ``Rows``, targets and weights come out. Arrays that are large and do not have the dtype of
the network are not converted: kernels read them through the sources of ``Rows``. This module does not know about networks.
"""

import numpy as np
from scipy.sparse import issparse

from .inputs import as_rows, as_targets
from .sources import source_records
from .streamed import StreamedRows, is_large, is_readable, is_small


def training_arrays(dtype, X, y, weight):
    """``Rows`` over X (n_rows, n_features), y (n_rows, n_columns) and sample weights (n_rows,) or None, for kernels of a dtype.

    Of a y that is read from a source, an array (0, n_columns) is returned; of such weights, an array (1,).
    """
    if not isinstance(X, StreamedRows) and not isinstance(y, StreamedRows) and is_small(max(X.size, y.size)):
        return as_rows(X, dtype), as_targets(y, dtype), as_targets(weight, dtype)
    X = _streamed(X, dtype)
    of_y, of_weight = _streamed(y, dtype), None if weight is None else _streamed(weight[:, None], dtype)
    y_is_read, weight_is_read = isinstance(of_y, StreamedRows), isinstance(of_weight, StreamedRows)
    rows = as_rows(X, dtype)
    if y_is_read or weight_is_read:
        streamed = (part if isinstance(part, StreamedRows) else None for part in (X, of_y, of_weight))
        records, numbers = source_records(tuple(streamed), dtype)
        rows = rows._replace(sources=records, numbers=numbers)
    y = as_targets(np.empty((0, y.shape[1])) if y_is_read else y, dtype)
    return rows, y, as_targets(np.ones(1) if weight_is_read else weight, dtype)


def _streamed(array, dtype):
    """``StreamedRows`` in a dtype if an array is large and must be converted, otherwise the array."""
    if isinstance(array, StreamedRows):
        return array.converted_to(dtype)
    if issparse(array) or not is_readable(array):
        return array
    is_converted = array.dtype != dtype or not array.flags.c_contiguous
    return StreamedRows(array, np.dtype(dtype)) if is_converted and is_large(array, dtype) else array
