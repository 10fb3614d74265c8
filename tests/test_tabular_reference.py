"""The NumPy reference of RealMLP and TabM is compared with finite differences and with small cases that were worked out by hand."""

import numpy as np
import pytest
import tabular_reference as reference

EDGES = [[-1.0, 0.0, 0.5, 2.0], [-2.0, 1.0], [-1.0, 0.3, 2.5]]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# name: (the layer, the shape of its input)
KINDS = {
    "diagonal": (lambda: reference.Diagonal(s=normal(3, seed=1)), (4, 3)),
    "adapter": (lambda: reference.Adapter(s=normal(2, 3, seed=1)), (4, 2, 3)),
    "dense": (lambda: reference.Dense(W=normal(3, 5, seed=1), b=normal(5, seed=2)), (4, 3)),
    "dense of members": (lambda: reference.Dense(W=normal(3, 5, seed=1), b=normal(5, seed=2)), (4, 2, 3)),
    "NTP dense": (lambda: reference.NTPDense(W=normal(3, 5, seed=1), b=normal(5, seed=2)), (4, 3)),
    "selu": (lambda: reference.Activation("selu"), (4, 3)),
    "mish": (lambda: reference.Activation("mish"), (4, 3)),
    "relu": (lambda: reference.Activation("relu"), (4, 3)),
    "parametric selu": (lambda: reference.ParametricActivation("selu", alpha=normal(3, seed=1)), (4, 3)),
    "parametric mish": (lambda: reference.ParametricActivation("mish", alpha=normal(3, seed=1)), (4, 3)),
    "PBLD": (
        lambda: reference.PBLD(
            w1=normal(3, 4, seed=1), b1=normal(3, 4, seed=2), W2=normal(3, 4, 2, seed=3), b2=normal(3, 2, seed=4)
        ),
        (5, 3),
    ),
    "PLR": (lambda: reference.PLR(w=normal(3, 4, seed=1), W=normal(3, 8, 2, seed=2), b=normal(3, 2, seed=3)), (5, 3)),
    "PLR of members": (lambda: reference.PLR(w=normal(3, 4, seed=1), W=normal(3, 8, 2, seed=2), b=normal(3, 2, seed=3)), (5, 2, 3)),
    "piecewise-linear encoding": (lambda: reference.PiecewiseLinearEncoding(EDGES), (6, 3)),
    "padded piecewise-linear encoding": (lambda: reference.PiecewiseLinearEncoding(EDGES, width=3), (6, 3)),
    "piecewise-linear embedding": (
        lambda: reference.PiecewiseLinearEmbedding(
            EDGES, w0=normal(3, 2, seed=1), b0=normal(3, 2, seed=2), W=normal(3, 3, 2, seed=3)
        ),
        (6, 3),
    ),
    "residual": (
        lambda: reference.Residual([reference.Dense(W=normal(3, 3, seed=1), b=normal(3, seed=2)), reference.Activation("mish")]),
        (4, 3),
    ),
    "columns": (
        lambda: reference.Columns([(slice(2), reference.Diagonal(s=normal(2, seed=1))), (slice(1, 3), reference.Identity())]),
        (4, 3),
    ),
    "members": (lambda: reference.Members(2), (4, 3)),
    "rows of members": (lambda: reference.Members(2), (4, 2, 3)),
    "member dense": (
        lambda: reference.MemberDense(
            W=normal(3, 5, seed=1), r=normal(2, 3, seed=2), s=normal(2, 5, seed=3), b=normal(2, 5, seed=4)
        ),
        (4, 2, 3),
    ),
    "heads": (lambda: reference.Heads(V=normal(2, 3, 5, seed=1), c=normal(2, 5, seed=2)), (4, 2, 3)),
}


def differences(function, array, step=1e-6):
    """Return the central differences of a function of no arguments by the values of an array, which it reads."""
    slopes = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        old, values = array[index], []
        for sign in (1, -1):
            array[index] = old + sign * step
            values.append(function())
        array[index] = old
        slopes[index] = (values[0] - values[1]) / (2 * step)
    return slopes


