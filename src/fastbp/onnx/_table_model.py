"""An ONNX model of a fitted estimator for tables.

The ensemble of an estimator and options go in; an ``onnx.ModelProto`` comes out: the preparation of the columns, the networks of
all members, and the mean of their outputs. This module does not know how columns become numbers and codes.
"""

import json
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .._data.numeric_inputs import LARGEST_INPUT, SMOOTH_LIMIT
from .._network.encoders import edges_of_encoder, means_of_encoder
from ._activations import ACTIVATION_EXPRESSIONS, ordered_quantile_nodes
from ._labels import stored_classes
from ._model import DEFAULT_OPSET, LABEL, PREDICTION, PROBABILITIES, ROW_DIMENSION, check_dtype, check_opset, tensor_info
from ._table_inputs import FLOAT, MATRIX_NAME, check_columns, needs_float64, table_inputs
from ._tensors import NewGraph, imported_onnx

_TABLE_OUTPUTS = (PREDICTION, LABEL, PROBABILITIES)
_DOUBLE = 11  # TensorProto.DOUBLE
_ML_OPSET = 2  # the first with LabelEncoder for strings and integers


class TableModel(NamedTuple):
    """What is converted: the name of the class, its ``Ensemble``, and the classes and the temperature, or the shape of predictions.

    ``shape`` (n_columns, n_quantiles) is that of the predictions of one row without axes of length 1, but at least one axis.
    """

    estimator: str
    ensemble: Any
    classes: np.ndarray | None
    temperature: float | None
    shape: tuple[int, ...]


def onnx_table_model(table, dtype, target_opset):
    """Return the model of a ``TableModel``; see `RealMLPClassifier.to_onnx`."""
    onnx = imported_onnx("to_onnx")
    check_dtype(dtype)
    check_opset(target_opset, onnx.defs.onnx_opset_version())
    ensemble = table.ensemble
    if not ensemble.members:
        raise ValueError("The estimator must have at least one network for a conversion to ONNX, but y had a single class.")
    if ensemble.kind.family != "RealMLP":
        raise ValueError(
            "The estimator must be one of RealMLP: the inputs of TabM cannot be converted to ONNX, which has no operator for the "
            "quantiles of the normal distribution. Use RealMLP, or store the estimator by fastbp.save."
        )
    check_columns(ensemble.reader, _TABLE_OUTPUTS)
    if isinstance(dtype, str) and dtype == "auto":
        dtype = "float64" if needs_float64(ensemble.reader) else "float32"
    dtype, graph = (
        np.dtype(dtype),
        NewGraph(np.float32, (*_TABLE_OUTPUTS, *(column.name for column in ensemble.reader.columns), MATRIX_NAME)),
    )
    inputs = table_inputs(ensemble.reader, graph, dtype)
    mean = _mean([_member_outputs(member, inputs, graph) for member in ensemble.members])
    outputs = _regression_output(table, mean, graph, dtype) if table.classes is None else _label_outputs(table, mean, graph, dtype)
    infos = [tensor_info(name, kind, [ROW_DIMENSION, n_columns]) for name, (kind, n_columns) in inputs.infos]
    opsets = [onnx.helper.make_opsetid("", DEFAULT_OPSET if target_opset is None else int(target_opset))]
    opsets += [onnx.helper.make_opsetid("ai.onnx.ml", _ML_OPSET)] * any(node.domain == "ai.onnx.ml" for node in graph.nodes)
    return _table_model_proto(
        table, onnx.helper.make_graph(graph.nodes, table.estimator, infos, outputs, graph.initializers), opsets
    )


def _mean(outputs):
    """The mean of tensors of float64."""
    total = outputs[0]
    for one in outputs[1:]:
        total = total + one
    return total.apply("Div", total.graph.exact_constant(np.array(float(len(outputs))))) if len(outputs) > 1 else total


# ---------------------------------------------------------------------- a member


