"""Public docstrings follow numpydoc and agree with the code.

Parameters and defaults are compared with signatures, attributes with fitted estimators. The parser for docstrings is in this file.
The last tests check wrong docstrings and expect an error for each.
"""

import ast
import builtins
import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from sklearn.base import is_classifier
from test_public_names import PUBLIC_NAMES, exported, public_methods

import fastbp
from fastbp._config import FitConfig
from fastbp._parameters import CONSTRAINTS

SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "See Also", "Notes", "References", "Examples")
ESTIMATORS = (fastbp.MLPClassifier, fastbp.MLPRegressor)
OF_TABLES = (fastbp.RealMLPClassifier, fastbp.RealMLPRegressor, fastbp.TabMClassifier, fastbp.TabMRegressor)


# ---------------------------------------------------------------------- the parser


def sections(docstring):
    """The lines of each section of a docstring, by its title; the summary has the title ""."""
    found, title = {"": []}, ""
    lines = inspect.cleandoc(docstring or "").splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"} and line and not line.startswith(" "):
            title = line
            found[title] = []
        elif not (title and not found[title] and line and set(line) == {"-"}):
            found[title].append(line)
    return found


def entries(lines):
    """The (names, type, description) of each entry of a section such as Parameters."""
    found = []
    for line in lines:
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.append(([name.lstrip("*") for name in names.split(", ")], kind, []))
        elif line:
            found[-1][2].append(line.strip())
    return found


def default_in(kind):
    """The default value in a type such as "int, default=3", or `inspect.Parameter.empty` if there is none."""
    text = re.search(r"default=(.+)$", kind)
    return ast.literal_eval(text[1]) if text else inspect.Parameter.empty


# ---------------------------------------------------------------------- the checks


def structure_errors(docstring):
    """The errors in the structure of a docstring: unknown or misplaced sections, entries without a type or a description."""
    found = sections(docstring)
    if not any(line.strip() for line in found[""]):
        yield "there is no summary"
    titles = [title for title in found if title]
    yield from (f"unknown section {title!r}" for title in titles if title not in SECTIONS)
    order = [SECTIONS.index(title) for title in titles if title in SECTIONS]
    if order != sorted(order):
        yield f"the sections are not in numpydoc's order: {titles}"
    for title in ("Parameters", "Attributes", "Returns", "Raises"):
        for names, kind, description in entries(found.get(title, [])):
            if not description:
                yield f"{title}: {', '.join(names)} has no description"
            if title in ("Parameters", "Attributes") and not kind:
                yield f"{title}: {', '.join(names)} has no type"
            if title == "Raises":
                yield from (f"Raises: {name} is not an exception" for name in names if not is_exception(name))


def is_exception(name):
    known = getattr(builtins, name, getattr(sklearn.exceptions, name, None))
    return inspect.isclass(known) and issubclass(known, BaseException)


def signature_errors(docstring, function):
    """Differences between the Parameters and Returns of a docstring and the signature of a function."""
    signature = inspect.signature(function)
    parameters = {name: parameter for name, parameter in signature.parameters.items() if name != "self"}
    documented = {name: kind for names, kind, _ in entries(sections(docstring).get("Parameters", [])) for name in names}
    if list(documented) != list(parameters):
        missing, unknown = sorted(set(parameters) - set(documented)), sorted(set(documented) - set(parameters))
        yield (
            f"Parameters: {missing} missing, {unknown} unknown"
            if missing or unknown
            else "Parameters: not in the signature's order"
        )
    for name in documented.keys() & parameters.keys():
        stated, actual = default_in(documented[name]), parameters[name].default
        if stated != actual or (isinstance(stated, bool) != isinstance(actual, bool)):
            yield f"Parameters: {name} has the default {actual!r}, but {documented[name]!r} is documented"
    returns = "Returns" in sections(docstring)
    # the docstring of a class describes its constructor, which returns nothing
    if function.__name__ != "__init__" and returns != (signature.return_annotation not in (None, "None")):
        yield f"Returns: {'documented' if returns else 'missing'}, but the annotation is {signature.return_annotation!r}"


