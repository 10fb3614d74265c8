"""Networks whose inputs are computed by encoders, compared with the layers of the NumPy reference and with finite differences.

tests/test_encoders.py tests the kernels of the encoders alone. Here, networks contain several encoders, one after the other.
"""

import numpy as np
import pytest
import tabular_reference as reference

from fastbp._kernels.lazy.encoders import ENCODERS
from fastbp._network.encoders import (
    copy_encoder,
    edges_of_encoder,
    embedding_encoder,
    encoder_constants,
    encoder_table,
    means_of_encoder,
    one_hot_encoder,
    pbld_encoder,
    piecewise_linear_embedding_encoder,
    piecewise_linear_encoder,
    plr_encoder,
)
from fastbp._network.layer_kinds import LayerKinds

EDGES = [np.array([-1.5, -0.25, 0.5, 2.0]), np.array([-1.0, 1.0]), np.array([-2.0, 0.0, 0.25])]
OTHER_EDGES = [np.array([-0.5, 0.0, 0.125, 0.75, 1.0])]
NETWORKS = {
    "piecewise_linear": (
        copy_encoder(1),
        piecewise_linear_encoder([*EDGES[:2], np.array([0.5])], [np.array([0.5, 0.25, 0]), np.array([-0.5]), np.empty(0)]),
        plr_encoder(3, 2, 2, frequency_scale=0.5),
        piecewise_linear_encoder(EDGES, [np.full(3, 0.5), np.ones(1), np.zeros(2)], reads_again=True),
        piecewise_linear_encoder(OTHER_EDGES, [np.arange(4.0)]),
        copy_encoder(2),
    ),
    "piecewise_linear_embedding": (
        piecewise_linear_embedding_encoder(EDGES, 3),
        copy_encoder(2),
        piecewise_linear_embedding_encoder(OTHER_EDGES, 2),
    ),
    "plr": (plr_encoder(2, 3, 4, frequency_scale=0.5), copy_encoder(1), plr_encoder(1, 2, 3, frequency_scale=0.5)),
    "plr_lite": (copy_encoder(2), plr_encoder(3, 3, 2, frequency_scale=0.5, is_lite=True)),
    "one_hot": (one_hot_encoder(3, 2), copy_encoder(1), one_hot_encoder(5)),
    "all kinds": (
        piecewise_linear_embedding_encoder(EDGES, 2),
        plr_encoder(1, 2, 3),
        one_hot_encoder(2),
        pbld_encoder(1, 3, 3),
        embedding_encoder(4, 2),
        piecewise_linear_encoder(OTHER_EDGES, [np.arange(4.0)]),
        one_hot_encoder(3),
    ),
}
each_network = pytest.mark.parametrize("name", NETWORKS)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def parts_of(params, *shapes):
    """Consecutive parts of flat parameters with these shapes."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    assert ends[-1] == params.size
    return [part.reshape(shape) for part, shape in zip(np.split(params, ends[:-1]), shapes, strict=True)]


def layer_of(encoder, params):
    """The layer of the reference with the parameters of an encoder."""
    n, k, d = encoder.n_columns, encoder.n_units, encoder.n_out // encoder.n_columns
    if encoder.kind == "copy":
        return reference.Identity()
    if encoder.kind == "piecewise_linear":
        return reference.PiecewiseLinearEncoding(edges_of_encoder(encoder), means=means_of_encoder(encoder))
    if encoder.kind == "piecewise_linear_embedding":
        edges = edges_of_encoder(encoder)
        n_bins = [len(of_column) - 1 for of_column in edges]
        w0, b0, *rows = parts_of(params, (n, d), (n, d), *((number, d) for number in n_bins))
        W = np.stack([np.vstack([of_column, np.zeros((k - len(of_column), d))]) for of_column in rows])
        return reference.PiecewiseLinearEmbedding(edges, w0=w0, b0=b0, W=W)
    if encoder.kind in ("plr", "plr_lite"):
        n_layers = n if encoder.kind == "plr" else 1
        w, W, b = parts_of(params, (n, k), (n_layers, 2 * k, d), (n_layers, d))
        return reference.PLR(w=w, W=np.broadcast_to(W, (n, 2 * k, d)), b=np.broadcast_to(b, (n, d)))
    if encoder.kind == "pbld":
        names, shapes = ("w1", "b1", "W2", "b2"), ((n, k), (n, k), (n, k, d - 1), (n, d - 1))
        return reference.PBLD(**dict(zip(names, parts_of(params, *shapes), strict=True)))
    tables = parts_of(params, (n, k, d))[0] if encoder.kind == "embedding" else np.broadcast_to(np.eye(k), (n, k, k))
    return reference.Columns([(slice(c, c + 1), reference.CategoricalEmbedding(E=tables[c])) for c in range(n)])


def expected_outputs(net, params, X):
    """The outputs of a network with one hidden layer of tanh, in float64."""
    layout, params, at, parts = net.layout, params.astype(float), 0, []
    for index, encoder in enumerate(net.options["kinds"].encoders):
        layer = layer_of(encoder, layout.extra(params, f"encoder_{index}"))
        at += 0 if encoder.reads_again else encoder.n_columns
        parts.append((slice(at - encoder.n_columns, at), layer))
    (W, V), (b, c) = layout.views(params)
    return np.tanh(reference.Columns(parts).forward(X) @ W + b) @ V + c


def an_encoded_network(network, name, dtype=np.float64, n_rows=9, **options):
    n_inputs = sum(encoder.n_out for encoder in NETWORKS[name])
    return network((n_inputs, 6, 2), dtype, n_rows, kinds=LayerKinds(encoders=NETWORKS[name]), **options)


@each_dtype
@each_network
def test_outputs(name, dtype, network):
    net = an_encoded_network(network, name, dtype)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(net.predict(), expected_outputs(net, net.params, net.X), rtol=tolerance, atol=tolerance)
    order = np.array([8, 0, 3, 3])
    expected = expected_outputs(net, net.params, net.X[order])
    np.testing.assert_allclose(net.predict(order), expected, rtol=tolerance, atol=tolerance)


@each_network
@pytest.mark.parametrize("block_size", [7, 3])
def test_gradients_agree_with_finite_differences(name, block_size, network):
    net = an_encoded_network(network, name, n_rows=7, block_size=block_size)
    for start in range(0, 7, block_size):
        gradient = net.loss_and_gradient(start, min(7, start + block_size))[2]

    def loss(params):
        return ((expected_outputs(net, params, net.X) - net.y) ** 2).sum() / 2

    steps = 1e-6 * np.eye(net.params.size)
    expected = np.array([loss(net.params + step) - loss(net.params - step) for step in steps]) / 2e-6
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7 * abs(expected).max())


@each_network
def test_gradients_in_float32(name, network):
    net, exact = (an_encoded_network(network, name, dtype) for dtype in (np.float32, np.float64))
    exact.params[...], exact.X[...], exact.y[...] = net.params, net.X, net.y
    expected = exact.loss_and_gradient()[2]
    np.testing.assert_allclose(net.loss_and_gradient()[2], expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=pytest.mark.compiled)])
@each_network
def test_training_steps(name, n_threads, network):
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 9}
    net = an_encoded_network(network, name, n_threads=n_threads, n_shares=2, block_size=4, **options)
    other = an_encoded_network(network, name, **options)
    for _ in range(3):
        other.loss_and_gradient()
        other.params -= net.options["learning_rate_init"] / 9 * other.gradient
    assert net.train(3) == 3
    np.testing.assert_allclose(net.params, other.params, rtol=1e-11, atol=1e-13)


# ---------------------------------------------------------------------- descriptions


def test_tables_and_constants_of_all_kinds_follow_each_other():
    encoders = NETWORKS["all kinds"]
    assert {encoder.kind for encoder in sum(NETWORKS.values(), ())} == set(ENCODERS)
    table, constants = encoder_table(encoders, 5, np.dtype(np.float32)), encoder_constants(encoders, np.float32)
    assert constants.dtype == np.float32
    for name in ("n_columns", "n_out", "n_params", "n_saved", "n_units"):
        assert list(table[name]) == [getattr(encoder, name) for encoder in encoders]
    for record, encoder in zip(table, encoders, strict=True):
        at = record["constants_at"]
        np.testing.assert_array_equal(constants[at : at + encoder.n_constants], np.frombuffer(encoder.constants))
    ends = [("column_at", "n_columns", 0), ("output_at", "n_out", 0), ("params_at", "n_params", 5), ("saved_at", "n_saved", 0)]
    for start, size, first in ends:
        assert list(table[start]) == [first, *(first + np.cumsum(table[size])[:-1])]


def test_an_encoder_can_read_the_columns_of_the_encoder_before_it():
    encoders = NETWORKS["piecewise_linear"]
    assert [encoder.n_columns for encoder in encoders] == [1, 3, 3, 3, 1, 2]
    assert list(encoder_table(encoders, 0, np.dtype(np.float64))["column_at"]) == [0, 1, 4, 4, 7, 8]
    assert LayerKinds(encoders=encoders).n_features == 10


# ---------------------------------------------------------------------- initial values


def test_initial_piecewise_linear_embedding():
    encoder = piecewise_linear_embedding_encoder([np.linspace(0, 1, 4)] * 60, 16)
    params = np.full(encoder.n_params, np.nan)
    encoder.initialize(params, np.random.RandomState(0))
    drawn = params[: 2 * 60 * 16]
    assert 0.24 < abs(drawn).max() <= 0.25
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [0, 0.25 / 3**0.5], atol=0.01)
    assert (params[drawn.size :] == 0).all()


@pytest.mark.parametrize("is_lite", [False, True])
def test_initial_periodic_embedding(is_lite):
    encoder = plr_encoder(50, 48, 24, frequency_scale=0.1, is_lite=is_lite)
    params = np.full(encoder.n_params, np.nan)
    encoder.initialize(params, np.random.RandomState(0))
    frequencies, layers = params[: 50 * 48], params[50 * 48 :]
    assert 0.25 < abs(frequencies).max() <= 0.3
    np.testing.assert_allclose([frequencies.mean(), frequencies.std()], [0, 0.0986], atol=0.005)  # 0.0986: without the tails
    assert layers.size == (1 if is_lite else 50) * (96 + 1) * 24
    assert 0.95 * 96**-0.5 < abs(layers).max() <= 96**-0.5
    np.testing.assert_allclose([layers.mean(), layers.std()], [0, (3 * 96) ** -0.5], atol=0.003)
