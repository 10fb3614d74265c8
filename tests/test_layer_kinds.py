"""Layer kinds in addition to dense layers: a scaling of the inputs, parametric activations, and residual connections.

The oracle computes forward passes in NumPy, and gradients are compared with finite differences.
"""

import itertools

import numpy as np
import pytest
from exported import ACTIVATIONS

from fastbp._kernels.lazy.addresses import lazy_address

each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
KINDS = {
    "scaled": {"has_input_scale": True},
    "parametric": {"has_slopes": True, "activation": ("selu", "mish")},
    "both": {"has_input_scale": True, "has_slopes": True, "activation": ("relu", "tanh")},
    "residual": {"has_residuals": True, "activation": ("relu", "relu")},
    "residual, parametric": {"has_residuals": True, "has_slopes": True, "activation": ("tanh", "relu")},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def forward(net, params, X):
    """The outputs of a network with an input scaling and parametric activations, in float64."""
    layout, options = net.layout, net.options
    params = params.astype(np.float64)
    coefs, intercepts = layout.views(params)
    A = X * layout.extra(params, "input_scale") if options.get("has_input_scale") else X
    slopes = layout.extra(params, "slopes")
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        Z = A @ W + b
        if layer == len(coefs) - 1:
            return Z
        name = options["activation"] if isinstance(options["activation"], str) else options["activation"][layer]
        inputs, A = A, ACTIVATIONS[name](Z)
        if slopes.size:
            at = sum(layout.sizes[1 : layer + 1])
            A = Z + slopes[at : at + Z.shape[1]] * (A - Z)
        if options.get("has_residuals") and layer > 0 and A.shape == inputs.shape:
            A = A + inputs


def loss(net, params):
    weight = 1 if net.weight is None else net.weight
    return float((weight * ((forward(net, params, net.X) - net.y) ** 2).sum(axis=1)).sum() / 2)


@each_dtype
@each_kind
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_outputs(kind, dtype, sparse, network):
    net = network((5, 7, 7, 2), dtype, 9, sparse=sparse, **KINDS[kind])
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(net.predict(), forward(net, net.params, net.X), rtol=tolerance, atol=tolerance)
    order = np.array([8, 0, 3, 3])
    np.testing.assert_allclose(net.predict(order), forward(net, net.params, net.X[order]), rtol=tolerance, atol=tolerance)


@each_kind
@pytest.mark.parametrize(
    "sizes", [(5, 7, 7, 2), (3, 1, 1), (1, 20, 3), (17, 33, 8, 1), (4, 6, 6, 6, 2), (8, 8, 9, 9, 9, 1)], ids=str
)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_gradients_agree_with_finite_differences(kind, sizes, weighted, network):
    options = KINDS[kind] | {"activation": "silu"}
    net = network(sizes, np.float64, 7, weighted=weighted, **options)
    value, _, gradient = net.loss_and_gradient()
    np.testing.assert_allclose(
        value * sizes[-1], loss(net, net.params), rtol=1e-12
    )  # the mean over the outputs, as in scikit-learn
    h, expected = 1e-6, np.empty(net.params.size)
    for q in range(net.params.size):
        step = h * (np.arange(net.params.size) == q)
        expected[q] = (loss(net, net.params + step) - loss(net, net.params - step)) / (2 * h)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * abs(expected).max())


@each_dtype
@each_kind
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_gradient_is_the_sum_over_blocks(kind, dtype, sparse, network):
    whole = network((5, 7, 7, 2), dtype, 23, sparse=sparse, **KINDS[kind])
    blocks = network((5, 7, 7, 2), dtype, 23, sparse=sparse, block_size=4, **KINDS[kind])
    whole.loss_and_gradient()
    for start, stop in itertools.pairwise((0, 12, 23)):
        blocks.loss_and_gradient(start, stop)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(blocks.gradient, whole.gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=pytest.mark.compiled)])
@each_kind
def test_training_steps(kind, n_threads, network):
    """Steps of gradient descent by the kernels, with and without threads, against steps with the gradient of one pass."""
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 23, "block_size": 5}
    net = network((5, 7, 7, 2), np.float64, 23, n_threads=n_threads, n_shares=2, **options, **KINDS[kind])
    other = network((5, 7, 7, 2), np.float64, 23, **options | {"block_size": 23}, **KINDS[kind])
    for _ in range(3):
        other.loss_and_gradient()
        other.params -= net.options["learning_rate_init"] / 23 * other.gradient
    assert net.train(3) == 3
    np.testing.assert_allclose(net.params, other.params, rtol=1e-12, atol=1e-14)


@each_dtype
def test_dropout_changes_the_differences_like_the_activations(dtype, network):
    """A unit that is set to 0 gets no gradient for its α; the expected gradient is that of the kept units."""
    options = {"dropout": (0.0, 0.5), "activation": "selu", "has_slopes": True}
    net = network((4, 40, 1), dtype, 1, **options)
    net.loss_and_gradient()
    layout = net.layout
    is_kept = net.scratch.activations[: layout.sizes[1]] != 0
    of_slopes = layout.extra(net.gradient, "slopes")
    assert 5 < is_kept.sum() < 35
    assert ((of_slopes != 0) == is_kept).all()
    W, b = layout.views(net.params.astype(np.float64))[0][0], layout.views(net.params.astype(np.float64))[1][0]
    Z = net.X @ W + b
    error = net.predict()[0] - net.y[0]
    np.testing.assert_allclose(
        of_slopes,
        is_kept * 2 * error * layout.views(net.params)[0][1][:, 0] * (ACTIVATIONS["selu"](Z) - Z)[0],
        rtol=1e-4 if dtype == np.float32 else 1e-10,
    )


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=pytest.mark.compiled)])
def test_rows_that_do_not_fill_a_batch_can_be_left_out(n_threads, network):
    options = {"batch_size": 5, "block_size": 5, "n_threads": n_threads}
    whole, part = network(n_rows=13, drop_last=1, **options), network(n_rows=13, **options)
    part.order = np.arange(10)
    assert whole.train(3) == part.train(3) == 3
    np.testing.assert_array_equal(whole.params, part.params)
    np.testing.assert_array_equal(whole.losses[:3], part.losses[:3])


def test_schedule_of_dropout_and_weight_decay(network):
    """The rates follow the schedule: after the last epoch of its horizon, they are 0."""
    address = lazy_address("schedule", "cosine", np.dtype(np.float64))
    shared = {"weight_decay": 0.3, "dropout": (0.0, 0.5, 0.5), "strength_schedule_address": address, "alpha": 0.0}
    scheduled = network(horizon=3.0, batch_size=7, **shared)
    scheduled.train(3)
    plain = network(batch_size=7, weight_decay=0.0, alpha=0.0)
    for name in ("params", "moments"):
        getattr(plain, name)[:] = getattr(scheduled, name)
    scheduled.train(1)
    plain.train(1)
    np.testing.assert_allclose(scheduled.params, plain.params, rtol=1e-12)
    assert scheduled.progress[0].strength == 0
