"""The function ``render``, which draws the graph of a variable.

A ``Variable`` goes in; a ``Drawing`` comes out. This module does not know how the graph is drawn.
"""

from __future__ import annotations

from numbers import Integral

from numpy.typing import ArrayLike

from ._arrays import seed_for
from ._drawing import Drawing, drawing_of
from ._labels import drawn_nodes, node_texts
from ._passes import gradients, topological_order
from ._variable import Variable


def render(
    output: Variable, gradient: ArrayLike | None = None, *, backward: bool = True, direction: str = "auto", max_nodes: int = 100
) -> Drawing:
    """Draw the graph of a variable, with the steps of the forward pass and of the backward pass.

    Each box is a variable, with its value (blue) and the gradient of `output` with respect to it (orange). Each arrow has the local
    derivative of an operation. The numbers in circles are the steps in their order: first the values from the operands to the
    result, then the gradients from the result to the operands. The attribute `grad` of the variables does not change.

    Parameters
    ----------
    output : Variable
        The result whose graph is drawn.
    gradient : float or array-like of the shape of `output`, default=None
        The gradient of `output`, with which the backward pass starts. None means 1 and is allowed for scalars only.
    backward : bool, default=True
        Whether to draw the backward pass: gradients and local derivatives.
    direction : {'auto', 'right', 'down'}, default='auto'
        Where the arrows of the forward pass point. 'auto' selects 'right', or 'down' if the drawing would be very wide.
    max_nodes : int, default=100
        The largest number of nodes that are drawn.

    Returns
    -------
    drawing : Drawing
        The drawing, which Jupyter displays. Its attributes are `svg`, `png` and `description`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `output` is not a Variable.
    ValueError
        If `direction` is not one of these, if `max_nodes` is not an integer or the graph has more nodes, if `output` is an array
        and `gradient` is None, or if `gradient` has another shape than `output`.

    Examples
    --------
    >>> from fastbp.graph import Variable, render
    >>> a, b, c = Variable(5, "a"), Variable(3, "b"), Variable(2, "c")
    >>> u = b * c
    >>> u.name = "u"
    >>> print(render(u).description)
    b: value 3
    c: value 2
    1. u = b · c: value 6
    2. gradient of u: grad 1
    3. gradient of c: grad 3
    4. gradient of b: grad 2
    """
    if not isinstance(output, Variable):
        raise TypeError(f"output must be a fastbp.graph.Variable, got {output!r}.")
    if direction not in ("auto", "right", "down"):
        raise ValueError(f"direction must be 'auto', 'right' or 'down', got {direction!r}.")
    if not isinstance(max_nodes, Integral) or isinstance(max_nodes, bool):
        raise ValueError(f"max_nodes must be an integer, got {max_nodes!r}.")
    order = topological_order(output)
    nodes = drawn_nodes(order)
    if len(nodes) > max_nodes:
        raise ValueError(
            f"max_nodes must be at least the number of nodes of the graph, {len(nodes)}, got {max_nodes}. Draw a smaller graph, or "
            "increase max_nodes."
        )
    found = gradients(order, seed_for(gradient, output, "gradient", "output")) if backward else None
    return drawing_of(nodes, node_texts(nodes, found), backward, direction)
