"""Variables: scalars and arrays that record the operations by which they are computed.

Numbers and arrays go in; a ``Variable`` contains the value of an operation, and edges to its operands. This module defines the
arithmetic operators; functions such as ``exp`` are in ``_functions``. It does not know about estimators and drawings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import as_shown, float_array, seed_for
from ._drawing import Drawing
from ._edges import Edge, Elementwise, LeftFactor, RightFactor, Selected
from ._passes import gradients, topological_order
from ._ufuncs import ufunc_error

Operand = Any  # a Variable, a number or an array


class Variable:
    """A scalar or an array whose derivatives can be computed.

    An operation with a variable gives a new variable, which remembers its operands. All variables on which a result depends are
    the nodes of its computational graph. `backward` computes the gradients of all of them.

    The operators are ``+ - * / ** @``, unary minus, and indexing. The other operand may be a variable, a number or an array. Shapes
    are broadcast as in NumPy; the gradient of an operand that was broadcast is summed over the new axes.

    Parameters
    ----------
    value : float or array-like of any shape
        The value, which is copied. float32 and float64 are kept; booleans, integers and other floats are converted to float64.
    name : str, default=None
        The name in drawings. It can be changed later by assigning to the attribute `name`.

    Attributes
    ----------
    value : float or ndarray
        The value: a float for a scalar, or a read-only array. It cannot be changed, because the graph contains derivatives that
        depend on it.
    grad : float or ndarray
        The gradient that the last call of `backward` computed, with the shape of the value; None before the first call.
    name : str or None
        The name.
    shape : tuple of int
        The shape of the value; () for a scalar.
    ndim : int
        The number of axes of the value.
    dtype : numpy.dtype
        The dtype of the value, float32 or float64.
    formula : str
        The operation that computed the value, in which ``{0}`` and ``{1}`` are its operands; empty for a variable that was created
        from a value.
    edges : tuple
        One edge for each operand of this operation, with the operand as `parent` and, except for indexing, the local derivative.
    is_constant : bool
        Whether the value depends on no variable: for numbers and arrays that are operands of an operation.

    Raises
    ------
    TypeError
        If the value does not consist of real numbers.
    ValueError
        If the rows of the value have different lengths.

    See Also
    --------
    fastbp.graph.from_estimator : Builds the graph of a fitted network.
    fastbp.graph.forward_derivative : Computes a derivative in forward mode.

    Notes
    -----
    Where a function has a kink, the derivatives are those of the kernels: that of ``relu`` at 0 is 0. If both arguments of
    ``maximum`` are equal, each has the derivative 1/2.

    A variable cannot be pickled or copied, because a copy would need the whole graph. Pickle the value instead.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors.
    Griewank and Walther (2008), Evaluating Derivatives.

    Examples
    --------
    The gradients of J = 3 (a + b c):

    >>> from fastbp.graph import Variable
    >>> a, b, c = Variable(5, "a"), Variable(3, "b"), Variable(2, "c")
    >>> J = 3 * (a + b * c)
    >>> J.value
    33.0
    >>> J.backward()
    >>> a.grad, b.grad, c.grad
    (3.0, 6.0, 9.0)
    """

    __slots__ = ("__weakref__", "_array", "_grad", "edges", "formula", "is_constant", "name")

    def __init__(self, value: ArrayLike, name: str | None = None) -> None:
        if isinstance(value, Variable):
            raise TypeError("value must be a number or an array; got a Variable. Use this variable itself, or its attribute value.")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str or None, got {name!r}.")
        self._record(float_array(value, "value"), "", (), is_constant=False)
        self.name = name

    def _record(self, array, formula, edges, is_constant):
        self._array, self._grad, self.name = array, None, None
        self.formula, self.edges, self.is_constant = formula, edges, is_constant

    # ------------------------------------------------------------------ value and gradient

    @property
    def value(self) -> Any:
        return as_shown(self._array)

    @property
    def grad(self) -> Any:
        return as_shown(self._grad)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def backward(self, gradient: ArrayLike | None = None) -> None:
        """Compute the gradients of this variable with respect to all variables on which it depends, in reverse mode.

        The gradients are stored in the attribute `grad` of these variables, including the results of operations. If a variable is
        used several times, the gradients of all paths are added. Each call replaces the gradients of earlier calls; it does not add
        to them. To get the gradients of a sum of several results, add the results first.

        Parameters
        ----------
        gradient : float or array-like of the shape of the value, default=None
            The gradient of this variable, with which the backward pass starts. None means 1 and is allowed for scalars only.

        Raises
        ------
        ValueError
            If the value is an array and `gradient` is None, or if `gradient` has another shape than the value.

        Examples
        --------
        >>> from fastbp.graph import Variable
        >>> x = Variable([1.0, 2.0, 3.0])
        >>> y = x * x
        >>> y.backward([1, 1, 1])
        >>> x.grad
        array([2., 4., 6.])
        """
        seed, order = seed_for(gradient, self, "gradient", "the variable"), topological_order(self)
        found = gradients(order, seed)
        for node in order:
            if not node.is_constant:
                node._grad = np.array(found[id(node)])
                node._grad.setflags(write=False)

    def render(
        self, gradient: ArrayLike | None = None, *, backward: bool = True, direction: str = "auto", max_nodes: int = 100
    ) -> Drawing:
        """Draw the graph of this variable; the same as ``fastbp.graph.render(variable)``.

        Parameters
        ----------
        gradient : float or array-like of the shape of the value, default=None
            The gradient of this variable, with which the backward pass starts. None means 1 and is allowed for scalars only.
        backward : bool, default=True
            Whether to draw the backward pass: gradients and local derivatives.
        direction : {'auto', 'right', 'down'}, default='auto'
            Where the arrows of the forward pass point. 'auto' selects 'right', or 'down' if the drawing would be very wide.
        max_nodes : int, default=100
            The largest number of nodes that are drawn.

        Returns
        -------
        drawing : Drawing
            The drawing, which Jupyter displays.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the graph has more than `max_nodes` nodes, or for the same reasons as in `backward`.
        """
        from ._rendering import render  # it imports this module

        return render(self, gradient, backward=backward, direction=direction, max_nodes=max_nodes)

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Variable({self.value!r}{name}" + ("" if self._grad is None else f", grad={self.grad!r}") + ")"

    # ------------------------------------------------------------------ operators

    def __add__(self, other: Operand) -> Variable:
        return _sum_of_two(self, other)

    def __radd__(self, other: Operand) -> Variable:
        return _sum_of_two(other, self)

    def __sub__(self, other: Operand) -> Variable:
        return _difference(self, other)

    def __rsub__(self, other: Operand) -> Variable:
        return _difference(other, self)

    def __mul__(self, other: Operand) -> Variable:
        return _elementwise_product(self, other)

    def __rmul__(self, other: Operand) -> Variable:
        return _elementwise_product(other, self)

    def __truediv__(self, other: Operand) -> Variable:
        return _quotient(self, other)

    def __rtruediv__(self, other: Operand) -> Variable:
        return _quotient(other, self)

    def __pow__(self, other: Operand) -> Variable:
        return _power_of(self, other)

    def __rpow__(self, other: Operand) -> Variable:
        return _power_of(other, self)

    def __matmul__(self, other: Operand) -> Variable:
        return _matrix_product(self, other)

    def __rmatmul__(self, other: Operand) -> Variable:
        return _matrix_product(other, self)

    def __neg__(self) -> Variable:
        return recorded("−{0}", -self._array, elementwise(self, -1.0))

    def __getitem__(self, index: Any) -> Variable:
        index = _copied_index(index)
        return recorded(f"{{0}}[{_index_text(index)}]", self._array[index], Selected(self, index))

    def __iter__(self) -> Iterator[Variable]:
        if not self.shape:
            raise TypeError("A scalar Variable cannot be iterated over.")
        return (self[row] for row in range(self.shape[0]))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Operand, **options: Any) -> Variable:
        """Record an operator whose left operand is an array; raise an error for other functions of NumPy."""
        out = options.pop("out", operands[:1])  # of `array += variable`, after which the name stands for the result
        if ufunc not in _OPERATORS or method != "__call__" or options or out[0] is not operands[0]:
            raise ufunc_error(ufunc, method)
        return _OPERATORS[ufunc](*operands)

    # ------------------------------------------------------------------ conversions that would lose the derivatives

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError(
            "A Variable cannot be converted to a NumPy array, because its derivatives would be lost. Use its attribute value, or "
            "the functions of fastbp.graph instead of those of NumPy."
        )

    def __bool__(self) -> NoReturn:
        raise TypeError("A Variable has no truth value, because the graph records no conditions. Use its attribute value.")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "A Variable cannot be pickled or copied, because it belongs to a graph. Pickle or copy its attribute value instead."
        )


# ---------------------------------------------------------------------- recording


def recorded(formula, array, *edges):
    """Return the result of an operation, with one edge for each operand; it is constant if all operands are."""
    result = Variable.__new__(Variable)
    array = np.asarray(array)
    if array.base is not None or array.flags.writeable:
        array = array.view()
        array.setflags(write=False)
    result._record(array, formula, edges, is_constant=all(edge.parent.is_constant for edge in edges))
    return result


def constant(value, name=None, like=None):
    """Return a variable without a gradient."""
    result = Variable.__new__(Variable)
    result._record(float_array(value, "the operand" if name is None else name, like), "", (), is_constant=True)
    result.name = name
    return result


def as_operands(left, right):
    """Return both operands as variables, and their arrays; numbers and arrays become constants."""
    like = left if isinstance(left, Variable) else right
    like = like._array if isinstance(like, Variable) else None
    pair = [operand if isinstance(operand, Variable) else constant(operand, like=like) for operand in (left, right)]
    return (*pair, pair[0]._array, pair[1]._array)


def as_operand(value):
    """Return an operand as a variable, and its array."""
    variable = value if isinstance(value, Variable) else constant(value)
    return variable, variable._array


def elementwise(parent, local):
    """Return the edge of an operand with this derivative; a function is called only if the operand is not constant."""
    if parent.is_constant:
        return Edge(parent)
    return Elementwise(parent, local() if callable(local) else local)


def check_broadcast(operator, left, right):
    """Raise a ValueError if two arrays cannot be broadcast to a common shape."""
    if left.shape == right.shape or not left.shape or not right.shape:
        return
    try:
        np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise ValueError(
            f"The operands of {operator} must have shapes that can be broadcast: counted from the last axis, lengths must be equal "
            f"or 1; got {left.shape} and {right.shape}. Index with np.newaxis, or pass arrays of other shapes."
        ) from None


# ---------------------------------------------------------------------- operators


def _broadcast_operands(operator, left, right):
    x, y, a, b = as_operands(left, right)
    check_broadcast(operator, a, b)
    return x, y, a, b


def _sum_of_two(left, right):
    x, y, a, b = _broadcast_operands("+", left, right)
    return recorded("{0} + {1}", a + b, elementwise(x, 1.0), elementwise(y, 1.0))


def _difference(left, right):
    x, y, a, b = _broadcast_operands("-", left, right)
    return recorded("{0} − {1}", a - b, elementwise(x, 1.0), elementwise(y, -1.0))


def _elementwise_product(left, right):
    x, y, a, b = _broadcast_operands("*", left, right)
    return recorded("{0} · {1}", a * b, elementwise(x, b), elementwise(y, a))


def _quotient(left, right):
    x, y, a, b = _broadcast_operands("/", left, right)
    ratio = a / b
    return recorded("{0} / {1}", ratio, elementwise(x, lambda: 1 / b), elementwise(y, lambda: -ratio / b))


def _power_of(base, exponent):
    """Return a^b with ∂/∂a = b a^(b−1), which is 0 for b = 0, and ∂/∂b = a^b ln a, which is 0 for a = 0 and b ≥ 0."""
    x, y, a, b = _broadcast_operands("**", base, exponent)
    power = a**b

    def by_base():
        return np.where(b == 0, 0, b * a ** np.where(b == 0, 1, b - 1)).astype(power.dtype)

    def by_exponent():
        is_limit = (a == 0) & (b >= 0)
        return np.where(is_limit, 0, power * np.log(np.where(is_limit, 1, a))).astype(power.dtype)

    return recorded("{0} ^ {1}", power, elementwise(x, by_base), elementwise(y, by_exponent))


def _matrix_product(left, right):
    x, y, a, b = as_operands(left, right)
    if not a.ndim or not b.ndim:
        raise ValueError(
            f"The operands of @ must be arrays; got the shapes {a.shape} and {b.shape}. Use * to multiply by a scalar."
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(
            "The operands of @ must have matching shapes: the number of columns of the left operand must be the number of rows of "
            f"the right operand; got {a.shape} and {b.shape}. Exchange the operands, or pass a transposed array."
        )
    check_broadcast("@", np.empty((*a.shape[:-2], 0)), np.empty((*b.shape[:-2], 0)))
    return recorded(
        "{0} @ {1}",
        a @ b,
        Edge(x) if x.is_constant else LeftFactor(x, b),
        Edge(y) if y.is_constant else RightFactor(y, a),
    )


_OPERATORS = {
    np.add: _sum_of_two,
    np.subtract: _difference,
    np.multiply: _elementwise_product,
    np.divide: _quotient,
    np.power: _power_of,
    np.matmul: _matrix_product,
}


# ---------------------------------------------------------------------- indexing


def _copied_index(index):
    """Return a copy of an index, so that later changes of its arrays have no effect on the graph."""
    if isinstance(index, tuple):
        return tuple(map(_copied_index, index))
    if isinstance(index, Variable):
        raise TypeError("An index must be an integer, a slice or an array; got a Variable. Use its attribute value.")
    return np.array(index) if isinstance(index, (list, np.ndarray)) else index


def _index_text(index):
    """Return the text of an index in a drawing."""
    if isinstance(index, tuple):
        return ", ".join(map(_index_text, index))
    if isinstance(index, slice):
        parts = [index.start, index.stop] + [index.step] * (index.step is not None)
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(index, np.ndarray) and index.size > 4:
        return "…"
    if index is Ellipsis:
        return "..."
    return str(index).replace("{", "{{").replace("}", "}}")
