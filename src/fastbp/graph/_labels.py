"""The texts of a drawing: names, formulas, values, gradients, local derivatives, and the numbers of the steps.

The nodes of a graph and their gradients go in; short lines of text come out. This module does not know how the texts are drawn.
"""

from dataclasses import dataclass

import numpy as np

from ._edges import Elementwise, Reduced

_MAX_ROWS, _MAX_COLUMNS = 3, 3


@dataclass
class NodeText:
    """The texts of a node, and the numbers of the steps that compute its value and its gradient (None if there is no such step)."""

    kind: str  # "variable", "constant" or "operation"
    title: str
    value: list[str]
    gradient: list[str]
    forward_step: int | None
    backward_step: int | None


def drawn_nodes(order):
    """Return the nodes that get a box: all except constant numbers, which are written in the formulas."""
    return [node for node in order if not (node.is_constant and not node.edges and not node.shape)]


def node_texts(nodes, gradients):
    """Return the ``NodeText`` of each node in topological order; ``gradients`` is a dict by id, or None without a backward pass."""
    names = node_names(nodes)
    operations = [id(node) for node in nodes if node.edges]
    varying = [id(node) for node in reversed(nodes) if not node.is_constant] if gradients is not None else []
    forward = {one: number for number, one in enumerate(operations, 1)}
    backward = {one: number for number, one in enumerate(varying, len(operations) + 1)}
    return [
        NodeText(
            "operation" if node.edges else "constant" if node.is_constant else "variable",
            _title(node, names),
            short_form(np.asarray(node.value), "value"),
            short_form(gradients[id(node)], "grad") if id(node) in backward else [],
            forward.get(id(node)),
            backward.get(id(node)),
        )
        for node in nodes
    ]


def node_names(nodes):
    """Return the name of each node by its id; nodes without a name are numbered."""
    names, counts = {}, {"v": 0, "x": 0, "c": 0}
    for node in nodes:
        letter = "v" if node.edges else "c" if node.is_constant else "x"
        if node.name is None:
            counts[letter] += 1
        names[id(node)] = node.name or f"{letter}{counts[letter]}"
    return names


def operand_names(node, names):
    """Return the names of the operands of a node; the name of a constant number is the number."""
    return [names.get(id(edge.parent)) or number_text(edge.parent.value, 4) for edge in node.edges]


def _title(node, names):
    return f"{names[id(node)]} = {node.formula.format(*operand_names(node, names))}" if node.edges else names[id(node)]


def edge_text(edge, node, names):
    """Return the lines of text of the local derivative on an edge from an operand to a node."""
    if edge.pattern != "{d}":
        return [edge.pattern.format(*operand_names(node, names))]
    local = np.asarray(edge.local)
    is_same = local.size > 0 and (local == local.flat[0]).all()
    lines = [f"× {number_text(local.flat[0], 4)}"] if is_same else short_form(local, "⊙")
    if isinstance(edge, Reduced):
        return [*lines, "for each element"]
    axes = _broadcast_axes(edge.parent.shape, node.shape) if isinstance(edge, Elementwise) else []
    return [*lines, f"Σ over axis {', '.join(map(str, axes))}"] if axes else lines


def _broadcast_axes(shape, result):
    """Return the axes of the result along which an operand of this shape was broadcast."""
    n_new = len(result) - len(shape)
    return [axis for axis, size in enumerate(result) if axis < n_new or (shape[axis - n_new] == 1 and size != 1)]


def description_of(texts):
    """Return all steps as lines of text."""
    given = [f"{text.title}: {' '.join(text.value)}" for text in texts if text.forward_step is None]
    steps = [(text.forward_step, f"{text.title}: {' '.join(text.value)}") for text in texts if text.forward_step]
    steps += [
        (text.backward_step, f"gradient of {text.title.split(' = ')[0]}: {' '.join(text.gradient)}")
        for text in texts
        if text.backward_step
    ]
    return "\n".join([*given, *(f"{number}. {line}" for number, line in sorted(steps))])


# ---------------------------------------------------------------------- numbers and arrays


def number_text(number, digits):
    """Return a number with at most this many significant digits."""
    return f"{number:.{digits}g}".replace("-", "−")


def short_form(array, prefix):
    """Return lines of text: a scalar, or the shape of an array and its first elements."""
    if array.ndim == 0:
        return [f"{prefix} {number_text(array[()], 4)}"]
    lines = [f"{prefix} {array.shape}"]
    if array.ndim > 2 or not array.size:
        return lines + ([f"{number_text(array.min(), 3)} … {number_text(array.max(), 3)}"] if array.size else [])
    rows = [[number_text(number, 3) for number in row[:_MAX_COLUMNS]] for row in np.atleast_2d(array)[:_MAX_ROWS]]
    width = max(len(text) for row in rows for text in row)
    more = " …" * (array.shape[-1] > _MAX_COLUMNS)
    lines += [" ".join(text.rjust(width) for text in row) + more for row in rows]
    return lines + ["…"] * (array.ndim == 2 and len(array) > _MAX_ROWS)
