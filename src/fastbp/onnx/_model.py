"""An ONNX model of a fitted estimator.

A fitted estimator and options go in; an ``onnx.ModelProto`` comes out: the nodes of the network, the types of inputs and outputs,
the names of the features and a description. This module does not know the expressions of activations.
"""

import json

import numpy as np

from .._exported_network import exported_network
from ._labels import integer_classes, label_nodes, probability_nodes, stored_classes
from ._network import check_convertible, output_nodes
from ._tensors import NewGraph, Tensor, imported_onnx

LOWEST_OPSET, DEFAULT_OPSET = 13, 18
ROW_DIMENSION = "N"  # the name of the dimension of rows
PREDICTION, LABEL, PROBABILITIES, _ZIPPED_LABEL, _ZIPPED_PROBABILITIES = _OUTPUT_NAMES = (
    *("variable", "label", "probabilities", "output_label", "output_probability"),
)


def onnx_model(est, dtype, zipmap, target_opset, input_name):
    """Return the model; see `MLPClassifier.to_onnx`."""
    onnx = imported_onnx("to_onnx")
    _check_onnx_options(dtype, zipmap, target_opset, onnx.defs.onnx_opset_version(), input_name)
    network = exported_network(est)
    check_convertible(network)
    graph = NewGraph(network.dtype if dtype == "auto" else dtype, (input_name,))
    outputs = output_nodes(network, Tensor(graph, input_name))
    if network.labels is None:
        types = [_prediction_output(network, graph, outputs)]
    else:
        types = _classifier_outputs(network, graph, outputs, zipmap)
    X = tensor_info(input_name, graph.dtype, [ROW_DIMENSION, network.n_features])
    opsets = [onnx.helper.make_opsetid("", DEFAULT_OPSET if target_opset is None else int(target_opset))]
    opsets += [onnx.helper.make_opsetid("ai.onnx.ml", 1)] * any(node.domain == "ai.onnx.ml" for node in graph.nodes)
    return _described_model(network, onnx.helper.make_graph(graph.nodes, network.estimator, [X], types, graph.initializers), opsets)


def _check_onnx_options(dtype, zipmap, target_opset, newest_opset, input_name):
    """Raise a ValueError for an option that is not valid."""
    check_dtype(dtype)
    if not isinstance(zipmap, (bool, np.bool_)):
        raise ValueError(f"zipmap must be True or False, got {zipmap!r}.")
    check_opset(target_opset, newest_opset)
    if not isinstance(input_name, str) or not input_name or input_name in _OUTPUT_NAMES:
        raise ValueError(
            f"input_name must be a string that is not empty and not the name of an output, one of {_OUTPUT_NAMES}; got "
            f"{input_name!r}."
        )


def check_dtype(dtype):
    """Raise a ValueError for an invalid value of the parameter `dtype`."""
    if not isinstance(dtype, (str, type, np.dtype)) or dtype not in ("auto", "float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be 'auto', 'float32' or 'float64', got {dtype!r}.")


def check_opset(target_opset, newest_opset):
    """Raise a ValueError for an invalid value of the parameter `target_opset`."""
    is_number = isinstance(target_opset, (int, np.integer)) and not isinstance(target_opset, bool)
    if target_opset is not None and not (is_number and LOWEST_OPSET <= target_opset <= newest_opset):
        raise ValueError(
            f"target_opset must be None or an integer from {LOWEST_OPSET} to {newest_opset}, which is the newest opset of the "
            f"installed version of onnx; got {target_opset!r}."
        )


# ---------------------------------------------------------------------- outputs: nodes and types


def _prediction_output(network, graph, outputs):
    """Add the output of a regressor."""
    graph.output("Identity", [shaped_prediction(network, outputs[0])], PREDICTION)
    return tensor_info(PREDICTION, graph.dtype, [ROW_DIMENSION, *shape_of_prediction(network)])


def shape_of_prediction(network):
    """Return the shape of the prediction of one row by a regressor: that of `predict`, but (1,) for a single number."""
    n_columns, n_quantiles = network.sizes[-1] // network.n_quantiles, network.n_quantiles
    return (n_columns, n_quantiles) if n_columns > 1 and n_quantiles > 1 else (network.sizes[-1],)


