"""Variables, gradients in reverse and forward mode, and the graphs of networks.

The references are NumPy's functions, finite differences, the worked examples of the notes on backpropagation (see
``test_backprop_notes.py``), the kernels, and scikit-learn's ``_backprop``. Drawings are tested in ``test_graph_drawings.py``.
"""

import copy
import gc
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn.neural_network
from drawn_cases import drawn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from numpy.testing import assert_allclose, assert_array_equal, assert_array_max_ulp
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from test_combinations import cases, log_cosh, slope_of_log_cosh

import fastbp
from fastbp import MLPClassifier, MLPRegressor, graph
from fastbp._data.inputs import as_rows, as_targets
from fastbp._inspected_fit import inspected_fit
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.network import loss_and_gradient
from fastbp._kernels.settings import SETTINGS, record
from fastbp._network.kernel_settings import configure_network
from fastbp._network.layout import padded_copy
from fastbp._network.optimizers import write_penalties
from fastbp._network.workspace import MovingStatistics, workspace
from fastbp.graph import Variable, forward_derivative, from_estimator

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def variables(**values):
    return [Variable(value, name) for name, value in values.items()]


def grads(*nodes):
    return [node.grad for node in nodes]


# ---------------------------------------------------------------------- worked examples


def test_example_1_a_product_and_a_sum():
    a, b, c = variables(a=5, b=3, c=2)
    u = b * c
    v = a + u
    J = 3 * v
    J.backward()
    assert [u.value, v.value, J.value] == [6, 11, 33]
    assert grads(a, b, c, u, v, J) == [3, 6, 9, 3, 3, 1]
    assert [forward_derivative(J, x) for x in (a, b, c, u, v, J)] == [3, 6, 9, 3, 3, 1]


def test_example_2_a_linear_neuron():
    h, k, w1, w2, b = variables(h=1, k=-3, w1=5, w2=-1, b=3)
    output = h * w1 + k * w2 + b
    loss = (10 - output) ** 2
    loss.backward()
    assert [output.value, loss.value] == [11, 1]
    expected = [2, 2, -6, 2, 10, -2]
    assert grads(output, w1, w2, b, h, k) == expected
    assert [forward_derivative(loss, x) for x in (output, w1, w2, b, h, k)] == expected


def test_example_3_a_sigmoid_neuron_under_squared_error():
    x, w, b, y = Variable([0.5, -1.5]), Variable([2.0, 0.7]), Variable(0.3), 1.0
    z = x @ w + b
    output = graph.sigmoid(z)
    J = 0.5 * (y - output) ** 2
    J.backward()
    p = output.value
    assert_array_max_ulp(np.array(p), expit(np.array(z.value)), 1)
    delta = -(y - p) * (p * (1 - p))
    assert_array_max_ulp(w.grad, delta * x.value, 2)
    assert_array_max_ulp(np.array(b.grad), np.array(delta), 2)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_example_4_logistic_regression(y):
    x, w, b = Variable([1.0, -2.0, 0.25]), Variable([0.4, 0.1, -3.0]), Variable(-0.2)
    z = x @ w + b
    p = graph.sigmoid(z)
    loss = -(y * graph.log(p) + (1 - y) * graph.log(1 - p))
    loss.backward()
    error = p.value - y
    assert_allclose([z.grad, b.grad], error, rtol=1e-15)
    assert_allclose(w.grad, error * x.value, rtol=1e-15)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_example_5_a_two_layer_network(activation):
    random = np.random.default_rng(0)
    x, W1, b1, W2, b2 = (Variable(random.normal(size=shape)) for shape in [(1, 3), (3, 4), 4, (4, 1), 1])
    z1 = x @ W1 + b1
    a1 = getattr(graph, activation)(z1)
    p = graph.sigmoid(a1 @ W2 + b2)
    loss = graph.sum(-graph.log(p))  # y = 1
    loss.backward()
    a = a1.value
    slope = {"sigmoid": a * (1 - a), "tanh": 1 - a**2, "relu": (a > 0) * 1.0}[activation]
    delta2 = p.value - 1
    delta1 = delta2 @ W2.value.T * slope
    for node, expected in ((b2, delta2[0]), (W2, a.T @ delta2), (b1, delta1[0]), (W1, x.value.T @ delta1)):
        assert_allclose(node.grad, expected, rtol=1e-14, atol=1e-17)


