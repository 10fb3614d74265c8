"""The estimators for tables: all kinds of columns, validation rows, ensembles, quantiles, calibration, and usual mistakes."""

import os
import pickle
import signal
import threading
import time
import tracemalloc
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import MLPRegressor, RealMLPClassifier, RealMLPRegressor
from fastbp._data.table_inputs import InputTable
from fastbp._tabular.ensembles import Ensemble, drawn_splits
from fastbp.datasets import load_california_housing

SMALL = {"hidden_layer_sizes": (16, 16), "max_iter": 3, "random_state": 0}
PRESETS = ["td", "td-s", "best"]
KINDS = [RealMLPClassifier, RealMLPRegressor]
each_preset = pytest.mark.parametrize("preset", PRESETS)
each_kind = pytest.mark.parametrize("kind", KINDS)


def table(n_rows=120):
    """A table with all kinds of columns and missing values."""
    rng = np.random.default_rng(0)
    frame = {
        "number": rng.normal(size=n_rows),
        "few": rng.choice(["x", "y", "z"], n_rows),
        "many": rng.choice(list("abcdefghijklmnop"), n_rows),
        "date": pd.date_range("2020-01-01", periods=n_rows),
        "flag": rng.random(n_rows) > 0.5,
        "identifier": [f"id{i}" for i in range(n_rows)],
        "empty": [None] * n_rows,
        "constant": 1.0,
    }
    frame = pd.DataFrame(frame)
    frame.loc[3, "number"], frame.loc[4, "few"] = np.nan, None
    return frame


X = table()
LABELS = np.where(X["few"] == "x", "yes", "no")
VALUES = X["number"].fillna(0).to_numpy() + 2 * (X["few"] == "y").to_numpy()


def target(kind):
    return LABELS if kind is RealMLPClassifier else VALUES


def outputs_of(model, rows):
    return model.predict_proba(rows) if isinstance(model, RealMLPClassifier) else model.predict(rows)


def small(kind=RealMLPClassifier, preset="td-s", **options):
    return kind(preset, **{**SMALL, **options})


# ---------------------------------------------------------------------- tables


@each_preset
@each_kind
def test_table_with_all_kinds_of_columns(kind, preset):
    y = target(kind)
    model = small(kind, preset, max_iter=60).fit(X, y)
    assert model.n_features_in_ == X.shape[1]
    assert list(model.feature_names_in_) == list(X)
    assert model.score(X, y) > (0.8 if kind is RealMLPClassifier else 0.5)


@each_preset
@each_kind
def test_new_values_and_new_missing_values_in_predictions(kind, preset):
    model = small(kind, preset).fit(X, target(kind))
    new = X.head(5).copy()
    new["few"], new["number"], new["many"], new["date"], new["empty"] = "new", np.nan, None, pd.NaT, "text"
    assert np.isfinite(outputs_of(model, new)).all()


@each_preset
@pytest.mark.parametrize(
    "columns", [["few"], ["many"], ["few", "many"], ["identifier"], ["empty"], ["number"], ["number", "constant"]]
)
@each_kind
def test_tables_with_few_kinds_of_columns(kind, columns, preset):
    model = small(kind, preset).fit(X[columns], target(kind))
    assert np.isfinite(outputs_of(model, X[columns])).all()


def test_frames_of_other_libraries_and_arrays_give_the_same_bits():
    plain = X[["number", "few"]].assign(number=X["number"].fillna(0), few=X["few"].fillna("x"))
    expected = small().fit(plain, LABELS).predict_proba(plain)
    frame = pl.DataFrame({name: plain[name].to_list() for name in plain})
    np.testing.assert_array_equal(small().fit(frame, LABELS).predict_proba(frame), expected)
    array = plain.to_numpy(object)
    np.testing.assert_array_equal(small(categorical_features=[1]).fit(array, LABELS).predict_proba(array), expected)


@each_preset
def test_ten_thousand_categories(preset):
    rows = pd.DataFrame({"k": np.repeat([f"k{i}" for i in range(10_000)], 2)})
    model = small(preset=preset, max_iter=1).fit(rows, np.arange(len(rows)) % 2)
    assert len(pickle.dumps(model)) < (3_000_000 if preset == "best" else 2_000_000)
    assert model.predict_proba(rows.tail(3)).shape == (3, 2)


