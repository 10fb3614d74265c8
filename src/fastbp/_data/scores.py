"""Scores of the outputs of a network.

Targets as numbers and network outputs, both of shape (n_rows, n_columns), go in; a float comes out. The scores are scikit-learn's
accuracy and R², without the validation of the arguments, and the mean pinball loss. For many rows, ``RunningMean`` and
``RunningR2`` add up blocks of rows, so that their memory does not grow with the number of rows. This module does not know about
estimators.
"""

import numpy as np

from .targets import split_groups


def accuracy(codes, outputs, sample_weight, groups=()):
    """The weighted fraction of rows whose codes (n_rows, n_columns) are predicted by outputs (n_rows, n_outputs).

    If the outputs form groups, one for each column of codes, the result is the mean of the accuracies of the groups.
    """
    return float(np.average(correct_rows(codes, outputs, groups), weights=sample_weight))


def correct_rows(codes, outputs, groups=()):
    """Whether the codes of each row (n_rows,) are predicted; with groups, the fraction of its codes that are predicted."""
    if groups:
        hits = [part.argmax(axis=1) == column for part, column in zip(split_groups(outputs, groups), codes.T, strict=True)]
        return np.mean(hits, axis=0)
    if codes.shape[1] < outputs.shape[1]:
        return outputs.argmax(axis=1) == codes[:, 0]
    return ((outputs > 0.5) == (codes > 0.5)).all(axis=1)


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
    return _mean_r2(residual, total)


def _mean_r2(residual, total):
    """The mean over the columns of 1 − residual / total; 1 for an exact column, and 0 for another constant column."""
    exact, varies = residual == 0, total != 0
    scores = np.where(exact, 1.0, 0.0)
    scores[varies & ~exact] = 1 - residual[varies & ~exact] / total[varies & ~exact]
    return float(scores.mean())


@np.errstate(over="ignore", invalid="ignore")
def negative_pinball(values, outputs, quantiles, sample_weight):
    """The negative mean of max(q d, (q − 1) d) with d = values − outputs, where each column has its own quantile q."""
    return -float(np.average(pinball_of_rows(values, outputs, quantiles), weights=sample_weight))


def pinball_of_rows(values, outputs, quantiles):
    """The mean of max(q d, (q − 1) d) of each row (n_rows,)."""
    errors = values - outputs
    return np.maximum(quantiles * errors, (quantiles - 1) * errors).mean(axis=1)


class RunningMean:
    """The weighted mean of a number for each row, which ``of_rows(values, outputs)`` (n_rows,) computes."""

    def __init__(self, of_rows):
        self.of_rows = of_rows
        self.start()

    def start(self):
        """Begin with the first block again."""
        self.total = self.weight = 0.0

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values, outputs, sample_weight):
        """Add a block of rows."""
        rows = self.of_rows(values, outputs)
        if sample_weight is None:
            self.total += float(rows.sum(dtype=np.float64))
            self.weight += len(rows)
        else:
            self.total += float(np.dot(rows.astype(np.float64), sample_weight))
            self.weight += float(sample_weight.sum(dtype=np.float64))

    def result(self):
        """The mean of all rows that were added."""
        return self.total / self.weight


class RunningR2:
    """The score of ``r2``; ``blocks()`` yields the (values, sample_weight) of all blocks of rows, to compute their variance."""

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, blocks):
        sums = weights = 0.0
        for values, weight in blocks():
            weight = np.ones(len(values)) if weight is None else weight.astype(np.float64)
            sums, weights = sums + weight @ values, weights + weight.sum()
        self.total = 0.0
        for values, weight in blocks():
            self.total = self.total + _weighted_squares(values - sums / weights, weight)
        self.start()

    def start(self):
        """Begin with the first block again."""
        self.residual, self.is_finite = np.zeros(np.shape(self.total)), True

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values, outputs, sample_weight):
        """Add a block of rows."""
        self.is_finite = self.is_finite and bool(np.isfinite(outputs).all())
        self.residual = self.residual + _weighted_squares(values - outputs, sample_weight)

    def result(self):
        """The score of all rows that were added."""
        return _mean_r2(self.residual, self.total) if self.is_finite else float("nan")


def _weighted_squares(errors, weight):
    """Σ weight · errors² of each column (n_columns,), in float64."""
    squares = np.square(errors, dtype=np.float64)
    return squares.sum(axis=0) if weight is None else weight.astype(np.float64) @ squares


def running_pinball(quantiles):
    """The negative mean pinball loss as a ``RunningMean``; targets and outputs have a column for each quantile of each target."""
    quantiles = np.array(quantiles)
    return RunningMean(lambda y, outputs: -pinball_of_rows(y, outputs, np.tile(quantiles, y.shape[1] // len(quantiles))))


def brier_score(probabilities, codes, sample_weight):
    """Return the mean over the rows of the sum of (probability − indicator)² over the classes, for codes of classes (n_rows,)."""
    deviations = np.array(probabilities, np.float64)
    deviations[np.arange(len(codes)), codes] -= 1
    return float(np.average((deviations**2).sum(axis=1), weights=sample_weight))
