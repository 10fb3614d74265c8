"""The pages "From the equations to the kernels" in English and Portuguese, and equations on them that no other test checks.

Functions and tests that the pages name exist, the tables are complete, both pages have the same formulas, references and examples,
and the examples have the printed output. All numbers are in float64.
"""

import doctest
import re
from collections import Counter
from functools import cache, reduce
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import MLPRegressor
from fastbp._kernels.codes import LinkCode
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.lazy.losses import LOSSES
from fastbp._kernels.lazy.schedules import SCHEDULES
from fastbp._kernels.lazy.solvers import N_MOMENTS, SOLVERS
from fastbp._network.folding import fold_batch_norm
from fastbp._network.initializers import INITIALIZERS
from fastbp._network.schedules import SCHEDULE_NAMES
from fastbp.graph import Variable, log
from fastbp.inspection import trace
from fastbp.inspection._gradient_check import _relative

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("docs/equations.md", "docs/pt/equations.md")}
ENGLISH, PORTUGUESE = PAGES.values()
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)


# ---------------------------------------------------------------------- the parts of a page


def text_of(page):
    """The page without its examples."""
    return FENCE.sub("", page)


def formulas(text):
    return [" ".join((display or inline).split()) for display, inline in FORMULA.findall(text)]


def sections(page):
    """The text of each section, without its title."""
    return [part.partition("\n")[2] for part in re.split(r"^#+ ", text_of(page), flags=re.MULTILINE)[1:]]


def code_in(text):
    return re.findall(r"`([^`]+)`", text)


def tables(page):
    """Each table as a list of rows, which are lists of cells; the first row is the header."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text_of(page), re.MULTILINE)
    return [[row.strip("| ").split(" | ") for row in block.splitlines() if not row.startswith("|---")] for block in blocks]


def rows_of(page, parameter):
    """(name, function) of each row of the table whose first column has the values of a parameter, and whose last has functions."""
    for header, *rows in tables(page):
        if code_in(header[0]) == [parameter]:
            yield from ((code_in(row[0])[0], code_in(row[-1])[0]) for row in rows)


def references(page):
    """The functions and tests that a page names, in their order."""
    return [name for name in code_in(text_of(page)) if name.startswith(("fastbp.", "tests/"))]


def resolve(name):
    """The object with a dotted name."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[n:], module)
    raise ModuleNotFoundError(name)


