"""The structure of the package: private names of other packages, chains of imports, and the way from ``fit`` to the kernels."""

import ast
import importlib
import traceback
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent
MODULES = {
    ".".join(["fastbp", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
OTHERS = ("sklearn", "numba", "llvmlite")
# `llvmlite.ir` and `llvmlite.binding` are the public API of llvmlite. Everything in `numba.core` and `numba.np` is private.
PUBLIC_LLVMLITE = {"llvmlite.ir", "llvmlite.binding"}


@cache
def syntax_tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def absolute_name(module, node):
    """Return the absolute name of the module in an ImportFrom node."""
    if node.level == 0:
        return node.module
    parts = module.split(".")
    is_package = MODULES[module].name == "__init__.py"
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


# ---------------------------------------------------------------------- private names of other packages


def imported_names(module, nodes):
    """Yield the full name of everything that a module imports from another package, for example "sklearn.base.clone"."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{absolute_name(module, node)}.{alias.name}" for alias in node.names)


def attribute_names(nodes):
    """Yield all dotted names, for example "numba.core.config"; its prefix "numba.core" is yielded, too."""
    for node in nodes:
        if isinstance(node, ast.Attribute):
            parts, value = [node.attr], node.value
            while isinstance(value, ast.Attribute):
                parts.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name):
                yield ".".join([value.id, *reversed(parts)])


def is_private(name):
    """Return whether a name of scikit-learn, Numba or llvmlite is private."""
    package, *rest = name.split(".")
    if package not in OTHERS:
        return False
    if package == "llvmlite":
        return not any(f"{name}.".startswith(f"{public}.") for public in PUBLIC_LLVMLITE)
    in_numba = package == "numba" and rest[:1] in (["core"], ["np"])
    return in_numba or any(part.startswith("_") and not part.startswith("__") for part in rest)


@pytest.mark.parametrize("module", MODULES)
def test_only_compat_imports_private_names_of_other_packages(module):
    nodes = list(ast.walk(syntax_tree(module)))
    private = sorted(filter(is_private, [*imported_names(module, nodes), *attribute_names(nodes)]))
    assert bool(private) == (module == "fastbp._compat"), private


def test_private_names_are_recognized():
    private = ["sklearn.base._fit_context", "sklearn.utils._param_validation.Interval", "numba.core.config", "numba.np.arrayobj"]
    public = ["sklearn.base.clone", "numba.njit", "numba.extending.intrinsic", "numba.__version__", "llvmlite.ir", "numpy._core"]
    assert [name for name in private + public if is_private(name)] == private
    assert is_private("llvmlite.utils")
    code = "import numba.core\nfrom llvmlite import ir\nfrom .jit import kernel\nnumba.core.x.y()\nnumba.types._z"
    nodes = list(ast.walk(ast.parse(code)))
    names = [*imported_names("fastbp._kernels.views", nodes), *attribute_names(nodes)]
    assert sorted(filter(is_private, names)) == ["numba.core", "numba.core", "numba.core.x", "numba.core.x.y", "numba.types._z"]
    assert "fastbp._kernels.jit.kernel" in names


# ---------------------------------------------------------------------- chains of imports


def module_level(nodes):
    """Yield the statements of a module that run when it is imported; those in `try` and `if` blocks are included."""
    for node in nodes:
        yield node
        if isinstance(node, (ast.If, ast.Try)):
            blocks = [node.body, node.orelse, *(handler.body for handler in getattr(node, "handlers", []))]
            yield from module_level([statement for block in blocks for statement in block])


@cache
def imports_of(module):
    """Return the modules of fastbp that a module imports; of `from .x import y`, this is x.y if y is a module, and x otherwise."""
    imported = set()
    for node in module_level(syntax_tree(module).body):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute_name(module, node)
            imported.update(name if (name := f"{origin}.{alias.name}") in MODULES else origin for alias in node.names)
    return imported & set(MODULES) - {module}


@cache
def longest_chain(module):
    """Return the longest list of modules that starts with the given module and in which each module imports the next."""
    return [module, *max(map(longest_chain, sorted(imports_of(module))), key=len, default=[])]


def test_no_circular_imports_and_no_long_chains():
    chain = max(map(longest_chain, MODULES), key=len)  # circular imports would cause a RecursionError
    print(f"\n{len(chain)} modules: " + " → ".join(chain))
    kernels = max((longest_chain(module) for module in MODULES if module.startswith("fastbp._kernels.")), key=len)
    print(f"{len(kernels)} modules: " + " → ".join(kernels))
    assert 2 < len(chain) <= 12


def test_kernels_import_only_each_other_and_compat():
    for module in MODULES:
        if module.startswith("fastbp._kernels."):
            others = {name for name in imports_of(module) if not name.startswith("fastbp._kernels.")}
            assert others <= {"fastbp._compat"}, module
            assert "fastbp._kernels" not in imports_of(module)
    assert imports_of("fastbp._compat") == set()


# ---------------------------------------------------------------------- layers

# From the lowest layer to the highest. A module may import from its own layer and from lower layers. The layer "fastbp" consists of
# all modules that are not in a subpackage, including the estimators and the public modules, except `_compat`. The packages in
# PUBLIC_PACKAGES and in EXPORT_PACKAGES are above it. Other modules import them only inside functions. The estimators in
# ESTIMATOR_PACKAGES belong to the layer "fastbp".
LAYERS = (
    *("fastbp._compat", "fastbp._kernels", "fastbp._data", "fastbp._network", "fastbp._training", "fastbp._streams"),
    *("fastbp._files", "fastbp"),
)
PUBLIC_PACKAGES = ("fastbp.graph", "fastbp.inspection", "fastbp.onnx", "fastbp.playground")
EXPORT_PACKAGES = ("fastbp._c_export",)
ESTIMATOR_PACKAGES = ("fastbp._tabular", "fastbp._distributed")


def layer(module):
    """Return the index of the layer of a module."""
    if module.startswith(PUBLIC_PACKAGES + EXPORT_PACKAGES):
        return len(LAYERS)
    return next(n for n, name in enumerate(LAYERS) if module == name or module.startswith(f"{name}.") or name == "fastbp")


@pytest.mark.parametrize("module", MODULES)
def test_modules_do_not_import_from_higher_layers(module):
    up = [name for name in imports_of(module) if layer(name) > layer(module)]
    assert not up


def test_layers_are_the_subpackages():
    folders = {name.rpartition(".")[0] for name in MODULES if name.count(".") == 2}
    assert folders == {*LAYERS[1:-1], *PUBLIC_PACKAGES, *EXPORT_PACKAGES, *ESTIMATOR_PACKAGES}
    assert [layer(f"{name}.x") for name in LAYERS[1:-1]] == [1, 2, 3, 4, 5, 6]
    assert layer("fastbp._base") == layer("fastbp.callbacks") == layer("fastbp") == 7


# ---------------------------------------------------------------------- private attributes


def defined_names(tree):
    """The names of the attributes, methods and fields that the classes of a module define, and of its functions."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls") and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


# Attributes of named tuples, which are public according to Python's documentation in spite of the underscore.
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def foreign_private_attributes(tree):
    """The private attributes of objects other than self that a module reads or writes, but whose names it does not define."""
    own = set(defined_names(tree)) | OF_NAMED_TUPLES
    return [
        f"{ast.unparse(node.value)}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        and not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super")
        and node.attr not in own
    ]


# These modules extend classes of Numba, whose hooks are private; `_compat` lists the members that they use.
EXTENDS_NUMBA = {
    "fastbp._compat",
    *(f"fastbp._kernels.{name}" for name in ("inline", "dispatchers", "disk_cache", "jit", "views")),
}


@pytest.mark.parametrize("module", sorted(set(MODULES) - EXTENDS_NUMBA))
def test_modules_do_not_use_private_attributes_of_other_objects(module):
    assert foreign_private_attributes(syntax_tree(module)) == []


def test_private_attributes_are_recognized():
    lines = ["self._a = other._b", "other._a.c()", "self._b", "super()._x()", "other._replace(d=other.e._g)"]
    tree = ast.parse("def f(self, other):\n    " + "\n    ".join(lines))
    assert foreign_private_attributes(tree) == ["other._b", "other.e._g"]


# ---------------------------------------------------------------------- the way from `fit` to the kernels


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("solver", "module", "kernel"), [("adam", "_training.epochs", "train"), ("lbfgs", "_training.lbfgs", "loss_and_gradient")]
)
def test_few_modules_between_fit_and_the_kernels(monkeypatch, solver, module, kernel):
    def record_callers(*arguments):
        frames = (frame.filename for frame in reversed(traceback.extract_stack()))
        modules = [name for name in frames if Path(name).is_relative_to(PACKAGE)]
        hops.append(1 + sum(above != below for above, below in pairwise(modules)))
        return original(*arguments)

    hops, original = [], getattr(importlib.import_module(f"fastbp.{module}"), kernel)
    monkeypatch.setattr(f"fastbp.{module}.{kernel}", record_callers)
    fastbp.MLPRegressor(solver=solver, max_iter=1, tol=1e9, n_threads=1).fit(np.eye(3), np.arange(3.0))
    assert hops
    assert max(hops) <= 8
