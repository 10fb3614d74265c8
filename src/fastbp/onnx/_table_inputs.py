"""The columns of a table as ONNX nodes: numbers with NaN for missing values, and codes of categories.

A ``ColumnReader`` goes in; the inputs of the model, a tensor of numbers (n_rows, n_numbers) of float32 and a list of codes
(n_rows, 1) of int64 come out. This module does not know how networks use them.
"""

from typing import NamedTuple

import numpy as np

from ._tensors import Tensor

MATRIX_NAME = "X"
FLOAT, INT64 = 1, 7  # TensorProto.FLOAT and TensorProto.INT64


class TableInputs(NamedTuple):
    """The inputs of a model, as pairs of name and (dtype, n_columns), and the tensors that are computed from them.

    The dtype object is that of strings. ``numbers`` (n_rows, n_numbers) is None if there are no numbers. ``codes`` has a tensor
    (n_rows, 1) for each categorical column.
    """

    infos: list[tuple[str, tuple[np.dtype, int]]]
    numbers: Tensor | None
    codes: list[Tensor]


def check_columns(reader, reserved_names):
    """Raise a ValueError if a column cannot be the input of a model."""
    for column in reader.columns:
        if column.kind == "date":
            raise ValueError(
                f"Column {column.name!r} has dates, which ONNX cannot contain. Convert it to numbers before fit, for example to "
                "the number of days since a fixed date, and to sines and cosines of the time of the year."
            )
        if not is_matrix(reader) and (column.name in reserved_names or not column.name):
            raise ValueError(
                f"The names of the columns become the names of the inputs of the model, which must not be empty and not one of the "
                f"names of its outputs, {reserved_names}; got {column.name!r}. Rename the column before fit."
            )


def is_matrix(reader):
    """Return whether the input of the model is a matrix, because all columns have numbers or no values."""
    return all(column.kind in ("number", "ignored") or _has_numbers(column) for column in reader.columns)


def needs_float64(reader):
    """Return whether the values of a column may need more digits than float32 has."""
    return any(column.kind == "number" and column.origin for column in reader.columns) or any(map(_has_numbers, reader.columns))


def table_inputs(reader, graph, dtype):
    """Add the nodes for inputs of this dtype, float32 or float64, except strings; return the ``TableInputs``."""
    if is_matrix(reader):
        X = Tensor(graph, MATRIX_NAME)
        infos = [(MATRIX_NAME, (dtype, len(reader.columns)))]
        columns = [_slice(X, j) for j in range(len(reader.columns))]
    else:
        kept = [column for column in reader.columns if column.kind != "ignored"]
        infos = [(column.name, (np.dtype(object) if _has_texts(column) else dtype, 1)) for column in kept]
        columns = [None if column.kind == "ignored" else Tensor(graph, column.name) for column in reader.columns]
    pairs = list(zip(reader.columns, columns, strict=True))
    numbers = [_number_nodes(column, X, dtype) for column, X in pairs if column.kind == "number"]
    codes = [_code_nodes(column, X, dtype) for column, X in pairs if column.kind == "category"]
    joined = None if not numbers else numbers[0].apply("Concat", *numbers[1:], axis=1) if len(numbers) > 1 else numbers[0]
    return TableInputs(infos, joined, codes)


def _has_numbers(column):
    return column.kind == "category" and isinstance(column.categories, np.ndarray)


def _has_texts(column):
    return column.kind == "category" and not _has_numbers(column)


def _slice(X, j):
    """Column number j (n_rows, 1) of a matrix."""
    return X.apply("Gather", np.array([j]), axis=1)


def _number_nodes(column, X, dtype):
    """The numbers of a column in float32; the origin is subtracted before the conversion."""
    if column.origin:
        X = X - X.graph.exact_constant(np.array(column.origin, dtype))
    return X.apply("Cast", to=FLOAT) if dtype != np.float32 else X


def _code_nodes(column, X, dtype):
    """The codes of a column: 0 for missing values, 1 and more for the categories, and another one for all other values."""
    n = len(column.categories)
    unknown = n + 1 if column.has_rare else 0
    if _has_texts(column):
        known = {text: code for code, text in enumerate(column.categories, 1)}
        known.setdefault("", 0)
        names = {"keys_strings": list(known), "values_int64s": list(known.values()), "default_int64": unknown}
        return X.apply("LabelEncoder", domain="ai.onnx.ml", **names)
    categories = X.graph.exact_constant(np.asarray(column.categories).astype(dtype)[None, :])
    is_equal = X.apply("Equal", categories).apply("Cast", to=INT64)  # (n_rows, n)
    code = (is_equal * np.arange(1, n + 1)).sum_of_rows()
    if not unknown:
        return code
    is_known = is_equal.sum_of_rows().apply("Greater", np.array(0))
    return is_known.where(code, X.apply("IsNaN").where(np.array(0), np.array(unknown)))
