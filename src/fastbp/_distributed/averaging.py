"""The average of the results of several shards, and the outer step that the driver makes with it.

Results of `local_train` and their weights go in; the weighted mean comes out, computed in float64 in an order that depends only on
the numbers of the shards. Therefore the bits do not depend on where and when the results were computed. This module does not know
how a shard is trained.
"""

from typing import Any, NamedTuple

import numpy as np

FAN_IN = 8  # the number of results that one task adds up


class WeightedSum(NamedTuple):
    """A part of the weighted mean of results, in float64; ``step``, ``product``, ``factor`` and ``rate`` are not added.

    These numbers are those of the first result with the most steps. ``loss`` is the sum of the weighted losses.
    """

    params: np.ndarray
    moments: np.ndarray
    statistics: np.ndarray
    loss: float
    step: int
    product: float
    factor: float
    rate: float


def weighted_sum(results, weights):
    """Return the `WeightedSum` of a list of `LocalResult` with the given weights, in the order of the list."""
    params, moments, statistics = (
        _sum_of_arrays([getattr(result.state, name) for result in results], weights) for name in WeightedSum._fields[:3]
    )
    loss = sum(weight * result.loss for result, weight in zip(results, weights, strict=True))
    longest = max(results, key=lambda result: result.state.step)  # the first of them
    state = longest.state
    return WeightedSum(params, moments, statistics, loss, state.step, state.product, state.factor, longest.rate)


def added(sums):
    """Return the sum of a list of `WeightedSum`, in the order of the list."""
    buffers = [_sum_of_arrays([getattr(one, name) for one in sums]) for name in WeightedSum._fields[:3]]
    longest = max(sums, key=lambda one: one.step)
    return longest._replace(**dict(zip(WeightedSum._fields[:3], buffers, strict=True)), loss=sum(one.loss for one in sums))


def _sum_of_arrays(arrays, weights=None):
    total = np.zeros(arrays[0].shape)
    for n, array in enumerate(arrays):
        total += array if weights is None else weights[n] * array.astype(np.float64, copy=False)
    return total


def submit_average(executor, results, n_rows):
    """Return the handle of the `WeightedSum` of the results of all shards, weighted by their numbers of rows.

    ``results`` are handles in the order of the shards. A task adds up at most `FAN_IN` results, so that no worker needs memory for
    all of them.
    """
    weights = [n / sum(n_rows) for n in n_rows]
    ranges = [slice(at, at + FAN_IN) for at in range(0, len(results), FAN_IN)]
    level = [executor.submit(weighted_sum, results[some], weights[some]) for some in ranges]
    while len(level) > 1:
        level = [executor.submit(added, level[at : at + FAN_IN]) for at in range(0, len(level), FAN_IN)]
    return level[0]


class OuterStep:
    """The step from the parameters before a round to those after it (Douillard and others 2023, "DiLoCo").

    With the mean change d of the parameters, the velocity becomes v = momentum · v + d, and the parameters change by
    learning_rate · (d + momentum · v), which is Nesterov's momentum. With a learning rate of 1 and a momentum of 0, the new
    parameters are the mean itself. ``velocity`` (n_params,) is in float64, and None without momentum.
    """

    def __init__(self, learning_rate, momentum, n_params):
        self.learning_rate, self.momentum = float(learning_rate), float(momentum)
        self.velocity: Any = np.zeros(n_params) if momentum else None

    def __call__(self, params, mean):
        """Return the new parameters in float64, and update the velocity; ``mean`` (n_params,) are the averaged parameters."""
        if self.learning_rate == 1 and not self.momentum:
            return mean
        change = mean - params.astype(np.float64)
        if self.momentum:
            self.velocity = self.momentum * self.velocity + change
            change = change + self.momentum * self.velocity
        return params + self.learning_rate * change
