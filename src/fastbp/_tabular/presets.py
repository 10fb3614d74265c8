"""The presets of RealMLP: the values of all parameters that the user does not set.

A preset, a task and the parameters of an estimator go in; complete ``NetworkSettings`` come out. The values are those of the
reference implementation pytabkit 1.7.3 (Holzmüller, Grinsztajn and Steinwart, "Better by default: Strong pre-tuned MLPs and boosted
trees on tabular data", NeurIPS 2024). This module does not know how a network is trained.
"""

from typing import Any, NamedTuple

import numpy as np


class NetworkSettings(NamedTuple):
    """The parameters of one network; the names are those of the parameters of the estimators."""

    hidden_layer_sizes: tuple = (256, 256, 256)
    activation: str = "selu"
    parametric_activation: bool = False
    learning_rate: str = "coslog4"
    learning_rate_init: float = 0.04
    beta_1: float = 0.9
    beta_2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.1
    weight_init: str = "normal"
    n_frequencies: int = 0
    max_one_hot_size: int = 256  # the reference implementation has no limit
    embedding_size: int = 8
    clip_predictions: bool = False
    batch_size: int = 256
    max_iter: int = 256


class NetworkKind(NamedTuple):
    """What all networks of an ensemble have in common.

    ``link`` is the function of the output layer, and ``numbers`` are its quantiles.
    """

    settings: NetworkSettings
    n_outputs: int
    link: str
    numbers: tuple = ()

    def to_plain(self):
        """Return a dict of plain values."""
        return self._asdict() | {"settings": self.settings._asdict()}

    @classmethod
    def from_plain(cls, plain):
        """Return the result for a dict of ``to_plain``."""
        return cls(**plain | {"settings": NetworkSettings(**plain["settings"])})


_TD: dict[str, Any] = {
    "parametric_activation": True,
    "weight_decay": 0.02,
    "dropout": 0.15,
    "weight_init": "data",
    "n_frequencies": 16,
    "max_one_hot_size": 9,
}
_OF_REGRESSION: dict[str, Any] = {"activation": "mish", "label_smoothing": 0.0}
# by the preset, and whether the task is regression
_PRESETS: dict[tuple[str, bool], dict[str, Any]] = {
    ("td", False): _TD,
    ("td", True): {**_TD, **_OF_REGRESSION, "learning_rate_init": 0.2, "clip_predictions": True},
    ("td-s", False): {},
    ("td-s", True): {**_OF_REGRESSION, "learning_rate_init": 0.07},
}
PRESET_NAMES = sorted({name for name, _ in _PRESETS})


def settings_of(estimator, *, is_regression):
    """Return the ``NetworkSettings`` of an estimator, whose parameters that are None have the value of its preset."""
    given = {name: getattr(estimator, name, None) for name in NetworkSettings._fields}
    if given["hidden_layer_sizes"] is not None:
        given["hidden_layer_sizes"] = tuple(np.atleast_1d(given["hidden_layer_sizes"]).tolist())
    return NetworkSettings(**_PRESETS[estimator.preset, is_regression])._replace(
        **{name: value for name, value in given.items() if value is not None}
    )
