"""The nodes of ONNX models, evaluated with NumPy, and the errors without onnx. `tests/tools/test_onnx.py` runs the models.

``NumPyGraph`` receives the operators that ``to_onnx`` writes, and computes each of them with the function of NumPy or SciPy that
has the same meaning.
"""

import sys

import exported
import numpy as np
import pytest
from exported import ACTIVATIONS, COMMON, SMALL, TARGETS, VALUES, X, rows_of, with_limits
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf, erfc, softmax

from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp._exported_network import exported_network
from fastbp._kernels.codes import LinkCode
from fastbp._network.activations import ACTIVATION_NAMES
from fastbp.onnx import register_converters
from fastbp.onnx._activations import ACTIVATION_EXPRESSIONS, LINK_EXPRESSIONS
from fastbp.onnx._labels import integer_classes, label_nodes, probability_nodes, stored_classes
from fastbp.onnx._model import shape_of_prediction, shaped_prediction
from fastbp.onnx._network import check_convertible, output_nodes
from fastbp.onnx._tensors import GraphWriter, Tensor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CONVERTIBLE = [params for params in COMMON if not isinstance(params.get("activation"), Activation)]
OPERATORS = {
    "Abs": np.abs,
    "Add": np.add,
    "ArgMax": lambda x, axis, keepdims: x.argmax(axis=axis, keepdims=bool(keepdims)),
    "Cast": lambda x, to: x.astype(np.int64),
    "Clip": np.clip,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis=axis),
    "CumSum": lambda x, axis: x.cumsum(axis=int(axis)),
    "Div": np.divide,
    "Erf": erf,
    "Exp": np.exp,
    "Gather": lambda x, indices, axis=0: x.take(indices, axis=axis),
    "Gemm": lambda A, W, b: A @ W + b,
    "Greater": np.greater,
    "IsNaN": np.isnan,
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "ReduceSum": lambda x, axes, keepdims: x.sum(axis=tuple(axes), keepdims=bool(keepdims)),
    "Relu": lambda x: np.maximum(x, 0),
    "Reshape": lambda x, shape: x.reshape(len(x) if shape[0] == 0 else shape[0], *shape[1:]),
    "Softmax": softmax,
    "Split": lambda x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis=axis),
    "Sqrt": np.sqrt,
    "Squeeze": lambda x, axes: x.squeeze(axis=tuple(axes)),
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "Where": np.where,
}


class NumPyGraph(GraphWriter):
    """Computes each node when it is added. The values of the tensors are in ``values``."""

    def __init__(self, dtype, X):
        super().__init__(dtype)
        self.values = {"X": np.asarray(X, dtype)}

    def _add_constant(self, values):
        return self._named(values)

    def _add_node(self, op, inputs, n_outputs, attributes):
        result = OPERATORS[op](*(self.values[name] for name in inputs), **attributes)
        return [self._named(part) for part in (result if n_outputs > 1 else [result])]

    def _named(self, values):
        self.values[str(len(self.values))] = values
        return str(len(self.values) - 1)


def computed(network, rows, dtype="float64"):
    """A graph and the outputs of the network."""
    graph = NumPyGraph(dtype, rows)
    return graph, output_nodes(network, Tensor(graph, "X"))


def test_every_activation_and_output_activation_has_an_expression():
    assert set(ACTIVATION_EXPRESSIONS) == set(ACTIVATION_NAMES)
    assert set(LINK_EXPRESSIONS) | {"ordered_quantiles"} == {code.name for code in LinkCode}


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_activations(activation):
    z = np.concatenate([np.linspace(-30, 30, 61), [-1e-12, 1e-12, np.nan]])
    with np.errstate(invalid="ignore"):  # for NaN
        expected = z * erfc(-z / np.sqrt(2)) / 2 if activation == "gelu" else ACTIVATIONS[activation](z)
    for dtype, rtol, atol in (("float32", 2e-6, 1e-6), ("float64", 1e-12, 1e-16)):
        graph = NumPyGraph(dtype, z)
        found = graph.values[ACTIVATION_EXPRESSIONS[activation](Tensor(graph, "X")).name]
        assert found.dtype == dtype
        assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("kind", TARGETS)
def test_classifiers_of_all_kinds(kind):
    check_classifier(kind, {"missing": "indicator", "layer_norm": True, "activation": ["gelu", "elu"]})


@pytest.mark.slow
@pytest.mark.parametrize("params", CONVERTIBLE, ids=str)
@pytest.mark.parametrize("kind", TARGETS)
def test_classifiers(kind, params):
    check_classifier(kind, params)


