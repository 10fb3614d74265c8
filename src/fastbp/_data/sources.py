"""The records from which kernels read rows of large arrays.

``StreamedRows`` of X, the targets and the weights go in; records of ``SOURCE`` and the numbers for scaling come out. The function
that reads an array is compiled when an array of this dtype is used for the first time. This module does not know about networks.
"""

import numpy as np

from .._kernels.lazy.addresses import lazy_address
from .._kernels.tables import N_SOURCES, SOURCE


class _SourceMemory(bytearray):
    """The memory of the records, which keeps the arrays alive: the records contain only their addresses."""

    arrays: tuple = ()


def source_records(sources, dtype):
    """The records (3,) and numbers of ``Rows`` for kernels of a dtype.

    ``sources`` are those of X, the targets and the weights: ``StreamedRows``, or None for an array that is passed itself.
    """
    memory = _SourceMemory(N_SOURCES * SOURCE.itemsize)
    memory.arrays = tuple(sources)
    records, numbers = np.ndarray(N_SOURCES, SOURCE, memory), [np.empty(0)]
    for record, streamed in zip(records, sources, strict=True):
        if streamed is not None:
            _write_source(record, streamed, dtype, numbers)
    return records, np.concatenate(numbers)


def _write_source(record, streamed, dtype, numbers):
    """Write the record of a source, and append its centers and scales to the list ``numbers``."""
    array, scaling = streamed.array, streamed.scaling
    name = array.dtype.name if array.dtype != bool else "uint8"
    record["read_address"] = lazy_address("source", name, np.dtype(dtype))
    record["first_address"] = array.__array_interface__["data"][0]
    record["row_stride"], record["column_stride"] = array.strides
    record["n_columns"], record["center_at"], record["rounds"] = array.shape[1], -1, array.dtype == np.float32
    if scaling is not None:
        record["center_at"] = sum(map(len, numbers))
        numbers += [np.asarray(scaling.center, np.float64), np.asarray(scaling.scale, np.float64)]