@cache
def names_of_tests(path):
    return set(re.findall(r"^def (test_\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))


def errors_of_references(page):
    """The functions and tests that do not exist."""
    for name in references(page):
        if name.startswith("tests/"):
            path, _, test = name.partition("::")
            if not (ROOT / path).is_file() or (test and test not in names_of_tests(path)):
                yield name
        else:
            try:
                resolve(name)
            except (ModuleNotFoundError, AttributeError):
                yield name


def errors_of_formula(formula):
    """The braces, brackets with a size, and environments that are not closed."""
    braces = re.sub(r"\\[{}]", "", formula)
    if braces.count("{") != braces.count("}"):
        yield "braces"
    for one, other in (("bigl", "bigr"), ("Bigl", "Bigr"), ("left", "right"), ("lvert", "rvert"), ("lVert", "rVert")):
        if len(re.findall(rf"\\{one}(?![a-z])", formula)) != len(re.findall(rf"\\{other}(?![a-z])", formula)):
            yield one
    if re.findall(r"\\begin\{(\w+)\}", formula) != re.findall(r"\\end\{(\w+)\}", formula):
        yield "environment"


# ---------------------------------------------------------------------- tests of the pages


@each_page
def test_functions_and_tests_on_the_page_exist(page):
    assert len(references(page)) > 300
    assert list(errors_of_references(page)) == []


def test_errors_in_references_are_found():
    page = "`fastbp._kernels.solvers._sgd`, `fastbp._kernels.solvers._gone`, `fastbp.gone`, `tests/gone.py`, "
    page += "`tests/test_kernels.py`, `tests/test_kernels.py::test_link`, `tests/test_kernels.py::test_gone`\n"
    page += "```\n`fastbp.example`\n```\n"
    missing = ["fastbp._kernels.solvers._gone", "fastbp.gone", "tests/gone.py", "tests/test_kernels.py::test_gone"]
    assert list(errors_of_references(page)) == missing


@each_page
def test_each_function_is_followed_by_its_test(page):
    kinds = re.findall(r"^- (Functions?|Funç(?:ão|ões)|Tests?|Testes?): `", page, re.MULTILINE)
    assert len(kinds) > 150
    assert all(kind.startswith("Fun") for kind in kinds[::2])
    assert all(kind.startswith("Test") for kind in kinds[1::2])
    *others, last = sections(page)[1:]
    assert all("tests/" in section for section in others)
    assert "tests/" not in last  # the references


def test_pages_have_the_same_references_examples_and_formulas():
    assert references(ENGLISH) == references(PORTUGUESE)
    assert FENCE.findall(ENGLISH) == FENCE.findall(PORTUGUESE)
    pairs = list(zip(sections(ENGLISH), sections(PORTUGUESE), strict=True))
    assert len(pairs) > 15
    for english, portuguese in pairs:
        assert re.findall(r"\$\$.+?\$\$", english, re.DOTALL) == re.findall(r"\$\$.+?\$\$", portuguese, re.DOTALL)
        assert Counter(formulas(english)) == Counter(formulas(portuguese))
        assert Counter(code_in(english)) == Counter(code_in(portuguese))


@each_page
def test_formulas_are_complete(page):
    assert len(formulas(text_of(page))) > 500
    assert [formula for formula in formulas(text_of(page)) if list(errors_of_formula(formula))] == []
    assert "$" not in FORMULA.sub("", text_of(page))


@pytest.mark.parametrize("formula", [r"\frac{1}{2", r"\bigl(x)", r"\lvert x", r"\begin{cases} x", r"\{ {x \}"])
def test_errors_in_formulas_are_found(formula):
    assert list(errors_of_formula(formula))
    assert not list(errors_of_formula(r"\bigl(\tfrac{1}{2} \lvert x \rvert \{\bigr) \begin{cases} x \end{cases}"))


LAZY = "fastbp._kernels.lazy"


@each_page
@pytest.mark.parametrize(
    ("parameter", "names", "functions", "module"),
    [
        ("activation", ACTIVATIONS, ACTIVATIONS, f"{LAZY}.activations"),
        ("loss", LOSSES, LOSSES, f"{LAZY}.losses"),
        ("out_activation_", LinkCode.__members__, {}, ""),
        ("solver", SOLVERS, SOLVERS, f"{LAZY}.solvers"),
        ("learning_rate", SCHEDULE_NAMES, SCHEDULES, ""),
        ("weight_init", INITIALIZERS, INITIALIZERS, "fastbp._network.initializers"),
    ],
)
def test_tables_are_complete(page, parameter, names, functions, module):
    """Each row has the right function. If ``module`` is not empty, the page names this module, and the rows name its functions."""
    rows = list(rows_of(page, parameter))
    assert {name for name, _ in rows} == set(names), "add a row to the table in docs/equations.md and docs/pt/equations.md"
    assert not module or module in references(page)
    for name, function in rows:
        found = resolve(f"{module}.{function}" if module else function)
        assert callable(found)
        assert found is functions.get(name, found)


@each_page
def test_solvers_without_a_row_are_in_the_text(page):
    assert {*N_MOMENTS, "lbfgs"} <= set(code_in(text_of(page)))


@pytest.mark.slow
def test_examples_have_the_printed_output():
    """The pages have the same examples, so one of them is run."""
    test = doctest.DocTestParser().get_doctest(ENGLISH, {}, "docs/equations.md", "docs/equations.md", 0)
    assert len(test.examples) > 60
    assert doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test).failed == 0


# ---------------------------------------------------------------------- equations

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(12, 3))
Y = np.sin(X[:, 0]) + X[:, 1]
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(sizes=(4, 5), **params):
    return MLPRegressor(hidden_layer_sizes=sizes, alpha=0, tol=1e9, random_state=0, **params).fit(X, Y)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_derivative_of_the_log_loss_by_the_output(y):
    p = Variable([0.01, 0.3, 0.5, 0.99])
    loss = -(y * log(p) + (1 - y) * log(1 - p))
    loss.backward(np.ones(4))
    a = p.value
    assert_allclose(p.grad, -y / a + (1 - y) / (1 - a), rtol=1e-14)
    assert_allclose(p.grad * a * (1 - a), a - y, rtol=1e-14)


def test_mean_of_batch_gradients_is_the_gradient_of_all_rows():
    model = fitted(activation="tanh")
    whole, batches = trace(model, X, Y), [trace(model, X[rows], Y[rows]) for rows in np.arange(12).reshape(3, 4)]
    assert whole.loss == pytest.approx(np.mean([batch.loss for batch in batches]), rel=1e-13)
    for layer, gradient in enumerate(whole.coef_grads):
        parts = [batch.coef_grads[layer] for batch in batches]
        assert_allclose(np.mean(parts, axis=0), gradient, rtol=1e-10, atol=1e-15)
        assert not np.allclose(parts[0], gradient)


