"""The activations of hidden units, compared with a forward pass in NumPy, and the transformer interface of scikit-learn."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.sparse import csc_matrix, csr_array
from scipy.special import expit, ndtr, softmax
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp._network.activations import ACTIVATION_NAMES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(30, 4))
Y = X[:, 0] * X[:, 1]
LABELS = np.digitize(Y, [-0.2, 0.3])
SMALL = {"max_iter": 5, "random_state": 0}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def bent(z):
    return z / 2 + (z * z + 1) ** 0.5


def fitted(kind=MLPClassifier, hidden=(6, 3, 5), data=X, **options):
    return kind(hidden_layer_sizes=hidden, **SMALL, **options).fit(data, LABELS if kind is MLPClassifier else Y)


BY_HAND = {"identity": lambda z: z, "logistic": expit, "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
BY_HAND |= {"leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z), "silu": lambda z: z * expit(z)}


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_of_every_layer_agree_with_numpy(dtype, name):
    data, tolerance = X.astype(dtype), {"rtol": 2e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-13}
    model, values = fitted(data=data, activation=name), data
    for layer in range(5):
        got = model.transform(data, layer)
        np.testing.assert_allclose(got, values, **tolerance)
        np.testing.assert_array_equal(model.transform(data, layer - 5), got)
        assert got.dtype == dtype
        assert got.flags.writeable
        if layer < 4:
            values = values @ model.coefs_[layer] + model.intercepts_[layer]
            values = BY_HAND[name](values) if layer < 3 else softmax(values, axis=1)
    np.testing.assert_array_equal(model.transform(data), model.transform(data, layer=3))
    np.testing.assert_array_equal(got, model.predict_proba(data))
    assert not np.shares_memory(model.transform(data, 0), data)


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_hidden_units_are_the_inputs_of_the_next_layer(activation):
    """If the last layer copies a unit of the last hidden layer, the prediction equals the activation of that unit."""
    model = fitted(MLPRegressor, (6, 5), activation=activation)
    model.coefs_[-1][...], model.intercepts_[-1][...] = np.eye(5)[:, :1], 0
    np.testing.assert_allclose(model.predict(X), model.transform(X)[:, 0], rtol=1e-12, atol=1e-14)


def test_transform_with_mixed_and_user_defined_activations():
    model = fitted(MLPRegressor, activation=["tanh", Activation(bent), "gelu"])
    first = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    second = bent(first @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.transform(X, 1), first, rtol=1e-12)
    np.testing.assert_allclose(model.transform(X, 2), second, rtol=1e-12)
    z = second @ model.coefs_[2] + model.intercepts_[2]
    np.testing.assert_allclose(model.transform(X), z * ndtr(z), rtol=1e-10)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_transform_with_batch_norm_and_layer_norm(layer_norm):
    model = fitted(activation="tanh", layer_norm=layer_norm, scale="standard", batch_norm=not layer_norm)
    z = X @ model.coefs_[0] + model.intercepts_[0]
    if layer_norm:
        z = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
        z = model.norm_scales_[0] * z + model.norm_shifts_[0]
    np.testing.assert_allclose(model.transform(X, 1), np.tanh(z), rtol=1e-9)


@pytest.mark.parametrize("form", [csr_array, csc_matrix, pd.DataFrame, np.ndarray.tolist])
def test_transform_of_other_containers(form):
    model = fitted(data=form(X))
    for layer in range(4):
        np.testing.assert_allclose(model.transform(form(X), layer), fitted().transform(X, layer), rtol=1e-10, atol=1e-14)


def test_without_hidden_layers_transform_returns_the_inputs():
    model = fitted(hidden=())
    np.testing.assert_array_equal(model.transform(X), X)
    assert len(model.get_feature_names_out()) == 4


def test_transform_uses_changed_weights():
    model = fitted(MLPRegressor)
    model.coefs_[0] = np.zeros((4, 6))
    np.testing.assert_allclose(model.transform(X, 1), np.broadcast_to(np.maximum(model.intercepts_[0], 0), (30, 6)))


def test_transform_of_a_scaled_network_agrees_with_coefs_and_intercepts():
    model = fitted(MLPRegressor, scale="standard", scale_y="standard")
    np.testing.assert_allclose(
        model.transform(X, 1), np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0), rtol=1e-10, atol=1e-13
    )
    np.testing.assert_allclose(model.transform(X) @ model.coefs_[-1][:, 0] + model.intercepts_[-1], model.predict(X), rtol=1e-10)


@pytest.mark.parametrize("layer", [5, -6, 1.0, "hidden", True, None])
def test_invalid_layers_are_rejected(layer):
    with pytest.raises(ValueError, match=r"layer must be an integer from -5 to 4, because the network has 5 layers.*; got"):
        fitted().transform(X, layer)


@each_kind
def test_transformer_interface(kind):
    with pytest.raises(NotFittedError):
        kind().transform(X)
    with pytest.raises(NotFittedError):
        kind().get_feature_names_out()
    model = fitted(kind)
    names = [f"{kind.__name__.lower()}{unit}" for unit in range(5)]
    assert model.get_feature_names_out().tolist() == names
    assert make_pipeline(model).get_feature_names_out().tolist() == names
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.transform(X[:, :2])
    np.testing.assert_array_equal(
        kind(hidden_layer_sizes=(6, 3, 5), **SMALL).fit_transform(X, model_target(kind)), model.transform(X)
    )


def model_target(kind):
    return LABELS if kind is MLPClassifier else Y


@each_kind
@pytest.mark.parametrize(("wanted", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(kind, wanted, frame):
    model = fitted(kind).set_output(transform=wanted)
    for layer, width in ((-2, 5), (1, 6), (0, 4)):
        got = model.transform(X, layer)
        assert isinstance(got, frame)
        assert list(got.columns) == [f"{kind.__name__.lower()}{unit}" for unit in range(width)]
        np.testing.assert_array_equal(got.to_numpy(), model.set_output(transform="default").transform(X, layer))
        model.set_output(transform=wanted)
    assert isinstance(model.fit_transform(X, model_target(kind)), frame)
    with sklearn.config_context(transform_output=wanted):
        assert isinstance(fitted(kind).transform(X), frame)
    assert isinstance(model.predict(X), np.ndarray)


def test_index_of_a_frame_is_kept():
    data = pd.DataFrame(X, index=np.arange(100, 130))
    got = fitted(data=data).set_output(transform="pandas").transform(data)
    assert got.index.equals(data.index)


def test_transform_in_a_pipeline_and_a_union():
    deep = make_pipeline(MLPClassifier(hidden_layer_sizes=(6, 3, 5), **SMALL), LogisticRegression()).fit(X, LABELS)
    hidden = fitted().transform(X)
    np.testing.assert_array_equal(deep.predict(X), LogisticRegression().fit(hidden, LABELS).predict(hidden))
    union = make_union(fitted(), MLPRegressor(**SMALL, hidden_layer_sizes=(2,)))
    assert union.fit_transform(X, LABELS).shape == (30, 7)
