"""The rows that a fit is judged by: given to it, or held out.

An estimator in the middle of a fit and rows as a user gave them enter; after each epoch their loss and their score leave. What
follows from a score is the matter of `course`, what a score of outputs is that of the estimators.
"""

from inspect import signature

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from .._compat import _BaseScorer, _check_sample_weight, _safe_indexing
from .._data.inputs import as_rows, as_targets
from .._network.prediction import mean_loss, outputs


class Validation:
    """Rows beside those of training: validated X and codes y for what is taken of outputs, and both as given for scorers."""

    def __init__(self, estimator, rows, given, params):
        X, self.y, self.weight = rows
        self.estimator, self.given, self.plan, dtype = estimator, given, estimator._plan_to_predict(), params.dtype
        self.rows, self.targets = as_rows(X, dtype), (as_targets(self.y, dtype), as_targets(self.weight, dtype))
        self.scorer = None
        if estimator.scoring not in (None, "loss"):
            self.scorer = check_scoring(estimator, estimator.scoring)
            weighted = self.weight is not None and _takes_weight(self.scorer)
            self.options = {"sample_weight": self.weight} if weighted else {}

    def measure(self):
        """The loss of the rows, penalties left out, and their score, which is the better the higher it is."""
        estimator = self.estimator
        if self.weight is not None and not self.weight.any():  # not before, as batches of no weight are scikit-learn's first error
            raise ValueError(
                "Sample weights must contain at least one non-zero number, and those of the validation rows are all 0: drop the "
                "rows of weight 0, and raise validation_fraction or give other rows."
            )
        params = estimator._params_that_predict()
        loss = mean_loss(self.plan, params, self.rows, *self.targets)
        if self.scorer is not None and not np.isfinite(params).all():
            return loss, float("nan")  # which scorers refuse in their own words; training will soon say more
        if self.scorer is not None:
            estimator._publish()
            return loss, _number(self.scorer(estimator, *self.given, **self.options), estimator.scoring)
        if estimator.scoring == "loss":
            return loss, -loss
        said = outputs(self.plan, params, self.rows, len(self.y))
        return loss, estimator._score_outputs(self.y, said, self.weight)


def check_given(X_val, y_val, sample_weight_val, solver):
    """Whether rows for validation were given; a ValueError for half of what they need, or where nothing would look at them."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val, whose rows it weighs: give all three.")
        return False
    if X_val is None or y_val is None:
        there, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{there} is given without {missing}: validation needs both, or neither.")
    if solver == "lbfgs":
        raise ValueError(
            "X_val and y_val are looked at after every epoch, and solver='lbfgs' has iterations instead: leave them out, or choose "
            "another one."
        )
    return True


def given_rows(estimator, X_val, y_val, sample_weight_val):
    """The rows of `Validation`, from what a user gave to ``fit``."""
    try:
        X, y = estimator._validate_validation(X_val, y_val)
    except ValueError as error:  # which speaks of X and y
        raise ValueError(f"X_val and y_val cannot be used: {error}") from error
    n_outputs, _ = estimator._output(y)
    if n_outputs != estimator.n_outputs_:
        raise ValueError(f"y_val needs {n_outputs} output units, but y {estimator.n_outputs_}: give y_val as many columns as y.")
    if sample_weight_val is not None:
        sample_weight_val = _check_sample_weight(sample_weight_val, X, allow_all_zero_weights=True)
    return *estimator._prepared(X, y), sample_weight_val


def held_out_rows(X, y, sample_weight, given, held_out):
    """The rows of `Validation`, and these as given, from the data of a fit."""
    X, *given = (part.tocsr() if hasattr(part, "tocsr") else part for part in (X, *given))
    rows = X[held_out], y[held_out], None if sample_weight is None else sample_weight[held_out]
    return rows, tuple(_safe_indexing(part, held_out) for part in given)


def split(estimator, X, y, given_y):
    """The numbers of the rows to train on, and of those held out."""
    if estimator.validation_splitter is not None:
        return _split_by(estimator.validation_splitter, X, given_y)
    train, held_out = train_test_split(
        np.arange(len(y)),
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=estimator._stratify(y),
    )
    if len(held_out) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return train, held_out


def _split_by(splitter, X, given_y):
    try:
        train, held_out = next(iter(splitter.split(X, given_y)))
    except (ValueError, TypeError, StopIteration) as error:
        raise ValueError(
            f"validation_splitter={splitter!r} gives no split of these {X.shape[0]} rows: {str(error) or 'it has none'}. It is "
            "called with X and y alone: where it needs groups, split the rows yourself and give some to fit as X_val and y_val."
        ) from error
    train, held_out = np.arange(X.shape[0])[train], np.arange(X.shape[0])[held_out]
    if not train.size or not held_out.size:
        raise ValueError(
            f"validation_splitter={splitter!r} must leave rows to train on and rows to validate with, got {train.size} and "
            f"{held_out.size}: choose another, or validation_fraction."
        )
    return train, held_out


def _takes_weight(scorer):
    return scorer._accept_sample_weight() if isinstance(scorer, _BaseScorer) else "sample_weight" in signature(scorer).parameters


def _number(score, scoring):
    if np.ndim(score) or not np.isreal(score):
        raise ValueError(f"scoring={scoring!r} must return a number, got {score!r} of type {type(score).__name__}.")
    return float(score)
