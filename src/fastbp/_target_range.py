"""Predictions that are limited to the range of the targets: the parameter `clip_predictions` of the regressor.

Encoded targets of a fit go in; the fitted attribute ``y_range_``, limited outputs, and a function that scores them come out. This
module does not know how a network is trained.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


class LimitedPredictions:
    """The methods of the estimators that limit outputs; without `clip_predictions`, they change nothing."""

    # defined by the other base classes of the estimators
    _outputs: Callable[[Any], np.ndarray]
    _score_outputs: Callable[..., float]
    _running_score: Callable[[Any], Any]
    _state: Any
    y_range_: np.ndarray

    def _learn_range(self, y, sample_weight, continues):
        """Set ``y_range_`` from the targets y (n_rows, n_outputs) whose weight is not 0. Called on a snapshot only.

        If training ``continues``, the range includes that of the earlier targets.
        """
        before = vars(self).pop("y_range_", None)
        if not vars(self).get("clip_predictions"):  # classifiers do not have this parameter
            return
        if continues and before is None and self._state is not None:
            raise ValueError(
                "clip_predictions must not change from False to True while training continues, because the range of the earlier "
                "targets is not known; got clip_predictions=True. Set it to False, or call fit with warm_start=False."
            )
        y = y if sample_weight is None or not sample_weight.any() else y[sample_weight != 0]
        rows = y if not continues or before is None else np.vstack([before, y])
        self.y_range_ = np.stack([rows.min(axis=0), rows.max(axis=0)])

    def _clipped_outputs(self, X):
        """The network outputs (n_rows, n_outputs) for the X that the user passed, limited to ``y_range_``."""
        outputs, limits = self._outputs(X), vars(self).get("y_range_")
        return outputs if limits is None else outputs.clip(*limits.astype(outputs.dtype), out=outputs)

    def _output_score(self, state):
        """The function that scores the outputs for validation rows, whose targets are scaled as in training."""
        limits = self._scaled_range(state)
        if limits is None:
            return self._score_outputs
        return lambda y, outputs, sample_weight: self._score_outputs(y, outputs.clip(*limits), sample_weight)

    def _running_output_score(self, state):
        """The function that creates a score of many validation rows, as ``_running_score``."""
        limits = self._scaled_range(state)
        if limits is None:
            return self._running_score

        def limited_score(blocks):
            score = self._running_score(blocks)
            return None if score is None else _LimitedScore(score, limits)

        return limited_score

    def _scaled_range(self, state):
        """The lowest and the highest target, scaled as in training, or None."""
        limits, scaling = vars(self).get("y_range_"), state.preparation.scaling
        return limits if limits is None or scaling is None else scaling.scale_targets(limits)


class _LimitedScore:
    """A running score of limited outputs."""

    def __init__(self, score, limits):
        self.score, self.limits = score, limits
        self.start, self.result = score.start, score.result

    def add(self, y, outputs, sample_weight):
        self.score.add(y, outputs.clip(*self.limits), sample_weight)
