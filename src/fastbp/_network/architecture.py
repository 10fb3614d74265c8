"""The description of a network without its parameters: layout, activations, norm, dropout, output units and loss.

Names and numbers go in; immutable and hashable descriptions come out. `losses` and `fastbp._config` check that the names and
numbers can be combined, `layout` computes the offsets, and `kernel_settings` passes a description to the kernels. This module does
not know how a network is computed.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._kernels.codes import ActivationCode, LinkCode
from .._kernels.scratch import LOSS_NUMBERS
from .._kernels.settings import record
from .layout import Layout


@dataclass(frozen=True)
class Architecture:
    """The functions of a network between its matrix products.

    `activations` has one entry for each hidden layer. `dropout` is empty or has the rate of the inputs, followed by one rate for
    each hidden layer. `link` is the function of the output layer, and `numbers` are its quantiles or the sizes of its groups of
    classes. `has_input_scale` is True if each input is multiplied by a parameter, and `has_slopes` if hidden layers compute
    z + α (g(z) − z), with a parameter α for each unit. `has_residuals` is True if each hidden layer after the first adds its inputs
    to its outputs, if there are as many. `product_dtype` is "bfloat16" if the factors of products are rounded to this type during
    training. `encoders` compute the inputs of the network from the columns of X. In a
    network of members, `adapters` is "all" or "input"; otherwise, it is None.
    """

    activations: tuple
    link: str = "identity"
    norm: str | None = None
    dropout: tuple = ()
    input_noise: float = 0.0
    numbers: tuple = ()
    has_input_scale: bool = False
    has_slopes: bool = False
    encoders: tuple = ()
    adapters: str | None = None
    has_residuals: bool = False
    product_dtype: str | None = None

    @property
    def keeps_slopes(self):
        """Whether the forward pass stores the slopes of at least one layer."""
        return any(self.calls_activation(layer) for layer in range(len(self.activations)))

    @property
    def draws(self):
        """Whether training draws random numbers at each step."""
        return self.input_noise > 0 or any(self.dropout)

    def for_prediction(self):
        """Return the architecture without dropout and noise, and without those parts that are folded into the weights."""
        norm = None if self.norm == "batch_norm" else self.norm
        return replace(self, dropout=(), input_noise=0.0, norm=norm, has_input_scale=False, product_dtype=None)

    def dropout_of(self, layer):
        """Return the dropout rate of a hidden layer."""
        return self.dropout[layer + 1] if self.dropout else 0.0

    def has_residual(self, layer, shape):
        """Return whether a hidden layer with weights of this shape (n_in, n_out) adds its inputs to its outputs."""
        return self.has_residuals and layer > 0 and shape[0] == shape[1]

    def calls_activation(self, layer):
        """Return whether kernels call the activation of a hidden layer by its address.

        Layers with a norm, with parametric activations or with dropout, and those of members and of networks with residual
        connections, need stored slopes, and only activations that are called by their address store them. ReLU with dropout needs
        none: its slope is a constant where the activation is not zero.
        """
        activation = self.activations[layer]
        compiled_in = isinstance(activation, str) and activation in ActivationCode.__members__
        is_changed = self.norm is not None or self.has_slopes or self.adapters is not None or self.has_residuals
        return not compiled_in or is_changed or (self.dropout_of(layer) > 0 and activation != "relu")


@dataclass(frozen=True)
class Objective:
    """The loss to minimize: a name or a `Loss`, with its parameters."""

    loss: object
    smoothing: float = 0.0
    delta: float = 1.0
    power: float = 1.5
    of_classes: bool = False  # whether the targets encode classes; squared errors are then summed over the outputs

    def is_compiled_in(self, link):
        """Return whether this loss is compiled into every fit, like scikit-learn's losses with scikit-learn's links."""
        pairs = {("log_loss", "logistic"), ("log_loss", "softmax"), ("squared_error", "identity"), ("poisson", "exp")}
        return (self.loss, link) in pairs and self.smoothing == 0 and not (self.of_classes and self.loss == "squared_error")

    def is_canonical(self, link):
        """Return whether the derivative of the loss with respect to Z is A − y, possibly with smoothed targets y."""
        return self.is_compiled_in(link) or self.loss == "log_loss" or (self.loss, link) == ("squared_error", "identity")

    def is_averaged_over_outputs(self, link):
        """Return whether the loss is the mean over the outputs, although its derivative is that of the sum, as in scikit-learn."""
        return self.loss == "squared_error" and self.is_compiled_in(link)


@dataclass(frozen=True)
class Plan:
    """A description of a network: its layout, its architecture, and its objective, which may be None."""

    layout: Layout
    architecture: Architecture
    objective: Objective | None = None

    def loss_numbers(self):
        """Return the `LOSS_NUMBERS` record and the array of quantiles or group sizes, for the links and losses in the kernels."""
        architecture, objective, numbers = self.architecture, self.objective, record(LOSS_NUMBERS)
        if architecture.link == LinkCode.grouped_softmax.name and sum(architecture.numbers) != self.layout.sizes[-1]:
            raise ValueError(
                f"The numbers of classes of all outputs, {architecture.numbers}, must add up to the {self.layout.sizes[-1]} units "
                "of the output layer. The file from which the model was loaded is damaged; load another copy, or fit the model "
                "again."
            )
        numbers["link"] = LinkCode[architecture.link]
        if objective is not None:
            numbers["n_groups"] = len(architecture.numbers) if objective.of_classes else 0
            numbers["smoothing"], numbers["delta"], numbers["power"] = objective.smoothing, objective.delta, objective.power
            numbers["canonical"] = objective.loss == "log_loss"
        return numbers, np.array(architecture.numbers, np.float64)
