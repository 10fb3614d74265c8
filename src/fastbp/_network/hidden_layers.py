"""Compute the values of single layers as the outputs of smaller networks.

A plan and its flat parameters go in; the plan and the flat parameters of the smaller network come out. For one layer, its inputs
and weights go in, and its outputs come out. This module does not know how the forward pass is computed.
"""

import numpy as np

from .._data.inputs import as_rows
from .architecture import Architecture, Plan
from .layout import Layout, padded_copy
from .prediction import outputs


def first_layers(plan, params, n_layers, dtype):
    """Return the plan and the parameters of a network whose outputs are the activations of hidden layer ``n_layers`` (from 1).

    The weights of its output layer are an identity matrix, so that the ordinary forward pass can be used.
    """
    layout, architecture = plan.layout, plan.architecture
    coefs, intercepts = layout.views(params)
    sizes = (*layout.sizes[: n_layers + 1], layout.sizes[n_layers])
    arrays = [*coefs[:n_layers], np.eye(sizes[-1]), *intercepts[:n_layers], np.zeros(sizes[-1])]
    for vectors in layout.norms(params):
        arrays += vectors[:n_layers]
    flat = padded_copy(np.concatenate([np.ravel(array) for array in arrays]), dtype)
    activations = architecture.activations[:n_layers]
    return Plan(Layout(sizes, layout.n_norms), Architecture(activations, norm=architecture.norm)), flat


def outputs_of_one_layer(A, W, b, link="identity", numbers=()):
    """Return the link of A·W + b (n_rows, n_out), for inputs A (n_rows, n_in), an array or a sparse matrix, in the dtype of W."""
    params = padded_copy(np.concatenate([W.ravel(), b]), W.dtype)
    plan = Plan(Layout(W.shape), Architecture((), link, numbers=tuple(numbers)))
    return outputs(plan, params, as_rows(A, W.dtype), A.shape[0])