def attribute_errors(docstring, fitted):
    """Differences between the Attributes of a docstring and the public attributes that the fitted estimators have."""
    actual = {name for model in fitted for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    documented = [name for names, _, _ in entries(sections(docstring).get("Attributes", [])) for name in names]
    yield from (f"Attributes: {name} is missing" for name in sorted(actual - set(documented)))
    yield from (f"Attributes: {name} is not set by any fit" for name in documented if name not in actual)
    yield from (f"Attributes: {name} is documented twice" for name in sorted(set(documented)) if documented.count(name) > 1)


# ---------------------------------------------------------------------- what is checked


def public_functions():
    """Every public function and method, and every class with its constructor: name → (docstring, function)."""
    for name, value in (pair for module in PUBLIC_NAMES for pair in exported(module).items()):
        if inspect.isclass(value):
            yield name, (value.__doc__, value.__init__)
            yield from ((f"{name}.{method}", (function.__doc__, function)) for method, function in public_methods(value).items())
        else:
            yield name, (value.__doc__, value)


FUNCTIONS = dict(public_functions())


def fitted(kind):
    """Fitted estimators that, together, have every attribute that a fit can set."""
    X = np.linspace(-1, 1, 80).reshape(40, 2)
    y = X[:, 0] > 0 if kind is fastbp.MLPClassifier else X[:, 0]
    params = {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        return [
            kind(early_stopping=True, **params).fit(pd.DataFrame(X, columns=["a", "b"]), y),
            kind(layer_norm=True, **params).fit(X, y),
            kind(solver="lbfgs", **params).fit(X, y),
            kind(**params | ({"clip_predictions": True} if kind is fastbp.MLPRegressor else {})).fit(X, y),
        ]


# ---------------------------------------------------------------------- tests


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_agrees_with_signature(name):
    docstring, function = FUNCTIONS[name]
    assert [*structure_errors(docstring), *signature_errors(docstring, function)] == []


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_documented_attributes_are_those_of_fitted_estimators(kind):
    assert list(attribute_errors(kind.__doc__, fitted(kind))) == []


@pytest.mark.parametrize("kind", OF_TABLES)
def test_documented_attributes_are_those_of_estimators_for_tables(kind):
    X = pd.DataFrame({"a": np.linspace(-1, 1, 40)})
    options = {"hidden_layer_sizes": 3, "max_iter": 2} | ({"calibrate": "temperature"} if is_classifier(kind()) else {})
    assert list(attribute_errors(kind.__doc__, [kind(**options).fit(X, np.arange(40) % 2)])) == []


def test_fit_config_contains_all_shared_parameters():
    assert FitConfig._fields == (*CONSTRAINTS, "scale_y", "product_dtype", "kinds")


def test_functions_classes_and_methods_are_checked():
    assert {"MLPClassifier", "MLPRegressor.partial_fit", "Loss", "Checkpoint", "load_mnist", "warmup"} <= set(FUNCTIONS)


# ---------------------------------------------------------------------- the checks themselves can fail


def example(a: int, b: float = 0.5, *, name: str = "x") -> float:
    """One line.

    Parameters
    ----------
    a : int
        A number.
    b : float, default=0.5
        Another number,
        explained on two lines.
    name : {'x', 'y'}, default='x'
        A name.

    Returns
    -------
    total : float
        The result.

    Raises
    ------
    ValueError
        If a is negative.
    """


class Fitted:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_correct_docstring_has_no_errors():
    assert [*structure_errors(example.__doc__), *signature_errors(example.__doc__, example)] == []
    assert list(sections(example.__doc__)) == ["", "Parameters", "Returns", "Raises"]


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("One line.", "", "no summary"),
        ("a : int", "c : int", r"\['a'\] missing, \['c'\] unknown"),
        ("a : int\n    A number.\n", "", r"\['a'\] missing"),
        ("a : int", "a", "a has no type"),
        ("a : int", "a : int, default=1", "a has the default"),
        ("b : float, default=0.5", "b : float", "b has the default 0.5"),
        ("default=0.5", "default=0.05", "b has the default 0.5"),
        ("default='x'", "default='y'", "name has the default 'x'"),
        ("    A name.\n", "", "name has no description"),
        ("Returns\n-------\ntotal : float\n    The result.\n", "", "Returns: missing"),
        ("Returns\n-------\n", "Result\n------\n", "unknown section 'Result'"),
        ("ValueError", "ValuError", "ValuError is not an exception"),
        ("Raises\n------", "Examples\n--------\nRaises\n------", "not in numpydoc's order"),
    ],
)
def test_errors_in_a_docstring_are_found(right, wrong, error):
    docstring = inspect.getdoc(example)
    assert right in docstring
    docstring = docstring.replace(right, wrong)
    errors = "; ".join([*structure_errors(docstring), *signature_errors(docstring, example)])
    assert re.search(error, errors), errors


def test_wrong_order_of_parameters_is_found():
    def swapped(b: float = 0.5, a: int = 0, *, name: str = "x") -> float: ...

    assert "Parameters: not in the signature's order" in list(signature_errors(example.__doc__, swapped))


def test_wrong_attributes_are_found():
    docstring = "A.\n\nAttributes\n----------\na_ : int\n    A.\na_ : int\n    A.\nb_ : int\n    B.\n"
    assert list(attribute_errors(docstring, [Fitted(a_=1), Fitted(c_=1, d=2, _e_=3)])) == [
        "Attributes: c_ is missing",
        "Attributes: b_ is not set by any fit",
        "Attributes: a_ is documented twice",
    ]
