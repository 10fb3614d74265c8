"""Tensors and nodes of an ONNX graph.

Operators of ``Tensor`` and calls of ``apply`` go in; nodes and initializers go out to a ``GraphWriter``. ``NewGraph`` collects them
in lists. Only operators that have the same meaning since opset 13 and that onnxruntime has for float32 and float64 are used. This
module does not know about networks.
"""

from abc import ABC, abstractmethod

import numpy as np

_LARGEST_SHARED = 100  # the largest size of arrays that are compared with earlier ones


def imported_onnx(purpose):
    """Return the package onnx, or raise an ImportError that tells how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f'{purpose} needs onnx, which is not installed: pip install "fastbp[onnx]".') from error
    return onnx


class GraphWriter(ABC):
    """The graph to which tensors add their nodes. Its floating-point constants have the type ``dtype``."""

    def __init__(self, dtype):
        self.dtype, self._constants = np.dtype(dtype), {}

    def constant(self, values):
        """Return the tensor with the given values; numbers of Python and floating-point arrays are converted to ``dtype``."""
        values = np.asarray(values)
        return self.exact_constant(values.astype(self.dtype) if values.dtype.kind == "f" else values)

    def exact_constant(self, values):
        """Return the tensor with the values of an array of any type; a small array that is used twice is stored once."""
        if values.size > _LARGEST_SHARED:
            return Tensor(self, self._add_constant(values))
        key = (values.dtype.str, values.shape, values.tobytes() if values.dtype != object else tuple(values))
        if key not in self._constants:
            self._constants[key] = Tensor(self, self._add_constant(values))
        return self._constants[key]

    def node(self, op, *inputs, n_outputs=1, **attributes):
        """Add a node and return its output, or a list if it has several. Inputs that are not tensors become constants."""
        names_of_inputs = [(one if isinstance(one, Tensor) else self.constant(one)).name for one in inputs]
        names = self._add_node(op, names_of_inputs, n_outputs, attributes)
        outputs = [Tensor(self, name) for name in names]
        return outputs[0] if n_outputs == 1 else outputs

    @abstractmethod
    def _add_constant(self, values):
        """Store an array, and return its name."""

    @abstractmethod
    def _add_node(self, op, inputs, n_outputs, attributes):
        """Add a node with inputs of the given names, and return the names of its outputs."""


class Tensor:
    """A tensor in a graph. Arithmetic with tensors, arrays and floats adds nodes to the graph."""

    def __init__(self, graph, name):
        self.graph, self.name = graph, name

    def apply(self, op, *others, **attributes):
        """Return the output of the operator ``op`` for this tensor and other inputs."""
        return self.graph.node(op, self, *others, **attributes)

    def exp(self):
        """Return e to the power of each element."""
        return self.apply("Exp")

    def maximum(self, other):
        """Return the larger of each pair of elements."""
        return self.apply("Max", other)

    def where(self, this, other):
        """Return the elements of ``this`` where this tensor is true, and those of ``other`` elsewhere."""
        return self.apply("Where", this, other)

    def sum_of_rows(self):
        """Return the sum of each row (n_rows, 1)."""
        return self.apply("ReduceSum", np.array([1]), keepdims=1)

    def __neg__(self):
        return self.apply("Neg")

    def __add__(self, other):
        return self.apply("Add", other)

    def __sub__(self, other):
        return self.apply("Sub", other)

    def __mul__(self, other):
        return self.apply("Mul", other)

    def __truediv__(self, other):
        return self.apply("Div", other)

    def __rsub__(self, other):
        return self.graph.node("Sub", other, self)

    def __rtruediv__(self, other):
        return self.graph.node("Div", other, self)

    def __gt__(self, other):
        return self.apply("Greater", other)


class NewGraph(GraphWriter):
    """The nodes and initializers of a new model, as ``onnx`` objects."""

    def __init__(self, dtype, reserved_names=()):
        super().__init__(dtype)
        self.nodes, self.initializers, self._reserved_names = [], [], set(reserved_names)

    def _add_constant(self, values):
        from onnx import numpy_helper

        name = self._unique_name("constant", len(self.initializers))
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def _add_node(self, op, inputs, n_outputs, attributes):
        from onnx import helper

        name = self._unique_name(op, len(self.nodes))
        outputs = [name] if n_outputs == 1 else [f"{name}_{number}" for number in range(n_outputs)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs

    def _unique_name(self, kind, number):
        """Return a name that is not the name of an input or output of the model."""
        name = f"{kind}_{number}"
        return f"{name}_" if name in self._reserved_names else name

    def output(self, op, tensors, name, **attributes):
        """Add the node that computes an output of the model."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, [tensor.name for tensor in tensors], [name], name=f"{op}_{name}", **attributes))
