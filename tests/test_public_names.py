"""The public API: which modules are public, which names they export, and that all exported names are documented and annotated."""

import importlib
import inspect
import pkgutil
import types

import pytest

import fastbp

PUBLIC_NAMES = {
    "fastbp": {
        "Activation",
        "Checkpoint",
        "Loss",
        "MLPClassifier",
        "MLPRegressor",
        "RealMLPClassifier",
        "RealMLPRegressor",
        "TabMClassifier",
        "TabMRegressor",
        "__version__",
        "from_sklearn",
        "load",
        "load_checkpoint",
        "save",
    },
    "fastbp.callbacks": {"Checkpoint", "MLflowLogger", "load_checkpoint"},
    "fastbp.dask": {"DaskMLPClassifier", "DaskMLPRegressor"},
    "fastbp.datasets": {"load_adult", "load_california_housing", "load_covtype", "load_diamonds", "load_mnist"},
    "fastbp.graph": {
        *("Drawing", "NetworkGraph", "Variable", "exp", "forward_derivative", "from_estimator", "log", "maximum", "mean", "relu"),
        *("render", "sigmoid", "sum", "tanh"),
    },
    "fastbp.inspection": {
        *("Advice", "Diagnosis", "DiagnosticsMonitor", "GradientCheck", "LayerDiagnosis", "Trace", "check_gradients", "diagnose"),
        *("EpochDiagnosis", "LayerSummary", "Summary", "summary", "trace"),
        *("ActivationDisplay", "DecisionSurfaceDisplay", "GradientFlowDisplay", "LossCurveDisplay", "LossLandscapeDisplay"),
        *("NetworkDisplay", "WeightRecorder", "WeightsDisplay"),
    },
    "fastbp.onnx": {"register_converters"},
    "fastbp.playground": {"serve"},
    "fastbp.warmup": {"warmup"},
}
each_module = pytest.mark.parametrize("module", PUBLIC_NAMES)


def exported(module):
    """The public classes and functions of a module, by name."""
    names = {name: getattr(importlib.import_module(module), name) for name in sorted(PUBLIC_NAMES[module])}
    return {name: value for name, value in names.items() if callable(value)}


def defined_in(module):
    """The names without a leading underscore of the classes and functions that a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def public_methods(cls):
    """The methods of a class that fastbp defines, by name. Methods that scikit-learn generates are left out."""
    names = {name for base in cls.__mro__ if base.__module__.startswith("fastbp") for name in vars(base)}
    methods = {name: getattr(cls, name) for name in sorted(names) if not name.startswith("_") and not name.endswith("_request")}
    return {name: method for name, method in methods.items() if callable(method)}


def without_annotation(function):
    """The parameters of a function that have no annotation, and "return" if its result has none."""
    signature = inspect.signature(function)
    names = [name for name, parameter in signature.parameters.items() if name != "self" and parameter.annotation is parameter.empty]
    return names + ["return"] * (signature.return_annotation is signature.empty)


def test_only_these_modules_are_public():
    public = {module.name for module in pkgutil.iter_modules(fastbp.__path__) if not module.name.startswith("_")}
    assert {f"fastbp.{name}" for name in public} | {"fastbp"} == set(PUBLIC_NAMES)


def test_modules_of_subpackages_are_private():
    """Users import names from a public subpackage, not from its modules."""
    for package in [module.name for module in pkgutil.iter_modules(fastbp.__path__) if module.ispkg]:
        path = importlib.import_module(f"fastbp.{package}").__path__
        assert package.startswith("_") or all(module.name.startswith("_") for module in pkgutil.iter_modules(path))


@each_module
def test_all_lists_the_public_names(module):
    names = importlib.import_module(module).__all__
    assert len(names) == len(set(names))
    assert set(names) == PUBLIC_NAMES[module]


@each_module
def test_names_that_are_not_public_have_an_underscore(module):
    assert defined_in(importlib.import_module(module)) <= PUBLIC_NAMES[module]


@each_module
def test_every_public_name_is_documented(module):
    assert importlib.import_module(module).__doc__
    for name, value in exported(module).items():
        assert value.__doc__, name
        for method_name, method in public_methods(value).items() if inspect.isclass(value) else ():
            assert inspect.getdoc(method), f"{name}.{method_name}"


@each_module
def test_every_public_function_is_annotated(module):
    missing = {}
    for name, value in exported(module).items():
        if inspect.isclass(value):
            # a constructor needs no return annotation, because its result is the class
            missing[f"{name}.__init__"] = [part for part in without_annotation(value.__init__) if part != "return"]
            missing |= {
                f"{name}.{method_name}": without_annotation(method) for method_name, method in public_methods(value).items()
            }
        else:
            missing[name] = without_annotation(value)
    assert not {name: parts for name, parts in missing.items() if parts}


def test_helper_functions_find_defects():
    """Each helper function reports a defect that this test creates."""
    module = types.ModuleType("made_up")
    module.exposed = lambda: None
    module.exposed.__module__ = "made_up"
    module.imported = inspect.getdoc
    module._hidden = lambda: None
    module._hidden.__module__ = "made_up"
    assert defined_in(module) == {"exposed"}

    def partly(a: int, b) -> None: ...
    def no_result(a: int): ...

    assert without_annotation(partly) == ["b"]
    assert without_annotation(no_result) == ["return"]
    assert {"fit", "partial_fit", "predict", "score"} <= set(public_methods(fastbp.MLPRegressor))
    assert "set_fit_request" not in public_methods(fastbp.MLPRegressor)