@each_preset
@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_few_rows(n_rows, preset):
    rows = X.head(n_rows)
    assert small(RealMLPRegressor, preset).fit(rows, VALUES[:n_rows]).predict(rows).shape == (n_rows,)
    classifier = small(preset=preset).fit(rows, list("abcde")[:n_rows])
    np.testing.assert_allclose(classifier.predict_proba(rows).sum(axis=1), 1)
    assert list(classifier.classes_) == list("abcde")[:n_rows]


# ---------------------------------------------------------------------- targets and weights


@pytest.mark.parametrize("labels", [LABELS, LABELS == "yes", np.where(LABELS == "yes", 7, -2), pd.Series(LABELS, dtype="category")])
def test_labels_of_any_type(labels):
    predicted = small(max_iter=20).fit(X, labels).predict(X)
    assert np.mean(predicted == np.asarray(labels)) > 0.8
    assert predicted.dtype == np.unique(labels).dtype


def test_one_class_is_predicted_without_a_network():
    model = small(calibrate="temperature").fit(X, ["only"] * len(X))
    assert model.members_ == []
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_log_proba(X), np.zeros((len(X), 1)))


@each_preset
def test_constant_target(preset):
    model = small(RealMLPRegressor, preset).fit(X, np.full(len(X), 3.0))
    np.testing.assert_allclose(model.predict(X), 3)


def test_several_targets():
    y = np.column_stack([VALUES, -VALUES, 100 + VALUES])
    model = small(RealMLPRegressor, max_iter=60).fit(X, y)
    assert model.predict(X).shape == model.oob_prediction_.shape == y.shape
    assert model.score(X, y) > 0.5


@each_kind
def test_rows_of_weight_0_are_absent(kind):
    y, weight = target(kind), np.arange(len(X)) % 3 > 0
    with_weight = small(kind).fit(X, y, sample_weight=weight * 2.0)
    without = small(kind).fit(X[weight], y[weight], sample_weight=np.full(weight.sum(), 2.0))
    np.testing.assert_array_equal(outputs_of(with_weight, X), outputs_of(without, X))
    estimates = with_weight.oob_decision_function_ if kind is RealMLPClassifier else with_weight.oob_prediction_
    assert len(estimates) == len(X)
    assert np.isnan(estimates[~weight]).all()
    assert not np.isnan(estimates[weight]).all()


def test_constant_weights_change_nothing():
    expected = small().fit(X, LABELS).predict_proba(X)
    weighted = small().fit(X, LABELS, sample_weight=np.full(len(X), 4.0))
    np.testing.assert_allclose(weighted.predict_proba(X), expected, rtol=1e-4)


def test_class_weights_are_sample_weights():
    balanced = small(class_weight="balanced").fit(X, LABELS).predict_proba(X)
    counts = {label: np.sum(label == LABELS) for label in ("no", "yes")}
    weights = {label: len(X) / (2 * count) for label, count in counts.items()}
    np.testing.assert_array_equal(small(class_weight=weights).fit(X, LABELS).predict_proba(X), balanced)
    by_row = small().fit(X, LABELS, sample_weight=[weights[label] for label in LABELS])
    np.testing.assert_array_equal(by_row.predict_proba(X), balanced)
    assert set(small(class_weight={"yes": 0}).fit(X, LABELS).predict(X)) == {"no"}


def test_balanced_weights_with_a_class_without_weight():
    model = small(class_weight="balanced").fit(X, LABELS, sample_weight=LABELS == "no")
    np.testing.assert_array_equal(model.predict_proba(X), np.tile([1.0, 0.0], (len(X), 1)))


@each_kind
def test_weights_that_float32_cannot_represent(kind):
    """All results are those of the same weights in another unit, and NumPy gives no warnings."""
    weights = np.arange(len(X)) % 4
    given = {"X_val": X, "y_val": target(kind)}
    expected = small(kind).fit(X, target(kind), weights, **given, sample_weight_val=weights)
    for unit in (2.0**1000, 2.0**-1000):
        model = small(kind).fit(X, target(kind), weights * unit, **given, sample_weight_val=weights * unit)
        np.testing.assert_allclose(outputs_of(model, X), outputs_of(expected, X), rtol=1e-4)


# ---------------------------------------------------------------------- validation rows and ensembles


