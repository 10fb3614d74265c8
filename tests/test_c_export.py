"""``export_c``: the generated C code, compiled with strict warnings, predicts the same as the estimator.

All models of a test are compiled as one source file, which includes the generated files, so that the compiler is started only once.
Tests that compile are skipped on machines without a C compiler.
"""

import ctypes
import doctest
import os
import pickle
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from exported import ACTIVATIONS, SMALL, TARGETS, VALUES, X, assert_close_probabilities, rows_of, softsign
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp._c_export.formulas import ACTIVATIONS_IN_C, GROUP_LINKS_IN_C, LINKS_IN_C
from fastbp._c_export.literals import comment_text, real_literal
from fastbp._kernels.codes import LinkCode
from fastbp._network.activations import ACTIVATION_NAMES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler named cc")
needs_cpp_compiler = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("c++") is None, reason="there are no compilers named cc and c++"
)
DOCS = Path(__file__).parents[1] / "docs"

OPTIONS = {
    "plain": {},
    "folded": {"scale": "standard", "batch_norm": True, "ema_decay": 0.9},
    "layer_norm": {"layer_norm": True, "scale": "robust", "hidden_layer_sizes": (3, 6, 5)},
    "no_hidden": {"hidden_layer_sizes": ()},
    "own_activations": {"activation": ["gelu", "tanh"]},
    "missing": {"missing": "indicator", "scale": "standard"},
    "missing_no_hidden": {"missing": "indicator", "hidden_layer_sizes": ()},
    "squared_error": {"loss": "squared_error"},
    "clipped": {"scale": "smooth_clip"},
    "clipped_missing": {"missing": "indicator", "scale": "smooth_clip", "hidden_layer_sizes": ()},
}
QUANTILES = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}
# The class, the parameters and y of each model, by the prefix in C.
CASES = {
    **{f"{kind}_{name}": (MLPClassifier, options, y) for kind, y in TARGETS.items() for name, options in OPTIONS.items()},
    **{
        f"{kind}_{link}": (MLPClassifier, {"loss": "squared_error", "out_activation": link}, y)
        for kind, y in TARGETS.items()
        for link in ("identity", "relu", "softplus", "exp", *(["softmax"] if kind.startswith("multic") else []))
    },
    **{f"regressor_{name}": (MLPRegressor, options, VALUES) for name, options in OPTIONS.items()},
    **{f"link_{link}": (MLPRegressor, {"out_activation": link}, VALUES[:, 0]) for link in ("logistic", "relu", "softplus", "exp")},
    **{f"activation_{name}": (MLPRegressor, {"activation": name}, VALUES) for name in ACTIVATION_NAMES},
    "median": (MLPRegressor, {"loss": "quantile"}, VALUES),
    "quantiles": (MLPRegressor, QUANTILES, VALUES),
    "quantiles_of_one": (MLPRegressor, QUANTILES | {"missing": "indicator"}, VALUES[:, 0]),
    "limited": (MLPRegressor, {"clip_predictions": True, "max_iter": 1}, VALUES / 100),
    "scaled_y": (MLPRegressor, {"scale_y": "standard", "scale": "standard"}, VALUES),
}
# For large inputs, the results of the first overflow. In the others, a sum of subnormal numbers decides, which kernels round to 0.
TOO_SMALL_OR_LARGE = {case for case in CASES if case.endswith("_exp")} | {"multiclass_softplus", "multioutput_softplus"}
REALS = {"float": (ctypes.c_float, np.float32), "double": (ctypes.c_double, np.float64)}
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wdouble-promotion", "-Wshadow"]


def fitted(prefix, dtype="double"):
    """The model of a case, trained in the dtype, and the rows for its predictions."""
    cls, params, y = CASES[prefix]
    rows = rows_of(params).astype(REALS[dtype][1])
    return cls(**SMALL | params).fit(rows, y), rows


# ---------------------------------------------------------------------- compiled models


