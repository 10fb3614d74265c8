"""The rows, targets and parameters for the tests of exports, and predictions in plain NumPy from an ``ExportedNetwork``.

The predictions follow the docstring of ``ExportedNetwork``. They are the reference for all exports.
"""

import numpy as np
from numpy.testing import assert_allclose
from scipy.special import erf, expit, softmax

from fastbp import Activation

RNG = np.random.RandomState(0)
X = RNG.normal(2, 3, size=(60, 5))
WITH_NAN = np.where(RNG.uniform(size=X.shape) < [0.3, 0, 0.2, 0, 0], np.nan, X)
CODES = np.tile([0, 1, 2], 20)
TARGETS = {
    "binary": CODES > 0,
    "multiclass": np.array(["low", "middle", "high"])[CODES],
    "multilabel": np.column_stack([CODES == 1, CODES > 0, X[:, 0] > 2]).astype(int),
    "multioutput": np.column_stack([CODES, np.arange(60) % 4]),
    "single_class": np.full(60, "only"),
}
VALUES = np.column_stack([X[:, 0] + X[:, 1] ** 2, np.sin(X[:, 2])])
SMALL = {"hidden_layer_sizes": (7, 4), "max_iter": 4, "random_state": 0}


def softsign(z):
    return z / (1 + abs(z))


COMMON = [
    {},
    {"scale": "standard", "batch_norm": True, "ema_decay": 0.9},
    {"layer_norm": True, "scale": "robust", "activation": ["relu", "silu"]},
    {"hidden_layer_sizes": ()},
    {"activation": ["gelu", "tanh"], "batch_norm": True},
    {"missing": "indicator", "scale": "standard"},
    {"scale": "smooth_clip"},
    {"missing": "indicator", "scale": "smooth_clip", "hidden_layer_sizes": ()},
    {"solver": "lbfgs", "activation": "logistic"},
    {"activation": Activation(softsign)},
]


def with_limits(model, rows):
    """A regressor with `clip_predictions` whose range is narrower than that of its outputs for some rows."""
    model.y_range_ = np.quantile(model.transform(rows, layer=-1), [0.3, 0.6], axis=0)
    assert (model.predict(rows).reshape(len(rows), -1) != model.transform(rows, layer=-1)).any()
    return model


def rows_of(params):
    """The rows for an estimator with these parameters."""
    return WITH_NAN if "missing" in params else X


SELU = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def softplus(z):
    return np.logaddexp(0, z)


ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * np.expm1(np.minimum(z, 0))),
    "silu": lambda z: z * expit(z),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "mish": lambda z: z * np.tanh(softplus(z)),
    "softplus": softplus,
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "hard_swish": lambda z: z * np.clip(z / 6 + 0.5, 0, 1),
}


def reference_inputs(network, X):
    """The inputs of the first layer in float64 for raw rows."""
    X = np.asarray(X, np.float64)
    if network.fill_values is not None:
        is_missing = np.isnan(X)
        X = np.hstack([np.where(is_missing, network.fill_values, X), is_missing[:, network.indicators]])
    if network.clip_factors is not None:
        X = (X - network.clip_centers) * network.clip_factors
        X = X / np.sqrt(1 + (X / 3) ** 2)
    return X


def apply_activation(activation, Z):
    if isinstance(activation, str):
        return ACTIVATIONS[activation](Z)
    return np.vectorize(activation.value, [float])(Z)


def apply_link(network, Z):
    if network.link == "softmax":
        return softmax(Z, axis=1)
    if network.link == "grouped_softmax":
        parts = np.split(Z, np.cumsum(network.group_sizes)[:-1], axis=1)
        return np.hstack([softmax(part, axis=1) for part in parts])
    if network.link == "ordered_quantiles":
        groups = Z.reshape(len(Z), -1, network.n_quantiles)
        steps = np.concatenate([groups[..., :1], softplus(groups[..., 1:])], axis=2)
        return steps.cumsum(axis=2).reshape(Z.shape)
    return np.exp(Z) if network.link == "exp" else ACTIVATIONS[network.link](Z)


def reference_outputs(network, X):
    """The outputs of the network (n_rows, n_outputs) in float64 for raw rows."""
    A, last = reference_inputs(network, X), len(network.coefs) - 1
    for layer, (W, b) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        Z = A @ np.asarray(W, np.float64) + b
        if layer < last and network.norm_scales:
            inverse = 1 / np.sqrt(Z.var(axis=1, keepdims=True) + network.norm_epsilon)
            Z = (Z - Z.mean(axis=1, keepdims=True)) * inverse * network.norm_scales[layer] + network.norm_shifts[layer]
        A = apply_activation(network.activations[layer], Z) if layer < last else apply_link(network, Z)
    return A


def reference_probabilities(network, X):
    """What ``predict_proba`` returns, in float64."""
    outputs, labels = reference_outputs(network, X), network.labels
    groups = np.split(outputs, np.cumsum(network.group_sizes)[:-1], axis=1) if labels.kind == "multioutput" else [outputs]
    groups = [_probabilities(labels, group) for group in groups]
    if labels.kind == "multioutput":
        return groups
    return np.hstack([1 - groups[0], groups[0]]) if outputs.shape[1] == 1 else groups[0]


def _probabilities(labels, group):
    group = group.clip(0, 1) if labels.is_clipped else group
    if labels.is_divided:
        sums = group.sum(axis=1, keepdims=True)
        group = np.where(sums > 0, group / np.where(sums > 0, sums, 1), 1 / group.shape[1])
    return group


def reference_predictions(network, X):
    """What ``predict`` returns; for a multilabel y, a dense array."""
    outputs, labels = reference_outputs(network, X), network.labels
    if labels is None:
        outputs = outputs if network.output_range is None else outputs.clip(*network.output_range)
        n_quantiles = network.n_quantiles
        if 1 < n_quantiles < outputs.shape[1]:
            return outputs.reshape(len(outputs), -1, n_quantiles)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
    if labels.kind == "multioutput":
        parts = np.split(outputs, np.cumsum(network.group_sizes)[:-1], axis=1)
        return np.column_stack([some.take(part.argmax(axis=1)) for some, part in zip(labels.classes, parts, strict=True)])
    (classes,) = labels.classes
    if labels.kind == "multilabel":
        return (outputs > 0.5).astype(int)
    if labels.kind == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    return classes.take((outputs[:, 0] > 0.5) & (len(classes) > 1))


def assert_close_probabilities(actual, expected, **tolerance):
    """Compare results of ``predict_proba``, which are lists for a y with several multiclass outputs."""
    assert isinstance(actual, list) == isinstance(expected, list)
    for one, other in zip(*([[actual], [expected]] if not isinstance(actual, list) else [actual, expected]), strict=True):
        assert_allclose(one, other, **tolerance)
