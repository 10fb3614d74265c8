"""Networks of members that share weights through adapters (TabM and TabM-mini).

The oracle computes the outputs of each row in NumPy with loops over the rows, and gradients are compared with finite differences.
"""

import itertools

import numpy as np
import pytest
from exported import ACTIVATIONS

from fastbp._kernels.lazy.members import shuffle_members
from fastbp._network.encoders import copy_encoder, embedding_encoder
from fastbp._network.layer_kinds import LayerKinds
from fastbp._network.prediction import member_outputs, outputs

K = 3
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
each_adapters = pytest.mark.parametrize("adapters", ["all", "input"])


def kinds_of(adapters, n_features, **options):
    return LayerKinds(encoders=(copy_encoder(n_features),), initialization="tabm", n_members=K, adapters=adapters, **options)


def part(flat, n):
    """The first n values of a flat array, and the rest."""
    return flat[:n], flat[n:]


def outputs_of_row(net, params, x, member):
    """The outputs of one row for one member, in float64."""
    layout, params = net.layout, params.astype(np.float64)
    (coefs, intercepts), sizes = layout.views(params), layout.sizes
    r, s = layout.extra(params, "input_adapters"), layout.extra(params, "output_adapters")
    a = x
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        if layer == len(coefs) - 1:
            return W[member] @ a + b[member]
        if r.size:
            of_layer, r = part(r, K * sizes[layer])
            a = a * of_layer.reshape(K, -1)[member]
        z = a @ W
        if s.size:
            of_layer, s = part(s, K * sizes[layer + 1])
            z = z * of_layer.reshape(K, -1)[member] + b[member]
        else:
            z = z + b
        a = ACTIVATIONS[net.options["activation"]](z)


def forward(net, params, X, start=0):
    return np.array([outputs_of_row(net, params, x, (start + i) % K) for i, x in enumerate(X)])


@each_dtype
@each_adapters
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_outputs(adapters, activation, dtype, network):
    net = network((5, 6, 7, 2), dtype, 11, kinds=kinds_of(adapters, 5), activation=activation)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(net.predict(), forward(net, net.params, net.X), rtol=tolerance, atol=tolerance)
    order = np.array([8, 0, 3, 3])
    np.testing.assert_allclose(net.predict(order), forward(net, net.params, net.X[order]), rtol=tolerance, atol=tolerance)


@each_adapters
@pytest.mark.parametrize("sizes", [(5, 6, 7, 2), (3, 1, 1), (1, 20, 3), (17, 33, 8, 1)], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_gradients_agree_with_finite_differences(adapters, sizes, weighted, network):
    net = network(sizes, np.float64, 7, weighted=weighted, kinds=kinds_of(adapters, sizes[0]), activation="silu")

    def loss(params):
        weight = 1 if net.weight is None else net.weight
        return float((weight * ((forward(net, params, net.X) - net.y) ** 2).sum(axis=1)).sum() / 2)

    value, _, gradient = net.loss_and_gradient()
    np.testing.assert_allclose(value * sizes[-1], loss(net.params), rtol=1e-12)  # the mean over the outputs, as in scikit-learn
    h, expected = 1e-6, np.empty(net.params.size)
    for q in range(net.params.size):
        step = h * (np.arange(net.params.size) == q)
        expected[q] = (loss(net.params + step) - loss(net.params - step)) / (2 * h)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * abs(expected).max())


@each_dtype
@each_adapters
def test_gradient_is_the_sum_over_blocks(adapters, dtype, network):
    """Blocks need not start with the first member."""
    options = {"kinds": kinds_of(adapters, 5), "activation": "relu"}
    whole, blocks = network((5, 6, 7, 2), dtype, 23, **options), network((5, 6, 7, 2), dtype, 23, block_size=4, **options)
    whole.loss_and_gradient()
    for start, stop in itertools.pairwise((0, 12, 23)):
        blocks.loss_and_gradient(start, stop)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(blocks.gradient, whole.gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=pytest.mark.compiled)])
