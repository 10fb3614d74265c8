"""Validation rows: the selection of the held-out rows, and the loss and the score of a network on them.

Prepared rows and targets go in; after each epoch, their loss and score come out. This module does not know about estimators: a
score that needs an estimator is passed as a function.
"""

import numpy as np
from sklearn.model_selection import train_test_split

from .._compat import _safe_indexing, accepts_sample_weight
from .._data.inputs import as_rows, as_targets
from .._network.prediction import loss_and_outputs
from .context import TrainingRows


class Validation:
    """Validation rows with the functions that score them.

    ``data`` are (X, y, sample_weight). ``score_model`` is called without arguments if it is not None. Otherwise, the score is the
    negative loss with ``scoring='loss'``, or the result of ``score_outputs``, which is called with (y, outputs, sample_weight).
    """

    def __init__(self, plan, data, dtype, *, scoring, score_outputs, score_model):
        X, y, sample_weight = data
        self.plan, self.y, self.weight, self.scoring = plan, y, sample_weight, scoring
        self.rows, self.targets = as_rows(X, dtype), (as_targets(y, dtype), as_targets(sample_weight, dtype))
        self.score_outputs, self.score_model = score_outputs, score_model

    def measure(self, params, crew):
        """Return the loss of the rows without penalties, and their score (higher is better).

        The threads of ``crew``, a `ThreadCrew`, take part if this is useful.
        """
        # checked here and not earlier, because scikit-learn first reports a training batch whose weights sum to 0
        if self.weight is not None and not self.weight.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, but those of the validation rows are all 0. Remove the "
                "rows of weight 0, and increase validation_fraction or pass other rows."
            )
        is_scored = self.score_model is None and self.scoring != "loss"
        loss, out = loss_and_outputs(self.plan, params, self.rows, *self.targets, crew=crew, with_outputs=is_scored)
        if self.score_model is not None:
            # scorers raise their own errors for NaN; training reports the divergence
            return loss, self.score_model() if np.isfinite(params).all() else float("nan")
        return loss, self.score_outputs(self.y, out, self.weight) if is_scored else -loss


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


def held_out_rows(X, y, sample_weight, given, held_out):
    """Return (X, y, sample_weight) of the held-out rows, and the same rows of ``given``, the X and y that the user passed."""
    X, *given = (part.tocsr() if hasattr(part, "tocsr") else part for part in (X, *given))
    rows = X[held_out], y[held_out], None if sample_weight is None else sample_weight[held_out]
    return rows, tuple(_safe_indexing(part, held_out) for part in given)


def split_rows(config, rng, n_rows, given, stratify):
    """Split n_rows rows into ``TrainingRows``; ``given`` are the X and y that are passed to a splitter."""
    if config.validation_splitter is not None:
        return TrainingRows(n_rows, *_split_by(config.validation_splitter, *given))
    train, held_out = train_test_split(np.arange(n_rows), random_state=rng, test_size=config.validation_fraction, stratify=stratify)
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
    train, held_out = np.arange(X.shape[0])[train], np.arange(X.shape[0])[held_out]
    if not train.size or not held_out.size:
        raise ValueError(
            f"validation_splitter={splitter!r} must yield training rows and validation rows, got {train.size} and {held_out.size}. "
            "Use another splitter, or validation_fraction."
        )
    return train, held_out
