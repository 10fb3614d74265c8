"""``diagnose`` and ``DiagnosticsMonitor``.

Statistics are compared with formulas in NumPy for the arrays of a trace. For each piece of advice, a network is built to have the
problem, and the advice disappears if the remedy is followed. Networks that learn five real data sets without problems get no
advice.
"""

import contextlib
import pickle
import sys
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import sklearn.datasets
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import Activation, Checkpoint, MLPClassifier, MLPRegressor, load_checkpoint
from fastbp._inspected_fit import inspected_fit
from fastbp._network.activations import ACTIVATION_NAMES
from fastbp.inspection import Advice, Diagnosis, DiagnosticsMonitor, LayerDiagnosis, diagnose, trace
from fastbp.inspection import _evaluation as evaluation_module
from fastbp.inspection._diagnosis import monitor as monitor_module
from fastbp.inspection._diagnosis.layers import slope_range
from fastbp.inspection._diagnosis.rules import RULES
from fastbp.inspection._evaluation import constant_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 4))
VALUES = np.abs(X[:, :2] - X[:, 2:]) + 0.1
CODES = 1 * (X[:, 0] > 0) + (X[:, 1] > 0.3)


def arctan(z):
    return np.arctan(z)


def sine(z):
    return np.sin(z)


def fitted(kind, y, X=X, **params):
    defaults = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "learning_rate_init": 0.01, "random_state": 0, "n_threads": 1}
    return kind(**defaults | params).fit(X, y)


# ---------------------------------------------------------------------- statistics

NETWORKS = {
    "relu": {},
    "tanh": {"activation": "tanh"},
    "list": {"activation": ["logistic", "gelu"]},
    "user": {"activation": Activation(arctan)},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True, "activation": "hard_sigmoid"},
    "penalties": {"alpha": 3.0, "l1": 0.5},
    "scaled": {"scale": "standard", "dropout": 0.3, "input_noise": 0.2},
    "averaged": {"ema_decay": 0.9},
    "float32": {"dtype": "float32"},
    "linear": {"hidden_layer_sizes": ()},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
}


def assert_statistics_of_trace(found, values):
    """Compare a diagnosis with the definitions in the docstring of ``LayerDiagnosis``."""
    single = values.coefs[0].dtype == np.float32
    close = {"rtol": 1e-4, "atol": 1e-7} if single else {"rtol": 1e-9, "atol": 1e-15}
    assert_allclose(found.loss, values.loss, **close)
    assert found.n_rows == len(values.y)
    assert [layer.layer for layer in found.layers] == list(range(1, len(values.coefs) + 1))
    assert [layer.activation for layer in found.layers] == [*values.about["activations"], values.about["link"]]
    for n, layer in enumerate(found.layers):
        W, A, update = values.coefs[n], values.A[n + 1], values.coef_updates[n]
        assert layer.n_units == W.shape[1]
        assert_allclose([layer.weight_mean, layer.weight_std, layer.weight_norm], [W.mean(), W.std(), np.linalg.norm(W)], **close)
        assert_allclose([layer.activation_mean, layer.activation_std], [A.mean(), A.std()], **close)
        gradients = [np.linalg.norm(array[n]) for array in (values.coef_grads, values.intercept_grads)]
        assert_allclose([layer.coef_grad_norm, layer.intercept_grad_norm], gradients, rtol=1e-3 if single else 1e-8)
        if values.about["solver"] is None:
            assert np.isnan(layer.update_ratio)
        else:
            assert_allclose(layer.update_ratio, np.linalg.norm(update) / np.linalg.norm(W), rtol=1e-3 if single else 1e-8)
        if n == len(found.layers) - 1:
            assert np.isnan([layer.dead_share, layer.saturated_share]).all()
        else:
            assert_shares(layer, np.abs(values.slopes[n]))


LARGEST = {"logistic": 0.25, "hard_sigmoid": 1 / 6, "tanh": 1, "relu": 1, "Activation(arctan)": 1, "gelu": 1.1289}


def assert_shares(layer, slopes):
    largest = LARGEST[layer.activation]
    assert layer.dead_share == (slopes.max(axis=0) <= 0.001 * largest).mean()
    if layer.activation in ("relu", "gelu"):
        assert np.isnan(layer.saturated_share)
    else:
        assert layer.saturated_share == (slopes <= 0.05 * largest).mean()


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_statistics_of_a_classifier(params):
    model = fitted(MLPClassifier, CODES, **params)
    before = pickle.dumps(model)
    weight = np.arange(60.0)
    assert_statistics_of_trace(diagnose(model, X, CODES, weight), trace(model, X, CODES, weight))
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("form", [csr_array, csc_array])
@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"hidden_layer_sizes": ()}])
def test_statistics_for_sparse_inputs(form, params):
    sparse = form(np.where(X > 0, X, 0))
    model = fitted(MLPClassifier, CODES, sparse, **params)
    assert_statistics_of_trace(diagnose(model, sparse, CODES), trace(model, sparse, CODES))


@pytest.mark.parametrize(
    ("kind", "y", "params"),
    [
        (MLPRegressor, VALUES, {}),
        (MLPRegressor, VALUES[:, 0], {"solver": "lbfgs"}),
        (MLPRegressor, VALUES, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}),
        (MLPRegressor, VALUES, {"loss": "gamma", "scale_y": "standard"}),
        (MLPClassifier, 1 * (X[:, :3] > 0), {}),
        (MLPClassifier, np.column_stack([CODES, CODES > 0]), {}),
        (MLPClassifier, CODES > 0, {"loss": "squared_error", "class_weight": "balanced"}),
        (MLPClassifier, np.zeros(60), {}),
    ],
)
def test_statistics_for_other_targets(kind, y, params):
    model = fitted(kind, y, **params)
    assert_statistics_of_trace(diagnose(model, X, y, X_val=X[:30], y_val=y[:30]), trace(model, X, y))


