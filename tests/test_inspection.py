"""``fastbp.inspection``: traces and gradient checks.

Traces are compared with the worked examples of notes on backpropagation, with formulas in NumPy, with the losses and the steps of
training, and with finite differences. The examples, whose numbers are exact, are the same as in ``test_backprop_notes.py``.
"""

import pickle
import subprocess
import sys
import warnings
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_almost_equal_nulp, assert_array_equal
from scipy.sparse import csr_array, issparse
from scipy.special import expit, softmax
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_combinations import ACTIVATIONS, LINKS, SOLVERS, valid_cases

import fastbp
from fastbp import Activation, Loss, MLPClassifier, MLPRegressor
from fastbp._kernels.codes import LinkCode
from fastbp._kernels.lazy.activations import ACTIVATIONS as KERNEL_ACTIVATIONS
from fastbp._kernels.lazy.losses import LOSSES as KERNEL_LOSSES
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._network.losses import REGRESSION
from fastbp.inspection import GradientCheck, Trace, check_gradients, trace
from fastbp.inspection._formulas import OF_ACTIVATIONS, OF_LINKS, OF_LOSSES, OF_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(30, 4))
VALUES = np.abs(X[:, :2] - X[:, 2:]) + 0.1
CODES = 1 * (X[:, 0] > 0) + (X[:, 1] > 0.3)
LABELS = {
    "binary": CODES > 0,
    "multiclass": CODES,
    "multilabel": 1 * (X[:, :3] > 0),
    "multioutput": np.column_stack([CODES, 1 * (X[:, 3] > 0)]),
}


def fitted(kind, y, X=X, **params):
    defaults = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "learning_rate_init": 0.01, "random_state": 0, "n_threads": 1}
    return kind(**defaults | params).fit(X, y)


def rebuilt(y, coefs, intercepts, kind=MLPRegressor, **params):
    """An estimator with the given weights, without penalties; y contains the targets that the classifier must know."""
    sizes = tuple(len(b) for b in intercepts[:-1])
    model = kind(hidden_layer_sizes=sizes, alpha=0, max_iter=1, **params).fit(np.zeros((len(y), len(coefs[0]))), y)
    model.coefs_, model.intercepts_ = [np.array(W, float) for W in coefs], [np.array(b, float) for b in intercepts]
    return model


# ---------------------------------------------------------------------- worked examples


def test_example_2_a_linear_neuron():
    """ŷ = h w1 + k w2 + b with the error (y − ŷ)², which is twice the loss of fastbp."""
    values = trace(rebuilt([10.0], [[[5], [-1]]], [[3]]), [[1.0, -3.0]], [10.0])
    assert values.A[1] == 11
    assert 2 * values.loss == 1
    assert 2 * values.delta[0] == 2
    assert_array_equal(2 * values.coef_grads[0], [[2], [-6]])
    assert 2 * values.intercept_grads[0] == 2


def test_example_3_a_sigmoid_neuron_is_exact():
    """∂J/∂w = −(y−ŷ) σ'(z) x and ∂J/∂b = −(y−ŷ) σ'(z); with z = 0, ŷ is 1/2 and σ'(z) is 1/4."""
    model = rebuilt([1.0], [[[3], [1]]], [[0]], out_activation="logistic")
    values = trace(model, [[0.5, -1.5]], [1.0])
    assert (values.Z[0], values.A[1], values.loss) == (0, 0.5, 0.125)
    assert values.delta[0] == -0.125
    assert_array_equal(values.coef_grads[0], [[-0.0625], [0.1875]])
    assert values.intercept_grads[0] == -0.125


def test_example_3_with_any_numbers():
    x, y = np.array([[0.5, -1.5]]), 1.0
    values = trace(rebuilt([y], [[[2.0], [0.7]]], [[0.3]], out_activation="logistic"), x, [y])
    a = values.A[1]
    assert_array_almost_equal_nulp(a, expit(x @ [[2.0], [0.7]] + 0.3), 4)
    delta = -(y - a) * (a * (1 - a))
    assert_array_almost_equal_nulp(values.delta[0], delta, 1)
    assert_array_almost_equal_nulp(values.coef_grads[0], delta * x.T, 2)
    assert_array_almost_equal_nulp(values.intercept_grads[0], delta[0], 1)


