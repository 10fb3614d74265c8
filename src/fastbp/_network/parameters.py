"""The published parameters of a network: ``coefs_``, ``intercepts_`` and the parameters of layer normalization.

Lists of arrays, which the user may have replaced, go in; one flat buffer comes out. This module does not know whether the network
is trained or used for prediction.
"""

from itertools import pairwise
from math import isfinite, sqrt

import numpy as np

from .._data.inputs import FLOATS, sum_of_squares_if_small
from .._kernels.codes import LinkCode
from .layout import Layout, padded_copy


def layer_sizes(coefs, n_inputs):
    """Return the number of units of each layer, starting with the inputs."""
    return (n_inputs, *(np.shape(W)[1] for W in coefs))


def published_layout(coefs, n_inputs, norm):
    """Return the layout of the published parameters of a network with these weights."""
    return Layout(layer_sizes(coefs, n_inputs), 2 if norm == "layer_norm" else 0)


def broadcast_intercepts(coefs, intercepts):
    """Return the intercepts as arrays (n_out,), if their shapes are (), (1,) or (1, n_out), which scikit-learn also accepts."""
    if len(coefs) != len(intercepts):
        return intercepts
    return [_broadcast(b, np.shape(W)[-1:]) for W, b in zip(coefs, intercepts, strict=True)]


def _broadcast(b, shape):
    return np.broadcast_to(np.ravel(b), shape) if np.shape(b) in ((), (1,), (1, *shape)) else b


def gathered(lists):
    """Return a flat, padded copy of lists, a dict by attribute name, in the smallest dtype for the weights: float32 or float64."""
    flat = np.concatenate([np.ravel(array) for arrays in lists.values() for array in arrays])
    if flat.dtype.kind not in "fiub":
        raise ValueError(f"coefs_ and intercepts_ must hold real numbers, got {flat.dtype}.")
    dtype = np.result_type(np.float32, *(np.asarray(W).dtype for W in lists["coefs_"]))
    return padded_copy(flat, dtype if dtype in FLOATS else np.float64)


def check_shapes(lists, n_inputs, n_outputs, norm):
    """Raise a ValueError if lists, a dict by attribute name, does not form a network from n_inputs to n_outputs."""
    weights, biases = ([np.shape(array) for array in lists[name]] for name in ("coefs_", "intercepts_"))
    for name in ("norm_scales_", "norm_shifts_"):
        shapes = [np.shape(vector) for vector in lists.get(name, [])]
        expected = biases[:-1] if norm == "layer_norm" else []
        if shapes != expected:
            raise ValueError(f"{name} must hold one vector for each hidden layer, of shapes {expected}; got {shapes}.")
    sizes = [n_inputs, *(shape[-1] if shape else 0 for shape in weights)]
    if not weights or weights != list(pairwise(sizes)) or biases != [(n,) for n in sizes[1:]] or sizes[-1] != n_outputs:
        raise ValueError(
            f"coefs_ and intercepts_ must form a network from {n_inputs} inputs to {n_outputs} outputs, with W of shape "
            f"(n_in, n_out) and b of shape (n_out,) for each layer; got shapes {weights} and {biases}."
        )


def check_link(name):
    """Raise a ValueError if the user has set ``out_activation_`` to a name that no output layer has."""
    if name not in LinkCode.__members__:
        raise ValueError(f"out_activation_ must be one of {list(LinkCode.__members__)[:6]}, got {name!r}. Set one of these names.")


def bound_of_absolute(values):
    """An upper bound, up to rounding, of the absolute values of a flat array that is not empty.

    This is the Euclidean norm or, if the array is large or the norm overflows, the largest absolute value. It is not finite if an
    element is not finite.
    """
    squares = sum_of_squares_if_small(values)
    return sqrt(squares) if isfinite(squares) else largest_absolute(values)


def largest_absolute(values):
    """The largest absolute value of a flat array that is not empty, or NaN if it contains NaN."""
    return max(-float(np.minimum.reduce(values)), float(np.maximum.reduce(values)))