def test_statistics_of_many_rows_are_computed_in_chunks(monkeypatch):
    """The means of the chunks are different, because the rows are sorted."""
    order = np.argsort(X[:, 0])
    many, codes = np.repeat(X[order], 40, axis=0), np.repeat(CODES[order], 40)
    model = fitted(MLPClassifier, CODES, activation="tanh")
    expected = trace(model, many, codes)
    assert_statistics_of_trace(diagnose(model, many, codes), expected)
    monkeypatch.setattr(evaluation_module, "_CHUNK_SIZE", 1)
    assert_statistics_of_trace(diagnose(model, many, codes), expected)


def test_more_than_ten_thousand_rows_are_drawn():
    many, codes = np.tile(X, (200, 1)), np.tile(CODES, 200)
    model = fitted(MLPClassifier, CODES)
    found, of_all = diagnose(model, many, codes), diagnose(model, X, CODES)
    assert found.n_rows == 10_000
    assert found == diagnose(model, many, codes)
    assert found.loss == pytest.approx(of_all.loss, rel=0.02)
    weight = np.zeros(12_000)
    weight[-20:] = 1
    assert diagnose(model, many, codes, weight).n_rows == 20


def test_one_row_and_one_epoch():
    model = fitted(MLPClassifier, CODES, max_iter=1)
    found = diagnose(model, X[:1], CODES[:1])
    assert_statistics_of_trace(found, trace(model, X[:1], CODES[:1]))
    assert found.advice == ()
    assert repr(found).startswith("Diagnosis of 1 row: loss")


def with_weights(coefs, intercepts, **params):
    model = fitted(MLPRegressor, VALUES[:, 0], hidden_layer_sizes=tuple(len(b) for b in intercepts[:-1]), **params)
    model.coefs_, model.intercepts_ = [np.array(W, float) for W in coefs], [np.array(b, float) for b in intercepts]
    return model


def test_dead_units_are_counted():
    """Of four units with the same weights, those with biases below −1 do not react to inputs between −1 and 1."""
    rows = np.linspace(-1, 1, 60).reshape(-1, 1) * [[1.0, 0, 0, 0]]
    coefs, intercepts = [np.ones((4, 4)), np.ones((4, 1))], [[-2.0, -1.5, -0.5, 3], [0.0]]
    hidden = diagnose(with_weights(coefs, intercepts), rows, VALUES[:, 0]).layers[0]
    assert hidden.dead_share == 0.5
    assert diagnose(with_weights(coefs, intercepts, activation="leaky_relu"), rows, VALUES[:, 0]).layers[0].dead_share == 0
    intercepts[0][0] = -10  # the slope of ELU at −9 is 0.0001
    assert diagnose(with_weights(coefs, intercepts, activation="elu"), rows, VALUES[:, 0]).layers[0].dead_share == 0.25


def test_saturated_activations_are_counted():
    """1 − tanh² z is 0.0499 at 2.179, and 0.0501 at 2.177."""
    rows = np.repeat([[2.179], [2.177], [-2.179], [0.0]], 15, axis=0) * [[1.0, 0, 0, 0]]
    model = with_weights([np.ones((4, 1)), [[1.0]]], [[0.0], [0.0]], activation="tanh")
    assert diagnose(model, rows, VALUES[:, 0]).layers[0].saturated_share == 0.5


def test_ratio_to_weights_of_zero_is_not_defined():
    model = with_weights([np.zeros((4, 2)), np.zeros((2, 1))], [np.zeros(2), np.ones(1)])
    hidden, output = diagnose(model, X, VALUES[:, 0]).layers
    assert hidden.weight_norm == 0
    assert not np.isfinite([hidden.update_ratio, output.update_ratio]).any()


@pytest.mark.parametrize("name", [*ACTIVATION_NAMES, Activation(arctan), Activation(sine)])
def test_bounded_activations_are_found(name):
    found = slope_range(name)
    assert found.is_bounded == (name in ("logistic", "tanh", "hard_sigmoid", Activation(arctan)))
    assert 0.16 < found.largest < 1.8


# ---------------------------------------------------------------------- the best constant predictions


@pytest.mark.parametrize("weight", [None, np.arange(60.0)])
def test_constant_predictions_have_the_known_optimum(weight):
    def constant(kind, y, **params):
        fit = inspected_fit(fitted(kind, y, **params), X, y, weight)
        network = constant_network(fit)
        return network.outputs(fit.X)[0], float(network.loss(fit, fit.sample_weight))

    def mean(values):
        return np.average(values, axis=0, weights=weight)

    outputs, loss = constant(MLPRegressor, VALUES)
    assert_allclose(outputs, mean(VALUES), rtol=1e-6)
    assert loss == pytest.approx(mean(0.5 * (VALUES - mean(VALUES)) ** 2).mean(), rel=1e-9)
    shares = mean(CODES[:, None] == np.arange(3))
    outputs, loss = constant(MLPClassifier, CODES)
    assert_allclose(outputs, shares, rtol=1e-4)
    assert loss == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-8)
    outputs, _ = constant(MLPRegressor, VALUES, loss="poisson")
    assert_allclose(outputs, mean(VALUES), rtol=1e-4)
    outputs, _ = constant(MLPRegressor, VALUES, loss="gamma", out_activation="softplus")
    assert_allclose(outputs, mean(VALUES), rtol=1e-4)


def test_constant_quantiles():
    fit = inspected_fit(fitted(MLPRegressor, VALUES[:, 0], loss="quantile", quantile=[0.2, 0.8]), X, VALUES[:, 0], None)
    found = constant_network(fit).outputs(fit.X)[0]
    assert_allclose([(VALUES[:, 0] < q).mean() for q in found], [0.2, 0.8], atol=0.05)


# ---------------------------------------------------------------------- advice


@cache
def split(name):
    rows, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return train_test_split(rows, y, random_state=0, stratify=None if name == "diabetes" else y)


def problems(found):
    return {advice.problem: advice for advice in found.advice}


def permuted(y):
    return np.random.RandomState(1).permutation(y)


def few_of_class_1(y):
    return np.flatnonzero((y == 0) | (np.cumsum(y == 1) <= 12) & (y == 1))


def dead_biases(random_state, shape):
    return np.full(shape, -10.0) if shape[0] == 100 else np.zeros(shape)


def large_weights(sizes):
    random = np.random.RandomState(0)
    return [random.normal(0, 3, shape) for shape in pairwise(sizes)]


