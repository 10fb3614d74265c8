"""Conversion to and from scikit-learn: predictions, fitted attributes, and training that continues with the same numbers."""

import copy
import inspect
import pickle
import re
import types

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp
from fastbp import Activation, MLPClassifier, MLPRegressor, from_sklearn
from fastbp._parameters import CONSTRAINTS
from fastbp._sklearn_conversion import SKLEARN_VALUES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {cls: getattr(neural_network, cls.__name__) for cls in (MLPClassifier, MLPRegressor)}
RNG = np.random.RandomState(0)
X = RNG.normal(size=(80, 5))
CODES = np.argsort(np.argsort(X[:, 0] + X[:, 1] ** 2)) * 3 // 80
TARGETS = {
    "binary": CODES > 0,
    "multiclass": np.array(["low", "middle", "high"])[CODES],
    "multilabel": np.column_stack([CODES == 1, CODES > 0, X[:, 0] > 0]).astype(int),
    "sparse multilabel": sp.csr_array(np.column_stack([CODES == 1, CODES > 0]).astype(int)),
    "single class": np.full(80, "only"),
}
VALUES = np.column_stack([X[:, 0] + X[:, 1] ** 2, np.sin(X[:, 2])])
Y = {MLPClassifier: TARGETS["multiclass"], MLPRegressor: VALUES}
SMALL = {"hidden_layer_sizes": (7, 4), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.01}
each_class = pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
SOLVERS = [
    {"solver": "adam"},
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6, "batch_size": 16},
    {"solver": "sgd"},
    {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "shuffle": False},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "batch_size": 16},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
]
each_solver = pytest.mark.parametrize("params", SOLVERS, ids=lambda params: " ".join(map(str, params.values())))


def outputs(model, rows):
    return model.predict_proba(rows) if is_classifier(model) else model.predict(rows)


def assert_same_training(theirs, ours, rtol=1e-9):
    """The weights and the attributes that later epochs read are the same."""
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert_allclose(other, one, rtol=rtol, atol=rtol / 1000)
    for name in ("loss_", "t_", "n_iter_", "loss_curve_", "validation_scores_", "best_validation_score_", "best_loss_"):
        if hasattr(theirs, name) and getattr(theirs, name) is not None:
            assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=rtol, err_msg=name)
    assert theirs._no_improvement_count == ours._no_improvement_count


def continued(model, method, y, times=3):
    """Train a model with several more calls of a method."""
    for _ in range(times):
        getattr(model, method)(X, y)
    return model


# ---------------------------------------------------------------------- to scikit-learn


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"scale": "standard", "batch_norm": True, "ema_decay": 0.9},
        {"scale": "robust"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 3, "activation": "logistic"},
        {"activation": ["tanh", "tanh"], "solver": "adamw", "dropout": 0.2, "learning_rate": "cosine", "label_smoothing": 0.1},
        {"solver": "lbfgs", "activation": "identity"},
    ],
    ids=str,
)
def test_classifiers(target, params):
    ours = MLPClassifier(**SMALL | params).fit(X, TARGETS[target])
    theirs = ours.to_sklearn()
    assert type(theirs) is neural_network.MLPClassifier
    assert np.abs(theirs.predict_proba(X) - ours.predict_proba(X)).max() < 2e-15
    predicted, expected = theirs.predict(X), ours.predict(X)
    if sp.issparse(expected):
        assert sp.issparse(predicted)
        predicted, expected = predicted.toarray(), expected.toarray()
    assert_array_equal(predicted, expected)
    assert_array_equal(theirs.classes_, ours.classes_)
    assert theirs.score(X, TARGETS[target]) == ours.score(X, TARGETS[target])


