"""Smooth clipping of the inputs (``scale="smooth_clip"``), and limits of predictions (`clip_predictions`), against NumPy."""

import pickle
import re
import subprocess
from shutil import which

import numpy as np
import pytest
from exported import with_limits
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array, issparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_pinball_loss, r2_score
from sklearn.preprocessing import RobustScaler

import fastbp
from fastbp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(5, [1, 30, 1e-3, 1, 1], size=(60, 5))
X[0, 0] = 1e9  # an outlier
X[:, 3] = RANDOM.random(60) < 0.1  # both quartiles are equal
X[:, 4] = 7.0  # constant
WITH_NAN = np.where(RANDOM.random(X.shape) < [0.2, 0, 0.3, 0, 0], np.nan, X)
CLASSES, VALUES = np.arange(60) % 3, np.column_stack([np.sin(X[:, 1]), X[:, 1] * 10])
SMALL = {"hidden_layer_sizes": (6, 4), "max_iter": 5, "random_state": 0, "activation": "tanh", "scale": "smooth_clip"}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def targets(kind):
    return CLASSES if kind is MLPClassifier else VALUES


def clipped(rows, of_training, centered=True):
    """The formula for rows, with the medians and the widths of the training rows."""
    scaler = RobustScaler().fit(of_training)
    scale, ranges = np.subtract(*np.quantile(of_training, [0.75, 0.25], axis=0)), np.ptp(of_training, axis=0)
    factor = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), np.where(ranges > 0, 2 / np.where(ranges > 0, ranges, 1), 0))
    v = (rows - scaler.center_ * centered) * factor
    return v / np.sqrt(1 + (v / 3) ** 2)


def outputs(model, inputs):
    """The outputs of the last layer before its activation, for inputs of the first layer."""
    A = np.asarray(inputs, np.float64)
    for layer, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        Z = A @ W + b
        A = np.tanh(Z) if layer < len(model.coefs_) - 1 else Z
    return A


def predicted(model, rows):
    return model.predict(rows) if isinstance(model, MLPRegressor) else model.predict_proba(rows)


# ---------------------------------------------------------------------- inputs


@each_kind
@each_dtype
@pytest.mark.parametrize("form", [np.array, csr_array, csc_array], ids=["dense", "csr", "csc"])
def test_inputs_of_the_network(kind, dtype, form):
    rows = X.astype(dtype)
    model = kind(**SMALL).fit(form(rows), targets(kind))
    inputs, tolerance = model.transform(form(rows), layer=0), 1e-12 if dtype == np.float64 else 2e-4
    assert inputs.dtype == dtype
    assert_allclose(inputs, clipped(rows.astype(np.float64), rows.astype(np.float64), form is np.array), rtol=tolerance, atol=1e-5)
    assert np.abs(inputs).max() <= 3
    assert_allclose(model.transform(form(rows), layer=1), np.tanh(inputs @ model.coefs_[0] + model.intercepts_[0]), atol=1e-5)
    if kind is MLPRegressor:
        assert_allclose(model.predict(form(rows)), outputs(model, inputs), rtol=1e-4, atol=1e-5)


@each_kind
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"batch_norm": True}, {"dtype": "float32"}], ids=str
)
def test_fit_is_that_of_clipped_rows(kind, params, n_threads):
    params = SMALL | {"n_threads": n_threads} | params
    inside = kind(**params).fit(X, targets(kind))
    outside = kind(**params | {"scale": None}).fit(clipped(X, X), targets(kind))
    tolerance = 1e-3 if "dtype" in params or "solver" in params else 1e-8
    for W, V in zip([*inside.coefs_, *inside.intercepts_], [*outside.coefs_, *outside.intercepts_], strict=True):
        assert_allclose(W, V, rtol=tolerance, atol=tolerance)
    rows = X[::-1] * 1.5
    assert_allclose(predicted(inside, rows), predicted(outside, clipped(rows, X)), rtol=tolerance, atol=tolerance)