def test_example_6_equal_rates_give_smaller_steps_near_the_minimum():
    w, steps = 8.0, []
    for _ in range(4):
        variable = Variable(w)
        (variable**2).backward()
        steps.append(0.25 * variable.grad)
        w -= steps[-1]
    assert steps == [4, 2, 1, 0.5]


# ---------------------------------------------------------------------- derivatives of all operations

ELEMENTWISE = {
    "add": (lambda x, y: x + y, np.add),
    "subtract": (lambda x, y: x - y, np.subtract),
    "multiply": (lambda x, y: x * y, np.multiply),
    "divide": (lambda x, y: x / y, np.divide),
    "power": (lambda x, y: x**y, np.power),
    "maximum": (graph.maximum, np.maximum),
}
FUNCTIONS = {
    "exp": (graph.exp, np.exp),
    "log": (graph.log, np.log),
    "tanh": (graph.tanh, np.tanh),
    "sigmoid": (graph.sigmoid, expit),
    "relu": (graph.relu, lambda x: np.maximum(x, 0)),
    "negative": (lambda x: -x, np.negative),
    "square": (lambda x: x**2, np.square),
    "reciprocal power": (lambda x: x**-1.5, lambda x: x**-1.5),
    "exponential of 2": (lambda x: 2**x, np.exp2),
    "sum": (graph.sum, np.sum),
    "sum of rows": (lambda x: graph.sum(x, axis=0), lambda x: np.sum(x, axis=0)),
    "sum of two axes": (lambda x: graph.sum(x, axis=(0, -1), keepdims=True), lambda x: np.sum(x, axis=(0, -1), keepdims=True)),
    "mean": (graph.mean, np.mean),
    "mean of columns": (lambda x: graph.mean(x, axis=1, keepdims=True), lambda x: np.mean(x, axis=1, keepdims=True)),
    "row": (lambda x: x[1], lambda x: x[1]),
    "slice": (lambda x: x[:, ::2], lambda x: x[:, ::2]),
    "repeated rows": (lambda x: x[[1, 1, 0]], lambda x: x[[1, 1, 0]]),
    "repeated elements": (lambda x: x[[0, 0, 1], [2, 2, 0]], lambda x: x[[0, 0, 1], [2, 2, 0]]),
    "mask": (lambda x: x[np.eye(2, 3) > 0], lambda x: x[np.eye(2, 3) > 0]),
    "new axis": (lambda x: x[..., None], lambda x: x[..., None]),
}
MATRIX_SHAPES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 4))]
MATRIX_SHAPES += [((2, 1, 2, 3), (5, 3, 4)), ((5, 2, 3), (3,)), ((1, 3), (3, 1))]


def assert_derivatives_agree(function, reference, *arrays):
    """Compare the value with NumPy, forward mode with finite differences, and reverse mode with forward mode."""
    random, nodes = np.random.default_rng(1), [Variable(array) for array in arrays]
    result = function(*nodes)
    assert_allclose(result.value, reference(*arrays), rtol=1e-14)
    gradient = random.normal(size=result.shape)
    result.backward(gradient)
    for number, node in enumerate(nodes):
        direction, step = random.normal(size=node.shape), 1e-5
        above, below = (
            reference(*(array + sign * step * direction if at == number else array for at, array in enumerate(arrays)))
            for sign in (1, -1)
        )
        derivative = forward_derivative(result, node, direction)
        assert np.shape(derivative) == result.shape
        assert_allclose(derivative, (above - below) / (2 * step), rtol=1e-6, atol=1e-6)
        assert np.shape(node.grad) == node.shape
        # both modes multiply by the same matrix J: gradient · (J direction) = (Jᵀ gradient) · direction
        assert np.sum(gradient * derivative) == pytest.approx(np.sum(node.grad * direction), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_variable(name):
    assert_derivatives_agree(*FUNCTIONS[name], np.random.default_rng(0).uniform(0.3, 2, (2, 3)))


@given(
    st.sampled_from(sorted(ELEMENTWISE)), mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.integers(0, 99)
)
def test_elementwise_operators_with_broadcasting(name, shapes, seed):
    random = np.random.default_rng(seed)
    assert_derivatives_agree(*ELEMENTWISE[name], *(random.uniform(0.3, 2, shape) for shape in shapes.input_shapes))


@pytest.mark.parametrize("shapes", MATRIX_SHAPES)
def test_matrix_products(shapes):
    random = np.random.default_rng(0)
    assert_derivatives_agree(lambda A, B: A @ B, np.matmul, *(random.normal(size=shape) for shape in shapes))


OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "@": operator.matmul,
}


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("other", [2, np.float64(2), np.array([2.0, 1, 3]), [2.0, 1, 3]], ids=repr)
def test_operands_that_are_not_variables(symbol, other):
    x, function = np.array([1.5, 2.0, 0.5]), OPERATORS[symbol]
    if symbol == "@" and not np.ndim(other):
        with pytest.raises(ValueError, match="Use \\* to multiply"):
            function(other, Variable(x))
        return
    assert isinstance(function(other, Variable(x)), Variable)
    assert_derivatives_agree(lambda x: function(x, other), lambda x: function(x, np.array(other)), x)
    assert_derivatives_agree(lambda x: function(other, x), lambda x: function(np.array(other), x), x)