@pytest.mark.slow
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"scale": "standard", "scale_y": "standard", "loss": "huber"},
        {"loss": "poisson"},
        {"loss": "gamma", "scale_y": "standard"},
        {"out_activation": "exp"},
        {"loss": "quantile", "quantile": 0.3, "activation": "tanh", "batch_norm": True},
        {"solver": "lbfgs"},
        {"solver": "rmsprop", "learning_rate": "one_cycle", "verbose": False, "max_norm": 2.0, "l1": 0.1},
    ],
    ids=str,
)
def test_regressors(params, y):
    y = np.abs(y) + 0.1
    ours = MLPRegressor(**SMALL | params).fit(X, y)
    theirs = ours.to_sklearn()
    assert type(theirs) is neural_network.MLPRegressor
    assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-13, atol=2e-15)
    assert theirs.loss == ("poisson" if ours.out_activation_ == "exp" else "squared_error")
    assert continued(theirs, "fit" if ours.solver == "lbfgs" else "partial_fit", y).loss_ > 0


@pytest.mark.slow
@each_class
@pytest.mark.parametrize("X_type", [np.float32, np.float64])
def test_float32(ours, X_type):
    rows = X.astype(X_type)
    ours = ours(**SMALL, dtype="float32").fit(rows, Y[ours])
    theirs = ours.to_sklearn()
    assert {array.dtype for array in [*theirs.coefs_, *theirs.intercepts_]} == {np.dtype(np.float32)}
    assert_allclose(outputs(theirs, rows), outputs(ours, rows), rtol=1e-5, atol=1e-6)
    for _ in range(3):
        assert_allclose(theirs.partial_fit(rows, Y[type(ours)]).loss_, ours.partial_fit(rows, Y[type(ours)]).loss_, rtol=1e-5)
    assert_allclose(outputs(theirs, rows), outputs(ours, rows), rtol=1e-4, atol=1e-5)


