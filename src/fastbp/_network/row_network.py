"""A network whose parameters are packed for predictions of single rows.

An `ExportedNetwork` goes in; a compiled function of rows and its constant arguments come out. This module does not know what the
outputs mean.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .._kernels.codes import ActivationCode, LinkCode
from .._kernels.lazy.addresses import lazy_address, lazy_version
from .._kernels.lazy.rows import panel_widths, row_scratch_size
from .._kernels.tables import ROW_LAYER
from .._kernels.targets import VECTOR_BYTES
from .kernel_settings import function_address
from .layout import aligned_zeros

# The largest number of multiply-adds of a call that keeps the GIL, about 20 microseconds. If such a call released the GIL while
# another thread runs Python code, it would have to wait for up to 5 milliseconds until that thread releases the GIL again. In this
# case, 143,000 calls per second with the GIL and 2,900 without it were measured for 20-100-100-4 in float32. With more rows than
# this, the kernel for batches is faster.
SHORT_WORK = 1 << 18


class RowNetwork(NamedTuple):
    """The packed network and its compiled function.

    ``predict(*constants, x, scratch, out)`` writes the outputs of the rows in the flat array x to the flat array out, unless it is
    empty, and returns the label of the last row. ``scratch`` is a result of ``new_scratch()`` that no other thread uses.
    """

    predict: Callable
    constants: tuple
    new_scratch: Callable
    work: int  # the number of multiply-adds for a row

    @classmethod
    def of(cls, network):
        """Pack a network, and compile the functions that it needs."""
        dtype = np.dtype(network.dtype.type)
        lanes = VECTOR_BYTES // dtype.itemsize
        table, params = _packed(network, dtype, lanes)
        _write_functions(table, network, dtype)
        numbers = np.array(network.group_sizes or network.quantiles, np.float64)
        work = sum(W.size for W in network.coefs)
        predict = lazy_version("rows", "short_rows" if work <= SHORT_WORK else "long_rows", dtype)
        new_scratch = partial(aligned_zeros, row_scratch_size(max(network.sizes), lanes), dtype)
        return cls(predict, (table, params, numbers), new_scratch, work)


def _packed(network, dtype, lanes):
    """Return the `ROW_LAYER` records, without functions, and the buffer with all parameters."""
    table, parts = np.zeros(len(network.coefs), ROW_LAYER), []

    def append(values):
        parts.append(np.ravel(values).astype(dtype))
        parts.append(np.zeros(-parts[-1].size % lanes, dtype))  # so that rows of W start at whole vectors
        return sum(part.size for part in parts[:-2])

    for layer, (W, b) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        n_in, n_out = W.shape
        stride = -(-n_out // lanes) * lanes
        rows = np.zeros((n_in + 1, stride), dtype)
        rows[0, :n_out], rows[1:, :n_out] = b, W
        ends = np.cumsum(panel_widths(stride // lanes)) * lanes
        panels = np.concatenate([panel.ravel() for panel in np.split(rows, ends[:-1], axis=1)])
        row = table[layer]
        row["n_in"], row["n_out"], row["stride"], row["weights_at"] = n_in, n_out, stride, append(panels)
        if layer < len(network.norm_scales):
            row["norm_at"] = append([network.norm_scales[layer], network.norm_shifts[layer]])
    table["n_features"], table["fill_at"] = network.n_features, -1
    if network.fill_values is not None:
        table["fill_at"] = append([network.fill_values, np.isin(np.arange(network.n_features), network.indicators)])
    params = aligned_zeros(sum(part.size for part in parts), dtype)
    params[:] = np.concatenate(parts)
    return table, params


def _write_functions(table, network, dtype):
    """Write the codes and the addresses of the norm, the activations and the link."""
    for row, activation in zip(table, network.activations, strict=False):
        if network.norm_scales:
            row["norm_address"] = lazy_address("norm", "layer_norm", dtype)
        if activation in ("identity", "relu"):
            row["activation"] = ActivationCode[activation]
        else:
            row["activation"] = ActivationCode.by_address
            row["activation_address"] = function_address("activation", activation, dtype)
    last, link = table[-1], LinkCode[network.link]
    last["link"] = link
    if not link.is_compiled_in:
        last["link_address"] = lazy_address("link", network.link, dtype)
