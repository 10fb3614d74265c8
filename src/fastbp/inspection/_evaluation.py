"""The objective of a network on some rows, and its gradient, computed by the kernels that train.

An ``InspectedFit`` goes in; losses, penalties and gradients come out, and the values of all layers if they are needed. The divisor
of all sums is that of training: the number of rows, or the sum of their weights. This module does not know about estimators.
"""

from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit

from .._data.inputs import IN_ORDER, as_rows, as_targets
from .._data.sample_weights import zero_weights_error
from .._kernels.lazy.addresses import lazy_functions
from .._kernels.network import evaluate, loss_and_gradient
from .._kernels.scratch import PENALTY_NUMBERS
from .._kernels.settings import SETTINGS, record
from .._network.architecture import Architecture, Plan
from .._network.layout import Layout, aligned_zeros, padded, padded_copy
from .._network.numpy_passes import multiply_by_slopes
from .._network.prediction import mean_loss, outputs
from .._network.turns import fixed_ranges
from .._network.workspace import rows_of_layer
from .._training.epochs import Problem
from .._training.state import TrainingState

_EVALUATED_WORK = 1e7  # multiply-adds per parameter and row of one kernel call
_CHUNK_SIZE = 1 << 20  # rows times units, so that the values of a chunk take at most 32 MB
_SMALLEST_MEAN = 1e-6  # of the targets, from which the search for constant outputs starts


class KernelValues(NamedTuple):
    """The values that the kernels computed for all rows, as lists with an array (n_rows, n_out) for each layer.

    ``activations``, ``slopes`` and ``normalized`` have the hidden layers only. ``slopes`` and ``normalized`` contain None for
    layers for which the kernels do not store them. ``deltas`` are derivatives of the sum over rows.
    """

    activations: list[Any]
    slopes: list[Any]
    normalized: list[Any]
    deltas: list[Any]

    def slopes_of(self, layer, activation):
        """Return the slopes of a hidden layer: as stored by the kernels, or from the activations if they are not stored."""
        if self.slopes[layer] is not None:
            return self.slopes[layer]
        ones, A = np.ones_like(self.activations[layer]), self.activations[layer]
        multiply_by_slopes(ones, None, A, activation, None)  # the slopes that are not stored depend on the activations only
        return ones


