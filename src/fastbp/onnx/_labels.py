"""Labels and probabilities of a classifier as ONNX nodes.

The outputs of a network and its ``ExportedLabels`` go in; tensors with the results of ``predict`` and ``predict_proba`` come out.
This module does not know how the outputs are computed.
"""

import numpy as np


def probability_nodes(labels, outputs):
    """Return a list with the probabilities (n_rows, n_classes): one tensor, or one for each column of a multioutput y."""
    parts = [_as_probabilities(labels, part, n) for part, n in zip(outputs, map(len, labels.classes), strict=True)]
    return [(1.0 - parts[0]).apply("Concat", parts[0], axis=1)] if labels.kind == "binary" else parts


def _as_probabilities(labels, outputs, n_classes):
    """Return the outputs, clipped to [0, 1] and divided by their sum if the labels require this."""
    if labels.is_clipped:
        outputs = outputs.apply("Clip", 0.0, 1.0)
    if labels.is_divided:
        sums = outputs.sum_of_rows()
        outputs = (sums > 0.0).where(outputs / (sums > 0.0).where(sums, 1.0), 1.0 / n_classes)
    return outputs


def label_nodes(labels, outputs, stored):
    """Return the labels (n_rows,) or (n_rows, n_columns). ``stored`` has the classes of each column of y as ``stored_classes``."""
    if labels.kind == "multilabel":
        return _cast_to_int64(outputs[0] > 0.5)
    if labels.kind == "binary":
        return _labels_of_codes(_binary_codes(outputs[0], len(stored[0])), stored[0])
    keep = int(labels.kind == "multioutput")
    columns = [
        _labels_of_codes(part.apply("ArgMax", axis=1, keepdims=keep), classes)
        for part, classes in zip(outputs, stored, strict=True)
    ]
    return columns[0].apply("Concat", *columns[1:], axis=1) if keep else columns[0]


def _binary_codes(output, n_classes):
    """Return the numbers (n_rows,) of the classes: 1 where the output is greater than 0.5; only 0 for a single class."""
    codes = _cast_to_int64(output > (0.5 if n_classes > 1 else np.inf))
    return codes.apply("Squeeze", np.array([1]))


def _labels_of_codes(codes, classes):
    """Return the classes with the given numbers."""
    return codes.graph.exact_constant(classes).apply("Gather", codes)


def _cast_to_int64(tensor):
    """Return 0 and 1 for false and true."""
    return tensor.apply("Cast", to=7)  # TensorProto.INT64


def stored_classes(labels):
    """Return the classes of each column of y as arrays of int64, bool, float64 or str, which ONNX can contain; see `to_onnx`."""
    dtype = np.result_type(*labels.classes)  # the labels of all columns are in one array, as in `predict`
    return [_stored(classes.astype(dtype)) for classes in labels.classes]


def _stored(classes):
    """Return the classes of one column of y in a type that ONNX can contain."""
    kind = classes.dtype.kind
    if kind == "b":
        return classes
    if kind == "f":
        return classes.astype(np.float64)
    if kind in "iu" and classes[-1] <= np.iinfo(np.int64).max:
        return classes.astype(np.int64)
    if kind in "UT" or (kind == "O" and all(isinstance(label, str) for label in classes)):
        return np.array([str(label) for label in classes], object)
    raise ValueError(
        "classes_ must contain only strings, only bools, or only numbers of 64 bits for a conversion to ONNX, which has no other "
        f"types of labels; got the labels {classes.tolist()!r:.100} of dtype {classes.dtype}. Convert y to strings or integers "
        "before fit."
    )


def integer_classes(classes):
    """Return stored classes with int64 instead of bool and float64, for the operator ZipMap and for skl2onnx."""
    if classes.dtype == object:
        return classes
    integers = classes.astype(np.int64)
    if not np.array_equal(integers, classes):
        raise ValueError(
            f"classes_ must contain only strings or integers for zipmap=True, got {classes.tolist()!r:.100}. Set zipmap=False, or "
            "convert y to strings or integers before fit."
        )
    return integers
