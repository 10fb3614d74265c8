"""``fastbp.inspection``: traces and gradient checks.

Traces are compared with the worked examples of notes on backpropagation, with formulas in NumPy, with the losses and the steps of
training, and with finite differences. The examples, whose numbers are exact, are the same as in ``test_backprop_notes.py``.
"""

import os
import pickle
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from drawn_cases import drawn
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_almost_equal_nulp, assert_array_equal
from scipy.sparse import csr_array, issparse
from scipy.special import expit, softmax
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_combinations import ACTIVATIONS, LINKS, SOLVERS, valid_cases

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
    slope = {"identity": np.ones_like(a), "logistic": a * (1 - a), "tanh": (1 - a) * (1 + a), "relu": 1.0 * (a > 0)}[activation]
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
    assert issparse(values.A[0]) == issparse(case.X)
    assert values.to_html().count("<section") == 3 + 4 * len(values.coefs) - 1


@settings(max_examples=25)
@given(valid_cases)
def test_traces_are_consistent_and_gradients_are_correct(case):
    check_case(case)


@pytest.mark.slow
@drawn(100, valid_cases)
def test_many_traces_are_consistent_and_gradients_are_correct(case):
    check_case(case)


# ---------------------------------------------------------------------- traces and training


@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "lbfgs"])
@pytest.mark.parametrize("params", [{}, {"l1": 0.02, "weight_decay": 0.1, "clip_norm": 0.05, "max_norm": 0.9, "layer_norm": True}])
def test_update_is_the_next_step_of_training(solver, params):
    """One batch of all rows in their order: `partial_fit` reports the same loss and changes the weights by the same numbers."""
    model = fitted(MLPClassifier, CODES, solver=solver, shuffle=False, **params)
    values, before = trace(model, X, CODES), [W.copy() for W in (*model.coefs_, *model.intercepts_)]
    model.partial_fit(X, CODES)
    assert model.loss_ == pytest.approx(values.loss, rel=1e-13)
    steps = [new - old for new, old in zip([*model.coefs_, *model.intercepts_], before, strict=True)]
    for step, traced in zip(steps, [*values.coef_updates, *values.intercept_updates], strict=True):
        assert_array_equal(traced, step)
    assert values.update_rule.startswith(f"{solver}, step 6, ")


def test_update_of_gradient_descent_is_the_scaled_gradient():
    model = fitted(MLPRegressor, VALUES, solver="sgd", momentum=0, nesterovs_momentum=False, l1=0.1, batch_norm=True)
    values = trace(model, X, VALUES, np.arange(30.0))
    for name in ("coef", "intercept", "norm_scale"):
        for step, gradient in zip(getattr(values, f"{name}_updates"), getattr(values, f"{name}_grads"), strict=True):
            assert_allclose(step, -0.01 * gradient, rtol=1e-8, atol=1e-15)


def test_lbfgs_has_the_same_loss_and_a_step_of_gradient_descent():
    model = fitted(MLPRegressor, VALUES[:, 0], solver="lbfgs", alpha=0.1, l1=0.01)
    values = trace(model, X, VALUES[:, 0])
    assert values.loss == pytest.approx(model.loss_, rel=1e-13)
    assert values.update_rule == "gradient descent with learning rate 0.01, because L-BFGS keeps no state after a fit"
    assert_allclose(values.coef_updates[0], -0.01 * values.coef_grads[0], rtol=1e-14)


def test_estimator_without_a_solver_state_makes_a_step_of_gradient_descent():
    model = MLPRegressor(hidden_layer_sizes=2)
    model.coefs_, model.intercepts_, model.out_activation_ = (
        [np.ones((4, 2)), np.ones((2, 1))],
        [np.ones(2), np.ones(1)],
        "identity",
    )
    values = trace(model, X, VALUES[:, 0])
    assert values.update_rule == "gradient descent with learning rate 0.001, because the estimator has no state of a solver"
    assert values.to_html()


def test_weights_of_another_network_make_a_step_of_gradient_descent():
    """The optimizer of the fit belongs to a network with other sizes."""
    model = fitted(MLPRegressor, VALUES[:, 0])
    model.coefs_, model.intercepts_ = [np.ones((4, 1))], [np.zeros(1)]
    model.n_layers_ = 2
    assert "no state of a solver" in trace(model, X, VALUES[:, 0]).update_rule


