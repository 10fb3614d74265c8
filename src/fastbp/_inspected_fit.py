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
from ._data.sample_weights import relative_weights
from ._network.architecture import Plan
from ._training.context import InspectedFit


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
    _flat_params: Callable[[], Any]
    _state: Any
    warm_start: bool | str

    def _inspected(self, X, y, sample_weight):
        """The ``InspectedFit`` for the rows that the user passed."""
        return self._snapshot()._inspected_snapshot(X, y, sample_weight)

    def _inspected_snapshot(self, X, y, sample_weight):
        """The same, called on a snapshot only."""
        check_is_fitted(self)
        self._complete()
        self.warm_start = False  # otherwise, the rows would have to contain all classes
        config = FitConfig.of(self)
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        sample_weight = relative_weights(self._row_weights(X, y, sample_weight, False), config.sample_weight_norm)
        state, X, y = self._continued(config, X, y, np.random.RandomState(0))
        architecture = replace(self._prediction_architecture(len(state.layout.sizes) - 2, state), norm=state.norm)
        state.activations = architecture.activations
        return InspectedFit(state, config, Plan(state.layout, architecture, self._objective()), X, y, sample_weight)

    def _trained_params(self):
        """A copy of the flat parameters that training changes, in scikit-learn's order."""
        snapshot = self._snapshot()
        check_is_fitted(snapshot)
        snapshot._complete()
        state = snapshot._state
        is_folded = state is not None and state.is_folded
        return np.array(state.params if is_folded else snapshot._flat_params()[0])


def inspected_fit(estimator, X, y, sample_weight):
    """Return the ``InspectedFit`` of a fitted estimator for the rows that the user passed."""
    if not isinstance(estimator, InspectableFit):
        raise TypeError(
            f"est must be a fitted MLPClassifier or MLPRegressor of fastbp, got {type(estimator).__name__}. Of a pipeline, pass "
            "the last step and the X that the other steps return: pipeline[-1] and pipeline[:-1].transform(X)."
        )
    return estimator._inspected(X, y, sample_weight)


def trained_params(estimator):
    """Return a copy of the flat parameters (n_params,) that training changes; callbacks may call this during a fit."""
    return estimator._trained_params()
