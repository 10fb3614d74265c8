"""The private methods of scikit-learn's estimators: overrides are an error, and calls give scikit-learn's results.

The gradients of networks that scikit-learn does not have are compared with finite differences, and their outputs and losses with
those of the compiled kernels.
"""

import inspect
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.preprocessing import LabelBinarizer

import fastbp
from fastbp import Activation, Loss, MLPClassifier, MLPRegressor
from fastbp._base import BaseMLP
from fastbp._hooks import _REMEDIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(20, 3))
WEIGHT = RANDOM.uniform(0.1, 2, 20)
SMALL = {"hidden_layer_sizes": (5, 4), "random_state": 0, "max_iter": 3}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
each_hook = pytest.mark.parametrize("name", _REMEDIES)


def targets(kind):
    return (X[:, 0] > 0).astype(int) if kind is MLPClassifier else X[:, 0]


# ====================================================================== overrides


def override(self, *arguments, **options):
    """An override that calls the overridden method."""
    return super(type(self), self).anything(*arguments, **options)


@each_kind
@each_hook
def test_overrides_are_an_error(kind, name):
    """Before, they were ignored."""
    subclass = type("Mine", (type("Between", (kind,), {name: override}),), {"__init__": kind.__init__})
    y, unchanged = targets(kind), {}
    for method in ("fit", "partial_fit"):
        model = subclass(**SMALL)
        unchanged = dict(vars(model))
        with pytest.raises(TypeError, match=rf"Mine must not override {name}, because .*\. Use .*If only your own code"):
            getattr(model, method)(X, y)
        assert vars(model) == unchanged


@each_kind
@each_hook
def test_methods_of_one_estimator_are_an_error(kind, name):
    model = kind(**SMALL).fit(X, targets(kind))
    setattr(model, name, lambda *arguments: None)
    with pytest.raises(TypeError, match=f"{kind.__name__} must not override {name}"):
        model.fit(X, targets(kind))
    delattr(model, name)
    model.fit(X, targets(kind))
    model.partial_fit(X, targets(kind)).partial_fit(X, targets(kind))
    setattr(model, name, lambda *arguments: None)
    with pytest.raises(TypeError, match=f"{kind.__name__} must not override {name}"):
        model.partial_fit(X, targets(kind))


def test_methods_that_are_replaced_for_a_time_are_an_error_only_then(monkeypatch):
    model = MLPRegressor(**SMALL).fit(X, X[:, 0])
    with monkeypatch.context() as patch:
        patch.setattr(MLPRegressor, "_backprop", lambda *arguments: None)
        with pytest.raises(TypeError, match="MLPRegressor must not override _backprop"):
            model.fit(X, X[:, 0])
    model.fit(X, X[:, 0])


@each_kind
def test_other_subclasses_are_accepted(kind):
    class Mine(kind):
        __init__ = kind.__init__

        def predict(self, X):
            return self._forward_pass_fast(X)

        def _own(self):
            return super()._forward_pass([X, None, None, None])

        def _validate_input(self, X, y, incremental, reset):
            return super()._validate_input(X, y, incremental, reset)

    model = Mine(**SMALL).fit(X, targets(kind))
    assert_array_equal(model.predict(X), model._own()[-1])


def test_all_methods_of_scikit_learn_are_known():
    """A private method of scikit-learn is rejected, or fastbp calls a method of this name, too."""
    theirs = set()
    for cls in (BaseMultilayerPerceptron, neural_network.MLPClassifier, neural_network.MLPRegressor):
        theirs |= {name for name, member in vars(cls).items() if inspect.isfunction(member) and name.startswith("_")}
    theirs = {name for name in theirs if not name.startswith("__")}
    assert theirs - set(_REMEDIES) == {"_fit", "_validate_input"}
    assert set(_REMEDIES) <= theirs
    assert all(hasattr(BaseMLP, name) for name in ("_fit", "_validate_input"))


# ====================================================================== calls, compared with scikit-learn

CASES = {
    "regression": ("MLPRegressor", X[:, :1], {}),
    "two outputs": ("MLPRegressor", X[:, :2], {"activation": "tanh", "alpha": 0.3}),
    "poisson": ("MLPRegressor", np.arange(20.0).reshape(-1, 1) % 3, {"loss": "poisson"}),
    "binary": ("MLPClassifier", np.arange(20) % 2, {"activation": "logistic"}),
    "multiclass": ("MLPClassifier", np.arange(20) % 3, {"activation": "identity", "alpha": 0.0}),
    "multilabel": ("MLPClassifier", (X > 0).astype(int), {}),
    "no hidden layer": ("MLPClassifier", np.arange(20) % 3, {"hidden_layer_sizes": ()}),
}
each_case = pytest.mark.parametrize("case", CASES)


def fitted_pair(case):
    """A model of scikit-learn and a model of fastbp with the same weights, and encoded targets."""
    name, y, params = CASES[case]
    models = [getattr(module, name)(**SMALL | params) for module in (neural_network, fastbp)]
    for model in models:
        model.fit(X, y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y)
    theirs, ours = models
    theirs.coefs_, theirs.intercepts_ = [W.copy() for W in ours.coefs_], [b.copy() for b in ours.intercepts_]
    return theirs, ours, y if name == "MLPRegressor" else LabelBinarizer().fit_transform(y)


