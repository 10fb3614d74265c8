"""Why a fit diverged.

A network whose batch had a loss that is no number enters, with the rows of that batch; a sentence leaves that names the first layer
whose weighted sums are not finite. Nothing here runs in a fit that goes well.
"""

import numpy as np

from .._network.architecture import Architecture, Plan
from .._network.layout import Layout
from .._network.prediction import outputs


def diverged(estimator, problem, order, epoch, kept_epoch):
    """The error for a fit that diverged in an epoch at rows `order`; kept_epoch is that whose weights are kept, or 0."""
    rate = f"learning_rate_init (now {estimator.learning_rate_init:g})"
    return ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed. "
        f"In epoch {epoch}, {_where(estimator, problem, order)}. Try a smaller {rate}, a clip_norm, or scale='standard'."
        + (f" The model keeps the weights after epoch {kept_epoch}, of a lower loss." if kept_epoch else "")
    )


def _where(estimator, problem, order):
    layer = first_layer(problem.plan, problem.params, problem.rows, order)
    n_layers = len(problem.plan.layout.sizes) - 1
    if layer is None:
        return f"the loss was the first that was not finite, of finite sums in all {n_layers} layers"
    whose = "the outputs" if layer == n_layers else f"hidden layer {layer}"
    return f"the weighted sums of layer {layer} of {n_layers} ({whose}) were the first that were not finite"


def first_layer(plan, params, rows, order):
    """The first layer, counted from 1, whose weighted sums A·W + b are not finite for the rows `order`; None if all are.

    Norms over batches, whose statistics may be past use, are left out; they make nothing infinite of what is finite.
    """
    layout, architecture = plan.layout, plan.architecture.for_prediction()
    n_norms = layout.n_norms if architecture.norm is not None else 0
    coefs, intercepts = layout.views(params)
    for n in range(1, len(layout.sizes)):
        # the layers up to this one, as a network with nothing after its sums
        norms = [vector for vectors in layout.norms(params)[:n_norms] for vector in vectors[: n - 1]]
        part = np.concatenate([array.ravel() for array in (*coefs[:n], *intercepts[:n], *norms)])
        up_to = Plan(
            Layout(layout.sizes[: n + 1], n_norms), Architecture(architecture.activations[: n - 1], norm=architecture.norm)
        )
        if not np.isfinite(outputs(up_to, part, rows, len(order), order)).all():
            return n
    return None