# for each case: the problem, the data set, the parameters of the network, and the parameter and value of the remedy
CASES = {
    "rate of 20": ("learning_rate_too_large", "wine", {"solver": "sgd", "learning_rate_init": 20.0}, "learning_rate_init", 0.01),
    "rate of 2": (
        "learning_rate_too_large",
        "breast_cancer",
        {"solver": "sgd", "learning_rate_init": 2.0},
        "learning_rate_init",
        0.01,
    ),
    "rate of 0.5": ("learning_rate_too_large", "digits", {"learning_rate_init": 0.5}, "learning_rate_init", 0.001),
    "diverged": ("learning_rate_too_large", "diabetes", {"solver": "sgd", "learning_rate_init": 1.0}, "learning_rate_init", 0.01),
    "rate of 1e-5": ("learning_rate_too_small", "iris", {"learning_rate_init": 1e-5, "max_iter": 500}, "learning_rate_init", 0.001),
    "rate of 1e-7": ("learning_rate_too_small", "wine", {"learning_rate_init": 1e-7, "max_iter": 300}, "learning_rate_init", 0.001),
    "sgd with 1e-5": (
        "learning_rate_too_small",
        "breast_cancer",
        {"solver": "sgd", "learning_rate_init": 1e-5},
        "learning_rate_init",
        0.01,
    ),
    "large targets": ("learning_rate_too_small", "diabetes", {"scale_y": None}, "scale_y", "standard"),
    "six logistic layers": (
        "vanishing_gradients",
        "wine",
        {"hidden_layer_sizes": (30,) * 6, "activation": "logistic"},
        "activation",
        "relu",
    ),
    "vanishing with lbfgs": (
        "vanishing_gradients",
        "breast_cancer",
        {"hidden_layer_sizes": (30,) * 8, "activation": "logistic", "solver": "lbfgs"},
        "activation",
        "relu",
    ),
    "large initial weights": (
        "exploding_gradients",
        "iris",
        {"hidden_layer_sizes": (50,) * 8, "weight_init": "standard_normal"},
        "weight_init",
        "he_normal",
    ),
    "negative biases": ("dead_units", "wine", {"bias_init": dead_biases}, "activation", "leaky_relu"),
    "dead units in one layer": (
        "dead_units",
        "breast_cancer",
        {"hidden_layer_sizes": (20, 100), "activation": ["tanh", "relu"], "bias_init": dead_biases},
        "activation",
        ["tanh", "leaky_relu"],
    ),
    "saturated by weights": (
        "saturated_units",
        "wine",
        {"hidden_layer_sizes": (50,) * 3, "activation": "tanh", "weight_init": "standard_normal"},
        "weight_init",
        "glorot_uniform",
    ),
    "saturated by inputs": ("saturated_units", "wine", {"activation": "tanh", "scale": None}, "scale", "standard"),
    "saturated by initial weights of the user": (
        "saturated_units",
        "wine",
        {"hidden_layer_sizes": 50, "activation": "tanh", "coefs_init": large_weights((13, 50, 3))},
        "coefs_init",
        None,
    ),
    "saturated by the rate": (
        "saturated_units",
        "breast_cancer",
        {"hidden_layer_sizes": (30, 30), "activation": "tanh", "solver": "sgd", "learning_rate_init": 10.0},
        "learning_rate_init",
        0.01,
    ),
    "large inputs": ("unscaled_inputs", "breast_cancer", {"scale": None}, "scale", "standard"),
    "large inputs with lbfgs": ("unscaled_inputs", "wine", {"scale": None, "solver": "lbfgs"}, "scale", "standard"),
    "tiny inputs": ("unscaled_inputs", "diabetes", {"scale": None}, "scale", "standard"),
    "large batches": ("batch_too_large", "digits", {"batch_size": 1300, "max_iter": 20}, "batch_size", 128),
    "one unit": (
        "underfitting",
        "digits",
        {"hidden_layer_sizes": 1, "learning_rate_init": 0.01, "max_iter": 1000},
        "hidden_layer_sizes",
        (50,),
    ),
    "few epochs": ("underfitting", "breast_cancer", {"max_iter": 3}, "max_iter", 15),
    "few iterations": ("underfitting", "digits", {"max_iter": 3, "solver": "lbfgs"}, "max_iter", 15),
    "large alpha": ("underfitting", "wine", {"alpha": 3000.0, "max_iter": 1000}, "alpha", 3.0),
    "large l1": ("underfitting", "wine", {"l1": 300.0, "max_iter": 1000}, "l1", 0.3),
    "accuracy of few rows": (
        "underfitting",
        "iris",
        {"early_stopping": True, "learning_rate_init": 0.01},
        "scoring",
        "loss",
    ),
    "overfitting": ("overfitting", "diabetes", {"max_iter": 1000}, "early_stopping", True),
    "overfitting with lbfgs": ("overfitting", "diabetes", {"solver": "lbfgs", "max_iter": 1000}, "alpha", 9.9),
    "shuffled": ("shuffled_labels", "iris", {}, "y", None),
    "shuffled with penalty": ("shuffled_labels", "wine", {"alpha": 30.0}, "y", None),
    "shuffled values": ("shuffled_labels", "diabetes", {}, "y", None),
    "rare class": ("imbalanced_classes", "breast_cancer", {"max_iter": 60}, "class_weight", "balanced"),
}
FAST = {"rate of 20", "rate of 1e-7", "large targets", "large initial weights", "negative biases", "saturated by inputs"}
FAST |= {"tiny inputs", "few epochs", "shuffled", "shuffled values", "rare class", "accuracy of few rows", "diverged"}


def prepared_case(name):
    problem, data, params, *_ = CASES[name]
    rows, rows_val, y, y_val = split(data)
    kind = MLPRegressor if data == "diabetes" else MLPClassifier
    defaults = {"scale": "standard", "random_state": 0, "n_threads": 1} | ({"scale_y": "standard"} if kind is MLPRegressor else {})
    if name == "rare class":
        X_noisy = rows + 2 * rows.std(axis=0) * np.random.RandomState(0).normal(size=rows.shape)
        kept = few_of_class_1(1 - y)
        rows, y = X_noisy[kept], y[kept]
    if problem == "shuffled_labels":
        y = permuted(y)
    return kind(**defaults | params), (rows, y), {"X_val": rows_val, "y_val": y_val}


