"""Scaling and missing values inside the model, compared with scikit-learn's pipelines around fastbp's estimators.

The network in a pipeline and the network with `scale` train on the same numbers. Therefore their predictions are equal up to the
rounding errors of folding. coefs_ and intercepts_ must be a network for unscaled data, and training must continue from the unfolded
parameters.
"""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from scipy.sparse import csc_matrix, csr_array
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.scaling import AffineScaling, DataScaling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)) * [1, 30, 0.01, 5] + [0, 400, 7, -3]
X[:, 3] = 2.5  # a constant column
Y = 50 + 9 * np.sin(X[:, 0]) + X[:, 1] / 10
LABELS = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
SMALL = {"hidden_layer_sizes": (7, 5), "activation": "tanh", "max_iter": 30, "random_state": 3, "learning_rate_init": 0.01}
SCALERS = {"standard": StandardScaler, "robust": RobustScaler}

each_scale = pytest.mark.parametrize("scale", SCALERS)
each_solver = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def target(kind):
    return LABELS if kind is MLPClassifier else Y / 10


def outputs_of(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def with_gaps(X):
    gaps = X.copy()
    gaps[::7, 0], gaps[3::9, 2] = np.nan, np.nan
    return gaps


# ---------------------------------------------------------------------- inputs


@each_scale
@each_solver
@each_kind
def test_scaled_inputs_agree_with_a_pipeline(kind, solver, scale):
    model = kind(**SMALL, solver=solver, scale=scale).fit(X, target(kind))
    pipeline = make_pipeline(SCALERS[scale](), kind(**SMALL, solver=solver)).fit(X, target(kind))
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(pipeline, X), rtol=1e-9, atol=1e-9)
    assert model.loss_ == pytest.approx(pipeline[-1].loss_, rel=1e-9)
    assert model.score(X, target(kind)) == pytest.approx(pipeline.score(X, target(kind)))


@each_scale
@pytest.mark.parametrize("form", [csr_array, csc_matrix])
def test_sparse_inputs_are_scaled_but_not_centered(scale, form):
    sparse = form(np.where(X > 1, X, 0))
    scaler = SCALERS[scale](**{"with_mean" if scale == "standard" else "with_centering": False})
    model = MLPRegressor(**SMALL, scale=scale).fit(sparse, Y / 10)
    pipeline = make_pipeline(scaler, MLPRegressor(**SMALL)).fit(sparse, Y / 10)
    np.testing.assert_allclose(model.predict(sparse), pipeline.predict(sparse), rtol=1e-9)
    np.testing.assert_allclose(model.predict(sparse.toarray()), pipeline.predict(sparse), rtol=1e-9)


@pytest.mark.parametrize("hidden", [(), (6,), (7, 5)])
def test_coefs_and_intercepts_are_a_network_for_unscaled_data(hidden):
    model = MLPClassifier(**(SMALL | {"hidden_layer_sizes": hidden}), scale="robust").fit(X, LABELS)
    values = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        values = np.tanh(values @ W + b)
    np.testing.assert_allclose(
        softmax(values @ model.coefs_[-1] + model.intercepts_[-1], axis=1), model.predict_proba(X), rtol=1e-9
    )


@each_kind
def test_early_stopping_agrees_with_a_pipeline(kind):
    stopping = {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3}
    model = kind(**SMALL, **stopping, scale="standard").fit(X, target(kind))
    pipeline = make_pipeline(StandardScaler(), kind(**SMALL, **stopping)).fit(X, target(kind))
    np.testing.assert_allclose(model.validation_scores_, pipeline[-1].validation_scores_, rtol=1e-9)
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(pipeline, X), rtol=1e-9)


@pytest.mark.parametrize("chosen", ["auto", "float32", "float64"])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_folded_coefs_have_the_precision_of_the_data(given, chosen):
    """A float32 fit to float64 data has float64 coefs_, because with a large mean, float32 biases would lose digits."""
    far = (X[:, [0, 1]] + [0, 1e6]).astype(given)
    model = MLPRegressor(**SMALL, scale="standard", dtype=chosen).fit(far, Y / 10)
    trained_in = np.dtype(given) if chosen == "auto" else np.dtype(chosen)
    assert model._state.params.dtype == trained_in
    assert model.coefs_[0].dtype == np.result_type(trained_in, given)
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(**SMALL, dtype=chosen)).fit(far, Y / 10)
    rounding = 1e-7 if given == np.float64 and trained_in == np.float64 else 1e-5 if given == np.float64 else 0.3
    np.testing.assert_allclose(model.predict(far), pipeline.predict(far), rtol=rounding)


# ---------------------------------------------------------------------- targets


