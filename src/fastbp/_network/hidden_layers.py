"""The activations of a hidden layer as the outputs of a smaller network."""

import numpy as np

from .architecture import Architecture, Plan
from .layout import Layout, padded_copy


def first_layers(plan, params, n_layers, dtype):
    """The plan and the parameters of a network whose outputs are the units of hidden layer ``n_layers``, counted from 1.

    An identity matrix follows that layer, so that the forward pass of predictions serves here, too.
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
