"""Metadata of fits of the estimators for tables: sample weights and validation rows in pipelines, searches and cross-validation."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastbp import RealMLPClassifier, RealMLPRegressor

SMALL = {"preset": "td-s", "hidden_layer_sizes": (16, 8), "max_iter": 4, "random_state": 0}
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(90, 3))
TABLE = pd.DataFrame(NUMBERS, columns=list("abc")).assign(color=RNG.choice(["red", "blue"], 90))
LABELS = np.where(NUMBERS[:, 0] > 0, "yes", "no")
VALUES = NUMBERS[:, 0] + NUMBERS[:, 1]
WEIGHTS = RNG.integers(0, 4, 90).astype(float)


@pytest.fixture
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def doubled(rows):
    return rows * 2


def test_weights_in_a_pipeline_without_routing():
    pipeline = make_pipeline(StandardScaler(), RealMLPClassifier(**SMALL))
    pipeline.fit(NUMBERS, LABELS, realmlpclassifier__sample_weight=WEIGHTS)
    scaled = pipeline[:-1].transform(NUMBERS)
    expected = RealMLPClassifier(**SMALL).fit(scaled, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline.predict_proba(NUMBERS), expected.predict_proba(scaled))
    unweighted = RealMLPClassifier(**SMALL).fit(scaled, LABELS)
    assert (unweighted.predict_proba(scaled) != expected.predict_proba(scaled)).any()


@pytest.mark.usefixtures("_routing")
def test_validation_rows_pass_through_a_pipeline():
    names = {"X_val": True, "y_val": True, "sample_weight_val": True, "sample_weight": True}
    steps = [("double", FunctionTransformer(doubled)), ("network", RealMLPRegressor(**SMALL).set_fit_request(**names))]
    pipeline = Pipeline(steps, transform_input=["X_val"])
    rest = {"y_val": VALUES[60:], "sample_weight_val": 1 + WEIGHTS[60:], "sample_weight": WEIGHTS[:60]}
    pipeline.fit(NUMBERS[:60], VALUES[:60], X_val=NUMBERS[60:], **rest)
    expected = RealMLPRegressor(**SMALL).fit(2 * NUMBERS[:60], VALUES[:60], X_val=2 * NUMBERS[60:], **rest)
    np.testing.assert_array_equal(pipeline.predict(NUMBERS), expected.predict(2 * NUMBERS))
    (member,) = pipeline[-1].members_
    assert member.validation_scores_ == expected.members_[0].validation_scores_


@pytest.mark.usefixtures("_routing")
def test_weights_in_cross_validation():
    """The weights of each fold are those of its rows, also for the scores."""
    model = RealMLPClassifier(**SMALL).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    folds = KFold(3)
    scores = cross_validate(model, TABLE, LABELS, cv=folds, params={"sample_weight": WEIGHTS})["test_score"]
    for (train, test), score in zip(folds.split(TABLE), scores, strict=True):
        one = RealMLPClassifier(**SMALL).fit(TABLE.iloc[train], LABELS[train], sample_weight=WEIGHTS[train])
        assert score == one.score(TABLE.iloc[test], LABELS[test], sample_weight=WEIGHTS[test])


@pytest.mark.usefixtures("_routing")
def test_weights_in_a_search_and_in_meta_estimators():
    model = RealMLPClassifier(**SMALL).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    search = GridSearchCV(model, {"max_iter": [1, 3]}, cv=2).fit(TABLE, LABELS, sample_weight=WEIGHTS)
    best = RealMLPClassifier(**SMALL | search.best_params_).fit(TABLE, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.predict_proba(TABLE), best.predict_proba(TABLE))
    regressor = RealMLPRegressor(**SMALL).set_fit_request(sample_weight=True)
    wrapped = TransformedTargetRegressor(regressor, func=doubled, inverse_func=lambda y: y / 2)
    wrapped.fit(TABLE, VALUES, sample_weight=WEIGHTS)
    expected = RealMLPRegressor(**SMALL).fit(TABLE, 2 * VALUES, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(wrapped.predict(TABLE), expected.predict(TABLE) / 2)
    bagging = BaggingClassifier(model, n_estimators=2, random_state=0).fit(NUMBERS, LABELS, sample_weight=WEIGHTS)
    assert bagging.predict(NUMBERS).shape == (90,)


@pytest.mark.usefixtures("_routing")
def test_metadata_without_a_request_is_an_error():
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        cross_validate(RealMLPClassifier(**SMALL), TABLE, LABELS, params={"sample_weight": WEIGHTS}, error_score="raise")


@pytest.mark.usefixtures("_routing")
def test_deviations_are_requested_metadata():
    """`return_std` is metadata of ``predict``, as in scikit-learn's Gaussian processes."""
    model = RealMLPRegressor(**SMALL, n_ensemble=2).set_predict_request(return_std=True)
    pipeline = make_pipeline(StandardScaler(), model).fit(NUMBERS, VALUES)
    mean, deviation = pipeline.predict(NUMBERS, return_std=True)
    assert mean.shape == deviation.shape == (90,)
    assert (deviation > 0).all()


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_predictions_of_cross_validation_do_not_depend_on_n_jobs(n_jobs):
    predicted = cross_val_predict(RealMLPRegressor(**SMALL), TABLE, VALUES, cv=2, n_jobs=n_jobs)
    for train, test in KFold(2).split(TABLE):
        expected = RealMLPRegressor(**SMALL).fit(TABLE.iloc[train], VALUES[train]).predict(TABLE.iloc[test])
        np.testing.assert_array_equal(predicted[test], expected)