def passes(model, data, y, sample_weight):
    """The results of all private methods, as a flat list of arrays."""
    n_layers = len(model.coefs_)
    activations, deltas = [data] + [None] * n_layers, [None] * n_layers
    gradients = [np.empty_like(W) for W in model.coefs_], [np.empty_like(b) for b in model.intercepts_]
    loss, *returned = model._backprop(data, y, sample_weight, activations, deltas, *gradients)
    assert returned[0] is gradients[0]
    assert returned[1] is gradients[1]
    forward = model._forward_pass([data] + [None] * n_layers)
    model._compute_loss_grad(0, 7.5, activations, deltas, *(list(parts) for parts in gradients))
    fast = [model._forward_pass_fast(data), model._forward_pass_fast(data, check_input=False)]
    return [np.array(loss), *activations[1:], *forward[1:], *deltas, *gradients[0], *gradients[1], *fast]


@each_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, lambda X: X.astype(np.float32)], ids=["float64", "sparse", "float32"])
def test_calls_agree_with_scikit_learn(case, weighted, make):
    theirs, ours, y = fitted_pair(case)
    data, dtype = make(X), np.float64
    if data.dtype == np.float32:
        dtype = np.float32
        for model in (theirs, ours):
            model.coefs_, model.intercepts_ = [W.astype(dtype) for W in model.coefs_], [b.astype(dtype) for b in model.intercepts_]
        y = y.astype(dtype)
    weight = WEIGHT.astype(dtype) if weighted else None
    for one, other in zip(passes(theirs, data, y, weight), passes(ours, data, y, weight), strict=True):
        assert other.shape == one.shape
        assert other.dtype == one.dtype or one.ndim == 0
        assert_allclose(other, one, rtol=1e-13 if dtype is np.float64 else 1e-6, atol=1e-14 if dtype is np.float64 else 1e-6)


@each_case
def test_unpack_agrees_with_scikit_learn(case):
    name, y, params = CASES[case]
    theirs, ours = (
        getattr(module, name)(**SMALL | params | {"solver": "lbfgs"}).fit(X, y.ravel() if y.shape[1:] == (1,) else y)
        for module in (neural_network, fastbp)
    )
    packed = np.linspace(-1, 1, sum(array.size for array in [*ours.coefs_, *ours.intercepts_]))
    for model in (theirs, ours):
        model._unpack(packed)
    for one, other in zip([*theirs.coefs_, *theirs.intercepts_], [*ours.coefs_, *ours.intercepts_], strict=True):
        assert_array_equal(one, other)
        assert np.shares_memory(other, packed)
    assert_allclose(ours._forward_pass_fast(X), theirs._forward_pass_fast(X), rtol=1e-12)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match=r"packed_parameters must have shape \(\d+,\) for this network, got \(3,\)"):
        ours._unpack(packed[:3])


def test_a_training_loop_of_the_user():
    """Gradient descent with scikit-learn's methods gives the same weights in both packages."""
    theirs, ours, y = fitted_pair("multiclass")
    for model in (theirs, ours):
        n_layers = len(model.coefs_)
        for _ in range(20):
            lists = [X] + [None] * n_layers, [None] * n_layers, [None] * n_layers, [None] * n_layers
            _, coef_grads, intercept_grads = model._backprop(X, y, None, *lists)
            for array, gradient in zip([*model.coefs_, *model.intercepts_], [*coef_grads, *intercept_grads], strict=True):
                array -= 0.5 * gradient
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


def test_invalid_inputs_are_validated():
    _, ours, y = fitted_pair("multiclass")
    with pytest.raises(ValueError, match="X has 2 features"):
        ours._forward_pass_fast(X[:, :2])
    with pytest.raises(ValueError, match=r"y must have one column for each output, shape \(20, 3\), got \(20, 2\)"):
        ours._backprop(X, y[:, :2], None, [X] + [None] * 3, [None] * 3, [None] * 3, [None] * 3)


def test_rebuilt_estimators():
    _, ours, _ = fitted_pair("two outputs")
    model = MLPRegressor(activation="tanh")
    for name in ("coefs_", "intercepts_", "n_layers_", "out_activation_"):
        setattr(model, name, getattr(ours, name))
    assert_array_equal(model._forward_pass_fast(X), ours._forward_pass_fast(X))
    assert_array_equal(model._forward_pass([X] + [None] * 3)[-1], ours._forward_pass_fast(X))


# ====================================================================== networks that scikit-learn does not have


def swish(z):
    return z / (1 + np.exp(-z))


def cosh_loss(y, a):
    return np.log(np.cosh(a - y))


