"""Losses are compared with closed forms, SciPy's optimizers and scikit-learn's linear models and metrics.

A linear network trained by L-BFGS reaches the minimum of the corresponding linear model, and the loss of a fit equals a metric of
its predictions. User-defined losses and activations give the same results as the built-in functions, and error messages explain why
a function is invalid.
"""

import pickle
from itertools import product

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn import metrics
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import GammaRegressor, PoissonRegressor, QuantileRegressor, Ridge, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from fastbp import Activation, Loss, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
N_ROWS = 240
X = RANDOM.normal(size=(N_ROWS, 3))
VALUES = X @ [1.0, -2.0, 0.5] + 0.3 + RANDOM.standard_t(2, N_ROWS)
POSITIVE = RANDOM.gamma(2, np.exp(X @ [0.4, -0.3, 0.1] + 0.2) / 2)
COUNTS = RANDOM.poisson(np.exp(X @ [0.4, -0.3, 0.1] + 0.2)).astype(float)
WEIGHT = RANDOM.uniform(0.2, 3, N_ROWS)
EXACT = {"solver": "lbfgs", "max_iter": 20_000, "max_fun": 50_000, "tol": 1e-10, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), **EXACT}
SMALL = {"hidden_layer_sizes": (6,), "max_iter": 30, "learning_rate_init": 0.01, "random_state": 0}
IRIS, SPECIES = load_iris(return_X_y=True)


def solution(model):
    return np.append(model.coefs_[0], model.intercepts_[0])


