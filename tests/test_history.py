"""`history_`, the values of each epoch, after a fit and after continued training.

Learning rates must equal those of scikit-learn after the same number of epochs. Losses must equal ``loss_curve_``.
"""

import copy

import numpy as np
import pytest
from sklearn import neural_network

from fastbp import MLPClassifier, MLPRegressor

RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(40, 4))
Y = {MLPClassifier: 1 * (X[:, 0] > 0), MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 10, "learning_rate_init": 0.01, "max_iter": 6, "tol": 0.0, "random_state": 0}
GIVEN = {kind: {"X_val": X[:9], "y_val": y[:9]} for kind, y in Y.items()}

each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@each_kind
@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"early_stopping": True}, {"n_threads": 2}, {"verbose": True}], ids=str)
def test_history_has_one_entry_per_epoch(kind, params):
    model = kind(**SMALL | params).fit(X, Y[kind])
    names = ["loss", "learning_rate"] + ["val_loss", "val_score"] * ("early_stopping" in params)
    assert list(model.history_) == names
    assert {len(entries) for entries in model.history_.values()} == {6}
    assert model.history_["loss"] == model.loss_curve_
    assert all(type(value) is float for entries in model.history_.values() for value in entries)


@each_kind
@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate": "constant"},
        {"learning_rate": "invscaling"},
        {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "early_stopping": True},
    ],
    ids=str,
)
def test_learning_rates_are_those_of_the_last_step_of_each_epoch(kind, params):
    """The learning rate of an epoch is scikit-learn's learning rate before the schedule changes it at the end of the epoch."""
    params = SMALL | params | {"solver": "sgd", "max_iter": 9}
    theirs = getattr(neural_network, kind.__name__)(**params)
    rates = [0.01]
    for n in range(1, 9):
        rates.append(theirs.set_params(max_iter=n).fit(X, Y[kind])._optimizer.learning_rate)
    assert kind(**params).fit(X, Y[kind]).history_["learning_rate"] == pytest.approx(rates, rel=1e-12)


@each_kind
def test_learning_rates_of_adam_exclude_the_bias_correction(kind):
    assert set(kind(**SMALL).fit(X, Y[kind]).history_["learning_rate"]) == {0.01}


@each_kind
@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_history_is_extended_with_the_loss_curve(kind, again):
    """For epochs without validation rows, val_loss is NaN."""
    model = kind(**SMALL, warm_start=True).fit(X, Y[kind])
    getattr(model, again)(X, Y[kind])
    n_epochs = len(model.loss_curve_)
    assert list(model.history_) == ["loss", "learning_rate"]
    model.fit(X, Y[kind], **GIVEN[kind])
    getattr(model, again)(X, Y[kind])
    assert model.history_["loss"] == model.loss_curve_
    assert {len(entries) for entries in model.history_.values()} == {len(model.loss_curve_)}
    known = ~np.isnan(model.history_["val_loss"])
    np.testing.assert_array_equal(np.flatnonzero(known), np.arange(n_epochs, n_epochs + 6))
    model.set_params(warm_start=False).fit(X, Y[kind])
    assert list(model.history_) == ["loss", "learning_rate"]
    assert len(model.history_["loss"]) == 6


@each_kind
def test_lbfgs_has_no_history(kind):
    assert not hasattr(kind(**SMALL | {"solver": "lbfgs"}).fit(X, Y[kind]), "history_")


@each_kind
def test_model_without_history_can_continue_training(kind):
    """A model without history_, as pickled by an earlier version, can be trained further."""
    model = kind(**SMALL, warm_start=True).fit(X, Y[kind])
    del model.history_
    model.fit(X, Y[kind])
    assert model.history_["loss"] == model.loss_curve_
    np.testing.assert_array_equal(model.history_["learning_rate"], [np.nan] * 6 + [0.01] * 6)


@each_kind
def test_failed_fit_does_not_change_the_history(kind):
    model = kind(**SMALL, warm_start=True).fit(X, Y[kind])
    before = copy.deepcopy(model.history_), copy.deepcopy(model.loss_curve_)

    def fail(estimator, epoch, logs):
        assert len(estimator.history_["loss"]) == 6 + epoch
        if epoch == 3:
            raise RuntimeError("raised by the test")

    with pytest.raises(RuntimeError, match="raised by the test"):
        model.set_params(callbacks=fail).fit(X, Y[kind])
    assert (model.history_, model.loss_curve_) == before
