"""Class weights and the normalization of sample weights."""

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.class_weight import compute_sample_weight

from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.sample_weights import relative_weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(80, 3))
WEIGHT = RANDOM.uniform(0.2, 3, 80)
LABELS = {
    "two": (X[:, 0] > 0.7).astype(int),
    "three": np.digitize(X[:, 0], [-1, 0.2]),
    "strings": np.array(["few", "many"])[(X[:, 0] < 1).astype(int)],
    "bool": X[:, 1] > 0,
}
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 15, "random_state": 1, "learning_rate_init": 0.02, "batch_size": 16}
each_solver = pytest.mark.parametrize("solver", ["adam", "lbfgs"])


def assert_same_fit(one, other):
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-9)
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-9)


@each_solver
@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("how", ["balanced", "dict", "partial dict"])
def test_class_weights_are_multiplied_with_sample_weights(y, how, solver):
    classes = np.unique(y).tolist()
    weights = {"balanced": "balanced", "dict": dict(zip(classes, [3, 0.5, 1], strict=False)), "partial dict": {classes[0]: 4}}[how]
    model = MLPClassifier(**SMALL, solver=solver, class_weight=weights)
    assert_same_fit(model.fit(X, y), MLPClassifier(**SMALL, solver=solver).fit(X, y, compute_sample_weight(weights, y)))
    if how != "balanced":
        expected = MLPClassifier(**SMALL, solver=solver).fit(X, y, WEIGHT * compute_sample_weight(weights, y))
        assert_same_fit(model.fit(X, y, WEIGHT), expected)


def test_balanced_class_weights_take_sample_weights_into_account():
    """As in scikit-learn's LogisticRegression, a row of weight 2 counts as two rows."""
    y, weight = LABELS["three"], RANDOM.integers(1, 4, 80)
    model = MLPClassifier(**SMALL, solver="lbfgs", class_weight="balanced")
    repeated = MLPClassifier(**SMALL, solver="lbfgs", class_weight="balanced").fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(model.fit(X, y, weight).coefs_[0], repeated.coefs_[0], rtol=1e-4)


def test_errors_of_class_weight():
    with pytest.raises(ValueError, match=r"classes \[0, 1\] of y are not in class_weight, which has weights for \[7\]"):
        MLPClassifier(**SMALL, class_weight={7: 2.0}).fit(X, LABELS["two"])
    with pytest.raises(ValueError, match=r"classes \['few', 'many'\] of y are not in class_weight, .* \['all'\]"):
        MLPClassifier(**SMALL, class_weight={"all": 2.0}).fit(X, LABELS["strings"])
    for weight in (-3, np.nan, np.inf, "large"):
        with pytest.raises(ValueError, match=f"class_weight must have finite weights of at least 0, .* {weight!r} for class 1"):
            MLPClassifier(**SMALL, class_weight={1: weight}).fit(X, LABELS["two"])
    multilabel = np.column_stack([LABELS["two"], LABELS["bool"]])
    for weights in ("balanced", {0: 1}):
        with pytest.raises(ValueError, match=r"class_weight must be None for a y of several columns.*sample_weight"):
            MLPClassifier(**SMALL, class_weight=weights).fit(X, multilabel)


def test_partial_fit_with_class_weight():
    y = LABELS["three"]
    for kind in (MLPClassifier, SGDClassifier):
        with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
            kind(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    model, plain = MLPClassifier(**SMALL, class_weight={0: 3, 2: 0.1}), MLPClassifier(**SMALL)
    for rows in (slice(0, 30), slice(30, 80)):
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        plain.partial_fit(X[rows], y[rows], np.array([3, 1, 0.1])[y[rows]], classes=[0, 1, 2])
    assert_same_fit(model, plain)


def test_float32_stays_float32():
    weights = MLPClassifier(class_weight="balanced")
    weights.fit(X.astype(np.float32), LABELS["two"])
    assert weights.coefs_[0].dtype == np.float32


def test_early_stopping_uses_class_weights():
    y = LABELS["two"]
    options = {**SMALL, "early_stopping": True, "validation_fraction": 0.4}
    model = MLPClassifier(**options, class_weight={1: 10}).fit(X, y)
    plain = MLPClassifier(**options).fit(X, y, np.where(y == 1, 10, 1))
    np.testing.assert_allclose(model.validation_scores_, plain.validation_scores_)


# ---------------------------------------------------------------------- sample_weight_norm


@pytest.mark.parametrize(("solver", "factor"), [("lbfgs", 7.0), ("sgd", 7.0)])
def test_global_norm_does_not_depend_on_the_scale_of_the_weights(solver, factor):
    options = {**SMALL, "solver": solver, "sample_weight_norm": "global", "alpha": 0.1}
    model = MLPRegressor(**options)
    first = model.fit(X, X[:, 0], WEIGHT).coefs_[0].copy()
    np.testing.assert_allclose(model.fit(X, X[:, 0], factor * WEIGHT).coefs_[0], first, rtol=1e-6)
    np.testing.assert_allclose(model.fit(X, X[:, 0], WEIGHT / WEIGHT.mean()).coefs_[0], first, rtol=1e-6)


def test_global_norm_with_lbfgs_divides_by_the_mean():
    options = {**SMALL, "solver": "lbfgs", "alpha": 0.1}
    got = MLPRegressor(**options, sample_weight_norm="global").fit(X, X[:, 0], WEIGHT)
    np.testing.assert_array_equal(got.coefs_[0], MLPRegressor(**options).fit(X, X[:, 0], WEIGHT / WEIGHT.mean()).coefs_[0])


def test_global_norm_uses_the_mean_of_the_training_rows():
    rows = np.array([0, 3, 5])
    assert relative_weights(WEIGHT, "global", rows)[rows].mean() == pytest.approx(1)
    assert relative_weights(None, "global", rows) is None
    assert relative_weights(WEIGHT, "batch", rows) is WEIGHT
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        relative_weights(np.zeros(80), "global")


def test_global_norm_multiplies_the_steps_of_batches():
    """Two batches of one row each, with normalized weights 1.5 and 0.5, give the same steps as losses with these factors."""
    options = {**SMALL, "solver": "sgd", "momentum": 0, "alpha": 0, "batch_size": 1, "max_iter": 1, "shuffle": False}
    got = MLPRegressor(**options, sample_weight_norm="global").fit(X[:2], X[:2, 0], [3, 1])
    plain = MLPRegressor(**options)
    for row, factor in ((0, 1.5), (1, 0.5)):
        plain.set_params(learning_rate_init=0.02 * factor, warm_start=True).fit(X[row : row + 1], X[row : row + 1, 0])
    np.testing.assert_allclose(got.coefs_[0], plain.coefs_[0], rtol=1e-9)