def test_derivatives_at_kinks_and_ties():
    x = Variable([-1.0, 0.0, 2.0])
    graph.relu(x).backward(np.ones(3))
    assert x.grad.tolist() == [0, 0, 1]
    y, z = Variable([1.0, 2.0, 3.0]), Variable(2.0)
    graph.maximum(y, z).backward(np.ones(3))
    assert y.grad.tolist() == [0, 0.5, 1]
    assert z.grad == 1.5
    same = Variable(4.0)
    graph.maximum(same, same).backward()
    assert same.grad == 1


def test_sigmoid_is_stable():
    x = Variable([-1000.0, -40.0, 0.0, 40.0, 1000.0])
    y = graph.sigmoid(x)
    y.backward(np.ones(5))
    assert_array_equal(y.value[[0, 2, 4]], [0, 0.5, 1])
    assert_allclose(x.grad, [0, np.exp(-40), 0.25, np.exp(-40), 0], rtol=1e-15)


def test_derivatives_of_powers_of_zero():
    base, exponent = Variable([0.0, 0.0, 0.0]), Variable([0.0, 1.0, 2.0])
    (base**exponent).backward(np.ones(3))
    assert base.grad.tolist() == [0, 1, 0]
    assert exponent.grad.tolist() == [0, 0, 0]
    negative = Variable(-2.0)
    (negative**3).backward()
    assert negative.grad == 12


# ---------------------------------------------------------------------- graphs


def test_gradients_of_all_paths_are_added():
    x = Variable(3)
    y = x * x + x
    y.backward()
    assert x.grad == forward_derivative(y, x) == 7
    row = Variable([1.0, 2.0])
    graph.sum(row[0] * row + row[0]).backward()
    assert row.grad.tolist() == [6, 1]


def test_a_second_backward_replaces_the_gradients():
    x, other = Variable(2), Variable(5)
    y = x**3
    z = y * other
    z.backward()
    assert grads(x, y, other) == [60, 5, 8]
    z.backward(2)
    assert grads(x, y, other) == [120, 10, 16]
    y.backward()
    assert grads(x, y) == [12, 1]
    assert other.grad == 16  # y does not depend on it


def test_gradient_is_a_copy():
    gradient = np.ones(2)
    x = Variable([1.0, 2.0])
    (x + x).backward(gradient)
    gradient[:] = 5
    assert x.grad.tolist() == [2, 2]
    y = Variable([1.0, 2.0])
    z = y + 0
    z.backward([1, 1])
    assert not np.shares_memory(y.grad, z.grad)
    with pytest.raises(ValueError, match="read-only"):
        y.grad[0] = 3


def test_forward_mode_with_respect_to_a_result():
    """The operands of an intermediate result are not followed."""
    x = Variable(3.0)
    y = x * x
    z = y + x
    assert forward_derivative(z, y) == 1
    assert forward_derivative(z, z) == 1
    assert forward_derivative(z, Variable(1.0)) == 0
    assert forward_derivative(z * np.ones(2), Variable(1.0)).tolist() == [0, 0]


def test_deep_graphs_do_not_overflow_the_stack():
    x = Variable(1.0)
    y = x
    for _ in range(100_000):
        y = -y
    y.backward()
    assert x.grad == 1
    assert forward_derivative(y, x) == 1
    y = None
    gc.collect()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_variables_cannot_be_copied_or_pickled(duplicate):
    with pytest.raises(TypeError, match=r"cannot be pickled or copied.*value"):
        duplicate(Variable(1.0))


