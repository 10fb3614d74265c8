"""Why a fit diverged.

A network whose batch had a loss that is no number enters, with the rows of that batch; a sentence leaves that names the first layer
whose weighted sums are not finite. Nothing here runs in a fit that goes well.
"""

import numpy as np

from .layout import Layout
from .prediction import outputs


def diverged(estimator, problem, order, epoch, kept_epoch):
    """The error for a fit that diverged in an epoch at rows `order`; kept_epoch is that whose weights are kept, or 0."""
    rate = f"learning_rate_init (now {estimator.learning_rate_init:g})"
    return ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed. "
        f"In epoch {epoch}, {_where(estimator, problem, order)}. Try a smaller {rate}, a clip_norm, or scale='standard'."
        + (f" The model keeps the weights after epoch {kept_epoch}, of a lower loss." if kept_epoch else "")
    )


def _where(estimator, problem, order):
    layer = first_layer(problem.layout, problem.params, estimator._activations(), problem.rows, order)
    n_layers = len(problem.layout.sizes) - 1
    if layer is None:
        return f"the loss was the first that was not finite, of finite sums in all {n_layers} layers"
    whose = "the outputs" if layer == n_layers else f"hidden layer {layer}"
    return f"the weighted sums of layer {layer} of {n_layers} ({whose}) were the first that were not finite"


def first_layer(layout, params, activations, rows, order):
    """The first layer, counted from 1, whose weighted sums A·W + b are not finite for the rows `order`; None if all are."""
    coefs, intercepts = layout.views(params)
    for n in range(1, len(layout.sizes)):
        # the layers up to this one, as a network with nothing after its sums
        part = np.concatenate([array.ravel() for array in (*coefs[:n], *intercepts[:n])])
        sums = outputs(Layout(layout.sizes[: n + 1]), part, (tuple(activations[: n - 1]), "identity"), rows, len(order), order)
        if not np.isfinite(sums).all():
            return n
    return None