def test_dropout_and_noise_are_switched_off():
    params = {"hidden_layer_sizes": 5, "activation": "tanh"}
    model = fitted(MLPRegressor, VALUES, dropout=0.5, input_noise=0.3, **params)
    plain = fitted(MLPRegressor, VALUES, **params)
    plain.coefs_, plain.intercepts_ = model.coefs_, model.intercepts_
    values, expected = trace(model, X, VALUES), trace(plain, X, VALUES)
    assert_array_equal(values.A[0], X)
    for traced, other in zip([*values.A, *values.coef_grads], [*expected.A, *expected.coef_grads], strict=True):
        assert_allclose(traced, other, rtol=1e-12)


def test_sample_weights_are_numbers_of_rows():
    counts = np.arange(30) % 4
    repeated = np.repeat(np.arange(30), counts)
    model = fitted(MLPClassifier, CODES)
    weighted, copied = trace(model, X, CODES, counts), trace(model, X[repeated], CODES[repeated])
    assert weighted.data_loss == pytest.approx(copied.data_loss, rel=1e-12)
    for one, other in zip(weighted.coef_grads, copied.coef_grads, strict=True):
        assert_allclose(one, other, rtol=1e-10, atol=1e-15)


def test_balanced_class_weights_are_those_of_the_rows():
    y = LABELS["binary"]
    values = trace(fitted(MLPClassifier, y, class_weight="balanced"), X[:20], y[:20])
    assert_allclose(np.bincount(y[:20], weights=values.sample_weight), 10)


def test_inputs_are_those_of_the_network():
    """Missing values are replaced and followed by an indicator; all columns and targets are scaled; weights are not folded."""
    gaps = X.copy()
    gaps[:3, 1] = np.nan
    params = {"scale": "standard", "scale_y": "standard", "missing": "indicator"}
    model = fitted(MLPRegressor, VALUES[:, 0], gaps, **params, solver="sgd", shuffle=False)
    values = trace(model, gaps, VALUES[:, 0])
    assert values.A[0].shape == (30, 5)
    assert_allclose(values.A[0].mean(axis=0), 0, atol=1e-12)
    assert_allclose(values.y.std(), 1)
    assert not np.allclose(values.coefs[0], model.coefs_[0])
    assert_allclose(values.A[-1] * VALUES[:, 0].std() + VALUES[:, 0].mean(), model.predict(gaps).reshape(-1, 1), rtol=1e-9)


def test_weights_are_those_that_are_trained_not_their_average():
    model = fitted(MLPRegressor, VALUES, ema_decay=0.9)
    values = trace(model, X, VALUES)
    assert not np.allclose(values.coefs[0], model.coefs_[0])


def test_activations_are_those_of_the_fit():
    model = fitted(MLPClassifier, CODES, activation="tanh")
    before = trace(model, X, CODES)
    assert_array_equal(trace(model.set_params(activation="relu"), X, CODES).A[1], before.A[1])


def test_weights_that_the_user_replaced_are_traced():
    model = fitted(MLPClassifier, CODES)
    model.coefs_[0] = np.zeros_like(model.coefs_[0])
    assert_array_equal(trace(model, X, CODES).Z[0], np.tile(model.intercepts_[0], (30, 1)))


def test_loss_of_several_outputs_is_a_mean_and_its_gradient_that_of_the_sum():
    values = trace(fitted(MLPRegressor, VALUES), X, VALUES)
    assert_allclose(values.data_loss, 0.5 * ((values.A[-1] - VALUES) ** 2).mean(), rtol=1e-13)
    assert_allclose(values.delta[-1], (values.A[-1] - VALUES) / 30, rtol=1e-12)
    assert "mean over the outputs" in values.to_html()


def test_rows_may_lack_classes_even_with_warm_start():
    model = fitted(MLPClassifier, CODES, warm_start=True)
    assert trace(model, X[CODES == 1], CODES[CODES == 1]).loss > 0


def test_large_rows_are_processed_in_blocks():
    """More rows than a block of the kernels."""
    many, y = np.tile(X, (20, 1)), np.tile(CODES, 20)
    model = fitted(MLPClassifier, CODES)
    few, repeated = trace(model, X, CODES), trace(model, many, y)
    assert_allclose(
        repeated.coef_grads[0] - repeated.coef_penalty_grads[0], few.coef_grads[0] - few.coef_penalty_grads[0], rtol=1e-9
    )
    for n in range(2):
        assert_allclose(repeated.A[n + 1], np.tile(few.A[n + 1], (20, 1)), rtol=1e-12)
        assert_allclose(20 * repeated.delta[n], np.tile(few.delta[n], (20, 1)), rtol=1e-10)