def shaped_prediction(network, predicted):
    """Return the outputs of a regressor in the shape of its prediction."""
    if network.link != "ordered_quantiles":
        return predicted
    return predicted.apply("Reshape", np.array([0, *shape_of_prediction(network)]))


def _classifier_outputs(network, graph, outputs, zipmap):
    """Add the labels and the probabilities."""
    labels, stored = network.labels, stored_classes(network.labels)
    if zipmap and labels.kind == "multioutput":
        raise ValueError(
            "zipmap must be False for a y with several multiclass columns, because each column has its own classes; got True."
        )
    if zipmap:
        stored = [integer_classes(classes) for classes in stored]
    parts = probability_nodes(labels, outputs)
    return [
        _label_output(network, graph, label_nodes(labels, outputs, stored), stored, _ZIPPED_LABEL if zipmap else LABEL),
        _zipped_output(graph, parts[0], stored[0]) if zipmap else _probability_output(network, graph, parts),
    ]


def _label_output(network, graph, predicted, stored, name):
    """Add the labels."""
    kind = network.labels.kind
    dtype = np.dtype(np.int64) if kind == "multilabel" else stored[0].dtype
    columns = {"multilabel": [network.sizes[-1]], "multioutput": [len(stored)]}.get(kind, [])
    graph.output("Identity", [predicted], name)
    return tensor_info(name, dtype, [ROW_DIMENSION, *columns])


def _probability_output(network, graph, parts):
    """Add the probabilities: a tensor, or a sequence with a tensor for each column of a multioutput y."""
    from onnx import helper

    if network.labels.kind != "multioutput":
        graph.output("Identity", parts, PROBABILITIES)
        return tensor_info(PROBABILITIES, graph.dtype, [ROW_DIMENSION, max(2, network.sizes[-1])])
    graph.output("SequenceConstruct", parts, PROBABILITIES)
    element = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(graph.dtype), [ROW_DIMENSION, None])
    return helper.make_value_info(PROBABILITIES, helper.make_sequence_type_proto(element))


def _zipped_output(graph, part, classes):
    """Add the probabilities as a dict for each row; a single class has one of the two columns."""
    from onnx import TensorProto, helper

    part = part.apply("Gather", np.array([0]), axis=1) if len(classes) == 1 else part
    part = part.apply("Cast", to=TensorProto.FLOAT)  # ZipMap is defined for float32 only
    is_text = classes.dtype == object
    attribute = {"classlabels_strings" if is_text else "classlabels_int64s": classes.tolist()}
    graph.output("ZipMap", [part], _ZIPPED_PROBABILITIES, domain="ai.onnx.ml", **attribute)
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    pairs = helper.make_map_type_proto(TensorProto.STRING if is_text else TensorProto.INT64, number)
    return helper.make_value_info(_ZIPPED_PROBABILITIES, helper.make_sequence_type_proto(pairs))


def tensor_info(name, dtype, shape):
    """Return the type of a tensor that is an input or an output; the dtype object is that of strings."""
    from onnx import TensorProto, helper

    kind = TensorProto.STRING if dtype.kind == "O" else helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, shape)


# ---------------------------------------------------------------------- description


def _described_model(network, graph, opsets):
    """Return the model of a graph with a description."""
    from onnx import helper

    from .. import __version__

    model = helper.make_model(
        graph,
        producer_name="fastbp",
        producer_version=__version__,
        doc_string=_doc_string(network),
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    properties = {"feature_names": network.feature_names, "quantiles": network.quantiles}
    helper.set_model_props(model, {name: json.dumps(values) for name, values in properties.items() if values})
    return model


def _doc_string(network):
    """Return a sentence about the network."""
    activations, sizes = ", ".join(network.activations) or "none", "-".join(map(str, network.sizes))
    return (
        f"{network.estimator}: layers {sizes}; activations of the hidden layers: {activations}; output activation: {network.link}"
    )