@each_kind
def test_missing_values_are_replaced_before_clipping(kind):
    model = kind(**SMALL, missing="indicator").fit(WITH_NAN, targets(kind))
    imputed = SimpleImputer(add_indicator=True, keep_empty_features=True).fit_transform(WITH_NAN)
    assert_allclose(model.transform(WITH_NAN, layer=0), clipped(imputed, imputed), rtol=1e-10, atol=1e-12)


@each_kind
def test_later_fits_use_the_statistics_of_the_first_fit(kind):
    model = kind(**SMALL, warm_start=True).fit(X, targets(kind))
    first = model.transform(X, layer=0)
    model.fit(X * 3 + 1, targets(kind)).partial_fit(X * 3 + 1, targets(kind)).partial_fit(X * 3 + 1, targets(kind))
    assert_array_equal(model.transform(X, layer=0), first)
    assert_allclose(model.transform(X * 3 + 1, layer=0), clipped(X * 3 + 1, X), rtol=1e-9, atol=1e-9)


@each_kind
def test_validation_rows_are_clipped(kind):
    y = targets(kind)
    model = kind(**SMALL).fit(X, y, X_val=X[:20] * 2, y_val=y[:20])
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X[:20] * 2, y[:20]), rel=1e-9)


@pytest.mark.parametrize("rows", [np.array([[1, 2, 3, 0, 7]]), np.full((1, 5), 1e308), np.full((1, 5), -3e38, np.float32)], ids=str)
def test_integers_and_huge_numbers(rows):
    inputs = MLPRegressor(**SMALL).fit(X, VALUES).transform(rows, layer=0)
    assert np.isfinite(inputs).all()
    assert np.abs(inputs).max() <= 3.0001


def test_sparse_rows_for_centered_inputs_are_rejected():
    model = MLPRegressor(**SMALL).fit(X, VALUES)
    before = dict(vars(model))
    for call in (model.predict, lambda rows: model.partial_fit(rows, VALUES), lambda rows: model.transform(rows, layer=0)):
        with pytest.raises(ValueError, match=r"^X must be dense, because .*scale='smooth_clip'.*X\.toarray\(\)"):
            call(csr_array(X))
    assert vars(model) == before
    sparse = MLPRegressor(**SMALL).fit(csr_array(X), VALUES)
    assert_allclose(sparse.predict(X), sparse.predict(csr_array(X)), rtol=1e-9)


def test_sparse_rows_with_duplicate_entries():
    data, columns, starts = np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), np.array([0, 2, 3])
    rows = csr_array((data, columns, starts), shape=(2, 5))
    model = MLPRegressor(**SMALL).fit(csr_array(X), VALUES)
    assert_allclose(model.predict(rows), model.predict(rows.toarray()), rtol=1e-12)
    assert issparse(rows)
    assert_array_equal(rows.data, data)  # the rows of the user do not change


@each_kind
def test_rows_of_the_user_do_not_change(kind):
    rows = X.copy()
    kind(**SMALL).fit(rows, targets(kind)).predict(rows)
    assert_array_equal(rows, X)


# ---------------------------------------------------------------------- predictions

RANGE = {"clip_predictions": True}
LARGE_STEPS = {"learning_rate_init": 0.5, "solver": "sgd", "momentum": 0, "alpha": 0}


def far_model(y=VALUES, **params):
    """A model whose last biases are so large that some predictions are outside of the range of y."""
    model = MLPRegressor(**{**SMALL, **RANGE, **params}).fit(X, y)
    rows = X[np.argsort(model.transform(X, layer=-1).reshape(len(X), -1)[:, 0])]
    model.intercepts_ = [*model.intercepts_[:-1], model.intercepts_[-1] + np.ptp(y, axis=0).max() / 2]
    return model, rows