# ---------------------------------------------------------------------- values


DTYPES = [(1, float), (True, float), (2.5, float), (np.int8([1]), float), (np.float32([1]), "f4"), (np.float32(1), "f4")]
DTYPES += [(np.float16([1]), float), (np.array([1, 2], ">f4"), "f4"), (np.array([1.0], ">f8"), float), ([[1, 2], [3, 4]], float)]


@pytest.mark.parametrize(("value", "dtype"), DTYPES)
def test_dtype_of_values(value, dtype):
    variable = Variable(value)
    assert variable.dtype == np.dtype(dtype)
    assert variable.dtype.isnative
    assert variable.shape == np.shape(value)
    assert_array_equal(variable.value, value)


def test_scalars_are_floats():
    x = Variable(2)
    assert type(x.value) is float
    assert x.grad is None
    y = x * 3
    y.backward()
    assert type(y.value) is type(x.grad) is type(forward_derivative(y, x)) is float
    assert type(Variable(np.float32(2)).value) is np.float32
    assert repr(x) == "Variable(2.0, grad=3.0)"
    assert repr(Variable([1.0], "w")) == "Variable(array([1.]), name='w')"


def test_float32_is_kept():
    x = Variable(np.float32([1, 2]))
    for y in (x + 1, 2.5 * x, x**2, 1 / x, graph.sigmoid(x), graph.mean(x), x @ x, graph.maximum(x, 0), x[0], -x, 2**x):
        assert y.dtype == np.float32
        y.backward(np.ones(y.shape))
        assert x.grad.dtype == np.float32
        assert forward_derivative(y, x, [1, 1]).dtype == np.float32
    wide = x + Variable([1.0, 2.0])
    assert wide.dtype == np.float64
    wide.backward([1, 1])
    assert x.grad.dtype == np.float32


def test_values_are_read_only_copies():
    array = np.array([1.0, 2.0])
    x = Variable(array)
    y, z = x * array, x[:1]
    array[:] = 7
    assert x.value.tolist() == [1, 2]
    for node in (x, y, z):
        with pytest.raises(ValueError, match="read-only"):
            node.value[0] = 3
    with pytest.raises(AttributeError):
        x.value = 3


def test_index_arrays_are_copied():
    x, rows = Variable([1.0, 2.0]), np.array([0, 0])
    y = x[rows]
    rows[:] = 1
    y.backward([1, 1])
    assert x.grad.tolist() == [2, 0]


def test_iteration_and_names():
    rows = list(Variable([[1.0, 2.0], [3.0, 4.0]], "W"))
    assert [row.value.tolist() for row in rows] == [[1, 2], [3, 4]]
    rows[0].name = "first"
    assert rows[0].name == "first"


# ---------------------------------------------------------------------- errors

