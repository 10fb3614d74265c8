"""Validation rows: the selection of the held-out rows, and the loss and the score of a network on them.

Prepared rows and targets go in; after each epoch, their loss and score come out. This module does not know about estimators: a
score that needs an estimator is passed as a function.
"""

from typing import Any

import numpy as np

from .._compat import _safe_indexing, accepts_sample_weight
from .._data.row_numbers import row_numbers
from .._data.streamed import row_slices
from .._data.training_arrays import training_arrays
from .._network.prediction import loss_and_outputs, loss_and_scores
from .context import TrainingRows
from .splits import split_numbers

_MAX_SCORED_AT_ONCE = 1 << 18  # the outputs of more rows are scored in blocks


class Validation:
    """Validation rows with the functions that score them.

    ``data`` are (X, y, sample_weight), of which the rows ``order`` are validated, or all rows if it is empty. ``score_model`` is
    called without arguments if it is not None. Otherwise, the score is the negative loss with ``scoring='loss'``, or the result of
    ``score_outputs``, which is called with (y, outputs, sample_weight). If there are many rows, the score is the result of a
    running score, which ``running_score`` creates from a function that yields blocks of (y, sample_weight), unless it returns None.
    """

    def __init__(self, plan, data, order, dtype, *, scoring, score_outputs, running_score, score_model):
        X, self.y, self.weight = data
        self.plan, self.order, self.scoring = plan, order, scoring
        self.arrays = training_arrays(dtype, X, self.y, self.weight)
        self.score_outputs, self.score_model = score_outputs, score_model
        self.running: Any = None
        self.is_scored = score_model is None and scoring != "loss"
        n_rows = order.size or len(self.y)
        if self.arrays[0].sources.size:
            self.order = order if order.size else row_numbers(n_rows)
        if self.is_scored and n_rows * plan.layout.sizes[-1] > _MAX_SCORED_AT_ONCE:
            self.order = order if order.size else row_numbers(n_rows)
            self.running = running_score(self._blocks)
        self.has_weight = None
        if self.is_scored and self.running is None:
            self.scored = self._rows(slice(None))

    def measure(self, params, crew):
        """Return the loss of the rows without penalties, and their score (higher is better).

        The threads of ``crew``, a `ThreadCrew`, take part if this is useful.
        """
        # checked here and not earlier, because scikit-learn first reports a training batch whose weights sum to 0
        if self.has_weight is None:
            self.has_weight = self.weight is None or any(weight.any() for _, weight in self._blocks())
        if not self.has_weight:
            raise ValueError(
                "Sample weights must contain at least one non-zero number, but those of the validation rows are all 0. Remove the "
                "rows of weight 0, and increase validation_fraction or pass other rows."
            )
        if self.running is not None:
            self.running.start()
            loss = loss_and_scores(self.plan, params, (*self.arrays, self.order), self._add_outputs, crew)
            return loss, self.running.result()
        rows, y, weight = self.arrays
        loss, out = loss_and_outputs(self.plan, params, rows, y, weight, self.order, crew, with_outputs=self.is_scored)
        if self.score_model is not None:
            # scorers raise their own errors for NaN; training reports the divergence
            return loss, self.score_model() if np.isfinite(params).all() else float("nan")
        if not self.is_scored:
            return loss, -loss
        y, weight = self.scored
        return loss, self.score_outputs(y, out, weight)

    def _rows(self, part):
        """The y and the sample weights of a slice of the validation rows."""
        part = self.order[part] if self.order.size else part
        return self.y[part], None if self.weight is None else self.weight[part]

    def _blocks(self):
        for part in row_slices(self.order.size or len(self.y), self.y.shape[1]):
            yield self._rows(part)

    def _add_outputs(self, start, outputs):
        y, weight = self._rows(slice(start, start + len(outputs)))
        self.running.add(y, outputs, weight)


def number_from_scorer(scorer, scoring, given, sample_weight):
    """Return a function that scores a model on ``given`` (X, y) with a scorer and checks that the score is a number."""
    is_weighted = sample_weight is not None and accepts_sample_weight(scorer)
    options = {"sample_weight": sample_weight} if is_weighted else {}

    def score(model):
        value = scorer(model, *given, **options)
        if np.ndim(value) or not np.isreal(value):
            raise ValueError(f"scoring={scoring!r} must return a number, got {value!r} of type {type(value).__name__}.")
        return float(value)

    return score


def held_out_rows(given, held_out):
    """The held-out rows of ``given``, the X and y that the user passed."""
    given = (part.tocsr() if hasattr(part, "tocsr") else part for part in given)
    return tuple(_safe_indexing(part, held_out) for part in given)


def split_rows(config, rng, n_rows, given, stratify):
    """Split n_rows rows into ``TrainingRows``; ``given`` are the X and y that are passed to a splitter."""
    if config.validation_splitter is not None:
        return TrainingRows(n_rows, *_split_by(config.validation_splitter, *given))
    train, held_out = split_numbers(n_rows, config.validation_fraction, rng, stratify)
    if len(held_out) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return TrainingRows(n_rows, train, held_out)


def _split_by(splitter, X, y):
    try:
        train, held_out = next(iter(splitter.split(X, y)))
    except (ValueError, TypeError, StopIteration) as error:
        raise ValueError(
            f"validation_splitter={splitter!r} cannot split these {X.shape[0]} rows: {str(error) or 'it yields no split'}. It is "
            "called with X and y only. If it needs groups, split the rows yourself and pass some of them as X_val and y_val."
        ) from error
    train, held_out = (row_numbers(X.shape[0])[rows] for rows in (train, held_out))
    if not train.size or not held_out.size:
        raise ValueError(
            f"validation_splitter={splitter!r} must yield training rows and validation rows, got {train.size} and {held_out.size}. "
            "Use another splitter, or validation_fraction."
        )
    return train, held_out
