"""Conversion of numbers and arrays to the arrays of a graph, and the sum over broadcast axes.

Numbers and arrays that the user passes go in; read-only arrays of float32 or float64 come out. This module does not know about
graphs.
"""

import numpy as np


def float_array(value, name, like=None):
    """Return a read-only copy of a number or an array in float32 or float64.

    Python numbers get the dtype of the array ``like``, as in NumPy, or float64. ``name`` is the parameter in error messages.
    """
    if type(value) in (bool, int, float):
        array = np.array(value, np.float64 if like is None else like.dtype)
    else:
        array = _real_array(value, name)
    array.setflags(write=False)
    return array


def _real_array(value, name):
    try:
        array = np.array(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a number or an array whose rows have equal lengths; got {value!r}. ({error})") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be a number or an array of real numbers; got {value!r}, of dtype {array.dtype}. Convert it to float64 "
            "first."
        )
    return array.astype(np.float32 if array.dtype.kind == "f" and array.itemsize == 4 else np.float64, copy=False)


def as_shown(array):
    """Return the value that users see: a Python float for a float64 scalar, otherwise a NumPy scalar or the array."""
    if array is None or array.ndim:
        return array
    return array.item() if array.dtype == np.float64 else array[()]


def seed_for(seed, variable, name, role):
    """Return the gradient or direction with which a pass starts: 1 for a scalar, otherwise an array that the user must pass."""
    if seed is None:
        if variable.shape:
            raise ValueError(
                f"{name} must be an array of shape {variable.shape}, because {role} is not a scalar; got None. Pass {name}, for "
                "example np.ones of this shape, or use graph.sum to get a scalar."
            )
        seed = 1
    array = float_array(seed, name, variable)
    if array.shape != variable.shape:
        raise ValueError(
            f"{name} must have the shape of {role}, {variable.shape}; got an array of shape {array.shape}. Use np.broadcast_to or "
            "reshape."
        )
    return array.astype(variable.dtype, copy=False)


def sum_to(gradient, shape):
    """Return the sum of an array over the axes along which an array of this shape was broadcast."""
    if gradient.shape == shape:
        return gradient
    n_new = gradient.ndim - len(shape)
    stretched = [n_new + axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[n_new + axis] != 1]
    return gradient.sum(axis=(*range(n_new), *stretched), keepdims=True).reshape(shape)