@each_kind
def test_best_epoch_has_the_best_score_of_the_validation_rows(kind):
    y = target(kind)
    model = small(kind, max_iter=15).fit(X, y, X_val=X.head(40), y_val=y[:40])
    (member,) = model.members_
    assert member.n_iter_ == model.n_iter_ == 15 == len(member.loss_curve_) == len(member.validation_scores_)
    scores = np.array(member.validation_scores_)
    assert member.best_epoch_ == 1 + np.flatnonzero(scores == scores.max())[-1]
    if kind is RealMLPClassifier:
        assert model.score(X.head(40), y[:40]) == pytest.approx(scores.max())
    else:
        assert -np.sqrt(np.mean((model.predict(X.head(40)) - y[:40]) ** 2)) == pytest.approx(scores.max(), rel=1e-4)
    assert not hasattr(model, "oob_score_")


def test_without_validation_rows_the_last_epoch_is_used():
    model = small(validation_fraction=0).fit(X, LABELS)
    assert model.members_[0].best_epoch_ == 3
    assert model.members_[0].validation_scores_ is None
    assert not hasattr(model, "oob_score_")


@each_kind
def test_out_of_bag_estimates_of_folds(kind):
    y = target(kind)
    model = small(kind, n_cv=3, n_ensemble=2).fit(X, y)
    assert len(model.members_) == 6
    estimates = model.oob_decision_function_ if kind is RealMLPClassifier else model.oob_prediction_
    assert np.isfinite(estimates).all()
    if kind is RealMLPClassifier:
        assert model.oob_score_ == np.mean(model.classes_[estimates.argmax(axis=1)] == y)
    else:
        assert model.oob_score_ == pytest.approx(1 - np.sum((estimates - y) ** 2) / np.sum((y - y.mean()) ** 2))


@pytest.mark.parametrize("classes", [None, np.arange(40) % 3, np.arange(40)], ids=["no classes", "stratified", "rare classes"])
def test_folds_are_those_of_scikit_learn(classes):
    splits = drawn_splits(40, np.random.RandomState(3), classes, n_cv=7, n_ensemble=2, validation_fraction=0.2)
    assert [split.folds is splits[0].folds for split in splits] == [True] * 7 + [False] * 7
    rng, expected = np.random.RandomState(3), []
    for _ in range(2):
        splitter = KFold if classes is None or len(np.unique(classes)) == 40 else StratifiedKFold
        expected += splitter(7, shuffle=True, random_state=rng).split(np.zeros((40, 0)), classes)
    for split, (training, validation) in zip(splits, expected, strict=True):
        np.testing.assert_array_equal(split.training, training)
        np.testing.assert_array_equal(split.validation, validation)


@each_kind
def test_members_of_the_preset_best(kind):
    model = small(kind, "best").fit(X, target(kind))
    for n, member in enumerate(model.members_):
        layout, encoders = member.network.plan.layout, member.network.plan.architecture.encoders
        assert [encoder.kind for encoder in encoders].count("piecewise_linear") == n % 2
        assert layout.n_features == member.inputs.n_outputs + len(member.embedded)  # the encoding has no columns of its own
        edges = member.network.columns.edges
        assert len(edges) == (member.inputs.n_numbers if n % 2 else 0)
        assert layout.sizes[0] == sum(encoder.n_out for encoder in encoders)
        if n % 2:  # the number has 16 bins, and the constant has none
            assert [len(edges[0]), len(edges[-1])] == [17, 1]
    given = small(kind, "best").fit(X, target(kind), X_val=X, y_val=target(kind))
    assert len(given.members_) == 6
    assert len(small(kind, "best", n_cv=1, n_ensemble=2).fit(X, target(kind)).members_) == 2
    assert len(small(kind, "best").fit(X[:3], target(kind)[1:4]).members_) == 3


def test_best_epoch_of_the_preset_best_has_the_lowest_brier_score():
    model = small(preset="best", n_cv=1, max_iter=12).fit(X, LABELS, X_val=X, y_val=LABELS)
    member, scores = model.members_[0], model.members_[0].validation_scores_
    error = np.mean(((model.predict_proba(X) - (LABELS[:, None] == model.classes_)) ** 2).sum(axis=1))
    assert scores[member.best_epoch_ - 1] == max(scores) == pytest.approx(-error, rel=1e-5)


