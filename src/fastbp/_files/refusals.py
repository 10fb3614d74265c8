"""Errors for values that a file without code cannot contain.

A value and its place in the estimator go in; a ValueError that names the parameter, the function or type, and a remedy comes out.
This module does not know the format of the files.
"""

from .._network.user_functions import UserFunction

_OF_LAST_FIT = "_state"


def refusal(value, where):
    """Return the error for a value at a place such as "activation.0" or "_state.optimizer.hyperparams.learning_rate"."""
    name = _parameter_at(where)
    if name == "callbacks":
        remedy = "Call set_params(callbacks=None) or, for callbacks of scikit-learn, set_callbacks() before saving"
    elif isinstance(value, UserFunction) or callable(value):
        remedy = "Use one of the names that the parameter accepts"
    else:
        remedy = "Use numbers, strings, lists, dicts or NumPy arrays of numbers or strings"
    return ValueError(
        f"{name} must not contain {describe(value)} in a file of fastbp.save or fastbp.Checkpoint, which stores no code. {remedy}, "
        "or store the estimator with pickle or joblib, and with Checkpoint(path, format='pickle') during a fit."
    )


def describe(value):
    """Return a short text about a value that is refused."""
    if isinstance(value, UserFunction):
        names = [f"{_name_of(function)!r}" for function in value.functions if function is not None]
        return f"the function{'s' * (len(names) > 1)} {' and '.join(names)} (fastbp.{type(value).__name__})"
    if hasattr(value, "__qualname__"):
        return f"the {'class' if isinstance(value, type) else 'function'} {_name_of(value)!r}"
    dtype = getattr(value, "dtype", None)
    return f"an object of type {type(value).__name__}" + (f" and dtype {dtype}" if dtype is not None else "")


def _name_of(function):
    return getattr(function, "__qualname__", type(function).__name__)


def _parameter_at(where):
    """Return the name of the parameter or attribute at a place."""
    first, *rest = [part for part in where.split(".") if not part.isdigit()]
    if first != _OF_LAST_FIT:
        return first
    return f"{'activation' if rest[-1] == 'activations' else rest[-1]} (of the last fit)"