ERRORS = [
    (lambda x: Variable("a"), TypeError, "value must be a number or an array of real numbers; got 'a'"),
    (lambda x: Variable(1j), TypeError, "real numbers; got 1j"),
    (lambda x: Variable(None), TypeError, "real numbers; got None"),
    (lambda x: Variable([[1], [1, 2]]), ValueError, "value must be .* rows have equal lengths"),
    (lambda x: Variable(x), TypeError, "got a Variable. Use this variable itself"),
    (lambda x: Variable([x, x]), TypeError, "cannot be converted to a NumPy array"),
    (lambda x: Variable(1, 2), TypeError, "name must be a str or None, got 2"),
    (lambda x: x + "a", TypeError, "the operand must be a number or an array"),
    (lambda x: x + np.ones(2), ValueError, r"operands of \+ must have shapes that can be broadcast.*\(3,\) and \(2,\)"),
    (lambda x: graph.maximum(x, np.ones(2)), ValueError, "operands of maximum must have shapes"),
    (lambda x: x @ np.ones((2, 3)), ValueError, r"operands of @ must have matching shapes.*\(3,\) and \(2, 3\)"),
    (lambda x: np.ones((2, 1, 3)) @ Variable(np.ones((3, 3, 3))), ValueError, "operands of @ must have shapes that can be"),
    (lambda x: x @ 2, ValueError, r"operands of @ must be arrays.*Use \* to multiply"),
    (lambda x: x.backward(), ValueError, r"gradient must be an array of shape \(3,\).*graph.sum"),
    (lambda x: x.backward([1, 2]), ValueError, r"gradient must have the shape of the variable, \(3,\); got .*\(2,\)"),
    (lambda x: forward_derivative(x, x), ValueError, r"direction must be an array of shape \(3,\)"),
    (lambda x: forward_derivative(1, x), TypeError, "output must be a fastbp.graph.Variable, got 1"),
    (lambda x: graph.sum(x, axis=1), ValueError, "axis must be None, an int .* got 1"),
    (lambda x: graph.mean(x, axis=(0, 0)), ValueError, r"axis must be .* different ints.* got \(0, 0\)"),
    (lambda x: graph.mean(Variable([])), ValueError, "x must have elements"),
    (lambda x: x[x], TypeError, "index must be .* got a Variable"),
    (lambda x: iter(x[0]), TypeError, "scalar Variable cannot be iterated"),
    (lambda x: bool(x[0]), TypeError, "no truth value"),
    (lambda x: np.exp(x), TypeError, r"np\.exp cannot be called with a Variable.* Use fastbp\.graph\.exp instead"),
    (lambda x: np.maximum(x, 0), TypeError, r"Use fastbp\.graph\.maximum instead"),
    (lambda x: np.sum(x), TypeError, r"np\.sum cannot be called with a Variable.* Use fastbp\.graph\.sum instead"),
    (lambda x: np.sqrt(x), TypeError, r"np\.sqrt cannot .* Use the operators and the functions of fastbp\.graph instead"),
    (lambda x: np.max(x), TypeError, r"np\.max cannot .* Use the operators and the functions of fastbp\.graph instead"),
    (lambda x: expit(x), TypeError, r"Use fastbp\.graph\.sigmoid instead"),
    (lambda x: np.add(np.ones(3), x, out=np.ones(3)), TypeError, r"np\.add cannot"),
    (lambda x: np.add(np.ones(3), x, where=False), TypeError, r"np\.add cannot"),
    (lambda x: np.ones(3) < x, TypeError, "cannot be compared"),
    (lambda x: x == np.ones(3), TypeError, "cannot be compared"),
    (lambda x: np.asarray(x), TypeError, "Use its attribute value, or the functions of fastbp.graph"),
]


@pytest.mark.parametrize("number", [np.array([2.0, 3.0]), np.float64(2), np.int64(2)], ids=repr)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
def test_left_operands_of_numpy(number, name):
    function, at = getattr(operator, name), np.array([0.5, 1.5])
    x = Variable(at)
    result = function(number, x)
    assert_array_equal(result.value, function(number, at))
    result.backward([1, 1])
    step = 1e-6
    assert_allclose(x.grad, (function(number, at + step) - function(number, at - step)) / (2 * step), rtol=1e-8)


def test_array_to_which_a_variable_is_added_becomes_a_variable():
    x, total = Variable([1.0, 2.0]), np.zeros(2)
    zeros = total
    for _ in range(3):
        total += x
    total.backward([1, 1])
    assert_array_equal(x.grad, [3, 3])
    assert_array_equal(zeros, 0)


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_error_messages(call, error, message):
    with pytest.raises(error, match=message):
        call(Variable([1.0, 2.0, 3.0]))