@each_preset
def test_epochs_are_selected_by_the_scoring(preset):
    rows = {"X_val": X, "y_val": LABELS}
    default, accuracy, brier = (
        small(preset=preset, n_cv=1, max_iter=12, scoring=scoring).fit(X, LABELS, **rows)
        for scoring in (None, "accuracy", "neg_brier_score")
    )
    scores = accuracy.members_[0].validation_scores_
    assert scores[accuracy.members_[0].best_epoch_ - 1] == accuracy.score(X, LABELS) == max(scores)
    errors = ((brier.predict_proba(X) - (LABELS[:, None] == brier.classes_)) ** 2).sum(axis=1)
    assert max(brier.members_[0].validation_scores_) == pytest.approx(-errors.mean(), rel=1e-5)
    same = brier if preset == "best" else accuracy
    assert default.members_[0].validation_scores_ == same.members_[0].validation_scores_


@each_kind
@each_preset
def test_number_of_bins_of_every_second_network(kind, preset):
    def n_bins(**params):
        members = small(kind, preset, n_cv=1, n_ensemble=2, **params).fit(X, target(kind)).members_
        return [max((len(one) for one in member.network.columns.means), default=0) for member in members]

    assert n_bins(n_bins=5) == [0, 5]
    assert n_bins(n_bins=0) == [0, 0]
    assert n_bins() == [0, 16 if preset == "best" else 0]


def test_predictions_are_means_of_the_members_with_their_standard_deviation():
    model = small(RealMLPRegressor, n_ensemble=3).fit(X, VALUES)
    mean, deviation = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    ensemble = model._ensemble
    each = [Ensemble(ensemble.reader, [member]) for member in model.members_]
    encoded = ensemble.reader.encode(InputTable.checked(X, model, reset=False), np.float32)
    outputs = [one.outputs(encoded, 1)[0][:, 0] for one in each]
    np.testing.assert_allclose(mean, np.mean(outputs, axis=0))
    np.testing.assert_allclose(deviation, np.std(outputs, axis=0), rtol=1e-6, atol=1e-9)
    assert (deviation > 0).all()


def test_probabilities_with_their_standard_deviation():
    model = small(RealMLPClassifier, n_ensemble=3, calibrate="temperature").fit(X, LABELS)
    probabilities, deviation = model.predict_proba(X, return_std=True)
    np.testing.assert_array_equal(probabilities, model.predict_proba(X))
    reader = model._ensemble.reader
    encoded = reader.encode(InputTable.checked(X, model, reset=False), np.float32)
    outputs = [Ensemble(reader, [member]).outputs(encoded, 1)[0] for member in model.members_]
    np.testing.assert_allclose(deviation, np.std(outputs, axis=0), rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="return_std=True needs at least two networks"):
        small(RealMLPClassifier).fit(X, LABELS).predict_proba(X, return_std=True)


@each_kind
def test_same_bits_for_every_number_of_threads(kind):
    for options in ({"n_cv": 2}, {"hidden_layer_sizes": (256, 256), "batch_size": 96, "max_iter": 2}):
        one, two = (small(kind, n_threads=n, **options).fit(X, target(kind)) for n in (1, 2))
        np.testing.assert_array_equal(outputs_of(one, X), outputs_of(two, X))


def test_batches_of_many_rows_have_the_same_bits_for_every_number_of_threads():
    rows = pd.concat([X] * 5)
    one, two, three = (
        small(n_threads=n, hidden_layer_sizes=(64,), batch_size=256).fit(rows, np.tile(LABELS, 5)) for n in (1, 2, 3)
    )
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    np.testing.assert_array_equal(one.predict_proba(X), three.predict_proba(X))


# ---------------------------------------------------------------------- quantiles and calibration


