"""Validation rows, which are passed to ``fit`` or held out, their scores and losses, and early stopping.

The result must be bitwise identical whether rows are passed to ``fit`` or a splitter holds out the same rows. Scores and losses
must equal scikit-learn's metrics for a model that was trained for the same number of epochs.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_array_equal
from sklearn import metrics
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeavePGroupsOut, PredefinedSplit, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor

RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(60, 4))
Y = {
    MLPClassifier: np.array(["no", "yes", "perhaps"])[(X[:, 0] > 0) + 1 * (X[:, 1] > 0.4)],
    MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2,
}
HELD = np.arange(60) % 4 == 1
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 10, "learning_rate_init": 0.01, "max_iter": 12, "tol": 0.0, "random_state": 0}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FORMS = {"array": np.asarray, "csr": sp.csr_array, "csc": sp.csc_matrix, "frame": lambda X: pd.DataFrame(X, columns=list("abcd"))}
COUNT = itertools.count()
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def rows_of(data, rows):
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def given_fit(kind, X=X, weight=None, **params):
    """A fit on three quarters of the rows, with the other rows as X_val and y_val."""
    y, weights = Y[kind], {} if weight is None else {"sample_weight": weight[~HELD], "sample_weight_val": weight[HELD]}
    data = {"X_val": rows_of(X, HELD), "y_val": y[HELD]}
    return kind(**SMALL | params).fit(rows_of(X, ~HELD), y[~HELD], **weights, **data)


def held_out_fit(kind, X=X, weight=None, **params):
    """A fit on all rows, with a splitter that holds out the same rows."""
    splitter = PredefinedSplit(np.where(HELD, 0, -1))
    return kind(**SMALL | params, early_stopping=True, validation_splitter=splitter).fit(X, Y[kind], weight)


def assert_same(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert_array_equal(a, b)
    for name in ("loss_curve_", "validation_scores_", "best_validation_score_", "best_loss_", "n_iter_", "t_", "history_"):
        assert getattr(one, name) == getattr(other, name), name


@few_epochs
@each_kind
@each_form
@pytest.mark.parametrize("weighted", [False, True])
def test_given_rows_and_held_out_rows_give_the_same_result(kind, form, weighted):
    weight = np.linspace(0, 2, 60) if weighted else None
    rows = form(X)
    assert_same(given_fit(kind, rows, weight, early_stopping=True), held_out_fit(kind, rows, weight))


@few_epochs
@each_kind
def test_given_rows_without_early_stopping_change_only_the_history(kind):
    """Without early stopping, validation rows change only the history."""
    watched, plain = given_fit(kind), kind(**SMALL).fit(X[~HELD], Y[kind][~HELD])
    assert len(watched.history_["val_loss"]) == len(watched.history_["val_score"]) == 12
    assert watched.history_["loss"] == plain.history_["loss"]
    assert watched.validation_scores_ is None
    del watched.history_["val_loss"], watched.history_["val_score"]
    assert_same(watched, plain)


@few_epochs
@each_kind
def test_history_has_the_metrics_of_a_fit_with_that_number_of_epochs(kind):
    """Entry n - 1 is the loss or score of a model that was trained for n epochs."""
    whole = given_fit(kind, alpha=0.0)
    for n in (1, 5, 12):
        model = given_fit(kind, alpha=0.0, max_iter=n)
        rows, y = X[HELD], Y[kind][HELD]
        if kind is MLPClassifier:
            loss = metrics.log_loss(y, model.predict_proba(rows))
        else:
            loss = metrics.mean_squared_error(y, model.predict(rows)) / 2
        assert whole.history_["val_loss"][n - 1] == pytest.approx(loss, rel=1e-12)
        assert whole.history_["val_score"][n - 1] == pytest.approx(model.score(rows, y), rel=1e-12)


@few_epochs
@each_kind
def test_early_stopping_restores_the_best_weights(kind):
    model = given_fit(kind, early_stopping=True, learning_rate_init=0.1, max_iter=60)
    best = int(np.argmax(model.validation_scores_))
    assert model.validation_scores_ == model.history_["val_score"]
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    assert best < len(model.validation_scores_) - 1
    assert model.score(X[HELD], Y[kind][HELD]) == pytest.approx(model.best_validation_score_, rel=1e-12)


# ====================================================================== scoring

SCORERS = {
    MLPClassifier: ["accuracy", "neg_log_loss", "roc_auc_ovr", metrics.make_scorer(metrics.f1_score, average="macro")],
    MLPRegressor: ["r2", "neg_mean_absolute_error", metrics.make_scorer(metrics.max_error, greater_is_better=False)],
}


@few_epochs
@pytest.mark.parametrize(("kind", "scoring"), [(kind, scoring) for kind, scorings in SCORERS.items() for scoring in scorings])
@each_form
def test_scorers_get_the_model_after_each_epoch(kind, scoring, form):
    """The scorer gets X with its feature names. Without them, a warning would be issued, which is an error in the tests."""
    rows, y = form(X), Y[kind][HELD]
    whole = held_out_fit(kind, rows, scoring=scoring)
    for n in (1, 7):
        model = held_out_fit(kind, rows, max_iter=n, scoring=lambda *_: next(COUNT))  # this scorer makes the last epoch the best
        score = metrics.get_scorer(scoring)(model, rows_of(rows, np.flatnonzero(HELD)), y)
        assert whole.history_["val_score"][n - 1] == pytest.approx(score, rel=1e-9)


@few_epochs
@each_kind
def test_scorer_of_the_default_score_gives_the_same_result(kind):
    default = "accuracy" if kind is MLPClassifier else "r2"
    weight = np.linspace(1, 2, 60)
    plain, scored = (held_out_fit(kind, weight=weight, scoring=scoring) for scoring in (None, default))
    assert scored.validation_scores_ == pytest.approx(plain.validation_scores_, rel=1e-12)
    assert_array_equal(scored.coefs_[0], plain.coefs_[0])


@few_epochs
@each_kind
def test_scoring_by_the_loss_uses_the_negative_loss(kind):
    model = given_fit(kind, scoring="loss", early_stopping=True, learning_rate_init=0.1, max_iter=80, n_iter_no_change=5)
    assert model.validation_scores_ == [-loss for loss in model.history_["val_loss"]]
    assert -model.best_validation_score_ == min(model.history_["val_loss"])
    again = given_fit(kind, scoring="loss", learning_rate_init=0.1, max_iter=1 + int(np.argmin(model.history_["val_loss"])))
    assert_array_equal(again.coefs_[0], model.coefs_[0])


@few_epochs
@each_kind
def test_user_defined_scorer(kind):
    seen = []

    def spread(estimator, X, y):
        seen.append((X.shape, estimator.predict(X)))
        return float(len(seen))

    model = held_out_fit(kind, weight=np.ones(60), scoring=spread)  # the scorer has no parameter sample_weight
    assert model.validation_scores_ == [float(n) for n in range(1, 13)]
    assert {shape for shape, _ in seen} == {(15, 4)}
    assert_array_equal(seen[-1][1], model.predict(X[HELD]))


@few_epochs
@each_kind
def test_scorer_with_the_parameter_sample_weight_gets_the_weights(kind):
    weight = np.linspace(0, 2, 60)

    def weighing(estimator, X, y, sample_weight=None):
        assert_array_equal(sample_weight, weight[HELD])
        return 0.5

    assert set(held_out_fit(kind, weight=weight, scoring=weighing).validation_scores_) == {0.5}


@each_kind
@pytest.mark.parametrize("scoring", ["unknown", metrics.mean_squared_error, lambda estimator, X, y: np.ones(3)])
def test_invalid_scorers_are_rejected(kind, scoring):
    model = kind(**SMALL, early_stopping=True, scoring=scoring)
    with pytest.raises(ValueError, match=r"scoring|scorer"):
        model.fit(X, Y[kind])
    assert not hasattr(model, "coefs_")


# ====================================================================== held-out rows


@few_epochs
@each_kind
def test_first_split_of_the_splitter_is_held_out(kind):
    splitter = KFold(4, shuffle=True, random_state=5)
    train, held_out = next(splitter.split(X))
    model = kind(**SMALL, early_stopping=True, validation_splitter=splitter).fit(X, Y[kind])
    y = Y[kind]
    other = kind(**SMALL, early_stopping=True).fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    assert_same(model, other)


@each_kind
@pytest.mark.parametrize(
    "splitter", [GroupKFold(3), LeavePGroupsOut(1), PredefinedSplit([-1] * 60), KFold(70)], ids=lambda s: type(s).__name__
)
def test_error_names_a_splitter_that_cannot_split(kind, splitter):
    model = kind(**SMALL, early_stopping=True, validation_splitter=splitter)
    with pytest.raises(ValueError, match=r"(?s)validation_splitter=.*X_val and y_val"):
        model.fit(X, Y[kind])


@each_kind
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"X_val": X}, "X_val was passed without y_val"),
        ({"y_val": X[:, 0]}, "y_val was passed without X_val"),
        ({"sample_weight_val": X[:, 0]}, "sample_weight_val needs X_val and y_val"),
        ({"X_val": X[:, :3], "y_val": 60 * [0]}, "features"),
        ({"X_val": X, "y_val": 59 * [0]}, "inconsistent numbers of samples"),
        ({"X_val": X * np.nan, "y_val": 60 * [0]}, "NaN"),
        ({"X_val": X[:0], "y_val": []}, "0 sample"),
    ],
)
def test_invalid_validation_rows_are_rejected(kind, data, message):
    model = kind(**SMALL)
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(X, Y[kind], **data)
    assert "_val" in str(caught.value)
    assert not hasattr(model, "coefs_")


@each_kind
def test_validation_rows_with_only_zero_weights_are_rejected(kind):
    with pytest.raises(ValueError, match="those of the validation rows are all 0"):
        given_fit(kind, weight=np.where(HELD, 0.0, 1.0))


@each_kind
def test_validation_rows_with_lbfgs_are_rejected(kind):
    with pytest.raises(ValueError, match="solver='lbfgs'"):
        given_fit(kind, solver="lbfgs")


def test_error_names_unknown_labels():
    model = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match=r"y_val must contain only labels that are in y.*got also \['never'\]"):
        model.fit(X, Y[MLPClassifier], X_val=X[:2], y_val=["no", "never"])
    with pytest.raises(ValueError, match=r"\['label 0', .*, 'label 17', \.\.\.\] \(40 labels\)\. Remove") as caught:
        model.fit(X, Y[MLPClassifier], X_val=X[:40], y_val=[f"label {n}" for n in range(40)])
    assert len(str(caught.value)) < 400


@few_epochs
def test_validation_rows_may_lack_some_labels():
    model = MLPClassifier(**SMALL, early_stopping=True).fit(X, Y[MLPClassifier], X_val=X[:3], y_val=["no"] * 3)
    assert len(model.validation_scores_) == 12


@few_epochs
def test_multilabel_validation_rows():
    y = np.c_[X[:, 0] > 0, X[:, 1] > 0].astype(int)
    model = MLPClassifier(**SMALL).fit(X[~HELD], y[~HELD], X_val=X[HELD], y_val=y[HELD])
    assert model.history_["val_score"][-1] == model.score(X[HELD], y[HELD])
    with pytest.raises(ValueError, match="labels"):
        model.fit(X, y, X_val=X, y_val=np.c_[y, y])


def test_y_val_must_have_as_many_columns_as_y():
    with pytest.raises(ValueError, match="y_val needs 2 output units"):
        MLPRegressor(**SMALL).fit(X, X[:, 0], X_val=X, y_val=X[:, :2])


@few_epochs
def test_float64_validation_rows_do_not_change_float32_weights():
    X32 = X.astype(np.float32)
    model = MLPRegressor(**SMALL).fit(X32, X[:, 0], X_val=X, y_val=X[:, 0])
    assert model.coefs_[0].dtype == np.float32
    assert len(model.history_["val_loss"]) == 12


# ====================================================================== inside scikit-learn


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@few_epochs
@each_kind
@pytest.mark.usefixtures("routing")
def test_pipeline_transforms_the_validation_rows(kind):
    y = Y[kind]
    model = kind(**SMALL).set_fit_request(X_val=True, y_val=True, sample_weight=False, sample_weight_val=False)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)], transform_input=["X_val"])
    pipeline.fit(X[~HELD] * 9, y[~HELD], X_val=X[HELD] * 9, y_val=y[HELD])
    scaler = StandardScaler().fit(X[~HELD] * 9)
    by_hand = kind(**SMALL).fit(scaler.transform(X[~HELD] * 9), y[~HELD], X_val=scaler.transform(X[HELD] * 9), y_val=y[HELD])
    assert_same(pipeline["model"], by_hand)


@few_epochs
@each_kind
@pytest.mark.usefixtures("routing")
def test_searches_pass_the_validation_rows_to_the_estimator(kind):
    y = Y[kind]
    model = kind(**SMALL, early_stopping=True).set_fit_request(X_val=True, y_val=True)
    data = {"X_val": X[HELD], "y_val": y[HELD]}
    got = cross_validate(model, X, y, params=data, cv=3, return_estimator=True)
    assert all(len(fold.history_["val_score"]) == 12 for fold in got["estimator"])
    search = GridSearchCV(model, {"alpha": [0, 1]}, cv=3, error_score="raise").fit(X, y, **data)
    assert search.best_estimator_.validation_scores_ == search.best_estimator_.history_["val_score"]
