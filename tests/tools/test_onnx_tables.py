"""ONNX models of the estimators for tables predict the same as the estimators.

These tests need onnx and onnxruntime.
"""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx.reference import ReferenceEvaluator
from sklearn.exceptions import NotFittedError

from fastbp import RealMLPClassifier, RealMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx", "ignore::FutureWarning:sklearn")

SMALL = {"hidden_layer_sizes": (16, 8), "max_iter": 8, "random_state": 0}
N_ROWS = 200
RNG = np.random.default_rng(0)
KINDS = [RealMLPClassifier, RealMLPRegressor]
each_preset = pytest.mark.parametrize("preset", ["td", "td-s", "best"])
each_kind = pytest.mark.parametrize("kind", KINDS)
NUMBERS = np.column_stack(
    [RNG.normal(size=N_ROWS), RNG.exponential(size=N_ROWS), np.full(N_ROWS, 7.0), RNG.integers(0, 3, N_ROWS)]
).astype(np.float32)
NUMBERS[:20, 1] = NUMBERS[15:30, 0] = np.nan
LABELS = np.where(np.nan_to_num(NUMBERS[:, 0]) > 0, "yes", "no")
VALUES = 1000 + 5 * np.nan_to_num(NUMBERS[:, 0]) + NUMBERS[:, 3]
FRAME = pd.DataFrame(
    {
        "size": NUMBERS[:, 0],
        "two": RNG.choice(["a", "b"], N_ROWS),
        "few": RNG.choice(["x", "y", "ü"], N_ROWS),
        "many": RNG.choice([f"k{i}" for i in range(50)], N_ROWS),
        "code": pd.Categorical(RNG.choice([5, -3, 2**40], N_ROWS)),
        "flag": RNG.random(N_ROWS) > 0.5,
        "empty": [None] * N_ROWS,
        "time": 1e9 + RNG.integers(0, 1000, N_ROWS),
    }
)
FRAME.loc[:9, "two"], FRAME.loc[5:14, "many"], FRAME.loc[20:25, "size"] = None, None, np.nan


def target(kind):
    return LABELS if kind is RealMLPClassifier else VALUES


def inputs_of(model, rows):
    """The inputs of an ONNX model for a matrix or a data frame, as a user would convert them."""
    types = {1: np.float32, 11: np.float64}
    if [info.name for info in model.graph.input] == ["X"]:
        return {"X": np.asarray(rows).astype(types[model.graph.input[0].type.tensor_type.elem_type])}
    inputs = {}
    for info in model.graph.input:
        column, kind = rows[info.name], info.type.tensor_type.elem_type
        values = column.astype(object).where(column.notna(), "") if kind == onnx.TensorProto.STRING else column
        inputs[info.name] = np.array(values, object if kind == onnx.TensorProto.STRING else types[kind])[:, None]
    return inputs


def check(est, rows, tolerance=1e-5, **options):
    model = est.to_onnx(**options)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = inputs_of(model, rows)
    for outputs in (session.run(None, inputs), ReferenceEvaluator(model).run(None, inputs)):
        if isinstance(est, RealMLPClassifier):
            probabilities = est.predict_proba(rows)
            assert_allclose(outputs[1], probabilities, rtol=tolerance, atol=tolerance)
            is_clear = np.sort(probabilities)[:, -1] - np.sort(probabilities)[:, -2] > 10 * tolerance
            assert_array_equal(outputs[0][is_clear], est.predict(rows)[is_clear])
        else:
            predicted = est.predict(rows)
            assert_allclose(outputs[0].reshape(predicted.shape), predicted, rtol=tolerance)
    return model


@each_preset
@each_kind
@pytest.mark.parametrize("options", [{}, {"n_cv": 3}])
def test_tables(kind, preset, options):
    est = kind(preset, **SMALL, **options).fit(FRAME, target(kind))
    model = check(est, FRAME)
    assert [info.name for info in model.graph.input] == [name for name in FRAME if name != "empty"]
    assert json.loads(next(prop.value for prop in model.metadata_props if prop.key == "feature_names")) == list(FRAME)
    new = FRAME.assign(two="new", few=None, many="other", code=7, size=np.nan)
    new["code"] = new["code"].astype(float).where(np.arange(N_ROWS) % 2 > 0)
    check(est, new)
    check(est, FRAME.head(1))


