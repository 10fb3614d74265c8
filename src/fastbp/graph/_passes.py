"""The passes through a recorded graph: the order of its nodes, reverse mode and forward mode.

The last node of a graph goes in; an order, gradients or a derivative come out. A node has ``edges`` to its operands, a ``shape``, a
``dtype`` and the flag ``is_constant``. All loops are iterative, so that the depth of a graph is not limited by the stack. This
module does not know which operations there are.
"""

import numpy as np


def topological_order(output):
    """Return all nodes on which ``output`` depends, each after its operands; ``output`` is the last one."""
    order, seen, stack = [], {id(output)}, [(output, iter(output.edges))]
    while stack:
        node, edges = stack[-1]
        for edge in edges:
            if id(edge.parent) not in seen:
                seen.add(id(edge.parent))
                stack.append((edge.parent, iter(edge.parent.edges)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def gradients(order, seed):
    """Return the gradient of the last node for each node that is not constant, as a dict by the id of the node.

    Each node receives the sum over all nodes that use it: ∂L/∂x = Σ ∂L/∂u ∂u/∂x (reverse mode; Linnainmaa 1970; Rumelhart, Hinton
    and Williams 1986).
    """
    found = {id(order[-1]): seed}
    for node in reversed(order):
        if node.is_constant:
            continue
        gradient = found[id(node)]
        for edge in node.edges:
            parent = edge.parent
            if not parent.is_constant:
                part = edge.pull(gradient).astype(parent.dtype, copy=False)
                before = found.get(id(parent))
                found[id(parent)] = part if before is None else before + part
    return found


def directional_derivative(order, variable, direction):
    """Return the derivative of the last node if ``variable`` changes in a direction (forward mode; Wengert 1964)."""
    tangents = {id(variable): direction}
    for node in order:
        if node is variable:
            continue
        parts = [edge.push(tangents[id(edge.parent)]) for edge in node.edges if id(edge.parent) in tangents]
        if parts:
            total = sum(parts[1:], parts[0])
            tangents[id(node)] = np.asarray(total if np.shape(total) == node.shape else total + np.zeros(node.shape), node.dtype)
    output = order[-1]
    return tangents.get(id(output), np.zeros(output.shape, output.dtype))