def test_import_fastbp_does_not_import_graphs_and_graphs_do_not_import_matplotlib():
    code = (
        "import sys, fastbp; assert 'fastbp.graph' not in sys.modules\n"
        "import fastbp.graph; assert 'matplotlib' not in sys.modules; print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


# ---------------------------------------------------------------------- graphs of networks


def kernel_objective(model, X, y, sample_weight=None):
    """The loss and the flat gradient that the kernels compute for rows, without dropout and noise."""
    fit = inspected_fit(model, X, y, sample_weight)
    plan, params, X, y, weight = fit.plan, fit.state.params, fit.X, fit.y, fit.sample_weight
    settings, dtype, n_rows, n_coefs = record(SETTINGS), params.dtype, len(y), plan.layout.n_coefs
    write_penalties(settings, model, dtype)
    table = configure_network(settings, plan, n_rows, dtype)
    moving = MovingStatistics.fresh(plan.layout)
    team, scratches = workspace(plan, n_rows, dtype, 1, 1, gathered=True, shares_weights=True, moving=moving)
    rows = as_rows(X, dtype), as_targets(y, dtype), as_targets(weight, dtype), 0, n_rows
    sums = loss_and_gradient(settings, table, padded_copy(params, dtype), *rows, scratches[0], team.gradients[0], True)
    loss, weight_sum = sums
    if plan.objective.loss == "squared_error" and plan.objective.is_compiled_in(plan.architecture.link):
        loss *= plan.layout.sizes[-1]  # the kernels report the mean over outputs, but the gradient is that of the sum
    W, gradient = params[:n_coefs].astype(float), team.gradients[0, : params.size].astype(float)
    gradient[:n_coefs] += model.alpha * W + model.l1 * np.sign(W)
    return (loss + 0.5 * model.alpha * W @ W + model.l1 * np.abs(W).sum()) / weight_sum, gradient / weight_sum


def flat_gradient(network):
    lists = network.coefs, network.intercepts, network.norm_scales, network.norm_shifts
    return np.concatenate([np.ravel(variable.grad) for variables in lists for variable in variables])


def assert_same_as_kernels(model, X, y, sample_weight=None, rtol=1e-11):
    network = from_estimator(model, X, y, sample_weight)
    network.backward()
    loss, gradient = kernel_objective(model, X, y, sample_weight)
    assert network.loss.value == pytest.approx(loss, rel=rtol)
    assert_allclose(flat_gradient(network), gradient, rtol=rtol, atol=rtol * max(1, np.abs(gradient).max()))
    assert_modes_agree(network, rtol)
    return network


def assert_modes_agree(network, rtol):
    """Forward mode and reverse mode give the same derivative of the loss with respect to the first weights."""
    W = network.coefs[0]
    direction = np.random.default_rng(2).normal(size=W.shape)
    terms = W.grad * direction
    derivative = forward_derivative(network.loss, W, direction)
    assert derivative == pytest.approx(terms.sum(), rel=rtol, abs=rtol * max(1, np.abs(terms).sum()))


def data(n_rows=12, n_features=3, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, n_features))
    return X, X @ np.arange(1, n_features + 1) + random.normal(size=n_rows)


def fitted(kind, X, y, **params):
    options = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0, "n_threads": 1, "alpha": 0.1}
    return kind(**options | params).fit(X, y)


@ignore_convergence
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_the_gradients_of_the_kernels(activation):
    X, y = data()
    model = fitted(MLPRegressor, X, y, activation=activation)
    network = assert_same_as_kernels(model, X[:5], y[:5])
    for layer, A in enumerate(network.activations, 1):
        assert_allclose(A.value, model.transform(X[:5], layer), rtol=1e-12, atol=1e-14)
    assert_allclose(network.outputs.value.ravel(), model.predict(X[:5]), rtol=1e-12)


