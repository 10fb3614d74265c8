"""An ONNX model of a fitted estimator.

A fitted estimator and options go in; an ``onnx.ModelProto`` comes out: the nodes of the network, the types of inputs and outputs,
the names of the features and a description. This module does not know the expressions of activations.
"""

import json

import numpy as np

from .._exported_network import exported_network
from ._labels import integer_classes, predicted_labels, probabilities, stored_classes
from ._network import check_activations, network_outputs
from ._tensors import NewGraph, Tensor, imported_onnx

_LOWEST_OPSET, _DEFAULT_OPSET = 13, 18
_ROWS = "N"  # the name of the dimension of rows


def onnx_model(est, dtype, zipmap, target_opset, input_name):
    """Return the model; see `MLPClassifier.to_onnx`."""
    onnx = imported_onnx("to_onnx")
    _check_options(onnx, dtype, zipmap, target_opset, input_name)
    network = exported_network(est)
    check_activations(network)
    dtype = network.dtype if dtype == "auto" else np.dtype(dtype)
    if network.labels is None:
        graph, outputs = _graph_of_regressor(network, dtype, input_name)
    else:
        graph, outputs = _graph_of_classifier(network, dtype, zipmap, input_name)
    return _model_of(onnx, network, graph, _value_info(onnx, input_name, dtype, [_ROWS, network.n_features]), outputs, target_opset)


def _check_options(onnx, dtype, zipmap, target_opset, input_name):
    """Raise a ValueError for an option that is not valid."""
    if dtype not in ("auto", "float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be 'auto', 'float32' or 'float64', got {dtype!r}.")
    if not isinstance(zipmap, (bool, np.bool_)):
        raise ValueError(f"zipmap must be True or False, got {zipmap!r}.")
    newest = onnx.defs.onnx_opset_version()
    is_number = isinstance(target_opset, (int, np.integer)) and not isinstance(target_opset, bool)
    if target_opset is not None and not (is_number and _LOWEST_OPSET <= target_opset <= newest):
        raise ValueError(
            f"target_opset must be None or an integer from {_LOWEST_OPSET} to {newest}, the newest opset of the installed version of "
            f"onnx; got {target_opset!r}."
        )
    if not isinstance(input_name, str) or not input_name or input_name in _OUTPUT_NAMES:
        raise ValueError(
            f"input_name must be a string that is not empty and not the name of an output, which are {_OUTPUT_NAMES}; got "
            f"{input_name!r}."
        )


_OUTPUT_NAMES = ("label", "probabilities", "output_label", "output_probability", "variable")


def _graph_of_regressor(network, dtype, input_name):
    """Return the graph of a regressor, and its output as a list of ``ValueInfoProto``."""
    graph = NewGraph(dtype, (input_name,))
    (predicted,) = network_outputs(network, Tensor(graph, input_name))
    predicted, shape = shaped_prediction(network, predicted)
    graph.name_output(predicted, "variable")
    return graph, [_value_info(imported_onnx("to_onnx"), "variable", dtype, [_ROWS, *shape])]


