"""Converters for skl2onnx, so that it can convert pipelines and other estimators that contain an estimator of fastbp.

The scope, the operator and the container of a conversion by skl2onnx go in; nodes are added to the container. The nodes are those
of ``to_onnx``; types, names and options of the outputs follow skl2onnx. This module does not know the formulas of a network.
"""

import warnings

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._exported_network import exported_network
from ._labels import integer_classes, label_nodes, probability_nodes, stored_classes
from ._model import LOWEST_OPSET, shape_of_prediction, shaped_prediction
from ._network import check_convertible, output_nodes
from ._tensors import GraphWriter, Tensor

_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}


def register_converters() -> None:
    """Register `MLPClassifier` and `MLPRegressor` with skl2onnx.

    After this call, ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` convert estimators of fastbp and pipelines, searches and
    ensembles that contain them. The options of a classifier are 'zipmap', 'nocl' and 'output_class_labels', as for scikit-learn's
    classifiers. A y with several multiclass columns has no 'zipmap'; its probabilities are a sequence of arrays. Labels that are
    bool or float become integers. Subclasses are not registered. A second call has no effect.

    For a single estimator, the method ``to_onnx`` is sufficient; it does not need this function.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    fastbp.MLPClassifier.to_onnx : Convert a single estimator.
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError('register_converters needs skl2onnx, which is not installed: pip install "fastbp[onnx]".') from error
    from .. import MLPClassifier, MLPRegressor

    update_registered_converter(
        MLPClassifier,
        "FastbpMLPClassifier",
        _set_types_of_classifier,
        _convert_classifier,
        parser=_parse_classifier,
        options=_OPTIONS,
    )
    update_registered_converter(MLPRegressor, "FastbpMLPRegressor", _set_types_of_regressor, _convert_regressor)


class _Container(GraphWriter):
    """The graph of a conversion by skl2onnx."""

    def __init__(self, scope, operator, container):
        super().__init__(_dtype_of(operator))
        self._scope, self._container = scope, container

    def _add_constant(self, values):
        from onnx import TensorProto, numpy_helper

        name = self._scope.get_unique_variable_name("constant")
        if values.dtype == object:
            texts = [text.encode() for text in values]
            self._container.add_initializer(name, TensorProto.STRING, values.shape, texts)
        else:
            tensor = numpy_helper.from_array(values)
            self._container.add_initializer(name, tensor.data_type, values.shape, tensor)
        return name

    def _add_node(self, op, inputs, n_outputs, attributes):
        outputs = [self._scope.get_unique_variable_name(op.lower()) for _ in range(n_outputs)]
        self._container.add_node(op, inputs, outputs, name=self._scope.get_unique_operator_name(op), **attributes)
        return outputs

    def output(self, op, tensors, variable):
        """Add the node that computes an output of the operator."""
        name = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, [tensor.name for tensor in tensors], [variable.full_name], name=name)


def _dtype_of(operator):
    """Return the type of the computations: float64 for inputs of this type, and float32 for all others."""
    from skl2onnx.common.data_types import DoubleTensorType

    return np.dtype(np.float64 if isinstance(operator.inputs[0].type, DoubleTensorType) else np.float32)


# ---------------------------------------------------------------------- outputs


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    """Return the outputs of a classifier, with the operators that its options add."""
    from skl2onnx._parse import _parse_sklearn_classifier, _parse_sklearn_simple_model
    from skl2onnx.common.data_types import DoubleTensorType

    check_is_fitted(model)
    if isinstance(model.classes_, list):
        _check_options_of_multioutput(scope, model)
        return _parse_sklearn_simple_model(scope, model, inputs, custom_parsers=custom_parsers)
    if scope.get_options(model, {"zipmap": True})["zipmap"] is True and isinstance(inputs[0].type, DoubleTensorType):
        raise ValueError(
            "The option zipmap must be False or 'columns' for float64 inputs, because the ONNX operator ZipMap is defined for "
            "float32 only; got True, which is the default of skl2onnx. Pass options={id(model): {'zipmap': False}} with the "
            "classifier as model, or convert the inputs to float32."
        )
    return _parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)


def _check_options_of_multioutput(scope, model):
    """Raise a ValueError for options that a y with several multiclass columns does not have; warn if zipmap has its default."""
    options = scope.get_options(model, {"zipmap": True, "output_class_labels": False})
    for name, value in (("zipmap", "columns"), ("output_class_labels", True)):
        if options[name] == value:
            raise ValueError(
                f"The option {name} must be False for a y with several multiclass columns, because each column has its own "
                f"classes; got {value!r}."
            )
    if options["zipmap"]:
        warnings.warn(
            "The option zipmap is ignored for a y with several multiclass columns, because each column has its own classes. Set it "
            "to False to hide this warning.",
            UserWarning,
            stacklevel=2,
        )


def _set_types_of_classifier(operator):
    """Set the types of the labels and of the probabilities."""
    from skl2onnx.common.data_types import Int64TensorType, SequenceType, StringTensorType

    network, n_rows = _checked_network(operator), operator.inputs[0].get_first_dimension()
    labels, classes = network.labels, _classes(operator.scope_inst, operator.raw_operator, network)
    columns = {"multilabel": [network.sizes[-1]], "multioutput": [len(classes)]}.get(labels.kind, [])
    is_text = classes[0].dtype == object and labels.kind != "multilabel"
    operator.outputs[0].set_type((StringTensorType if is_text else Int64TensorType)([n_rows, *columns]))
    if labels.kind == "multioutput":
        operator.outputs[1].set_type(SequenceType(_float_type(operator)([n_rows, None]), shape=[]))
    else:
        operator.outputs[1].set_type(_float_type(operator)([n_rows, max(2, network.sizes[-1])]))


def _set_types_of_regressor(operator):
    """Set the type of the prediction."""
    network, n_rows = _checked_network(operator), operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(_float_type(operator)([n_rows, *shape_of_prediction(network)]))


def _float_type(operator):
    """Return the class of skl2onnx for tensors of the type of the computations."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if _dtype_of(operator) == np.float64 else FloatTensorType