@each_preset
@each_kind
@pytest.mark.parametrize("options", [{}, {"categorical_features": [3]}])
def test_matrices(kind, preset, options):
    est = kind(preset, **SMALL, **options).fit(NUMBERS, target(kind))
    model = check(est, NUMBERS)
    assert [info.name for info in model.graph.input] == ["X"]
    check(est, np.full((3, 4), np.nan, np.float32))
    check(est, np.array([[1e30, -1e30, 7, 99], [0, 0, 8, 1]], np.float32))
    check(est, NUMBERS, dtype="float64", target_opset=13)


def test_large_numbers_with_a_small_range_need_float64():
    rows = NUMBERS[:, :2].astype(np.float64) + np.array([1e8, 0])
    est = RealMLPRegressor("td-s", **SMALL).fit(rows, VALUES)
    model = check(est, rows)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


@pytest.mark.parametrize("quantile", [0.3, [0.1, 0.5, 0.9]])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_quantiles_and_several_targets(quantile, n_outputs):
    y = VALUES if n_outputs == 1 else np.column_stack([VALUES, -VALUES])
    check(RealMLPRegressor("td", loss="quantile", quantile=quantile, **SMALL).fit(NUMBERS, y), NUMBERS)


@pytest.mark.parametrize("activation", ["relu", "mish", "gelu", "tanh"])
@pytest.mark.parametrize("parametric_activation", [True, False])
@pytest.mark.parametrize("residual_connections", [True, False])
def test_activations(activation, parametric_activation, residual_connections):
    options = {"activation": activation, "parametric_activation": parametric_activation, "hidden_layer_sizes": (5, 5, 4)}
    est = RealMLPClassifier("td-s", **SMALL | options, residual_connections=residual_connections).fit(NUMBERS, LABELS)
    check(est, NUMBERS)


def test_options_of_classifiers():
    codes = np.digitize(np.nan_to_num(NUMBERS[:, 0]), [-0.5, 0.5])
    check(RealMLPClassifier("td", calibrate="temperature", n_ensemble=2, **SMALL).fit(NUMBERS, codes), NUMBERS)
    check(RealMLPClassifier("td-s", **SMALL | {"hidden_layer_sizes": ()}).fit(NUMBERS, codes), NUMBERS)


@each_preset
def test_tables_with_one_kind_of_column(preset):
    for names in (["many"], ["two"], ["code"], ["size"], ["size", "empty"]):
        check(RealMLPClassifier(preset, **SMALL).fit(FRAME[names], LABELS), FRAME[names])


def test_unsupported_models_are_refused():
    with pytest.raises(NotFittedError):
        RealMLPClassifier().to_onnx()
    fitted = RealMLPClassifier("td-s", **SMALL).fit(NUMBERS, LABELS)
    with pytest.raises(ValueError, match="dtype must be"):
        fitted.to_onnx(dtype="int8")
    with pytest.raises(ValueError, match="target_opset must be"):
        fitted.to_onnx(target_opset=3)
    dates = FRAME[["size"]].assign(day=pd.date_range("2020-01-01", periods=N_ROWS))
    with pytest.raises(ValueError, match="Column 'day' has dates"):
        RealMLPClassifier("td-s", **SMALL).fit(dates, LABELS).to_onnx()
    named = FRAME[["two"]].rename(columns={"two": "label"})
    with pytest.raises(ValueError, match=re.escape("not one of the names of its outputs")):
        RealMLPClassifier("td-s", **SMALL).fit(named, LABELS).to_onnx()
    with pytest.raises(ValueError, match="single class"):
        RealMLPClassifier("td-s", **SMALL).fit(NUMBERS, ["a"] * N_ROWS).to_onnx()
    with pytest.raises(ValueError, match="all columns were empty"):
        RealMLPClassifier("td-s", **SMALL).fit(FRAME[["empty"]], LABELS).to_onnx()
