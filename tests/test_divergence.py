"""Divergence: training stops at the batch whose loss is NaN, the error names the epoch and the layer, and usable weights are kept.

The tests of the kernel check when training stops, and the parameters of the best epoch. The tests of the estimators check the error
messages, whose first words are those of scikit-learn, and the warnings for fits that diverge without an error in scikit-learn.
"""

import copy
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.inputs import IN_ORDER, as_rows
from fastbp._data.scores import negative_pinball, r2
from fastbp._network.architecture import Architecture, Plan
from fastbp._network.layout import Layout
from fastbp._training import lbfgs
from fastbp._training.divergence import describe_losses, first_layer, has_grown
from fastbp._training.result import TrainingEnd

X = np.random.RandomState(3).normal(size=(60, 4))
HUGE = np.full_like(X, 1.7e308)
Y = {MLPClassifier: 1 * (X[:, 0] > 0), MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
# A deep linear network: after some normal epochs, the weights grow until products overflow.
GROWING = {
    "hidden_layer_sizes": (5, 5),
    "activation": "identity",
    "solver": "sgd",
    "learning_rate_init": 0.3,
    "batch_size": 10,
    "max_iter": 300,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ====================================================================== the kernel


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_loss_ends_training_before_the_update(network, n_threads, dtype):
    options = {"n_rows": 12, "batch_size": 4, "dtype": dtype, "n_threads": n_threads, "activation": "identity"}
    net, before = network(**options), network(**options)
    net.rows.dense.flags.writeable = True
    net.rows.dense[9] = np.nan  # in the third batch
    net.rows.dense.flags.writeable = False  # `train` is compiled for arrays that are read-only
    before.train(n_blocks=2)
    assert net.train() == 0
    state = net.progress[0]
    assert (net.status, state.epoch, state.row, state.step) == ("diverged", 0, 8, 2)
    assert_array_equal(net.params, before.params)
    assert len(set(net.progress["status"])) == 1
    assert net.train() == 0


def test_infinite_loss_does_not_end_training(network):
    """An infinite loss does not end training, because later losses may be finite."""
    net = network(n_rows=4, activation="identity", learning_rate_init=1e-3)
    net.y[0] = 1e200
    net.train(1)
    assert net.losses[0] == np.inf
    assert net.status == "running"


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_blocks", [1, 10**9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_of_the_best_epoch_are_kept(network, n_threads, n_blocks, dtype):
    """With a learning rate that is too high, the losses decrease and then increase."""
    options = {"n_rows": 12, "batch_size": 4, "dtype": dtype, "n_threads": n_threads, "shuffle": True, "solver": "adam"}
    net = network((3, 40, 2), **options, learning_rate_init=0.4, max_epochs=20)
    net.best = np.full_like(net.params, np.nan)
    while net.status == "running":
        net.train(n_blocks=n_blocks)
    best = int(np.argmin(net.losses))
    assert 0 < best < 19
    part = network((3, 40, 2), **options, learning_rate_init=0.4, max_epochs=20)
    part.train(best + 1)
    assert_array_equal(net.best, part.params)


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_parameters_of_large_networks_are_kept_only_after_enough_rows(network, n_threads):
    """The parameters are copied only after enough rows, because copying takes as long as training on some rows."""
    options = {"n_rows": 1500, "batch_size": 500, "n_threads": n_threads, "learning_rate_init": 1e-3}
    net = network((3, 4000, 2), **options)
    net.best = np.full_like(net.params, np.nan)
    net.train(5)
    assert np.argmin(net.losses[:5]) == 4
    assert net.progress[0].kept_epoch == 3  # epoch 3 ends after 4500 rows and is the first to end after more than 4096 rows
    part = network((3, 4000, 2), **options)
    part.train(3)
    assert_array_equal(net.best, part.params)


# ====================================================================== the first layer


def layers(*scales):
    """The plan of a linear network and a flat buffer with these constant weights."""
    layout = Layout((2, *(3 for _ in scales[1:]), 1))
    params = np.zeros(layout.n_params)
    for W, scale in zip(layout.views(params)[0], scales, strict=True):
        W[...] = scale
    return Plan(layout, Architecture(("identity",) * (len(scales) - 1))), params


@pytest.mark.parametrize(
    ("scales", "layer"),
    [
        ((1, 1, 1), None),
        ((1e308, 1, 1), 1),
        ((1e160, 1e160, 1), 2),
        ((1e100, 1e100, 1e160), 3),
        ((1, np.nan, 1), 2),
        ((1, 1, np.inf), 3),
        ((1, 0, np.inf), 3),
        ((1e308,), 1),
        ((1e300,), None),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_first_layer_with_sums_that_are_not_finite(scales, layer, form):
    plan, params = layers(*scales)
    rows = as_rows(form(np.array([[1.0, 1.0], [3.0, 4.0]])), np.float64)
    assert first_layer(plan, params, rows, np.array([1])) == layer


@few_epochs
def test_first_layer_uses_only_the_rows_of_the_batch():
    plan, params = layers(1)
    rows = as_rows(np.array([[1.0, np.inf], [3.0, 4.0]]), np.float64)
    assert first_layer(plan, params, rows, np.array([1])) is None
    assert first_layer(plan, params, rows, np.array([1, 0])) == 1


# ====================================================================== the estimators

# Linear regression with a learning rate that is slightly too high: losses decrease for some epochs, then increase for thousands.
SLOW = {"hidden_layer_sizes": (), "batch_size": 60, "momentum": 0, "learning_rate_init": 1.6, "max_iter": 20_000}


def diverging(kind, **params):
    model, y = kind(**GROWING | params), Y[kind]
    with pytest.raises(ValueError, match=r"^Solver produced non-finite parameter weights") as caught:
        model.fit(X * (1 if kind is MLPRegressor else 1e3), y)
    return model, str(caught.value)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_error_names_the_epoch_the_layer_and_remedies(n_threads):
    model, message = diverging(MLPRegressor, n_threads=n_threads)
    assert f"In epoch {model.n_iter_ + 1}, the weighted sums of layer " in message
    assert "of 3 (" in message
    for remedy in ("learning_rate_init (now 0.3)", "clip_norm", "scale='standard'"):
        assert remedy in message


@few_epochs
@pytest.mark.parametrize("n_threads", [1, 2])
def test_new_model_keeps_its_best_epoch(n_threads):
    model, message = diverging(MLPRegressor, **SLOW, n_threads=n_threads)
    best = int(np.argmin(model.loss_curve_))
    assert best == 3
    assert f"The model keeps the weights of epoch {best + 1}, which had a lower loss." in message
    assert model.n_iter_ == len(model.loss_curve_) == len(model.history_["loss"]) > 1000
    assert model.best_loss_ == min(model.loss_curve_)
    part = MLPRegressor(**GROWING | SLOW | {"max_iter": best + 1, "n_threads": n_threads}).fit(X, Y[MLPRegressor])
    assert_array_equal(model.predict(X), part.predict(X))
    assert_array_equal(copy.deepcopy(model).predict(X), part.predict(X))
    model.set_params(learning_rate_init=1e-4).partial_fit(X, Y[MLPRegressor])
    assert np.isfinite(model.predict(X)).all()


@few_epochs
@each_kind
@pytest.mark.parametrize("again", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_fitted_model_is_unchanged(kind, again, warm_start):
    model = kind(**GROWING | {"max_iter": 2, "learning_rate_init": 1e-3, "warm_start": warm_start}).fit(X, Y[kind])
    model.set_params(max_iter=300, learning_rate_init=0.3)
    before = joblib.hash(vars(model))
    with pytest.raises(ValueError, match="non-finite"):
        getattr(model, again)(HUGE, Y[kind])
    assert joblib.hash(vars(model)) == before


@each_kind
def test_model_stays_unfitted_if_the_first_epoch_diverges(kind):
    model = kind(**GROWING)
    with pytest.raises(ValueError, match="non-finite") as caught:
        model.fit(HUGE, Y[kind])
    assert "In epoch 1, the weighted sums of layer 1 of 3 (hidden layer 1)" in str(caught.value)
    assert "keeps" not in str(caught.value)
    assert not hasattr(model, "coefs_")


def test_overflow_in_the_last_update_is_an_error():
    """No batch had a NaN loss, because the last update made the weights overflow. The fit still fails."""
    model = MLPRegressor(**GROWING | {"hidden_layer_sizes": (), "batch_size": 60, "max_iter": 1, "learning_rate_init": 1e308})
    with pytest.raises(ValueError, match="In epoch 1, the weighted sums of layer 1 of 1"):
        model.fit(X * 1e3, Y[MLPRegressor])
    assert not hasattr(model, "coefs_")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@few_epochs
def test_divergence_agrees_with_scikit_learn():
    for params in ({}, {"learning_rate_init": 0.1}, {"learning_rate_init": 1.0}, {"batch_size": 3}):
        outcomes = []
        for kind in (neural_network.MLPRegressor, MLPRegressor):
            model = kind(**GROWING | params | {"max_iter": 60, "tol": 1e-4, "n_iter_no_change": 10})
            try:
                outcomes.append(model.fit(X, Y[MLPRegressor]).n_iter_)
            except ValueError as error:
                outcomes.append(str(error).partition(".")[0])
        assert outcomes[1] == outcomes[0]


@few_epochs
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_early_stopping_restores_the_best_weights_after_divergence():
    """As in scikit-learn, training continues to the end with NaN scores, and no error is raised."""
    theirs, ours = (
        kind(**GROWING | {"early_stopping": True, "max_iter": 40}).fit(X, Y[MLPRegressor])
        for kind in (neural_network.MLPRegressor, MLPRegressor)
    )
    assert np.isnan(ours.validation_scores_[-1])
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)
    assert np.isfinite(ours.predict(X)).all()


@few_epochs
def test_overflow_of_validation_scores_is_not_a_numpy_warning():
    params = {"hidden_layer_sizes": (7,), "solver": "sgd", "learning_rate_init": 10.0, "max_iter": 20, "random_state": 0}
    params |= {"early_stopping": True}
    wide, y = X * 1e3, X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        ours = MLPRegressor(**params).fit(wide, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = neural_network.MLPRegressor(**params).fit(wide, y)
    assert min(ours.validation_scores_) < -1e100
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)


def test_scores_overflow_without_a_numpy_warning():
    values, outputs = np.array([[1e308], [-1e308]]), np.array([[-1e308], [1e308]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert not np.isfinite(r2(values, outputs, None))
        assert r2(values / 1e308, outputs, None) == -np.inf
        assert negative_pinball(values, outputs, np.array([0.5]), None) == -np.inf


@few_epochs
def test_diverging_fit_with_validation_rows():
    model = MLPRegressor(**GROWING)
    with pytest.raises(ValueError, match="keeps the weights of epoch"):
        model.fit(X, Y[MLPRegressor], X_val=X, y_val=Y[MLPRegressor])
    assert len(model.history_["val_loss"]) == model.n_iter_


@few_epochs
@pytest.mark.parametrize("more", [{"ema_decay": 0.9}, {"batch_norm": True}], ids=str)
def test_best_epoch_is_not_kept_with_averages_or_batch_norm(more):
    """With averaged weights or batch normalization, the best epoch is not kept, and a new model stays unfitted."""
    X = np.random.default_rng(0).normal(size=(200, 5))
    options = {"hidden_layer_sizes": 8, "solver": "sgd", "learning_rate_init": 0.02, "batch_size": 20, "random_state": 0, **more}
    model = MLPRegressor(learning_rate=lambda epoch, progress: 1 if epoch < 3 else 1e200, **options)
    with pytest.raises(ValueError, match=r"^Solver produced non-finite .* layer \d of 2"):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "coefs_")


# ====================================================================== divergence without an error

NO_HIDDEN = {"hidden_layer_sizes": (), "batch_size": 60}


def fit_and_warnings(model, X, y, method="fit"):
    """Fit a model; return it with the messages of its warnings of divergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(model, method)(X, y)
    return model, [str(w.message) for w in caught if w.category is ConvergenceWarning and "diverged" in str(w.message)]


def assert_same_fit(ours, theirs, rtol=1e-9):
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}], ids=str)
def test_growing_losses_without_nan_are_a_warning(more):
    """The weights and the losses are those of scikit-learn, which does not warn."""
    params = GROWING | SLOW | {"max_iter": 600} | more
    model, messages = fit_and_warnings(MLPRegressor(**params), X, Y[MLPRegressor])
    theirs, others = fit_and_warnings(neural_network.MLPRegressor(**params), X, Y[MLPRegressor])
    assert others == []
    first, last = model.loss_curve_[0], model.loss_curve_[-1]
    assert last > 1e60 * first
    assert np.isfinite(last)
    np.testing.assert_allclose(model.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert_same_fit(model, theirs)
    (message,) = messages
    assert f"the loss was {first:.3g} in epoch 1 and {last:.3g} in epoch 600. Try a smaller learning_rate_init (now 1.6)" in message
    assert message.endswith("The model has the weights with the best validation score.") == bool(more)


def test_infinite_loss_is_a_warning():
    params = GROWING | SLOW | {"max_iter": 28, "learning_rate_init": 10.0}
    model, messages = fit_and_warnings(MLPRegressor(**params), X.astype(np.float32), Y[MLPRegressor])
    assert model.loss_curve_[-1] == np.inf
    assert " and inf in epoch 28. Try" in messages[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_losses_with_early_stopping_are_a_warning():
    """As in scikit-learn, training continues with NaN losses until max_iter."""
    params = GROWING | {"early_stopping": True, "max_iter": 40}
    model, messages = fit_and_warnings(MLPRegressor(**params), X, Y[MLPRegressor])
    theirs, _ = fit_and_warnings(neural_network.MLPRegressor(**params), X, Y[MLPRegressor])
    first_nan = int(np.flatnonzero(np.isnan(theirs.loss_curve_))[0])
    assert model.n_iter_ == theirs.n_iter_ == 40
    assert_array_equal(np.isnan(model.loss_curve_), np.isnan(theirs.loss_curve_))
    assert f"and NaN from epoch {first_nan + 1} on. Try" in messages[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("options", "n_bad"),
    [
        ({"hidden_layer_sizes": (5, 5), "learning_rate_init": 1e120}, "60 of 60"),
        ({"hidden_layer_sizes": 5, "learning_rate_init": 1e3, "loss": "poisson"}, "13 of 60"),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_overflow_of_predictions_after_the_last_epoch_is_a_warning(options, n_bad, method):
    """The weights are finite and those of scikit-learn, but predictions overflow."""
    params, y = GROWING | {"batch_size": 60, "max_iter": 1} | options, np.abs(Y[MLPRegressor])
    if "loss" in options and method == "partial_fit":
        params["learning_rate_init"] = 1e60  # partial_fit tests predictions only if the weights are large
    y = y if "loss" in options else Y[MLPRegressor]
    model, messages = fit_and_warnings(MLPRegressor(**params), X, y, method)
    theirs, _ = fit_and_warnings(neural_network.MLPRegressor(**params), X, y, method)
    assert_same_fit(model, theirs)
    bad = ~np.isfinite(model.predict(X))
    assert_array_equal(bad, ~np.isfinite(theirs.predict(X)))
    assert f"The predictions for {bad.sum()} of 60 training rows are NaN or infinite." in messages[0]
    assert method == "partial_fit" or n_bad in messages[0]


def test_messages_of_partial_fit_count_the_epochs_of_earlier_calls():
    model = MLPRegressor(hidden_layer_sizes=7, activation="identity", solver="sgd", learning_rate_init=10.0, random_state=0)
    messages = []
    while not messages:
        messages = fit_and_warnings(model, X * 1e3, Y[MLPRegressor], "partial_fit")[1]
    first, n_calls = model.loss_curve_[0], len(model.loss_curve_)
    assert n_calls > 1
    assert f"the loss was {first:.3g} in epoch 1 and {model.loss_:.3g} in epoch {n_calls}. Try" in messages[0]
    while model.loss_ < 1e200:
        fit_and_warnings(model, X * 1e3, Y[MLPRegressor], "partial_fit")
    with pytest.raises(ValueError, match=f"In epoch {len(model.loss_curve_) + 1}, the weighted sums"):
        model.partial_fit(X * 1e3, Y[MLPRegressor])


def test_weights_that_are_not_finite_after_folding_are_a_warning():
    """The trained weights are finite, but the weights into which the scaling is folded overflow."""
    small = np.column_stack([X[:, 0] * 1e-30, X[:, 1]]).astype(np.float32)
    params = GROWING | NO_HIDDEN | {"max_iter": 1, "learning_rate_init": 1e10, "scale": "standard"}
    model, messages = fit_and_warnings(MLPRegressor(**params), small, Y[MLPRegressor])
    assert not np.isfinite(model.coefs_[0]).all()
    assert "The predictions for 60 of 60 training rows are NaN or infinite." in messages[0]


def test_lbfgs_that_is_interrupted_before_the_end_of_the_first_iteration_has_not_diverged(monkeypatch):
    calls, sums = [], lbfgs._Objective._sums

    def interrupted(objective):
        calls.append(objective)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sums(objective)

    monkeypatch.setattr(lbfgs._Objective, "_sums", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        model = MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", random_state=0).fit(X, Y[MLPRegressor])
    assert len(caught) == 1
    assert model.loss_ == calls[0].first_loss
    assert np.isfinite(model.loss_)


def test_overflow_with_lbfgs_is_a_warning():
    model, messages = fit_and_warnings(
        MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", random_state=0), X, Y[MLPRegressor] * 1e200
    )
    assert np.isnan(model.loss_)
    assert messages[0].startswith(
        "lbfgs: Training diverged; the loss was inf at the start and nan at the end. Try a larger alpha (now"
    )
    assert len(messages) == 1


@few_epochs
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_predictions_of_fits_with_an_exponential_are_tested(form, dtype, solver):
    """With the exponential, predictions are tested after every fit; L-BFGS returns float64 weights for float32 data."""
    model = MLPRegressor("poisson", hidden_layer_sizes=5, solver=solver, max_iter=5, random_state=0)
    assert fit_and_warnings(model, form(X.astype(dtype)), np.abs(Y[MLPRegressor]))[1] == []


@few_epochs
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("clip_norm", [None, 1e300])
@pytest.mark.parametrize("scale", [None, "standard"])
@pytest.mark.parametrize("scale_y", [None, "standard"])
def test_advice_does_not_name_remedies_in_use(solver, kind, clip_norm, scale, scale_y):
    """This is the same for warnings and errors."""
    params = {"clip_norm": clip_norm} if solver == "sgd" else {}
    params |= {"scale_y": scale_y} if kind is MLPRegressor else {}
    model = kind(**GROWING | params | {"scale": scale, "solver": solver, "learning_rate_init": 1e200, "batch_size": 60})
    huge = X * (1e307 if solver == "lbfgs" and scale is None else 1)
    try:
        text = "".join(fit_and_warnings(model, huge, Y[kind])[1])
    except ValueError as error:
        text = str(error)
    if solver == "lbfgs" and scale is not None:  # nothing diverges
        assert text == ""
        return
    assert "diverged" in text or "non-finite" in text
    assert ("a clip_norm" in text) == (solver == "sgd" and clip_norm is None)
    assert ("scale='standard'" in text) == (scale is None)
    assert ("scale_y='standard'" in text) == (kind is MLPRegressor and scale_y is None)
    assert ("a larger alpha" in text, "a smaller learning_rate_init" in text) == (solver == "lbfgs", solver == "sgd")


@pytest.mark.parametrize(
    ("losses", "y", "dtype", "expected"),
    [
        ([1.0, 0.5, 1e5], 1, float, False),
        ([1.0, 0.5, 1e7], 1, float, True),
        ([1e133, 1e304], 1, float, True),
        ([1e-30, 1e-2], 1, float, False),  # started from perfect weights
        ([1e-30, 1e12], 1e4, float, False),
        ([1e-30, 1e16], 1e4, float, True),
        ([1e12, 1e11], 1, float, False),  # large inputs
        ([1.0, np.inf], 1, np.float32, True),
        ([np.inf, np.inf], 1, float, True),
        ([1e184], 1, float, True),
        ([1e184, 1e20], 1, float, True),
        ([1e184], 1e100, float, False),
        ([np.inf], 1e200, float, False),  # the loss of useful predictions overflows
        ([1.0, np.inf], 1e20, np.float32, False),  # the loss of useful predictions overflows
        ([1.0, np.nan], 1e200, float, True),
        ([np.nan, np.nan], 1, float, True),
    ],
)
def test_rule_for_growing_losses(losses, y, dtype, expected):
    end = TrainingEnd(None, None, None, np.array([y, -y / 2]), IN_ORDER, losses, 1.0)
    assert has_grown(end, dtype) == expected
    last = TrainingEnd(None, None, None, np.array([y, -y / 2]), IN_ORDER, losses[-1:], 1.0)
    assert has_grown(last, dtype, losses[:-1]) == expected


def test_growing_losses_of_partial_fit_are_a_warning():
    model, messages = MLPRegressor(**GROWING | SLOW | {"learning_rate_init": 20.0}), []
    for _ in range(6):
        messages.append(fit_and_warnings(model, X, Y[MLPRegressor], "partial_fit")[1])
    losses = np.array(model.loss_curve_)
    limit = 1e6 * max(1, losses[0], np.max(np.square(Y[MLPRegressor])))
    assert (losses > limit).any()
    assert np.isfinite(losses).all()
    assert [bool(texts) for texts in messages] == (losses > limit).tolist()
    assert f"the loss was {losses[0]:.3g} in epoch 1 and {losses[-1]:.3g} in epoch 6." in messages[-1][0]


def test_description_of_losses():
    assert describe_losses([1.0]) == "the loss was 1 in epoch 1"
    assert describe_losses([1.0, 2.0, 3e9]) == "the loss was 1 in epoch 1 and 3e+09 in epoch 3"
    assert describe_losses([1.0, np.nan]) == "the loss was 1 in epoch 1 and NaN from epoch 2 on"
    assert describe_losses([1.0, 5.0, np.nan, np.nan]) == "the loss was 1 in epoch 1, 5 in epoch 2 and NaN from epoch 3 on"
    assert describe_losses([np.nan]) == "the loss was NaN from epoch 1 on"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-6, 1, 1e6])
def test_fit_that_starts_from_perfect_weights_does_not_warn(dtype, size):
    """Steps of Adam increase the loss from 0 to the order of the square of the learning rate."""
    y, start = (size * X[:, 0]).astype(dtype), np.eye(4, 1) * size
    params = NO_HIDDEN | {"coefs_init": [start], "intercepts_init": [np.zeros(1)], "alpha": 0, "max_iter": 20, "random_state": 0}
    for rate in (1e-3, 0.1 * size):
        assert fit_and_warnings(MLPRegressor(**params, learning_rate_init=rate), X.astype(dtype), y)[1] == []
