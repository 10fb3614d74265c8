"""The methods: estimators of fastbp and of its peers with their default parameters.

The name of a method, a table and a seed go in; an estimator with `fit`, `predict` and, for classes, `predict_proba` comes out. The
name can have parameters, as in `fastbp-realmlp-td[n_ensemble=5]`. Packages are imported when an estimator is made. A method of
fastbp is available as soon as fastbp has its class. This module does not know how the estimators are measured.
"""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np


@dataclass(frozen=True)
class Method:
    """`make(task)` returns the class, and `prepare(table, X)` the input as this class needs it.

    `fixed` are parameters that select the method or switch off its output, `seed`, `threads` and `epochs` the names of parameters.
    `reference` is the method of another package that has the same model.
    """

    package: str
    make: Callable
    fixed: dict = field(default_factory=dict)
    prepare: Callable | None = None
    seed: str = "random_state"
    threads: str | None = "n_threads"
    epochs: tuple[str, ...] = ("n_epochs", "max_iter")
    needs: str | None = None
    reference: str | None = None

    def is_available(self):
        if find_spec(self.package) is None:
            return False
        return self.needs is None or hasattr(import_module(self.package), self.needs)


class Prepared:
    """An estimator whose input is converted by `prepare(table, X)`."""

    def __init__(self, estimator, table, prepare):
        self.estimator, self.convert = estimator, partial(prepare, table)

    def fit(self, X, y):
        self.estimator.fit(self.convert(X), y)
        return self

    def predict(self, X):
        return self.estimator.predict(self.convert(X))

    def predict_proba(self, X):
        return self.estimator.predict_proba(self.convert(X))


# ---------------------------------------------------------------------- peers


def _class(module, classifier, regressor):
    return lambda task: getattr(import_module(module), classifier if task == "classification" else regressor)


def _pytabkit(name):
    return _class("pytabkit", f"{name}_Classifier", f"{name}_Regressor")


def _categories_as_text(table, X):
    """CatBoost accepts neither missing values nor numbers that are not integers in categorical columns."""
    values = {name: X[name].astype(object).where(X[name].notna(), "missing").astype(str) for name in table.categorical}
    return X.assign(**values)


def _medians_for_missing(table, X):
    """pytabkit's networks do not accept missing numbers. The medians are those of all rows of the table."""
    return X.fillna(table.X[table.numeric].median())


PEERS = {
    "catboost": Method(
        "catboost",
        _class("catboost", "CatBoostClassifier", "CatBoostRegressor"),
        fixed={"verbose": False, "allow_writing_files": False},
        prepare=_categories_as_text,
        seed="random_seed",
        threads="thread_count",
        epochs=("iterations",),
    ),
    "lightgbm": Method(
        "lightgbm",
        _class("lightgbm", "LGBMClassifier", "LGBMRegressor"),
        fixed={"verbose": -1},
        threads="n_jobs",
        epochs=("n_estimators",),
    ),
    "xgboost": Method(
        "xgboost",
        _class("xgboost", "XGBClassifier", "XGBRegressor"),
        fixed={"enable_categorical": True},
        threads="n_jobs",
        epochs=("n_estimators",),
    ),
    "pytabkit-realmlp-td-s": Method("pytabkit", _pytabkit("RealMLP_TD_S"), {"device": "cpu"}, _medians_for_missing),
    "pytabkit-realmlp-td": Method("pytabkit", _pytabkit("RealMLP_TD"), {"device": "cpu"}, _medians_for_missing),
    "pytabkit-tabm": Method("pytabkit", _pytabkit("TabM_D"), {"device": "cpu"}, _medians_for_missing),
}


# ---------------------------------------------------------------------- fastbp


def _pipeline(module, task, **parameters):
    """`MLPClassifier` or `MLPRegressor` behind imputation, one-hot encoding and scaling, as a user would write it."""
    from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_include="category")),
    )
    package = import_module(module)
    if task == "classification":
        return make_pipeline(columns, package.MLPClassifier(**parameters))
    return make_pipeline(columns, TransformedTargetRegressor(package.MLPRegressor(**parameters), transformer=StandardScaler()))


