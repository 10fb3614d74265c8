"""The checks of the arguments of all displays.

An argument of the user goes in; the validated value comes out, or an error that names the parameter, the rule, the value and the
remedy. This module does not know what is drawn.
"""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..._inspected_fit import InspectableFit
from ..._network.activations import per_layer
from ..._wrong_estimator import described, wrong_estimator_error

# the ranges of bounded activations and outputs
BOUNDED_RANGES = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0)}


def check_network(est: Any, name: str = "est") -> None:
    """Raise an error unless an estimator is a fitted estimator of fastbp."""
    if not isinstance(est, InspectableFit):
        raise wrong_estimator_error(est, name)
    check_is_fitted(est)


def layer_number(layer: Any, n_layers: int, name: str = "layer") -> int:
    """Return the number of a layer from 1 to n_layers; negative numbers count from the output layer."""
    is_number = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not is_number or layer == 0 or not -n_layers <= layer <= n_layers:
        rule, reason = "1 or -1", "has only an output layer"
        if n_layers > 1:
            rule = f"an integer from 1 to {n_layers} or from {-n_layers} to -1"
            reason = f"has {n_layers} layers of weights (1 is the first hidden layer and {n_layers} or -1 the output layer)"
        raise ValueError(f"{name} must be {rule}, because the network {reason}; got {layer!r}.")
    return int(layer) if layer > 0 else int(layer) + n_layers + 1


def unit_numbers(units: Any, n_units: int, max_units: Any, layer_name: str) -> np.ndarray:
    """Return the numbers of the units to draw: those of the user, or the first max_units."""
    check_count("max_units", max_units)
    if units is None:
        return np.arange(min(n_units, max_units))
    numbers = np.atleast_1d(np.asarray(units))
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu" or (numbers < 0).any() or (numbers >= n_units).any():
        raise ValueError(
            f"units must be one or several integers from 0 to {n_units - 1}, because {layer_name} has {n_units} units; got "
            f"{units!r}."
        )
    return numbers


def check_count(name: str, value: Any, smallest: int = 1) -> None:
    """Raise a ValueError unless a parameter is an integer that is large enough."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < smallest:
        raise ValueError(f"{name} must be an integer >= {smallest}, got {value!r}.")


def numbers_in(name: str, values: Any) -> np.ndarray:
    """Return an array-like of numbers as an array in float64."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must contain only numbers, got {described(values)} ({error}). Convert it to numbers.") from error


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise a ValueError unless a parameter is one of several strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")


def layer_title(layer: int, n_layers: int) -> str:
    """Return the name of a layer in titles and legends."""
    return "output layer" if layer == n_layers else f"hidden layer {layer}"


def layer_phrase(layer: int, n_layers: int) -> str:
    """Return the name of a layer in sentences."""
    return "the " * (layer == n_layers) + layer_title(layer, n_layers)


def activation_names(est: Any) -> list[str]:
    """Return the names of the activations of the hidden layers."""
    names = per_layer(est.activation, len(est.coefs_) - 1)
    return [name if isinstance(name, str) else repr(name) for name in names]
