"""Scores of the outputs of a network.

Targets as numbers and network outputs, both of shape (n_rows, n_columns), go in; a float comes out. The scores are scikit-learn's
accuracy and R², without the validation of the arguments, and the mean pinball loss. This module does not know about estimators.
"""

import numpy as np

from .targets import split_groups


def accuracy(codes, outputs, sample_weight, groups=()):
    """The weighted fraction of rows whose codes (n_rows, n_columns) are predicted by outputs (n_rows, n_outputs).

    If the outputs form groups, one for each column of codes, the result is the mean of the accuracies of the groups.
    """
    if groups:
        hits = [part.argmax(axis=1) == column for part, column in zip(split_groups(outputs, groups), codes.T, strict=True)]
        return float(np.average(np.mean(hits, axis=0), weights=sample_weight))
    if codes.shape[1] < outputs.shape[1]:
        hits = outputs.argmax(axis=1) == codes[:, 0]
    else:
        hits = ((outputs > 0.5) == (codes > 0.5)).all(axis=1)
    return float(np.average(hits, weights=sample_weight))


@np.errstate(over="ignore", invalid="ignore")  # a fit that diverges issues its own warning
def r2(values, outputs, sample_weight):
    """R² of outputs (n_rows, n_outputs) for values of the same shape, averaged over outputs; NaN if an output is not finite.

    A constant column scores 1 if it is predicted exactly, else 0, as in scikit-learn.
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    residual = weight @ (values - outputs) ** 2
    total = weight @ (values - np.average(values, axis=0, weights=weight)) ** 2
    exact, varies = residual == 0, total != 0
    scores = np.where(exact, 1.0, 0.0)
    scores[varies & ~exact] = 1 - residual[varies & ~exact] / total[varies & ~exact]
    return float(scores.mean())


@np.errstate(over="ignore", invalid="ignore")
def negative_pinball(values, outputs, quantiles, sample_weight):
    """The negative mean of max(q d, (q − 1) d) with d = values − outputs, where each column has its own quantile q."""
    errors = values - outputs
    rows = np.maximum(quantiles * errors, (quantiles - 1) * errors).mean(axis=1)
    return -float(np.average(rows, weights=sample_weight))


def brier_score(probabilities, codes, sample_weight):
    """Return the mean over the rows of the sum of (probability − indicator)² over the classes, for codes of classes (n_rows,)."""
    deviations = np.array(probabilities, np.float64)
    deviations[np.arange(len(codes)), codes] -= 1
    return float(np.average((deviations**2).sum(axis=1), weights=sample_weight))