@each_class
@pytest.mark.parametrize("params", [*SOLVERS[:3], {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_all_attributes_of_scikit_learn_are_set(ours, params):
    """The converted estimator has the same attributes, of the same types, as one that scikit-learn has fitted."""
    reference = PAIRS[ours](**SMALL | params).fit(X, Y[ours])
    converted = ours(**SMALL | params).fit(X, Y[ours]).to_sklearn()
    assert set(vars(converted)) == set(vars(reference))
    for name, value in vars(reference).items():
        assert isinstance(vars(converted)[name], float if isinstance(value, float) else type(value)), name
    assert repr(converted) == repr(reference)
    assert converted.get_params() == reference.get_params()
    if converted.solver != "lbfgs":
        assert set(vars(converted._optimizer)) == set(vars(reference._optimizer))
        assert_allclose(converted._optimizer.learning_rate, reference._optimizer.learning_rate, rtol=1e-12)
        state, expected = (model._random_state.get_state() for model in (converted, reference))
        assert_array_equal(state[1], expected[1])
        assert state[2] == expected[2]
    else:
        assert converted._coef_indptr == reference._coef_indptr
        assert converted._intercept_indptr == reference._intercept_indptr


@pytest.mark.slow
@each_class
@each_solver
@pytest.mark.parametrize("start", ["fit", "partial_fit"])
def test_partial_fit_of_the_converted_estimator_continues(ours, params, start):
    y, params = Y[ours], SMALL | params
    ours = ours(**params)
    if start == "fit":
        ours.fit(X, y)
    else:
        ours.partial_fit(X, y, **({"classes": np.unique(y)} if is_classifier(ours) else {}))
        ours.partial_fit(X, y).partial_fit(X, y)
    theirs = ours.to_sklearn()
    assert_same_training(continued(theirs, "partial_fit", y), continued(ours, "partial_fit", y))


@pytest.mark.slow
@each_class
@pytest.mark.parametrize("params", [*SOLVERS, {"early_stopping": True}, {"early_stopping": True, "solver": "sgd"}], ids=str)
def test_warm_start_of_the_converted_estimator_continues(ours, params):
    y = Y[ours]
    ours = ours(**SMALL | params, warm_start=True).fit(X, y)
    theirs = ours.to_sklearn()
    assert_same_training(continued(theirs, "fit", y), continued(ours, "fit", y))


@each_class
def test_lbfgs_of_the_converted_estimator_continues(ours):
    y = Y[ours]
    ours = ours(**SMALL, solver="lbfgs", warm_start=True).fit(X, y)
    theirs = ours.to_sklearn()
    assert_allclose(outputs(continued(theirs, "fit", y, 1), X), outputs(continued(ours, "fit", y, 1), X), rtol=1e-9)


def test_random_state_is_copied():
    """Both estimators continue the same stream of numbers independently."""
    ours = MLPRegressor(**SMALL | {"random_state": np.random.RandomState(3)}, warm_start=True).fit(X, VALUES)
    theirs, back = ours.to_sklearn(), from_sklearn(ours.to_sklearn())
    assert theirs.random_state is theirs._random_state is not ours.random_state
    for model in (ours, theirs, back):
        continued(model, "fit", VALUES)
    assert_same_training(theirs, ours)
    assert_same_training(theirs, back)


@each_class
@pytest.mark.parametrize("params", [{"scale": "standard"}, {"batch_norm": True}, {"ema_decay": 0.5}, {"solver": "nadam"}], ids=str)
def test_moments_of_other_weights_and_solvers_are_left_out(ours, params):
    model = ours(**SMALL | params).fit(X, Y[ours])
    theirs = model.to_sklearn()
    assert not hasattr(theirs, "_optimizer")
    before = outputs(theirs, X)
    assert theirs.partial_fit(X, Y[ours])._optimizer.t == 1
    assert 0 < np.abs(outputs(theirs, X) - before).max() < 0.5


@pytest.mark.parametrize(("solver", "rate"), [("adam", None), ("sgd", 0.01)])
def test_unknown_schedules_become_constant(solver, rate):
    model = MLPRegressor(**SMALL, solver=solver, learning_rate="cosine").fit(X, VALUES)
    theirs = model.to_sklearn()
    assert theirs.learning_rate == "constant"
    assert theirs._optimizer.learning_rate == (0.01 if rate is None else rate)
    assert np.isfinite(theirs.partial_fit(X, VALUES).loss_)


@each_class
def test_nothing_is_shared(ours):
    model = ours(**SMALL).fit(X, Y[ours])
    theirs = model.to_sklearn()
    optimizer, before, moments = theirs._optimizer, outputs(model, X), model._optimizer.moments.copy()
    arrays = [*theirs.coefs_, *theirs.intercepts_, *optimizer.ms, *optimizer.vs, *theirs._best_coefs, *theirs._best_intercepts]
    for array in arrays:
        assert array.base is None
        array[...] = np.nan
    theirs.loss_curve_.clear()
    assert_array_equal(outputs(model, X), before)
    assert_array_equal(model._optimizer.moments, moments)
    assert len(model.loss_curve_) == 6
    theirs = model.to_sklearn()
    expected = theirs.coefs_[0].copy()
    model.coefs_[0][...] += 1
    assert_array_equal(theirs.coefs_[0], expected)


def test_the_estimator_is_not_changed():
    model = MLPClassifier(**SMALL, scale="standard").fit(X, CODES)
    before = pickle.dumps(model)
    model.to_sklearn().partial_fit(X, CODES)
    assert pickle.dumps(model) == before


def test_global_generator_is_not_used():
    model = MLPRegressor(**SMALL).fit(X, VALUES)
    np.random.seed(5)
    model.to_sklearn()
    assert np.random.random_sample() == np.random.RandomState(5).random_sample()


def test_feature_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = MLPClassifier(**SMALL).fit(frame, CODES)
    theirs = model.to_sklearn()
    assert theirs.feature_names_in_.tolist() == list("abcde")
    assert_array_equal(theirs.predict(frame), model.predict(frame))
    assert from_sklearn(theirs).feature_names_in_.tolist() == list("abcde")


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_estimators_built_from_weights(target):
    model = MLPClassifier(**SMALL).fit(X, TARGETS[target])
    rebuilt = MLPClassifier(random_state=1)  # its hidden_layer_sizes are not those of the weights
    for name in ("coefs_", "intercepts_", "out_activation_", "classes_"):
        setattr(rebuilt, name, getattr(model, name))
    theirs = rebuilt.to_sklearn()
    assert theirs.hidden_layer_sizes == (7, 4)
    assert_array_equal(theirs.predict(X), model.predict(X))
    assert theirs.partial_fit(X, TARGETS[target]).loss_ > 0


def test_copies_and_models_in_training():
    """An unpickled model, and a model of a running fit that a callback receives, are converted with the state of their solver."""
    steps = []

    def convert(model, epoch, logs):
        theirs = model.to_sklearn()
        assert_allclose(theirs.predict(X), model.predict(X), rtol=1e-13, atol=2e-15)
        steps.append((theirs._optimizer.t, theirs.loss_ == logs["loss"]))

    model = MLPRegressor(**SMALL, callbacks=convert).fit(X, VALUES)
    assert steps == [(epoch, True) for epoch in range(1, 7)]
    theirs = pickle.loads(pickle.dumps(model.set_params(callbacks=None))).to_sklearn()
    assert_same_training(continued(theirs, "partial_fit", VALUES), continued(model, "partial_fit", VALUES))


def test_solver_changed_after_the_fit():
    model = MLPRegressor(**SMALL, solver="lbfgs").fit(X, VALUES).set_params(solver="sgd")
    theirs = model.to_sklearn()
    assert_same_training(continued(theirs, "partial_fit", VALUES), continued(model, "partial_fit", VALUES))


def test_activation_changed_after_the_fit():
    """fastbp predicts with the activation of the fit."""
    model = MLPRegressor(**SMALL, activation="tanh").fit(X, VALUES).set_params(activation="gelu")
    assert_allclose(model.to_sklearn().predict(X), model.predict(X), rtol=1e-13, atol=2e-15)


def test_subclass_with_other_parameters():
    class Wide(MLPRegressor):
        def __init__(self, width=3):
            super().__init__(hidden_layer_sizes=width, max_iter=3, dropout=0.1)
            self.width = width

    model = Wide(5).fit(X, VALUES)
    assert type(model.to_sklearn()) is neural_network.MLPRegressor
    assert_allclose(model.to_sklearn().predict(X), model.predict(X), rtol=1e-13, atol=2e-15)
    with pytest.raises(ValueError, match=r"MLPRegressor does not have the parameters or values dropout=0.1\. Call"):
        model.get_sklearn_params()


def softsign(z):
    return z / (1 + abs(z))


REFUSED = {
    "layer_norm=True": (MLPClassifier, {"layer_norm": True}),
    "missing='indicator'": (MLPRegressor, {"missing": "indicator"}),
    "activation='gelu'": (MLPClassifier, {"activation": "gelu"}),
    "activation=['tanh', 'relu']": (MLPClassifier, {"activation": ["tanh", "relu"]}),
    "activation=Activation(softsign)": (MLPRegressor, {"activation": Activation(softsign)}),
    "loss='squared_error'": (MLPClassifier, {"loss": "squared_error"}),
    "quantile=[0.1, 0.5]": (MLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.5]}),
    "out_activation='softplus'": (MLPRegressor, {"out_activation": "softplus"}),
    "out_activation='logistic'": (MLPRegressor, {"out_activation": "logistic"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("message", REFUSED)
def test_refused_models(message):
    cls, params = REFUSED[message]
    model = cls(**SMALL | params).fit(X, Y[cls])
    before = outputs(model, X)
    remedy = r"Train with" if "softsign" in message else r"Export the model with to_onnx\(\) or export_c\(\), or (train|set) .*\."
    with pytest.raises(ValueError, match=re.escape(message) + r" is not supported by scikit-learn\. .*\. " + remedy):
        model.to_sklearn()
    assert_array_equal(outputs(model, X), before)


def test_refused_targets():
    model = MLPClassifier(**SMALL).fit(X, np.column_stack([CODES, CODES[::-1]]))
    with pytest.raises(ValueError, match=r"several multiclass columns is not supported.*MultiOutputClassifier"):
        model.to_sklearn()
    model = MLPClassifier(**SMALL, loss="squared_error").fit(X, CODES).set_params(loss="log_loss")
    with pytest.raises(ValueError, match=r"out_activation_='logistic' of a multiclass classifier is not supported"):
        model.to_sklearn()
    with pytest.raises(NotFittedError):
        MLPClassifier().to_sklearn()


# ---------------------------------------------------------------------- from scikit-learn


@each_class
@pytest.mark.parametrize("params", [{}, {"activation": "tanh", "solver": "lbfgs"}, {"hidden_layer_sizes": ()}], ids=str)
def test_predictions_of_the_converted_estimator(ours, params):
    theirs = PAIRS[ours](**SMALL | params).fit(X, Y[ours])
    converted = from_sklearn(theirs)
    assert type(converted) is ours
    assert_allclose(outputs(converted, X), outputs(theirs, X), rtol=1e-13, atol=2e-15)
    assert_array_equal(converted.predict(X[:3]).shape, theirs.predict(X[:3]).shape)
    assert_array_equal(outputs(pickle.loads(pickle.dumps(converted)), X), outputs(converted, X))
    assert repr(converted) == repr(theirs)
    for name in vars(theirs):
        assert hasattr(converted, name) == (name not in _ONLY_IN_SKLEARN), name


_ONLY_IN_SKLEARN = {"_best_coefs", "_best_intercepts", "_random_state", "_coef_indptr", "_intercept_indptr"}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_labels(target):
    theirs = neural_network.MLPClassifier(**SMALL).fit(X, TARGETS[target])
    converted = from_sklearn(theirs)
    assert np.abs(converted.predict_proba(X) - theirs.predict_proba(X)).max() < 2e-15
    assert converted.score(X, TARGETS[target]) == theirs.score(X, TARGETS[target])
    theirs.partial_fit(X, TARGETS[target])
    assert_same_training(theirs, converted.partial_fit(X, TARGETS[target]))


@pytest.mark.slow
@each_class
@each_solver
@pytest.mark.parametrize("start", ["fit", "partial_fit"])
def test_partial_fit_continues(ours, params, start):
    theirs, y = PAIRS[ours](**SMALL | params), Y[ours]
    if start == "fit":
        theirs.fit(X, y)
    else:
        theirs.partial_fit(X, y, **({"classes": np.unique(y)} if is_classifier(theirs) else {}))
    converted = from_sklearn(theirs)
    assert_same_training(continued(theirs, "partial_fit", y), continued(converted, "partial_fit", y))
    assert_allclose(converted._optimizer.learning_rate, theirs._optimizer.learning_rate, rtol=1e-12)


@pytest.mark.slow
@each_class
@pytest.mark.parametrize("params", [*SOLVERS, {"early_stopping": True}, {"early_stopping": True, "solver": "sgd"}], ids=str)
def test_warm_start_continues(ours, params):
    theirs, y = PAIRS[ours](**SMALL | params, warm_start=True).fit(X, Y[ours]), Y[ours]
    converted = from_sklearn(theirs)
    assert_same_training(continued(theirs, "fit", y), continued(converted, "fit", y))


@each_class
def test_lbfgs_continues(ours):
    theirs, y = PAIRS[ours](**SMALL, solver="lbfgs", warm_start=True).fit(X, Y[ours]), Y[ours]
    converted = from_sklearn(theirs)
    theirs.fit(X, y)
    converted.fit(X, y)
    assert converted.n_iter_ == theirs.n_iter_
    assert_allclose(converted.loss_, theirs.loss_, rtol=1e-9)
    assert_allclose(outputs(converted, X), outputs(theirs, X), rtol=1e-7)


def test_float32_continues():
    rows = X.astype(np.float32)
    theirs = neural_network.MLPClassifier(**SMALL).fit(rows, CODES)
    converted = from_sklearn(theirs)
    assert converted.coefs_[0].dtype == np.float32
    for _ in range(3):
        assert_allclose(converted.partial_fit(rows, CODES).loss_, theirs.partial_fit(rows, CODES).loss_, rtol=1e-5)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("source", ["instance", "global"])
def test_the_stream_of_random_numbers_continues(method, source):
    random_state = np.random.RandomState(3) if source == "instance" else None
    np.random.seed(7)
    theirs = neural_network.MLPRegressor(**SMALL | {"random_state": random_state}, warm_start=True).fit(X, VALUES)
    converted, losses = from_sklearn(theirs), []
    for model in (theirs, converted):
        np.random.seed(11)
        losses.append(continued(model, method, VALUES).loss_curve_)
    assert_allclose(losses[1], losses[0], rtol=1e-9)
    if source == "instance":
        assert converted.random_state is not theirs.random_state
        assert converted.random_state.random_sample() == theirs.random_state.random_sample()


def test_assigned_learning_rates_are_kept():
    theirs = neural_network.MLPRegressor(**SMALL, solver="sgd").fit(X, VALUES)
    theirs._optimizer.learning_rate = 0.002
    converted = from_sklearn(theirs)
    assert_same_training(continued(theirs, "partial_fit", VALUES), continued(converted, "partial_fit", VALUES))


def test_old_optimizer_after_lbfgs():
    """scikit-learn keeps the optimizer of an earlier fit, and its partial_fit continues with it."""
    theirs = neural_network.MLPRegressor(**SMALL, warm_start=True).fit(X, VALUES)
    theirs.set_params(solver="lbfgs").fit(X, VALUES).set_params(solver="sgd")
    converted = from_sklearn(theirs)
    assert_same_training(continued(theirs, "partial_fit", VALUES), continued(converted, "partial_fit", VALUES))


@each_class
def test_there_and_back(ours):
    model = ours(**SMALL).fit(X, Y[ours])
    back = from_sklearn(model.to_sklearn())
    assert back.get_params() == model.get_params()
    assert back.history_["loss"] == model.history_["loss"]
    assert_array_equal(outputs(back, X), outputs(model, X))
    for one in (back, model):
        continued(one, "partial_fit", Y[ours])
    assert_array_equal(back.coefs_[0], model.coefs_[0])


def test_unfitted_estimators():
    theirs = neural_network.MLPClassifier((3,), "tanh", random_state=np.random.RandomState(2), max_iter=3)
    converted = from_sklearn(theirs)
    with pytest.raises(NotFittedError):
        converted.predict(X)
    assert_allclose(converted.fit(X, CODES).loss_curve_, theirs.fit(X, CODES).loss_curve_, rtol=1e-9)


def test_estimators_of_scikit_learn_built_from_weights():
    fitted = neural_network.MLPRegressor(**SMALL).fit(X, VALUES)
    theirs = neural_network.MLPRegressor(hidden_layer_sizes=(7, 4))
    for name in ("coefs_", "intercepts_", "out_activation_", "n_layers_", "n_outputs_"):
        setattr(theirs, name, getattr(fitted, name))
    assert_allclose(from_sklearn(theirs).predict(X), theirs.predict(X), rtol=1e-13, atol=2e-15)


def test_from_sklearn_shares_nothing():
    theirs = neural_network.MLPRegressor(**SMALL).fit(X, VALUES)
    before = copy.deepcopy(theirs)
    continued(from_sklearn(theirs), "partial_fit", VALUES).loss_curve_.clear()
    assert_array_equal(theirs.predict(X), before.predict(X))
    assert theirs.loss_curve_ == before.loss_curve_
    assert_array_equal(theirs._optimizer.ms[0], before._optimizer.ms[0])


class Overriding(neural_network.MLPRegressor):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (make_pipeline(StandardScaler(), neural_network.MLPRegressor()), r"Pipeline of scikit-learn\. Convert its last step"),
        (GridSearchCV(neural_network.MLPRegressor(), {}), r"pass its attribute best_estimator_"),
        (Overriding(), r"Overriding\. It is an instance of a subclass"),
        (neural_network.MLPClassifier, r"the class MLPClassifier\. Pass an instance, MLPClassifier\(\)"),
        (MLPClassifier(), r"It is an estimator of fastbp already"),
        (StandardScaler(), r"StandardScaler of scikit-learn\. Pass the network itself"),
        (None, r"got None"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_wrong_types(value, message):
    with pytest.raises(TypeError, match=message):
        from_sklearn(value)


def test_parameters_of_later_versions(monkeypatch):
    """A new parameter with its default value is left out, and another value is an error."""
    cls, original = neural_network.MLPRegressor, neural_network.MLPRegressor.get_params
    monkeypatch.setattr(cls, "get_params", lambda self, deep=True: original(self) | {"fresh": getattr(self, "fresh", 1)})
    theirs = cls(max_iter=7)
    assert from_sklearn(theirs).max_iter == 7
    theirs.fresh = 2
    with pytest.raises(ValueError, match=r"fresh=2 cannot be converted.*after version 1\.9\. Set them to their default"):
        from_sklearn(theirs)


# ---------------------------------------------------------------------- parameters


@each_class
def test_all_parameters_of_scikit_learn_exist(ours):
    defaults = {name: parameter.default for name, parameter in inspect.signature(ours).parameters.items()}
    theirs = {name: parameter.default for name, parameter in inspect.signature(PAIRS[ours]).parameters.items()}
    assert {name: defaults[name] for name in theirs} == theirs
    assert ours(**PAIRS[ours]().get_params()).get_params() == ours().get_params()


@each_class
def test_table_of_values_is_complete(ours):
    """Each parameter that has more values in fastbp is in the table, with the values of scikit-learn."""
    for name, constraints in PAIRS[ours]._parameter_constraints.items():
        if name not in PAIRS[ours]().get_params():
            continue
        options = set().union(*(getattr(one, "options", ()) for one in constraints))
        mine = set().union(*(getattr(one, "options", ()) for one in ours._parameter_constraints[name]))
        extra = [one for one in ours._parameter_constraints[name] if str(one) not in map(str, constraints)]
        if name in SKLEARN_VALUES and SKLEARN_VALUES[name] and name != "warm_start":
            assert set(SKLEARN_VALUES[name]) == options
            assert mine > options
        elif name not in SKLEARN_VALUES:
            assert not extra, name
    assert set(SKLEARN_VALUES) - {"loss"} <= set(CONSTRAINTS)


@each_class
def test_parameters_for_scikit_learn(ours):
    params = {"hidden_layer_sizes": [3, 2], "solver": "sgd", "tol": 0.1, "n_threads": 2, "n_shares": 2}
    model = ours(**params, activation=["tanh", "tanh"], verbose="bar")
    theirs = PAIRS[ours](**model.get_sklearn_params())
    assert (theirs.activation, theirs.verbose, theirs.hidden_layer_sizes, theirs.tol) == ("tanh", True, [3, 2], 0.1)
    assert set(model.get_sklearn_params()) == set(theirs.get_params())
    assert clone(theirs).get_params() == theirs.get_params()
    generator = np.random.RandomState(0)
    assert ours(random_state=generator).get_sklearn_params()["random_state"] is generator


# for each parameter that scikit-learn does not have, a value other than the default
OTHER_VALUES = {
    "label_smoothing": 0.1,
    "class_weight": "balanced",
    "huber_delta": 2.0,
    "quantile": [0.1, 0.9],
    "tweedie_power": 1.2,
    "scale_y": "standard",
    "out_activation": "softplus",
    "rho": 0.5,
    "weight_decay": 0.1,
    "learning_rate_decay": 0.5,
    "learning_rate_step": 3,
    "learning_rate_horizon": 3,
    "warmup_fraction": 0.2,
    "dropout": [0.1, 0.2],
    "input_noise": 0.1,
    "l1": 0.1,
    "max_norm": 1.0,
    "clip_norm": 1.0,
    "batch_norm": True,
    "layer_norm": True,
    "ema_decay": 0.9,
    "weight_init": "he_normal",
    "bias_init": "zeros",
    "coefs_init": [X],
    "intercepts_init": [X[0]],
    "sample_weight_norm": "global",
    "scale": "robust",
    "missing": "indicator",
    "dtype": "float32",
    "scoring": "loss",
    "validation_splitter": GridSearchCV,
    "max_time": 3.0,
    "callbacks": [softsign],
    "regularization_schedule": "cosine",
    "learning_rate_factors": {"coefs": 0.5},
    "clip_predictions": True,
}


@pytest.mark.slow
@each_class
def test_unsupported_parameters_are_named(ours):
    names = set(inspect.signature(ours).parameters) - set(inspect.signature(PAIRS[ours]).parameters)
    names -= {"n_threads", "n_shares"} | ({"loss"} if ours is MLPClassifier else set())
    given = {name: OTHER_VALUES[name] for name in names}
    given |= {"activation": "gelu", "solver": "lion", "learning_rate": "step", "warm_start": "resume"}
    given["loss"] = "squared_error" if ours is MLPClassifier else "huber"
    with pytest.raises(ValueError, match=r"Call set_params\(.*to_sklearn") as caught:
        ours(**given).get_sklearn_params()
    for name in given:
        assert len(re.findall(rf"\b{name}=", str(caught.value))) == 2, name
    for name, value in given.items():
        with pytest.raises(ValueError, match=rf"the parameters or values {name}="):
            ours(**{name: value}).get_sklearn_params()


def test_advice_of_the_message_is_sufficient():
    model = MLPRegressor(solver="adamw", dropout=0.2, activation=["gelu"], scale="standard")
    with pytest.raises(ValueError, match="set_params") as caught:
        model.get_sklearn_params()
    advice = re.search(r"Call (set_params\(.*?\)) first", str(caught.value)).group(1)
    eval(f"model.{advice}", {"model": model})
    assert neural_network.MLPRegressor(**model.get_sklearn_params()).solver == "adam"


# ---------------------------------------------------------------------- nyoka

# The function of nyoka that reads the attribute `n_classes_`; tests/tools/test_pmml.py tests nyoka itself.
nyoka = types.ModuleType("nyoka.skl.skl_to_pmml")
exec("def is_classifier(model):\n    return hasattr(model, 'n_classes_') or hasattr(model, 'classes_')\n", vars(nyoka))


@pytest.mark.slow
@pytest.mark.parametrize("message", REFUSED)
def test_nyoka_cannot_read_models_that_scikit_learn_does_not_have(message):
    cls, params = REFUSED[message]
    model = cls(**SMALL | params).fit(X, Y[cls] if cls is MLPClassifier else VALUES[:, 0])
    with pytest.raises(ValueError, match=r"nyoka cannot export this model\. " + re.escape(message)):
        nyoka.is_classifier(model)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (MLPRegressor(**SMALL), VALUES, r"only the first of 2 outputs\. Convert the model with to_sklearn\(\) and sklearn2pmml"),
        (
            MLPRegressor(**SMALL, loss="poisson"),
            VALUES[:, 0] ** 2,
            r"ignores the output activation 'exp'\. Export the model with to_onnx",
        ),
        (MLPClassifier(**SMALL), TARGETS["multilabel"], r"only one column of labels"),
        (MLPClassifier(**SMALL), TARGETS["single class"], r"at least two classes"),
        (MLPClassifier(**SMALL, activation=["tanh", "tanh"]), CODES, r"cannot read activation=\['tanh', 'tanh'\].*to_sklearn"),
    ],
)
def test_nyoka_cannot_read_models_that_it_does_not_support(model, y, message):
    with pytest.raises(ValueError, match=message):
        nyoka.is_classifier(model.fit(X, y))


def test_nyoka_cannot_read_classifiers_without_labels():
    """nyoka would take them for regressors."""
    model = MLPClassifier(**SMALL).fit(X, CODES)
    del model.classes_
    with pytest.raises(ValueError, match="Set classes_"):
        nyoka.is_classifier(model)


def test_only_nyoka_notices_the_check():
    model = MLPClassifier(**SMALL, layer_norm=True).fit(X, CODES)
    assert not hasattr(model, "n_classes_")
    with pytest.raises(AttributeError, match="'MLPClassifier' object has no attribute 'n_classes_'"):
        model.n_classes_  # noqa: B018
    assert "n_classes_" not in dict(inspect.getmembers(model))
    assert "n_classes_" not in vars(pickle.loads(pickle.dumps(model)))
    assert "MLPClassifier" in model._repr_html_()
    model.n_classes_ = 3  # wrappers may set it
    assert model.n_classes_ == 3
    assert nyoka.is_classifier(MLPClassifier(**SMALL).fit(X, CODES))
    assert not nyoka.is_classifier(MLPRegressor(**SMALL).fit(X, VALUES[:, 0]))


def test_public_name():
    assert fastbp.from_sklearn is from_sklearn