REGRESSION = [{"loss": loss} for loss in ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie")]
REGRESSION += [{"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}, {"loss": fastbp.Loss(log_cosh, slope_of_log_cosh)}]
REGRESSION += [{"out_activation": link} for link in ("logistic", "relu", "softplus", "exp")] + [
    {"loss": "gamma", "out_activation": "softplus"}
]


@ignore_convergence
@pytest.mark.parametrize("options", REGRESSION, ids=str)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_loss_of_a_regressor(options, n_outputs):
    X, y = data()
    y = np.abs(y) + 0.1 if n_outputs == 1 else np.abs(np.column_stack([y, y[::-1]])) + 0.1
    model = fitted(MLPRegressor, X, y, **options)
    network = assert_same_as_kernels(model, X[:5], y[:5])
    assert_allclose(network.outputs.value.reshape(5, -1), np.reshape(model.predict(X[:5]), (5, -1)), rtol=1e-11)


LABELS = {
    "binary": lambda y: np.where(y > 0, "yes", "no"),
    "multiclass": lambda y: np.digitize(y, [-1, 1]) + 5,
    "multilabel": lambda y: np.column_stack([y > 0, y > 1, y < 2]).astype(int),
    "multioutput": lambda y: np.column_stack([np.digitize(y, [-1, 1]), np.digitize(y, [-2, 0, 2])]),
}


CLASSIFICATION = [{}, {"label_smoothing": 0.1}, {"loss": "squared_error"}, {"loss": "squared_error", "label_smoothing": 0.2}]
CLASSIFICATION += [{"loss": "squared_error", "out_activation": "softmax"}]


@ignore_convergence
@pytest.mark.parametrize("target", LABELS)
@pytest.mark.parametrize("options", CLASSIFICATION, ids=str)
def test_every_kind_of_labels(target, options):
    X, y = data(30)
    y = LABELS[target](y)
    if options.get("out_activation") == "softmax" and target in ("binary", "multilabel"):
        options = {"loss": "squared_error", "out_activation": "identity"}
    assert_same_as_kernels(fitted(MLPClassifier, X, y, **options), X[:6], y[:6])


@ignore_convergence
@pytest.mark.parametrize(
    "options",
    [
        {"batch_norm": True},
        {"layer_norm": True},
        {"batch_norm": True, "activation": ["silu", "tanh"], "scale": "standard", "ema_decay": 0.9},
        {"scale": "standard", "scale_y": "standard"},
        {"scale": "robust", "layer_norm": True, "l1": 0.01},
        {"ema_decay": 0.5, "clip_norm": 0.1, "max_norm": 1.0},
        {"dropout": 0.3, "input_noise": 0.1},
        {"hidden_layer_sizes": ()},
        {"solver": "lbfgs", "alpha": 0, "l1": 0.05},
        {"missing": "indicator"},
        {"sample_weight_norm": "global"},
        {"warm_start": True},
    ],
    ids=str,
)
def test_every_option_that_changes_the_objective(options):
    X, y = data()
    if "missing" in options:
        X[2, 1] = np.nan
    model = fitted(MLPRegressor, X, y, **options)
    assert_same_as_kernels(model, X[:5], y[:5], np.array([1.0, 0.5, 2.0, 0.0, 1.0]))
    assert_same_as_kernels(model, X[:1], y[:1])


@ignore_convergence
@pytest.mark.slow
@drawn(150, cases())
def test_all_combinations_of_parameters(case):
    try:
        model = case.fit()
    except (ValueError, TypeError, ZeroDivisionError):
        return  # tests/test_combinations.py checks the errors
    assert_same_as_kernels(model, case.X, case.y, case.weight, rtol=2e-3 if case.is_single else 1e-9)


@ignore_convergence
def test_same_gradients_as_scikit_learn():
    X, y = data(20)
    labels = LABELS["multiclass"](y)
    weight = np.linspace(0.5, 2, 20)
    for kind, reference, targets, encoded in (
        (MLPRegressor, sklearn.neural_network.MLPRegressor, y, y[:, None]),
        (MLPClassifier, sklearn.neural_network.MLPClassifier, labels, LabelBinarizer().fit_transform(labels)),
    ):
        network = from_estimator(fitted(kind, X, targets, activation="tanh"), X, targets, weight)
        network.backward()
        oracle = reference(hidden_layer_sizes=(4, 3), activation="tanh", max_iter=3, random_state=0, alpha=0.1).fit(X, targets)
        layers = [X, *[None] * 3]
        lists = [[None] * 3 for _ in range(3)]
        loss, coef_grads, intercept_grads = oracle._backprop(X, encoded, weight, layers, *lists)
        assert network.loss.value == pytest.approx(loss, rel=1e-9)
        for own, other in zip(network.coefs + network.intercepts, coef_grads + intercept_grads, strict=True):
            assert_allclose(own.grad, other, rtol=1e-6, atol=1e-9)


@ignore_convergence
def test_loss_of_lbfgs_is_the_value_of_the_graph():
    X, y = data()
    model = fitted(MLPRegressor, X, y, solver="lbfgs", max_iter=20)
    assert from_estimator(model, X, y).loss.value == pytest.approx(model.loss_, rel=1e-12)


@ignore_convergence
def test_gradient_of_the_inputs_agrees_with_finite_differences():
    X, y = data(4)
    model = fitted(MLPRegressor, X, y, activation="gelu")
    network = from_estimator(model, X, y)
    network.backward()
    direction, step = np.random.default_rng(1).normal(size=X.shape), 1e-5
    above, below = (from_estimator(model, X + sign * step * direction, y).loss.value for sign in (1, -1))
    assert np.sum(network.X.grad * direction) == pytest.approx((above - below) / (2 * step), rel=1e-6)
    assert forward_derivative(network.loss, network.X, direction) == pytest.approx(np.sum(network.X.grad * direction), rel=1e-12)


@ignore_convergence
def test_log_loss_of_certain_predictions_keeps_its_gradient():
    """The gradient is p − y, even if p is rounded to 1."""
    X, y = data()
    model = fitted(MLPClassifier, X, y > 0, alpha=0)
    model.coefs_[-1][...] *= 1e4
    network = assert_same_as_kernels(model, X, y < 0)
    assert np.abs(network.weighted_sums[-1].grad).max() > 0.05


@ignore_convergence
def test_deltas_of_fitted_classifiers_are_exactly_those_of_the_notes():
    """Examples 4 and 5: δ = ŷ − y, ∂L/∂W = xᵀ δ and ∂L/∂b = δ for one row, and δ1 = (δ2 W2ᵀ) ⊙ g'(z1)."""
    X, y = data()
    network = from_estimator(fitted(MLPClassifier, X, y > 0, hidden_layer_sizes=(), alpha=0), X[:1], y[:1] > 0)
    network.backward()
    delta = network.outputs.value - network.y.value
    assert_array_equal(network.weighted_sums[0].grad, delta)
    assert_array_equal(network.coefs[0].grad, X[:1].T @ delta)
    assert_array_equal(network.intercepts[0].grad, delta[0])
    deep = from_estimator(fitted(MLPClassifier, X, y > 0, hidden_layer_sizes=4, activation="tanh", alpha=0), X[:1], y[:1] > 0)
    deep.backward()
    delta2 = deep.outputs.value - deep.y.value
    delta1 = delta2 @ deep.coefs[1].value.T * (1 - deep.activations[0].value ** 2)
    assert_array_equal(deep.weighted_sums[1].grad, delta2)
    assert_array_max_ulp(deep.weighted_sums[0].grad, delta1, 1)
    assert_array_max_ulp(deep.coefs[0].grad, X[:1].T @ delta1, 2)


@ignore_convergence
def test_weights_dtypes_and_sparse_rows():
    X, y = data(20)
    labels = LABELS["multiclass"](y)
    balanced = fitted(MLPClassifier, X, labels, class_weight={5: 1.0, 6: 3.0, 7: 0.5})
    dense = assert_same_as_kernels(balanced, X[:5], labels[:5], np.arange(5.0))
    sparse = assert_same_as_kernels(balanced, csr_array(X[:5]), labels[:5], np.arange(5.0))
    assert_array_equal(flat_gradient(dense), flat_gradient(sparse))
    single = fitted(MLPRegressor, X.astype(np.float32), y)
    single.set_params(alpha=np.float64(0.1))
    network = assert_same_as_kernels(single, X[:5], y[:5], rtol=1e-5)
    assert network.loss.dtype == network.coefs[0].dtype == np.float32


@ignore_convergence
def test_estimators_that_are_rebuilt_from_weights():
    X, y = data()
    trained = fitted(MLPRegressor, X, y)
    rebuilt = MLPRegressor(alpha=0.1)
    rebuilt.coefs_, rebuilt.intercepts_, rebuilt.out_activation_ = trained.coefs_, trained.intercepts_, "identity"
    assert from_estimator(rebuilt, X, y).loss.value == from_estimator(trained, X, y).loss.value


@ignore_convergence
def test_building_a_graph_does_not_change_the_estimator():
    X, y = data()
    model = fitted(MLPClassifier, X, y > 0, warm_start=True, batch_norm=True)
    before = pickle.dumps(model)
    from_estimator(model, X[:1], y[:1] > 0)
    assert pickle.dumps(model) == before


@ignore_convergence
def test_errors_of_from_estimator():
    X, y = data()
    labels = LABELS["multiclass"](y)
    classifier = fitted(MLPClassifier, X, labels)
    with pytest.raises(
        TypeError, match=r"est must be a fitted MLPClassifier .*got an object of type Pipeline.* Pass the last step"
    ):
        from_estimator(make_pipeline(StandardScaler(), classifier), X, labels)
    with pytest.raises(NotFittedError):
        from_estimator(MLPRegressor(), X, y)
    with pytest.raises(ValueError, match="classes not in"):
        from_estimator(classifier, X[:2], [5, 99])
    with pytest.raises(ValueError, match="features"):
        from_estimator(classifier, X[:2, :2], labels[:2])
    with pytest.raises(ZeroDivisionError, match="must not sum to 0"):
        from_estimator(fitted(MLPRegressor, X, y), X, y, np.tile([1.0, -1.0], len(X) // 2))
    with pytest.raises(
        ValueError, match=r"class_weight='balanced' needs rows of all classes, but y has no row of \[6, 7\]\. .*to a dict"
    ):
        from_estimator(classifier.set_params(class_weight="balanced"), X[labels == 5], labels[labels == 5])
