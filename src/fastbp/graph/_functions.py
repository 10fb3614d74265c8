"""Functions of variables, and the derivative in forward mode.

Variables, numbers and arrays go in; variables come out. The functions have the names and arguments of NumPy's functions. This
module does not know about estimators and drawings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from ._arrays import as_shown, seed_for
from ._edges import Edge, Reduced
from ._passes import directional_derivative, topological_order
from ._variable import Operand, Variable, as_operand, as_operands, check_broadcast, elementwise, recorded


def exp(x: Operand) -> Variable:
    """The exponential function.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The argument.

    Returns
    -------
    y : Variable of the same shape
        e^x of each element. The derivative is e^x.

    Examples
    --------
    >>> from fastbp.graph import Variable, exp
    >>> x = Variable(0)
    >>> exp(2 * x).backward()
    >>> x.grad
    2.0
    """
    x, a = as_operand(x)
    y = np.exp(a)
    return recorded("exp({0})", y, elementwise(x, y))


def log(x: Operand) -> Variable:
    """The natural logarithm.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The argument. As in NumPy, the result is -inf for 0 and NaN for negative numbers, with a RuntimeWarning.

    Returns
    -------
    y : Variable of the same shape
        ln x of each element. The derivative is 1 / x.

    Examples
    --------
    >>> from fastbp.graph import Variable, log
    >>> x = Variable(4)
    >>> log(x).backward()
    >>> x.grad
    0.25
    """
    x, a = as_operand(x)
    return recorded("log({0})", np.log(a), elementwise(x, lambda: 1 / a))


def tanh(x: Operand) -> Variable:
    """The hyperbolic tangent.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The argument.

    Returns
    -------
    y : Variable of the same shape
        tanh x of each element. The derivative is 1 − y².

    Examples
    --------
    >>> from fastbp.graph import Variable, tanh
    >>> x = Variable(0)
    >>> tanh(x).backward()
    >>> x.grad
    1.0
    """
    x, a = as_operand(x)
    y = np.tanh(a)
    return recorded("tanh({0})", y, elementwise(x, lambda: 1 - y * y))


def sigmoid(x: Operand) -> Variable:
    """The logistic function, also called sigmoid.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The argument. Large numbers cause no overflow.

    Returns
    -------
    y : Variable of the same shape
        1 / (1 + e^−x) of each element. The derivative is y (1 − y), at most 1/4.

    Examples
    --------
    >>> from fastbp.graph import Variable, sigmoid
    >>> x = Variable([0, 1000])
    >>> y = sigmoid(x)
    >>> y.value
    array([0.5, 1. ])
    >>> y.backward([1, 1])
    >>> x.grad
    array([0.25, 0.  ])
    """
    x, a = as_operand(x)
    y = expit(a)
    # expit(-a) is 1 − y without the cancellation for y near 1
    return recorded("σ({0})", y, elementwise(x, lambda: y * expit(-a)))


def relu(x: Operand) -> Variable:
    """The rectified linear unit.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The argument.

    Returns
    -------
    y : Variable of the same shape
        max(0, x) of each element. The derivative is 1 for x > 0, and 0 otherwise, also for x = 0.

    Examples
    --------
    >>> from fastbp.graph import Variable, relu
    >>> x = Variable([-1, 0, 2])
    >>> relu(x).backward([1, 1, 1])
    >>> x.grad
    array([0., 0., 1.])
    """
    x, a = as_operand(x)
    return recorded("relu({0})", np.maximum(a, 0), elementwise(x, lambda: (a > 0).astype(a.dtype)))


def maximum(x: Operand, y: Operand) -> Variable:
    """The larger of two numbers.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The first argument.
    y : Variable or array-like of any shape
        The second argument. Both shapes are broadcast.

    Returns
    -------
    z : Variable of the common shape
        max(x, y) of each element. The derivative is 1 for the larger argument and 0 for the other. If both are equal, the
        derivative is 1/2 for each.

    Raises
    ------
    ValueError
        If the shapes cannot be broadcast.

    Examples
    --------
    >>> from fastbp.graph import Variable, maximum
    >>> x = Variable([1, 2, 3])
    >>> maximum(x, 2).backward([1, 1, 1])
    >>> x.grad
    array([0. , 0.5, 1. ])
    """
    x, y, a, b = as_operands(x, y)
    check_broadcast("maximum", a, b)
    z = np.maximum(a, b)

    def share(mine, other):
        return lambda: ((mine > other) + 0.5 * (mine == other)).astype(z.dtype)

    return recorded("max({0}, {1})", z, elementwise(x, share(a, b)), elementwise(y, share(b, a)))


def sum(x: Operand, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Variable:
    """The sum of the elements.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The elements.
    axis : int or tuple of int, default=None
        The axes over which elements are added; None means all axes.
    keepdims : bool, default=False
        Whether the result keeps these axes, with length 1.

    Returns
    -------
    total : Variable
        The sum. The derivative with respect to each element is 1.

    Raises
    ------
    ValueError
        If x has no such axis, or if an axis is given twice.

    Examples
    --------
    >>> from fastbp.graph import Variable, sum
    >>> W = Variable([[1, 2], [3, 4]])
    >>> sum(W, axis=0).value
    array([4., 6.])
    >>> sum(W ** 2).backward()
    >>> W.grad
    array([[2., 4.],
           [6., 8.]])
    """
    x, a = as_operand(x)
    axes = _axes(axis, a.ndim)
    text = "sum({0})" if axis is None else f"sum({{0}}, axis={axis})"
    edge = Edge(x) if x.is_constant else Reduced(x, 1.0, axes, keepdims)
    return recorded(text, a.sum(axis=axes, keepdims=keepdims), edge)


def mean(x: Operand, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Variable:
    """The arithmetic mean of the elements.

    Parameters
    ----------
    x : Variable or array-like of any shape
        The elements.
    axis : int or tuple of int, default=None
        The axes over which the mean is computed; None means all axes.
    keepdims : bool, default=False
        Whether the result keeps these axes, with length 1.

    Returns
    -------
    average : Variable
        The mean. The derivative with respect to each element is 1 / n for n elements.

    Raises
    ------
    ValueError
        If x has no such axis, if an axis is given twice, or if there are no elements.

    Examples
    --------
    >>> from fastbp.graph import Variable, mean
    >>> errors = Variable([1, -2, 4, 5])
    >>> average = mean(errors)
    >>> average.backward()
    >>> average.value, errors.grad
    (2.0, array([0.25, 0.25, 0.25, 0.25]))
    """
    x, a = as_operand(x)
    axes = _axes(axis, a.ndim)
    n_elements = int(np.prod([a.shape[one] for one in axes], dtype=np.int64))
    if not n_elements:
        raise ValueError(f"x must have elements along axis={axis}; got an array of shape {a.shape}, whose mean is not defined.")
    text = "mean({0})" if axis is None else f"mean({{0}}, axis={axis})"
    edge = Edge(x) if x.is_constant else Reduced(x, 1 / n_elements, axes, keepdims)
    return recorded(text, a.mean(axis=axes, keepdims=keepdims), edge)


def _axes(axis, ndim):
    """Return the axes of a reduction as a tuple of numbers that are not negative."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(one, (int, np.integer)) and -ndim <= one < ndim for one in axes) or len(
        {one % ndim for one in axes}
    ) < len(axes):
        raise ValueError(
            f"axis must be None, an int or a tuple of different ints, each at least {-ndim} and less than {ndim} for an array with "
            f"{ndim} axes; got {axis!r}."
        )
    return tuple(int(one) % ndim for one in axes)