@each_dtype
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one", "several"])
@pytest.mark.parametrize(
    "params", [{}, {"scale_y": "standard"}, {"scale": None, "solver": "lbfgs"}, {"loss": "absolute_error"}], ids=str
)
def test_predictions_are_limited(y, params, dtype):
    model = MLPRegressor(**{**SMALL, **RANGE, **params}).fit(X.astype(dtype), y)
    plain = clone(model).set_params(clip_predictions=False).fit(X.astype(dtype), y)
    assert not hasattr(plain, "y_range_")
    assert_array_equal(model.y_range_, np.stack([y.min(axis=0), y.max(axis=0)]).reshape(2, -1))
    for W, V in zip(model.coefs_, plain.coefs_, strict=True):
        assert_array_equal(W, V)
    for fitted in (model, plain):
        fitted.intercepts_[-1][...] += np.ptp(y, axis=0) / 2 if "scale_y" not in params else 0
    expected = plain.predict(X).clip(y.min(axis=0).astype(dtype), y.max(axis=0).astype(dtype))
    assert model.predict(X).dtype == plain.predict(X).dtype
    assert_allclose(model.predict(X), expected, rtol=1e-6)
    assert_array_equal(model.transform(X, layer=-1), plain.transform(X, layer=-1))


def test_scores_are_those_of_limited_predictions():
    model, rows = far_model()
    plain = model.transform(rows, layer=-1)
    assert (plain > model.y_range_[1]).any()
    assert_array_equal(model.predict(rows), plain.clip(*model.y_range_))
    assert model.score(rows, VALUES) == r2_score(VALUES, plain.clip(*model.y_range_))


def test_several_quantiles_are_limited():
    quantiles = [0.05, 0.5, 0.95]
    model = MLPRegressor(**SMALL, **RANGE, loss="quantile", quantile=quantiles).fit(X, VALUES)
    assert_array_equal(model.y_range_, np.repeat([VALUES.min(axis=0), VALUES.max(axis=0)], 3, axis=1))
    model.intercepts_[-1][...] += 15
    got = model.predict(X)
    plain = model.transform(X, layer=-1).reshape(60, 2, 3)
    assert_array_equal(got, plain.clip(VALUES.min(axis=0)[:, None], VALUES.max(axis=0)[:, None]))
    assert (got != plain).any()
    assert (np.diff(got, axis=2) >= 0).all()
    losses = [mean_pinball_loss(VALUES, got[:, :, number], alpha=quantile) for number, quantile in enumerate(quantiles)]
    assert model.score(X, VALUES) == pytest.approx(-np.mean(losses))


@pytest.mark.parametrize(
    "params", [{}, {"scale_y": "standard"}, {"scale_y": "robust", "dtype": "float32"}, {"loss": "poisson", "scale_y": "robust"}]
)
@pytest.mark.parametrize("scoring", [None, "r2"])
def test_validation_scores_are_those_of_limited_predictions(params, scoring):
    y = 1.0 + (X[:, 1] > 5)
    options = {**SMALL, **RANGE, "max_iter": 30, "learning_rate_init": 0.3, "scoring": scoring} | params
    model = MLPRegressor(**options).fit(X, y, X_val=X * 2, y_val=y)
    plain = MLPRegressor(**options | {"clip_predictions": False}).fit(X, y, X_val=X * 2, y_val=y)
    tolerance = 1e-3 if "dtype" in params else 1e-9
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X * 2, y), rel=tolerance)
    assert model.history_["val_score"] != plain.history_["val_score"]
    assert_array_equal(model.history_["val_loss"], plain.history_["val_loss"])