def _mlp(module):
    return lambda task: partial(_pipeline, module, task)


def _presets(name):
    """The values that the parameter `preset` of a class of fastbp accepts, or none if the class or the parameter does not exist."""
    import fastbp

    rules = getattr(getattr(fastbp, name, None), "_parameter_constraints", {}).get("preset", [])
    return sorted(option for rule in rules for option in getattr(rule, "options", ()))


def _ours(name, **fixed):
    make = _class("fastbp", f"{name}Classifier", f"{name}Regressor")
    return partial(Method, "fastbp", make, fixed, needs=f"{name}Regressor")


def methods():
    """{name: Method} of all methods. Each preset of `RealMLPRegressor` and `TabMRegressor` is a method."""
    ours = {
        "fastbp-realmlp-td-s": _ours("RealMLP", preset="td-s")(reference="pytabkit-realmlp-td-s"),
        "fastbp-realmlp-td": _ours("RealMLP", preset="td")(reference="pytabkit-realmlp-td"),
        "fastbp-tabm": _ours("TabM")(reference="pytabkit-tabm"),
    }
    for name in ("RealMLP", "TabM"):
        for preset in _presets(f"{name}Regressor"):
            ours.setdefault(f"fastbp-{name.lower()}-{preset}", _ours(name, preset=preset)())
    controls = {
        "fastbp-mlp": Method("fastbp", _mlp("fastbp"), epochs=("max_iter",), reference="sklearn-mlp"),
        "sklearn-mlp": Method("sklearn", _mlp("sklearn.neural_network"), threads=None, epochs=("max_iter",)),
    }
    return {**ours, **PEERS, **controls}


# ---------------------------------------------------------------------- from a name to an estimator


def parse(text):
    """(name of a method, parameters) of a text such as "fastbp-realmlp-td[n_ensemble=5, lr=0.1]"."""
    name, bracket, rest = text.partition("[")
    if name not in methods() or bool(bracket) != text.endswith("]"):
        raise ValueError(f"A method must be one of {list(methods())}, or NAME[parameter=value, ...]; got {text!r}.")
    if not bracket:
        return name, {}
    try:
        call = ast.parse(f"f({rest[:-1]})", mode="eval").body
        return name, {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"The parameters of a method must be written as in NAME[lr=0.1, solver='adam']; got {text!r}.") from error


def make(text, table, seed, n_threads=2, epochs=None):
    """The estimator of the method `text`. `epochs` limits the epochs, or the trees; None is the default of the method."""
    name, given = parse(text)
    method = methods()[name]
    parameters = {**method.fixed, method.seed: seed, **given}
    if method.threads:
        parameters[method.threads] = n_threads
    if name == "catboost":
        parameters["cat_features"] = table.categorical
    build = method.make(table.task)
    if epochs is not None:
        parameters[_accepted(build, method.epochs)] = epochs
    estimator = build(**parameters)
    return Prepared(estimator, table, method.prepare) if method.prepare else estimator


def _accepted(build, names):
    """The first of the names that is a parameter of the class; the last one if none is known to be."""
    known = inspect.signature(build).parameters
    return next((name for name in names if name in known), names[-1])


def error(task, y, predicted):
    """1 − accuracy, or the root of the mean squared error divided by the standard deviation of the test targets."""
    predicted = np.asarray(predicted).reshape(len(y))
    return float(np.mean(predicted != y)) if task == "classification" else root_mean_square(predicted - y) / float(np.std(y))


def log_loss(classes, y, chances):
    """The mean of −ln p for the probabilities p of the true classes.

    `chances` (n_rows, n_classes) are the probabilities of the sorted `classes` of the training rows. Test rows of other classes
    have the probability 0, which counts as the spacing of floating-point numbers, as in scikit-learn.
    """
    chances = np.asarray(chances)
    columns = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    chosen = np.where(classes[columns] == y, chances[np.arange(len(y)), columns], 0)
    return float(-np.log(chosen.clip(np.finfo(chances.dtype).eps)).mean())


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