def forward_derivative(output: Variable, variable: Variable, direction: ArrayLike | None = None) -> Any:
    """Compute the derivative of a result with respect to one variable, in forward mode.

    Forward mode follows the order of the computation: each operation computes its derivative from those of its operands. One pass
    gives the derivative of all elements of a result in one direction. Reverse mode (`Variable.backward`) gives the derivatives of
    one scalar with respect to all variables. A network has many weights and one loss, so training uses reverse mode.

    Parameters
    ----------
    output : Variable
        The result.
    variable : Variable
        The variable that changes: a variable that was created by the user, or the result of an operation. In the second case, its
        own operands are not taken into account.
    direction : float or array-like of the shape of `variable`, default=None
        The direction in which `variable` changes. None means 1 and is allowed for scalars only.

    Returns
    -------
    derivative : float or ndarray of the shape of `output`
        Σ ∂output/∂variable[i] · direction[i]; 0 if the output does not depend on the variable.

    Raises
    ------
    TypeError
        If `output` or `variable` is not a Variable.
    ValueError
        If `variable` is an array and `direction` is None, or if `direction` has another shape than `variable`.

    References
    ----------
    Wengert (1964), A simple automatic derivative evaluation program.

    Examples
    --------
    >>> from fastbp.graph import Variable, forward_derivative
    >>> x = Variable(3)
    >>> y = x ** 2 + 1 / x
    >>> forward_derivative(y, x) == 6 - 1 / 9
    True
    >>> y.backward()
    >>> x.grad == 6 - 1 / 9
    True
    """
    for name, one in (("output", output), ("variable", variable)):
        if not isinstance(one, Variable):
            raise TypeError(f"{name} must be a fastbp.graph.Variable, got {one!r}.")
    seed = seed_for(direction, variable, "direction", "the variable")
    return as_shown(directional_derivative(topological_order(output), variable, seed))
