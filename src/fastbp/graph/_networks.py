"""The layers and the loss of a network as operations on variables.

Variables and the ``Plan`` of a network go in; variables come out. Activations and losses call the functions that training uses, so
that every activation and every loss can be used in a graph. This module does not know about estimators.
"""

import numpy as np

from .._kernels.lazy.addresses import lazy_functions
from .._kernels.lazy.norms import VARIANCE_EPSILON
from .._network.numpy_passes import activate_layer, apply_link, multiply_by_slopes
from ._edges import Edge, Reduced
from ._functions import exp, maximum, mean, relu, sigmoid, sum, tanh
from ._variable import constant, elementwise, recorded

_FUNCTIONS = {"logistic": sigmoid, "tanh": tanh, "relu": relu, "exp": exp}


def named(variable, name):
    """Return a variable after giving it a name; a variable that has a name keeps it."""
    variable.name = variable.name or name
    return variable


# ---------------------------------------------------------------------- hidden layers


def hidden_layer(A, W, b, norm, activation, number):
    """Return Z and g(Z) of a hidden layer; ``norm`` is empty, [γ] for batch normalization or [γ, β] for layer normalization."""
    if not norm:
        Z = named(A @ W + b, f"Z{number}")
        return Z, named(_activated(Z, activation), f"A{number}")
    gamma, *beta = norm
    per_unit = not beta  # batch normalization uses b as β, because subtracting the mean cancels any bias
    Z = named(A @ W if per_unit else A @ W + b, f"Z{number}")
    centered = Z - mean(Z, axis=0 if per_unit else 1, keepdims=True)
    variance = mean(centered**2, axis=0 if per_unit else 1, keepdims=True)
    normalized = centered / (variance + VARIANCE_EPSILON) ** 0.5
    shifted = gamma * normalized + (b if per_unit else beta[0])
    return Z, named(_activated(shifted, activation), f"A{number}")


def _activated(Z, activation):
    if activation == "identity":
        return Z
    if isinstance(activation, str) and activation in _FUNCTIONS:
        return _FUNCTIONS[activation](Z)
    values = np.array(Z.value, order="C")
    activate_layer(values, activation, None)
    slopes = np.ones_like(values)
    multiply_by_slopes(slopes, np.array(Z.value), values, activation, None)
    return recorded(f"{_function_name(activation)}({{0}})", values, elementwise(Z, slopes))


def _function_name(function):
    """Return the name of a built-in activation or loss, or of the function of a user-defined one."""
    return function if isinstance(function, str) else function.value.__name__


# ---------------------------------------------------------------------- output layer


def outputs_of(Z, architecture):
    """Return the outputs of the network for the weighted sums Z (n_rows, n_outputs) of its last layer."""
    link = architecture.link
    if link in ("softmax", "grouped_softmax"):
        return _shares(Z, architecture.numbers or (Z.shape[1],))
    if link == "ordered_quantiles":
        return _ordered_quantiles(Z, len(architecture.numbers))
    return _activated(Z, link)


def _shares(Z, sizes):
    """Return e^(Z − max) / Σ e^(Z − max) in each group of columns; the maximum is a constant, because it cancels."""
    ends = np.cumsum(sizes)
    shift = np.hstack(
        [np.repeat(part.max(axis=1, keepdims=True), part.shape[1], 1) for part in np.split(Z.value, ends[:-1], axis=1)]
    )
    powers = exp(Z - constant(shift, "max"))
    if len(sizes) == 1:
        return powers / sum(powers, axis=1, keepdims=True)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return powers / (powers @ constant((group[:, None] == group).astype(Z.dtype), "groups"))


def _ordered_quantiles(Z, size):
    """Return a[0] = z[0] and a[j] = a[j−1] + softplus(z[j]) in each group of ``size`` columns."""
    column = np.arange(Z.shape[1])
    first = constant((column % size == 0).astype(Z.dtype), "first")
    others = constant((column % size != 0).astype(Z.dtype), "others")
    adds = (column[:, None] <= column) & (column[:, None] // size == column // size)
    return (first * Z + others * _activated(Z, "softplus")) @ constant(adds.astype(Z.dtype), "adds")


def targets_of(y, plan, dtype):
    """Return one target for each output (n_rows, n_outputs): class codes are expanded, and label smoothing is applied."""
    numbers, smoothing, n_outputs = plan.architecture.numbers, plan.objective.smoothing, plan.layout.sizes[-1]
    sizes = numbers if plan.objective.of_classes and numbers else (n_outputs,)
    if y.shape[1] == n_outputs and len(sizes) == 1:
        return ((1 - smoothing) * y + smoothing / 2 if smoothing else np.asarray(y)).astype(dtype)
    parts = [
        np.eye(size)[column.astype(np.int64)] * (1 - smoothing) + smoothing / size for size, column in zip(sizes, y.T, strict=True)
    ]
    return np.hstack(parts).astype(dtype)


def losses_of(Z, outputs, targets, plan):
    """Return the losses of all rows, (n_rows, n_outputs) or (n_rows, 1), for the last weighted sums and the outputs."""
    loss, link = plan.objective.loss, plan.architecture.link
    if loss == "log_loss":
        return _log_losses(Z, targets, plan)
    if loss == "squared_error":
        return 0.5 * (outputs - targets) ** 2
    if link == "ordered_quantiles":
        quantiles, n_columns = plan.architecture.numbers, Z.shape[1]
        pairs = [
            _losses_and_slopes(outputs.value[:, [j]], targets.value[:, [j]], plan, [quantiles[j % len(quantiles)]])
            for j in range(n_columns)
        ]
        losses, slopes = (np.hstack(parts) for parts in zip(*pairs, strict=True))
    else:
        losses, slopes = _losses_and_slopes(outputs.value, targets.value, plan, plan.architecture.numbers)
    return recorded(f"{_function_name(loss)}({{1}}, {{0}})", losses, elementwise(outputs, slopes), Edge(targets))


def _log_losses(Z, targets, plan):
    """Return the log-loss as a function of Z, because its derivative p − y is accurate even if p is rounded to 0 or 1."""
    probabilities = np.array(Z.value, order="C")
    apply_link(probabilities, plan.architecture)
    losses, slopes = _losses_and_slopes(probabilities, targets.value, plan, ())
    if plan.architecture.link == "logistic":
        return recorded("log_loss({1}, σ({0}))", losses, elementwise(Z, slopes), Edge(targets))
    return recorded("log_loss({1}, softmax({0}))", losses.sum(axis=1, keepdims=True), Reduced(Z, slopes, (1,), True), Edge(targets))


def _losses_and_slopes(outputs, targets, plan, output_numbers):
    """Return the loss and its derivative of each element, computed by the function that training uses."""
    loss, (numbers, _) = plan.objective.loss, plan.loss_numbers()
    compute = lazy_functions("loss")[loss] if isinstance(loss, str) else loss.compiled
    losses, slopes = np.array(targets), np.empty_like(outputs)
    compute(np.array(outputs).reshape(-1), losses.reshape(-1), slopes.reshape(-1), numbers, np.array(output_numbers, np.float64))
    return losses, slopes


def penalty_of(coefs, alpha, l1):
    """Return alpha / 2 Σ W² + l1 Σ |W|, or None if both are 0."""
    terms = [0.5 * alpha * _total(sum(W**2) for W in coefs)] if alpha else []
    if l1:
        terms.append(l1 * _total(sum(maximum(W, -W)) for W in coefs))
    return _total(terms) if terms else None


def _total(terms):
    first, *others = terms
    for term in others:
        first = first + term
    return first
