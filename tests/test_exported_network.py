"""The ``ExportedNetwork`` of an estimator predicts the same as the estimator, for all features that change predictions."""

import pickle

import exported
import numpy as np
import pytest
from exported import ACTIVATIONS, CODES, COMMON, SMALL, TARGETS, VALUES, WITH_NAN, X, assert_close_probabilities, rows_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, MLPRegressor
from fastbp._exported_network import exported_network
from fastbp._network.activations import ACTIVATION_NAMES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_reference_has_all_activations():
    assert set(ACTIVATIONS) == set(ACTIVATION_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("params", COMMON, ids=str)
def test_classifiers(kind, params, loss):
    rows = rows_of(params)
    model = MLPClassifier(**SMALL | params, loss=loss).fit(rows, TARGETS[kind])
    network = exported_network(model)
    assert_array_equal(exported.reference_predictions(network, rows), model.predict(rows))
    assert_close_probabilities(exported.reference_probabilities(network, rows), model.predict_proba(rows), rtol=1e-11, atol=1e-13)
    assert (network.labels.kind, network.estimator) == ("binary" if kind == "single_class" else kind, "MLPClassifier")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "out_activation"),
    [
        *((kind, out_activation) for kind in TARGETS for out_activation in ("identity", "relu", "softplus", "exp")),
        *((kind, "softmax") for kind in ("multiclass", "multioutput")),
    ],
)
def test_outputs_of_squared_error_classifiers(kind, out_activation):
    model = MLPClassifier(**SMALL, loss="squared_error", out_activation=out_activation).fit(X, TARGETS[kind])
    network = exported_network(model)
    assert_close_probabilities(exported.reference_probabilities(network, X), model.predict_proba(X), rtol=1e-11, atol=1e-13)
    assert_array_equal(exported.reference_predictions(network, X), model.predict(X))


@pytest.mark.parametrize("params", [*COMMON, {"scale_y": "standard", "loss": "huber"}, {"loss": "poisson"}], ids=str)
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
def test_regressors(params, y):
    rows, y = rows_of(params), np.abs(y)
    model = MLPRegressor(**SMALL | params).fit(rows, y)
    assert_allclose(exported.reference_predictions(exported_network(model), rows), model.predict(rows), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_activations(activation):
    model = MLPRegressor(**SMALL, activation=activation).fit(X, VALUES)
    network = exported_network(model)
    assert network.activations == (activation,) * 2
    assert_allclose(exported.reference_outputs(network, X), model.predict(X), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("out_activation", ["identity", "logistic", "relu", "softplus", "exp"])
def test_output_activations(out_activation):
    model = MLPRegressor(**SMALL, out_activation=out_activation).fit(X, VALUES)
    assert_allclose(exported.reference_outputs(exported_network(model), X), model.predict(X), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
def test_quantiles(y):
    model = MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(X, y)
    network = exported_network(model)
    assert network.quantiles == (0.1, 0.5, 0.9)
    assert_allclose(exported.reference_predictions(network, X), model.predict(X), rtol=1e-11, atol=1e-13)


def test_float32():
    rows = X.astype(np.float32)
    model = MLPClassifier(**SMALL, dtype="float32").fit(rows, CODES)
    network = exported_network(model)
    assert network.dtype == np.float32
    assert_allclose(exported.reference_probabilities(network, rows), model.predict_proba(rows), rtol=1e-4)


def test_names_and_sizes():
    pandas = pytest.importorskip("pandas")
    model = MLPRegressor(**SMALL, missing="indicator").fit(pandas.DataFrame(WITH_NAN, columns=list("abcde")), VALUES[:, 0])
    network = exported_network(model)
    assert network.feature_names == tuple("abcde")
    assert (network.n_features, network.sizes, network.indicators.tolist()) == (5, (7, 7, 4, 1), [0, 2])


def test_later_training_does_not_change_the_exported_network():
    model = MLPRegressor(**SMALL).fit(X, VALUES)
    network = exported_network(model)
    before = exported.reference_outputs(network, X)
    model.partial_fit(X, VALUES)
    assert_array_equal(exported.reference_outputs(network, X), before)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_estimators_built_from_weights(kind):
    model = MLPClassifier(**SMALL).fit(X, TARGETS[kind])
    rebuilt = MLPClassifier((7, 4))
    for name in ("coefs_", "intercepts_", "n_layers_", "out_activation_", "classes_"):
        setattr(rebuilt, name, getattr(model, name))
    network = exported_network(rebuilt)
    assert network.labels.kind == kind
    assert_allclose(exported.reference_probabilities(network, X), model.predict_proba(X), rtol=1e-11, atol=1e-13)
    del rebuilt.classes_
    with pytest.raises(AttributeError, match="Set classes_ to the sorted array"):
        exported_network(rebuilt)


def test_unpickled_estimator():
    model = MLPRegressor(**SMALL, scale="standard", layer_norm=True).fit(X, VALUES)
    network = exported_network(pickle.loads(pickle.dumps(model)))
    assert_array_equal(exported.reference_outputs(network, X), exported.reference_outputs(exported_network(model), X))


def test_errors():
    from sklearn.neural_network import MLPRegressor as OfScikitLearn

    with pytest.raises(NotFittedError):
        exported_network(MLPRegressor())
    with pytest.raises(TypeError, match=r"Fit fastbp.MLPRegressor, which has the same parameters"):
        exported_network(OfScikitLearn())
