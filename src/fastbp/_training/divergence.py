"""The error and the warnings of a fit that diverged, and the rules by which divergence is detected.

The network, its training rows and the losses of the epochs go in; an error or a warning comes out. An error names the
first layer whose weighted sums are not finite. This module does not know how training runs.
"""

from functools import lru_cache
from math import exp, isfinite, isnan, log

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._data.inputs import as_rows
from .._data.row_numbers import row_numbers
from .._data.streamed import largest_of_rows
from .._kernels.user_warnings import warn_user
from .._network.architecture import Architecture, Plan
from .._network.layout import Layout, padded_copy
from .._network.parameters import largest_absolute
from .._network.prediction import outputs
from .advice import advice

# A fit has diverged if its last loss is more than _GROWTH times its first loss, 1, and the largest squared target. The losses of a
# useful fit are far below this limit, even if it starts from perfect weights: a model that predicts 0 has a loss of about 1 in
# classification, and of at most the largest squared target in regression.
_GROWTH = 1e6
# The first loss does not count if it is more than _HUGE times the loss of a model that predicts 0: then the first epoch diverged.
_HUGE = 1e30
# Predictions are tested if a weight is at least as large as `_largest_safe_weight`. With the exponential and other functions whose
# values can be much larger than their arguments, there is no such bound: predictions are tested for weights of this size, and in a
# fit, the predictions of up to _N_TESTED rows are tested in any case.
_LARGE_WEIGHT, _N_TESTED = 10.0, 1000
_TESTED_AT_ONCE = 1 << 16


def divergence_error(divergence, n_earlier=0):
    """The error for a ``Divergence`` after ``n_earlier`` epochs of earlier calls of ``partial_fit``."""
    kept_epoch, failure = divergence.kept_epoch, _first_failure(divergence.problem, divergence.params, divergence.batch)
    return ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed. "
        f"In epoch {n_earlier + divergence.epoch}, {failure}. {advice(divergence.config, divergence.problem.plan)}"
        + (f" The model keeps the weights of epoch {kept_epoch}, which had a lower loss." if kept_epoch else "")
    )


# ====================================================================== divergence without an error


def warn_of_divergence(state, result, earlier=()):
    """Issue a warning if training diverged without an error; the weights and losses are those of scikit-learn.

    ``earlier`` are the losses of the epochs of earlier calls of ``partial_fit``.
    """
    end = result.end
    if end is None or not end.losses:
        return
    is_lbfgs = end.config.solver == "lbfgs"
    # L-BFGS never accepts a higher loss, except for NaN
    has_diverged = not isfinite(end.losses[-1]) if is_lbfgs else has_grown(end, state.params.dtype, earlier)
    n_overflows, n_tested = _count_overflows(end, state)
    if not has_diverged and not n_overflows:
        return
    if is_lbfgs:
        text = f"lbfgs: Training diverged; the loss was {end.losses[0]:.3g} at the start and {end.losses[-1]:.3g} at the end"
    else:
        text = f"Stochastic Optimizer: Training diverged; {describe_losses([*earlier, *end.losses])}"
    text += f". {advice(end.config, end.plan)}"
    if n_overflows:
        text += f" The predictions for {n_overflows} of {n_tested} training rows are NaN or infinite."
    elif end.config.early_stopping and not is_lbfgs:
        text += " The model has the weights with the best validation score."
    warn_user(text, ConvergenceWarning)


def has_grown(end, dtype, earlier=()):
    """Whether the last loss of a fit is NaN or so much larger than the first loss and the targets that the fit has diverged.

    ``earlier`` are the losses of earlier calls of ``partial_fit``.
    """
    first, last = earlier[0] if earlier else end.losses[0], end.losses[-1]
    if last <= _GROWTH * max(1.0, first) and first < _HUGE:
        return False
    largest = largest_of_rows(end.y)
    of_zeros = max(1.0, largest * largest)
    limit = _GROWTH * max(of_zeros, first if first <= _HUGE * of_zeros else 0.0)
    return isnan(last) or (limit < float(np.finfo(dtype).max) and last > limit)


def describe_losses(losses):
    """The part of a warning that says how the losses of the epochs developed."""
    n_finite = next((n for n, loss in enumerate(losses) if isnan(loss)), len(losses))
    known = f"the loss was {losses[0]:.3g} in epoch 1" if n_finite else ""
    known += f"{' and' if n_finite == len(losses) else ','} {losses[n_finite - 1]:.3g} in epoch {n_finite}" * (n_finite > 1)
    if n_finite == len(losses):
        return known
    return f"{known}{' and' if n_finite else 'the loss was'} NaN from epoch {n_finite + 1} on"


def _count_overflows(end, state):
    """The number of training rows whose predictions are NaN or infinite, and the number of rows that were tested.

    Rows are tested only if the published weights are large or, except for ``partial_fit``, if a function of the network can have
    much larger values than its arguments.
    """
    params, plan, order = state.published.params, end.plan, end.order
    can_explode = plan.architecture.link == "exp" or not all(isinstance(name, str) for name in plan.architecture.activations)
    limit = _LARGE_WEIGHT if can_explode else _largest_safe_weight(plan.layout.sizes, params.dtype.type)
    is_bounded = params is state.params and end.largest_weight < limit
    is_large = not is_bounded and not largest_absolute(params) < limit
    if not is_large and (end.incremental or not can_explode):
        return 0, 0
    n_rows = order.size or len(end.y)
    if not is_large and n_rows > _N_TESTED:
        order = (order if order.size else row_numbers(n_rows))[:_N_TESTED]
        n_rows = _N_TESTED
    if not np.isfinite(params).all():
        return n_rows, n_rows
    plan = Plan(state.published_layout, plan.architecture.for_prediction(), plan.objective)
    predicting, n_finite = state.predicting_params(), 0
    rows = as_rows(end.X, predicting.dtype)  # after L-BFGS, weights are float64
    order = order if order.size else row_numbers(n_rows)
    for start in range(0, n_rows, _TESTED_AT_ONCE):
        part = order[start : start + _TESTED_AT_ONCE]
        n_finite += np.isfinite(outputs(plan, predicting, rows, len(part), part)).all(axis=1).sum()
    return int(n_rows - n_finite), n_rows


@lru_cache(maxsize=64)
def _largest_safe_weight(sizes, dtype):
    """The weight below which activations cannot overflow, if no input exceeds the largest number to the power of 1/4.

    With weights of at most w, a layer multiplies the largest activation by at most (n_in + 1) w. This includes the bias.
    """
    growth = 0.75 * log(float(np.finfo(dtype).max)) - sum(log(n_in + 1) for n_in in sizes[:-1])
    return exp(min(growth / (len(sizes) - 1), 700.0))


# ====================================================================== the layer that failed


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
