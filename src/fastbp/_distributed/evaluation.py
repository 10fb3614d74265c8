"""The loss and the score of rows that are divided into blocks.

A block, parameters and a description of the score go in; a `BlockScore` comes out. The scores of several blocks are merged in their
order. The merged scores are the accuracy, R² and the mean pinball loss of all rows. This module does not know about estimators.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from .._data.inputs import as_rows, as_targets
from .._data.scores import accuracy, negative_pinball
from .._network.layout import padded_copy
from .._network.prediction import loss_and_outputs
from .._network.threads import take_crew


@dataclass(frozen=True)
class ScoreRule:
    """How outputs are scored: 'accuracy' with the sizes of the groups of outputs, 'one_class', 'r2', or 'pinball' with quantiles.

    ``limits`` (2, n_outputs) are the limits of predictions, or None.
    """

    name: str
    groups: tuple = ()
    quantiles: tuple = ()
    limits: Any = None

    def of(self, y, outputs, weight):
        """The `BlockScore` of outputs (n_rows, n_outputs) without a loss."""
        total = float(len(y)) if weight is None else float(np.sum(weight, dtype=np.float64))
        if total == 0:
            return BlockScore(0.0)
        if self.limits is not None:
            outputs = outputs.clip(*self.limits.astype(outputs.dtype))
        if self.name == "one_class":  # every prediction is correct
            return BlockScore(total, mean=1.0)
        if self.name == "accuracy":
            return BlockScore(total, mean=accuracy(y, outputs, weight, self.groups))
        if self.name == "pinball":
            quantiles = np.tile(self.quantiles, y.shape[1] // len(self.quantiles))
            return BlockScore(total, mean=negative_pinball(y, outputs, quantiles, weight))
        return r2_block(y, outputs, weight)


class BlockScore(NamedTuple):
    """The score of rows whose weights sum to ``weight``, and their mean ``loss``.

    ``mean`` is a score that is averaged over rows. For R², it is None, and there are three arrays (n_outputs,): the weighted sums
    of the squared ``residuals``, the weighted ``center`` of the targets, and the weighted sums of their ``squares`` of deviations
    from it.
    """

    weight: float
    loss: float = 0.0
    mean: float | None = None
    residuals: Any = None
    center: Any = None
    squares: Any = None

    def merged(self, other):
        """The score of the rows of both; for R², by the formula of Chan, Golub and LeVeque (1983)."""
        if not other.weight or not self.weight:
            return self if self.weight else other
        weight = self.weight + other.weight
        share = other.weight / weight
        loss = self.loss + share * (other.loss - self.loss)
        if self.mean is not None:
            return BlockScore(weight, loss, self.mean + share * (other.mean - self.mean))
        change = other.center - self.center
        squares = self.squares + other.squares + change**2 * (self.weight * share)
        return BlockScore(weight, loss, None, self.residuals + other.residuals, self.center + share * change, squares)

    def value(self):
        """The score; a column of constant targets has an R² of 1 if it is predicted exactly, else 0, as in scikit-learn."""
        if self.mean is not None or self.residuals is None:
            return float("nan") if self.mean is None else float(self.mean)
        if not np.isfinite(self.residuals).all():
            return float("nan")
        exact, varies = self.residuals == 0, self.squares != 0
        scores = np.where(exact, 1.0, 0.0)
        scores[varies & ~exact] = 1 - self.residuals[varies & ~exact] / self.squares[varies & ~exact]
        return float(scores.mean())


def r2_block(y, outputs, weight):
    """The `BlockScore` for R² of outputs (n_rows, n_outputs) for targets y of the same shape."""
    y, outputs = y.astype(np.float64), outputs.astype(np.float64)
    weight = np.ones(len(y)) if weight is None else weight.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        residuals = weight @ (y - outputs) ** 2
    center = weight @ y / weight.sum()
    return BlockScore(float(weight.sum()), 0.0, None, residuals, center, weight @ (y - center) ** 2)


def merged_scores(scores):
    """The `BlockScore` of all blocks; raise a ValueError if all weights are 0."""
    score = reduce(BlockScore.merged, scores)
    if not score.weight:
        raise ValueError(
            "The rows that are scored must have weights whose sum is not 0. Remove the sample weights, or score other rows."
        )
    return score


def evaluate_blocks(blocks, params, plan, rule):
    """The `BlockScore` of a list of blocks of prepared rows; ``plan`` is a `Plan` for predictions."""
    return reduce(BlockScore.merged, [_evaluate_block(block, params, plan, rule) for block in blocks])


def _evaluate_block(block, params, plan, rule):
    dtype = params.dtype
    rows, y, weight = as_rows(block.X, dtype), as_targets(block.y, dtype), as_targets(block.weight, dtype)
    if block.weight is not None and not block.weight.any():
        return BlockScore(0.0)
    loss, out = loss_and_outputs(plan, padded_copy(params, dtype), rows, y, weight, crew=take_crew(1))
    return rule.of(block.y, out, block.weight)._replace(loss=loss)