@each_preset
def test_quantiles_do_not_cross(preset):
    model = small(RealMLPRegressor, preset, loss="quantile", quantile=[0.1, 0.5, 0.9], max_iter=10).fit(X, VALUES)
    predicted = model.predict(X)
    assert predicted.shape == model.oob_prediction_.shape == (len(X), 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    errors = VALUES[:, None] - predicted
    losses = np.maximum(np.array([0.1, 0.5, 0.9]) * errors, (np.array([0.1, 0.5, 0.9]) - 1) * errors)
    assert model.score(X, VALUES) == pytest.approx(-losses.mean())


def test_quantiles_of_noise():
    rng = np.random.default_rng(0)
    rows, y = np.zeros((2000, 1)) + rng.random((2000, 1)), rng.random(2000)
    model = small(RealMLPRegressor, loss="quantile", quantile=[0.1, 0.9], max_iter=30, learning_rate_init=0.02).fit(rows, y)
    np.testing.assert_allclose(np.mean(y[:, None] < model.predict(rows), axis=0), [0.1, 0.9], atol=0.06)


def test_quantiles_of_several_targets():
    y = np.column_stack([VALUES, 100 * VALUES])
    model = small(RealMLPRegressor, loss="quantile", quantile=[0.2, 0.8]).fit(X, y)
    assert model.predict(X).shape == (len(X), 2, 2)


@pytest.mark.parametrize("options", [{}, {"n_cv": 3}])
def test_temperature_minimizes_the_log_loss(options):
    data, y = load_iris(return_X_y=True)
    options = {"max_iter": 30, **options}
    plain, model = (small(calibrate=calibrate, **options).fit(data, y) for calibrate in (None, "temperature"))
    known = ~np.isnan(plain.oob_decision_function_[:, 0])
    before, after = plain.oob_decision_function_[known], model.oob_decision_function_[known]
    losses = []
    for temperature in (0.98 * model.temperature_, model.temperature_, 1.02 * model.temperature_):
        scaled = before ** (1 / temperature)
        losses.append(log_loss(y[known], scaled / scaled.sum(axis=1, keepdims=True)))
    assert losses[1] == min(losses) == pytest.approx(log_loss(y[known], after))
    assert losses[1] < log_loss(y[known], before)
    np.testing.assert_array_equal(plain.predict(data), model.predict(data))
    assert not hasattr(plain, "temperature_")


# ---------------------------------------------------------------------- errors


ERRORS = {
    "a number as a label": (RealMLPClassifier, {}, (X, VALUES), {}, "Unknown label type"),
    "a missing label": (RealMLPClassifier, {}, (X, [None, *LABELS[1:]]), {}, "must have a label in each row, but is None in row 0"),
    **{
        f"a missing label of type {np.asarray(label).dtype}": (
            RealMLPClassifier,
            {},
            (X, np.array([*labels, label])),
            {},
            f"must have a label in each row, but is {label} in row {len(X) - 1}",
        )
        for label, labels in (
            (np.nan, np.arange(len(X) - 1) % 2),
            (np.datetime64("NaT", "D"), np.arange(len(X) - 1) % 2 + np.datetime64("2020-01-01")),
            (np.timedelta64("NaT", "D"), np.arange(len(X) - 1) % 2 + np.timedelta64(0, "D")),
        )
    },
    "NaN among strings": (
        RealMLPClassifier,
        {},
        (X, np.array([np.nan, *LABELS[1:]], object)),
        {},
        "must have a label in each row, but is nan in row 0",
    ),
    "a missing target": (RealMLPRegressor, {}, (X, [np.nan, *VALUES[1:]]), {}, "Input y contains NaN"),
    "no target": (RealMLPRegressor, {}, (X, None), {}, "requires y to be passed"),
    "other lengths": (RealMLPClassifier, {}, (X, LABELS[:5]), {}, r"\[120, 5\]"),
    "an infinite number": (RealMLPClassifier, {}, (X.assign(number=np.inf), LABELS), {}, "X contains infinity .*'number'. Replace"),
    "a too large number": (RealMLPClassifier, {}, (X.assign(number=1e300 * (LABELS == "yes")), LABELS), {}, r"column 'number'"),
    "a missing label of pandas": (RealMLPClassifier, {}, (X, np.array([*LABELS[1:], pd.NA], object)), {}, "is <NA> in row 119"),
    "labels of two types": (
        RealMLPClassifier,
        {},
        (X, np.array(["a", 1] * 60, object)),
        {},
        r"of the types \['int', 'str'\]. Convert",
    ),
    "too large targets": (
        RealMLPRegressor,
        {},
        (X, VALUES * 1e200),
        {},
        "y must have squared deviations .* Divide y by a constant",
    ),
    "other large targets": (RealMLPRegressor, {"validation_fraction": 0}, (X, VALUES * 1e160), {}, "Divide y by a constant"),
    "too large y_val": (RealMLPRegressor, {}, (X, VALUES), {"X_val": X, "y_val": VALUES * 1e60}, "y and y_val must have values"),
    "a word": (
        RealMLPRegressor,
        {"hidden_layer_sizes": "a"},
        (X, VALUES),
        {},
        r"an array-like, an int in the range \[1, inf\) or None",
    ),
    "too many folds": (RealMLPClassifier, {"n_cv": 9}, (X.head(5), LABELS[:5]), {}, "n_cv must be at most .* 5; got 9"),
    "folds and X_val": (RealMLPClassifier, {"n_cv": 2}, (X, LABELS), {"X_val": X, "y_val": LABELS}, "n_cv must be 1 if X_val"),
    "X_val only": (RealMLPClassifier, {}, (X, LABELS), {"X_val": X}, "X_val was passed without y_val"),
    "an unknown label": (RealMLPClassifier, {}, (X, LABELS), {"X_val": X, "y_val": ["other"] * 120}, "y_val must contain only"),
    "other columns": (RealMLPRegressor, {}, (X, VALUES), {"X_val": X[["few"]], "y_val": VALUES}, "X_val and y_val cannot be used"),
    "other targets": (
        RealMLPRegressor,
        {},
        (X, VALUES),
        {"X_val": X, "y_val": np.ones((120, 2))},
        r"the shape \(n_val,\)",
    ),
    "negative weights": (RealMLPRegressor, {}, (X, VALUES), {"sample_weight": -np.ones(120)}, "Negative values"),
    "weights of 0": (RealMLPClassifier, {"class_weight": {"no": 0, "yes": 0}}, (X, LABELS), {}, "weight above 0"),
    "a negative class weight": (
        RealMLPClassifier,
        {"class_weight": {"yes": -3}},
        (X, LABELS),
        {},
        "at least 0, .* -3 for class 'yes'",
    ),
    "a class weight of NaN": (
        RealMLPClassifier,
        {"class_weight": {"yes": np.nan}},
        (X, LABELS),
        {},
        "finite weights of at least 0",
    ),
    "weights of other classes": (RealMLPClassifier, {"class_weight": {"zz": 3}}, (X, LABELS), {}, r"\['no', 'yes'\] .* \['zz'\]"),
    "no validation rows": (
        RealMLPClassifier,
        {"calibrate": "temperature", "validation_fraction": 0},
        (X, LABELS),
        {},
        "calibrate='temperature' needs validation rows",
    ),
    "decreasing quantiles": (RealMLPRegressor, {"loss": "quantile", "quantile": [0.9, 0.1]}, (X, VALUES), {}, "increasing order"),
    "a single bin": (RealMLPRegressor, {"n_bins": 1}, (X, VALUES), {}, r"'n_bins' parameter .* range \[2, inf\)"),
    "an unknown scoring": (RealMLPClassifier, {"scoring": "f1"}, (X, LABELS), {}, "'scoring' parameter"),
    "an unknown preset": (RealMLPRegressor, {"preset": "large"}, (X, VALUES), {}, "'preset' parameter"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_rule_and_leave_the_model_unchanged(name):
    kind, options, data, others, message = ERRORS[name]
    model = small(kind).fit(X[["few"]], target(kind))
    before = pickle.dumps(vars(model))
    params = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(**options).fit(*data, **others)
    assert pickle.dumps(vars(model.set_params(**params))) == before


def test_other_errors():
    with pytest.raises(TypeError, match="Sparse data"):
        small().fit(csr_array(np.eye(5)), [0, 1, 0, 1, 0])
    with pytest.raises(NotFittedError):
        RealMLPRegressor().score(X, VALUES)
    model = small(RealMLPRegressor).fit(X, VALUES)
    with pytest.raises(ValueError, match="return_std=True needs at least two networks"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[X.columns[::-1]])


def test_second_fit_replaces_all_attributes():
    model = small(calibrate="temperature").fit(X, LABELS)
    model.set_params(calibrate=None, validation_fraction=0).fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
    assert not any(hasattr(model, name) for name in ("temperature_", "oob_score_", "oob_decision_function_", "feature_names_in_"))


@pytest.mark.parametrize("n_members", [1, 3])
def test_interrupt_leaves_the_model_unchanged(n_members):
    model = small(n_ensemble=n_members, n_threads=2).fit(X, LABELS)
    before = pickle.dumps(vars(model))
    n_threads = threading.active_count()
    timer = threading.Timer(0.15, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(max_iter=1_000_000).fit(X, LABELS)
    timer.join()
    assert threading.active_count() <= n_threads + 2  # the training of all members has ended
    assert pickle.dumps(vars(model.set_params(max_iter=3))) == before


@pytest.mark.parametrize("n_members", [1, 4])
def test_max_time_is_shared_by_the_members(n_members):
    model = small(n_ensemble=n_members, max_iter=1_000_000, max_time=0.4, n_threads=1)
    start = time.monotonic()
    with pytest.warns(ConvergenceWarning, match="max_time=0.4"):
        model.fit(X, LABELS)
    assert time.monotonic() - start < 5
    epochs = [member.n_iter_ for member in model.members_]
    assert min(epochs) > 0


def test_training_to_the_last_epoch_gives_no_warning_and_prints_nothing(capsys):
    small(n_ensemble=2).fit(X, LABELS)
    assert capsys.readouterr().out == ""
    small(n_ensemble=2, verbose=True).fit(X, LABELS)
    lines = capsys.readouterr().out.splitlines()
    assert {"Member 1: Iteration 3", "Member 2: Iteration 3"} <= {line.partition(",")[0] for line in lines}


# ---------------------------------------------------------------------- scikit-learn


@each_preset
@each_kind
def test_clones_and_pickles(kind, preset):
    model = small(kind, preset, n_cv=2).fit(X, target(kind))
    expected = outputs_of(model, X)
    np.testing.assert_array_equal(outputs_of(pickle.loads(pickle.dumps(model)), X), expected)
    np.testing.assert_array_equal(outputs_of(clone(model).fit(X, target(kind)), X), expected)


def test_pipelines_searches_and_metadata():
    numbers = X[["number", "date"]].assign(date=X["date"].astype("int64"), number=X["number"].fillna(0))
    pipeline = make_pipeline(StandardScaler(), small())
    assert len(cross_val_score(pipeline, numbers, LABELS, cv=2)) == 2
    search = GridSearchCV(small(), {"preset": PRESETS, "dropout": [None, 0.1]}, cv=2, n_jobs=1).fit(X, LABELS)
    assert set(search.best_params_) == {"preset", "dropout"}
    wrapped = TransformedTargetRegressor(small(RealMLPRegressor), func=np.expm1, inverse_func=np.log1p)
    assert wrapped.fit(X, np.abs(VALUES)).predict(X).shape == (len(X),)
    assert make_pipeline(FunctionTransformer(), small()).fit(X, LABELS).score(X, LABELS) >= 0


@each_kind
def test_rows_are_predicted_independently(kind):
    model = small(kind).fit(X, target(kind))
    expected = outputs_of(model, X)
    np.testing.assert_allclose(np.concatenate([outputs_of(model, X[i : i + 7]) for i in range(0, len(X), 7)]), expected, rtol=1e-5)


# These checks compare predictions of the same rows in other blocks with these functions. The networks compute in float32, where the
# rounding of a row depends on its place in a block.
SAME_ROWS_IN_OTHER_BLOCKS = {
    "check_methods_subset_invariance": "assert_allclose",
    "check_methods_sample_order_invariance": "assert_allclose_dense_sparse",
}


def checked(*presets):
    return [kind(preset, hidden_layer_sizes=(64, 32), max_iter=40) for kind in KINDS for preset in presets]


def expected_failures(estimator):
    reason = "repeated rows are in other batches than one row with their total weight"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


def run_check(estimator, check):
    """Run a check of scikit-learn; those of `SAME_ROWS_IN_OTHER_BLOCKS` have the tolerance of float32."""
    function = SAME_ROWS_IN_OTHER_BLOCKS.get(getattr(check, "func", check).__name__)
    if function is None:
        check(estimator)
        return
    compare = getattr(estimator_checks, function)
    with patch.object(estimator_checks, function) as rounded:
        rounded.side_effect = lambda x, y, atol, err_msg: compare(x, y, rtol=1e-5, atol=1e-6, err_msg=err_msg)
        check(estimator)
    assert rounded.called


@pytest.mark.slow
@pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(checked("td", "td-s"), expected_failed_checks=expected_failures)
def test_checks(estimator, check):
    run_check(estimator, check)


@pytest.mark.long
@pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(checked("best"), expected_failed_checks=expected_failures)
def test_checks_of_best(estimator, check):
    run_check(estimator, check)


@pytest.mark.parametrize(
    "preset", [pytest.param(preset, marks=pytest.mark.long if preset == "best" else pytest.mark.slow) for preset in PRESETS]
)
def test_california_housing(preset):
    """With a part of the rows and epochs, RealMLP is better than a linear model and than the default parameters of MLPRegressor."""
    data = load_california_housing()
    X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, train_size=8000, random_state=0)
    model = RealMLPRegressor(preset, max_iter=64, random_state=0).fit(X_train, y_train)
    linear = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(X_train, y_train)
    network = make_pipeline(SimpleImputer(), StandardScaler(), MLPRegressor(random_state=0, max_iter=500)).fit(X_train, y_train)
    errors = [np.sqrt(np.mean((one.predict(X_test) - y_test) ** 2)) for one in (model, linear, network)]
    assert errors[0] < 0.97 * min(errors[1:]), errors


@pytest.mark.parametrize("preset", ["td", "td-s"])
def test_table_with_one_constant_column(preset):
    """The weighted sums are constant up to rounding errors, by which the initial weights must not be divided."""
    X, y = np.full((60, 1), 3.0), np.arange(60.0)
    model = RealMLPRegressor(preset, max_iter=5, random_state=0).fit(X, y)
    assert abs(model.predict(X) - y.mean()).max() < 20


def test_bins_need_several_networks():
    X = np.random.default_rng(0).normal(size=(60, 2))
    options = {"max_iter": 1, "hidden_layer_sizes": (4,), "random_state": 0}
    with pytest.raises(ValueError, match="n_bins must be 0 or None with one network"):
        RealMLPRegressor("td-s", n_bins=4, **options).fit(X, X[:, 0])
    for own in ({"n_bins": 4, "n_ensemble": 2}, {"n_bins": 0}, {}):
        RealMLPRegressor("td-s", **own, **options).fit(X, X[:, 0])


@pytest.mark.parametrize(
    "y",
    [["yes", "no"] * 30, np.array(["yes", "no"] * 30, object), ["1"] * 60, np.arange(60).astype("datetime64[D]")],
)
def test_targets_that_are_not_numbers(y):
    X = np.random.default_rng(0).normal(size=(60, 2))
    with pytest.raises(TypeError, match=r"y must hold real numbers for regression.*Convert it to float"):
        RealMLPRegressor("td-s", max_iter=1).fit(X, y)


def test_a_complete_model_refuses_other_columns_and_parameters():
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = RealMLPRegressor("td-s", max_iter=1, hidden_layer_sizes=(4,), warm_start="resume", random_state=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="X has 1 features"):
        model.fit(X[:, :1], X[:, 0])
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must not change .* Set hidden_layer_sizes=\(4,\)"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X, X[:, 0])
    with pytest.warns(ConvergenceWarning, match="is complete"):
        model.set_params(hidden_layer_sizes=(4,)).fit(X, X[:, 0])


def test_the_memory_does_not_grow_with_the_square_of_the_columns():
    X = np.random.default_rng(0).normal(size=(64, 1500)).astype(np.float32)
    model = RealMLPRegressor("td", max_iter=1, hidden_layer_sizes=(4,), n_threads=1, random_state=0)
    tracemalloc.start()
    try:
        model.fit(X, X[:, 0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6  # a matrix of the 6,000 inputs of the network and as many units has 144 MB


def test_one_network_does_not_keep_the_encoded_rows():
    X = np.random.default_rng(0).normal(size=(50_000, 40))
    model = RealMLPRegressor("td-s", max_iter=1, hidden_layer_sizes=(4,), n_threads=1, random_state=0)
    model.fit(X[:1000], X[:1000, 0])
    tracemalloc.start()
    try:
        model.fit(X, X[:, 0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # selected (0.4) and prepared (0.4) training rows, and validation rows (0.1); the encoded rows would be another 0.5
    assert peak < 1.15 * X.nbytes
    assert np.isfinite(model.oob_prediction_).sum() == 10_000