class Evaluation:
    """The objective on the rows of an ``InspectedFit``, as a function of the flat parameters.

    With ``dtype``, the network is evaluated in that dtype instead of the dtype of its parameters.
    """

    def __init__(self, fit, dtype=None):
        self.fit, self.layout = fit, fit.plan.layout
        self.params = padded_copy(fit.state.params, fit.state.params.dtype if dtype is None else dtype)
        self.dtype = self.params.dtype
        rows = as_rows(fit.X, self.dtype)
        self.problem = Problem(fit.plan, rows, as_targets(fit.y, self.dtype), as_targets(fit.sample_weight, self.dtype))
        self.n_rows = self.problem.n_rows
        state = fit.state.copy(self.params)
        self.settings = record(SETTINGS)
        self.table, team, (self.scratch,) = self.problem.workspace(state, self.settings, self.n_rows, 1, 1, shares_weights=False)
        self.gradient = team.gradients[0]
        self.block_size = self.settings["block_size"].item(0)
        self.ranges = fixed_ranges(0, self.n_rows, self.layout, self.block_size, _EVALUATED_WORK)
        self.weight_sum = float(self.n_rows) if fit.sample_weight is None else float(self.problem.weight.sum(dtype=np.float64))
        if self.weight_sum == 0:
            raise zero_weights_error()

    # ------------------------------------------------------------------ loss and gradient

    def loss_and_gradient(self, params):
        """Return the mean loss without penalties and its gradient (n_params,), a copy in the dtype of the network."""
        loss = sum(self._call(params, start, stop) for start, stop in self.ranges)
        return loss / self.weight_sum, self.gradient[: params.size] / self.dtype.type(self.weight_sum)

    def loss(self, params):
        """Return the mean loss without penalties."""
        problem, params, sums = self.problem, padded(params), np.empty((-(-self.n_rows // self.block_size), 2))
        data, out = (problem.rows, problem.y, problem.weight, IN_ORDER), np.empty((0, self.layout.sizes[-1]), self.dtype)
        for start, stop in self.ranges:
            evaluate(self.settings, self.table, params, *data, start, stop, self.scratch, sums, out, start == 0)
        return sums[:, 0].sum() / self.weight_sum

    def _call(self, params, start, stop):
        """Return the sum of the losses of rows start to stop; set the gradient if start is 0, otherwise add to it."""
        rows = self.problem.rows, self.problem.y, self.problem.weight, start, stop
        loss, _ = loss_and_gradient(self.settings, self.table, padded(params), *rows, self.scratch, self.gradient, start == 0)
        return loss

    def penalty(self, params):
        """Return the penalties (alpha / 2 Σ W² + l1 Σ |W|) / Σ weight."""
        W, config = params[: self.layout.n_coefs].astype(np.float64), self.fit.config
        return (0.5 * config.alpha * (W @ W) + config.l1 * np.abs(W).sum()) / self.weight_sum

    def penalty_gradient(self, params):
        """Return the gradient of the penalties (n_params,), computed by the function that training calls."""
        g, n_coefs = aligned_zeros(params.size, self.dtype), self.layout.n_coefs
        config, numbers = self.fit.config, record(PENALTY_NUMBERS)
        numbers["alpha"], numbers["l1"] = config.alpha, config.l1
        if config.alpha or config.l1:
            lazy_functions("penalty")["add_penalty_gradient"](params[:n_coefs].copy(), g[:n_coefs], numbers)
        return g / self.dtype.type(self.weight_sum)

    # ------------------------------------------------------------------ values of the layers

    def values(self):
        """Return the mean loss, its gradient, and the ``KernelValues`` of all layers."""
        loss, values = self._values_between(0, self.n_rows)
        return loss / self.weight_sum, self.mean_gradient(), values

    def chunks(self):
        """Yield (sum of losses, start, stop, ``KernelValues``) of successive chunks of rows, whose arrays have a limited size."""
        n_blocks = max(1, _CHUNK_SIZE // (sum(self.layout.sizes) * self.block_size))
        for start in range(0, self.n_rows, n_blocks * self.block_size):
            stop = min(start + n_blocks * self.block_size, self.n_rows)
            loss, values = self._values_between(start, stop)
            yield loss, start, stop, values

    def mean_gradient(self):
        """Return the gradient of the mean loss (n_params,) after all rows were processed."""
        return self.gradient[: self.params.size] / self.dtype.type(self.weight_sum)

    def _values_between(self, first, last):
        """Return the sum of the losses of rows first to last, and copies of their values in the buffers of the kernels."""
        copies, loss = None, 0.0
        for start in range(first, last, self.block_size):
            stop = min(start + self.block_size, last)
            loss += self._call(self.params, start, stop)
            values = self._values_of_block(stop - start)
            if copies is None:
                copies = KernelValues(*([self._empty(last - first, array) for array in arrays] for arrays in values))
            for copy, array in zip(chain(*copies), chain(*values), strict=True):
                if copy is not None:
                    copy[start - first : stop - first] = array
        return loss, copies

    def _empty(self, n_rows, like):
        return None if like is None else np.empty((n_rows, like.shape[1]), self.dtype)

    def _values_of_block(self, n_rows):
        """Return views of the buffers for the block that the kernels have just processed."""
        architecture, hidden = self.fit.plan.architecture, list(self.table)[:-1]
        has_norm = architecture.norm is not None

        def views(rows, buffer, is_stored):
            return [rows_of_layer(row, n_rows, buffer) if is_stored(layer) else None for layer, row in enumerate(rows)]

        return KernelValues(
            views(hidden, self.scratch.activations, lambda layer: True),
            views(hidden, self.scratch.slopes, architecture.calls_activation),
            views(hidden, self.scratch.normalized, lambda layer: has_norm),
            views(list(self.table), self.scratch.deltas, lambda layer: True),
        )

    # ------------------------------------------------------------------ parameters by layer

    def by_layer(self, flat):
        """Return views of a flat array: lists of the arrays of W, b, γ and β, of which γ and β may be empty."""
        coefs, intercepts = self.layout.views(flat)
        return [coefs, intercepts, *self.layout.norms(flat), [], []][:4]


def groups_of(evaluation):
    """Yield (layer, kind, start, stop) of each array in the flat parameters; kind is 0 for W, 1 for b, 2 for γ and 3 for β."""
    lists = evaluation.by_layer(np.empty(evaluation.layout.n_params, np.int8))
    sizes = [(layer, kind, array.size) for kind, arrays in enumerate(lists) for layer, array in enumerate(arrays)]
    stops = list(accumulate(size for _, _, size in sizes))
    yield from ((layer, kind, stop - size, stop) for (layer, kind, size), stop in zip(sizes, stops, strict=True))


# ---------------------------------------------------------------------- networks that predict


class PredictingNetwork(NamedTuple):
    """A network for prepared rows, without dropout and noise, in which batch normalization is folded."""

    plan: Plan
    params: np.ndarray

    def outputs(self, X):
        """Return the outputs (n_rows, n_outputs) for prepared rows."""
        return outputs(self.plan, self.params, as_rows(X, self.params.dtype), X.shape[0])

    def loss(self, fit, sample_weight=None, order=IN_ORDER):
        """Return the mean loss without penalties on the rows of an ``InspectedFit``, or on those whose numbers are in order."""
        y, weight = (as_targets(values, self.params.dtype) for values in (fit.y, sample_weight))
        return mean_loss(self.plan, self.params, as_rows(fit.X, self.params.dtype), y, weight, order)


def published_network(fit):
    """Return the network that predicts, for prepared rows."""
    plan, state = fit.plan, fit.state
    plan = Plan(state.published_layout, plan.architecture.for_prediction(), plan.objective)
    return PredictingNetwork(plan, padded(state.predicting_params()))


def constant_network(fit):
    """Return a network without hidden layers whose constant outputs have the smallest mean loss on the rows of an ``InspectedFit``.

    Its weights are 0. Its biases are found by L-BFGS in float64.
    """
    link, numbers, objective = fit.plan.architecture.link, fit.plan.architecture.numbers, fit.plan.objective
    n_inputs, n_outputs = fit.plan.layout.sizes[0], fit.plan.layout.sizes[-1]
    small, whole = (Plan(Layout((n, n_outputs)), Architecture((), link, numbers=numbers), objective) for n in (1, n_inputs))
    params = aligned_zeros(small.layout.n_params, np.float64)
    state = TrainingState.untrained(small.layout, params, fit.state.link, fit.state.out_activation)
    evaluation = Evaluation(fit._replace(state=state, plan=small, X=np.zeros((len(fit.y), 1))))
    # for some losses, the loss is a mean over the outputs, but its gradient is that of the sum
    divisor = n_outputs if objective.is_averaged_over_outputs(link) else 1

    def loss_and_gradient(biases):
        loss, gradient = evaluation.loss_and_gradient(np.concatenate([np.zeros(n_outputs), biases]))
        return loss, gradient[n_outputs:] / divisor

    found = minimize(loss_and_gradient, _start_of_biases(fit), method="L-BFGS-B", jac=True, options={"maxiter": 200})
    params = aligned_zeros(whole.layout.n_params, np.float64)
    params[whole.layout.n_coefs :] = found.x
    return PredictingNetwork(whole, params)


def _start_of_biases(fit):
    """Return the biases (n_outputs,) for which the outputs are about the means of the targets."""
    link, numbers = fit.plan.architecture.link, fit.plan.architecture.numbers
    means = np.average(fit.target_columns(), axis=0, weights=fit.sample_weight)
    if link in ("identity", "relu"):
        return means
    if link == "ordered_quantiles":
        return np.where(np.arange(means.size) % len(numbers) == 0, means, 0.0)
    if link == "logistic":
        return logit(means.clip(_SMALLEST_MEAN, 1 - _SMALLEST_MEAN))
    means = means.clip(_SMALLEST_MEAN, None)
    return means + np.log(-np.expm1(-means)) if link == "softplus" else np.log(means)
