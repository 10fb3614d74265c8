"""The graph of a fitted network for a few rows.

A fitted estimator and rows go in; a ``NetworkGraph`` comes out, whose loss is the objective of training. The estimator prepares the
rows in the same way as for a fit. This module does not know how an operation is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from .._base import BaseMLP
from .._data.inputs import Matrix
from .._data.sample_weights import zero_weights_error
from .._inspected_fit import inspected_fit
from ._drawing import Drawing
from ._functions import mean, sum
from ._networks import hidden_layer, losses_of, named, outputs_of, penalty_of, targets_of
from ._variable import Variable, constant


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """The computational graph of a network, its loss and its variables; `from_estimator` creates it.

    Parameters
    ----------
    loss : Variable
        The objective of training on these rows, a scalar.
    X : Variable of shape (n_rows, n_inputs)
        The inputs of the network, after missing values were replaced and the inputs were scaled.
    y : Variable of shape (n_rows, n_outputs)
        The targets, a constant: scaled values, or 0 and 1 for classes, with label smoothing.
    coefs : list of Variable
        The weights of each layer, of shape (n_in, n_out).
    intercepts : list of Variable
        The biases of each layer, of shape (n_out,).
    norm_scales : list of Variable
        γ of each hidden layer, of shape (n_out,); an empty list without `batch_norm` and `layer_norm`.
    norm_shifts : list of Variable
        β of each hidden layer, of shape (n_out,); an empty list without `layer_norm`. With `batch_norm`, `intercepts` are β.
    weighted_sums : list of Variable
        Z of each layer, of shape (n_rows, n_out).
    activations : list of Variable
        The activations of each hidden layer, of shape (n_rows, n_out).
    outputs : Variable of shape (n_rows, n_outputs)
        The outputs of the network. With the log-loss, they are not a part of the graph of the loss, which depends on Z directly.
    """

    loss: Variable
    X: Variable
    y: Variable
    coefs: list[Variable]
    intercepts: list[Variable]
    norm_scales: list[Variable]
    norm_shifts: list[Variable]
    weighted_sums: list[Variable]
    activations: list[Variable]
    outputs: Variable

    def backward(self) -> None:
        """Compute the gradients of the loss with respect to all variables, as ``loss.backward()`` does."""
        self.loss.backward()

    def render(self, *, backward: bool = True, direction: str = "auto", max_nodes: int = 100) -> Drawing:
        """Draw the graph of the loss, as ``loss.render()`` does.

        Parameters
        ----------
        backward : bool, default=True
            Whether to draw the backward pass: gradients and local derivatives.
        direction : {'auto', 'right', 'down'}, default='auto'
            Where the arrows of the forward pass point. 'auto' selects 'right', or 'down' if the drawing would be very wide.
        max_nodes : int, default=100
            The largest number of nodes that are drawn.

        Returns
        -------
        drawing : Drawing
            The drawing, which Jupyter displays.
        """
        return self.loss.render(backward=backward, direction=direction, max_nodes=max_nodes)


def from_estimator(est: BaseMLP, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkGraph:
    """Build the graph of a fitted network for a few rows, from inputs to the loss.

    The weights and the prepared rows are those with which a fit of these rows would continue. The gradients are therefore those of
    a training step with these rows as one batch, up to rounding errors.

    Parameters
    ----------
    est : MLPClassifier or MLPRegressor
        The fitted estimator.
    X : array-like or sparse matrix of shape (n_rows, n_features)
        The input data, which the estimator prepares (`missing`, `scale`).
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        The target values.
    sample_weight : array-like of shape (n_rows,), default=None
        Sample weights, which are multiplied by the weights of `class_weight`.

    Returns
    -------
    graph : NetworkGraph
        The loss and all variables. `backward` computes the gradients.

    Raises
    ------
    TypeError
        If `est` is not a fastbp estimator.
    NotFittedError
        If `est` is not fitted.
    ValueError
        If the rows cannot be used for this network, for example because of an unknown class.
    ZeroDivisionError
        If the sample weights sum to zero, but not all of them are zero.

    Notes
    -----
    The loss is the mean over rows, weighted by the sample weights, plus the penalties of `alpha` and `l1` divided by the sum of the
    weights, as in training. For the squared error of several outputs, scikit-learn minimizes the sum over outputs, but reports the
    mean over outputs in `loss_curve_`. The graph contains the sum, whose gradients are those of training.

    - Dropout and input noise are left out, because they are random. `clip_norm`, `max_norm` and `weight_decay` are parts of the
      update, not of the loss.
    - With `scale`, `scale_y`, `batch_norm` or `ema_decay`, the weights are those that are trained, not `coefs_`, into which
      scalings, statistics and averages are folded.
    - With `batch_norm`, means and variances are those of the given rows, as in a training step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.graph import from_estimator
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=4, solver="lbfgs", max_iter=200, random_state=0).fit(X, X.ravel() ** 2)
    >>> graph = from_estimator(model, X, X.ravel() ** 2)
    >>> bool(np.isclose(graph.loss.value, model.loss_))
    True
    >>> graph.backward()
    >>> graph.coefs[0].grad.shape
    (1, 4)
    """
    fit = inspected_fit(est, X, y, sample_weight)
    plan, params, X, y, sample_weight = fit.plan, fit.state.params, fit.X, fit.y, fit.sample_weight
    inputs = Variable(np.asarray(X.toarray() if issparse(X) else X, params.dtype), "X")
    targets = constant(targets_of(y, plan, params.dtype), "y")
    coefs, intercepts, scales, shifts = parts = _parameters(plan.layout, params)
    Z, A, outputs = _outputs_of_layers(inputs, plan.architecture, *parts)
    loss = _objective_value(losses_of(Z[-1], outputs, targets, plan), sample_weight, coefs, est)
    return NetworkGraph(loss, inputs, targets, coefs, intercepts, scales, shifts, Z, A, outputs)


def _parameters(layout, params):
    """Return the lists of weights, biases, norm scales and norm shifts as variables."""
    coefs, intercepts = layout.views(params)
    norms = [*layout.norms(params), [], []]
    lists = {"W": coefs, "b": intercepts, "γ": norms[0], "β": norms[1]}
    return [[Variable(array, f"{letter}{n}") for n, array in enumerate(arrays, 1)] for letter, arrays in lists.items()]


def _outputs_of_layers(A, architecture, coefs, intercepts, scales, shifts):
    """Return the weighted sums of all layers, the activations of the hidden layers, and the outputs."""
    sums: list[Any] = []
    activations: list[Any] = []
    for layer, activation in enumerate(architecture.activations):
        norm = [vectors[layer] for vectors in (scales, shifts) if vectors]
        Z, A = hidden_layer(A, coefs[layer], intercepts[layer], norm, activation, layer + 1)
        sums.append(Z)
        activations.append(A)
    sums.append(named(A @ coefs[-1] + intercepts[-1], f"Z{len(coefs)}"))
    return sums, activations, named(outputs_of(sums[-1], architecture), "ŷ")


def _objective_value(losses, sample_weight, coefs, est):
    """Return (Σ weight · loss + penalties) / Σ weight."""
    named(losses, "losses")
    total_weight = losses.shape[0] if sample_weight is None else float(sample_weight.sum(dtype=np.float64))
    if total_weight == 0:
        raise zero_weights_error()
    if sample_weight is not None:
        losses = losses * constant(np.asarray(sample_weight, losses.dtype)[:, None], "weights")
    loss = mean(losses) if losses.shape[1] == 1 and sample_weight is None else sum(losses) / total_weight
    penalty = penalty_of(coefs, float(est.alpha) / total_weight, float(est.l1) / total_weight)
    if penalty is not None:
        loss = named(loss, "mean loss") + named(penalty, "penalty")
    return named(loss, "loss")
