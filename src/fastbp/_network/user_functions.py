"""The common base of user-defined activations and losses.

A function and its derivative, both plain Python functions of numbers, go in; the address of a compiled loop comes out. The base
class checks the functions, compares instances and defines their repr. The subclasses compile the functions into loops over arrays.
This module does not know what the functions compute.
"""

import dis

import numpy as np

from .._kernels.function_pointers import address_of
from .._kernels.lazy.addresses import signature


class UserFunction:
    """A function and its derivative, stored as the attributes `names`; two instances with the same functions are equal."""

    kind, arguments = "", ""
    names: tuple[str, ...] = ()

    def __init__(self, *functions):
        for name, function in zip(self.names, functions, strict=True):
            if not (callable(function) or (function is None and name != self.names[0])):
                raise TypeError(f"{name} must be a function of {self.arguments}, got {function!r}.")
            if _raises(function):
                raise TypeError(
                    f"{name} must not raise or assert, since exceptions cannot leave compiled code; got {function!r}. Return NaN "
                    "instead."
                )
            setattr(self, name, function)

    @property
    def functions(self):
        return tuple(getattr(self, name) for name in self.names)

    def _compare(self, position, slopes, differences):
        """Raise a ValueError if the slopes differ from the finite differences at more than 10 % of the points.

        The differences at kinks are wrong, so some are allowed. `position` returns a description of a point for its index.
        """
        known = np.isfinite(differences)
        wrong = known & ~(np.abs(differences - slopes) <= 1e-4 * (1 + np.abs(slopes)))  # also True for a slope of NaN
        if not known.any() or wrong.sum() > 0.1 * known.sum():
            value, slope = self.names
            at = np.flatnonzero(wrong)[0] if known.any() else 0
            raise ValueError(
                f"{slope} must be the derivative of {value}: at {position(at)} it is {slopes[at]:.6g}, but the finite difference "
                f"of {value} is {differences[at]:.6g}. Correct {slope}, or omit it."
            )

    def __eq__(self, other):
        return type(other) is type(self) and self.functions == other.functions

    def __hash__(self):
        return hash(self.functions)

    def __repr__(self):
        shown = [getattr(function, "__name__", repr(function)) for function in self.functions if function is not None]
        return f"{type(self).__name__}({', '.join(shown)})"


def user_function_address(function, dtype):
    """Return the address of the compiled loop of a ``UserFunction`` for parameters of a dtype."""
    return address_of(function.compiled, signature(function.kind, dtype))


def _raises(function):
    """Return whether the code of a Python function contains raise or assert."""
    code = getattr(function, "__code__", None)
    return code is not None and any(step.opname == "RAISE_VARARGS" for step in dis.get_instructions(code))
