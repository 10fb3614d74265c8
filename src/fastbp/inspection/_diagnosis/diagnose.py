"""The function ``diagnose``: statistics of the layers of a fitted network, and advice.

A fitted estimator, X, y and sample weights go in; a ``Diagnosis`` comes out. The numbers are those of the kernels that train. This
module does not know the rules by which advice is given.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from ..._data.inputs import Matrix
from ..._inspected_fit import inspected_fit
from ..._training.sgd import next_step
from .._evaluation import Evaluation
from .layers import layer_diagnoses, pass_over_rows
from .records import Diagnosis

MAX_ROWS = 10_000  # of a diagnosis; the standard error of a share that is measured on so many rows is at most 0.005


def diagnose(
    est: Any,
    X: Matrix,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    X_val: Matrix | None = None,
    y_val: ArrayLike | None = None,
) -> Diagnosis:
    """Measure statistics of the layers of a fitted network, and give advice if it has a problem."""
    fit = drawn_rows(inspected_fit(est, X, y, sample_weight), MAX_ROWS)
    loss, layers = statistics(fit)
    return Diagnosis(loss, len(fit.y), layers)


def statistics(fit):
    """Return the objective on the rows of an ``InspectedFit`` and the tuple of ``LayerDiagnosis``."""
    evaluation = Evaluation(fit)
    values = pass_over_rows(evaluation)
    gradient = values.gradient + evaluation.penalty_gradient(evaluation.params)
    if fit.config.solver == "lbfgs":  # it keeps no state, so that its next step is not known
        step = np.full_like(gradient, np.nan)
    else:
        step, _ = next_step(fit, gradient)
    loss = values.loss + evaluation.penalty(evaluation.params)
    return loss, layer_diagnoses(evaluation, values.sums, gradient, step)


def drawn_rows(fit, max_rows):
    """Return an ``InspectedFit`` with at most max_rows rows, drawn without replacement from those whose weight is not 0.

    The same rows are drawn in each call.
    """
    n_rows = len(fit.y)
    if n_rows <= max_rows:
        return fit
    candidates = np.arange(n_rows) if fit.sample_weight is None else np.flatnonzero(fit.sample_weight)
    size = min(max_rows, candidates.size)
    chosen = np.sort(np.random.RandomState(0).choice(candidates, size, replace=False)) if size else np.arange(max_rows)
    X = fit.X.tocsr() if issparse(fit.X) else fit.X
    weight = None if fit.sample_weight is None else fit.sample_weight[chosen]
    return fit._replace(X=X[chosen], y=fit.y[chosen], sample_weight=weight)