@each_scale
@each_solver
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_scaled_targets_agree_with_a_transformed_target_regressor(n_outputs, solver, scale):
    y = Y if n_outputs == 1 else np.column_stack([Y, 3 - 2 * X[:, 0]])
    model = MLPRegressor(**SMALL, solver=solver, scale="standard", scale_y=scale).fit(X, y)
    inner = make_pipeline(StandardScaler(), MLPRegressor(**SMALL, solver=solver))
    wrapped = TransformedTargetRegressor(inner, transformer=SCALERS[scale](), check_inverse=False).fit(X, y)
    assert model.predict(X).shape == y.shape
    np.testing.assert_allclose(model.predict(X), wrapped.predict(X), rtol=1e-9)
    assert model.loss_ == pytest.approx(wrapped.regressor_[-1].loss_, rel=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("scale", SCALERS)
def test_with_out_activation_exp_targets_are_divided_by_their_mean(scale, solver):
    y = RANDOM.poisson(40, 60)
    options = {**SMALL, "solver": solver, "loss": "poisson", "scale": "standard"}
    model = MLPRegressor(**options, scale_y=scale).fit(X, y)
    np.testing.assert_allclose(model.predict(X), MLPRegressor(**options).fit(X, y / y.mean()).predict(X) * y.mean(), rtol=1e-9)
    nothing = MLPRegressor(**options, scale_y=scale).fit(X, np.zeros(60))
    np.testing.assert_array_equal(nothing._state.preparation.scaling.targets.scale, [1])


def test_scale_y_with_other_output_activations():
    affine = AffineScaling.learned(Y.reshape(-1, 1), "standard", centered=False)
    np.testing.assert_array_equal(affine.center, [0])
    np.testing.assert_allclose(affine.scale, [Y.std()])
    for how, activation, word in [("standard", "softplus", "TransformedTargetRegressor"), ("robust", "logistic", "out_activation")]:
        with pytest.raises(ValueError, match=rf"scale_y='{how}' needs .* got out_activation='{activation}'.*{word}"):
            MLPRegressor(scale_y=how, out_activation=activation).fit(X, Y)
    with pytest.raises(ValueError, match=r"scale_y='robust' is not supported for several quantiles"):
        MLPRegressor(scale_y="robust", loss="quantile", quantile=[0.1, 0.9]).fit(X, Y)
    scaling = DataScaling.learned(X, Y.reshape(-1, 1), None, "standard", "relu", X.dtype)
    np.testing.assert_allclose(scaling.scale_targets(Y.reshape(-1, 1)).ravel(), Y / Y.std())
    with pytest.raises(ValueError, match="mean must not be negative"):
        MLPRegressor(scale_y="standard", out_activation="exp").fit(X, -abs(Y))


# ---------------------------------------------------------------------- continued training


@each_kind
def test_training_continues_from_the_unfolded_parameters(kind):
    """Compare warm starts and partial_fit with a pipeline whose scaler keeps the statistics of the first fit."""
    scaler, y = StandardScaler().fit(X), target(kind)
    model, plain = (kind(**SMALL, warm_start=True, **options) for options in ({"scale": "standard"}, {}))
    for rows in (slice(None), slice(None, None, -1)):
        model.fit(X[rows], y[rows])
        plain.fit(scaler.transform(X[rows]), y[rows])
        np.testing.assert_allclose(outputs_of(model, X), outputs_of(plain, scaler.transform(X)), rtol=1e-9)
    model, plain = kind(**SMALL, scale="standard"), kind(**SMALL)
    first = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    scaler.fit(X[:20])
    for rows in (slice(0, 20), slice(20, 40), slice(40, 41)):
        model.partial_fit(X[rows], y[rows], **first)
        plain.partial_fit(scaler.transform(X[rows]), y[rows], **first)
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(plain, scaler.transform(X)), rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_scaled_models_continue_training_like_the_original(copied, solver):
    model = MLPRegressor(**SMALL, solver=solver, scale="standard", scale_y="robust", warm_start=True).fit(X, Y)
    other = copied(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    np.testing.assert_array_equal(other.fit(X, Y).predict(X), model.fit(X, Y).predict(X))
    assert np.shares_memory(other.coefs_[0], other._state.published.params)


def test_pickle_contains_folded_and_unfolded_parameters_once():
    big = SMALL | {"hidden_layer_sizes": (500,), "max_iter": 1, "solver": "sgd", "momentum": 0}
    plain, scaled = (MLPRegressor(**big, scale=scale).fit(X, Y) for scale in (None, "standard"))
    assert len(pickle.dumps(scaled)) - len(pickle.dumps(plain)) < 8 * plain._state.params.size + 2000


@pytest.mark.parametrize("go_on", [lambda model: model.fit(X, Y), lambda model: model.partial_fit(X, Y)])
def test_changed_coefs_between_fits_are_an_error(go_on):
    def fitted():
        return MLPRegressor(**SMALL, scale="standard", warm_start=True).fit(X, Y)

    for change in (lambda m: m.coefs_[0].__imul__(1.5), lambda m: m.intercepts_.__setitem__(1, m.intercepts_[1] + 1)):
        model = fitted()
        change(model)
        before = model.predict(X)
        with pytest.raises(ValueError, match=r"must not be changed between fits.*warm_start=False"):
            go_on(model)
        np.testing.assert_array_equal(model.predict(X), before)
    model = fitted()
    model.coefs_ = [W.copy() for W in model.coefs_]
    go_on(model)
    model.predict(X)
    np.testing.assert_array_equal(model.predict(X), go_on(fitted()).predict(X))


def test_scale_must_not_change_between_fits():
    model = MLPRegressor(**SMALL, scale="standard", warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"scale must not change .* was 'standard' in the first fit and is None now"):
        model.set_params(scale=None).fit(X, Y)
    model.set_params(warm_start=False).fit(X, Y)
    assert model._state.preparation.scaling is None
    assert not model._state.is_folded
    np.testing.assert_array_equal(model.predict(X), MLPRegressor(**SMALL).fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="must not change"):
        model.set_params(scale="robust").partial_fit(X, Y)


def test_new_fit_does_not_change_earlier_arrays():
    model = MLPRegressor(**SMALL, scale="standard").fit(X, Y)
    old, kept = model.coefs_[0], model.coefs_[0].copy()
    model.set_params(random_state=4).fit(X, Y)
    np.testing.assert_array_equal(old, kept)


def test_failed_fit_leaves_all_parameters_unchanged():
    model = MLPRegressor(**SMALL, scale="standard", warm_start=True).fit(X, Y)
    trained, shown = model._state.params.copy(), model._state.published.params.copy()
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="non-finite"),
    ):
        model.set_params(solver="sgd", learning_rate_init=1e300, activation="identity").fit(X, Y)
    np.testing.assert_array_equal(model._state.params, trained)
    np.testing.assert_array_equal(model._state.published.params, shown)
    model.set_params(solver="adam", learning_rate_init=0.01, activation="tanh").fit(X, Y)