def check_gradients(layer, x, *, of_input=True):
    layer_output = layer.forward(x)
    weight = normal(*layer_output.shape, seed=9)

    def total():
        return (layer.forward(x) * weight).sum()

    back = layer.backward(weight)
    gradients = [(inner, dict(inner.gradients)) for inner in layer.layers()]
    if of_input:
        np.testing.assert_allclose(back, differences(total, x), rtol=1e-6, atol=1e-7)
    for inner, by_name in gradients:
        assert by_name.keys() == inner.parameters.keys()
        for name, gradient in by_name.items():
            np.testing.assert_allclose(gradient, differences(total, inner.parameters[name]), rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(kind):
    make, shape = KINDS[kind]
    check_gradients(make(), normal(*shape))


def test_gradient_of_a_categorical_embedding():
    layer = reference.CategoricalEmbedding(E=normal(4, 3))
    check_gradients(layer, np.array([[2.0], [0.0], [2.0], [3.0]]), of_input=False)
    assert layer.gradients["E"].shape == (4, 3)
    assert not layer.gradients["E"][1].any()


def test_gradient_with_dropout():
    layer = reference.Dropout()
    layer.keep, layer.rate = np.array([[True, False, True]]), 0.2
    np.testing.assert_allclose(layer.forward(np.array([[1.0, 2.0, 4.0]])), [[1.25, 0, 5]])
    np.testing.assert_allclose(layer.backward(np.ones((1, 3))), [[1.25, 0, 1.25]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradient_of_the_cross_entropy(smoothing):
    z, codes = normal(4, 2, 3), np.array([[0, 1], [2, 2], [1, 0], [0, 0]])
    _, delta = reference.cross_entropy(z, codes, smoothing)
    np.testing.assert_allclose(delta, differences(lambda: reference.cross_entropy(z, codes, smoothing)[0], z), atol=1e-8)


def test_gradient_of_the_squared_error():
    z, y = normal(4, 2), normal(4, 2, seed=1)
    _, delta = reference.squared_error(z, y)
    np.testing.assert_allclose(delta, differences(lambda: reference.squared_error(z, y)[0], z), atol=1e-8)


def test_losses_by_hand():
    loss, _ = reference.cross_entropy(np.zeros((5, 4)), np.zeros(5, int), 0.1)
    assert loss == pytest.approx(np.log(4))
    # logits (ln 3, 0): probabilities (3/4, 1/4), targets (0.95, 0.05) with smoothing 0.1
    loss, _ = reference.cross_entropy(np.array([[np.log(3), 0.0]]), np.array([0]), 0.1)
    assert loss == pytest.approx(-0.95 * np.log(0.75) - 0.05 * np.log(0.25))
    assert reference.squared_error(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]]))[0] == 2
    assert np.isfinite(reference.cross_entropy(np.array([[1e4, -1e4]]), np.array([1]))[0])


def test_neural_tangent_parametrization_scales_the_weights_but_not_the_bias():
    layer = reference.NTPDense(W=np.ones((4, 1)), b=np.array([0.5]))
    np.testing.assert_allclose(layer.forward(np.ones((1, 4))), [[4 / 2 + 0.5]])


def test_parametric_activation_interpolates():
    z = np.array([[-2.0, 3.0]])
    for alpha, expected in ((0.0, [-2, 3]), (1.0, [0, 3]), (0.25, [-1.5, 3])):
        layer = reference.ParametricActivation("relu", alpha=np.full(2, alpha))
        np.testing.assert_allclose(layer.forward(z), [expected])


def test_pbld_places_the_embeddings_before_the_columns():
    ones = np.ones((2, 1))
    layer = reference.PBLD(w1=0.5 * ones, b1=np.zeros((2, 1)), W2=np.array([[[2.0]], [[3.0]]]), b2=np.array([[0.1], [0.2]]))
    # cos(π·1) = -1 and cos(π·2) = 1
    np.testing.assert_allclose(layer.forward(np.array([[1.0, 2.0]])), [[-1.9, 3.2, 1.0, 2.0]])


def test_plr_by_hand():
    W = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    layer = reference.PLR(w=np.array([[0.25]]), W=W, b=np.array([[0.5, -2.0]]))
    # cos(π/2) = 0 and sin(π/2) = 1, and relu(1 - 2) = 0
    np.testing.assert_allclose(layer.forward(np.array([[1.0]])), [[0.5, 0.0]], atol=1e-15)


