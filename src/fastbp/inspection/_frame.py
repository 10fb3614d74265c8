"""The numbers of a trace as a data frame.

A ``Trace`` goes in; a pandas DataFrame in long form comes out, with one number in each of its rows. This module does not know how
the numbers were computed.
"""

import numpy as np
from scipy.sparse import issparse

from .._tables import imported_pandas

_OF_ROWS = ("Z", "norm_Z", "slopes", "delta", "norm_delta")  # arrays (n_rows, n_units)
_OF_WEIGHTS = ("coefs", "coef_grads", "coef_penalty_grads", "coef_updates")  # arrays (n_inputs, n_units)
_OF_UNITS = (
    *("intercepts", "intercept_grads", "intercept_updates"),
    *("norm_scales", "norm_scale_grads", "norm_scale_updates"),
    *("norm_shifts", "norm_shift_grads", "norm_shift_updates"),
)
_SCALARS = ("loss", "data_loss", "penalty")


def frame_of(trace):
    """Return the DataFrame; see `Trace.to_frame`."""
    pd = imported_pandas()
    parts = [part for part in _parts(trace) if part["value"].size]
    columns = {name: np.concatenate([_filled(part, name) for part in parts]) for name in ("layer", "row", "input", "unit")}
    frame = pd.DataFrame({name: pd.array(values, "Int64") for name, values in _masked(pd, columns).items()})
    frame.insert(0, "quantity", np.repeat([part["quantity"] for part in parts], [part["value"].size for part in parts]))
    frame["value"] = np.concatenate([part["value"] for part in parts]).astype(np.float64)
    return frame


def _masked(pd, columns):
    """Return the columns with NA instead of -1."""
    return {name: pd.arrays.IntegerArray(np.maximum(values, 0), values < 0) for name, values in columns.items()}


def _filled(part, name):
    """Return a column of a part, -1 if it does not apply to the quantity."""
    return np.broadcast_to(np.asarray(part.get(name, -1), np.int64), part["value"].shape)


def _parts(trace):
    """Yield a dict of columns for each array."""
    for name in _SCALARS:
        yield {"quantity": name, "value": np.array([getattr(trace, name)])}
    for layer, A in enumerate(trace.A):
        yield _part("A", layer, A, "row")
    for first, names in (("row", _OF_ROWS), ("input", _OF_WEIGHTS), (None, _OF_UNITS)):
        for name in names:
            for layer, values in enumerate(getattr(trace, name), start=1):
                yield _part(name, layer, values, first)


def _part(name, layer, values, first):
    """Return the columns for an array whose first index is `first`, unless it is None, and whose last index is the unit."""
    if issparse(values):
        values = values.tocoo()
        return {"quantity": name, "layer": layer, first: values.row, "unit": values.col, "value": values.data}
    indices = np.indices(values.shape).reshape(values.ndim, -1)
    columns = {"quantity": name, "layer": layer, "unit": indices[-1], "value": values.ravel()}
    return columns | ({first: indices[0]} if first else {})