def test_loss_that_is_nan_makes_no_step():
    model = fitted(MLPRegressor, VALUES)
    model.coefs_[0][0, 0] = np.nan
    values = trace(model, X, VALUES)
    assert np.isnan(values.loss)
    assert np.isnan(values.coef_updates[0]).all()
    assert "no step, because the loss is NaN" in values.to_html()
    assert not check_gradients(model, X, VALUES).passed


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("function", [trace, check_gradients])
def test_unusable_estimators_and_data_are_refused(function):
    model = fitted(MLPClassifier, CODES)
    with pytest.raises(
        TypeError, match=r"est must be a fitted .* got an object of type Pipeline of scikit-learn\..*pipeline\[-1\]"
    ):
        function(make_pipeline(StandardScaler(), model), X, CODES)
    with pytest.raises(NotFittedError):
        function(MLPClassifier(), X, CODES)
    with pytest.raises(ValueError, match="4 features"):
        function(model, X[:, :3], CODES)
    with pytest.raises(ValueError, match="classes"):
        function(model, X, CODES + 1)
    with pytest.raises(ValueError, match="output units"):
        function(fitted(MLPRegressor, VALUES), X, VALUES[:, 0])
    with pytest.raises(ValueError, match="at least one non-zero"):
        function(model, X, CODES, np.zeros(30))
    with pytest.raises(ZeroDivisionError, match="must not sum to 0"):
        function(fitted(MLPClassifier, CODES).set_params(class_weight=dict.fromkeys(range(3), 0)), X, CODES)
    with pytest.raises(ValueError, match=r"class_weight='balanced' needs rows of all classes.*Pass such rows"):
        function(fitted(MLPClassifier, CODES, class_weight="balanced"), X[CODES == 1], CODES[CODES == 1])
    with pytest.raises(ValueError, match="batch_norm must not change"):
        function(fitted(MLPClassifier, CODES).set_params(batch_norm=True), X, CODES)


@pytest.mark.parametrize("value", [0, np.nan, "a", True])
def test_threshold_must_be_positive(value):
    with pytest.raises(ValueError, match=f"threshold must be None or a number > 0, got {value!r}"):
        check_gradients(fitted(MLPClassifier, CODES), X, CODES, threshold=value)


@pytest.mark.parametrize("value", [-1, 0, 2.5, "x", None, True])
def test_max_params_must_be_an_integer(value):
    with pytest.raises(ValueError, match=f"max_params must be an integer >= 1, got {value!r}"):
        check_gradients(fitted(MLPClassifier, CODES), X, CODES, max_params=value)


@pytest.mark.slow
def test_traces_of_mixed_precision_have_the_gradients_of_training():
    """The gradient is that of the next step, with rounded factors; finite differences are compared with exact products."""
    code = """
import numpy as np
from fastbp import MLPRegressor
from fastbp.inspection import check_gradients, trace

X = np.random.default_rng(0).standard_normal((64, 40), np.float32)
y = X[:, 0] * X[:, 1]
options = {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1, "max_iter": 2, "n_iter_no_change": 3, "random_state": 0}
model = MLPRegressor(hidden_layer_sizes=(48, 32), batch_size=64, dtype="mixed_bfloat16", **options).partial_fit(X, y)
expected, before = trace(model, X, y), [W.copy() for W in model.coefs_]
float32 = trace(model.set_params(dtype="float32"), X, y)
assert check_gradients(model.set_params(dtype="mixed_bfloat16"), X, y).passed
model.partial_fit(X, y)
for layer in (0, 1):  # the third layer is too small
    step, size = model.coefs_[layer] - before[layer], np.linalg.norm(expected.coef_updates[layer])
    assert np.linalg.norm(step - expected.coef_updates[layer]) < 1e-4 * size
    assert np.linalg.norm(step - float32.coef_updates[layer]) > 5e-4 * size
""".strip()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "FASTBP_EMULATE_BF16": "1"})


def test_import_of_fastbp_does_not_import_inspection():
    code = "import sys, fastbp; print([name for name in sys.modules if 'inspection' in name and 'fastbp' in name])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


# ---------------------------------------------------------------------- the data frame