def test_piecewise_linear_encoding_by_hand():
    layer = reference.PiecewiseLinearEncoding([[0.0, 1.0, 3.0, 4.0]])
    X = np.array([[-1.0], [0.5], [2.0], [3.5], [6.0]])
    expected = [[-1, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 0.5], [1, 1, 3]]
    np.testing.assert_allclose(layer.forward(X), expected)
    centered = reference.PiecewiseLinearEncoding([[0.0, 1.0, 3.0, 4.0], [7.0]], means=[0.5, 0, 0.25])
    np.testing.assert_allclose(centered.forward(np.hstack([X, X])), np.clip(expected, 0, 1) - [0.5, 0, 0.25])
    single = reference.PiecewiseLinearEncoding([[0.0, 2.0]])
    np.testing.assert_allclose(single.forward(np.array([[-1.0], [3.0]])), [[-0.5], [1.5]])


def test_member_dense_by_hand():
    layer = reference.MemberDense(
        W=np.array([[1.0], [2.0]]), r=np.array([[1, 1], [1, -1]]), s=np.array([[1], [3]]), b=np.array([[0], [1]])
    )
    np.testing.assert_allclose(layer.forward(np.array([[[1.0, 1.0], [1.0, 1.0]]])), [[[3.0], [(1 - 2) * 3 + 1]]])


def test_schedules_at_known_points():
    # the cycles end where log2(1 + 15 t) is an integer
    np.testing.assert_allclose([reference.coslog(t) for t in (0, 1 / 15, 3 / 15, 7 / 15, 1)], 0, atol=1e-15)
    np.testing.assert_allclose([reference.coslog((np.sqrt(2) * 2**k - 1) / 15) for k in range(4)], 1)
    np.testing.assert_allclose([reference.flat_cos(t) for t in (0, 0.49, 0.5, 0.75, 1)], [1, 1, 1, 0.5, 0], atol=1e-15)


def test_first_steps_of_adam_by_hand():
    layer = reference.Diagonal(s=np.array([2.0]))  # its factors are (6, 1)
    layer.gradients = {"s": np.array([0.5])}
    optimizer = reference.Adam(layer, beta_2=0.95, epsilon=0.0, twice=True)
    optimizer.step(0.0, 0.02)  # a rate of 0 changes only the moments
    np.testing.assert_allclose(layer.parameters["s"], [2.0])
    layer.gradients = {"s": np.array([-1.0])}
    optimizer.step(0.01, 0.02)
    m = (0.9 * 0.05 - 0.1) / (1 - 0.81)
    v = (0.95 * 0.05 * 0.25 + 0.05) / (1 - 0.9025)
    np.testing.assert_allclose(layer.parameters["s"], [2 * (1 - 0.02 * 0.01 * 36) - 0.06 * m / np.sqrt(v)])


def test_one_hot_columns():
    np.testing.assert_allclose(reference.one_hot([0, 1], 2), [[-1], [1]])
    np.testing.assert_allclose(reference.one_hot([0, 1, 2], 3), [[0], [1], [-1]])
    np.testing.assert_allclose(reference.one_hot([0, 1, 3], 4), [[0, 0, 0], [1, 0, 0], [0, 0, 1]])


def test_robust_scaling_by_hand():
    X = np.array([[0.0, 0, 7], [1, 0, 7], [2, 0, 7], [3, 0, 7], [4, 5, 7]])
    median, factor = reference.robust_scaling(X)
    np.testing.assert_allclose(median, [2, 0, 7])
    np.testing.assert_allclose(factor, [1 / 2, 2 / 5, 0])  # by the quartiles, by the range, and constant
    np.testing.assert_allclose(reference.smooth_clip(np.array([0.0, 3.0, 1e9])), [0, 3 / np.sqrt(2), 3])


def test_best_epoch_among_equal_errors():
    assert reference.best_epoch([3, 1, 2, 1, 4], "last") == 3
    assert reference.best_epoch([3, 1, 2, 1, 4], "first") == 1


