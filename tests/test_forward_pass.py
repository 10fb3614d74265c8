"""`coefs_`, `intercepts_`, `activation` and `out_activation_` describe the predictions, as the user guide says.

For every combination of a loss and an output activation that the registries allow, a forward pass in NumPy gives the result of
`predict` or `predict_proba`. The forward pass reads only public attributes.
"""

import threading
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, softmax

from fastbp import Loss, MLPClassifier, MLPRegressor
from fastbp._data.inputs import as_rows, as_targets
from fastbp._network import prediction, turns
from fastbp._network.architecture import Architecture, Objective, Plan
from fastbp._network.encoders import copy_encoder
from fastbp._network.layer_kinds import LayerKinds
from fastbp._network.layout import aligned_zeros
from fastbp._network.losses import REGRESSION, link_of_classifier, link_of_regressor
from fastbp._network.threads import kept_crew
from fastbp._parameters import CONSTRAINTS

X = np.random.RandomState(0).normal(size=(40, 5))
VALUES = np.abs(X[:, :2] - X[:, 2:4]) + 0.1
CODES = 1 * (X[:, :2] > 0) + (X[:, 2:4] > 0.3)  # two columns of three classes
LABELS = {
    "binary": CODES[:, 0] > 0,
    "multiclass": CODES[:, 0],
    "multilabel": 1 * (X[:, :3] > 0),
    "multioutput": CODES,
}
OUT_ACTIVATIONS = {
    "identity": lambda Z: Z,
    "logistic": expit,
    "softmax": lambda Z: softmax(Z, axis=1),
    "relu": lambda Z: np.maximum(Z, 0),
    "softplus": lambda Z: np.logaddexp(0, Z),
    "exp": np.exp,
    "ordered_quantiles": lambda Z: np.cumsum(np.hstack([Z[:, :1], np.logaddexp(0, Z[:, 1:])]), axis=1),
}
NAMES = sorted(set(OUT_ACTIVATIONS) - {"ordered_quantiles"})

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def square(y, a):
    return (y - a) ** 2


def twice(y, a):
    return 2 * (a - y)


OWN = Loss(square, twice)


def outputs(model, groups):
    """The outputs of the network; groups are the columns of Z to which the output activation is applied together."""
    A = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    Z = A @ model.coefs_[-1] + model.intercepts_[-1]
    function = OUT_ACTIVATIONS[model.out_activation_]
    return np.hstack([function(part) for part in np.split(Z, np.cumsum(groups)[:-1], axis=1)])


def is_possible(choose, *arguments):
    try:
        choose(*arguments)
    except ValueError:
        return False
    return True


def fitted(kind, y, **params):
    return kind(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=20, learning_rate_init=0.01, random_state=0, **params).fit(
        X, y
    )