@pytest.mark.parametrize("go_on", ["partial_fit", "warm_start", "resume"])
def test_range_grows_while_training_continues(go_on):
    parts = [VALUES[:, 0] * factor + shift for factor, shift in ((1, 0), (0.5, 5), (2, -9), (0.1, 0))]
    model = MLPRegressor(**SMALL, **RANGE, warm_start={"warm_start": True, "resume": "resume"}.get(go_on, False))
    for number, y in enumerate(parts, 1):
        _ = model.partial_fit(X, y) if go_on == "partial_fit" else model.fit(X, y)
        seen = np.concatenate(parts[:number])
        assert_array_equal(model.y_range_, [[seen.min()], [seen.max()]])
    model.set_params(warm_start=False).fit(X, parts[-1])
    assert_array_equal(model.y_range_, [[parts[-1].min()], [parts[-1].max()]])
    assert not hasattr(model.set_params(clip_predictions=False).fit(X, parts[-1]), "y_range_")


def test_many_calls_of_partial_fit():
    """Later calls use the run of the first calls again."""
    model, plain = (MLPRegressor(hidden_layer_sizes=4, random_state=0, clip_predictions=clip) for clip in (True, False))
    seen = []
    for number in range(6):
        y = VALUES[:, 0] + number % 4
        seen.append(y)
        model.partial_fit(VALUES, y)
        plain.partial_fit(VALUES, y)
        assert_array_equal(model.coefs_[0], plain.coefs_[0])
        assert_array_equal(model.y_range_, [[np.min(seen)], [np.max(seen)]])


def test_rows_of_weight_0_do_not_count():
    weight = np.arange(60.0)
    y = VALUES[:, 0].copy()
    y[0] = 1e3
    assert MLPRegressor(**SMALL, **RANGE).fit(X, y, weight).y_range_[1] == y[1:].max()


def test_failed_fits_do_not_change_the_range():
    model = MLPRegressor(**SMALL, **RANGE).fit(X, VALUES)
    before = dict(vars(model))
    for params in ({"batch_norm": True, "warm_start": True}, {"warm_start": True, "scale": None}):
        model.set_params(**params)
        with pytest.raises(ValueError, match="must not change"):
            model.fit(X, VALUES * 100)
        model.set_params(**{name: before[name] for name in params})
        assert vars(model) == before


def test_weights_of_the_user_and_parameters_after_the_fit():
    model = MLPRegressor(hidden_layer_sizes=(), clip_predictions=True)
    model.coefs_, model.intercepts_, model.out_activation_ = [np.ones((5, 1))], [np.zeros(1)], "identity"
    assert_allclose(model.predict(X), X.sum(axis=1))
    model.partial_fit(X, VALUES[:, 0])
    assert_array_equal(model.y_range_, [[VALUES[:, 0].min()], [VALUES[:, 0].max()]])
    limited = model.predict(X)
    assert_array_equal(model.set_params(clip_predictions=False).predict(X), limited)


# ---------------------------------------------------------------------- copies and exports

BOTH = [
    (MLPClassifier, CLASSES, {}),
    (MLPClassifier, CLASSES, {"missing": "indicator"}),
    (MLPRegressor, VALUES[:, 0], RANGE),
    (MLPRegressor, VALUES, RANGE | {"scale_y": "standard", "missing": "indicator"}),
    (MLPRegressor, VALUES, RANGE | {"loss": "quantile", "quantile": [0.2, 0.8], "scale": None}),
    (MLPRegressor, VALUES, RANGE | {"dtype": "float32", "scale": "standard"}),
]
each_model = pytest.mark.parametrize(
    ("kind", "y", "params"), BOTH, ids=lambda value: str(value) if isinstance(value, dict) else None
)


def model_and_rows(kind, y, params):
    """A fitted model, of which some outputs are outside of the range of y, and rows, some of which have unusual values."""
    rows = WITH_NAN if "missing" in params else X
    model = kind(**SMALL | params | {"random_state": 3}).fit(rows, y)
    rows = rows[1:] * 1.1
    if kind is MLPRegressor:
        with_limits(model, rows)
    return model, rows