def run(*command, folder):
    """Run a command, and return what it printed; show the messages of a compiler that fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def compiled(folder, names, *flags, code=""):
    """The library that the compiler makes of some exported files and of further code."""
    source, library = Path(folder) / "all_models.c", Path(folder) / f"library{len(list(folder.glob('library*')))}.so"
    source.write_text("".join(f'#include "{name}.c"\n' for name in names) + code)
    objects = source.with_suffix(".o")
    run("cc", *(flags or STRICT), "-fPIC", "-c", source, "-o", objects, folder=folder)
    # linked without the flags: a library linked with -ffast-math would set subnormal numbers to 0 in this process
    run("cc", "-shared", objects, "-lm", "-o", library, folder=folder)
    return ctypes.CDLL(str(library))


def macros(folder, prefix):
    """The macros in a header."""
    text = (folder / f"{prefix}.h").read_text(encoding="ascii")
    return {name: int(value) for name, value in re.findall(rf"#define {prefix.upper()}_(\w+) (\d+)$", text, re.MULTILINE)}


class CompiledModel:
    """The functions of one exported model in a library."""

    def __init__(self, library, folder, prefix, real):
        self.library, self.prefix, self.kind = library, prefix, REALS[real]
        self.macros = macros(folder, prefix)

    def _apply(self, name, rows, size, kind=None):
        """The outputs of a function for all rows, or its results if it has no array for outputs."""
        function, (real, dtype) = getattr(self.library, f"{self.prefix}_{name}"), self.kind
        rows = np.ascontiguousarray(rows, dtype)
        assert rows.shape[1] == self.macros["N_FEATURES"]
        out = np.zeros((len(rows), size or 1), dtype if kind is None else kind)
        if size:
            function.restype = None
            for row, target in zip(rows, out, strict=True):
                function(row.ctypes.data_as(ctypes.POINTER(real)), target.ctypes.data_as(ctypes.c_void_p))
        else:
            out[:, 0] = [function(row.ctypes.data_as(ctypes.POINTER(real))) for row in rows]
        return out

    def predict(self, model, rows):
        """The same as the method ``predict`` of the model."""
        if "N_OUTPUTS" in self.macros:
            return self._apply("predict", rows, self.macros["N_OUTPUTS"])
        if "N_LABELS" in self.macros:
            return self._apply("predict", rows, self.macros["N_LABELS"], np.intc)
        if "N_TARGETS" in self.macros:
            indices = self._apply("predict", rows, self.macros["N_TARGETS"], np.intc)
            return np.column_stack([classes[column] for classes, column in zip(model.classes_, indices.T, strict=True)])
        assert self.macros["N_CLASSES"] == len(model.classes_)
        return model.classes_[self._apply("predict", rows, 0, np.intc).ravel()]

    def predict_proba(self, rows):
        probabilities = self._apply("predict_proba", rows, self.macros["N_PROBABILITIES"])
        if "N_TARGETS" not in self.macros:
            return probabilities
        sizes = [self.macros[f"N_CLASSES_{column}"] for column in range(self.macros["N_TARGETS"])]
        return np.split(probabilities, np.cumsum(sizes)[:-1], axis=1)


def assert_same_predictions(model, exported, rows, tolerance):
    """Compare the results of all functions with those of the estimator."""
    if isinstance(model, MLPClassifier):
        assert_array_equal(exported.predict(model, rows), model.predict(rows))
    assert_same_numbers(model, exported, rows, tolerance)


def assert_same_numbers(model, exported, rows, tolerance):
    """Compare the predictions of a regressor or the probabilities of a classifier."""
    if isinstance(model, MLPRegressor):
        expected = model.predict(rows)
        assert_allclose(exported.predict(model, rows).reshape(expected.shape), expected, rtol=tolerance, atol=tolerance)
    else:
        assert_close_probabilities(exported.predict_proba(rows), model.predict_proba(rows), rtol=tolerance, atol=tolerance)


def export_and_compile(folder, model, *flags, prefix="model", dtype=None, code=""):
    """Export one model and compile it."""
    model.export_c(folder / f"{prefix}.c", dtype=dtype)
    library = compiled(folder, [prefix], *flags, code=code)
    dtype = dtype or ("float" if model.coefs_[0].dtype == np.float32 else "double")
    return CompiledModel(library, folder, prefix, dtype)


@pytest.fixture(scope="module")
def all_models(tmp_path_factory):
    """The library of all cases, trained and exported in float and in double; a double is also exported as float."""
    folder = tmp_path_factory.mktemp("models")
    models = {}
    for case in CASES:
        for dtype in REALS:
            models[case, dtype] = model, _ = fitted(case, dtype)
            model.export_c(folder / f"{case}_{dtype}.c")
        model.export_c(folder / f"{case}_rounded.c", dtype="float")
    names = [f"{case}_{dtype}" for case in CASES for dtype in (*REALS, "rounded")]
    return SimpleNamespace(models=models, library=compiled(folder, names), folder=folder)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [("float", 1e-5), ("double", 1e-12)])
@pytest.mark.parametrize("case", CASES)
def test_predictions_of_all_models(all_models, case, dtype, tolerance):
    model, rows = all_models.models[case, dtype]
    exported = CompiledModel(all_models.library, all_models.folder, f"{case}_{dtype}", dtype)
    assert_same_predictions(model, exported, rows, tolerance)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_models_in_double_that_are_exported_in_float(all_models, case):
    model, rows = all_models.models[case, "double"]
    exported = CompiledModel(all_models.library, all_models.folder, f"{case}_rounded", "float")
    assert_same_predictions(model, exported, rows, 1e-5)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("case", sorted(set(CASES) - TOO_SMALL_OR_LARGE))
def test_large_inputs_do_not_overflow(all_models, case):
    model, rows = all_models.models[case, "double"]
    for factor in (1e2, -1e2, 1e-9):
        exported = CompiledModel(all_models.library, all_models.folder, f"{case}_double", "double")
        assert_same_numbers(model, exported, rows * factor, 1e-11)  # rounding decides between classes if several have saturated
    model, rows = all_models.models[case, "float"]
    exported = CompiledModel(all_models.library, all_models.folder, f"{case}_float", "float")
    results = exported.predict(model, rows * 1e4) if isinstance(model, MLPRegressor) else exported.predict_proba(rows * 1e4)
    assert np.isfinite(np.hstack(results)).all()


@needs_compiler
def test_a_classifier_and_a_regressor(tmp_path):
    cases = {"multiclass_folded": "float", "quantiles_of_one": "double"}
    models = {case: fitted(case, dtype) for case, dtype in cases.items()}
    for case, (model, _) in models.items():
        model.export_c(tmp_path / f"{case}.c")
    library = compiled(tmp_path, cases)
    for (case, dtype), (model, rows) in zip(cases.items(), models.values(), strict=True):
        exported = CompiledModel(library, tmp_path, case, dtype)
        assert_same_predictions(model, exported, rows, 1e-5 if dtype == "float" else 1e-12)


def test_tables_have_all_activations_and_links():
    assert set(ACTIVATIONS_IN_C) == set(ACTIVATION_NAMES)
    assert sorted([*LINKS_IN_C, *GROUP_LINKS_IN_C]) == sorted(code.name for code in LinkCode)


# ---------------------------------------------------------------------- accuracy of activations and numbers


def one_unit(activation, dtype="float64"):
    """A regressor that computes one activation: weights of 1 and biases of 0."""
    model = MLPRegressor(hidden_layer_sizes=(1,), activation=activation)
    model.coefs_ = [np.ones((1, 1), dtype), np.ones((1, 1), dtype)]
    model.intercepts_ = [np.zeros(1, dtype), np.zeros(1, dtype)]
    model.n_layers_, model.out_activation_, model.n_outputs_ = 3, "identity", 1
    return model


@pytest.mark.slow
@needs_compiler
def test_activations_are_accurate_for_all_magnitudes(tmp_path):
    """Relative to the reference in float64: small z, tails on both sides, and z for which e^z overflows."""
    for name in ACTIVATION_NAMES:
        one_unit(name).export_c(tmp_path / f"{name}_d.c")
        one_unit(name, "float32").export_c(tmp_path / f"{name}_f.c")
    library = compiled(tmp_path, [f"{name}_{suffix}" for name in ACTIVATION_NAMES for suffix in "df"])
    magnitudes = np.geomspace(1e-6, 1e4, 300)
    z = np.concatenate([-magnitudes[::-1], [0], magnitudes]).astype(np.float32).astype(np.float64)
    for name in ACTIVATION_NAMES:
        expected = ACTIVATIONS[name](z)
        for suffix, real, tolerance, smallest in (("d", "double", 3e-13, 1e-300), ("f", "float", 3e-5, 1e-36)):
            model = CompiledModel(library, tmp_path, f"{name}_{suffix}", real)
            actual = model.predict(None, z[:, None])[:, 0]
            # the reference of gelu, 1 + erf, cancels on the left
            absolute = 1e-15 if name == "gelu" else smallest
            assert_allclose(actual, expected, rtol=tolerance, atol=absolute, err_msg=name)


def finite(dtype, width):
    return st.floats(width=width, allow_nan=False, allow_infinity=False).map(dtype)


@given(finite(np.float32, 32))
def test_floats_are_read_back_exactly(value):
    text = real_literal(float(value), "float")
    assert re.fullmatch(r"-?(\d+\.\d+|\d+(\.\d+)?e[-+]\d+)f", text)
    read = np.float32(text.removesuffix("f"))
    assert (read, np.signbit(read)) == (value, np.signbit(value))


@given(finite(np.float64, 64))
def test_doubles_are_read_back_exactly(value):
    text = real_literal(float(value), "double")
    assert re.fullmatch(r"-?(\d+\.\d+|\d+(\.\d+)?e[-+]\d+)", text)
    assert (float(text), np.signbit(float(text))) == (value, np.signbit(value))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiler_reads_unusual_weights_exactly(tmp_path, dtype):
    limits = np.finfo(dtype)
    random = np.random.RandomState(1).randint(0, 2**31, 3000, dtype=np.int64)
    bits = random.astype(np.uint32).view(np.float32) if dtype == "float32" else (random * 2**31 + random[::-1]).view(np.float64)
    special = [limits.smallest_subnormal, limits.tiny, limits.max, -limits.max, -0.0, 1.0, 100.0, 1e22, 0.1, 1 / 3]
    weights = np.concatenate([np.array(special, dtype), bits[np.isfinite(bits)]])
    model = one_unit("identity", dtype)
    model.coefs_[1], model.intercepts_[1] = weights[None], np.zeros(len(weights), dtype)
    model.n_outputs_ = len(weights)
    exported = export_and_compile(tmp_path, model)
    assert_array_equal(exported.predict(model, np.ones((1, 1)))[0], weights)


# ---------------------------------------------------------------------- labels and names

STRINGS = [
    '"',
    "\\",
    "??/",
    "a??'b",
    "*/",
    "/*",
    "%d",
    "tab\t",
    "line\nline",
    "café",
    "数",
    "🙂",
    "\x011",
    "",
    "it's",
    "\\n",
    "real @_x",
]


def with_labels(labels):
    """A classifier with these labels."""
    labels = np.asarray(labels)
    codes = np.arange(60) % len(labels)
    return MLPClassifier(**SMALL).fit(X, labels[codes])


@needs_compiler
def test_strings_as_labels_are_escaped(tmp_path):
    model = with_labels(STRINGS)
    exported = export_and_compile(tmp_path, model)
    array = (ctypes.c_char_p * len(STRINGS)).in_dll(exported.library, "model_classes")
    assert [label.decode("utf-8") for label in array] == model.classes_.tolist()
    assert_same_predictions(model, exported, X, 1e-12)


@pytest.mark.slow
@needs_compiler
def test_numbers_as_labels(tmp_path):
    cases = {
        "small": ([-(2**15), 7, 2**15 - 1], ctypes.c_int, "const int"),
        "medium": ([-(2**31), 2**15], ctypes.c_long, "const long"),
        "large": ([-(2**63), 2**63 - 1], ctypes.c_longlong, "const long long"),
        "unsigned_": (np.array([0, 2**64 - 1], np.uint64), ctypes.c_ulonglong, "const unsigned long long"),
        "truth": ([False, True], ctypes.c_int, "const int"),
        "real": ([-1.0, 2.0, 1e15], ctypes.c_double, "const double"),
    }
    for name, (labels, _, _) in cases.items():
        with_labels(labels).export_c(tmp_path / f"{name}.c")
    library = compiled(tmp_path, cases)
    for name, (labels, kind, text) in cases.items():
        assert f"extern {text} {name}_classes[{len(labels)}];" in (tmp_path / f"{name}.h").read_text()
        assert list((kind * len(labels)).in_dll(library, f"{name}_classes")) == list(labels)


def test_labels_that_c_does_not_have(tmp_path):
    for labels in (["a\0b", "c"], np.array(["a", "b"], object), np.array([1, 2])):
        model = with_labels(labels)
        if labels[0] != "a\0b":
            model.classes_ = np.array([None, "b"], object) if labels[0] == "a" else np.array([1, "b"], object)
        with pytest.raises(ValueError, match="classes_ must be numbers, or strings without null characters"):
            model.export_c(tmp_path / "model.c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@needs_compiler
def test_names_of_features_are_comments(tmp_path):
    names = ["a*/ int b;", "/* ??/", "\\", "line\nbreak", "right‮left"]
    model = MLPRegressor(**SMALL).fit(pd.DataFrame(X, columns=names), VALUES)
    exported = export_and_compile(tmp_path, model)
    assert_allclose(exported.predict(model, X), model.predict(pd.DataFrame(X, columns=names)), rtol=1e-12)
    header = (tmp_path / "model.h").read_text(encoding="ascii")
    assert [f"x[{number}]: {comment_text(name)}\n" in header for number, name in enumerate(names)] == [True] * 5


@given(st.text("*/?\\'\"a\n\x7fé\u202e\U0001f642\ud800"))
@example("???*/*/**/")
def test_no_text_ends_a_comment(text):
    comment = comment_text(text)
    assert comment.isascii()
    assert comment.isprintable()
    assert not re.search(r"\*/|/\*|\?\?", comment)


def test_labels_and_features_are_listed_in_the_header(tmp_path):
    model = MLPClassifier(**SMALL).fit(pd.DataFrame(X, columns=list("abcde")), TARGETS["multiclass"])
    model.export_c(tmp_path / "model.c")
    header = (tmp_path / "model.h").read_text()
    assert " *   x[4]: 'e'\n" in header
    assert " *   2: 'middle'\n" in header
    assert "hidden layer 2: 4 units, relu" in header
    assert "output layer: 3 units, softmax" in header


# ---------------------------------------------------------------------- other compilers and options

PROGRAM = """
#include <stdio.h>
#include "model.h"
int main()
{
    const float rows[4][MODEL_N_FEATURES] = { {1, 2, 3, 4, 5}, {-1e3f, 1e4f, 0, -7, 2}, {1e30f, 1e30f, -1e30f, 1e30f, 0}, {0} };
    for (int i = 0; i < 4; ++i) {
        float p[MODEL_N_PROBABILITIES];
        model_predict_proba(rows[i], p);
        printf("%d %s", model_predict(rows[i]), model_classes[model_predict(rows[i])]);
        for (int k = 0; k < MODEL_N_CLASSES; ++k)
            printf(" %.9g", (double)p[k]);
        printf("\\n");
    }
    return 0;
}
"""


def assert_program_is_right(text, model):
    """Compare the lines that PROGRAM prints with the estimator; the third row has numbers that overflow."""
    lines = [line.split() for line in text.splitlines()]
    rows = np.array([[1, 2, 3, 4, 5], [-1e3, 1e4, 0, -7, 2], [0] * 5], np.float32)
    for number, row in zip((0, 1, 3), rows, strict=True):
        index, label, *probabilities = lines[number]
        assert (model.classes_[int(index)], label) == (model.predict(row[None])[0],) * 2
        assert_allclose(np.array(probabilities, float), model.predict_proba(row[None])[0], rtol=1e-5, atol=1e-7)
    assert 0 <= int(lines[2][0]) < 3


@pytest.mark.slow
@needs_cpp_compiler
@pytest.mark.parametrize("standard", ["c++98", "c++17"])
def test_header_in_a_cpp_program(tmp_path, standard):
    model, _ = fitted("multiclass_folded", "float")
    model.export_c(tmp_path / "model.c")
    (tmp_path / "main.cpp").write_text(PROGRAM)
    flags = [f"-std={standard}", *STRICT[1:]]
    run("cc", *STRICT, "-c", "model.c", folder=tmp_path)
    run("c++", *flags, "main.cpp", "model.o", "-lm", "-o", "main", folder=tmp_path)
    assert_program_is_right(run("./main", folder=tmp_path), model)
    run("c++", *flags, "-x", "c++", "main.cpp", "model.c", "-lm", "-o", "main", folder=tmp_path)  # the source is also C++
    assert_program_is_right(run("./main", folder=tmp_path), model)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    "case", ["multiclass_folded", "multiclass_layer_norm", "multiclass_own_activations", "multiclass_no_hidden"]
)
def test_memory_errors_and_undefined_behavior(tmp_path, case):
    model, _ = fitted(case, "float")
    model.export_c(tmp_path / "model.c")
    (tmp_path / "main.c").write_text(PROGRAM.replace("main()", "main(void)"))
    flags = ["-std=c99", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    run("cc", *flags, "main.c", "model.c", "-lm", "-o", "main", folder=tmp_path)
    assert_program_is_right(run("./main", folder=tmp_path), model)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("flags", [["-O0"], ["-O3"], ["-Os"], ["-O2", "-ffast-math"]], ids=str)
def test_optimization_levels(tmp_path, flags):
    cases = ("multiclass_folded", "regressor_plain", "activation_softplus", "activation_mish", "activation_silu", "quantiles")
    models = {case: fitted(case, "float") for case in cases}
    for case, (model, _) in models.items():
        model.export_c(tmp_path / f"{case}.c")
    library = compiled(tmp_path, cases, "-std=c99", *flags)
    for case, (model, rows) in models.items():
        assert_same_predictions(model, CompiledModel(library, tmp_path, case, "float"), rows, 1e-5)


@pytest.mark.slow
@needs_compiler
def test_fast_math_is_refused_if_there_are_missing_values(tmp_path):
    model, _ = fitted("regressor_missing")
    with pytest.raises(AssertionError, match="missing values are NaN: compile this file without -ffast-math"):
        export_and_compile(tmp_path, model, "-ffast-math")


@pytest.mark.slow
@needs_compiler
def test_constants_in_flash_memory(tmp_path):
    """The code for AVR processors reads all constants with the macros of avr-libc, which here check the address."""
    (tmp_path / "avr").mkdir()
    (tmp_path / "avr" / "pgmspace.h").write_text(
        '#define PROGMEM __attribute__((section("flash")))\nextern const float __start_flash[], __stop_flash[];\nint n_reads;\n'
        "static float pgm_read_float(const float *p) { ++n_reads; return __start_flash <= p && p < __stop_flash ? *p : -1e9f; }\n"
    )
    model, rows = fitted("regressor_missing", "float")
    exported = export_and_compile(tmp_path, model, "-std=c99", "-D__AVR__", f"-I{tmp_path}")
    assert_same_predictions(model, exported, rows, 1e-5)
    n_constants = sum(array.size for array in (*model.coefs_, *model.intercepts_))
    assert n_constants * len(rows) < ctypes.c_int.in_dll(exported.library, "n_reads").value <= (n_constants + 5) * len(rows)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("case", "dtype", "flags", "message"),
    [
        ("regressor_plain", "double", ["-D__SIZEOF_DOUBLE__=4"], "export the model with dtype='float'"),
        ("regressor_own_activations", "float", ["-D__AVR__"], "has no erfc, which gelu needs"),
    ],
)
def test_processors_that_cannot_compute_the_model(tmp_path, case, dtype, flags, message):
    model, _ = fitted(case, dtype)
    (tmp_path / "avr").mkdir()
    (tmp_path / "avr" / "pgmspace.h").write_text("#define PROGMEM\n#define pgm_read_float(p) (*(p))\n")
    with pytest.raises(AssertionError, match=message):
        export_and_compile(tmp_path, model, "-std=c99", "-U__SIZEOF_DOUBLE__", f"-I{tmp_path}", *flags)


# ---------------------------------------------------------------------- the page of the documentation

ARDUINO = """
#include <stdio.h>
struct { void begin(long) {} void print(const char *text) { printf("%s", text); }
         void println(double number, int digits) { printf("%.*f\\n", digits, number); } } Serial;