@pytest.mark.parametrize("form", [np.array, csr_array])
@pytest.mark.parametrize("params", [{}, {"layer_norm": True}, {"batch_norm": True}])
def test_frame_contains_every_number(form, params):
    values = trace(fitted(MLPClassifier, CODES, form(X), **params), form(X), CODES)
    frame = values.to_frame()
    assert list(frame.columns) == ["quantity", "layer", "row", "input", "unit", "value"]
    assert not frame["value"].isna().any()

    def table(name, layer, first):
        part = frame[(frame["quantity"] == name) & (frame["layer"] == layer)]
        return part.pivot(index=first, columns="unit", values="value").to_numpy()

    if form is np.array:
        assert_array_equal(table("A", 0, "row"), X)
    for n in (1, 2, 3):
        assert_array_equal(table("A", n, "row"), values.A[n])
        assert_array_equal(table("Z", n, "row"), values.Z[n - 1])
        assert_array_equal(table("delta", n, "row"), values.delta[n - 1])
        assert_array_equal(table("coef_grads", n, "input"), values.coef_grads[n - 1])
        biases = frame[(frame["quantity"] == "intercept_grads") & (frame["layer"] == n)]
        assert_array_equal(biases["value"], values.intercept_grads[n - 1])
        assert biases["row"].isna().all()
        assert biases["input"].isna().all()
    assert float(frame.loc[frame["quantity"] == "loss", "value"].iloc[0]) == values.loss
    arrays = [name for name, value in vars(values).items() if isinstance(value, list) and value]
    assert set(frame["quantity"]) == {*arrays, "loss", "data_loss", "penalty"}
    n_stored = X.size
    assert len(frame) == 3 + n_stored + sum(np.size(a) for name in arrays for a in getattr(values, name)[name == "A" :])


def test_frame_needs_pandas(monkeypatch):
    values = trace(fitted(MLPClassifier, CODES), X, CODES)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas"):
        values.to_frame()


# ---------------------------------------------------------------------- the HTML view


