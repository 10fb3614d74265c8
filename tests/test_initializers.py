"""Initial weights: their distributions, the order in which they are drawn, and arrays and functions given by users.

To read the initial weights of a network, the tests fit it with steps that are too small to change the weights.
"""

from itertools import pairwise

import numpy as np
import pytest
from exported import ACTIVATIONS
from scipy import stats
from scipy.sparse import csc_array, csr_array, issparse
from sklearn import neural_network
from sklearn.base import clone

from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp._network.initializers import BIAS_INITIALIZERS, INITIALIZERS, draw_from_rows, draw_into

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SIZES = (300, 200, 400, 250)
X = np.random.default_rng(0).normal(size=(12, 3))
Y = X[:, 0] - X[:, 1]
STILL = {"learning_rate_init": 1e-300, "max_iter": 1, "random_state": 5, "solver": "sgd", "momentum": 0, "n_threads": 1}
# the variance of each distribution as a function of n_in and n_out
VARIANCES = {
    "auto": lambda n_in, n_out: 2 / (n_in + n_out),
    "glorot_uniform": lambda n_in, n_out: 2 / (n_in + n_out),
    "glorot_normal": lambda n_in, n_out: 2 / (n_in + n_out),
    "he_uniform": lambda n_in, n_out: 2 / n_in,
    "he_normal": lambda n_in, n_out: 2 / n_in,
    "lecun_uniform": lambda n_in, n_out: 1 / n_in,
    "lecun_normal": lambda n_in, n_out: 1 / n_in,
    "orthogonal": lambda n_in, n_out: 1 / max(n_in, n_out),
    "standard_normal": lambda n_in, n_out: 1,
}


def initialized(weight_init="auto", bias_init="auto", sizes=SIZES, activation="relu", seed=0, **options):
    coefs = [np.empty(shape) for shape in pairwise(sizes)]
    intercepts = [np.empty(n_out) for n_out in sizes[1:]]
    activations = (activation,) * len(coefs)
    draw_into(coefs, intercepts, activations, np.random.RandomState(seed), weight_init, bias_init, **options)
    return coefs, intercepts


def start(kind=MLPRegressor, hidden=(4, 2), data=X, y=Y, **options):
    model = kind(hidden_layer_sizes=hidden, **{**STILL, **options}).fit(data, y)
    return model.coefs_, model.intercepts_


def assert_same(got, expected):
    for arrays, others in zip(got, expected, strict=True):
        for array, other in zip(arrays, others, strict=True):
            np.testing.assert_allclose(array, other, rtol=0, atol=1e-290)  # a step may have changed 0


# ---------------------------------------------------------------------- distributions


def test_every_distribution_is_tested():
    assert set(VARIANCES) == set(INITIALIZERS)
    assert set(BIAS_INITIALIZERS) == {*INITIALIZERS, "zeros"}


@pytest.mark.parametrize("name", VARIANCES)
def test_means_and_variances(name):
    """The mean and variance of each layer are within five standard errors. Biases have the same distribution as weights."""
    coefs, intercepts = initialized(name, name)
    for W, b in zip(coefs, intercepts, strict=True):
        variance = VARIANCES[name](*W.shape)
        assert abs(W.mean()) < 5 * np.sqrt(variance / W.size)
        assert W.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / W.size))
        if name == "orthogonal":
            assert np.linalg.norm(b) == pytest.approx(1)
        else:
            assert b.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / b.size))


@pytest.mark.parametrize("name", [name for name in VARIANCES if name != "orthogonal"])
def test_shapes_of_the_distributions(name):
    W = initialized(name)[0][0].ravel()
    scale = np.sqrt(VARIANCES[name](*SIZES[:2]))
    law = stats.norm(0, scale) if name.endswith("normal") else stats.uniform(-scale * 3**0.5, 2 * scale * 3**0.5)
    assert stats.kstest(W, law.cdf).pvalue > 1e-4


def test_variance_of_auto_with_the_logistic_function():
    W = initialized(activation="logistic")[0][0]
    assert W.var() == pytest.approx(2 / 3 / sum(SIZES[:2]), rel=0.02)
    assert initialized("glorot_uniform", activation="logistic")[0][0].var() == pytest.approx(2 / sum(SIZES[:2]), rel=0.02)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6), (6, 1)])
