"""Estimators that are rebuilt from weights: only a few attributes are set on an estimator that was never fitted."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer

import fastbp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(30, 3))
TARGETS = {
    "one output": X[:, 0],
    "two outputs": X[:, :2] ** 2,
    "binary": np.where(X[:, 0] > 0, "yes", "no"),
    "multiclass": np.digitize(X[:, 0], [-0.5, 0.5]),
    "multilabel": (X[:, :2] > 0).astype(int),
}
ACTIVATIONS = {"one output": "identity", "two outputs": "identity", "multiclass": "softmax"}
SMALL = {"hidden_layer_sizes": (4, 5), "random_state": 0, "max_iter": 5, "batch_size": 8}
each_target = pytest.mark.parametrize("name", TARGETS)


def kinds(name):
    """The classes of scikit-learn and fastbp for a target."""
    kind = "MLPRegressor" if "output" in name else "MLPClassifier"
    return getattr(neural_network, kind), getattr(fastbp, kind)


def rebuilt(kind, name, change=lambda W, b: (W, b), **params):
    """A model with weights, and with the other attributes that scikit-learn needs for predictions."""
    model, y, random = kind(**SMALL | params), TARGETS[name], np.random.RandomState(1)
    n_outputs = 3 if name == "multiclass" else np.reshape(y, (len(y), -1)).shape[1]
    sizes = (3, 4, 5, n_outputs)
    coefs = [random.normal(size=shape) for shape in pairwise(sizes)]
    model.coefs_, model.intercepts_ = change(coefs, [random.normal(size=size) for size in sizes[1:]])
    model.n_layers_, model.out_activation_ = 4, ACTIVATIONS.get(name, "logistic")
    if "output" not in name:
        model._label_binarizer = LabelBinarizer().fit(y)
        model.classes_, model.n_outputs_ = model._label_binarizer.classes_, n_outputs
    return model


def for_training(model):
    """The model with the attributes that scikit-learn, but not fastbp, needs for training by SGD."""
    if "sklearn" in type(model).__module__:
        model.t_, model.loss_curve_, model._no_improvement_count, model.best_loss_ = 0, [], 0, np.inf
    return model


# {name: function of the lists of weights and biases}; scikit-learn can predict with all of these
CHANGES = {
    "lists": lambda W, b: (W, b),
    "tuples": lambda W, b: (tuple(W), tuple(b)),
    "Fortran order": lambda W, b: ([np.asfortranarray(one) for one in W], b),
    "read-only": lambda W, b: (list(map(read_only, W)), list(map(read_only, b))),
    "float32": lambda W, b: ([one.astype(np.float32) for one in W], [one.astype(np.float32) for one in b]),
    "float32 weights": lambda W, b: ([one.astype(np.float32) for one in W], b),
    "float16": lambda W, b: ([one.astype(np.float16) for one in W], [one.astype(np.float16) for one in b]),
    "integers": lambda W, b: ([np.rint(3 * one).astype(int) for one in W], [np.rint(one).astype(int) for one in b]),
    "rows of biases": lambda W, b: (W, [one[np.newaxis] for one in b]),
    "one bias": lambda W, b: (W, [0.5, np.float64(0.25), np.array([0.125])]),
    "object arrays": lambda W, b: (as_objects(W), as_objects(b)),
}
TRAINABLE = ("lists", "tuples", "Fortran order", "rows of biases")


def read_only(array):
    array.flags.writeable = False
    return array


def as_objects(arrays):
    objects = np.empty(len(arrays), object)
    objects[:] = arrays
    return objects


@pytest.mark.slow
@each_target
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_predictions_agree_with_scikit_learn(name, change, dtype, activation):
    theirs, ours = (rebuilt(kind, name, change, activation=activation) for kind in kinds(name))
    methods = ["predict"] if "output" in name else ["predict_proba", "predict_log_proba", "predict"]
    for method in methods:
        expected, result = (getattr(model, method)(X.astype(dtype)) for model in (theirs, ours))
        assert result.dtype == expected.dtype
        if expected.dtype.kind == "f":
            assert_allclose(result, expected, rtol=1e-9 if expected.dtype == np.float64 else 2e-4, atol=1e-6)
        else:
            assert_array_equal(result, expected)
    assert ours.score(X, TARGETS[name]) == pytest.approx(theirs.score(X, TARGETS[name]), rel=1e-5)
    assert not hasattr(ours, "n_features_in_")  # predictions do not change the estimator


@pytest.mark.slow
@each_target
@pytest.mark.parametrize("change", TRAINABLE)
@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"hidden_layer_sizes": (7, 9)}], ids=str)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_agrees_with_scikit_learn(name, change, params, method):
    if params.get("solver") == "lbfgs" and (method == "partial_fit" or change == "tuples"):  # errors in scikit-learn
        method, change = "fit", "lists"
    models = [for_training(rebuilt(kind, name, CHANGES[change], warm_start=method == "fit", **params)) for kind in kinds(name)]
    for model in models:
        for _ in range(2):
            getattr(model, method)(X, TARGETS[name])
    theirs, ours = models
    for one, other in zip([*theirs.coefs_, *theirs.intercepts_], [*ours.coefs_, *ours.intercepts_], strict=True):
        assert_allclose(np.ravel(other), np.ravel(one), rtol=1e-6, atol=1e-7)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    assert ours.n_iter_ == theirs.n_iter_
    assert (ours.n_features_in_, ours.n_outputs_, ours.n_layers_) == (3, theirs.n_outputs_, 4)
    if params.get("solver") != "lbfgs":
        assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-9)
        assert ours.t_ == theirs.t_


@each_target
def test_other_kinds_of_inputs(name):
    theirs, ours = (rebuilt(kind, name) for kind in kinds(name))
    expected = theirs.predict(X)
    for data in (sp.csr_array(X), sp.csc_array(X), X.tolist(), np.asfortranarray(X), X[:1]):
        result = ours.predict(data)
        if expected.dtype.kind == "f":
            assert_allclose(result, expected[: len(result)], rtol=1e-9)
        else:
            assert_array_equal(result, expected[: len(result)])
    with pytest.warns(UserWarning, match=r"X has feature names, but MLP.* was fitted without feature names"):
        ours.predict(pd.DataFrame(X, columns=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"X has 2 features, but MLP.* is expecting 3 features"):
        ours.predict(X[:, :2])
    assert list(ours.get_feature_names_out()) == [f"{type(ours).__name__.lower()}{unit}" for unit in range(5)]
    assert ours.transform(X).shape == (30, 5)


@each_target
def test_copies(name):
    model = rebuilt(kinds(name)[1], name)
    expected = model.predict(X)
    for one in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_array_equal(one.predict(X), expected)
        one.partial_fit(X, TARGETS[name])
    assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
def test_probabilities_need_no_labels(name, method):
    theirs, ours = (rebuilt(kind, name) for kind in kinds(name))
    for model in (theirs, ours):
        del model._label_binarizer, model.classes_
    assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-9)


def test_other_early_stopping_and_validation_rows():
    """scikit-learn needs more attributes here."""
    model = rebuilt(fastbp.MLPRegressor, "one output", warm_start=True, early_stopping=True)
    model.fit(X, X[:, 0])
    assert len(model.validation_scores_) == model.n_iter_
    model = rebuilt(fastbp.MLPRegressor, "one output", warm_start=True)
    model.fit(X, X[:, 0], X_val=X, y_val=X[:, 0])
    assert len(model.history_["val_loss"]) == model.n_iter_


def test_several_quantiles():
    fitted = fastbp.MLPRegressor("quantile", (4,), quantile=[0.2, 0.8], random_state=0, max_iter=3).fit(X, X[:, 0])
    model = fastbp.MLPRegressor("quantile", (4,), quantile=[0.2, 0.8], random_state=0)
    for name in ("coefs_", "intercepts_", "n_layers_", "out_activation_"):
        setattr(model, name, getattr(fitted, name))
    assert_array_equal(model.predict(X), fitted.predict(X))


@each_target
def test_weights_that_do_not_form_a_network_are_rejected(name):
    for change in (lambda W, b: ([], []), lambda W, b: (W[:2], b), lambda W, b: (W, b[:2]), lambda W, b: (W[::-1], b)):
        model = rebuilt(kinds(name)[1], name, change)
        model.n_features_in_, model.n_outputs_ = 3, {"one output": 1, "binary": 1, "multiclass": 3}.get(name, 2)
        for call in (lambda model=model: model.predict(X), lambda model=model: model.partial_fit(X, TARGETS[name])):
            with pytest.raises(ValueError, match="coefs_ and intercepts_ must form a network"):
                call()


def test_unknown_output_activations_are_rejected():
    model = rebuilt(fastbp.MLPRegressor, "one output")
    model.out_activation_ = "tanh"
    with pytest.raises(ValueError, match=r"out_activation_ must be one of \['identity', .*got 'tanh'"):
        model.predict(X)


@each_target
def test_a_cold_fit_ignores_the_weights(name):
    kind, y = kinds(name)[1], TARGETS[name]
    one, other = rebuilt(kind, name).fit(X, y), kind(**SMALL).fit(X, y)
    assert_array_equal(one.coefs_[0], other.coefs_[0])