def fit_or_diverge(model, rows, y):
    with contextlib.suppress(ValueError):  # a fit that diverges keeps the weights of its best epoch
        model.fit(rows, y)
    return model


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in CASES])
def test_network_with_a_problem_gets_advice_and_the_remedy_works(name):
    problem, _, _, parameter, value = CASES[name]
    model, data, val = prepared_case(name)
    advice = problems(diagnose(fit_or_diverge(model, *data), *data, **val))
    assert problem in advice, advice
    assert (advice[problem].parameter, advice[problem].value) == (parameter, value)
    assert_usable(advice, model)
    if parameter != "y":
        cured = fit_or_diverge(clone(model).set_params(**{parameter: value}), *data)
        assert problem not in problems(diagnose(cured, *data, **val))
        rows = tuple(val.values()) if problem == "overfitting" else data
        assert cured.score(*rows) >= model.score(*rows)


def assert_usable(advice, model):
    """The advice has numbers, names the parameter and its value, and does not repeat a value that is set."""
    for one in advice.values():
        assert any(character.isdigit() for character in one.evidence)
        assert str(one) == f"{one.symptom} {one.evidence} {one.remedy}"
        assert all(text.endswith(".") for text in (one.symptom, one.evidence, one.remedy))
        if one.parameter not in ("y", "partial_fit", "callbacks"):
            assert f"set {one.parameter}=" in one.remedy
            assert getattr(model, one.parameter) != one.value


def test_every_rule_has_a_case():
    assert {rule.__name__ for rule in RULES} == {problem for problem, *_ in CASES.values()}


def test_advice_on_large_batches_needs_few_steps():
    model, data, _ = prepared_case("large batches")
    assert "batch_too_large" not in problems(diagnose(model.set_params(batch_size="auto").fit(*data), *data))


@pytest.mark.slow
def test_overfitting_is_found_from_the_validation_score_of_the_fit():
    rows, rows_val, y, y_val = split("diabetes")
    params = {"scale": "standard", "scale_y": "standard", "random_state": 0, "max_iter": 1500, "alpha": 0}
    model = MLPRegressor(**params).fit(rows, y, X_val=rows_val, y_val=y_val)
    assert "overfitting" in problems(diagnose(model, rows, y))
    assert "overfitting" not in problems(diagnose(MLPRegressor(**params).fit(rows, y), rows, y))
    model.scoring = "neg_mean_absolute_error"
    assert "overfitting" not in problems(diagnose(model, rows, y))


def test_names_of_features_are_shown():
    import pandas as pd

    frame = pd.DataFrame(X * [1, 1, 500, 1], columns=["a", "b", "salary", "d"])
    (advice,) = (
        one for one in diagnose(fitted(MLPClassifier, CODES, frame), frame, CODES).advice if one.problem == "unscaled_inputs"
    )
    assert "'salary'" in advice.evidence
    assert "salary" not in str(diagnose(fitted(MLPClassifier, CODES, X * [1, 1, 500, 1]), X * [1, 1, 500, 1], CODES))


def test_correlations_of_rare_classes_are_not_judged():
    y = permuted(np.arange(60) < 5)
    assert "shuffled_labels" not in problems(diagnose(fitted(MLPClassifier, y), X, y))
    y = permuted(np.arange(60) < 30)
    assert "shuffled_labels" in problems(diagnose(fitted(MLPClassifier, y), X, y))


def test_rare_categories_are_not_unscaled_inputs():
    rows = np.column_stack([X, np.arange(60) == 0])
    assert "unscaled_inputs" not in problems(diagnose(fitted(MLPClassifier, CODES, rows), rows, CODES))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("solver", "rate"), [("sgd", 5.0), ("sgd", 2.0), ("adam", 0.5), ("adam", 1.0)])
def test_rate_that_kills_units_in_the_first_epoch_is_named(solver, rate, seed):
    rows, rows_val, y, y_val = split("digits")
    params = {"solver": solver, "learning_rate_init": rate, "max_iter": 40, "random_state": seed, "n_threads": 1}
    model = MLPClassifier(50, **params).fit(rows / 16, y)
    advice = diagnose(model, rows / 16, y, X_val=rows_val / 16, y_val=y_val).advice
    assert {one.parameter for one in advice} == {"learning_rate_init"}
    for one in advice:
        cured = clone(model).set_params(learning_rate_init=one.value).fit(rows / 16, y)
        assert cured.score(rows_val / 16, y_val) > 0.85 > model.score(rows_val / 16, y_val)


def test_gradients_that_explode_because_of_the_rate():
    rows, y = sklearn.datasets.make_blobs(400, centers=6, n_features=8, random_state=0)
    rows, _, y, _ = train_test_split(rows, y, random_state=0, stratify=y)
    params = {"learning_rate_init": 1.0, "scale": "standard", "max_iter": 60, "random_state": 0}
    model = MLPClassifier((30, 30), **params).fit(rows, y)
    advice = problems(diagnose(model, rows, y))["exploding_gradients"]
    assert (advice.parameter, advice.value) == ("learning_rate_init", 0.001)
    assert diagnose(clone(model).set_params(learning_rate_init=0.001).fit(rows, y), rows, y).advice == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_first_losses_of_large_targets_or_rare_classes_are_not_peaks(seed):
    """The loss of untrained networks is many times that of constants."""
    params = {"learning_rate_init": 0.02, "max_iter": 100, "random_state": seed}
    y = 1000 + VALUES[:, 0]
    model = MLPRegressor(hidden_layer_sizes=10, **params).fit(X, y)
    assert model.loss_curve_[0] > 100 * y.var()
    assert "learning_rate_too_large" not in problems(diagnose(model, X, y))
    y = np.arange(60) < 1
    model = MLPClassifier(10, **params).fit(X, y)
    assert model.loss_curve_[0] > 3 * (np.log(60) / 60 + np.log(60 / 59) * 59 / 60)
    assert "learning_rate_too_large" not in problems(diagnose(model, X, y))