void delay(unsigned long) {}
"""


@pytest.mark.slow
@needs_cpp_compiler
def test_sketch_in_the_documentation(tmp_path):
    """The sketch runs with replacements for the functions of Arduino, and prints the stated text for the model on the page."""
    page = (DOCS / "c_export.md").read_text(encoding="utf-8")
    code, sketch = (re.search(rf"^```{name}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1] for name in ("python", "cpp"))
    names = {}
    exec("".join(example.source for example in doctest.DocTestParser().get_examples(code)), names)
    names["model"].export_c(tmp_path / "iris.c", dtype="float")
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    (tmp_path / "sketch.cpp").write_text(f'#include "Arduino.h"\n{sketch}\nint main() {{ setup(); loop(); }}\n')
    run("cc", *STRICT, "-c", "iris.c", folder=tmp_path)
    run("c++", "-std=gnu++11", "-Wall", "-Wextra", "-Werror", "sketch.cpp", "iris.o", "-lm", "-o", "sketch", folder=tmp_path)
    printed = run("./sketch", folder=tmp_path).strip()
    row = pd.DataFrame([[5.9, 3.0, 5.1, 1.8]], columns=names["iris"].feature_names)
    assert printed == f"{names['model'].predict(row)[0]} {names['model'].predict_proba(row).max():.3f}"
    assert f"It prints `{printed}`" in page
    assert f"| stack for arrays | {macros(tmp_path, 'iris')['STACK_BYTES']} bytes |" in page


# ---------------------------------------------------------------------- memory


@pytest.mark.slow
@needs_compiler
def test_bytes_of_constants(tmp_path):
    """The number in the header is the size of all constant arrays; the function returns the sum of their sizes."""
    model, _ = fitted("regressor_missing")
    model.export_c(tmp_path / "model.c")
    names = re.findall(r"^static const double (\w+)\[", (tmp_path / "model.c").read_text(), re.MULTILINE)
    sizes = " + ".join(f"sizeof({name})" for name in names)
    library = compiled(tmp_path, ["model"], code=f"int all_bytes(void);\nint all_bytes(void) {{ return (int)({sizes}); }}\n")
    expected = 8 * (5 + sum(array.size for array in (*model.coefs_, *model.intercepts_)))
    assert library.all_bytes() == macros(tmp_path, "model")["CONSTANT_BYTES"] == expected


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("case", ["multiclass_plain", "regressor_missing", "multioutput_layer_norm", "binary_no_hidden"])
def test_bytes_on_the_stack(tmp_path, case):
    """The compiler reports the stack of each function. The sum is that of the arrays and of the frames of a few functions."""
    cls, params, y = CASES[case]
    sizes = {} if case.endswith("no_hidden") else {"hidden_layer_sizes": (60, 80, 40)}
    cls(**SMALL | params | sizes).fit(rows_of(params), y).export_c(tmp_path / "model.c")
    run("cc", "-std=c99", "-O0", "-fstack-usage", "-c", "model.c", folder=tmp_path)
    used = {line.split()[0].rpartition(":")[2]: int(line.split()[1]) for line in (tmp_path / "model.su").read_text().splitlines()}
    stated = macros(tmp_path, "model")["STACK_BYTES"]
    assert stated <= sum(size for name, size in used.items() if name != "model_predict_proba") < stated + 900
    assert stated == 8 * (
        140 * bool(sizes) + {"regressor_missing": 7, "multiclass_plain": 3, "multioutput_layer_norm": 7}.get(case, 1)
    )


@pytest.mark.slow
def test_all_variables_outside_of_functions_are_constant(tmp_path):
    for case in CASES:
        model, _ = fitted(case)
        model.export_c(tmp_path / f"{case}.c")
        source = (tmp_path / f"{case}.c").read_text()
        lines = [line for line in source.splitlines() if line and not re.match(r"[\s#/{}]", line)]
        variables = [line for line in lines if not line.endswith(")")]  # the others are heads of functions
        assert len(variables) == source.count("= {") > 1
        assert all(re.match(r"(static )?const (\w+|char \*const) \w+\[\d+\] (\w+ )?= \{", line) for line in variables)
        assert re.findall(r"#include (.*)", source) == [f'"{case}.h"', "<math.h>"] + ["<avr/pgmspace.h>"] * ("__AVR__" in source)
        assert not re.search(r"^[ \t]+static|alloc\(", source, re.MULTILINE)


@pytest.mark.slow
@needs_compiler
def test_several_threads(tmp_path):
    model, rows = fitted("multioutput_missing", "float")
    exported = export_and_compile(tmp_path, model)
    expected = exported.predict_proba(rows)
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(lambda _: exported.predict_proba(rows), range(100)):
            assert_close_probabilities(results, expected, rtol=0)


# ---------------------------------------------------------------------- files


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model, _ = fitted("multiclass_folded")
    contents = []
    for folder, one in (("a", model), ("b", model), ("c", pickle.loads(pickle.dumps(model)))):
        (tmp_path / folder).mkdir()
        one.export_c(str(tmp_path / folder / "model.c"))
        contents.append([(tmp_path / folder / name).read_bytes() for name in ("model.c", "model.h")])
    assert contents[0] == contents[1] == contents[2]
    assert b"\r" not in contents[0][0] + contents[0][1]
    model.export_c(os.fsencode(tmp_path / "a" / "model.c").decode(), prefix="other")
    assert (tmp_path / "a" / "model.h").read_bytes() == contents[0][1].replace(b"model_", b"other_").replace(b"MODEL_", b"OTHER_")


def test_existing_files_are_replaced_together(tmp_path, monkeypatch):
    model, _ = fitted("binary_plain")
    source, header = tmp_path / "model.c", tmp_path / "model.h"
    for path in (source, header):
        path.write_text("old")
    synchronize, calls = os.fsync, []

    def full_disk(number):
        calls.append(number)
        if len(calls) == 2:
            raise OSError("no space left")
        synchronize(number)

    with monkeypatch.context() as patches:
        patches.setattr("fastbp._c_export.files.os.fsync", full_disk)
        with pytest.raises(OSError, match="no space left"):
            model.export_c(source)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"model.c": "old", "model.h": "old"}
    model.export_c(source)
    assert "binary_plain" not in source.read_text()
    assert "model_predict" in header.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.c", "model.h"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_mode_of_the_files_is_that_of_other_new_files(tmp_path):
    model, _ = fitted("binary_plain")
    model.export_c(tmp_path / "model.c")
    (tmp_path / "other").touch()
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "other").stat().st_mode}


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("model.cpp", {}, ValueError, r"path must be the name of a C file.*got '.*model\.cpp'\. Use 'model\.c'"),
        ("model", {}, ValueError, r"Use 'model\.c'"),
        (".c", {}, ValueError, r"Use 'network\.c'"),
        ("math.c", {}, ValueError, r"a header of the C library; got 'math\.c'\. Use 'math_network\.c'"),
        ("String.c", {"prefix": "a"}, ValueError, r"a header of the C library; got 'String\.c'"),
        (
            "my-model.c",
            {},
            ValueError,
            r"the name of the file in path, without .c, must.*got 'my-model'\. Use prefix='my_model', for example\.",
        ),
        ("int.c", {}, ValueError, "not a keyword; got 'int'. Use prefix='network_int'"),
        ("2.c", {}, ValueError, "Use prefix='network_2'"),
        ("-.c", {}, ValueError, "Use prefix='network'"),
        ('a"b.c', {"prefix": "a"}, ValueError, "path must have a file name of ASCII letters"),
        ("é.c", {"prefix": "a"}, ValueError, "path must have a file name of ASCII letters"),
        ("model.c", {"prefix": "class"}, ValueError, "prefix must be a valid prefix for names in C.*got 'class'"),
        ("model.c", {"prefix": "é"}, ValueError, "got 'é'"),
        ("model.c", {"prefix": "_x"}, ValueError, "a letter, then ASCII letters.*Use prefix='x'"),
        ("model.c", {"prefix": 3}, ValueError, "prefix must be a valid prefix.*not a keyword; got 3"),
        ("model.c", {"prefix": "a\n"}, ValueError, r"prefix must be a valid prefix.*got 'a\\n'"),
        ("model.c", {"dtype": "float32"}, ValueError, "dtype must be None, 'float' or 'double', the types of C; got 'float32'"),
        ("model.c", {"dtype": ["float"]}, ValueError, "dtype must be None, 'float' or 'double'"),
        ("missing/model.c", {}, FileNotFoundError, "path must be in an existing folder"),
        ("folder.c", {}, IsADirectoryError, "is a folder"),
        ("header.c", {}, IsADirectoryError, r"header\.h.* is a folder"),
    ],
)
def test_invalid_arguments(tmp_path, name, options, error, message):
    (tmp_path / "folder.c").mkdir()
    (tmp_path / "header.h").mkdir()
    model, _ = fitted("binary_plain")
    with pytest.raises(error, match=message):
        model.export_c(tmp_path / name, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.c", "header.h"]


@pytest.mark.slow
def test_user_defined_activations_are_refused(tmp_path):
    model = MLPRegressor(**SMALL, activation=["relu", Activation(softsign)]).fit(X, VALUES)
    with pytest.raises(ValueError, match=r"activation must be one of \['elu'.*got Activation\(softsign\).*Fit the estimator"):
        model.export_c(tmp_path / "model.c")
    assert list(tmp_path.iterdir()) == []


def test_invalid_networks(tmp_path):
    path = tmp_path / "model.c"
    with pytest.raises(NotFittedError):
        MLPRegressor().export_c(path)
    model = one_unit("tanh")
    model.coefs_[1][0] = -1e39
    with pytest.raises(ValueError, match=r"output layer: 1 rows of 1 weights has 1e\+39. Use dtype='double'"):
        model.export_c(path, dtype="float")
    model.intercepts_[0][0] = np.nan
    with pytest.raises(
        ValueError, match="coefs_ and intercepts_ must be finite to be exported, but hidden layer 1: biases contains nan"
    ):
        model.export_c(path)
    assert list(tmp_path.iterdir()) == []
