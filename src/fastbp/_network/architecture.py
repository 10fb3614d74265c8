"""What a network does between its products: activations, norms, what is dropped, its output and its loss.

Names and numbers enter; codes and addresses leave, in the columns of a table and the fields of `SETTINGS`, and the numbers that are
read by what is called. Whether they go together was the matter of `losses` and `parameters`; where things lie is that of `layout`.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._kernels import ActivationCode, LinkCode, LossCode, find
from .._kernels.lazy import links, losses
from .._kernels.network import ACTIVATION, CALLED_AT, DROP, NORM_AT, NORM_BACK_AT
from .activations import address
from .losses import loss_address

_ONE = 1 << 32  # what shares and deviations are counted in
_LINK_CODES = {"relu": links.RELU, "softplus": links.SOFTPLUS, "groups": links.GROUPS, "rising": links.RISING}


@dataclass(frozen=True)
class Architecture:
    """All of a network but its sizes and parameters.

    `activations` has an entry per hidden layer, `dropout` one for the inputs before those; `link` is the function of the output
    units, with `numbers` of its own: the sizes of groups of classes, or quantiles.
    """

    activations: tuple
    link: str = "identity"
    norm: str | None = None
    dropout: tuple = ()
    input_noise: float = 0.0
    numbers: tuple = ()

    @property
    def keeps_slopes(self):
        """Whether some layer needs room for its slopes."""
        return any(self._is_called(layer) for layer in range(len(self.activations)))

    @property
    def draws(self):
        """Whether something is drawn at each step."""
        return self.input_noise > 0 or any(self.dropout)

    def for_prediction(self):
        """The same without what only training does; a batch's norm is folded into the weights."""
        return replace(self, dropout=(), input_noise=0.0, norm=None if self.norm == "batch_norm" else self.norm)

    def _dropped(self, layer):
        return self.dropout[layer + 1] if self.dropout else 0.0

    def _is_called(self, layer):
        """Whether a layer's activation is called, be it one of the epochs' own: norms and dropout want slopes by themselves."""
        activation = self.activations[layer]
        own = isinstance(activation, str) and activation in ActivationCode.__members__
        return not own or self.norm is not None or self._dropped(layer) > 0

    def write_into(self, settings, table, dtype):
        """Fill in the columns of the hidden layers, and the fields of inputs and outputs."""
        dtype = np.dtype(dtype)
        for layer, activation in enumerate(self.activations):
            row = table[layer]
            if self._is_called(layer):
                row[ACTIVATION], row[CALLED_AT] = ActivationCode.called, address(activation, dtype)
            else:
                row[ACTIVATION] = ActivationCode[activation]
            if self.norm is not None:
                row[NORM_AT], row[NORM_BACK_AT] = find("norm", self.norm, dtype), find("norm", f"{self.norm}_back", dtype)
            row[DROP] = int(self._dropped(layer) * _ONE)
        if self.draws:
            settings["drop_at"], settings["noise_at"] = find("draw", "drop", dtype), find("draw", "add_noise", dtype)
            settings["input_drop"] = int(self.dropout[0] * _ONE) if self.dropout else 0
            settings["input_noise"] = int(self.input_noise * _ONE)
        if self.link in _LINK_CODES:
            settings["out_activation"], settings["link_at"] = LinkCode.called, find("link", self.link, dtype)
        else:
            settings["out_activation"] = LinkCode[self.link]

    def numbers_for(self, objective):
        """What links and losses that are called read, for an `Objective` or None."""
        numbers = np.zeros(losses.LIST + max(1, len(self.numbers)))
        numbers[losses.LINK] = _LINK_CODES[self.link] if self.link in _LINK_CODES else LinkCode[self.link]
        numbers[losses.N_LIST] = len(self.numbers)
        numbers[losses.LIST : losses.LIST + len(self.numbers)] = self.numbers
        if objective is not None:
            numbers[losses.N_GROUPS] = len(self.numbers) if objective.of_classes else 0
            numbers[losses.SMOOTHING], numbers[losses.DELTA] = objective.smoothing, objective.delta
            numbers[losses.POWER], numbers[losses.CANONICAL] = objective.power, objective.loss == "log_loss"
        return numbers


@dataclass(frozen=True)
class Objective:
    """What is minimised: the name of a loss, or an own one, and the numbers that it needs."""

    loss: object
    smoothing: float = 0.0
    delta: float = 1.0
    power: float = 1.5
    of_classes: bool = False  # whether targets are class codes, or 0 and 1, and squared errors are summed over the outputs

    def write_into(self, settings, architecture, dtype):
        """Fill in the fields of the loss; scikit-learn's, with the links that they have there, are part of the epochs."""
        dtype = np.dtype(dtype)
        plain = {("log_loss", "logistic"), ("log_loss", "softmax"), ("squared_error", "identity"), ("poisson", "exp")}
        if (
            (self.loss, architecture.link) in plain
            and self.smoothing == 0
            and not (self.of_classes and self.loss == "squared_error")
        ):
            settings["loss"] = LossCode[self.loss]
        else:
            settings["loss"], settings["finish_at"] = LossCode.called, find("finish", "finish", dtype)
            settings["loss_at"] = loss_address(self.loss, dtype)