def test_moderate_overfitting_needs_a_moderate_penalty():
    """On few rows, early stopping ends before the network has learned what also holds for other rows."""
    rows, rows_val, y, y_val = split("digits")
    params = {"hidden_layer_sizes": (30, 30), "scale": "standard", "learning_rate_init": 0.01, "random_state": 1}
    model = MLPClassifier(**params).fit(rows[:150], y[:150])
    (advice,) = diagnose(model, rows[:150], y[:150], X_val=rows_val, y_val=y_val).advice
    assert (advice.problem, advice.parameter, advice.value) == ("overfitting", "alpha", 0.45)
    cured = clone(model).set_params(alpha=0.45).fit(rows[:150], y[:150])
    assert cured.score(rows_val, y_val) > model.score(rows_val, y_val)


# ---------------------------------------------------------------------- training that ended too early


@cache
def moons():
    return sklearn.datasets.make_moons(300, noise=0.1, random_state=0)


def underfitting_after(model):
    """The advice "underfitting" for a network that was trained on the two moons."""
    rows, y = moons()
    (advice,) = diagnose(model, rows, y).advice
    assert advice.problem == "underfitting"
    assert_usable({"underfitting": advice}, model)
    return advice


UNFINISHED = {"hidden_layer_sizes": 30, "learning_rate_init": 0.02, "n_iter_no_change": np.inf, "random_state": 0}


@pytest.mark.parametrize(
    ("n_calls", "n_iter_no_change"), [(30, 10), *(pytest.param(n, np.inf, marks=pytest.mark.slow) for n in (1, 2, 30))]
)
def test_partial_fit_should_be_called_more_often(n_calls, n_iter_no_change):
    model = MLPClassifier(**UNFINISHED | {"n_iter_no_change": n_iter_no_change})
    for _ in range(n_calls):
        model.partial_fit(*moons(), classes=[0, 1])
    advice = underfitting_after(model)
    assert (advice.parameter, advice.value) == ("partial_fit", None)
    assert advice.remedy == f"Train for more epochs (now {n_calls}); each call of partial_fit is one epoch."
    for _ in range(300):
        model.partial_fit(*moons())
    assert diagnose(model, *moons()).advice == ()


def stop_after_30(model, epoch, logs):
    return epoch >= 30


@pytest.mark.parametrize(
    ("params", "parameter", "value"),
    [
        ({"max_iter": 30}, "max_iter", 150),
        ({"callbacks": stop_after_30}, "callbacks", None),
        ({"callbacks": stop_after_30, "max_time": 100.0}, "max_time", 500.0),
        ({"tol": 0.1, "n_iter_no_change": 10, "callbacks": stop_after_30}, "n_iter_no_change", 50),
        ({"tol": 0.1, "n_iter_no_change": 10, "early_stopping": True, "scoring": "loss"}, "n_iter_no_change", 50),
    ],
)
def test_remedy_names_the_parameter_that_ended_the_fit(params, parameter, value):
    model = MLPClassifier(**UNFINISHED | params).fit(*moons())
    advice = underfitting_after(model)
    assert (advice.parameter, advice.value) == (parameter, value)


def test_repeated_warm_starts_of_one_epoch_are_no_partial_fit():
    model = MLPClassifier(**UNFINISHED | {"max_iter": 1, "warm_start": True})
    for _ in range(30):
        model.fit(*moons())
    advice = underfitting_after(model)
    assert (advice.parameter, advice.value) == ("max_iter", 5)


@pytest.mark.slow
def test_overfitting_of_partial_fit_needs_a_penalty():
    """`partial_fit` does not support early stopping."""
    rows, rows_val, y, y_val = split("diabetes")
    model = MLPRegressor(hidden_layer_sizes=100, scale="standard", scale_y="standard", learning_rate_init=0.01, random_state=0)
    for _ in range(200):
        model.partial_fit(rows, y)
    assert problems(diagnose(model, rows, y, X_val=rows_val, y_val=y_val))["overfitting"].parameter == "alpha"


# ---------------------------------------------------------------------- networks without problems