@each_model
def test_copies_files_and_resumed_fits(kind, y, params, tmp_path):
    rows = WITH_NAN if "missing" in params else X
    model = kind(**SMALL | params | {"warm_start": "resume"}).fit(rows, y)
    fastbp.save(model, tmp_path / "model")
    copies = [pickle.loads(pickle.dumps(model)), fastbp.load(tmp_path / "model")]
    expected = predicted(model, rows)
    whole = model.fit(rows, y)
    for copy in copies:
        assert_array_equal(predicted(copy, rows), expected)
        copy.fit(rows, y)
        for W, V in zip(copy.coefs_, whole.coefs_, strict=True):
            assert_array_equal(W, V)
        assert_array_equal(predicted(copy, rows), predicted(whole, rows))
    assert_array_equal(predicted(clone(whole).fit(rows, y), rows), expected)


@each_model
def test_compiled_predictions(kind, y, params):
    model, rows = model_and_rows(kind, y, params)
    for method in ("predict", "outputs", *(["predict_proba"] if kind is MLPClassifier else [])):
        function = model.compile_predict(method)
        expected = model.transform(rows, layer=-1) if method == "outputs" else getattr(model, method)(rows)
        rtol = 1e-4 if function(rows).dtype == np.float32 else 1e-10
        for call in (function, pickle.loads(pickle.dumps(function))):
            assert_allclose(call(rows), expected, rtol=rtol, atol=rtol)
            for row, one in zip(rows[:7], expected, strict=False):
                assert np.shape(call(row)) == np.shape(one)
                assert_allclose(call(row), one, rtol=rtol, atol=rtol)
        assert call(rows[:0]).shape == expected[:0].shape
        assert re.fullmatch(rf"<compiled {method} of {kind.__name__} for 5 features of float\d\d>", repr(function))
        with pytest.raises(ValueError, match=r"X must have shape \(5,\) for one row"):
            function(rows[:, :4])


@each_model
@pytest.mark.parametrize("dtype", ["float", "double"])
def test_c_code(kind, y, params, dtype, tmp_path):
    if which("cc") is None:
        pytest.skip("needs a C compiler")
    model, rows = model_and_rows(kind, y, params)
    model.export_c(tmp_path / "net.c", dtype=dtype)
    expected = (model.predict_proba if kind is MLPClassifier else model.predict)(rows).reshape(len(rows), -1)
    name = "net_predict_proba" if kind is MLPClassifier else "net_predict"
    values = ", ".join("NAN" if np.isnan(value) else repr(float(value)) for value in rows.ravel())
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include <math.h>\n#include "net.h"\n'
        f"static const {dtype} rows[{rows.size}] = {{{values}}};\n"
        f"int main(void) {{ {dtype} out[{expected.shape[1]}];\n"
        f"for (int i = 0; i < {len(rows)}; ++i) {{ {name}(rows + i * {rows.shape[1]}, out);\n"
        f'for (int j = 0; j < {expected.shape[1]}; ++j) printf("%.17g ", (double)out[j]); }} return 0; }}\n'
    )
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["cc", *flags, "main.c", "net.c", "-lm", "-o", "main"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    rtol = 2e-3 if "float" in (dtype, params.get("dtype", "")[:5]) else 1e-9
    assert_allclose(np.array(printed.split(), float).reshape(expected.shape), expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("params", "name"), [({}, "scale='smooth_clip'"), (RANGE | {"scale": "robust"}, "clip_predictions=True")])
def test_conversion_to_scikit_learn_is_refused(params, name):
    model = MLPRegressor(**SMALL | params).fit(X, VALUES)
    with pytest.raises(ValueError, match=f"^{name} is not supported by scikit-learn"):
        model.to_sklearn()


@pytest.mark.parametrize("value", [np.zeros((3, 2)), np.zeros((2, 3)), [[0, 0], [1, 1]]], ids=str)
def test_files_with_a_wrong_range_are_rejected(value, tmp_path):
    model = MLPRegressor(**SMALL, **RANGE).fit(X, VALUES)
    model.y_range_ = value
    with pytest.raises(ValueError, match="y_range_"):
        fastbp.save(model, tmp_path / "model")