def test_clones_are_not_fitted():
    model = MLPRegressor(**SMALL, scale="standard", missing="indicator").fit(with_gaps(X), Y)
    fresh = clone(model)
    assert fresh._state is None
    np.testing.assert_array_equal(fresh.fit(with_gaps(X), Y).predict(X), model.predict(X))


# ---------------------------------------------------------------------- missing values


@each_kind
@pytest.mark.parametrize("scale", [None, *SCALERS])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_missing_values_agree_with_a_pipeline(kind, scale, solver):
    gaps, y = with_gaps(X), target(kind)
    steps = [SimpleImputer(add_indicator=True, keep_empty_features=True), *([SCALERS[scale]()] if scale else [])]
    model = kind(**SMALL, solver=solver, missing="indicator", scale=scale).fit(gaps, y)
    pipeline = make_pipeline(*steps, kind(**SMALL, solver=solver)).fit(gaps, y)
    elsewhere = X.copy()
    elsewhere[4, 1] = np.nan  # a feature without missing values in training
    for other in (gaps, X, elsewhere, X[:1]):
        np.testing.assert_allclose(outputs_of(model, other), outputs_of(pipeline, other), rtol=1e-7, atol=1e-9)
    assert model.n_features_in_ == 4
    assert model.coefs_[0].shape == (6, 7)
    assert model.transform(gaps, 0).shape == (60, 6)
    np.testing.assert_allclose(model.transform(gaps, 0), steps[0].transform(gaps))
    assert model.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize("form", [csr_array, csc_matrix])
def test_sparse_missing_values(form):
    gaps = np.where(X > 1, X, 0)
    gaps[::7, 0] = np.nan
    options = {**SMALL, "missing": "indicator", "scale": "robust"}
    model = MLPRegressor(**options).fit(form(gaps), Y)
    np.testing.assert_allclose(model.predict(form(gaps)), model.predict(gaps), rtol=1e-12)
    steps = SimpleImputer(add_indicator=True, keep_empty_features=True), RobustScaler(with_centering=False)
    pipeline = make_pipeline(*steps, MLPRegressor(**SMALL)).fit(form(gaps), Y)
    np.testing.assert_allclose(model.predict(form(gaps)), pipeline.predict(form(gaps)), rtol=1e-9)


