"""The objective of a network on some rows, and its gradient, computed by the kernels that train.

An ``InspectedFit`` goes in; losses, penalties and gradients come out, and the values of all layers if they are needed. The divisor
of all sums is that of training: the number of rows, or the sum of their weights. This module does not know about estimators.
"""

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from .._data.inputs import IN_ORDER, as_rows, as_targets
from .._data.sample_weights import zero_weights_error
from .._kernels.lazy.addresses import lazy_functions
from .._kernels.network import evaluate, loss_and_gradient
from .._kernels.scratch import PENALTY_NUMBERS
from .._kernels.settings import SETTINGS, record
from .._network.layout import aligned_zeros, padded, padded_copy
from .._network.turns import fixed_ranges
from .._network.workspace import rows_of_layer
from .._training.epochs import Problem

_EVALUATED_WORK = 1e7  # multiply-adds per parameter and row of one kernel call


class KernelValues(NamedTuple):
    """The values that the kernels computed for all rows, as lists with an array (n_rows, n_out) for each layer.

    ``activations``, ``slopes`` and ``normalized`` have the hidden layers only. ``slopes`` and ``normalized`` contain None for
    layers for which the kernels do not store them. ``deltas`` are derivatives of the sum over rows.
    """

    activations: list[Any]
    slopes: list[Any]
    normalized: list[Any]
    deltas: list[Any]


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
        self.table, team, (self.scratch,) = self.problem.workspace(state, self.settings, self.n_rows, 1, 1)
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
        params, rows = padded(params), (self.problem.rows, self.problem.y, self.problem.weight, IN_ORDER)
        parts = (evaluate(self.settings, self.table, params, *rows, *part, self.scratch) for part in self.ranges)
        return sum(loss for loss, _ in parts) / self.weight_sum

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
        g, n_coefs, config, numbers = (
            aligned_zeros(params.size, self.dtype),
            self.layout.n_coefs,
            self.fit.config,
            record(PENALTY_NUMBERS),
        )
        numbers["alpha"], numbers["l1"] = config.alpha, config.l1
        if config.alpha or config.l1:
            lazy_functions("penalty")["add_penalty_gradient"](params[:n_coefs].copy(), g[:n_coefs], numbers)
        return g / self.dtype.type(self.weight_sum)

    # ------------------------------------------------------------------ values of the layers

    def values(self):
        """Return the mean loss, its gradient, and the ``KernelValues`` of all layers."""
        sizes = self.layout.sizes[1:]
        values, loss = KernelValues([], [], [], []), 0.0
        for name, arrays in values._asdict().items():
            arrays += [np.empty((self.n_rows, n), self.dtype) for n in (sizes if name == "deltas" else sizes[:-1])]
        for start in range(0, self.n_rows, self.block_size):
            stop = min(start + self.block_size, self.n_rows)
            loss += self._call(self.params, start, stop)
            self._copy_values(values, start, stop)
        architecture = self.fit.plan.architecture
        for layer in range(len(sizes) - 1):
            if not architecture.calls_activation(layer):
                values.slopes[layer] = None
            if architecture.norm is None:
                values.normalized[layer] = None
        gradient = self.gradient[: self.params.size] / self.dtype.type(self.weight_sum)
        return loss / self.weight_sum, gradient, values

    def _copy_values(self, values, start, stop):
        """Copy the values of a block, which the kernels have just processed, from their buffers."""
        for name, arrays in values._asdict().items():
            buffer = getattr(self.scratch, name)
            for row, array in zip(self.table, arrays, strict=False):
                if buffer.size:
                    array[start:stop] = rows_of_layer(row, stop - start, buffer)

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
