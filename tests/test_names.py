"""One name has one meaning: no name is defined in two modules, and no field of a record has the name of a NumPy attribute.

The source files of the package are parsed, not imported. Imported names, methods and other variables are not checked.
"""

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent


def defined_names(path):
    """The UPPERCASE names, the functions and the classes that a module defines at its top level."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            names.update(name for name in stored if name.isupper())
    return names


# The functions of `fastbp.graph` have the names of NumPy's functions, like those of the kernels.
OF_GRAPHS = {"exp", "log", "relu", "sigmoid", "tanh"}


def test_no_name_is_defined_in_two_modules():
    modules = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in defined_names(path) - (OF_GRAPHS if path.is_relative_to(PACKAGE / "graph") else set()):
            modules[name].append(str(path.relative_to(PACKAGE)))
    assert {name: paths for name, paths in modules.items() if len(paths) > 1} == {}


def test_defined_names_finds_all_definitions(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import os\nA, B = 1, 2\nC: int = 3\n_D = e = 4\n\n\ndef f():\n    G = 1\n\n\ndef _h(): ...\n\n\nclass I: ...\n"
    )
    assert defined_names(path) == {"A", "B", "C", "_D", "f", "_h", "I"}


@pytest.mark.parametrize("module", ["scratch", "settings", "tables"])
def test_fields_of_records_are_not_attributes_of_numpy_records(module):
    """With NUMBA_DISABLE_JIT=1, ``record.sum`` would be NumPy's method, not the field."""
    dtypes = [value for value in vars(import_module(f"fastbp._kernels.{module}")).values() if isinstance(value, np.dtype)]
    assert dtypes
    assert [name for dtype in dtypes for name in dtype.names if hasattr(np.record, name)] == []