@each_adapters
def test_training_steps(adapters, n_threads, network):
    """Steps of gradient descent by the kernels, with and without threads, against steps with the gradient of one pass."""
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 23, "kinds": kinds_of(adapters, 5)}
    net = network((5, 6, 7, 2), np.float64, 23, n_threads=n_threads, n_shares=2, block_size=5, **options)
    other = network((5, 6, 7, 2), np.float64, 23, **options)
    for _ in range(3):
        other.loss_and_gradient()
        other.params -= net.options["learning_rate_init"] / 23 * other.gradient
    assert net.train(3) == 3
    np.testing.assert_allclose(net.params, other.params, rtol=1e-12, atol=1e-14)


@each_adapters
def test_predictions_are_means_over_the_members(adapters, network, monkeypatch):
    monkeypatch.setattr("fastbp._network.prediction._ROWS_OF_MEMBERS", 4)  # so that there are several parts
    net = network((5, 6, 7, 2), np.float64, 11, kinds=kinds_of(adapters, 5))
    expected = np.stack([[outputs_of_row(net, net.params, x, member) for member in range(K)] for x in net.X])
    of_members = member_outputs(net.plan, net.params, net.rows, np.arange(11))
    np.testing.assert_allclose(of_members, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(outputs(net.plan, net.params, net.rows, 11), expected.mean(axis=1), rtol=1e-12, atol=1e-14)
    order = np.array([7, 0, 7, 2, 9])
    means = outputs(net.plan, net.params, net.rows, 5, order)
    np.testing.assert_allclose(means, expected.mean(axis=1)[order], rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------------- rows and initial values


def test_each_member_is_shuffled_as_by_numpy():
    order, random_state = np.repeat(np.arange(50), K), np.random.RandomState(0)
    _, key, position, *_ = random_state.get_state()
    expected = order.reshape(-1, K).copy()
    shuffle_members(order, key.copy(), np.array([position]), K, 0)
    for column in expected.T:
        random_state.shuffle(column)
    np.testing.assert_array_equal(order.reshape(-1, K), expected)
    assert len(np.unique(expected.T, axis=0)) == K


def test_members_can_share_the_order_of_rows():
    order, random_state = np.repeat(np.arange(50), K), np.random.RandomState(0)
    _, key, position, *_ = random_state.get_state()
    shuffle_members(order, key.copy(), np.array([position]), K, 1)
    np.testing.assert_array_equal(order.reshape(-1, K), np.repeat(random_state.permutation(50)[:, None], K, axis=1))


@pytest.mark.parametrize("adapter_init", ["signs", "normal"])
@each_adapters
def test_initial_values(adapters, adapter_init):
    encoders = copy_encoder(2), embedding_encoder(6, 4)
    kinds = LayerKinds(encoders=encoders, initialization="tabm", n_members=K, adapters=adapters, adapter_init=adapter_init)
    layout = kinds.layout((6, 50, 40, 2), 0)
    params = np.full(layout.n_params, np.nan)
    kinds.initialize(layout, params, ("relu", "relu"), np.random.RandomState(0), np.zeros((5, 3)))
    assert np.isfinite(params).all()
    coefs, intercepts = layout.views(params)
    assert [W.shape for W in coefs] == [(6, 50), (50, 40), (K, 2, 40)]
    assert [b.shape for b in intercepts] == [(K, 50), (K, 40), (K, 2)] if adapters == "all" else [(50,), (40,), (K, 2)]
    for W, b, n_in in zip(coefs, intercepts, (6, 50, 40), strict=True):
        bound = n_in**-0.5
        assert 0.9 * bound < np.abs(W).max() <= bound
        assert np.abs(b).max() <= bound
        if b.ndim == 2:
            assert (len(np.unique(b, axis=0)) == 1) == (n_in != 40)  # only the heads start with different biases
    r, others = part(layout.extra(params, "input_adapters"), K * 6)
    r = r.reshape(K, 6)
    assert (r[:, 2:] == r[:, 2:3]).all()  # the outputs of an embedding have the same adapter
    assert len(np.unique(r[:, :3], axis=0)) > 1
    assert (np.abs(r) == 1).all() == (adapter_init == "signs")
    assert (others == 1).all()
    assert (layout.extra(params, "output_adapters") == 1).all()