HEALTHY = {
    "adam": {},
    "rate of 0.01": {"learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0},
    "tanh": {"hidden_layer_sizes": (50, 50), "activation": "tanh"},
    "logistic": {"hidden_layer_sizes": (30, 30), "activation": "logistic", "learning_rate_init": 0.01},
    "deep": {"hidden_layer_sizes": (50,) * 4, "learning_rate_init": 0.003},
    "batch_norm": {"batch_norm": True, "hidden_layer_sizes": (50, 50)},
    "dropout": {"dropout": 0.2, "learning_rate_init": 0.01},
    "much dropout": {"dropout": 0.5, "learning_rate_init": 0.003},
    "early stopping": {"early_stopping": True, "scoring": "loss", "learning_rate_init": 0.01},
    "silu": {"activation": "silu", "solver": "adamw", "weight_decay": 0.01},
    "float32": {"dtype": "float32", "batch_size": 32},
}
OF_REGRESSION = {"scale_y": "standard", "hidden_layer_sizes": 20, "alpha": 10.0}
DATA = ("iris", "wine", "breast_cancer", "digits", "diabetes")


def assert_no_advice(data, name, seed):
    rows, rows_val, y, y_val = split(data)
    params = {"scale": "standard", "max_iter": 1000, "random_state": seed, "n_threads": 1} | HEALTHY[name]
    if data == "diabetes":
        params |= OF_REGRESSION | ({"alpha": 30.0} if name in ("lbfgs", "batch_norm") else {})
    model = (MLPRegressor if data == "diabetes" else MLPClassifier)(**params).fit(rows, y)
    assert diagnose(model, rows, y).advice == ()
    assert diagnose(model, rows, y, X_val=rows_val, y_val=y_val).advice == ()


@pytest.mark.parametrize(
    ("data", "name"),
    [("iris", "lbfgs"), ("iris", "tanh"), ("wine", "adam"), ("wine", "sgd"), ("breast_cancer", "deep"), ("diabetes", "adam")],
)
def test_network_without_problems_gets_no_advice(data, name):
    assert_no_advice(data, name, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", HEALTHY)
def test_networks_without_problems_get_no_advice(data, name):
    if data == "diabetes" and name in ("logistic", "float32"):  # with these, the penalty for diabetes is too strong
        name = "silu"
    assert_no_advice(data, name, seed=1)


@cache
def spirals(seed):
    """Two spirals with 1.5 turns each: 225 rows for training, and 75 for validation."""
    random = np.random.RandomState(seed)
    y, radius = np.arange(300) % 2, np.sqrt(random.uniform(size=300))
    angle = 3 * np.pi * radius + np.pi * y
    rows = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + 0.025 * random.normal(size=(300, 2))
    return train_test_split(rows / rows.std(axis=0), y, random_state=seed, stratify=y)


OF_SPIRALS = {"learning_rate_init": 0.01, "batch_size": 20, "n_threads": 1}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2, 3, 4])
@pytest.mark.parametrize(("sizes", "activation"), [((16, 16), "tanh"), ((8, 8), "tanh"), ((12, 12), "relu")])
def test_networks_that_learn_spirals_get_no_advice(sizes, activation, seed):
    """Their weights become large, and most of their tanh units are saturated."""
    rows, rows_val, y, y_val = spirals(seed)
    params = OF_SPIRALS | {"n_iter_no_change": np.inf, "max_iter": 700}
    model = MLPClassifier(sizes, activation, random_state=seed, **params).fit(rows, y)
    assert model.score(rows, y) > 0.98
    assert diagnose(model, rows, y).advice == ()
    assert diagnose(model, rows, y, X_val=rows_val, y_val=y_val).advice == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_advice_during_training_is_to_train_for_more_epochs(seed):
    rows, rows_val, y, y_val = spirals(seed)
    model, parameters = MLPClassifier((8, 8), "tanh", random_state=seed, **OF_SPIRALS), set()
    for epoch in range(1, 301):
        model.partial_fit(rows, y, classes=[0, 1])
        if epoch in (1, 2, 5, 20, 50, 100, 150):
            parameters |= {one.parameter for one in diagnose(model, rows, y, X_val=rows_val, y_val=y_val).advice}
    assert parameters == {"partial_fit"}
    assert diagnose(model, rows, y, X_val=rows_val, y_val=y_val).advice == ()
    assert model.score(rows_val, y_val) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_saturated_units_of_a_network_that_has_learned_are_no_problem(seed):
    rows, rows_val, y, y_val = split("digits")
    model = MLPClassifier((50, 25), "logistic", solver="lbfgs", scale="standard", max_iter=200, random_state=seed).fit(rows, y)
    found = diagnose(model, rows, y, X_val=rows_val, y_val=y_val)
    assert found.layers[0].saturated_share > 0.7
    assert found.advice == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_noisy_losses_of_a_network_that_has_learned_are_no_problem(seed):
    """With small batches, the loss of iris rises in a third of the epochs."""
    rows, y = sklearn.datasets.load_iris(return_X_y=True)
    rows, rows_val, y, y_val = train_test_split(rows, y, random_state=seed, stratify=y)
    params = {"learning_rate_init": 0.01, "batch_size": 32, "scale": "standard", "random_state": seed}
    model = MLPClassifier((50, 25), **params).fit(rows, y)
    assert diagnose(model, rows, y, X_val=rows_val, y_val=y_val).advice == ()


# ---------------------------------------------------------------------- unusual models and data


def test_partial_fit_only():
    model = MLPClassifier(20, random_state=0, scale="standard", learning_rate_init=0.01)
    rows, _, y, _ = split("iris")
    for _ in range(100):
        model.partial_fit(rows, y, classes=[0, 1, 2])
    found = diagnose(model, rows, y)
    assert found.advice == ()
    assert found.layers[0].update_ratio > 0


def test_partial_fit_that_diverges_gets_advice():
    model = MLPRegressor(hidden_layer_sizes=20, random_state=0, solver="sgd", learning_rate_init=1.0)
    with contextlib.suppress(ValueError):  # the weights are not finite
        for _ in range(100):
            model.partial_fit(X, VALUES[:, 0])
    assert not model.loss_curve_[-1] < model.loss_curve_[0]
    assert problems(diagnose(model, X, VALUES[:, 0]))["learning_rate_too_large"].value == 0.01


def test_missing_values_and_constant_features():
    rows = np.column_stack([X, np.full(60, 7.0), np.zeros(60)])
    rows[::7, 1] = np.nan
    model = fitted(MLPClassifier, CODES, rows, missing="indicator", scale="standard")
    assert_statistics_of_trace(diagnose(model, rows, CODES), trace(model, rows, CODES))


def test_weights_that_are_not_finite_give_a_diagnosis():
    model = fitted(MLPClassifier, CODES)
    model.coefs_[0][0, 0] = np.nan
    found = diagnose(model, X, CODES)
    assert np.isnan(found.loss)
    assert "nan" in repr(found)


def test_estimator_without_a_solver_state():
    model = MLPRegressor(hidden_layer_sizes=2)
    model.coefs_, model.intercepts_, model.out_activation_ = (
        [np.ones((4, 2)), np.ones((2, 1))],
        [np.ones(2), np.ones(1)],
        "identity",
    )
    assert diagnose(model, X, VALUES[:, 0]).layers[0].update_ratio > 0


def test_unusable_estimators_and_data_are_refused():
    model = fitted(MLPClassifier, CODES)
    with pytest.raises(
        TypeError, match=r"est must be a fitted .* got an object of type Pipeline of scikit-learn\..*pipeline\[-1\]"
    ):
        diagnose(make_pipeline(StandardScaler(), model), X, CODES)
    with pytest.raises(NotFittedError):
        diagnose(MLPClassifier(), X, CODES)
    with pytest.raises(ValueError, match="X_val was passed without y_val"):
        diagnose(model, X, CODES, X_val=X)
    with pytest.raises(ValueError, match=r"X_val and y_val cannot be used: .*4 features"):
        diagnose(model, X, CODES, X_val=X[:, :2], y_val=CODES)
    with pytest.raises(ValueError, match=r"X_val and y_val cannot be used: .*classes"):
        diagnose(model, X, CODES, X_val=X, y_val=CODES + 1)