def test_missing_values_in_continued_training():
    gaps = with_gaps(X)
    model = MLPRegressor(**SMALL, missing="indicator", warm_start=True).fit(gaps, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(gaps), model.predict(gaps))
    model.fit(X, Y).partial_fit(gaps[:5], Y[:5])
    assert model.coefs_[0].shape == (6, 7)
    model.coefs_ = [W[:-1] if W is model.coefs_[0] else W for W in model.coefs_]
    with pytest.raises(ValueError, match="network from 6 inputs to 1 outputs"):
        model.predict(X)


def test_missing_and_infinite_values_that_are_rejected():
    gaps, infinite = with_gaps(X), np.where(X > 400, np.inf, X)
    for options in ({}, {"scale": "standard"}):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            MLPRegressor(**SMALL, **options).fit(gaps, Y)
    model = MLPRegressor(**SMALL, missing="indicator")
    with pytest.raises(ValueError, match="contains infinity"):
        model.fit(infinite, Y)
    model.fit(gaps, Y)
    with pytest.raises(ValueError, match="contains infinity"):
        model.predict(infinite)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        MLPRegressor(**SMALL).fit(X, Y).set_params(missing="indicator").predict(gaps)
    empty = X.copy()
    empty[:, 1] = np.nan
    assert model.fit(empty, Y).coefs_[0].shape == (5, 7)


def test_transform_output_setting_does_not_change_the_fit():
    expected = MLPRegressor(**SMALL, missing="indicator", scale="standard").fit(with_gaps(X), Y).predict(X)
    with sklearn.config_context(transform_output="pandas"):
        model = MLPRegressor(**SMALL, missing="indicator", scale="standard").fit(with_gaps(X), Y)
        np.testing.assert_array_equal(model.predict(X), expected)


# ---------------------------------------------------------------------- scikit-learn's checks

PREPARED = [
    MLPClassifier(max_iter=100, scale="standard", missing="indicator"),
    MLPRegressor(max_iter=100, scale="robust", scale_y="standard", missing="indicator"),
    MLPClassifier(max_iter=100, solver="lbfgs", scale="robust", dtype="float64"),
    MLPRegressor(max_iter=100, scale_y="robust", dtype="float32"),
]
UNWEIGHTED = "scaling ignores sample weights, as the scalers in a pipeline do"
BY_WEIGHT = {f"check_sample_weight_equivalence_on_{form}_data": UNWEIGHTED for form in ("dense", "sparse")}


@pytest.mark.slow
@pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(PREPARED, expected_failed_checks=lambda model: BY_WEIGHT)
def test_checks_with_scaling_and_missing_values(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- precision


@each_solver
@pytest.mark.parametrize("given", [np.float32, np.float64])
@pytest.mark.parametrize("chosen", ["float32", "float64"])
def test_training_computes_in_the_given_dtype(chosen, given, solver):
    options = {**SMALL, "solver": solver}
    data = StandardScaler().fit_transform(X).astype(given)
    model = MLPRegressor(**options, dtype=chosen).fit(data, Y / 10)
    plain = MLPRegressor(**options).fit(data.astype(chosen), Y / 10)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    assert model.coefs_[0].dtype == ("float64" if solver == "lbfgs" else chosen)
    assert model.predict(data).dtype == np.result_type(given, model.coefs_[0].dtype)


def test_dtype_may_change_between_fits():
    data = StandardScaler().fit_transform(X)
    model = MLPRegressor(**SMALL, warm_start=True).fit(data, Y)
    assert model.set_params(dtype="float32").fit(data, Y).coefs_[0].dtype == np.float32
    assert model.set_params(dtype="auto").fit(data, Y).coefs_[0].dtype == np.float32
    assert model.set_params(dtype="float64").partial_fit(data, Y).coefs_[0].dtype == np.float64


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_numbers_beyond_float32_are_rejected_if_they_are_cast(form):
    large = X.copy()
    large[0, 1] = 1e39
    with pytest.raises(ValueError, match=r"X must hold numbers that fit into dtype='float32'.*'float64'"):
        MLPRegressor(**SMALL, dtype="float32").fit(form(large), Y)
    MLPRegressor(**SMALL, dtype="float32", scale="standard").fit(large, Y)


def test_folding_of_a_binary_classifier():
    y = LABELS > 0
    model = MLPClassifier(**SMALL, scale="standard").fit(X, y)
    hidden = model.transform(X)
    np.testing.assert_allclose(
        expit(hidden @ model.coefs_[-1] + model.intercepts_[-1])[:, 0], model.predict_proba(X)[:, 1], rtol=1e-9
    )