@ignore_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_learning_rate_of_a_user_defined_schedule(solver):
    factors = {0: 1.0, 0.25: 0.5, 0.5: 2.0, 0.75: 0.1}
    params = {"max_iter": 4, "learning_rate_init": 0.01, "hidden_layer_sizes": 3, "solver": solver, "momentum": 0}
    model = MLPRegressor(learning_rate=lambda epoch, progress: factors[progress], **params, random_state=0).fit(X, Y)
    assert_allclose(model.history_["learning_rate"], 0.01 * np.array(list(factors.values())), rtol=1e-15)
    steps = []
    for n_epochs in (1, 2):
        shorter = {**params, "max_iter": n_epochs, "learning_rate_horizon": 4}
        model = MLPRegressor(learning_rate=lambda epoch, progress: [1, 0][epoch], **shorter, random_state=0).fit(X, Y)
        steps.append(model.coefs_[0])
    assert_array_equal(*steps)  # the factor of the second epoch is 0


@ignore_convergence
def test_moving_statistics_are_folded_into_the_weights():
    """Two batches of different sizes, and steps that are too small to change the weights."""
    still = {"solver": "sgd", "momentum": 0, "learning_rate_init": 1e-300, "batch_size": 8, "shuffle": False, "max_iter": 1}
    model = MLPRegressor(hidden_layer_sizes=5, batch_norm=True, random_state=0, alpha=0, **still).fit(X, Y)
    W, b = (arrays[0] for arrays in (trace(model, X, Y).coefs, trace(model, X, Y).intercepts))
    means, variances = np.zeros(5), np.ones(5)
    for rows in (X[:8], X[8:]):
        Z = rows @ W
        means, variances = 0.9 * means + 0.1 * Z.mean(axis=0), 0.9 * variances + 0.1 * Z.var(axis=0, ddof=1)
    root = np.sqrt(variances + 1e-5)
    assert_allclose(model.coefs_[0], W / root, rtol=1e-12)
    assert_allclose(model.intercepts_[0], b - means / root, rtol=1e-12)
    gamma, beta = RANDOM.uniform(0.5, 2, 5), RANDOM.normal(size=5)
    (folded,), (shift,) = fold_batch_norm([W], [beta], [gamma], [(means, variances)])
    assert_allclose(X @ folded + shift, gamma * (X @ W - means) / root + beta, rtol=1e-12, atol=1e-14)


def test_gradient_of_a_chain_is_a_product():
    model = fitted((1, 1, 1, 1), activation="logistic", out_activation="logistic")
    model.coefs_ = [W if W.size > 1 else np.array([[1.5 - layer]]) for layer, W in enumerate(model.coefs_)]
    values = trace(model, X[:1], Y[:1])
    a, w = [A.item() for A in values.A[1:]], [W.item() for W in values.coefs[1:]]
    product = a[-1] - Y[0]
    for activation, weight in zip(a[:0:-1], w[::-1], strict=True):
        product *= activation * (1 - activation) * weight
    assert values.intercept_grads[0].item() == pytest.approx(product * a[0] * (1 - a[0]), rel=1e-13)


@pytest.mark.parametrize(("activation", "bound"), [("logistic", 0.25), ("tanh", 1.0), ("relu", 1.0)])
def test_norms_of_deltas_are_bounded(activation, bound):
    values = trace(fitted((30, 20, 30), activation=activation), X, Y)
    for (delta, after), W in zip(pairwise(values.delta), values.coefs[1:], strict=True):
        limit = bound * np.linalg.norm(W, 2) * np.linalg.norm(after)
        assert 0.01 * limit < np.linalg.norm(delta) <= limit


def test_norm_of_a_clipped_gradient():
    for limit in (0.01, 1e3):
        values = trace(fitted(solver="sgd", momentum=0, learning_rate_init=0.5, clip_norm=limit), X, Y)
        steps, gradients = (
            np.concatenate([part.ravel() for part in parts])
            for parts in ([*values.coef_updates, *values.intercept_updates], [*values.coef_grads, *values.intercept_grads])
        )
        norm = np.linalg.norm(gradients)
        assert 0.01 < norm < 1e3
        assert_allclose(steps, -0.5 * min(1, limit / norm) * gradients, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("g", "difference", "floor", "error"), [(2.0, 1.5, 0.1, 0.25), (-1.5, -2.0, 0.1, 0.25), (1e-9, 0.0, 0.5, 2e-9)]
)
def test_relative_error_of_a_gradient_check(g, difference, floor, error):
    assert _relative(g, difference, floor) == error