def test_mean_of_the_members():
    z = np.log(np.array([[[1.0, 3.0], [1.0, 1.0]]]))
    np.testing.assert_allclose(reference.members_prediction(z, True), [[0.375, 0.625]])
    np.testing.assert_allclose(reference.members_prediction(z, False), z.mean(axis=1))


class Draws:
    """Draws from a NumPy generator."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.normal, self.uniform, self.exponential = rng.standard_normal, rng.random, rng.standard_exponential
        self.integers = lambda n, shape: rng.integers(n, size=shape)


def realmlp_problem(preset, **changes):
    X = np.column_stack([normal(40, 3), np.arange(40) % 11])
    sizes, numeric = ([11], 2) if preset == "td" else ([], 2)
    X = X if sizes else X[:, :3]
    weights = reference.initial_realmlp(X, numeric, sizes, (5, 4), 1, "mish", preset=preset, draws=Draws(0))
    y = reference.smooth_clip(X[:, :1] * X[:, 1:2])
    return reference.Problem(
        "realmlp", weights, X, y, [np.arange(40)] * 60, [[]] * 60, 60, 0.1, **{"activation": "mish", **changes}
    )


def test_data_driven_initialization():
    problem = realmlp_problem("td")
    network, spreads = reference.build(problem), []
    x = problem.X
    for layer in network.sequence:
        if isinstance(layer, reference.NTPDense):
            z = x @ layer.parameters["W"] * layer.gain
            spreads.append(z.std(axis=0))
            assert (-layer.parameters["b"] >= z.min(axis=0)).all()  # minus a convex combination of rows
            assert (-layer.parameters["b"] <= z.max(axis=0)).all()
        x = layer.forward(x)
    np.testing.assert_allclose(np.concatenate(spreads), 1)
    assert len(spreads) == 3


def test_preset_td_s_starts_from_zero_outputs():
    problem = realmlp_problem("td-s")
    assert not reference.build(problem).forward(problem.X).any()


@pytest.mark.parametrize("preset", ["td", "td-s"])
def test_training_realmlp_reduces_the_loss(preset):
    problem = realmlp_problem(preset)
    n_dropouts = sum(isinstance(layer, reference.Dropout) for layer in reference.build(problem).layers())
    assert n_dropouts == (2 if preset == "td" else 0)
    losses, _ = reference.train(problem._replace(masks=[[None] * n_dropouts] * 60, weight_decay=0.02))
    assert losses[0] == losses[1]  # the learning rate of the first step is 0
    assert losses[-1] < 0.2 * losses[0]


def tabm_weights(mini):
    k, n, h = 3, 2, 6
    weights = {"ple.w0": normal(n, 2), "ple.b0": normal(n, 2, seed=1), "ple.W": normal(n, 3, 2, seed=2)}
    own = {} if mini else {"block.0.r": normal(k, 5, seed=3), "block.0.s": normal(k, h, seed=4)}
    adapter = {"adapter.s": normal(k, 5, seed=3)} if mini else {}
    bias = normal(h, seed=5) if mini else normal(k, h, seed=5)
    weights |= adapter | {"block.0.W": normal(5, h, seed=6) / 3, "block.0.b": bias} | own
    return weights | {"head.V": normal(k, h, 1, seed=7) / 3, "head.c": normal(k, 1, seed=8)}


@pytest.mark.parametrize("mini", [False, True])
def test_gradients_of_tabm(mini):
    network = reference.tabm(tabm_weights(mini), EDGES[:2])
    check_gradients(network, normal(2, 3, seed=11))
    check_gradients(network, normal(2, 3, 3, seed=12))


@pytest.mark.parametrize("shared", [False, True])
def test_training_tabm_reduces_the_loss(shared):
    X = normal(30, 3)
    y = np.sin(X[:, :1])
    rng = np.random.default_rng(0)
    batches = [
        rng.permutation(30)[:20] if shared else rng.permuted(np.tile(np.arange(30), (3, 1)), axis=1).T[:20] for _ in range(80)
    ]
    problem = reference.Problem("tabm", tabm_weights(False), X, y, batches, [[None]] * 80, 80, 0.02, edges=EDGES[:2])
    losses, network = reference.train(problem)
    assert losses[-5:].mean() < 0.3 * losses[:5].mean()
    assert network.forward(X).shape == (30, 3, 1)