def shaped_prediction(network, predicted):
    """Return the prediction of a regressor with the shape of `predict`, except that a single output is a column; and this shape."""
    n_outputs, n_quantiles = network.sizes[-1], network.n_quantiles
    if n_quantiles == 1 or n_quantiles == n_outputs:
        shape = [n_outputs]
    else:
        shape = [n_outputs // n_quantiles, n_quantiles]
    return (predicted.apply("Reshape", np.array([0, *shape])) if network.link == "ordered_quantiles" else predicted), shape


def _graph_of_classifier(network, dtype, zipmap, input_name):
    """Return the graph of a classifier, and its outputs as a list of ``ValueInfoProto``."""
    labels, onnx = network.labels, imported_onnx("to_onnx")
    if zipmap and labels.kind == "multioutput":
        raise ValueError(
            "zipmap must be False for a y with several multiclass columns, because each column has its own classes; got True."
        )
    graph, stored = NewGraph(dtype, (input_name,)), stored_classes(labels)
    if zipmap:
        stored = [integer_classes(classes) for classes in stored]
    outputs = network_outputs(network, Tensor(graph, input_name))
    predicted, parts = predicted_labels(labels, outputs, stored), probabilities(labels, outputs)
    name_of_label, name_of_probabilities = _OUTPUT_NAMES[2:4] if zipmap else _OUTPUT_NAMES[:2]
    graph.name_output(predicted, name_of_label)
    info = [_value_info(onnx, name_of_label, *_label_type(network, stored))]
    if zipmap:
        return graph, [*info, _zipped(onnx, graph, parts[0], stored[0], name_of_probabilities)]
    if labels.kind == "multioutput":
        return graph, [*info, _sequence(onnx, graph, parts, name_of_probabilities)]
    graph.name_output(parts[0], name_of_probabilities)
    return graph, [*info, _value_info(onnx, name_of_probabilities, dtype, [_ROWS, _n_probabilities(network)])]


def _n_probabilities(network):
    return 2 if network.labels.kind == "binary" else network.sizes[-1]


def _label_type(network, stored):
    """Return the type and the shape of the labels."""
    kind = network.labels.kind
    if kind == "multilabel":
        return np.dtype(np.int64), [_ROWS, network.sizes[-1]]
    return stored[0].dtype, [_ROWS] if kind in ("binary", "multiclass") else [_ROWS, len(stored)]


def _zipped(onnx, graph, part, classes, name):
    """Add the operator ZipMap, which returns a dict from label to probability for each row, and return its type."""
    helper, proto = onnx.helper, onnx.TensorProto
    if len(classes) == 1:
        part = part.apply("Gather", np.array([0]), axis=1)
    part = part.apply("Cast", to=proto.FLOAT)  # ZipMap has no float64
    is_text = classes.dtype == object
    attribute = "classlabels_strings" if is_text else "classlabels_int64s"
    node = helper.make_node("ZipMap", [part.name], [name], name="ZipMap", domain="ai.onnx.ml", **{attribute: classes.tolist()})
    graph.nodes.append(node)
    values = helper.make_tensor_type_proto(proto.FLOAT, [])
    key = proto.STRING if is_text else proto.INT64
    return helper.make_value_info(name, helper.make_sequence_type_proto(helper.make_map_type_proto(key, values)))


def _sequence(onnx, graph, parts, name):
    """Add the sequence of the probabilities of all columns of y, and return its type."""
    graph.name_output(parts[0].apply("SequenceConstruct", *parts[1:]), name)
    element = onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(graph.dtype), [_ROWS, None])
    return onnx.helper.make_value_info(name, onnx.helper.make_sequence_type_proto(element))


def _value_info(onnx, name, dtype, shape):
    """Return the type of an input or output."""
    kind = onnx.TensorProto.STRING if dtype == object else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def _model_of(onnx, network, graph, X, outputs, target_opset):
    """Return the model with its description."""
    from .. import __version__

    opsets = [onnx.helper.make_opsetid("", _DEFAULT_OPSET if target_opset is None else int(target_opset))]
    if any(node.domain == "ai.onnx.ml" for node in graph.nodes):
        opsets.append(onnx.helper.make_opsetid("ai.onnx.ml", 1))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, network.estimator, [X], outputs, graph.initializers),
        producer_name="fastbp",
        producer_version=__version__,
        doc_string=_description(network),
        opset_imports=opsets,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
    )
    properties = {"feature_names": network.feature_names, "quantiles": network.quantiles}
    onnx.helper.set_model_props(model, {name: json.dumps(values) for name, values in properties.items() if values})
    return model


def _description(network):
    activations = ", ".join(network.activations) or "none"
    sizes = "-".join(map(str, network.sizes))
    return f"{network.estimator}: layers {sizes}; activations of the hidden layers: {activations}; output activation: {network.link}"