def test_orthogonal_matrices_are_orthogonal(shape):
    (W,), _ = initialized("orthogonal", sizes=shape)
    assert W.shape == shape
    product = W @ W.T if shape[0] <= shape[1] else W.T @ W
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed():
    """If the distribution is uniform, the trace has mean 0 and variance 1. Without the correction of signs, this is not so."""
    traces = [np.trace(initialized("orthogonal", sizes=(3, 3), seed=seed)[0][0]) for seed in range(1500)]
    assert np.mean(traces) == pytest.approx(0, abs=0.13)
    assert np.var(traces) == pytest.approx(1, rel=0.2)


# ---------------------------------------------------------------------- random streams


@pytest.mark.parametrize("activation", ["relu", "logistic"])
@pytest.mark.parametrize("hidden", [(), (4, 2)])
def test_auto_agrees_with_scikit_learn(hidden, activation):
    options = {name: value for name, value in STILL.items() if name != "n_threads"}
    theirs = neural_network.MLPRegressor(hidden_layer_sizes=hidden, activation=activation, **options).fit(X, Y)
    got = start(hidden=hidden, activation=activation)
    assert_same(got, (theirs.coefs_, theirs.intercepts_))


def test_names_and_functions_use_the_same_random_numbers():
    assert_same(
        start(weight_init="he_normal"), start(weight_init=lambda state, shape: state.normal(0, np.sqrt(2 / shape[0]), shape))
    )
    he = start(weight_init="he_normal", bias_init="zeros")
    state = np.random.RandomState(5)
    assert_same([he[0]], [[state.normal(0, np.sqrt(2 / n_in), (n_in, n_out)) for n_in, n_out in [(3, 4), (4, 2), (2, 1)]]])
    assert_same([he[1]], [[np.zeros(4), np.zeros(2), np.zeros(1)]])
    biased = start(bias_init=lambda state, shape: np.full(shape, 0.5))
    assert_same([biased[1]], [[np.full(n, 0.5) for n in (4, 2, 1)]])


def test_shifts_of_batch_norm_start_at_zero():
    """This holds only for hidden biases, and only with "auto" and batch_norm. The weights are the same as without batch_norm."""
    coefs, intercepts = initialized()
    shifted, shifts = initialized(normalized=True)
    assert_same([shifted, shifts], [coefs, [np.zeros(200), np.zeros(400), intercepts[-1]]])
    assert_same(initialized("auto", "he_normal", normalized=True), initialized("auto", "he_normal"))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("name", BIAS_INITIALIZERS)
def test_training_with_each_initializer(kind, name):
    y = (Y > 0).astype(int) if kind is MLPClassifier else Y
    for solver in ("adam", "lbfgs"):
        model = kind(
            hidden_layer_sizes=(4,),
            weight_init="auto" if name == "zeros" else name,
            bias_init=name,
            solver=solver,
            random_state=0,
            max_iter=40,
        )
        assert np.isfinite(clone(model).fit(X, y).loss_)


# ---------------------------------------------------------------------- given arrays