def test_validation_rows_may_lack_classes_with_balanced_weights():
    model = fitted(MLPClassifier, CODES, class_weight="balanced")
    assert diagnose(model, X, CODES, X_val=X[CODES == 1], y_val=CODES[CODES == 1]).n_rows == 60


# ---------------------------------------------------------------------- text, HTML and data frames


def example():
    layers = (
        LayerDiagnosis(1, "relu", 100, 0.5, np.nan, -0.01, 0.1, 3.2, 0.4, 0.5, 1e-3, 2e-4, 1e-3),
        LayerDiagnosis(2, "Activation(<a>)", 10, np.nan, np.nan, 0.02, 0.2, 3.3, 0.1, 0.2, 3e-3, 4e-4, np.nan),
    )
    return Diagnosis(0.25, 1234, layers, (Advice("dead_units", "Dead <b>.", "50 of 100.", "Set activation='elu'.", "activation"),))


def test_text_is_an_aligned_table_with_advice():
    lines = repr(example()).splitlines()
    assert lines[0] == "Diagnosis of 1234 rows: loss 0.25"
    assert lines[1].split()[:5] == ["layer", "activation", "units", "dead", "saturated"]
    assert lines[2].split()[:8] == ["1", "relu", "100", "50%", "–", "-0.01", "0.1", "3.2"]
    assert lines[2].split()[8:] == ["0.4", "0.5", "1.0e-03", "2.0e-04", "1.0e-03"]
    ends = [lines[1].index(name) + len(name) for name in ("units", "dead", "grad b", "update/W")]
    assert [lines[2][end - 1] for end in ends] == ["0", "%", "4", "3"]
    assert lines[-2:] == ["Advice:", "- dead_units: Dead <b>. 50 of 100. Set activation='elu'."]
    assert repr(Diagnosis(0.25, 1, example().layers)).endswith("\nNo problem was found.")


def test_html_is_escaped_and_accessible():
    page = example()._repr_html_()
    assert "Dead &lt;b&gt;. 50 of 100." in page
    assert "Activation(&lt;a&gt;)" in page
    assert page.count("<tr>") == 3
    assert page.count('scope="col"') == 13
    assert page.count('scope="row"') == 2
    assert "http" not in page
    assert "No problem was found." in Diagnosis(0.25, 1, example().layers)._repr_html_()


def test_frame_has_a_row_for_each_layer():
    frame = example().to_frame()
    assert list(frame.columns) == list(LayerDiagnosis.__dataclass_fields__)
    assert frame["weight_norm"].tolist() == [3.2, 3.3]
    assert frame["activation"].tolist() == ["relu", "Activation(<a>)"]


def test_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas"):
        example().to_frame()


# ---------------------------------------------------------------------- the monitor

SMALL = {"hidden_layer_sizes": (5, 4), "batch_size": 10, "learning_rate_init": 0.01, "max_iter": 8, "tol": 0.0, "random_state": 0}
MONITORED = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
    "lbfgs": {"solver": "lbfgs"},
    "draws": {"dropout": 0.2, "input_noise": 0.1},
    "validated": {"early_stopping": True, "validation_fraction": 0.3},
    "averaged": {"ema_decay": 0.9},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True, "solver": "nadam"},
    "scaled": {"scale": "standard"},
    "float32": {"dtype": "float32"},
    "generator": {"random_state": np.random.RandomState(0)},
    "two threads": {"n_threads": 2},
    "balanced": {"class_weight": "balanced"},
    "one cycle": {"learning_rate": "one_cycle", "learning_rate_horizon": 10},
}