class Page(HTMLParser):
    """The elements of a page. The parser checks that all elements are closed in the right order."""

    VOID = {"meta", "link", "br", "hr", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append((self.open[-1], data.strip()))

    def tags(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag):
        return [text for name, text in self.texts if name == tag and text]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@cache
def iris_like(**params):
    return trace(fitted(MLPClassifier, CODES, **params), X, CODES)


def test_steps_are_in_the_order_of_the_algorithm():
    titles = [text.partition(": ")[2] for text in Page(iris_like().to_html()).text("h3")]
    hidden = ["hidden layer 1", "hidden layer 2", "output layer"]
    assert titles == [
        "inputs and targets",
        *(f"forward pass, {name}" for name in hidden),
        "cost",
        "output delta",
        "delta of hidden layer 2",
        "delta of hidden layer 1",
        *(f"gradients of {name}" for name in hidden),
        *(f"update of {name}" for name in hidden),
    ]
    assert Page(iris_like().to_html()).text("option") == [f"{number}: {title}" for number, title in enumerate(titles, start=1)]


def test_columns_of_the_inputs_are_named_inputs():
    heads = re.findall(r'<th scope="col">([^<]*)</th>', iris_like().to_html())
    assert heads[:5] == ["input 0", "input 1", "input 2", "input 3", "column 0"]


def test_formulas_shapes_and_numbers_are_shown():
    text = iris_like().to_html()
    for shown in ("Z[1] = A[0] W[1] + b[1]", "A[1] = g(Z[1]), with g(z) = max(0, z)", "δ[3] = (A[3] − Y) / m", "A[0]: 30 × 4"):
        assert shown in text
    assert "δ[2] = (δ[3] W[3]ᵀ) ⊙ g′(Z[2])" in text
    assert "∂C/∂W[1] = A[0]ᵀ δ[1] + (α W[1]) / m" in text
    assert f"<td>{iris_like().delta[0][0, 0]:.4g}</td>".replace("-", "−") in text
    assert "Solver: adam, step 6, with learning rate 0.01." in text


def test_large_arrays_are_shortened():
    page = Page(iris_like().to_html())
    assert "Z[1], 30 × 6, shortened" in page.text("caption")
    assert "W[2], 6 × 5" in page.text("caption")
    assert "row 2" in page.text("th")
    assert "row 3" not in page.text("th")
    assert "row 27" in page.text("th")


def test_page_is_accessible_and_needs_no_network():
    page, text = Page(iris_like().to_html()), iris_like().to_html()
    assert "http" not in text
    assert not page.tags("link")
    assert not any("src" in attributes for _, attributes in page.elements)
    assert len(page.tags("table")) == len(page.text("caption"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.tags("th"))
    assert len(page.tags("section")) == len(page.text("h3"))
    assert {attributes["aria-labelledby"] for attributes in page.tags("section")} <= set(page.ids)
    (choice,) = page.tags("label")
    assert choice["for"] in page.ids
    assert [attributes["aria-live"] for _, attributes in page.elements if "aria-live" in attributes] == ["polite"]
    assert page.tags("html") == [{"lang": "en"}]
    assert page.text("title") == [repr(iris_like())]


def test_all_steps_are_visible_without_javascript():
    page = Page(iris_like()._repr_html_())
    assert not any("hidden" in attributes for attributes in page.tags("section"))
    (controls,) = (attributes for _, attributes in page.elements if attributes.get("class") == "controls")
    assert "hidden" in controls  # the script shows the controls


def test_two_views_on_a_page_have_different_ids():
    page = Page(iris_like()._repr_html_() + iris_like()._repr_html_())
    assert len(page.ids) == len(set(page.ids)) > 20


def test_text_of_the_user_is_escaped():
    def value(z):
        return z

    def loss(y, a):
        return (y - a) ** 2

    value.__name__, loss.__name__ = "<script>alert(1)</script>", "a&b<c>"
    activations = [Activation(value), "tanh"]
    text = trace(fitted(MLPRegressor, VALUES, activation=activations, loss=Loss(loss)), X, VALUES).to_html()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a&amp;b&lt;c&gt;" in text


@pytest.mark.parametrize(
    ("kind", "y", "params", "shown"),
    [
        (MLPClassifier, LABELS["binary"], {"batch_norm": True, "l1": 0.1}, "N[1] = γ[1] (Z[1] − μ)"),
        (MLPClassifier, LABELS["multilabel"], {"layer_norm": True, "label_smoothing": 0.1}, "towards 1/K for K classes."),
        (MLPClassifier, LABELS["multioutput"], {}, "for each output"),  # the link is a softmax for each output
        (MLPRegressor, VALUES, {"loss": "quantile", "quantile": [0.1, 0.9]}, "for the others, the quantile before"),
        (MLPRegressor, VALUES, {"loss": "gamma", "max_norm": 1.0}, "The step also contains weight_decay, clip_norm or max_norm"),
        (MLPRegressor, VALUES, {"hidden_layer_sizes": ()}, "δ[1] = (A[1] − Y) / m"),
    ],
)
def test_every_kind_of_network_is_shown(kind, y, params, shown):
    text = trace(fitted(kind, y, **params), X, y).to_html()
    Page(text)
    assert shown.replace("for each output", "of each output") in text


def test_sample_weights_are_shown():
    text = trace(fitted(MLPClassifier, CODES), X, CODES, np.arange(30.0)).to_html()
    assert "weights of the rows" in text
    assert "δ[3] = wᵢ (A[3] − Y) / Σ wᵢ" in text


def test_every_function_has_a_formula():
    assert set(OF_ACTIVATIONS) == set(KERNEL_ACTIVATIONS)
    assert set(OF_LOSSES) == set(KERNEL_LOSSES)
    assert set(OF_LINKS) == set(LinkCode.__members__)
    assert set(OF_SOLVERS) == {None, *N_MOMENTS}


def test_templates_are_files_of_the_package():
    folder = files("fastbp.inspection").joinpath("templates")
    assert {entry.name for entry in folder.iterdir()} == {"fragment.html", "page.html", "step.html"}
    ignored = (Path(__file__).parents[1] / ".gitignore").read_text(encoding="utf-8").split()
    assert not {"*.html", "templates/"} & set(ignored)  # hatchling leaves out ignored files


# ---------------------------------------------------------------------- gradient checks


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", [*REGRESSION, "several quantiles"])
def test_gradients_of_every_loss_are_correct(loss, dtype):
    options = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]} if loss == "several quantiles" else {"loss": loss}
    check = check_gradients(fitted(MLPRegressor, VALUES, activation="tanh", dtype=dtype, **options), X, VALUES)
    assert check.passed, check
    assert (check.dtype, check.threshold) == (dtype, {"float64": 1e-6, "float32": 1e-3}[dtype])
    assert check.n_checked == check.n_params


