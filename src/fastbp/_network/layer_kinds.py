"""The layers of a network in addition to dense layers, and how they are initialized and trained.

A `LayerKinds` describes them for one network. The layout, the segment table and initial values are derived from it. This module does
not know how the layers are computed.
"""

from dataclasses import dataclass, replace

import numpy as np

from .layout import Layout
from .numpy_passes import activate_layer
from .segments import Factors


@dataclass(frozen=True)
class LayerKinds:
    """The layers in addition to dense layers.

    ``has_input_scale`` multiplies each input by a parameter, and ``has_slopes`` makes the activations of hidden layers parametric.
    ``encoders`` compute the inputs from ``n_features`` columns of X. ``is_ntp`` divides the weights of a layer by the square root of
    its number of inputs (neural tangent parametrization; Jacot and others 2018): the stored weights include the divisor, so that
    only initial values and steps differ. ``initialization`` is None for `weight_init` and `bias_init`, "normal" for standard normal
    values in hidden layers and zeros in the last layer, or "data" for values that depend on the training rows. ``rates`` and
    ``decays`` are factors of the learning rate and of the weight decay, as pairs of the name of a group of parameters and a number.
    The groups are "coefs", "intercepts", "input_scale", "slopes", and for each encoder the name of its kind.
    ``strength_schedule`` is the schedule of the dropout rates and the weight decay. With ``drop_last``, an epoch leaves out rows that
    do not fill a batch. With ``prefers_last_best``, early stopping prefers the last of several equally good epochs.
    """

    has_input_scale: bool = False
    has_slopes: bool = False
    encoders: tuple = ()
    n_features: int = 0
    is_ntp: bool = False
    initialization: str | None = None
    rates: tuple = ()
    decays: tuple = ()
    strength_schedule: str | None = None
    drop_last: bool = False
    prefers_last_best: bool = False

    def n_inputs(self, n_features):
        """Return the number of inputs of the first dense layer for rows with this number of columns."""
        return sum(encoder.n_out for encoder in self.encoders) if self.encoders else n_features

    def layout(self, sizes, n_norms):
        """Return the layout of a network with these layer sizes."""
        extras = []
        if self.has_input_scale:
            extras.append(("input_scale", sizes[0]))
        if self.has_slopes:
            extras.append(("slopes", sum(sizes[1:-1])))
        if self.encoders:
            extras.append(("encoders", sum(encoder.n_params for encoder in self.encoders)))
        n_saved = sum(encoder.n_saved for encoder in self.encoders)
        return Layout(sizes, n_norms, tuple(extras), self.n_features if self.encoders else 0, n_saved)

    @staticmethod
    def published(layout):
        """Return the layout after the scaling of the inputs was folded into the weights of the first layer."""
        return replace(layout, extras=tuple(extra for extra in layout.extras if extra[0] != "input_scale"))

    def added_to(self, architecture):
        """Return an architecture with these layers."""
        kinds = {name: getattr(self, name) for name in ("has_input_scale", "has_slopes", "encoders")}
        return replace(architecture, **kinds)

    def factors(self, layout):
        """Return the factors of the groups of parameters of a layout, as `segment_table` expects them."""
        rates, decays, factors = dict(self.rates), dict(self.decays), {}
        for layer, n_in in enumerate(layout.sizes[:-1]):
            root = n_in**0.5 if self.is_ntp else 1.0
            factors["coefs", layer] = Factors(rates.get("coefs", 1.0) / root, 1.0, decays.get("coefs", 1.0), root)
            factors["intercepts", layer] = Factors(rates.get("intercepts", 1.0), 0.0, decays.get("intercepts", 0.0))
        for name, _ in layout.extras:
            factors[name] = Factors(rates.get(name, 1.0), 0.0, decays.get(name, 0.0))
        return factors

    # ------------------------------------------------------------------ initial values

    def initialize(self, layout, params, activations, rng, A):
        """Set the initial parameters of the layers in addition to dense layers, and of dense layers if ``initialization`` is set.

        ``A`` (n_rows, n_inputs) are the inputs of the first dense layer for all training rows.
        """
        layout.extra(params, "input_scale")[:] = 1
        layout.extra(params, "slopes")[:] = 1
        coefs, intercepts = layout.views(params)
        for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            root = len(W) ** 0.5 if self.is_ntp else 1.0
            if self.initialization == "data":
                Z = _fit_layer(W, b, A, rng)
            elif layer < len(coefs) - 1:
                W[...], b[...] = rng.normal(size=W.shape) / root, rng.normal(size=b.shape)
            else:
                W[...], b[...] = 0, 0
            if self.initialization == "data" and layer < len(coefs) - 1:
                activate_layer(Z, activations[layer], None)
                A = Z


def _fit_layer(W, b, A, rng):
    """Set W and b to random values for which the weighted sums of the rows have unit variance; return the weighted sums.

    Each bias is minus a random weighted mean of five weighted sums of its unit (Holzmüller, Grinsztajn and Steinwart 2024).
    """
    drawn = rng.normal(size=W.shape)
    Z = A @ drawn
    deviations = Z.std(axis=0)
    scales = np.divide(1, deviations, out=np.ones_like(deviations), where=deviations > 0)
    W[...] = drawn * scales
    Z *= scales
    rows, shares = rng.randint(len(A), size=(W.shape[1], 5)), rng.exponential(size=(W.shape[1], 5))
    shares /= shares.sum(axis=1, keepdims=True)
    b[...] = -(shares * Z[rows, np.arange(W.shape[1])[:, None]]).sum(axis=1)
    Z += b
    return Z
