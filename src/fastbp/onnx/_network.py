"""The forward pass of a network as ONNX nodes.

An ``ExportedNetwork`` and the tensor of its raw rows go in; the tensors of its outputs come out. This module does not know how
outputs become labels, and in which model the nodes are.
"""

import numpy as np

from .._data.numeric_inputs import LARGEST_INPUT, SMOOTH_LIMIT
from .._network.activations import ACTIVATION_NAMES
from ._activations import ACTIVATION_EXPRESSIONS, LINK_EXPRESSIONS, ordered_quantile_nodes


def check_convertible(network):
    """Raise a ValueError for user-defined activations."""
    for activation in network.activations:
        if not isinstance(activation, str):
            raise ValueError(
                f"activation must be one of {ACTIVATION_NAMES} for a conversion to ONNX, because ONNX cannot contain functions in "
                f"Python; got {activation!r}. Fit the estimator with one of these names."
            )


def output_nodes(network, X):
    """Return a list with the predictions of outputs for rows X: one tensor, or one for each column of a multioutput y."""
    outputs = _unlimited_outputs(network, X)
    if network.output_range is None:
        return outputs
    low, high = network.output_range.reshape(2, *outputs_shape(network))
    return [outputs[0].maximum(low).apply("Min", high)]


def outputs_shape(network):
    """Return the shape of the outputs for one row, of which those for several quantiles have two dimensions."""
    n_quantiles = network.n_quantiles
    return (network.sizes[-1] // n_quantiles, n_quantiles) if network.link == "ordered_quantiles" else (network.sizes[-1],)


def _unlimited_outputs(network, X):
    """Return the outputs of the network without the limits of the predictions."""
    A, last = _clipped_inputs(network, _filled_inputs(network, X)), len(network.coefs) - 1
    for layer in range(last):
        A = ACTIVATION_EXPRESSIONS[network.activations[layer]](_weighted_sums(network, layer, A))
    Z = A.apply("Gemm", network.coefs[last], network.intercepts[last])
    if network.link == "ordered_quantiles":
        return [ordered_quantile_nodes(Z, network.sizes[-1] // network.n_quantiles, network.n_quantiles)]
    return [LINK_EXPRESSIONS[network.link](part) for part in _output_groups(network, Z)]


def _filled_inputs(network, X):
    """Return the inputs of the first layer: X with NaN replaced, and the indicators of NaN."""
    if network.fill_values is None:
        return X
    is_missing = X.apply("IsNaN")
    filled = is_missing.where(network.fill_values, X)
    if len(network.indicators) == 0:
        return filled
    indicators = is_missing.apply("Gather", network.indicators.astype(np.int64), axis=1).where(1.0, 0.0)
    return filled.apply("Concat", indicators, axis=1)


def _clipped_inputs(network, X):
    """Return the inputs of the first layer after smooth clipping, if the network has it."""
    if network.clip_factors is None:
        return X
    v = (X - network.clip_centers) * network.clip_factors
    v = v.maximum(-LARGEST_INPUT).apply("Min", LARGEST_INPUT)
    share = v / SMOOTH_LIMIT
    return v / (share * share + 1.0).apply("Sqrt")


def _weighted_sums(network, layer, A):
    """Return the weighted sums of a hidden layer, after layer normalization if the network has it."""
    W, b = network.coefs[layer], network.intercepts[layer]
    if not network.norm_scales:
        return A.apply("Gemm", W, b)
    # with weights and biases whose mean over the units is subtracted, the mean of each row of Z is 0
    W, b = W.astype(np.float64), b.astype(np.float64)
    Z = A.apply("Gemm", W - W.mean(axis=1, keepdims=True), b - b.mean())
    variances = (Z * Z).sum_of_rows() / float(len(b))
    normalized = Z / (variances + network.norm_epsilon).apply("Sqrt")
    return normalized * network.norm_scales[layer] + network.norm_shifts[layer]


def _output_groups(network, Z):
    """Return the parts of Z that belong to the columns of a multioutput y."""
    if len(network.group_sizes) < 2:
        return [Z]
    return Z.apply("Split", np.array(network.group_sizes, np.int64), n_outputs=len(network.group_sizes), axis=1)