COEFS = [np.full((3, 4), 0.1), np.full((4, 2), -0.2), np.full((2, 1), 0.3)]
INTERCEPTS = [np.arange(4.0), np.arange(2.0), np.arange(1.0)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_starts_from_given_arrays(dtype):
    got = start(data=X.astype(dtype), coefs_init=COEFS, intercepts_init=tuple(array.tolist() for array in INTERCEPTS))
    assert_same(got, ([W.astype(dtype) for W in COEFS], [b.astype(dtype) for b in INTERCEPTS]))
    assert got[0][0] is not COEFS[0]


def test_arrays_that_are_not_given_are_drawn():
    coefs, intercepts = start()
    assert_same(start(coefs_init=COEFS), (COEFS, intercepts))
    assert_same(start(intercepts_init=INTERCEPTS), (coefs, INTERCEPTS))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_fit_from_the_drawn_initial_weights_gives_the_same_result(solver):
    options = {"hidden_layer_sizes": (4, 2), "random_state": 5, "max_iter": 30, "solver": solver}
    plain = MLPRegressor(**options).fit(X, Y)
    coefs, intercepts = start()
    again = MLPRegressor(**options, coefs_init=coefs, intercepts_init=intercepts).fit(X, Y)
    assert_same((again.coefs_, again.intercepts_), (plain.coefs_, plain.intercepts_))


def test_given_arrays_with_scaling_apply_to_scaled_inputs():
    model = MLPRegressor(hidden_layer_sizes=(4, 2), **STILL, coefs_init=COEFS, intercepts_init=INTERCEPTS, scale="standard").fit(
        X, Y
    )
    np.testing.assert_allclose(model.coefs_[0], COEFS[0] / X.std(axis=0)[:, None])
    np.testing.assert_allclose(model.intercepts_[0], INTERCEPTS[0] - X.mean(axis=0) @ model.coefs_[0])


REFUSED = [
    ({"coefs_init": COEFS[:2]}, r"coefs_init must have one array for each of the 3 layers, with shapes \[\(3, 4\), .*got 2 arrays"),
    (
        {"coefs_init": [COEFS[1], *COEFS[1:]]},
        r"coefs_init\[0\] must be a finite array of shape \(3, 4\), got shape \(4, 2\)",
    ),
    (
        {"intercepts_init": [*INTERCEPTS[:2], [np.nan]]},
        r"intercepts_init\[2\] must be .* shape \(1,\), got 1 entries that are",
    ),
    ({"intercepts_init": ["many", *INTERCEPTS[1:]]}, r"intercepts_init\[0\] must be a finite array of shape \(4,\), got 'many'"),
    (
        {"weight_init": lambda state, shape: np.zeros(shape[::-1])},
        r"weight_init must return a finite array of shape \(3, 4\), got .*4, 3",
    ),
    (
        {"bias_init": lambda state, shape: np.full(shape, np.inf)},
        r"bias_init must return a finite array of shape \(4,\), got 4",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_invalid_arrays_are_rejected(options, message):
    model = MLPRegressor(hidden_layer_sizes=(4, 2), random_state=0)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message):
        model.set_params(**options).fit(X, Y)
    assert vars(model) == {**before, **options}


# ---------------------------------------------------------------------- initial values that depend on the data

ROWS = np.random.default_rng(1).normal(3, [1, 5, 0.2, 40], size=(200, 4))
TARGET = ROWS[:, 0] + ROWS[:, 1] ** 2
NORMS = [None, "batch_norm", "layer_norm"]


def hidden_sums(coefs, intercepts, data, activation, norm, layer):
    """The inputs of the activation function of a layer, and its pre-activations A·W, in float64."""
    A = np.asarray(data.toarray() if issparse(data) else data, np.float64)
    for number in range(layer + 1):
        W, b = (np.asarray(array, np.float64) for array in (coefs[number], intercepts[number]))
        plain, is_hidden = A @ W, number < len(coefs) - 1
        Z = plain
        if norm == "batch_norm" and is_hidden:
            Z = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)
        Z = Z + b
        if norm == "layer_norm" and is_hidden:
            Z = (Z - Z.mean(axis=1, keepdims=True)) / np.sqrt(Z.var(axis=1, keepdims=True) + 1e-5)
        A = ACTIVATIONS[activation](Z)
    return Z, plain


def drawn(data, activation="relu", norm=None, sizes=(30, 20), seed=5, given=(None, None), **options):
    """The initial coefs and intercepts of a network, before batch normalization is folded into them."""
    shapes = list(pairwise((data.shape[1], *sizes, 1)))
    coefs, intercepts = [np.empty(shape, data.dtype) for shape in shapes], [np.empty(n_out, data.dtype) for _, n_out in shapes]
    options = {"weight_init": "data", "bias_init": "auto"} | options
    given = dict(zip(("coefs_init", "intercepts_init"), given, strict=True))
    arguments = [activation] * len(shapes), np.random.RandomState(seed), options["weight_init"], options["bias_init"], given
    draw_from_rows(coefs, intercepts, *arguments, rows=data, norm=norm)
    return coefs, intercepts


@pytest.mark.parametrize("form", [np.array, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "selu", "mish", "identity"])
def test_pre_activations_of_the_rows_have_unit_variance(activation, norm, dtype, form):
    data = form(ROWS.astype(dtype))
    coefs, intercepts = drawn(data, activation, norm)
    tolerance = 1e-9 if dtype == np.float64 else 1e-3
    for layer, b in enumerate(intercepts):
        _, plain = hidden_sums(coefs, intercepts, data, activation, norm, layer)
        is_varying = plain.std(axis=0) > 0.5  # a unit can have equal pre-activations
        assert is_varying.mean() > 0.9
        np.testing.assert_allclose(plain.std(axis=0)[is_varying], 1, rtol=tolerance)
        if norm == "batch_norm" and layer < len(coefs) - 1:
            plain = (plain - plain.mean(axis=0)) / np.sqrt(plain.var(axis=0) + 1e-5)
        assert (-b >= plain.min(axis=0) - 1e-3).all()
        assert (-b <= plain.max(axis=0) + 1e-3).all()
        assert b.all()


def test_biases_are_random_weighted_means_of_five_pre_activations():
    coefs, intercepts = drawn(ROWS, sizes=())
    state = np.random.RandomState(5)
    W = state.normal(size=(4, 1))
    W /= (ROWS @ W).std(axis=0)
    rows, shares = state.randint(200, size=(1, 5)), state.exponential(size=(1, 5))
    expected = -((ROWS @ W)[rows[0], 0] * shares[0]).sum() / shares.sum()
    np.testing.assert_allclose(coefs[0], W, rtol=1e-12)
    np.testing.assert_allclose(intercepts[0], [expected], rtol=1e-9)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("params", [{}, {"layer_norm": True}, {"scale": "standard"}], ids=str)
def test_estimators_start_from_values_that_depend_on_the_prepared_rows(kind, params):
    y = np.arange(200) % 2 if kind is MLPClassifier else TARGET
    model = kind(hidden_layer_sizes=(30, 20), activation="tanh", weight_init="data", **STILL | params).fit(ROWS, y)
    norm = "layer_norm" if "layer_norm" in params else None
    data = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0) if "scale" in params else ROWS
    coefs, intercepts = drawn(data, "tanh", norm)
    if "scale" in params:
        coefs[0] /= ROWS.std(axis=0)[:, None]
        intercepts[0] -= ROWS.mean(axis=0) @ coefs[0]
    for got, expected in zip([*model.coefs_, *model.intercepts_], [*coefs, *intercepts], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


def test_lbfgs_starts_from_values_that_depend_on_the_rows():
    options = {"hidden_layer_sizes": (30, 20), "solver": "lbfgs", "max_iter": 20, "random_state": 5, "activation": "tanh"}
    model = MLPRegressor(**options, weight_init="data").fit(ROWS, TARGET)
    coefs, intercepts = drawn(ROWS, "tanh")
    again = MLPRegressor(**options, coefs_init=coefs, intercepts_init=intercepts).fit(ROWS, TARGET)
    assert_same((model.coefs_, model.intercepts_), (again.coefs_, again.intercepts_))


@pytest.mark.parametrize("form", [np.array, csr_array, csc_array], ids=["dense", "csr", "csc"])
def test_initial_values_depend_on_at_most_4096_rows(form):
    data = np.tile(ROWS, (50, 1))[:9000]
    model = MLPRegressor(hidden_layer_sizes=(30, 20), weight_init="data", **STILL).fit(form(data), data[:, 0])
    state = np.random.RandomState(5)
    some = data[np.sort(state.choice(9000, 4096, replace=False))]
    shapes = list(pairwise((4, 30, 20, 1)))
    coefs, intercepts = [np.empty(shape) for shape in shapes], [np.empty(n_out) for _, n_out in shapes]
    given = {"coefs_init": None, "intercepts_init": None}
    draw_from_rows(coefs, intercepts, ["relu"] * 3, state, "data", "auto", given, rows=some, norm=None)
    for got, expected in zip([*model.coefs_, *model.intercepts_], [*coefs, *intercepts], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_data_for_biases_only_and_for_weights_only(norm):
    coefs, intercepts = drawn(ROWS, norm=norm, weight_init="he_normal", bias_init="data")
    assert coefs[1].std() == pytest.approx(np.sqrt(2 / 30), rel=0.2)
    _, plain = hidden_sums(coefs, intercepts, ROWS, "relu", norm, 0)
    if norm == "batch_norm":
        plain = (plain - plain.mean(axis=0)) / np.sqrt(plain.var(axis=0) + 1e-5)
    assert (np.abs(intercepts[0]) <= np.abs(plain).max(axis=0)).all()
    coefs, intercepts = drawn(ROWS, norm=norm, bias_init="zeros")
    assert not any(b.any() for b in intercepts)
    _, plain = hidden_sums(coefs, intercepts, ROWS, "relu", norm, 1)
    np.testing.assert_allclose(plain.std(axis=0)[plain.std(axis=0) > 0.5], 1, rtol=1e-9)


def test_shifts_of_batch_norm_start_at_zero_with_biases_of_auto():
    _, intercepts = drawn(ROWS, norm="batch_norm", weight_init="glorot_normal", bias_init="data")
    assert all(b.any() for b in intercepts)
    options = {"weight_init": "glorot_normal", "bias_init": "auto"}
    _, intercepts = drawn(ROWS, norm="batch_norm", **options)
    assert [b.any() for b in intercepts] == [False, False, True]


def test_later_values_depend_on_given_arrays():
    shapes = list(pairwise((4, 30, 20, 1)))
    random = np.random.default_rng(3)
    given = [random.normal(size=shape) for shape in shapes], [random.normal(size=n_out) for _, n_out in shapes]
    coefs, intercepts = drawn(ROWS, "tanh", given=(given[0], None))
    assert_same([coefs], [given[0]])
    _, plain = hidden_sums(coefs, intercepts, ROWS, "tanh", None, 0)
    assert np.abs(intercepts[0]).max() > 20  # the pre-activations for the given weights are large
    assert ((-intercepts[0] >= plain.min(axis=0)) & (-intercepts[0] <= plain.max(axis=0))).all()
    coefs, intercepts = drawn(ROWS, "tanh", given=(None, given[1]))
    assert_same([intercepts], [given[1]])
    for layer in range(3):
        np.testing.assert_allclose(hidden_sums(coefs, intercepts, ROWS, "tanh", None, layer)[1].std(axis=0), 1, rtol=1e-9)
    model = MLPRegressor(hidden_layer_sizes=(4, 2), weight_init="data", **STILL, coefs_init=COEFS, intercepts_init=INTERCEPTS)
    assert_same((model.fit(X, Y).coefs_, model.intercepts_), (COEFS, INTERCEPTS))


@pytest.mark.parametrize(
    "data", [np.ones((30, 4)), np.zeros((30, 4)), ROWS[:1], ROWS * 1e-30, ROWS.astype(np.float32) * 1e15], ids=str
)
@pytest.mark.parametrize("norm", NORMS)
def test_initial_values_are_finite_for_special_rows(data, norm):
    coefs, intercepts = drawn(data, norm=norm)
    assert all(np.isfinite(array).all() for array in [*coefs, *intercepts])


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_data_with_user_functions_second_fits_and_warm_starts(kind):
    y = np.arange(200) % 2 if kind is MLPClassifier else TARGET
    square = Activation(lambda z: z * z)
    options = {"hidden_layer_sizes": (5, 4), "random_state": 0, "max_iter": 3, "scale": "standard", "n_threads": 2}
    for activation in (square, ["tanh", square], "gelu"):
        model = kind(**options, activation=activation, weight_init="data", warm_start=True).fit(ROWS, y)
        again = clone(model).fit(ROWS, y)
        assert all(W.tobytes() == V.tobytes() for W, V in zip(model.coefs_, again.coefs_, strict=True))
        assert np.isfinite(model.fit(ROWS, y).loss_)
        other = clone(model).set_params(weight_init="auto", bias_init="auto").fit(ROWS, y)
        assert np.abs(other.coefs_[0] - again.coefs_[0]).max() > 1e-3
    first = clone(model).partial_fit(ROWS, y, **({"classes": [0, 1]} if kind is MLPClassifier else {}))
    assert first.partial_fit(ROWS, y).t_ == 400