def _member_outputs(member, inputs, graph):
    """The probabilities or predictions (n_rows, n_outputs) of a member, in float64."""
    network = member.network
    plan, params = network.plan, network.params
    columns = [*_prepared_numbers(member.inputs, inputs.numbers), *_one_hot_nodes(member.inputs.one_hot, inputs.codes)]
    embedded = [inputs.codes[j] for j in member.embedded]
    if not columns and not embedded:  # a network has at least one input, which is 0
        raise ValueError(
            "The estimator must have a column with values for a conversion to ONNX, but all columns were empty in fit. Predict the "
            "constant result of predict."
        )
    A = _joined(_encoded(plan, params, columns, embedded))
    coefs, intercepts = plan.layout.views(params)
    slopes, start = plan.layout.extra(params, "slopes"), 0
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        Z = A.apply("Gemm", W, b)
        if layer == len(coefs) - 1:
            break
        before, A = A, ACTIVATION_EXPRESSIONS[plan.architecture.activations[layer]](Z)
        if plan.architecture.has_slopes:
            A = Z + (A - Z) * slopes[start : start + len(b)]
            start += len(b)
        if plan.architecture.has_residual(layer, W.shape):
            A = before + A
    return _outputs_of_member(member, Z)


def _outputs_of_member(member, Z):
    target, architecture = member.target, member.network.plan.architecture
    if target is None:
        return Z.apply("Cast", to=_DOUBLE).apply("Softmax", axis=1)
    if architecture.link == "ordered_quantiles":
        n_quantiles = len(architecture.numbers)
        Z = ordered_quantile_nodes(Z, len(target.mean) // n_quantiles, n_quantiles)
        Z = Z.apply("Reshape", np.array([0, len(target.mean)]))
    exact = Z.graph.exact_constant
    Z = Z.apply("Cast", to=_DOUBLE) * exact(target.scale.astype(np.float64)) + exact(target.mean.astype(np.float64))
    if target.limits is not None:
        low, high = (exact(limit.astype(np.float64)) for limit in target.limits)
        Z = Z.maximum(low).apply("Min", high)
    return Z


def _prepared_numbers(inputs, numbers):
    """The scaled numbers, and the indicators of missing numbers, as a list of tensors."""
    if numbers is None or inputs.n_numbers == 0:
        return []
    is_missing = numbers.apply("IsNaN")
    scaled = (numbers - inputs.medians) * inputs.factors
    scaled = is_missing.where(0.0, scaled).apply("Clip", -LARGEST_INPUT, LARGEST_INPUT)
    thirds = scaled / SMOOTH_LIMIT
    parts = [scaled / (thirds * thirds + 1.0).apply("Sqrt")]
    for column, table in zip(inputs.indicators.columns, inputs.indicators.tables, strict=True):
        missing = is_missing.apply("Gather", np.array([column]), axis=1)
        parts.append(missing.where(float(table[1, 0]), float(table[0, 0])))
    return parts


def _one_hot_nodes(one_hot, codes):
    """The scaled one-hot columns, as a list of tensors."""
    parts = []
    for column, table in zip(one_hot.columns, one_hot.tables, strict=True):
        code = codes[column]
        if table.shape[1] == 1:
            parts.append(_rows_of(table, code))
        elif table.shape[1]:
            is_code = code.apply("Equal", np.arange(one_hot.first_code, table.shape[1] + one_hot.first_code)[None, :])
            parts.append(is_code.where(table[1:2], table[:1]))
    return parts


def _rows_of(table, code):
    """The rows (n_rows, n_columns) of a table for codes (n_rows, 1)."""
    return code.graph.constant(np.asarray(table)).apply("Gather", code.apply("Squeeze", np.array([1])), axis=0)


def _encoded(plan, params, columns, embedded):
    """The inputs of the first dense layer as a list of tensors, from prepared columns and codes that have embeddings.

    The prepared columns already include the one-hot columns, which are those of the encoders of the network.
    """
    encoders = plan.architecture.encoders
    if not encoders:
        return columns
    parts: list[Any] = []
    n_used, codes, part = 0, iter(embedded), None
    X: Any = _joined(columns) if columns else None
    for index, encoder in enumerate(encoders):
        values = plan.layout.extra(params, f"encoder_{index}")
        if encoder.kind == "embedding":
            parts.append(_rows_of(values.reshape(encoder.n_units, encoder.n_out), next(codes)))
            continue
        if encoder.kind == "piecewise_linear":
            parts.append(_piecewise_linear_node(encoder, part))
            continue
        width = encoder.n_out if encoder.kind == "one_hot" else encoder.n_columns
        part = X.apply("Gather", np.arange(n_used, n_used + width), axis=1)
        parts += _pbld_nodes(encoder, values, part) if encoder.kind == "pbld" else [part]
        n_used += width
    return parts


def _piecewise_linear_node(encoder, x):
    """The piecewise-linear encoding of columns x, which are those of the encoder before this one; see `_kernels.lazy.encoders`."""
    assert encoder.reads_again
    edges = edges_of_encoder(encoder)
    low, high = (np.concatenate([of_column[part] for of_column in edges]) for part in (slice(None, -1), slice(1, None)))
    places = np.repeat(np.arange(len(edges)), [len(of_column) - 1 for of_column in edges])
    shares = (x.apply("Gather", places, axis=1) - low) / (high - low)
    return shares.apply("Clip", 0.0, 1.0) - means_of_encoder(encoder)


def _pbld_nodes(encoder, values, x):
    """cos(2π x w₁ + b₁)·W₂ + b₂ for each column, then the columns themselves; see `_kernels.lazy.periodic`."""
    n, k = encoder.n_columns, encoder.n_units
    d = encoder.n_out // n - 1
    frequencies, phases, W, b = np.split(values, np.cumsum([n * k, n * k, n * k * d]))
    x = x.apply("Reshape", np.array([0, n, 1]))
    turns = x * (2 * np.pi * frequencies.reshape(1, n, k)) + phases.reshape(1, n, k)
    cosines = turns.apply("Cos").apply("Transpose", perm=[1, 0, 2])  # (n, n_rows, k)
    weighted = cosines.apply("MatMul", W.reshape(n, k, d)) + b.reshape(n, 1, d)
    weighted = weighted.apply("Transpose", perm=[1, 0, 2]).apply("Reshape", np.array([0, n * d]))
    return [weighted, x.apply("Reshape", np.array([0, n]))]


def _joined(parts):
    return parts[0].apply("Concat", *parts[1:], axis=1) if len(parts) > 1 else parts[0]


# ---------------------------------------------------------------------- outputs


def _as_type(tensor, dtype):
    return tensor.apply("Cast", to=FLOAT if dtype == np.float32 else _DOUBLE)


def _regression_output(table, mean, graph, dtype):
    if len(table.shape) > 1:
        mean = mean.apply("Reshape", np.array([0, *table.shape]))
    graph.output("Identity", [_as_type(mean, dtype)], PREDICTION)
    return [tensor_info(PREDICTION, dtype, [ROW_DIMENSION, *table.shape])]


def _label_outputs(table, mean, graph, dtype):
    """Add the labels, and the probabilities after temperature scaling."""
    (stored,) = stored_classes(SimpleNamespace(classes=(table.classes,)))
    label = graph.exact_constant(stored).apply("Gather", mean.apply("ArgMax", axis=1, keepdims=0))
    graph.output("Identity", [label], LABEL)
    if table.temperature is not None:
        exact = graph.exact_constant
        logs = mean.maximum(exact(np.array(np.finfo(np.float64).tiny))).apply("Log")
        mean = (logs / exact(np.array(float(table.temperature)))).apply("Softmax", axis=1)
    graph.output("Identity", [_as_type(mean, dtype)], PROBABILITIES)
    return [
        tensor_info(LABEL, stored.dtype, [ROW_DIMENSION]),
        tensor_info(PROBABILITIES, dtype, [ROW_DIMENSION, len(table.classes)]),
    ]


def _table_model_proto(table, graph, opsets):
    """Return the model of a graph with a description."""
    from onnx import helper

    from .. import __version__

    kind, n_members = table.ensemble.kind, len(table.ensemble.members)
    sizes = "-".join(map(str, kind.settings.hidden_layer_sizes)) or "none"
    model = helper.make_model(
        graph,
        producer_name="fastbp",
        producer_version=__version__,
        doc_string=f"{table.estimator}: {n_members} network(s); hidden layers {sizes}; activation: {kind.settings.activation}",
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    helper.set_model_props(model, {"feature_names": json.dumps([column.name for column in table.ensemble.reader.columns])})
    return model
