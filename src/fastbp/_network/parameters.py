"""The published parameters of a network: ``coefs_``, ``intercepts_`` and the parameters of layer normalization.

Lists of arrays, which the user may have replaced, go in; one flat buffer comes out. This module does not know whether the network
is trained or used for prediction.
"""

from itertools import pairwise

import numpy as np

from .._data.inputs import FLOATS
from .layout import Layout, padded_copy


def layer_sizes(coefs, n_inputs):
    """Return the number of units of each layer, starting with the inputs."""
    return (n_inputs, *(np.shape(W)[1] for W in coefs))


def published_layout(coefs, n_inputs, norm):
    """Return the layout of the published parameters of a network with these weights."""
    return Layout(layer_sizes(coefs, n_inputs), 2 if norm == "layer_norm" else 0)


def gathered(lists):
    """Return a flat, padded copy of lists of arrays; integers become float64."""
    flat = np.concatenate([np.ravel(array) for arrays in lists for array in arrays])
    if flat.dtype.kind not in "fiub":
        raise ValueError(f"coefs_ and intercepts_ must hold real numbers, got {flat.dtype}.")
    return padded_copy(flat, flat.dtype if flat.dtype in FLOATS else np.float64)


def check_shapes(lists, n_inputs, n_outputs, norm):
    """Raise a ValueError if lists, a dict by attribute name, does not form a network from n_inputs to n_outputs."""
    weights, biases = ([np.shape(array) for array in lists[name]] for name in ("coefs_", "intercepts_"))
    for name in ("norm_scales_", "norm_shifts_"):
        shapes = [np.shape(vector) for vector in lists.get(name, [])]
        expected = biases[:-1] if norm == "layer_norm" else []
        if shapes != expected:
            raise ValueError(f"{name} must hold one vector for each hidden layer, of shapes {expected}; got {shapes}.")
    sizes = [n_inputs, *(shape[-1] if shape else 0 for shape in weights)]
    if weights != list(pairwise(sizes)) or biases != [(n,) for n in sizes[1:]] or sizes[-1] != n_outputs:
        raise ValueError(
            f"coefs_ and intercepts_ must form a network from {n_inputs} inputs to {n_outputs} outputs, with W of shape "
            f"(n_in, n_out) and b of shape (n_out,) for each layer; got shapes {weights} and {biases}."
        )