def test_every_output_activation_is_tested():
    (options,) = CONSTRAINTS["out_activation"]
    assert set(NAMES) == options.options - {"auto"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "name"),
    [case for case in product((*REGRESSION, OWN), ("auto", *NAMES)) if is_possible(link_of_regressor, *case, 1)],
    ids=str,
)
@pytest.mark.parametrize("n_columns", [1, 2])
def test_predictions_of_regressors(loss, name, n_columns):
    model = fitted(MLPRegressor, VALUES[:, 0] if n_columns == 1 else VALUES, loss=loss, out_activation=name)
    assert name in ("auto", model.out_activation_)
    A = outputs(model, [n_columns])
    assert_allclose(model.predict(X), A.reshape(model.predict(X).shape), rtol=1e-9, atol=1e-12)
    assert_allclose(model.transform(X, layer=-1), A, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_columns", [1, 2])
@pytest.mark.parametrize("quantiles", [[0.5], [0.1, 0.9], [0.1, 0.5, 0.9]])
def test_predictions_of_several_quantiles(quantiles, n_columns):
    """They are also those of a new estimator that has only the parameters and the public attributes."""
    model = fitted(MLPRegressor, VALUES[:, 0] if n_columns == 1 else VALUES, loss="quantile", quantile=quantiles)
    assert model.out_activation_ == ("identity" if len(quantiles) == 1 else "ordered_quantiles")
    A = outputs(model, [len(quantiles)] * n_columns)
    assert_allclose(model.predict(X), A.reshape(model.predict(X).shape), rtol=1e-9, atol=1e-12)
    assert_allclose(model.transform(X, layer=-1), A, rtol=1e-9, atol=1e-12)
    rebuilt = MLPRegressor(**model.get_params())
    for attribute in ("coefs_", "intercepts_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
        setattr(rebuilt, attribute, getattr(model, attribute))
    assert_array_equal(rebuilt.transform(X, layer=-1), model.transform(X, layer=-1))


@pytest.mark.parametrize(
    ("loss", "name", "kind"),
    [
        (loss, name, kind)
        for loss, name, kind in product(("log_loss", "squared_error", OWN), ("auto", *NAMES), LABELS)
        if is_possible(link_of_classifier, loss, name, 3 * kind.startswith("multic") + 3 * (kind == "multioutput"))
    ],
    ids=str,
)
def test_probabilities_of_classifiers(loss, name, kind):
    model = fitted(MLPClassifier, LABELS[kind], loss=loss, out_activation=name)
    assert name in ("auto", model.out_activation_)
    groups = {"binary": [1], "multilabel": [3], "multiclass": [3], "multioutput": [3, 3]}[kind]
    A = outputs(model, groups)
    assert_allclose(model.transform(X, layer=-1), A, rtol=1e-9, atol=1e-12)
    parts = np.split(A, np.cumsum(groups)[:-1], axis=1)
    if loss != "log_loss":
        parts = [part.clip(0, 1) for part in parts]
        if kind in ("multiclass", "multioutput"):
            # if all outputs are 0, the classes are equally probable
            parts = [np.where(part.any(axis=1)[:, None], part, 1) for part in parts]
            parts = [part / part.sum(axis=1, keepdims=True) for part in parts]
    if kind == "binary":
        parts = [np.hstack([1 - parts[0], parts[0]])]
    found = model.predict_proba(X)
    for part, probabilities in zip(parts, found if kind == "multioutput" else [found], strict=True):
        assert_allclose(probabilities, part, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("sizes", [(5,), (1,), (3, 6)])
def test_buffers_of_an_earlier_prediction_do_not_change_the_next(monkeypatch, sizes, layer_norm):
    """Small buffers are used again; an earlier prediction may have left infinite numbers and NaN in them."""
    model = MLPRegressor(hidden_layer_sizes=sizes, layer_norm=layer_norm, max_iter=2, random_state=0)
    model.fit(X, X[:, 0])
    expected = model.predict(X[:7])
    made, scratch = [], prediction.ScratchTemplate.scratch
    monkeypatch.setattr(prediction.ScratchTemplate, "scratch", lambda template: made.append(template) or scratch(template))
    model.predict(np.full((7, 5), 1e308))
    assert_array_equal(model.predict(X[:7]), expected)
    assert made == []
    prediction._forward_pass.cache_clear()
    assert_array_equal(model.predict(X[:7]), expected)
    assert len(made) == 1


def test_large_buffers_are_not_kept():
    many = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1, random_state=0).fit(csr_array((40, 100_000)), X[:, 0])
    prediction._forward_pass.cache_clear()
    many.predict(csr_array((1, 100_000)))
    plan = many._prediction_plan(many._state.published_layout, many._state)
    forward = prediction._forward_pass(plan, 1, np.dtype(float), False, True, False)
    assert prediction._forward_pass.cache_info().hits == 1
    assert len(forward.kept) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("n_members", [0, 4])
def test_loss_and_outputs_in_one_pass(monkeypatch, n_members, is_weighted, dtype):
    """They are equal to the results of `outputs` and a loss in NumPy, for any number of threads and duration of kernel calls."""
    monkeypatch.setattr(prediction, "_ROWS_OF_MEMBERS", 1000)
    rng, n_rows = np.random.RandomState(0), 3000
    encoders = (copy_encoder(5),) if n_members else ()
    kinds = LayerKinds(encoders=encoders, n_members=n_members, adapters="all" if n_members else None)
    architecture = kinds.added_to(Architecture(("relu", "tanh")))
    plan = Plan(kinds.layout((5, 128, 64, 2), 0), architecture, Objective("squared_error"))
    params = aligned_zeros(plan.layout.n_params, np.dtype(dtype))
    params[:] = rng.normal(size=params.size) / 5
    data, y = rng.normal(size=(n_rows, 5)).astype(dtype), rng.normal(size=(n_rows, 2)).astype(dtype)
    weight = rng.uniform(size=n_rows).astype(dtype) if is_weighted else as_targets(None, params.dtype)
    rows, order = as_rows(data, params.dtype), np.arange(n_rows)
    expected = prediction.outputs(plan, params, rows, n_rows)
    each = prediction.member_outputs(plan, params, rows, order) if n_members else expected[:, None]
    loss = np.average(((each - y[:, None]) ** 2).mean(axis=(1, 2)) / 2, weights=weight if is_weighted else None)
    found, evaluate = [], prediction.evaluate

    def evaluate_part(*arguments):
        if threading.get_ident() not in called:
            called.add(threading.get_ident())
            all_called.wait(timeout=60)
        evaluate(*arguments)

    monkeypatch.setattr(prediction, "evaluate", evaluate_part)
    for n_threads, seconds in [(1, 1e-9), (1, 1.0), (2, 1.0), (3, 1.0)]:
        monkeypatch.setattr(turns, "_CALL_SECONDS", seconds)
        with kept_crew(n_threads) as crew:
            called, all_called = set(), threading.Barrier(n_threads)
            found.append(prediction.loss_and_outputs(plan, params, rows, y, weight, crew=crew))
        assert len(called) == n_threads
    for found_loss, out in found:
        assert_array_equal(out, expected)
        assert found_loss == found[0][0]
    assert found[0][0] == pytest.approx(loss, rel=1e-5 if dtype == "float32" else 1e-12)
    assert prediction.mean_loss(plan, params, rows, y, weight) == found[0][0]
