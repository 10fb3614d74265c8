"""TabM: its settings and layers, early stopping, submodels, and everything that differs from RealMLP (tests/test_realmlp.py)."""

import pickle
import time
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import tabular_reference as reference
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_realmlp import LABELS, VALUES, X, expected_failures, run_check

from fastbp import TabMClassifier, TabMRegressor, load, save
from fastbp._data.table_inputs import InputTable
from fastbp._network.encoders import copy_encoder, embedding_encoder, one_hot_encoder
from fastbp._tabular.members import prepared
from fastbp._tabular.network_columns import NetworkColumns
from fastbp.inspection import summary

SMALL = {"n_submodels": 4, "hidden_layer_sizes": (16, 16), "max_iter": 3, "batch_size": 32, "random_state": 0}
KINDS = [TabMClassifier, TabMRegressor]
ARCHITECTURES = ["tabm", "tabm-mini"]
EMBEDDINGS = [None, "piecewise_linear", "periodic", "periodic_lite"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)
each_embedding = pytest.mark.parametrize("embedding", EMBEDDINGS)


def target(kind):
    return LABELS if kind is TabMClassifier else VALUES


def outputs_of(model, rows):
    return model.predict_proba(rows) if isinstance(model, TabMClassifier) else model.predict(rows)


def small(kind=TabMClassifier, architecture="tabm", **options):
    return kind(architecture, **{**SMALL, **options})


def encoded(model, rows):
    return model._ensemble.reader.encode(InputTable.checked(rows, model, reset=False), np.float32)


# ---------------------------------------------------------------------- settings and layers


@each_kind
def test_defaults_are_those_of_pytabkit(kind):
    settings = kind()._settings()
    assert settings.hidden_layer_sizes == (512, 512, 512)
    assert kind(numeric_embedding="periodic")._settings().hidden_layer_sizes == (512, 512)
    assert kind(hidden_layer_sizes=7)._settings().hidden_layer_sizes == (7,)
    numbers = ("n_submodels", "learning_rate_init", "beta_1", "beta_2", "epsilon", "weight_decay", "clip_norm", "dropout")
    assert [getattr(settings, name) for name in numbers] == [32, 2e-3, 0.9, 0.999, 1e-8, 0, None, 0.1]
    assert (settings.activation, settings.learning_rate, settings.batch_size, settings.n_iter_no_change) == (
        "relu",
        "constant",
        256,
        16,
    )
    assert (kind().architecture, kind().shares_batches, kind().validation_fraction, kind().n_cv) == ("tabm", False, 0.2, 1)