def _checked_network(operator):
    """Return the ``ExportedNetwork`` of the estimator; raise an error for what ONNX cannot contain."""
    from skl2onnx.common.data_types import BooleanTensorType, DoubleTensorType, FloatTensorType, Int64TensorType
    from skl2onnx.common.utils import check_input_and_output_numbers, check_input_and_output_types

    check_input_and_output_numbers(operator, input_count_range=1)
    check_input_and_output_types(operator, [BooleanTensorType, DoubleTensorType, FloatTensorType, Int64TensorType])
    network = exported_network(operator.raw_operator)
    check_convertible(network)
    return network


def _classes(scope, model, network):
    """Return the labels of each column of y; their numbers with the option nocl."""
    if scope.get_options(model, {"nocl": False})["nocl"]:
        return [np.arange(len(classes)) for classes in network.labels.classes]
    return [integer_classes(classes) for classes in stored_classes(network.labels)]


# ---------------------------------------------------------------------- nodes


def _convert_classifier(scope, operator, container):
    """Add the nodes that compute labels and probabilities."""
    graph, network, outputs = _converted_network(scope, operator, container)
    labels, classes = network.labels, _classes(scope, operator.raw_operator, network)
    predicted, parts = label_nodes(labels, outputs, classes), probability_nodes(labels, outputs)
    graph.output("Identity", [predicted], operator.outputs[0])
    is_multioutput = labels.kind == "multioutput"
    if len(classes[0]) == 1 and not is_multioutput and scope.get_options(operator.raw_operator, {"zipmap": True})["zipmap"]:
        parts = [parts[0].apply("Gather", np.array([0]), axis=1)]
    graph.output("SequenceConstruct" if is_multioutput else "Identity", parts, operator.outputs[1])


def _convert_regressor(scope, operator, container):
    """Add the nodes that compute the prediction."""
    graph, network, (predicted,) = _converted_network(scope, operator, container)
    graph.output("Identity", [shaped_prediction(network, predicted)], operator.outputs[0])


def _converted_network(scope, operator, container):
    """Add the nodes of the network, and return their graph, the ``ExportedNetwork`` and the outputs."""
    opset = container.target_opset_any_domain("")
    if opset < LOWEST_OPSET:
        raise ValueError(f"target_opset must be at least {LOWEST_OPSET} for estimators of fastbp, got {opset}.")
    graph, network = _Container(scope, operator, container), exported_network(operator.raw_operator)
    X = Tensor(graph, operator.inputs[0].full_name).apply("Cast", to=_proto_type(graph.dtype))
    return graph, network, output_nodes(network, X)


def _proto_type(dtype):
    """Return the number of a type in ONNX."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(dtype)