def assert_same_fit(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert_array_equal(a, b)
    assert getattr(one, "history_", None) == getattr(other, "history_", None)
    assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("params", MONITORED.values(), ids=MONITORED)
@pytest.mark.parametrize("form", [np.array, csr_array])
def test_monitor_does_not_change_the_fit_and_records_the_model_after_the_epoch(params, form):
    if form is csr_array and "input_noise" in params:
        params = {"dropout": [0.2, 0.2]}
    rows, monitor = form(X), DiagnosticsMonitor(every=3)
    params = SMALL | params
    monitored = MLPClassifier(**clone(MLPClassifier(**params)).get_params() | {"callbacks": monitor}).fit(rows, CODES)
    assert_same_fit(monitored, clone(MLPClassifier(**params)).fit(rows, CODES))
    assert [record.epoch for record in monitor.records] == [3, 6]
    if not params.get("early_stopping"):
        part = clone(MLPClassifier(**params | {"max_iter": 6})).fit(rows, CODES)
        expected = diagnose(part, rows, CODES).layers
        assert_layers_close(monitor.records[-1].layers, expected)
        if part.solver != "lbfgs":
            assert monitor.records[-1].loss == part.loss_


def assert_layers_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        for name, value in vars(one).items():
            if name == "activation":
                assert value == other.activation
            else:
                assert_allclose(value, getattr(other, name), rtol=1e-3 if name.endswith(("norm", "ratio")) else 1e-5, atol=1e-7)


def fits_of_monitor(monkeypatch):
    """The list to which the ``InspectedFit`` of each record is added."""
    seen, original = [], monitor_module.running_fit

    def record(*arguments):
        seen.append(original(*arguments))
        return seen[-1]

    monkeypatch.setattr(monitor_module, "running_fit", record)
    return seen


@pytest.mark.parametrize("form", [np.array, csr_array])
def test_monitor_uses_training_rows_only(monkeypatch, form):
    """With early stopping, the held-out rows are not part of the statistics."""
    seen = fits_of_monitor(monkeypatch)
    splitter = PredefinedSplit(np.where(np.arange(60) < 20, 0, -1))
    MLPClassifier(**SMALL, early_stopping=True, validation_splitter=splitter, callbacks=DiagnosticsMonitor()).fit(form(X), CODES)
    rows = seen[-1].X
    assert_array_equal(rows if form is np.array else rows.toarray(), X[20:])
    assert_array_equal(seen[-1].y[:, 0], CODES[20:])


def test_schedule_of_the_user_is_called_by_the_fit_only():
    def fit(**params):
        called = []

        def schedule(epoch, progress):
            called.append(epoch)
            return 0.5**epoch

        return MLPClassifier(**SMALL, learning_rate=schedule, **params).fit(X, CODES), called

    monitor = DiagnosticsMonitor()
    (monitored, called), (plain, expected) = fit(callbacks=monitor), fit()
    assert_same_fit(monitored, plain)
    assert called == expected
    ratios = [record.layers[0].update_ratio for record in monitor.records]
    assert ratios[-1] < 0.1 * ratios[0]


def test_monitor_limits_the_number_of_rows(monkeypatch):
    seen = fits_of_monitor(monkeypatch)
    weight = np.arange(60.0) % 3
    MLPClassifier(**SMALL, callbacks=DiagnosticsMonitor(every=4, max_rows=25)).fit(X, CODES, weight)
    assert [len(fit.y) for fit in seen] == [25, 25]
    assert_array_equal(seen[0].X, seen[1].X)
    assert (seen[0].sample_weight > 0).all()


def test_monitor_counts_epochs_of_warm_starts_and_partial_fit():
    monitor = DiagnosticsMonitor(every=3)
    model = MLPClassifier(**SMALL, warm_start=True, callbacks=monitor).fit(X, CODES).fit(X, CODES)
    assert [record.epoch for record in monitor.records] == [3, 6, 9, 12, 15]
    for _ in range(5):
        model.partial_fit(X, CODES)
    assert [record.epoch for record in monitor.records] == [3, 6, 9, 12, 15, 18, 21]
    model.set_params(warm_start=False).fit(X, CODES)
    assert [record.epoch for record in monitor.records] == [3, 6]
    assert [record.loss for record in monitor.records] == model.loss_curve_[2::3]


@pytest.mark.long
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_monitor_in_a_grid_search(n_jobs):
    monitor = DiagnosticsMonitor(every=4)
    search = GridSearchCV(MLPClassifier(**SMALL, callbacks=monitor), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, CODES)
    assert [record.epoch for record in search.best_estimator_.callbacks.records] == [4, 8]
    assert monitor.records == []


def test_monitor_and_checkpoint(tmp_path):
    monitor = DiagnosticsMonitor(every=2)
    checkpoint = Checkpoint(tmp_path / "model.pickle", every=4, format="pickle")
    whole = MLPClassifier(**SMALL, callbacks=[monitor, checkpoint]).fit(X, CODES)
    again = load_checkpoint(checkpoint.path)
    kept = again.callbacks[0]
    assert [record.epoch for record in kept.records] == [2, 4, 6, 8]
    again.set_params(max_iter=2).fit(X, CODES)
    assert [record.epoch for record in kept.records] == [2, 4, 6, 8, 10]
    assert whole.loss_curve_ == again.loss_curve_[:8]


def test_monitor_can_be_pickled():
    monitor = DiagnosticsMonitor(every=8, max_rows=30)
    MLPClassifier(**SMALL, callbacks=monitor).fit(X, CODES)
    again = pickle.loads(pickle.dumps(monitor))
    assert repr(again) == repr(monitor) == "DiagnosticsMonitor(every=8, max_rows=30)"
    assert_layers_close(again.records[0].layers, monitor.records[0].layers)


def test_frame_of_a_monitor():
    monitor = DiagnosticsMonitor(every=4)
    assert list(monitor.to_frame().columns) == ["epoch", "loss", *LayerDiagnosis.__dataclass_fields__]
    assert "no records" in monitor._repr_html_()
    model = MLPClassifier(**SMALL, callbacks=monitor).fit(X, CODES)
    frame = monitor.to_frame()
    assert frame["epoch"].tolist() == [4, 4, 4, 8, 8, 8]
    assert frame["layer"].tolist() == [1, 2, 3, 1, 2, 3]
    assert frame["loss"].tolist() == np.repeat(model.loss_curve_[3::4], 3).tolist()
    assert frame["weight_norm"].tolist() == [layer.weight_norm for record in monitor.records for layer in record.layers]
    assert "Epoch 8: loss" in monitor._repr_html_()


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("every", 1.5), ("max_rows", -1), ("max_rows", True)])
def test_numbers_that_are_not_positive_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an int >= 1.*got {value}"):
        DiagnosticsMonitor(**{name: value})


def test_monitor_must_be_called_by_a_fit():
    model = fitted(MLPClassifier, CODES)
    with pytest.raises(ValueError, match="pass it as callbacks="):
        DiagnosticsMonitor()(model, 1, {"loss": 0.5})


def test_lbfgs_ignores_the_curves_of_an_earlier_solver():
    rows, _, y, _ = split("iris")
    model = MLPClassifier(20, scale="standard", early_stopping=True, max_iter=3, random_state=0).fit(rows, y)
    monitor = DiagnosticsMonitor(every=5)
    model.set_params(solver="lbfgs", early_stopping=False, max_iter=12, tol=0, alpha=1.0, callbacks=monitor).fit(rows, y)
    assert "overfitting" not in [advice.problem for advice in diagnose(model, rows, y).advice]
    assert [record.epoch for record in monitor.records] == [5, 10]


def test_losses_of_different_rows_are_not_compared():
    rows = np.random.default_rng(0).normal(size=(1500, 8))
    y = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    model = MLPClassifier(20, random_state=0)
    for start in range(0, 1500, 50):
        model.partial_fit(rows[start : start + 50], y[start : start + 50], classes=[0, 1])
    assert "learning_rate_too_large" not in [advice.problem for advice in diagnose(model, rows, y).advice]


def test_learned_parity_is_not_reported_as_shuffled_labels():
    bits = np.random.default_rng(0).integers(0, 2, size=(300, 8)).astype(float)
    y = bits.sum(axis=1) % 2
    model = MLPClassifier(60, "tanh", learning_rate_init=0.01, max_iter=1000, random_state=0).fit(bits, y)
    assert model.score(bits, y) == 1
    assert "shuffled_labels" not in [advice.problem for advice in diagnose(model, bits, y).advice]