@pytest.mark.parametrize("y", [0, 1])
def test_example_4_logistic_regression(y):
    """∂L/∂w = (ŷ−y) x and ∂L/∂b = ŷ−y."""
    x = np.array([[1.0, -2.0, 0.25]])
    model = rebuilt([0, 1], [[[0.4], [0.1], [-3.0]]], [[-0.2]], MLPClassifier)
    values = trace(model, x, [y])
    assert_array_equal(values.delta[0], values.A[1] - y)
    assert_array_almost_equal_nulp(values.coef_grads[0], (values.A[1] - y) * x.T, 1)
    assert_array_equal(values.intercept_grads[0], values.delta[0][0])
    exact = trace(rebuilt([0, 1], [[[2], [1], [0]]], [[0]], MLPClassifier), x, [y])
    assert_array_equal(exact.coef_grads[0], (0.5 - y) * x.T)
    assert exact.loss == pytest.approx(np.log(2), rel=1e-15)


def test_example_5_a_two_layer_network_is_exact():
    """δ2 = ŷ−y, ∂L/∂W2 = a1 δ2, δ1 = (W2 δ2) ⊙ g'(z1), ∂L/∂W1 = x δ1, with ReLU and z2 = 0."""
    W1, W2 = [[1, -2, 0], [1, 1, 1]], [[2], [5], [-3]]
    model = rebuilt([0, 1], [W1, W2], [[0, -1, 0], [0]], MLPClassifier, activation="relu")
    values = trace(model, [[1.0, 2.0]], [1])
    assert_array_equal(values.Z[0], [[3, -1, 2]])
    assert_array_equal(values.A[1], [[3, 0, 2]])
    assert_array_equal(values.slopes[0], [[1, 0, 1]])
    assert (values.Z[1], values.delta[1]) == (0, -0.5)
    assert_array_equal(values.coef_grads[1], [[-1.5], [0], [-1]])
    assert_array_equal(values.delta[0], [[-1, 0, 1.5]])
    assert_array_equal(values.coef_grads[0], [[-1, 0, 1.5], [-2, 0, 3]])
    assert_array_equal(values.intercept_grads[0], [-1, 0, 1.5])


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_example_5_with_any_numbers(activation):
    model = fitted(MLPClassifier, LABELS["binary"], hidden_layer_sizes=5, activation=activation, alpha=0)
    x, y = X[:1], LABELS["binary"][:1]
    values = trace(model, x, y)
    a, W2 = values.A[1], values.coefs[1]
    slope = {"identity": np.ones_like(a), "logistic": a * (1 - a), "tanh": 1 - a * a, "relu": 1.0 * (a > 0)}[activation]
    assert_array_equal(values.delta[1], values.A[2] - y)
    assert_array_equal(values.coef_grads[1], a.T * values.delta[1])
    assert_array_almost_equal_nulp(values.delta[0], W2.T * values.delta[1] * slope, 4)
    assert_array_equal(values.coef_grads[0], x.T * values.delta[0])


# ---------------------------------------------------------------------- every combination of parameters