@pytest.mark.parametrize("norm", ["batch_norm", "layer_norm"])
@pytest.mark.parametrize("activation", list(KERNEL_ACTIVATIONS))
def test_gradients_of_every_activation_are_correct(activation, norm):
    check = check_gradients(fitted(MLPClassifier, CODES, activation=activation, **{norm: True}), X, CODES)
    assert check.passed, check
    kinds = {"weights", "biases", "norm_scales"} | ({"norm_shifts"} if norm == "layer_norm" else set())
    assert [set(errors) for errors in check.layer_errors] == [kinds, kinds, {"weights", "biases"}]


@pytest.mark.parametrize("target", LABELS)
def test_gradients_of_every_kind_of_labels_are_correct(target):
    y, weight = LABELS[target], np.arange(30.0)
    for params in ({"label_smoothing": 0.1}, {"loss": "squared_error", "l1": 0.3}):
        check = check_gradients(fitted(MLPClassifier, y, csr_array(X), activation="silu", **params), csr_array(X), y, weight)
        assert check.passed, check


def wrong_slope(z):
    """The derivative of tanh, with a relative error that `Activation` does not find."""
    return (1 - np.tanh(z) ** 2) * 1.00005


def slope_wrong_on_a_side(z):
    """The derivative of tanh, wrong only for large z."""
    return 1 - np.tanh(z) ** 2 + (0.1 if z > 2.8 else 0.0)


def square(y, a):
    return (a - y) ** 2


def wrong_gradient(y, a):
    return 2 * (a - y) * 1.00004


def plain_tanh(z):
    return np.tanh(z)


@pytest.mark.parametrize("layer", [1, 2])
def test_wrong_derivative_of_an_activation_is_found_in_its_layer(layer):
    activations = ["tanh", "tanh"]
    activations[layer - 1] = Activation(plain_tanh, wrong_slope)
    check = check_gradients(fitted(MLPRegressor, VALUES, activation=activations), X, VALUES)
    assert not check.passed
    assert check.wrong_layer == layer
    assert check.n_kinks == 0
    assert f"The errors begin in layer {layer}. Check the derivative of the activation Activation(plain_tanh, wrong_slope)" in repr(
        check
    )
    assert all(error <= check.threshold for errors in check.layer_errors[layer:] for error in errors.values())


def test_derivative_that_is_wrong_for_some_values_is_found():
    model = fitted(MLPRegressor, VALUES, 4 * X, activation=[Activation(plain_tanh, slope_wrong_on_a_side), "tanh"])
    check = check_gradients(model, 4 * X, VALUES)
    assert (check.passed, check.wrong_layer, check.n_kinks) == (False, 1, 0)


def test_wrong_derivative_of_a_loss_is_found_in_the_output_layer():
    check = check_gradients(fitted(MLPRegressor, VALUES, loss=Loss(square, wrong_gradient), activation="tanh"), X, VALUES)
    assert (check.passed, check.wrong_layer) == (False, 3)
    assert "Check the derivative of the loss Loss(square, wrong_gradient) and of the output activation 'identity'." in repr(check)


def test_wrong_derivative_is_found_in_float32():
    """The errors of float32 are larger, and so is the smallest error that is found."""

    def slope(z):
        return 1 - np.tanh(z) ** 2 + (0.1 if z > 2.8 else 0.0)

    params = {"activation": ["tanh", Activation(plain_tanh, slope)], "dtype": "float32"}
    model = fitted(MLPRegressor, VALUES, X, **params)
    model.intercepts_[1] += 4
    assert check_gradients(model, X, VALUES).wrong_layer == 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kinks_are_counted(dtype):
    """Without biases and with inputs of 0, the weighted sums are at the kink of ReLU."""
    model = fitted(MLPRegressor, VALUES, bias_init="zeros", max_iter=1, dtype=dtype, alpha=0)
    for b in model.intercepts_:
        b[...] = 0
    zeros = np.zeros((5, 4))
    check = check_gradients(model, zeros, np.ones((5, 2)))
    assert check.passed, check
    assert 0 < check.layer_kinks[1] <= 5  # biases of the second layer whose unit has a slope above 0
    assert check.layer_kinks[2] == 0
    assert check.n_kinks == sum(check.layer_kinks)
    assert f"differences that cross a kink: {check.n_kinks}\n" in repr(check)


