"""What functions of users' own have in common, be they activations or losses.

A value and its derivative enter, plain functions of numbers; they are compared by identity, shown by name, and refused where
compiled code could not do as they say. How they are compiled is the matter of each kind.
"""

import dis

import numpy as np


class Own:
    """A value and a derivative, under the names in `names`; two of the same functions are equal."""

    names: tuple[str, ...] = ()
    arguments = ""

    def __init__(self, *functions):
        for name, function in zip(self.names, functions, strict=True):
            if not (callable(function) or (function is None and name != self.names[0])):
                raise TypeError(f"{name} must be a function of {self.arguments}, got {function!r}.")
            if _raises(function):
                raise TypeError(
                    f"{name} must not raise or assert, as nobody would hear of it within compiled epochs: have {function!r} return "
                    "NaN instead."
                )
            setattr(self, name, function)

    @property
    def functions(self):
        return tuple(getattr(self, name) for name in self.names)

    def _compare(self, where, slopes, differences):
        """A ValueError if slopes are not what differences of the value are, but for kinks; `where` says where, by an index."""
        known = np.isfinite(differences)
        wrong = known & ~(np.abs(differences - slopes) <= 1e-4 * (1 + np.abs(slopes)))  # which a slope of NaN is, too
        if not known.any() or wrong.sum() > 0.1 * known.sum():
            value, slope = self.names
            at = np.flatnonzero(wrong)[0] if known.any() else 0
            raise ValueError(
                f"{slope} must be the derivative of {value}: at {where(at)} it gives {slopes[at]:.6g}, and differences of {value} "
                f"give {differences[at]:.6g}. Mend {slope}, or leave it out."
            )

    def __eq__(self, other):
        return type(other) is type(self) and self.functions == other.functions

    def __hash__(self):
        return hash(self.functions)

    def __repr__(self):
        shown = [getattr(function, "__name__", repr(function)) for function in self.functions if function is not None]
        return f"{type(self).__name__}({', '.join(shown)})"


def _raises(function):
    """Whether a plain function may raise by its own words."""
    code = getattr(function, "__code__", None)
    return code is not None and any(step.opname == "RAISE_VARARGS" for step in dis.get_instructions(code))