def check_classifier(kind, params):
    """Compare labels and probabilities with the reference."""
    rows = rows_of(params)
    network = exported_network(MLPClassifier(**SMALL | params).fit(rows, TARGETS[kind]))
    graph, outputs = computed(network, rows)
    labels = label_nodes(network.labels, outputs, stored_classes(network.labels))
    assert_array_equal(graph.values[labels.name], exported.reference_predictions(network, rows))
    expected = exported.reference_probabilities(network, rows)
    parts = probability_nodes(network.labels, outputs)
    for part, one in zip(parts, expected if isinstance(expected, list) else [expected], strict=True):
        assert_allclose(graph.values[part.name], one, rtol=1e-12)


def test_squared_error_classifier():
    network = exported_network(
        MLPClassifier(**SMALL, loss="squared_error", out_activation="identity").fit(X, TARGETS["multiclass"])
    )
    graph, outputs = computed(network, X)
    assert graph.values[outputs[0].name].min() < 0  # it is clipped
    (part,) = probability_nodes(network.labels, outputs)
    assert_allclose(graph.values[part.name], exported.reference_probabilities(network, X), rtol=1e-12)


@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
@pytest.mark.parametrize(
    "params",
    [{}, {"out_activation": "exp"}, {"out_activation": "softplus"}, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}],
    ids=str,
)
@pytest.mark.parametrize("clipping", [{}, {"clip_predictions": True, "scale": "smooth_clip"}], ids=["plain", "clipped"])
def test_regressors(params, y, clipping):
    model = MLPRegressor(**SMALL | params | clipping).fit(X, y)
    model = with_limits(model, X) if clipping else model
    network = exported_network(model)
    graph, (predicted,) = computed(network, X)
    found = graph.values[shaped_prediction(network, predicted).name]
    assert found.shape == (len(X), *shape_of_prediction(network))
    assert_allclose(found.reshape(model.predict(X).shape), model.predict(X), rtol=1e-11)


def test_float32():
    network = exported_network(MLPRegressor(**SMALL, layer_norm=True).fit(X, VALUES))
    graph, (predicted,) = computed(network, X, "float32")
    assert {values.dtype for values in graph.values.values() if values.dtype.kind == "f"} == {np.dtype("float32")}
    assert_allclose(graph.values[predicted.name], exported.reference_outputs(network, X), rtol=1e-4)


def test_equal_constants_are_stored_once():
    graph = NumPyGraph("float64", X)
    names = [graph.constant(one).name for one in (1.0, 1.0, np.array([1.0]), np.array(1), np.array(1), 2.0)]
    assert names == ["1", "1", "2", "3", "3", "4"]


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [
        (np.array([False, True]), bool),
        (np.array([1, 2], np.uint8), np.int64),
        (np.array([1.0, 2.0], np.float32), np.float64),
        (np.array(["a", "b"]), object),
        (np.array(["a", "b"], object), object),
    ],
)
def test_types_of_labels(classes, dtype):
    model = MLPClassifier(**SMALL).fit(X, classes[np.arange(60) % 2])
    (stored,) = stored_classes(exported_network(model).labels)
    assert stored.dtype == dtype
    assert_array_equal(stored, classes)
    assert_array_equal(integer_classes(stored), classes)
    assert integer_classes(stored).dtype == (object if dtype is object else np.int64)


def test_refused_labels():
    labels = exported_network(MLPClassifier(**SMALL).fit(X, TARGETS["binary"])).labels
    for classes in (np.array(["a", 1], object), np.array([1, 2**64 - 1], np.uint64), np.array([1, 2], "M8[D]")):
        with pytest.raises(
            ValueError, match=r"^classes_ must contain only strings, .* Convert y to strings or integers before fit\.$"
        ):
            stored_classes(labels._replace(classes=(classes,)))
    with pytest.raises(ValueError, match=r"for zipmap=True, got \[0\.5, 1\.0\]\. Set zipmap=False, or convert y"):
        integer_classes(np.array([0.5, 1.0]))


def softsign(z):
    return z / (1 + abs(z))


@pytest.mark.slow  # compiles an activation
def test_user_defined_activations_are_refused():
    network = exported_network(MLPRegressor(**SMALL, activation=["tanh", Activation(softsign)]).fit(X, VALUES))
    with pytest.raises(ValueError, match=r"activation must be one of .*got Activation\(softsign\)\. Fit the estimator with one"):
        check_convertible(network)


def test_errors_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'to_onnx needs onnx, which is not installed: pip install "fastbp\[onnx\]"'):
        MLPRegressor(**SMALL).fit(X, VALUES).to_onnx()
    with pytest.raises(ImportError, match=r'register_converters needs skl2onnx, .*: pip install "fastbp\[onnx\]"'):
        register_converters()
