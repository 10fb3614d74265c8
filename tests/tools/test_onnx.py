"""ONNX models predict the same as the estimators, in onnxruntime and in the reference implementation of ONNX.

The expected values are those of `tests/exported.py` in float64, which `tests/test_exported_network.py` compares with estimators.
These tests need onnx, onnxruntime and skl2onnx.
"""

import json
import re

import exported
import numpy as np
import onnx
import onnxruntime
import pytest
from exported import CODES, COMMON, SMALL, TARGETS, VALUES, WITH_NAN, X, rows_of, softsign, with_limits
from numpy.testing import assert_allclose, assert_array_equal
from onnx.reference import ReferenceEvaluator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import fastbp
from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp._exported_network import exported_network
from fastbp._network.activations import ACTIVATION_NAMES
from fastbp.onnx import register_converters

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::DeprecationWarning:onnx", "ignore::FutureWarning:sklearn"
)

X32 = X.astype(np.float32)
# the largest relative error, and the largest error as a fraction of the largest expected value
TOLERANCES = {"float32": (1e-5, 1e-6), "float64": (1e-12, 1e-14)}
CONVERTIBLE = [params for params in COMMON if not isinstance(params.get("activation"), Activation)]
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def runtime_outputs(model, rows):
    """The outputs of onnxruntime for a checked model."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: rows})


def all_outputs(model, rows):
    """The outputs of onnxruntime and of the reference implementation."""
    with np.errstate(over="ignore"):
        return [runtime_outputs(model, rows), ReferenceEvaluator(model).run(None, {model.graph.input[0].name: rows})]


def assert_close(actual, expected, dtype):
    rtol, fraction = TOLERANCES[dtype]
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, rtol=rtol, atol=fraction * np.abs(expected).max(initial=0))


def check_classifier(classifier, rows, dtype, **options):
    """Compare labels and probabilities with the reference for rows of the given type."""
    network, rows = exported_network(classifier), np.asarray(rows, dtype)
    model = classifier.to_onnx(dtype=dtype, **options)
    for labels, probabilities in all_outputs(model, rows):
        assert_array_equal(labels, exported.reference_predictions(network, rows))
        expected = exported.reference_probabilities(network, rows)
        if not isinstance(expected, list):
            probabilities, expected = [probabilities], [expected]
        for one, other in zip(probabilities, expected, strict=True):
            assert_close(one, other, dtype)


def check_regressor(regressor, rows, dtype, **options):
    """Compare predictions with the reference for rows of the given type."""
    network, rows = exported_network(regressor), np.asarray(rows, dtype)
    expected = exported.reference_predictions(network, rows)
    for (predicted,) in all_outputs(regressor.to_onnx(dtype=dtype, **options), rows):
        assert_close(predicted, expected.reshape(-1, 1) if expected.ndim == 1 else expected, dtype)


# ---------------------------------------------------------------------- predictions


@both_dtypes
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("params", CONVERTIBLE, ids=str)
def test_classifiers(kind, params, loss, dtype):
    rows = rows_of(params)
    check_classifier(MLPClassifier(**SMALL | params, loss=loss).fit(rows, TARGETS[kind]), rows, dtype)


@both_dtypes
@pytest.mark.parametrize(
    ("kind", "out_activation"),
    [
        *((kind, out_activation) for kind in TARGETS for out_activation in ("identity", "relu", "softplus", "exp")),
        *((kind, "softmax") for kind in ("multiclass", "multioutput")),
    ],
)
def test_outputs_of_squared_error_classifiers(kind, out_activation, dtype):
    classifier = MLPClassifier(**SMALL, loss="squared_error", out_activation=out_activation).fit(X, TARGETS[kind])
    check_classifier(classifier, X, dtype)


@both_dtypes
@pytest.mark.parametrize(
    "params", [*CONVERTIBLE, {"scale_y": "standard", "loss": "huber"}, {"loss": "poisson"}, {"loss": "gamma"}], ids=str
)
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
def test_regressors(params, y, dtype):
    rows = rows_of(params)
    check_regressor(MLPRegressor(**SMALL | params).fit(rows, np.abs(y)), rows, dtype)


@both_dtypes
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_activations(activation, layer_norm, dtype):
    check_regressor(MLPRegressor(**SMALL, activation=activation, layer_norm=layer_norm).fit(X, VALUES), X, dtype)


@both_dtypes
@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_activations_of_small_and_large_sums(activation, dtype):
    """Each hidden unit has one input, and each output has the activation of one hidden unit."""
    values = np.concatenate([np.linspace(-60, 60, 241), np.logspace(-30, 3, 67), -np.logspace(-30, 3, 67)]).astype(dtype)
    model = MLPRegressor(hidden_layer_sizes=2, activation=activation, max_iter=1).fit(np.eye(2), np.eye(2))
    for parameters in (*model.coefs_, *model.intercepts_):
        parameters[:] = np.eye(2) if parameters.ndim == 2 else 0
    rows = np.column_stack([values, -values])
    expected = exported.reference_outputs(exported_network(model), rows)
    for (predicted,) in all_outputs(model.to_onnx(dtype=dtype), rows):
        rtol, atol = (2e-6, 1e-36) if dtype == "float32" else (1e-13, 1e-300)
        if activation == "gelu":  # 1 + erf has cancellation in the left tail, in the reference and in float32
            atol = 1e-6 if dtype == "float32" else 1e-14
        assert_allclose(predicted, expected, rtol=rtol, atol=atol)


@both_dtypes
@pytest.mark.parametrize("out_activation", ["identity", "logistic", "relu", "softplus", "exp"])
def test_output_activations(out_activation, dtype):
    check_regressor(MLPRegressor(**SMALL, out_activation=out_activation).fit(X, VALUES), X, dtype)


@both_dtypes
@pytest.mark.parametrize("params", [{}, {"missing": "indicator"}, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}], ids=str)
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
def test_clipped_inputs_and_predictions(y, params, dtype):
    rows = rows_of(params)
    model = MLPRegressor(**SMALL | params, scale="smooth_clip", clip_predictions=True).fit(rows, y)
    check_regressor(with_limits(model, rows), np.vstack([rows, rows[:3] * 1e30]), dtype)


@both_dtypes
@pytest.mark.parametrize("quantile", [[0.5], [0.1, 0.5, 0.9]], ids=str)
@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one output", "two outputs"])
def test_quantiles(y, quantile, dtype):
    model = MLPRegressor(**SMALL, loss="quantile", quantile=quantile).fit(X, y)
    check_regressor(model, X, dtype)
    if len(quantile) > 1:
        assert json.loads(model.to_onnx().metadata_props[0].value) == quantile


def test_dtype_follows_the_parameters():
    for dtype, code in (("float32", onnx.TensorProto.FLOAT), ("float64", onnx.TensorProto.DOUBLE)):
        model = MLPClassifier(**SMALL).fit(X.astype(dtype), CODES)
        converted = model.to_onnx()
        assert {value.type.tensor_type.elem_type for value in (*converted.graph.input, converted.graph.output[1])} == {code}
        for labels, probabilities in all_outputs(converted, X.astype(dtype)):
            assert_array_equal(labels, model.predict(X.astype(dtype)))
            assert_close(probabilities, model.predict_proba(X.astype(dtype)), dtype)


# ---------------------------------------------------------------------- rows


@both_dtypes
@pytest.mark.parametrize("kind", TARGETS)
def test_any_number_of_rows(kind, dtype):
    classifier = MLPClassifier(**SMALL, missing="indicator", layer_norm=True).fit(WITH_NAN, TARGETS[kind])
    model = classifier.to_onnx(dtype=dtype)
    for n_rows in (0, 1, 7):
        rows = WITH_NAN[:n_rows].astype(dtype)
        for labels, probabilities in all_outputs(model, rows):
            if n_rows:
                assert_array_equal(labels, exported.reference_predictions(exported_network(classifier), rows))
            assert len(labels) == n_rows
            assert {len(part) for part in (probabilities if kind == "multioutput" else [probabilities])} == {n_rows}


@pytest.mark.parametrize("params", [{}, {"loss": "quantile", "quantile": [0.1, 0.9]}, {"hidden_layer_sizes": ()}], ids=str)
def test_regressors_of_no_rows_and_one_row(params):
    model = MLPRegressor(**SMALL | params).fit(X, VALUES)
    for n_rows in (0, 1):
        for (predicted,) in all_outputs(model.to_onnx(), X[:n_rows]):
            assert len(predicted) == n_rows
            assert predicted.size == n_rows * exported_network(model).sizes[-1]
    check_regressor(model, X[:1], "float64")


@both_dtypes
@pytest.mark.parametrize("params", [{}, {"layer_norm": True}, {"activation": "tanh"}, {"activation": "mish"}], ids=str)
def test_huge_inputs(params, dtype):
    model = MLPClassifier(**SMALL | params).fit(X, CODES)
    check_classifier(model, X * 1e6, dtype)
    assert np.isfinite(runtime_outputs(model.to_onnx(dtype=dtype), (X * 1e15).astype(dtype))[1]).all()


@both_dtypes
@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_nan_gives_nan(activation, dtype):
    rows = X.astype(dtype)
    rows[::2, 1] = np.nan
    for layer_norm in (False, True):
        model = MLPRegressor(**SMALL, activation=activation, layer_norm=layer_norm).fit(X, VALUES).to_onnx(dtype=dtype)
        predicted = runtime_outputs(model, rows)[0]
        assert_array_equal(np.isnan(predicted), np.isnan(rows[:, [1, 1]]))


def test_nan_in_features_that_had_none_in_training():
    model = MLPClassifier(**SMALL, missing="indicator", scale="standard").fit(X, CODES)
    check_classifier(model, WITH_NAN, "float64")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "multioutput"])
def test_labels_of_equal_outputs(kind):
    """The first class is predicted if all outputs are the same, and no label if all probabilities are 0.5."""
    model = MLPClassifier(**SMALL).fit(X, TARGETS[kind])
    for parameters in (*model.coefs_, *model.intercepts_):
        parameters[:] = 0
    expected = model.predict(X)
    assert len(np.unique(expected, axis=0)) == 1
    for labels, _ in all_outputs(model.to_onnx(), X):
        assert_array_equal(labels, expected)


def test_sums_of_zero_give_equal_probabilities():
    model = MLPClassifier(**SMALL, loss="squared_error", out_activation="identity").fit(X, CODES)
    for parameters in (*model.coefs_, *model.intercepts_):
        parameters[:] = -1
    for _, probabilities in all_outputs(model.to_onnx(), np.abs(X)):
        assert_allclose(probabilities, 1 / 3, rtol=1e-15)


# ---------------------------------------------------------------------- labels


LABELS = {
    "int8": np.array([-1, 3], np.int8),
    "uint64": np.array([0, 2**63 - 1], np.uint64),
    "bool": np.array([False, True]),
    "float": np.array([0.0, 2.0]),
    "str": np.array(["no", "sí"]),
    "object": np.array(["no", "sí"], object),
}


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_types_of_labels(name, zipmap):
    classes = LABELS[name]
    model = MLPClassifier(**SMALL).fit(X, classes[CODES % 2])
    labels, probabilities = runtime_outputs(model.to_onnx(zipmap=zipmap), X)
    assert_array_equal(labels, model.predict(X))
    assert labels.dtype == {"object": object, "str": object, "bool": np.int64 if zipmap else bool}.get(
        name, np.float64 if name == "float" and not zipmap else np.int64
    )
    if zipmap:
        assert all(list(row) == classes.tolist() for row in probabilities)
        probabilities = np.array([list(row.values()) for row in probabilities])
    assert_allclose(probabilities, model.predict_proba(X), rtol=1e-6 if zipmap else 1e-12)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "single_class"])
def test_zipmap(kind):
    model = MLPClassifier(**SMALL).fit(X, TARGETS[kind])
    for n_rows in (0, 1, 60):
        labels, dicts = runtime_outputs(model.to_onnx(zipmap=True), X[:n_rows])
        assert len(labels) == len(dicts) == n_rows
    assert_array_equal(labels, model.predict(X))
    found = np.array([[row[label] for label in model.classes_.tolist()] for row in dicts])
    assert_allclose(found, model.predict_proba(X)[:, : len(model.classes_)], rtol=1e-6)


def test_labels_of_a_sparse_multilabel_y_are_dense():
    sparse = pytest.importorskip("scipy.sparse")
    model = MLPClassifier(**SMALL).fit(X, sparse.csr_matrix(TARGETS["multilabel"]))
    labels, probabilities = runtime_outputs(model.to_onnx(), X)
    assert_array_equal(labels, model.predict(X).toarray())
    assert_allclose(probabilities, model.predict_proba(X), rtol=1e-12)


def test_columns_with_labels_of_different_types():
    model = MLPClassifier(**SMALL)
    model.partial_fit(X, TARGETS["multioutput"], classes=[[0, 1, 2], [0.0, 1.0, 2.0, 3.0]])
    labels, _ = runtime_outputs(model.to_onnx(), X)
    assert_array_equal(labels, model.predict(X))
    assert labels.dtype == np.float64


def test_other_types_of_labels_are_refused():
    model = MLPClassifier(**SMALL).fit(X, CODES)
    for classes in (np.array(["a", 1, 2.0], object), np.array([0, 1, 2**64 - 1], np.uint64)):
        model.classes_ = classes
        with pytest.raises(ValueError, match=r"classes_ must contain only strings.*Convert y to strings or integers"):
            model.to_onnx()
    model.classes_ = np.array([0.5, 1.0, 2.0])
    with pytest.raises(ValueError, match="classes_ must contain only strings or integers for zipmap=True"):
        model.to_onnx(zipmap=True)


# ---------------------------------------------------------------------- the model


def test_names_and_description():
    pandas = pytest.importorskip("pandas")
    names = ["größe", "b", "c", "d", "e"]
    model = MLPClassifier(**SMALL, activation=["tanh", "gelu"]).fit(pandas.DataFrame(X, columns=names), CODES)
    converted = model.to_onnx(input_name="rows")
    assert (converted.producer_name, converted.producer_version) == ("fastbp", fastbp.__version__)
    assert converted.doc_string == (
        "MLPClassifier: layers 5-7-4-3; activations of the hidden layers: tanh, gelu; output activation: softmax"
    )
    assert {prop.key: json.loads(prop.value) for prop in converted.metadata_props} == {"feature_names": names}
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("rows", ["N", 5])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("label", ["N"]), ("probabilities", ["N", 3])]


@pytest.mark.parametrize("target_opset", range(13, 22))
def test_opsets(target_opset):
    model = MLPClassifier(**SMALL, missing="indicator", layer_norm=True, activation=["gelu", "mish"])
    model.fit(WITH_NAN, TARGETS["multioutput"])
    converted = model.to_onnx(target_opset=target_opset)
    assert [opset.version for opset in converted.opset_import] == [target_opset]
    assert_array_equal(runtime_outputs(converted, WITH_NAN)[0], model.predict(WITH_NAN))
    regressor = MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.9]).fit(X, VALUES)
    assert_allclose(runtime_outputs(regressor.to_onnx(target_opset=target_opset), X)[0], regressor.predict(X), rtol=1e-12)


def test_input_with_the_name_of_a_node():
    model = MLPRegressor(**SMALL).fit(X, VALUES)
    for name in ("Gemm_0", "constant_0"):
        assert_allclose(runtime_outputs(model.to_onnx(input_name=name), X)[0], model.predict(X), rtol=1e-12)


def test_the_estimator_does_not_change():
    model = MLPClassifier(**SMALL).fit(X, CODES)
    before = model.predict_proba(X)
    first = model.to_onnx()
    model.to_onnx(dtype="float32", zipmap=True)
    assert_array_equal(model.predict_proba(X), before)
    model.partial_fit(X, CODES)
    assert_array_equal(runtime_outputs(first, X)[0], before.argmax(axis=1))


def test_errors():
    with pytest.raises(NotFittedError):
        MLPRegressor().to_onnx()
    own = MLPRegressor(**SMALL | {"activation": ["tanh", Activation(softsign)]}).fit(X, VALUES)
    with pytest.raises(ValueError, match=r"activation must be one of .*; got Activation\(softsign\)\. Fit the estimator"):
        own.to_onnx()
    model = MLPClassifier(**SMALL).fit(X, TARGETS["multioutput"])
    with pytest.raises(ValueError, match=r"zipmap must be False for a y with several multiclass columns.*got True"):
        model.to_onnx(zipmap=True)
    for options in (
        {"dtype": "float16"},
        {"dtype": ["float32"]},
        {"zipmap": "columns"},
        {"target_opset": 12},
        {"target_opset": 1000},
        {"target_opset": "18"},
        {"input_name": ""},
        {"input_name": "label"},
    ):
        ((name, value),) = options.items()
        with pytest.raises(ValueError, match=rf"^{name} must be .*got {re.escape(repr(value))}\.$"):
            model.to_onnx(**options)


# ---------------------------------------------------------------------- skl2onnx


def converted_by_skl2onnx(model, rows, **options):
    from skl2onnx import to_onnx

    register_converters()
    return to_onnx(model, rows[:1], options={id(model): options} if options else None)


def check_pipeline(model, rows, **options):
    """Compare labels and probabilities, or predictions, of a converted pipeline or ensemble with those of the estimator."""
    first, *others = runtime_outputs(converted_by_skl2onnx(model, rows, **options), rows)
    expected = model.predict(rows)
    if not others:
        assert_allclose(first.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
        return
    assert_array_equal(first, expected)
    (found,) = others
    if isinstance(found, list) and isinstance(found[0], dict):
        found = np.array([[row[label] for label in model.classes_.tolist()] for row in found])
    probabilities = model.predict_proba(rows)
    if isinstance(found, np.ndarray):
        found, probabilities = [found], [probabilities]
    for one, other in zip(found, probabilities, strict=True):
        assert_allclose(one, other[:, : one.shape[1]], rtol=1e-5, atol=1e-6)  # a single class has one column in dicts


ENSEMBLES = {
    "calibrated": lambda one: CalibratedClassifierCV(one, cv=2),
    "grid search": lambda one: GridSearchCV(one, {"alpha": [1e-4, 1e-3]}, cv=2),
    "grid search of a pipeline": lambda one: GridSearchCV(make_pipeline(one), {"mlpclassifier__alpha": [1e-4, 1e-3]}, cv=2),
    "voting": lambda one: VotingClassifier([("a", one), ("b", SklearnClassifier(**SMALL))], voting="soft", flatten_transform=False),
    "bagging": lambda one: BaggingClassifier(one, 2, random_state=0),
    "stacking": lambda one: StackingClassifier([("a", one)], cv=2),
    "one vs. rest": OneVsRestClassifier,
}


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in TARGETS if kind != "multioutput"])
def test_pipelines_of_classifiers(kind, zipmap):
    classifier = MLPClassifier(**SMALL, activation="gelu")
    model = make_pipeline(StandardScaler(), classifier).fit(X32, TARGETS[kind])
    check_pipeline(model, X32, zipmap=zipmap)


@pytest.mark.filterwarnings("ignore:The option zipmap is ignored:UserWarning")
def test_columns_with_a_single_class():
    model = MLPClassifier(**SMALL)
    model.partial_fit(X32, np.column_stack([CODES * 0 + 5, CODES, CODES * 0]), classes=[[5], [0, 1, 2], [0]])
    check_classifier(model, X32, "float32")
    check_pipeline(model, X32)


def test_pipelines_of_several_multiclass_columns():
    model = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(X32, TARGETS["multioutput"])
    check_pipeline(model, X32, zipmap=False)
    check_pipeline(model[-1], X32, zipmap=False)
    with pytest.warns(UserWarning, match="The option zipmap is ignored for a y with several multiclass columns"):
        check_pipeline(model, X32)
    for option, value in (("zipmap", "columns"), ("output_class_labels", True)):
        with pytest.raises(ValueError, match=f"The option {option} must be False for .*; got {value!r}"):
            converted_by_skl2onnx(model[-1], X32, **{"zipmap": False, option: value})


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_and_searches(name):
    check_pipeline(ENSEMBLES[name](MLPClassifier(**SMALL)).fit(X32, TARGETS["multiclass"]), X32)


@both_dtypes
def test_pipelines_of_regressors(dtype):
    rows = X.astype(dtype)
    for params in ({}, {"loss": "quantile", "quantile": [0.1, 0.9]}):
        for y in (VALUES, VALUES[:, 0]):
            check_pipeline(make_pipeline(StandardScaler(), MLPRegressor(**SMALL, **params)).fit(rows, y), rows)
    check_pipeline(VotingRegressor([("a", MLPRegressor(**SMALL))]).fit(rows, VALUES[:, 0]), rows)


def test_pipeline_with_columns_of_different_types():
    pandas = pytest.importorskip("pandas")
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    register_converters()
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "color": np.array(["red", "green", "blue"])[CODES]})
    columns = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"]), ("texts", OneHotEncoder(), ["color"])])
    model = make_pipeline(columns, MLPClassifier(**SMALL)).fit(frame, TARGETS["multiclass"])
    types = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("color", StringTensorType([None, 1]))]
    converted = convert_sklearn(model, initial_types=types, options={id(model): {"zipmap": False}})
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {name: frame[[name]].to_numpy(np.float32 if name in "ab" else object) for name in frame}
    labels, probabilities = session.run(None, inputs)
    assert_array_equal(labels, model.predict(frame))
    assert_allclose(probabilities, model.predict_proba(frame), rtol=1e-5)


def test_options_of_skl2onnx():
    model = MLPClassifier(**SMALL).fit(X32, TARGETS["multiclass"])
    codes, probabilities = runtime_outputs(converted_by_skl2onnx(model, X32, zipmap=False, nocl=True), X32)
    assert_array_equal(model.classes_[codes], model.predict(X32))
    columns = runtime_outputs(converted_by_skl2onnx(model, X32, zipmap="columns"), X32)[1:]
    assert_array_equal(np.column_stack(columns), probabilities)
    *_, classes = runtime_outputs(converted_by_skl2onnx(model, X32, zipmap=False, output_class_labels=True), X32)
    assert_array_equal(classes, model.classes_)


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_names_and_types_are_those_of_scikit_learns_classifier(kind, zipmap):
    def values(classifier):
        graph = converted_by_skl2onnx(classifier.fit(X32, TARGETS[kind]), X32, zipmap=zipmap).graph
        return [(value.name, value.type) for value in (*graph.input, *graph.output)]

    assert values(MLPClassifier(**SMALL)) == values(SklearnClassifier(**SMALL))


def test_float64_and_integers_in_skl2onnx():
    model = MLPClassifier(**SMALL, missing="indicator", layer_norm=True).fit(WITH_NAN, TARGETS["multiclass"])
    labels, probabilities = runtime_outputs(converted_by_skl2onnx(model, WITH_NAN, zipmap=False), WITH_NAN)
    assert_array_equal(labels, model.predict(WITH_NAN))
    assert_close(probabilities, model.predict_proba(WITH_NAN), "float64")
    with pytest.raises(ValueError, match="The option zipmap must be False or 'columns' for float64 inputs"):
        converted_by_skl2onnx(model, X)
    for rows in (np.int64(X * 3), X > 2):
        check_pipeline(MLPClassifier(**SMALL).fit(rows, CODES), rows)


def test_errors_of_converters():
    from skl2onnx import to_onnx

    model = MLPClassifier(**SMALL).fit(X32, CODES)
    register_converters()
    with pytest.raises(ValueError, match="target_opset must be at least 13 for estimators of fastbp, got 12"):
        to_onnx(model, X32[:1], target_opset=12)
    for estimator in (MLPClassifier(), MLPRegressor()):
        with pytest.raises(NotFittedError):
            to_onnx(estimator, X32[:1])
    own = MLPRegressor(**SMALL, activation=Activation(softsign)).fit(X32, VALUES)
    with pytest.raises(ValueError, match=r"got Activation\(softsign\)"):
        to_onnx(make_pipeline(StandardScaler(), own).fit(X32, VALUES), X32[:1])
