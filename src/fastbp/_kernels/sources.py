"""Rows that are converted when they are read.

`Rows.sources` describes arrays in the memory of the user: X, the targets and the sample weights. Their dtypes and strides can be
others than those that kernels require. A function of `lazy.sources`, which is called by its address, converts and scales the
elements of some rows. Therefore such arrays need not be copied. This module does not know how a network is computed.
"""

from .function_pointers import call
from .integers import minimum
from .jit import kernel
from .tables import N_SOURCES
from .views import matrix, stack_array, vector

# The indices of `Rows.sources`.
SOURCE_OF_X, SOURCE_OF_TARGETS, SOURCE_OF_WEIGHTS = range(N_SOURCES)
_N_POSITIONS = 64  # so many rows are read in one call


@kernel()
def has_source(rows, index):
    """Return whether an array is read from a source."""
    return rows.sources.size > 0 and rows.sources[index].read_address != 0


@kernel(optimize=False)
def read_source(rows, index, order, start, out):
    """Write rows order[start:start + n] of a source, or rows start to start + n if the order is empty, to out (n, ≥ n_columns)."""
    positions, (n_rows, n_columns) = stack_array(_N_POSITIONS), out.shape
    for first in range(0, n_rows, _N_POSITIONS):
        n = minimum(_N_POSITIONS, n_rows - first)
        for i in range(n):
            positions[i] = order[start + first + i] if order.size else start + first + i
        part = matrix(out, first * n_columns, n, n_columns)
        call(rows.sources[index].read_address, rows.sources, index, rows.numbers, vector(positions, 0, n), part)


@kernel()
def gather_targets(rows, y, weight, order, start, y_out, weight_out):
    """Copy rows order[start:start + n] of y to y_out (n, ≥ n_columns), and of weight to weight_out (n,) or (0,).

    If the order is empty, these are the rows start, start + 1, … Of arrays that are read from sources, y and weight have only
    the number of columns, and a size that is not 0.
    """
    if not has_source(rows, SOURCE_OF_TARGETS):
        _gather_columns(y, order, start, y_out)
    else:
        read_source(rows, SOURCE_OF_TARGETS, order, start, y_out)
    if weight.size and not has_source(rows, SOURCE_OF_WEIGHTS):
        _gather_elements(weight, order, start, weight_out)
    elif weight.size:
        read_source(rows, SOURCE_OF_WEIGHTS, order, start, matrix(weight_out, 0, weight_out.size, 1))


@kernel()
def _gather_columns(y, order, start, y_out):
    n_rows = y_out.shape[0]
    if order.size:
        rows = vector(order, start, n_rows)
        for j in range(y.shape[1]):
            for i in range(n_rows):
                y_out[i, j] = y[rows[i], j]
    else:
        for j in range(y.shape[1]):
            for i in range(n_rows):
                y_out[i, j] = y[start + i, j]


@kernel()
def _gather_elements(weight, order, start, weight_out):
    for i in range(weight_out.size):
        weight_out[i] = weight[order[start + i] if order.size else start + i]
