"""The error message of a fit that diverged.

The network and the rows of the batch whose loss was NaN go in; an error comes out that names the first layer whose weighted sums
are not finite. This module is used only after a fit has diverged; it does not know how training runs.
"""

import numpy as np

from .._network.architecture import Architecture, Plan
from .._network.layout import Layout, padded_copy
from .._network.prediction import outputs


def divergence_error(divergence, learning_rate_init):
    """The error for a ``Divergence``."""
    kept_epoch, failure = divergence.kept_epoch, _first_failure(divergence.problem, divergence.params, divergence.batch)
    return ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed. "
        f"In epoch {divergence.epoch}, {failure}. Try a smaller learning_rate_init (now "
        f"{learning_rate_init:g}), a clip_norm, or scale='standard'."
        + (f" The model keeps the weights of epoch {kept_epoch}, which had a lower loss." if kept_epoch else "")
    )


def _first_failure(problem, params, batch):
    layer = first_layer(problem.plan, params, problem.rows, batch)
    n_layers = len(problem.plan.layout.sizes) - 1
    if layer is None:
        return (
            f"the loss was not finite, although the weighted sums of all {n_layers} layers were; y may have values outside the "
            "domain of the loss, such as negative values for 'poisson'"
        )
    name = "the output layer" if layer == n_layers else f"hidden layer {layer}"
    return f"the weighted sums of layer {layer} of {n_layers} ({name}) were the first that were not finite"


def first_layer(plan, params, rows, order):
    """The first layer, counted from 1, whose weighted sums A·W + b are not finite for the rows ``order``, or None.

    Batch normalization is not applied, because its statistics may be unusable. It cannot make finite sums infinite.
    """
    layout, architecture = plan.layout, plan.architecture.for_prediction()
    n_norms = layout.n_norms if architecture.norm is not None else 0
    coefs, intercepts = layout.views(params)
    for n in range(1, len(layout.sizes)):
        # a network of the layers up to this one, whose outputs are the weighted sums
        norms = [vector for vectors in layout.norms(params)[:n_norms] for vector in vectors[: n - 1]]
        part = np.concatenate([array.ravel() for array in (*coefs[:n], *intercepts[:n], *norms)])
        part = padded_copy(part, part.dtype)
        up_to = Plan(
            Layout(layout.sizes[: n + 1], n_norms), Architecture(architecture.activations[: n - 1], norm=architecture.norm)
        )
        if not np.isfinite(outputs(up_to, part, rows, len(order), order)).all():
            return n
    return None
