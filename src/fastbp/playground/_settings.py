"""The settings of a page: their defaults, their limits and their validation.

A dict of values from the browser goes in; ``Settings`` and a list of ``InputProblem`` come out. An invalid value is replaced by its
default, and its problem names the setting, the rule, the value and the remedy. This module does not know how a network is trained.
"""

from dataclasses import dataclass, fields
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

DATA_NAMES = ("circles", "xor", "moons", "spirals", "regression", "csv")
SPEEDS = (1, 5, 20, 100, 0)  # epochs per second; 0 is as fast as possible
MAX_UNITS, MAX_LAYERS = 16, 5
_TARGETS = ("auto", "classes", "numbers")


@dataclass(frozen=True)
class Settings:
    """All settings of a page; together with the file of the user, they determine every number that the page shows."""

    data: str = "circles"
    noise: float = 0.1
    rows: int = 300
    test_share: float = 0.3
    seed: int = 0
    target: str = "auto"
    scale: bool = False
    layers: tuple[tuple[int, str], ...] = ((6, "tanh"), (4, "tanh"))  # units and activation of each hidden layer
    solver: str = "adam"
    learning_rate: float = 0.01
    alpha: float = 0.0001
    dropout: float = 0.0
    batch_size: int = 20
    epochs: int = 300
    speed: int = 20

    @property
    def of_training(self):
        """The settings that change the numbers of an epoch; if one of them changes, training starts again."""
        return tuple(getattr(self, field.name) for field in fields(self) if field.name not in ("epochs", "speed"))

    def as_dict(self):
        """The settings as values for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"layers": [{"units": units, "activation": activation} for units, activation in self.layers]}


class InputProblem(NamedTuple):
    """An invalid value: the name of its setting, or "csv" for a file, and a message."""

    field: str
    message: str


class Range(NamedTuple):
    """The allowed values of a number, its label on the page, and a valid example."""

    label: str
    low: float
    high: float
    is_integer: bool
    example: float
    is_open: bool = False  # whether `low` itself is excluded


RANGES = {
    "noise": Range("Noise", 0, 1, False, 0.1),
    "rows": Range("Rows", 20, 2000, True, 300),
    "test_share": Range("Test share", 0.1, 0.9, False, 0.3),
    "seed": Range("Seed", 0, 2**32 - 1, True, 0),
    "learning_rate": Range("Learning rate", 0, 100, False, 0.01, is_open=True),
    "alpha": Range("L2 penalty (alpha)", 0, 1000, False, 0.0001),
    "dropout": Range("Dropout", 0, 0.9, False, 0.2),
    "batch_size": Range("Batch size", 1, 5000, True, 20),
    "epochs": Range("Stop after epochs", 1, 10000, True, 300),
}


@cache
def choices():
    """The allowed values of each setting that is a name, read from the registries of fastbp."""
    # imported here, because a chain of module-level imports would become too long
    from .._kernels.lazy.solvers import N_MOMENTS
    from .._network.activations import ACTIVATION_NAMES

    return {"data": DATA_NAMES, "target": _TARGETS, "solver": tuple(N_MOMENTS), "activation": tuple(ACTIVATION_NAMES)}


def options():
    """Everything that the page needs to build its controls."""
    limits = {name: {"min": limit.low, "max": limit.high, "integer": limit.is_integer} for name, limit in RANGES.items()}
    names = {name: list(values) for name, values in choices().items()}
    sizes = {"max_layers": MAX_LAYERS, "max_units": MAX_UNITS, "speeds": list(SPEEDS)}
    return {"type": "options", "choices": names, "limits": limits, "defaults": Settings().as_dict(), **sizes}


def checked_settings(values):
    """Return the ``Settings`` for a dict of values, with defaults instead of invalid values, and a list of ``InputProblem``."""
    if not isinstance(values, dict):
        return Settings(), [
            InputProblem("settings", f"settings must be an object with one entry per setting, got {_quoted(values)}.")
        ]
    known = {field.name for field in fields(Settings)}
    found: dict[str, Any] = {}
    problems = [
        InputProblem(
            "settings", f"{_quoted(name)} is not a setting. Remove it from the address, or use one of: {', '.join(sorted(known))}."
        )
        for name in values
        if name not in known
    ]
    for name in known & set(values):
        try:
            found[name] = _checked_setting(name, values[name])
        except ValueError as error:
            problems.append(InputProblem(name, str(error)))
    return Settings(**found), sorted(problems)


def _checked_setting(name, value):
    """Return a valid value of a setting as its field stores it; otherwise, raise a ValueError."""
    if name in RANGES:
        return _checked_number(RANGES[name], value)
    if name == "layers":
        return _checked_layers(value)
    if name == "scale":
        if not isinstance(value, bool):
            raise ValueError(f"Scale must be on or off, got {_quoted(value)}. Use the checkbox, or 0 or 1 in the address.")
        return value
    if name == "speed":
        if isinstance(value, bool) or value not in SPEEDS:
            raise ValueError(f"Speed must be one of {', '.join(map(str, SPEEDS))}, got {_quoted(value)}. Use 0 for full speed.")
        return value
    return _checked_choice(name, name.capitalize(), value)


def _checked_choice(name, label, value):
    if not isinstance(value, str) or value not in choices()[name]:
        raise ValueError(
            f"{label} must be one of {', '.join(choices()[name])}, got {_quoted(value)}. Select a value from the list."
        )
    return value


def _checked_number(limit, value):
    kind = "an integer" if limit.is_integer else "a number"
    low = f"greater than {limit.low:g} and at most" if limit.is_open else f"from {limit.low:g} to"
    rule = f"{limit.label} must be {kind} {low} {limit.high:.10g}, got {_quoted(value)}. Enter, for example, {limit.example:g}."
    is_number = (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and isfinite(value))
    if not is_number or not limit.low <= value <= limit.high or (limit.is_open and value == limit.low):
        raise ValueError(rule)
    if limit.is_integer and value != int(value):
        raise ValueError(rule)
    return int(value) if limit.is_integer else float(value)


def _checked_layers(value):
    if not isinstance(value, list) or not all(isinstance(layer, dict) for layer in value):
        raise ValueError(f"Layers must be a list such as 6-tanh,4-tanh in the address, got {_quoted(value)}.")
    if len(value) > MAX_LAYERS:
        raise ValueError(f"Layers must have at most {MAX_LAYERS} hidden layers, got {len(value)}. Remove some of them.")
    units = Range("", 1, MAX_UNITS, True, 4)
    return tuple(
        (
            _checked_number(units._replace(label=f"Units of hidden layer {number}"), layer.get("units")),
            _checked_choice("activation", f"Activation of hidden layer {number}", layer.get("activation")),
        )
        for number, layer in enumerate(value, start=1)
    )


def _quoted(value):
    """The value as the user has entered it, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