def test_automatic_batch_sizes():
    settings = TabMClassifier(batch_size="auto")._settings()
    rows = [7, 32, 2799, 2800, 4499, 4500, 6399, 6400, 31_999, 32_000, 107_999, 108_000, 10**7]
    assert [settings.rows_per_batch(n) for n in rows] == [7, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert [TabMClassifier()._settings().rows_per_batch(n) for n in (7, 256, 10**6)] == [7, 256, 256]


def test_encoders_of_columns():
    columns = NetworkColumns(3, 5, np.array([2, 2, 1, 255, 256, 300]))
    kinds = TabMClassifier()._settings().layer_kinds(columns)
    one_hot = one_hot_encoder(3, 2), one_hot_encoder(2), one_hot_encoder(256)
    assert kinds.encoders == (copy_encoder(3), copy_encoder(2), *one_hot, embedding_encoder(257, 8), embedding_encoder(301, 8))
    assert (kinds.n_members, kinds.adapters, kinds.adapter_init, kinds.shares_batches) == (32, "all", "signs", False)
    mini = TabMClassifier("tabm-mini", numeric_embedding="periodic", shares_batches=True)._settings().layer_kinds(columns)
    assert [encoder.n_out for encoder in mini.encoders] == [72, 2, 6, 2, 256, 8, 8]
    assert (mini.adapters, mini.adapter_init, mini.shares_batches) == ("input", "normal", True)
    only_codes = NetworkColumns(0, 0, np.array([2]))
    embedded = TabMClassifier(numeric_embedding="periodic")._settings().layer_kinds(only_codes)
    assert (embedded.encoders, embedded.adapter_init) == ((one_hot_encoder(3),), "signs")


def reference_of(member):
    """The network of the NumPy reference with the parameters of a member of an estimator whose columns are numbers."""
    plan, params = member.network.plan, member.network.params.astype(float)
    layout, (first, *_) = plan.layout, plan.architecture.encoders
    k, (coefs, intercepts), sizes = layout.n_members, layout.views(params), layout.sizes
    weights = {"head.V": coefs[-1].transpose(0, 2, 1), "head.c": intercepts[-1]}
    r, s = (layout.extra(params, name) for name in ("input_adapters", "output_adapters"))
    for i, (W, b) in enumerate(zip(coefs[:-1], intercepts[:-1], strict=True)):
        weights |= {f"block.{i}.W": W, f"block.{i}.b": b}
        if plan.architecture.adapters == "all":
            at, after = k * sum(sizes[:i]), k * sum(sizes[1 : i + 1])
            weights[f"block.{i}.r"] = r[at : at + k * sizes[i]].reshape(k, -1)
            weights[f"block.{i}.s"] = s[after : after + k * sizes[i + 1]].reshape(k, -1)
    if plan.architecture.adapters == "input":
        weights["adapter.s"] = r.reshape(k, -1)
    of_encoder, edges, n = layout.extra(params, "encoder_0"), None, first.n_columns
    if first.kind == "piecewise_linear_embedding":
        rows = np.frombuffer(first.constants).reshape(n, -1)
        edges = [row[1 : int(row[0]) + 2] for row in rows]
        w0, b0, *W = np.split(of_encoder, np.cumsum([first.n_out] * 2 + [(len(e) - 1) * 16 for e in edges])[:-1])
        padded = [np.vstack([part.reshape(-1, 16), np.zeros((first.n_units - part.size // 16, 16))]) for part in W]
        weights |= {"ple.w0": w0.reshape(n, 16), "ple.b0": b0.reshape(n, 16), "ple.W": np.stack(padded)}
    elif first.kind in ("plr", "plr_lite"):
        n_layers = n if first.kind == "plr" else 1
        w, W, b = np.split(of_encoder, np.cumsum([n * 48, n_layers * 96 * 24]))
        W, b = (np.broadcast_to(part.reshape(n_layers, *shape), (n, *shape)) for part, shape in ((W, (96, 24)), (b, (24,))))
        weights |= {"plr.w": w.reshape(n, 48), "plr.W": W, "plr.b": b}
    return reference.tabm(weights, edges)


@each_architecture
@each_embedding
@each_kind
def test_predictions_are_those_of_the_reference(kind, embedding, architecture):
    rng = np.random.default_rng(0)
    numbers = np.column_stack([rng.normal(size=(80, 2)), rng.integers(0, 3, 80)])
    y = numbers[:, 0] + numbers[:, 2] ** 2
    model = small(kind, architecture, numeric_embedding=embedding, max_iter=20).fit(numbers, y if kind is TabMRegressor else y > 1)
    (member,) = model.members_
    z = reference_of(member).forward(prepared(member.inputs, member.embedded, encoded(model, numbers)).astype(float))
    expected = reference.members_prediction(z, kind is TabMClassifier)
    if kind is TabMRegressor:
        expected = expected[:, 0] * member.target.scale + member.target.mean
    np.testing.assert_allclose(outputs_of(model, numbers), expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- tables


@each_architecture
@each_embedding
@each_kind
def test_table_with_all_kinds_of_columns(kind, embedding, architecture):
    y = target(kind)
    model = small(kind, architecture, numeric_embedding=embedding, max_iter=60, n_iter_no_change=60).fit(X, y)
    assert model.n_features_in_ == X.shape[1]
    assert model.score(X, y) > (0.8 if kind is TabMClassifier else 0.5)


@each_embedding
@each_kind
def test_new_values_and_new_missing_values_in_predictions(kind, embedding):
    model = small(kind, numeric_embedding=embedding).fit(X, target(kind))
    new = X.head(5).copy()
    new["few"], new["number"], new["many"], new["date"], new["empty"] = "new", np.nan, None, pd.NaT, "text"
    assert np.isfinite(outputs_of(model, new)).all()


@each_embedding
@pytest.mark.parametrize("columns", [["few"], ["identifier"], ["empty"], ["constant"], ["number"], ["number", "constant"]])
def test_tables_with_few_kinds_of_columns(columns, embedding):
    model = small(TabMRegressor, numeric_embedding=embedding).fit(X[columns], VALUES)
    assert np.isfinite(model.predict(X[columns])).all()


def test_ten_thousand_categories():
    rows = pd.DataFrame({"k": np.repeat([f"k{i}" for i in range(10_000)], 2)})
    model = small(max_iter=1).fit(rows, np.arange(len(rows)) % 2)
    assert len(pickle.dumps(model)) < 2_000_000
    assert model.predict_proba(rows.tail(3)).shape == (3, 2)


@each_embedding
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_few_rows(n_rows, embedding):
    rows = X.head(n_rows)
    regressor = small(TabMRegressor, numeric_embedding=embedding)
    assert np.isfinite(regressor.fit(rows, VALUES[:n_rows]).predict(rows)).all()
    classifier = small(numeric_embedding=embedding).fit(rows, list("abcde")[:n_rows])
    np.testing.assert_allclose(classifier.predict_proba(rows).sum(axis=1), 1)


# ---------------------------------------------------------------------- targets and weights


@each_architecture
@each_kind
def test_a_network_without_hidden_layers_is_refused(kind, architecture):
    model = small(kind, architecture).fit(X, target(kind))
    expected = outputs_of(model, X)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must have at least one layer.*got \(\)"):
        model.set_params(hidden_layer_sizes=()).fit(X, target(kind))
    np.testing.assert_array_equal(outputs_of(model, X), expected)


@pytest.mark.parametrize("unit", [1e30, 1e38])
def test_very_large_numbers_give_no_warnings(unit):
    rows = X[["number"]] * unit
    assert np.isfinite(small(TabMRegressor).fit(rows, VALUES).predict(rows)).all()


def test_constant_target():
    np.testing.assert_allclose(small(TabMRegressor).fit(X, np.full(len(X), 3.0)).predict(X), 3)


def test_several_targets():
    y = np.column_stack([VALUES, -VALUES, 100 + VALUES])
    model = small(TabMRegressor, max_iter=100).fit(X, y)
    assert model.predict(X).shape == model.oob_prediction_.shape == y.shape
    assert model.score(X, y) > 0.5


@each_kind
def test_rows_of_weight_0_are_absent(kind):
    y, weight = target(kind), np.arange(len(X)) % 3 > 0
    with_weight = small(kind).fit(X, y, sample_weight=weight * 2.0)
    without = small(kind).fit(X[weight], y[weight], sample_weight=np.full(weight.sum(), 2.0))
    np.testing.assert_array_equal(outputs_of(with_weight, X), outputs_of(without, X))


def test_class_weights_are_sample_weights():
    weights = {"yes": 3.0, "no": 0.5}
    by_class = small(class_weight=weights).fit(X, LABELS).predict_proba(X)
    by_row = small().fit(X, LABELS, sample_weight=[weights[label] for label in LABELS])
    np.testing.assert_array_equal(by_row.predict_proba(X), by_class)
    assert not np.array_equal(small().fit(X, LABELS).predict_proba(X), by_class)


def test_quantiles_do_not_cross():
    model = small(TabMRegressor, loss="quantile", quantile=[0.1, 0.5, 0.9], max_iter=30).fit(X, VALUES)
    predicted = model.predict(X)
    assert predicted.shape == (len(X), 3)
    assert (np.diff(predicted, axis=1) >= 0).all()


# ---------------------------------------------------------------------- epochs


def test_training_ends_after_epochs_without_improvement_and_keeps_the_first_best():
    """The accuracy reaches its maximum early and has it in many epochs, none of which is an improvement."""
    data, y = load_iris(return_X_y=True)
    model = small(max_iter=1000, n_iter_no_change=5, learning_rate_init=0.02).fit(data, y, X_val=data, y_val=y)
    (member,) = model.members_
    scores = np.array(member.validation_scores_)
    assert np.sum(scores == scores.max()) > 1
    assert member.best_epoch_ == 1 + np.argmax(scores)
    assert member.n_iter_ == member.best_epoch_ + 6 < 1000
    assert model.score(data, y) == pytest.approx(scores.max())


def test_weights_of_the_first_best_epoch_are_kept():
    data, y = load_iris(return_X_y=True)
    options = {"n_iter_no_change": 5, "learning_rate_init": 0.02}
    stopped = small(max_iter=1000, **options).fit(data, y, X_val=data, y_val=y)
    shorter = small(max_iter=stopped.members_[0].best_epoch_, **options).fit(data, y, X_val=data, y_val=y)
    np.testing.assert_array_equal(stopped.predict_proba(data), shorter.predict_proba(data))


def test_validation_scores_are_the_errors_of_the_mean_in_the_units_of_y():
    y = 1000 * VALUES
    model = small(TabMRegressor, max_iter=30).fit(X, y, X_val=X.head(40), y_val=y[:40])
    (member,) = model.members_
    error = np.sqrt(np.mean((model.predict(X.head(40)) - y[:40]) ** 2))
    assert -error == pytest.approx(max(member.validation_scores_), rel=1e-4)


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])
def test_epochs_do_not_depend_on_the_unit_of_y(unit):
    options = {"max_iter": 300, "n_iter_no_change": 3}
    model, scaled = (small(TabMRegressor, **options).fit(X, factor * VALUES) for factor in (1.0, unit))
    assert scaled.n_iter_ == model.n_iter_ < 300
    np.testing.assert_array_equal(scaled.predict(X), unit * model.predict(X))


def test_without_validation_rows_the_training_loss_ends_training():
    model = small(validation_fraction=0, max_iter=10_000, n_iter_no_change=3, learning_rate_init=0.05).fit(X, LABELS)
    (member,) = model.members_
    losses = np.array(member.loss_curve_)
    assert member.best_epoch_ == member.n_iter_ == 1 + np.argmin(losses) + 4 < 10_000
    assert member.validation_scores_ is None


def test_only_max_time_gives_a_warning():
    small(n_ensemble=2, max_iter=1000, n_iter_no_change=1, max_time=100).fit(X, LABELS)
    start = time.monotonic()
    with pytest.warns(ConvergenceWarning, match=r"max_time=0.3 seconds.*Increase max_time"):
        small(max_iter=1_000_000, n_iter_no_change=1_000_000, max_time=0.3).fit(X, LABELS)
    assert time.monotonic() - start < 5


# ---------------------------------------------------------------------- submodels and networks


def outputs_of_submodels(model, rows):
    """The outputs (n_networks, n_rows, n_submodels, n_outputs)."""
    inputs = encoded(model, rows)
    outputs = [member.network.outputs_of_submodels(prepared(member.inputs, member.embedded, inputs)) for member in model.members_]
    return np.array(outputs, float)


@each_architecture
def test_predictions_are_means_of_the_submodels_of_all_networks(architecture):
    classifier = small(architecture=architecture, n_cv=2).fit(X, LABELS)
    outputs = outputs_of_submodels(classifier, X)
    assert outputs.shape == (2, len(X), 4, 2)
    assert outputs.std(axis=2).max() > 1e-3
    np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(X), outputs.mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(X, return_std=True)[1], outputs.std(axis=(0, 2)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_cv", [1, 3])
def test_standard_deviation_between_all_submodels(n_cv):
    model = small(TabMRegressor, n_cv=n_cv).fit(X, VALUES)
    mean, deviation = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    scaled = zip(model.members_, outputs_of_submodels(model, X)[..., 0], strict=True)
    outputs = np.array([member.target.predictions(of_member) for member, of_member in scaled])
    np.testing.assert_allclose(mean, outputs.mean(axis=(0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(deviation, outputs.std(axis=(0, 2)), rtol=1e-5)


def test_standard_deviation_of_one_submodel():
    model = small(TabMRegressor, n_submodels=1).fit(X, VALUES)
    with pytest.raises(ValueError, match="needs at least two networks"):
        model.predict(X, return_std=True)
    assert small(TabMRegressor, n_submodels=1, n_ensemble=2).fit(X, VALUES).predict(X, return_std=True)[1].max() > 0


@each_kind
def test_out_of_bag_estimates_of_folds(kind):
    model = small(kind, n_cv=3, n_ensemble=2).fit(X, target(kind))
    assert len(model.members_) == 6
    estimates = model.oob_decision_function_ if kind is TabMClassifier else model.oob_prediction_
    assert np.isfinite(estimates).all()
    assert np.isfinite(model.oob_score_)


def test_temperature_minimizes_the_log_loss():
    data, y = load_iris(return_X_y=True)
    model = small(calibrate="temperature", max_iter=30, n_cv=2).fit(data, y)
    plain = small(max_iter=30, n_cv=2).fit(data, y)
    assert log_loss(y, model.oob_decision_function_) < log_loss(y, plain.oob_decision_function_)
    np.testing.assert_array_equal(plain.predict(data), model.predict(data))


@pytest.mark.parametrize("shares_batches", [False, True])
@each_architecture
@each_kind
def test_same_bits_for_every_number_of_threads(kind, architecture, shares_batches):
    options = {"hidden_layer_sizes": (64, 64), "n_submodels": 16, "shares_batches": shares_batches}
    one, two = (small(kind, architecture, n_threads=n, **options).fit(X, target(kind)) for n in (1, 2))
    np.testing.assert_array_equal(outputs_of(one, X), outputs_of(two, X))
    np.testing.assert_array_equal(outputs_of_submodels(one, X), outputs_of_submodels(two, X))


def test_shared_batches_change_the_fit():
    own, shared = (small(shares_batches=shared).fit(X, LABELS).predict_proba(X) for shared in (False, True))
    assert abs(own - shared).max() > 1e-4


# ---------------------------------------------------------------------- scikit-learn

ERRORS = {
    "an unknown architecture": ({"architecture": "tabm2"}, "'architecture' parameter"),
    "an unknown embedding": ({"numeric_embedding": "pbld"}, "'numeric_embedding' parameter"),
    "too few bins": ({"n_bins": 1}, "'n_bins' parameter"),
    "no submodels": ({"n_submodels": 0}, "'n_submodels' parameter"),
    "a wrong batch size": ({"batch_size": "automatic"}, "'batch_size' parameter"),
    "no activation": ({"activation": None}, "'activation' parameter"),
    "no units": ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
}


@pytest.mark.parametrize("name", ERRORS)
@each_kind
def test_wrong_parameters(kind, name):
    options, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        small(kind).set_params(**options).fit(X, target(kind))


@each_embedding
@each_architecture
@each_kind
def test_clones_and_pickles(kind, architecture, embedding):
    model = small(kind, architecture, numeric_embedding=embedding, n_cv=2).fit(X, target(kind))
    expected = outputs_of(model, X)
    np.testing.assert_array_equal(outputs_of(pickle.loads(pickle.dumps(model)), X), expected)
    np.testing.assert_array_equal(outputs_of(clone(model).fit(X, target(kind)), X), expected)


def test_searches():
    options = {"architecture": ARCHITECTURES, "numeric_embedding": EMBEDDINGS[:2]}
    search = GridSearchCV(small(), options, cv=2, n_jobs=1).fit(X, LABELS)
    assert set(search.best_params_) == set(options)


@each_kind
def test_rows_are_predicted_independently(kind):
    model = small(kind).fit(X, target(kind))
    parts = [outputs_of(model, X[i : i + 7]) for i in range(0, len(X), 7)]
    np.testing.assert_allclose(np.concatenate(parts), outputs_of(model, X), rtol=1e-5, atol=1e-6)


def test_training_is_shown(capsys):
    small(verbose=True).fit(X, LABELS)
    assert "Iteration 3" in capsys.readouterr().out


TINY = {"n_submodels": 4, "hidden_layer_sizes": (16,), "learning_rate_init": 0.02, "batch_size": 32, "max_iter": 20}


@pytest.mark.slow
@pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([kind(**TINY) for kind in KINDS], expected_failed_checks=expected_failures)
def test_checks(estimator, check):
    run_check(estimator, check)


@pytest.mark.parametrize("architecture", ["tabm", "tabm-mini"])
@each_embedding
def test_summary_counts_all_parameters(architecture, embedding):
    model = TabMRegressor(architecture, n_submodels=3, hidden_layer_sizes=(6, 5), numeric_embedding=embedding, max_iter=2)
    table = pd.DataFrame({"a": np.arange(60.0), "b": list("xyz") * 20, "c": list("pqrstu") * 10})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_one_hot_size=5).fit(table, np.arange(60.0))
    found = summary(model)
    assert found.n_params == model.members_[0].network.params.size
    assert "embedding of 'c'" in str(found)
    assert ("embedding of numbers" in str(found)) == (embedding is not None)


@pytest.mark.parametrize("kind", [TabMClassifier, TabMRegressor])
@each_embedding
def test_files_and_pickles(kind, embedding, tmp_path):
    table = pd.DataFrame({"a": np.arange(60.0), "b": list("xyz") * 20})
    model = kind(n_submodels=3, hidden_layer_sizes=(6, 5), numeric_embedding=embedding, n_cv=2, max_iter=4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(table, np.arange(60) // 20)
    save(model, tmp_path / "model")
    for copy in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), deepcopy(model)):
        np.testing.assert_array_equal(copy.predict(table), model.predict(table))
        assert [member.best_epoch_ for member in copy.members_] == [member.best_epoch_ for member in model.members_]


@pytest.mark.parametrize(
    "changes",
    [
        {"n_iter_no_change": 2},
        {"n_iter_no_change": 16},
        {"architecture": "tabm-mini"},
        {"numeric_embedding": "piecewise_linear", "n_bins": 4},
        {"numeric_embedding": "periodic_lite", "n_frequencies": 3},
        {"shares_batches": True, "n_cv": 2},
        {"architecture": "tabm-mini", "numeric_embedding": "piecewise_linear", "n_bins": 4, "shares_batches": True, "n_cv": 2},
    ],
    ids=["early stopping", "all epochs", "tabm-mini", "piecewise linear", "periodic lite", "shared batches", "all"],
)
def test_a_fit_that_was_ended_continues_with_the_same_bits(changes):
    class Ended(Exception):
        pass

    def end(estimator, epoch, logs):
        if epoch == 3 and logs["member"] == changes.get("n_cv", 1) - 1:
            raise Ended

    X, y = np.random.default_rng(0).normal(size=(80, 3)), np.arange(80) % 2
    options = (
        {
            "n_submodels": 3,
            "hidden_layer_sizes": (6, 5),
            "max_iter": 12,
            "n_iter_no_change": 16,
            "random_state": 0,
        }
        | ({"numeric_embedding_size": 2} if "numeric_embedding" in changes else {})
        | changes
    )
    whole, model = TabMClassifier(**options), TabMClassifier(**options, warm_start="resume", callbacks=end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole.fit(X, y)
        with pytest.raises(Ended):
            model.fit(X, y)
        assert min(member.n_iter_ for member in model.members_) < min(member.n_iter_ for member in whole.members_)
        model.set_params(callbacks=None).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), whole.predict_proba(X))
        for member, expected in zip(model.members_, whole.members_, strict=True):
            np.testing.assert_array_equal(member.network.params, expected.network.params)
            assert member.loss_curve_ == expected.loss_curve_
        assert model.n_iter_ == whole.n_iter_ > 3
        model.fit(X, y)  # training is complete
    assert model.n_iter_ == whole.n_iter_


def test_onnx_is_refused():
    pytest.importorskip("onnx")
    model = TabMRegressor(n_submodels=2, hidden_layer_sizes=4, max_iter=1).fit(
        np.ones((9, 1)) * np.arange(9)[:, None], np.arange(9.0)
    )
    with pytest.raises(ValueError, match="TabM cannot be converted to ONNX"):
        model.to_onnx()