# ---------------------------------------------------------------------- minima of linear models


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("delta", [0.3, 1.0, 1e6])
def test_minimum_of_the_huber_loss(delta, weight):
    model = MLPRegressor(**LINEAR, loss="huber", huber_delta=delta, alpha=5.0).fit(X, VALUES, weight)
    w = np.ones(N_ROWS) if weight is None else weight

    def objective(c):
        d = np.abs(VALUES - X @ c[:3] - c[3])
        return (w @ np.where(d < delta, d**2 / 2, delta * (d - delta / 2)) + 5 / 2 * (c[:3] @ c[:3])) / w.sum()

    found = minimize(objective, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    assert_allclose(solution(model), found.x, rtol=1e-4)
    assert_allclose(model.loss_, found.fun, rtol=1e-9)
    if delta == 1e6 and weight is None:
        ridge = Ridge(5.0).fit(X, VALUES)
        assert_allclose(solution(model), [*ridge.coef_, ridge.intercept_], rtol=1e-5)


def fitted_with_decreasing_steps(loss, **options):
    """A linear model that is trained with decreasing steps, because L-BFGS needs a smooth loss."""
    more = {"max_iter": 3000, "batch_size": N_ROWS, "learning_rate": "cosine", "learning_rate_init": 0.05, "alpha": 0, "tol": 0}
    model = MLPRegressor(hidden_layer_sizes=(), loss=loss, n_iter_no_change=np.inf, random_state=0, **more, **options)
    return model.fit(X, VALUES)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_quantiles_agree_with_quantile_regressor(q):
    model, theirs = fitted_with_decreasing_steps("quantile", quantile=q), QuantileRegressor(quantile=q, alpha=0).fit(X, VALUES)
    best = metrics.mean_pinball_loss(VALUES, theirs.predict(X), alpha=q)
    predicted = metrics.mean_pinball_loss(VALUES, model.predict(X), alpha=q)
    assert best * (1 - 1e-9) <= predicted < best * (1 + 1e-4)
    share = np.mean(model.predict(X) >= VALUES)
    assert abs(share - q) < 0.02


def test_absolute_error_agrees_with_median_regression():
    model, theirs = fitted_with_decreasing_steps("absolute_error"), QuantileRegressor(quantile=0.5, alpha=0).fit(X, VALUES)
    best = metrics.mean_absolute_error(VALUES, theirs.predict(X))
    predicted = metrics.mean_absolute_error(VALUES, model.predict(X))
    assert best * (1 - 1e-9) <= predicted < best * (1 + 1e-4)


def test_quantiles_of_constant_models():
    zero = np.zeros((N_ROWS, 1))
    options = {"max_iter": 3000, "batch_size": N_ROWS, "learning_rate": "cosine", "learning_rate_init": 0.05, "tol": 0}
    for q in (0.2, 0.5, 0.9):
        model = MLPRegressor("quantile", (), quantile=q, n_iter_no_change=np.inf, random_state=0, **options).fit(zero, VALUES)
        low, high = np.quantile(VALUES, [q - 0.01, q + 0.01])
        assert low < model.predict(zero[:1])[0] < high


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize(
    ("options", "theirs", "y"),
    [
        ({"loss": "poisson"}, PoissonRegressor(), COUNTS),
        ({"loss": "gamma"}, GammaRegressor(), POSITIVE),
        ({"loss": "tweedie", "tweedie_power": 1.3}, TweedieRegressor(power=1.3, link="log"), COUNTS),
        ({"loss": "tweedie", "tweedie_power": 1.9}, TweedieRegressor(power=1.9, link="log"), COUNTS),
        ({"loss": "tweedie", "tweedie_power": 1}, PoissonRegressor(), COUNTS),
        ({"loss": "tweedie", "tweedie_power": 2}, GammaRegressor(), POSITIVE),
    ],
    ids=str,
)
def test_deviances_agree_with_generalized_linear_models(options, theirs, y, alpha, weight):
    total = N_ROWS if weight is None else weight.sum()
    model = MLPRegressor(**LINEAR, **options, alpha=alpha * total).fit(X, y, weight)
    theirs = clone(theirs).set_params(alpha=alpha, tol=1e-10, max_iter=10_000).fit(X, y, weight)
    assert_allclose(solution(model), [*theirs.coef_, theirs.intercept_], rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- losses and metrics


def mean_huber(y, predicted, sample_weight, delta=0.7):
    d = np.abs(y - predicted)
    return np.average(np.where(d < delta, d**2 / 2, delta * (d - delta / 2)), weights=sample_weight)


def half(metric, **options):
    return lambda y, predicted, sample_weight: metric(y, predicted, sample_weight=sample_weight, **options) / 2


def whole(metric, **options):
    return lambda y, predicted, sample_weight: metric(y, predicted, sample_weight=sample_weight, **options)


METRICS = {
    "squared_error": half(metrics.mean_squared_error),
    "absolute_error": whole(metrics.mean_absolute_error),
    "huber": mean_huber,
    "quantile": whole(metrics.mean_pinball_loss, alpha=0.2),
    "poisson": half(metrics.mean_poisson_deviance),
    "gamma": half(metrics.mean_gamma_deviance),
    "tweedie": half(metrics.mean_tweedie_deviance, power=1.4),
}
OF_METRICS = {"huber_delta": 0.7, "quantile": 0.2, "tweedie_power": 1.4}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", METRICS)
def test_losses_equal_metrics(loss, weight, solver):
    """The loss of validation rows, and the final training loss of L-BFGS, equal the metric."""
    y = POSITIVE if loss in ("poisson", "gamma", "tweedie") else VALUES
    if solver == "lbfgs":
        model = MLPRegressor(**SMALL | {"solver": "lbfgs", "max_iter": 200}, loss=loss, alpha=0, **OF_METRICS).fit(X, y, weight)
        shown = model.loss_
    else:
        model = MLPRegressor(**SMALL, loss=loss, **OF_METRICS)
        model.fit(X, y, weight, X_val=X, y_val=y, sample_weight_val=weight)
        shown = model.history_["val_loss"][-1]
    assert_allclose(shown, METRICS[loss](y, model.predict(X), weight), rtol=1e-9)


@pytest.mark.parametrize("loss", METRICS)
def test_losses_are_summed_over_outputs(loss):
    """Losses are summed over the outputs; the squared error is averaged."""
    y = np.column_stack([POSITIVE, POSITIVE[::-1] + 0.1])
    model = MLPRegressor(**SMALL, loss=loss, **OF_METRICS).fit(X, y, X_val=X, y_val=y)
    predicted = model.predict(X)
    parts = [METRICS[loss](y[:, j], predicted[:, j], None) for j in range(2)]
    assert_allclose(model.history_["val_loss"][-1], np.mean(parts) if loss == "squared_error" else np.sum(parts), rtol=1e-9)


@pytest.mark.parametrize("weight", [None, WEIGHT[:150]], ids=["unweighted", "weighted"])
def test_losses_of_classifiers(weight):
    for y in (SPECIES, 1 * (SPECIES == 1)):
        model = MLPClassifier(**SMALL).fit(IRIS, y, weight, X_val=IRIS, y_val=y, sample_weight_val=weight)
        expected = metrics.log_loss(y, model.predict_proba(IRIS), sample_weight=weight)
        assert_allclose(model.history_["val_loss"][-1], expected, rtol=1e-9)
    labels = np.column_stack([SPECIES == 1, IRIS[:, 0] > 6]).astype(int)
    model = MLPClassifier(**SMALL).fit(IRIS, labels, weight, X_val=IRIS, y_val=labels, sample_weight_val=weight)
    predicted = model.predict_proba(IRIS)
    expected = sum(metrics.log_loss(labels[:, j], predicted[:, j], sample_weight=weight) for j in range(2))
    assert_allclose(model.history_["val_loss"][-1], expected, rtol=1e-9)
    outputs = np.column_stack([SPECIES, 3 * (IRIS[:, 0] > 6) + 1])
    model = MLPClassifier(**SMALL).fit(IRIS, outputs, weight, X_val=IRIS, y_val=outputs, sample_weight_val=weight)
    pairs = zip(outputs.T, model.predict_proba(IRIS), strict=True)
    expected = sum(metrics.log_loss(y, predicted, sample_weight=weight) for y, predicted in pairs)
    assert_allclose(model.history_["val_loss"][-1], expected, rtol=1e-9)


@pytest.mark.parametrize("link", ["logistic", "softmax", "identity"])
def test_squared_error_of_classifiers(link):
    model = MLPClassifier(**SMALL, loss="squared_error", out_activation=link, label_smoothing=0.1)
    model.fit(IRIS, SPECIES, X_val=IRIS, y_val=SPECIES)
    targets = np.eye(3)[SPECIES] * 0.9 + 0.1 / 3
    outputs = model._outputs(IRIS)
    assert_allclose(model.history_["val_loss"][-1], ((outputs - targets) ** 2).sum(axis=1).mean() / 2, rtol=1e-9)


# ---------------------------------------------------------------------- quantiles, probabilities


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_quantiles_never_cross(solver, n_outputs):
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    y = np.column_stack([VALUES, X[:, 0] ** 2])[:, :n_outputs].squeeze()
    model = MLPRegressor(**SMALL | {"max_iter": 200}, solver=solver, loss="quantile", quantile=quantiles).fit(X, y)
    wild = np.random.default_rng(0).normal(size=(1000, 3)) * np.logspace(-2, 4, 1000)[:, None]
    for data, strictly in ((X, True), (wild, False)):
        predicted = model.predict(data)
        assert predicted.shape == ((len(data), 5) if n_outputs == 1 else (len(data), 2, 5))
        steps = np.diff(predicted, axis=-1)
        assert (steps > 0).all() if strictly else (steps >= 0).all()


def test_quantiles_cover_the_expected_fraction():
    quantiles = [0.1, 0.5, 0.9]
    more = {"learning_rate": "cosine", "batch_size": 60, "tol": 0, "n_iter_no_change": np.inf, "max_iter": 600}
    model = MLPRegressor(**SMALL | more, loss="quantile", quantile=quantiles, activation="tanh").fit(X, VALUES)
    shares = (VALUES[:, None] <= model.predict(X)).mean(axis=0)
    assert_allclose(shares, quantiles, atol=0.03)


LINKS = ["identity", "logistic", "relu", "softplus", "exp", "softmax"]
Y_OF_CLASSES = {
    "binary": SPECIES == 1,
    "multiclass": SPECIES,
    "multilabel": np.column_stack([SPECIES == 1, IRIS[:, 0] > 6]).astype(int),
    "multioutput": np.column_stack([SPECIES, IRIS[:, 0] > 6]).astype(int),
}


@pytest.mark.parametrize(
    ("link", "target"), [case for case in product(LINKS, Y_OF_CLASSES) if case[0] != "softmax" or case[1].startswith("multi")]
)
def test_probabilities_are_between_0_and_1_and_sum_to_1(link, target):
    if (link, target) == ("softmax", "multilabel"):
        return
    y = Y_OF_CLASSES[target]
    model = MLPClassifier(**SMALL, loss="squared_error", out_activation=link).fit(scale(IRIS), y)
    for data in (scale(IRIS), 1e3 * scale(IRIS), -30 * scale(IRIS)):
        with np.errstate(over="ignore"):
            parts = model.predict_proba(data)
        for part in parts if target == "multioutput" else [parts]:
            assert part.min() >= 0
            assert part.max() <= 1 + 1e-12
            if target != "multilabel":
                assert_allclose(part.sum(axis=1), 1, rtol=1e-12)
    if target in ("binary", "multiclass"):
        agree = model.classes_[model.predict_proba(scale(IRIS)).argmax(axis=1)] == model.predict(scale(IRIS))
        assert agree.mean() > 0.97  # after clipping to 0 and 1, several classes may have the same output


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("link", ["logistic", "softmax", "identity"])
def test_accuracy_with_squared_error(solver, link):
    model = MLPClassifier(**SMALL | {"max_iter": 300, "tol": 0}, solver=solver, loss="squared_error", out_activation=link)
    assert model.fit(scale(IRIS), SPECIES).score(scale(IRIS), SPECIES) > 0.9


# ---------------------------------------------------------------------- user-defined losses and activations


def half_square(y, a):
    return (a - y) ** 2 / 2


def difference(y, a):
    return a - y


def twice_the_difference(y, a):
    return 2 * (a - y)


def bent(z):
    return (np.sqrt(z * z + 1) - 1) / 2 + z


def bent_slope(z):
    return z / (2 * np.sqrt(z * z + 1)) + 1


def squashed(z):
    return np.tanh(z)


def squashed_slope(z):
    return 1 - np.tanh(z) ** 2


def one(z):
    return 1.0


def in_words(*arguments):
    return str(arguments[0]) + open("/dev/null").read()


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("own", [Loss(half_square, difference), Loss(half_square)], ids=str)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_user_loss_equals_built_in_loss(kind, own, solver):
    data, y = (IRIS, SPECIES) if kind is MLPClassifier else (X, VALUES)
    options = {**SMALL, "max_iter": 6, "solver": solver, "out_activation": "logistic" if kind is MLPClassifier else "identity"}
    models = [kind(loss=loss, **options).fit(data, y) for loss in ("squared_error", own)]
    rtol = 1e-9 if own.gradient is not None else 1e-5
    for W, V in zip(models[0].coefs_, models[1].coefs_, strict=True):
        assert_allclose(V, W, rtol=rtol, atol=rtol)
    assert_allclose(models[1].loss_, models[0].loss_, rtol=rtol)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("own", [Activation(squashed, squashed_slope), Activation(squashed)], ids=str)
def test_user_activation_equals_built_in_activation(own, solver):
    options = {**SMALL, "max_iter": 6, "solver": solver, "hidden_layer_sizes": (5, 4)}
    models = [MLPRegressor(activation=activation, **options).fit(X, VALUES) for activation in ("tanh", own, ["tanh", own])]
    for other in models[1:]:
        for W, V in zip(models[0].coefs_, other.coefs_, strict=True):
            assert_allclose(V, W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("not_callable", ["tanh", 3, None, [bent]], ids=["name", "number", "nothing", "list"])
def test_arguments_that_are_not_callable_are_rejected(not_callable):
    for make in (Loss, Activation):
        with pytest.raises(TypeError, match=r"^value must be a function of"):
            make(not_callable)
    if not_callable is not None:
        with pytest.raises(TypeError, match=r"^gradient must be a function of two numbers"):
            Loss(half_square, not_callable)
        with pytest.raises(TypeError, match=r"^slope must be a function of one number"):
            Activation(bent, not_callable)


def test_functions_that_cannot_be_compiled_are_rejected():
    for function in (in_words, half_square, lambda: 0.0, lambda z: "word"):
        with pytest.raises(TypeError, match=r"^value and slope must be .* that Numba can compile"):
            Activation(function)
    for function in (in_words, bent, lambda: 0.0, lambda y, a: "word"):
        with pytest.raises(TypeError, match=r"^value and gradient must be .* that Numba can compile"):
            Loss(function)
    with pytest.raises(TypeError, match=r"Activation\(bent, in_words\)"):
        Activation(bent, in_words)
    with pytest.raises(TypeError, match=r"Loss\(half_square, in_words\)"):
        Loss(half_square, in_words)


@pytest.mark.slow
def test_wrong_derivatives_are_rejected():
    with pytest.raises(ValueError, match=r"^gradient must be the derivative of value"):
        Loss(half_square, twice_the_difference)
    with pytest.raises(ValueError, match=r"^gradient must be the derivative of value"):
        Loss(half_square, lambda y, a: y - a)
    with pytest.raises(ValueError, match=r"^slope must be the derivative of value"):
        Activation(bent, one)
    with pytest.raises(ValueError, match=r"^slope must be the derivative of value"):
        Activation(bent, lambda z: np.nan)
    with pytest.raises(ValueError, match=r"^gradient must be the derivative of value"):
        Loss(half_square, lambda y, a: np.nan)


def test_functions_with_kinks_are_accepted():
    Activation(lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0)
    Loss(lambda y, a: abs(y - a), lambda y, a: 1.0 if a > y else -1.0)


OWN = {
    "loss": (Loss(half_square, difference), Loss(half_square, difference), Loss(half_square)),
    "activation": (Activation(bent, bent_slope), Activation(bent, bent_slope), Activation(bent)),
}


@pytest.mark.parametrize("name", OWN)
def test_equality_of_user_defined_functions(name):
    own, same, other = OWN[name]
    assert own == same
    assert hash(own) == hash(same)
    assert own != other
    assert own != "tanh"
    assert len({own, same, other}) == 2
    assert OWN["loss"][0] != OWN["activation"][0]
    assert pickle.loads(pickle.dumps(own)) == own
    assert clone(own, safe=False) == own
    assert eval(repr(own).split("(")[0]) is type(own)


@pytest.mark.parametrize("name", OWN)
def test_estimators_with_user_defined_functions_can_be_copied(name):
    model = MLPRegressor(**SMALL, **{name: OWN[name][0]}).fit(X, VALUES)
    assert clone(model).get_params()[name] == OWN[name][0]
    for copied in (pickle.loads(pickle.dumps(model)), clone(model).fit(X, VALUES)):
        assert_array_equal(copied.predict(X), model.predict(X))
    listed = MLPRegressor(**SMALL, activation=[OWN["activation"][0]])
    assert_array_equal(
        pickle.loads(pickle.dumps(listed.fit(X, VALUES))).predict(X),
        MLPRegressor(**SMALL, activation=OWN["activation"][0]).fit(X, VALUES).predict(X),
    )
    repr(model)


def fitted(own):
    return MLPRegressor(**SMALL, **own).fit(X, VALUES).predict(X)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_user_defined_functions_in_other_processes(name):
    expected = fitted({name: OWN[name][0]})
    for predicted in joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(fitted)({name: own}) for own in OWN[name][:2]):
        assert_array_equal(predicted, expected)
    scale_of = 2.0
    local = {"loss": lambda: Loss(lambda y, a: scale_of * (a - y) ** 2), "activation": lambda: Activation(lambda z: scale_of * z)}
    search = GridSearchCV(MLPRegressor(**SMALL), {name: [OWN[name][0], local[name]()]}, n_jobs=2, cv=2).fit(X, VALUES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_score_of_several_quantiles():
    q, rows = [0.1, 0.5, 0.9], np.random.default_rng(3).normal(size=(80, 3))
    target = rows[:, 0] + rows[:, 1] ** 2
    model = MLPRegressor("quantile", 8, quantile=q, max_iter=50, random_state=0, learning_rate_init=0.01).fit(rows, target)
    outputs = model.predict(rows)
    want = -np.mean([metrics.mean_pinball_loss(target, outputs[:, j], alpha=q[j]) for j in range(3)])
    assert model.score(rows, target) == pytest.approx(want, rel=1e-12)
    stopped = clone(model).set_params(early_stopping=True, max_iter=5).fit(rows, target)
    assert all(score <= 0 for score in stopped.validation_scores_)


def test_reduce_on_plateau_acts_before_patience_ends():
    rows = np.random.default_rng(3).normal(size=(80, 3))
    options = {"solver": "sgd", "learning_rate": "reduce_on_plateau", "learning_rate_init": 0.3, "max_iter": 500, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=8, **options).fit(rows, rows[:, 0] * rows[:, 1])
    assert len(set(model.history_["learning_rate"])) > 1


def test_batches_of_zero_weight_with_global_sample_weight_norm():
    rows = np.random.default_rng(3).normal(size=(80, 3))
    weight = np.repeat([0.0, 1.0], 40)
    options = {"batch_size": 40, "shuffle": False, "max_iter": 3, "random_state": 0, "alpha": 0, "solver": "sgd", "momentum": 0}
    model = MLPRegressor(hidden_layer_sizes=4, **options, sample_weight_norm="global").fit(rows, rows[:, 0], weight)
    half = MLPRegressor(hidden_layer_sizes=4, **options, learning_rate_init=0.002).fit(rows[40:], rows[40:, 0])
    np.testing.assert_allclose(model.coefs_[0], half.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("limit", [None, 0.3])
@pytest.mark.parametrize("solver", ["adam", "sgd", "nadam"])
def test_loss_of_an_epoch_includes_the_penalty_of_its_initial_weights(solver, limit, n_threads):
    options = {**SMALL, "solver": solver, "max_norm": limit, "alpha": 20.0, "batch_size": N_ROWS, "n_threads": n_threads, "tol": 0}
    losses = MLPRegressor(**{**options, "max_iter": 7}).fit(X, VALUES).loss_curve_
    for n_epochs in range(1, 7):
        model = MLPRegressor(**{**options, "max_iter": n_epochs}).fit(X, VALUES)
        penalty = 10 / N_ROWS * sum((W**2).sum() for W in model.coefs_)
        assert losses[n_epochs] == pytest.approx(np.mean((model.predict(X) - VALUES) ** 2) / 2 + penalty, rel=1e-12)