GROUPS = np.column_stack([np.arange(20) % 3, np.arange(20) % 2])
ONE_HOT = np.column_stack([LabelBinarizer().fit_transform(GROUPS[:, 0]), np.eye(2)[GROUPS[:, 1]]])
CLASSES = np.arange(20) % 3
INDICATORS = LabelBinarizer().fit_transform(CLASSES)
# {name: (class, y, encoded y, parameters)}
OTHERS = {
    "activations": (MLPRegressor, X[:, :2], X[:, :2], {"activation": ["gelu", "softplus"]}),
    "user functions": (MLPRegressor, X[:, :2], X[:, :2], {"activation": Activation(swish), "loss": Loss(cosh_loss)}),
    "layer_norm": (MLPRegressor, X[:, :2], X[:, :2], {"layer_norm": True, "activation": "tanh"}),
    "layer_norm, silu": (MLPRegressor, X[:, :2], X[:, :2], {"layer_norm": True, "activation": "silu"}),
    "batch_norm": (MLPRegressor, X[:, :2], X[:, :2], {"batch_norm": True, "activation": "tanh"}),
    "huber, softplus": (MLPRegressor, X[:, :2], X[:, :2], {"loss": "huber", "huber_delta": 0.3, "out_activation": "softplus"}),
    "tweedie": (MLPRegressor, X[:, :2] ** 2, X[:, :2] ** 2, {"loss": "tweedie", "activation": "tanh"}),
    "quantiles": (MLPRegressor, X[:, 0], X[:, [0, 0]], {"loss": "quantile", "quantile": [0.2, 0.9], "activation": "tanh"}),
    "groups": (MLPClassifier, GROUPS, ONE_HOT, {"activation": "tanh"}),
    "smoothed groups": (MLPClassifier, GROUPS, ONE_HOT, {"activation": "tanh", "label_smoothing": 0.2}),
    "smoothing": (MLPClassifier, CLASSES, INDICATORS, {"label_smoothing": 0.1, "activation": "tanh"}),
    "squared errors": (MLPClassifier, CLASSES, INDICATORS, {"loss": "squared_error", "activation": "tanh", "label_smoothing": 0.1}),
    "labels": (MLPClassifier, INDICATORS, INDICATORS, {"loss": "squared_error", "activation": "tanh", "label_smoothing": 0.1}),
}
each_other = pytest.mark.parametrize("case", OTHERS)


def other_model(case):
    kind, y, encoded, params = OTHERS[case]
    return kind(**SMALL | {"alpha": 0.2} | params).fit(X, y), encoded.astype(float)


@each_other
def test_forward_pass_agrees_with_the_kernels(case):
    model, _ = other_model(case)
    activations = model._forward_pass([X, None, None, None])
    for layer in (1, 2, 3):
        assert_allclose(activations[layer], model.transform(X, layer=layer), rtol=1e-10, atol=1e-12)
    assert_array_equal(model._forward_pass_fast(X), activations[-1])


@each_other
def test_loss_agrees_with_the_kernels(case):
    model, y = other_model(case)
    if case == "batch_norm":  # training uses the statistics of the batch
        return
    lists = [X, None, None, None], [None] * 3, [None] * 3, [None] * 3
    loss, *_ = model._backprop(X, y, None, *lists)
    model.set_params(warm_start=True, max_iter=1).fit(X, OTHERS[case][1])
    assert model.loss_ == pytest.approx(loss, rel=1e-9)


@each_other
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_agree_with_finite_differences(case, weighted):
    model, y = other_model(case)
    weight = WEIGHT if weighted else None

    def compute():
        return model._backprop(X, y, weight, [X, None, None, None], [None] * 3, [None] * 3, [None] * 3)

    _, coef_grads, intercept_grads = compute()
    # scikit-learn divides the squared errors, but not their gradients, by the number of outputs; so do the kernels
    factor = 1 if (model.loss != "squared_error" or case in ("squared errors", "labels")) else y.shape[1]
    step, penalty = 1e-6, model.alpha / (WEIGHT.sum() if weighted else 20)
    for array, gradient in zip([*model.coefs_, *model.intercepts_], [*coef_grads, *intercept_grads], strict=True):
        for at in list(np.ndindex(array.shape))[::3]:
            before, losses = array[at], []
            for value in (before + step, before - step):
                array[at] = value
                losses.append(compute()[0])
            array[at] = before
            of_penalty = penalty * before if array.ndim == 2 else 0
            difference = (losses[0] - losses[1]) / (2 * step) - of_penalty
            assert gradient[at] - of_penalty == pytest.approx(factor * difference, rel=1e-4, abs=1e-7)


def test_imputed_and_scaled_models():
    data = np.where(X > 1, np.nan, X)
    model = MLPRegressor(**SMALL, missing="indicator", scale="standard").fit(data, X[:, 0])
    expected = model.predict(data)
    assert_allclose(model._forward_pass_fast(data).ravel(), expected, rtol=1e-9)
    assert_allclose(model._forward_pass_fast(data, check_input=False).ravel(), expected, rtol=1e-9)
    inputs = model.transform(data, layer=0)
    sizes = [inputs.shape[1], 5, 4, 1]
    assert [W.shape for W in model.coefs_] == list(pairwise(sizes))
    assert_allclose(model._forward_pass([inputs, None, None, None])[-1].ravel(), expected, rtol=1e-9)
