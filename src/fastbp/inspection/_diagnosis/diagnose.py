"""The function ``diagnose``: statistics of the layers of a fitted network, and advice.

A fitted estimator, X, y and sample weights go in; a ``Diagnosis`` comes out. The numbers are those of the kernels that train. This
module does not know the rules by which advice is given.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from ..._inspected_fit import inspected_fit
from ..._training.sgd import next_step
from .._evaluation import Evaluation
from .layers import layer_diagnoses, pass_over_rows
from .measurements import measure
from .records import Diagnosis, LayerDiagnosis
from .rules import advice_for

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
    given = inspected_fit(est, X, y, sample_weight)
    fit = given.drawn(MAX_ROWS)
    val_fit = None if X_val is None else inspected_fit(est, X_val, y_val, None, weighted=False).drawn(MAX_ROWS)
    statistics = Statistics.of(fit)
    measurements = measure(est, statistics, len(given.y), val_fit)
    return Diagnosis(statistics.loss, len(fit.y), statistics.layers, advice_for(measurements))


class Statistics(NamedTuple):
    """The results of one pass over the rows of an ``InspectedFit``: the objective, the layers and the next step."""

    evaluation: Any
    values: Any
    step: np.ndarray
    loss: float
    layers: tuple[LayerDiagnosis, ...]

    @classmethod
    def of(cls, fit):
        """Compute the statistics."""
        evaluation = Evaluation(fit)
        values = pass_over_rows(evaluation)
        gradient = values.gradient + evaluation.penalty_gradient(evaluation.params)
        if fit.config.solver == "lbfgs":  # it keeps no state, so that its next step is not known
            step = np.full_like(gradient, np.nan)
        else:
            step, _ = next_step(fit, gradient)
        loss = values.loss + evaluation.penalty(evaluation.params)
        return cls(evaluation, values, step, loss, layer_diagnoses(evaluation, values.sums, gradient, step))