def test_kinks_near_the_weights_are_counted():
    """Each step of a bias crosses the kink of one row, which is nearer than the step, but not the kinks of the others."""
    model = rebuilt([1.0], [[[1.0]], [[1.0]]], [[0.0], [0.0]])
    close = np.array([[1e-6], [0.5], [-0.5]])
    check = check_gradients(model, close, [1.0, 2.0, 3.0])
    assert check.passed, check
    assert check.layer_kinks == [1, 0]


def test_rounding_errors_of_float32_at_a_kink_are_counted():
    """The weighted sum of the first row is 2⁻²⁶; in float32, it is 0, and ReLU has another slope.

    A step of 64 h also crosses the kinks of the other rows, after which the gradient is not between the one-sided differences.
    """
    model = rebuilt([1.0], [[[2.0**-26], [-1.0], [1.0]], [[1.0]]], [[1.0], [0.0]])
    model.coefs_, model.intercepts_ = (
        [array.astype(np.float32) for array in arrays] for arrays in (model.coefs_, model.intercepts_)
    )
    rows, y = np.array([[1, 1, 0], [1, 1, 1e-4], [1, 1, -1e-4]], np.float32), [3.0, 3.0, -9.0]
    assert trace(model, rows, y).slopes[0].ravel().tolist() == [0, 1, 0]
    check = check_gradients(model, rows, y)
    assert check.dtype == "float32"
    assert check.passed, check
    assert check.layer_kinks == [3, 0]


def test_strong_curvature_is_no_kink():
    """The output is 1000 tanh z, and the row is next to the minimum of the loss, where the gradient is almost 0."""
    model = rebuilt([1.0], [[[1.0]], [[1000.0]]], [[0.1], [0.0]], activation="tanh")
    check = check_gradients(model, [[1.0]], trace(model, [[1.0]], [0.0]).A[-1][0] + 1e-4)
    assert check.passed, check
    assert check.n_kinks == 0


def test_weights_of_zero_are_at_the_kink_of_l1():
    model = rebuilt([1.0], [[[0.0], [0.5]]], [[0.0]]).set_params(l1=0.3)
    check = check_gradients(model, np.eye(2), [0.2, 0.1])
    assert check.passed, check
    model.coefs_[0][0, 0] = 1e-7
    check = check_gradients(model, np.eye(2), [0.2, 0.1])
    assert check.passed, check
    assert check.layer_kinks == [1]


def test_many_parameters_are_sampled():
    model = fitted(MLPClassifier, CODES, hidden_layer_sizes=(60, 50))
    check = check_gradients(model, X, CODES, max_params=200)
    assert check.passed, check
    assert check.n_params == 4 * 60 + 60 + 60 * 50 + 50 + 50 * 3 + 3
    assert 200 <= check.n_checked <= 300
    assert f"Gradient check of {check.n_checked} of {check.n_params} parameters in float64: passed" in repr(check)
    assert check.layer_errors == check_gradients(model, X, CODES, max_params=200).layer_errors
    assert check.layer_errors != check_gradients(model, X, CODES, max_params=200, random_state=1).layer_errors


def test_threshold_decides():
    model = fitted(MLPClassifier, CODES, activation="tanh")
    check = check_gradients(model, X, CODES, threshold=1e-20)
    assert (check.passed, check.threshold) == (False, 1e-20)


def test_report_is_a_table():
    check = GradientCheck(0.5, 1e-6, [{"weights": 0.5, "norm_scales": 1e-9}, {"weights": 2e-8}], [3, 0], 7, 9, "float64", 1, "g")
    assert repr(check).splitlines() == [
        "Gradient check of 7 of 9 parameters in float64: FAILED",
        "largest error 5.0e-01, threshold 1e-06, differences that cross a kink: 3",
        "layer       weights  norm_scales   kinks",
        "1           5.0e-01      1.0e-09       3",
        "2           2.0e-08                    0",
        "The errors begin in layer 1. Check the derivative of g.",
    ]


def test_results_can_be_pickled():
    values, check = iris_like(), check_gradients(fitted(MLPClassifier, CODES), X, CODES)
    copied = pickle.loads(pickle.dumps(values))
    assert isinstance(copied, Trace)
    assert_array_equal(copied.delta[0], values.delta[0])
    assert pickle.loads(pickle.dumps(check)) == check