def numpy_outputs(case, values):
    """The outputs for the weighted sums of the last layer, by the formulas of `test_combinations`."""
    Z, link = values.Z[-1].astype(np.float64), values.about["link"]
    if link == "ordered_quantiles":
        parts = np.split(Z, Z.shape[1] // 3, axis=1)
        return np.hstack([np.cumsum(np.hstack([part[:, :1], np.logaddexp(0, part[:, 1:])]), axis=1) for part in parts])
    if link == "grouped_softmax":
        return np.hstack([softmax(part, axis=1) for part in np.split(Z, [3, 5], axis=1)])
    return LINKS[link](Z)


def activations_of(case):
    activation = case.params["activation"]
    return activation if isinstance(activation, list) else [activation] * len(case.params["hidden_layer_sizes"])


def assert_consistent(case, values):
    """Check all arrays of a trace against each other by the formulas in the docstring of `Trace`."""
    single = values.Z[0].dtype == np.float32
    close = {"rtol": 2e-3, "atol": 2e-5} if single else {"rtol": 1e-9, "atol": 1e-11}
    n_layers, config, per_unit = len(values.coefs), case.params, values.norm == "batch_norm"
    weight = np.ones(len(values.y)) if values.sample_weight is None else values.sample_weight
    assert_allclose(values.weight_sum, weight.sum(), rtol=1e-6)
    for layer, (W, b) in enumerate(zip(values.coefs, values.intercepts, strict=True)):
        is_hidden, below, delta = layer < n_layers - 1, values.A[layer], values.delta[layer]
        bias = 0 if per_unit and is_hidden else b
        assert_allclose(values.Z[layer], below @ W + bias, **close)
        if is_hidden:
            inner = values.norm_Z[layer] if values.norm else values.Z[layer]
            assert_allclose(values.A[layer + 1], ACTIVATIONS[activations_of(case)[layer]](inner.astype(np.float64)), **close)
            assert_allclose(
                values.slopes[layer], numpy_slopes(case, layer, inner, values.slopes[layer]), atol=1e-2 if single else 1e-5
            )
            back = values.delta[layer + 1] @ values.coefs[layer + 1].T * values.slopes[layer]
            assert_allclose(values.norm_delta[layer] if values.norm else delta, back, **close)
        penalty = (config["alpha"] * W + config["l1"] * np.sign(W)) / values.weight_sum
        assert_allclose(values.coef_penalty_grads[layer], penalty, **close)
        assert_allclose(values.coef_grads[layer], below.T @ delta + penalty, **close)
        source = values.norm_delta[layer] if per_unit and is_hidden else delta
        assert_allclose(values.intercept_grads[layer], source.sum(axis=0), **close)
    assert_allclose(values.A[-1], numpy_outputs(case, values), **close)
    squares = sum((W.astype(np.float64) ** 2).sum() for W in values.coefs)
    sizes = sum(np.abs(W.astype(np.float64)).sum() for W in values.coefs)
    assert_allclose(values.penalty, (config["alpha"] / 2 * squares + config["l1"] * sizes) / values.weight_sum, rtol=1e-5)
    assert values.loss == values.data_loss + values.penalty
    assert_norm(values, close)


def numpy_slopes(case, layer, Z, slopes):
    """Central differences of the activation; next to a kink, the slopes themselves."""
    function, step, Z = ACTIVATIONS[activations_of(case)[layer]], 1e-6, Z.astype(np.float64)
    left, right = (function(Z) - function(Z - step)) / step, (function(Z + step) - function(Z)) / step
    return np.where(np.abs(right - left) > 1e-3, slopes, (left + right) / 2)


def assert_norm(values, close):
    """Check the norm and its gradients against a formula for each unit or row."""
    for layer in range(len(values.norm_Z)):
        axis = 0 if values.norm == "batch_norm" else 1
        Z, scale = values.Z[layer], values.norm_scales[layer]
        shift = values.intercepts[layer] if axis == 0 else values.norm_shifts[layer]
        normal = (Z - Z.mean(axis=axis, keepdims=True)) / np.sqrt(Z.var(axis=axis, keepdims=True) + 1e-5)
        assert_allclose(values.norm_Z[layer], scale * normal + shift, **close)
        assert_allclose(values.norm_scale_grads[layer], (values.norm_delta[layer] * normal).sum(axis=0), **close)
        if axis == 1:
            assert_allclose(values.norm_shift_grads[layer], values.norm_delta[layer].sum(axis=0), **close)


def fit_slowly(case):
    """The fitted model of a case; the steps are so small that no fit diverges."""
    return case.fit(learning_rate_init=1e-4)


def check_case(case):
    model = fit_slowly(case)
    before = pickle.dumps(model.coefs_)
    values, check = trace(model, case.X, case.y, case.weight), check_gradients(model, case.X, case.y, case.weight)
    assert_consistent(case, values)
    assert check.passed, check
    assert check.dtype == values.coefs[0].dtype
    assert pickle.dumps(model.coefs_) == before
    assert issparse(values.A[0]) == issparse(values.A[0])
    assert values.to_html().count("<section") == 3 + 4 * len(values.coefs) - 1


@settings(max_examples=25)
@given(valid_cases)
def test_traces_are_consistent_and_gradients_are_correct(case):
    check_case(case)


@pytest.mark.slow
@settings(max_examples=400)
@given(valid_cases)
def test_many_traces_are_consistent_and_gradients_are_correct(case):
    check_case(case)
