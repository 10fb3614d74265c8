"""The edges of a graph: each connects an operand with the result of an operation and contains the local derivative.

The derivative of an operation is a linear function for each operand. ``push`` applies it to the derivative of the operand (forward
mode), ``pull`` applies its transpose to the gradient of the result (reverse mode). ``local`` is the array that is shown, and
``pattern`` its text. This module does not know how the values are computed.
"""

from typing import Any

import numpy as np

from ._arrays import sum_to


class Edge:
    """An edge without a derivative, for an operand that is constant."""

    __slots__ = ("parent",)
    local: Any = None
    pattern = ""

    def __init__(self, parent):
        self.parent = parent


class _LocalEdge(Edge):
    """An edge with a local derivative."""

    __slots__ = ("local",)

    def __init__(self, parent, local):
        self.parent, self.local = parent, local


class Elementwise(_LocalEdge):
    """The local derivative of each element: an array that can be broadcast to the shape of the result."""

    __slots__ = ()
    pattern = "{d}"

    def pull(self, gradient):
        return sum_to(gradient * self.local, self.parent.shape)

    def push(self, tangent):
        return self.local * tangent


class LeftFactor(_LocalEdge):
    """The edge of A in A @ B; the gradient of A is G·Bᵀ."""

    __slots__ = ()
    pattern = "· {1}ᵀ"

    def pull(self, gradient):
        A, B = self.parent, self.local
        gradient = _as_matrices(gradient, A.ndim == 1, B.ndim == 1)
        product = gradient @ np.swapaxes(B[:, None] if B.ndim == 1 else B, -1, -2)
        return sum_to(product[..., 0, :] if A.ndim == 1 else product, A.shape)

    def push(self, tangent):
        return tangent @ self.local


class RightFactor(_LocalEdge):
    """The edge of B in A @ B; the gradient of B is Aᵀ·G."""

    __slots__ = ()
    pattern = "{0}ᵀ ·"

    def pull(self, gradient):
        A, B = self.local, self.parent
        gradient = _as_matrices(gradient, A.ndim == 1, B.ndim == 1)
        product = np.swapaxes(A[None, :] if A.ndim == 1 else A, -1, -2) @ gradient
        return sum_to(product[..., 0] if B.ndim == 1 else product, B.shape)

    def push(self, tangent):
        return self.local @ tangent


def _as_matrices(gradient, left_is_vector, right_is_vector):
    """Return the gradient of a product with the axes that a vector does not have."""
    gradient = gradient[..., None] if right_is_vector else gradient
    return gradient[..., None, :] if left_is_vector else gradient


class Reduced(_LocalEdge):
    """The edge of an operand that is multiplied by ``local`` and then summed over ``axes``."""

    __slots__ = ("axes", "keepdims")
    pattern = "{d}"

    def __init__(self, parent, local, axes, keepdims):
        super().__init__(parent, local)
        self.axes, self.keepdims = axes, keepdims

    def pull(self, gradient):
        gradient = gradient if self.keepdims else np.expand_dims(gradient, self.axes)
        return np.broadcast_to(gradient * self.local, self.parent.shape)

    def push(self, tangent):
        return (self.local * tangent).sum(axis=self.axes, keepdims=self.keepdims)


class Selected(Edge):
    """The edge of an array from which elements were selected; the gradients of an element that was selected twice are added."""

    __slots__ = ("index",)
    pattern = "1 at the index"

    def __init__(self, parent, index):
        self.parent, self.index = parent, index

    def pull(self, gradient):
        total = np.zeros(self.parent.shape, gradient.dtype)
        np.add.at(total, self.index, gradient)
        return total

    def push(self, tangent):
        return tangent[self.index]
