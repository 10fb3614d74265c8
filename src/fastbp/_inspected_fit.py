"""The network of a fitted estimator and the rows on which its objective is computed.

A fitted estimator, X, y and sample weights go in; an ``InspectedFit`` comes out. It has the parameters that training changes, and
the rows as training uses them: encoded, scaled, and without missing values. ``fastbp.graph`` and ``fastbp.inspection`` use this
module; fitting and predicting do not. It does not know how a network is computed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._config import FitConfig
from ._data.inputs import as_matrix
from ._data.sample_weights import relative_weights
from ._data.streamed import StreamedRows
from ._network.architecture import Plan
from ._training.context import InspectedFit
from ._wrong_estimator import wrong_estimator_error


class InspectableFit:
    """The method of the estimators that returns an ``InspectedFit``."""

    # defined by the other base classes of the estimators
    _snapshot: Callable[[], Any]
    _complete: Callable[[], None]
    _validate_input: Callable[..., Any]
    _row_weights: Callable[..., Any]
    _continued: Callable[..., Any]
    _prediction_architecture: Callable[..., Any]
    _objective: Callable[[], Any]
    warm_start: bool | str
    _state: Any

    def _inspected(self, X, y, sample_weight, weighted):
        """The ``InspectedFit`` for the rows that the user passed."""
        return self._snapshot()._inspected_snapshot(X, y, sample_weight, weighted)

    def _inspected_snapshot(self, X, y, sample_weight, weighted):
        """The same, called on a snapshot only."""
        check_is_fitted(self)
        self._complete()
        self.warm_start = False  # otherwise, the rows would have to contain all classes
        config = FitConfig.of(self)
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        if weighted:
            sample_weight = relative_weights(self._row_weights(X, y, sample_weight, False), config.sample_weight_norm)
        state, X, y = self._continued(config, X, y, np.random.RandomState(0))
        plan = self._inspected_plan(state)
        state.activations = plan.architecture.activations
        return InspectedFit(state, config, plan, _in_memory(X), _in_memory(y), sample_weight)

    def _inspected_plan(self, state):
        """The plan of the network that is trained, without dropout and noise."""
        architecture = self._prediction_architecture(len(state.layout.sizes) - 2, state)
        architecture = replace(architecture, norm=state.norm, product_dtype=FitConfig.of(self).product_dtype)
        return Plan(state.layout, architecture, self._objective())

    def _inspected_run(self, paused, max_rows):
        """The ``InspectedFit`` of a running fit, called on the snapshot that it trains."""
        state, problem = self._state, paused.problem
        optimizer = state.optimizer
        if optimizer is not None and callable(optimizer.hyperparams["learning_rate"]):
            # only the fit itself may call the schedule, which may count its calls; the factor of the last epoch is kept
            state = replace(state, optimizer=replace(optimizer, hyperparams=optimizer.hyperparams | {"learning_rate": "constant"}))
        if problem.rows.sources.size:
            X, y, weight = problem.data
        else:
            X, y = as_matrix(problem.rows, state.layout.sizes[0]), problem.y
            weight = problem.weight if problem.weight.size else None
        fit = InspectedFit(state, FitConfig.of(self), self._inspected_plan(state), X, y, weight)
        # sorted, so that the same rows are drawn after each epoch
        drawn = fit.drawn(max_rows, None if paused.run is None else np.sort(paused.run.rows.order))
        return drawn._replace(X=_in_memory(drawn.X), y=_in_memory(drawn.y))


def _in_memory(rows):
    """An array of all rows; for inspection, rows of a large array are converted at once."""
    return np.asarray(rows) if isinstance(rows, StreamedRows) else rows


def inspected_fit(estimator, X, y, sample_weight, *, weighted=True):
    """Return the ``InspectedFit`` of a fitted estimator for the rows that the user passed.

    If ``weighted`` is False, sample_weight must be None, and all rows have the same weight, regardless of `class_weight`.
    """
    if not isinstance(estimator, InspectableFit):
        raise wrong_estimator_error(estimator)
    return estimator._inspected(X, y, sample_weight, weighted)


def epoch_number(estimator, epoch):
    """Return the number of an epoch, counted over warm starts and calls of ``partial_fit`` as in ``loss_curve_``.

    ``epoch`` is the number that a callback receives, which is that of the iteration for L-BFGS.
    """
    return epoch if estimator.solver == "lbfgs" else len(estimator.loss_curve_)


def running_fit(paused, max_rows):
    """Return the ``InspectedFit`` of a ``PausedFit``, with at most max_rows of its training rows.

    It shares no array that a step changes with the running fit.
    """
    return paused.fitting._inspected_run(paused, max_rows)
