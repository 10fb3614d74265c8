"""The layers of a network in addition to dense layers, and how they are initialized and trained.

A `LayerKinds` describes them for one network. The layout, the segment table and initial values are derived from it. This module
does not know how the layers are computed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._data.inputs import as_rows
from .architecture import Architecture, Plan
from .initializers import draw_fitted_biases, draw_fitted_weights
from .layout import Layout, aligned_zeros
from .segments import Factors


@dataclass(frozen=True)
class LayerKinds:
    """The layers in addition to dense layers.

    ``has_input_scale`` multiplies each input by a parameter, and ``has_slopes`` makes the activations of hidden layers parametric.
    With ``has_residuals``, each hidden layer after the first adds its inputs to its outputs, if there are as many; this cannot be
    combined with ``adapters``. ``encoders`` compute the inputs from the columns of X. ``is_ntp`` divides the weights of a layer by
    the square root of its number of inputs (neural tangent parametrization; Jacot and others 2018): the stored weights include the
    divisor, so that only initial values and steps differ. ``initialization`` is None for `weight_init` and `bias_init`, "normal"
    for standard normal values in hidden layers and zeros in the last layer, "data" for values that depend on the training rows, or
    "tabm" for the values of TabM. ``rates`` and ``decays`` are factors of the learning rate and of the weight decay, as pairs of
    the name of a group of parameters and a number. The groups are "coefs", "intercepts", "input_scale", "slopes", "input_adapters",
    "output_adapters", and for each encoder the name of its kind. ``strength_schedule`` is the schedule of the dropout rates and the
    weight decay. With ``drop_last``, an epoch leaves out rows that do not fill a batch. With ``prefers_last_best``, early stopping
    prefers the last of several equally good epochs.

    A network of ``n_members`` members that share weights needs encoders. With the ``adapters`` "all", the members have adapters of
    the inputs and outputs of each hidden layer and their own biases (TabM); with "input", they have only adapters of the inputs of
    the network (TabM-mini). The last layer is not shared. ``adapter_init`` is "signs" or "normal" for the initial adapters of the
    inputs. With ``shares_batches``, all members are trained on the same batches.
    """

    has_input_scale: bool = False
    has_slopes: bool = False
    encoders: tuple = ()
    is_ntp: bool = False
    initialization: str | None = None
    rates: tuple = ()
    decays: tuple = ()
    strength_schedule: str | None = None
    drop_last: bool = False
    prefers_last_best: bool = False
    n_members: int = 0
    adapters: str | None = None
    adapter_init: str = "signs"
    shares_batches: bool = False
    has_residuals: bool = False

    def __post_init__(self):
        assert not (self.has_residuals and self.adapters)

    @property
    def n_features(self):
        """The number of columns of X that the encoders read, or 0 without encoders."""
        return sum(encoder.n_new_columns for encoder in self.encoders)

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
        if self.adapters is not None:
            n_adapted = sum(sizes[:-2]) if self.adapters == "all" else sizes[0]
            extras.append(("input_adapters", self.n_members * n_adapted))
        if self.adapters == "all":
            extras.append(("output_adapters", self.n_members * sum(sizes[1:-1])))
        extras += [(_group_of(index), encoder.n_params) for index, encoder in enumerate(self.encoders)]
        n_saved = sum(encoder.n_saved for encoder in self.encoders)
        return Layout(sizes, n_norms, tuple(extras), self.n_features, n_saved, self.n_members, self.adapters == "all")

    @staticmethod
    def published(layout):
        """Return the layout after the scaling of the inputs was folded into the weights of the first layer."""
        return replace(layout, extras=tuple(extra for extra in layout.extras if extra[0] != "input_scale"))

    def added_to(self, architecture):
        """Return an architecture with these layers."""
        kinds = {name: getattr(self, name) for name in ("has_input_scale", "has_slopes", "encoders", "adapters", "has_residuals")}
        return replace(architecture, **kinds)

    def factors(self, layout):
        """Return the factors of the groups of parameters of a layout, as `segment_table` expects them."""
        rates, decays, factors = dict(self.rates), dict(self.decays), {}
        for layer, n_in in enumerate(layout.sizes[:-1]):
            root = n_in**0.5 if self.is_ntp else 1.0
            factors["coefs", layer] = Factors(rates.get("coefs", 1.0) / root, 1.0, decays.get("coefs", 1.0), root)
            factors["intercepts", layer] = Factors(rates.get("intercepts", 1.0), 0.0, decays.get("intercepts", 0.0))
        kinds = {_group_of(index): encoder.kind for index, encoder in enumerate(self.encoders)}
        for name, _ in layout.extras:
            kind = kinds.get(name, name)
            factors[name] = Factors(rates.get(kind, 1.0), 0.0, decays.get(kind, 0.0))
        return factors

    # ------------------------------------------------------------------ initial values

    def initialize(self, layout, params, activations, rng, X):
        """Set the initial parameters of the layers in addition to dense layers, and of dense layers if ``initialization`` is set.

        ``X`` (n_rows, n_features) are the prepared training rows.
        """
        from .numpy_passes import activate_layer  # imported here, because the chain of module-level imports would become too long

        for index, encoder in enumerate(self.encoders):
            encoder.initialize(layout.extra(params, _group_of(index)), rng)
        if self.n_members:
            self._initialize_members(layout, params, rng)
            return
        A: Any = _EncodedInputs(self.encoders, layout, params, X) if self.encoders else X
        layout.extra(params, "input_scale")[:] = 1
        layout.extra(params, "slopes")[:] = 1
        coefs, intercepts = layout.views(params)
        for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            root = len(W) ** 0.5 if self.is_ntp else 1.0
            if self.initialization is None:
                continue
            if self.initialization == "data":
                Z = draw_fitted_weights(W, A, rng)
                draw_fitted_biases(b, Z, rng)
                Z += b
            elif layer < len(coefs) - 1:
                W[...], b[...] = rng.normal(size=W.shape) / root, rng.normal(size=b.shape)
            else:
                W[...], b[...] = 0, 0
            if self.initialization == "data" and layer < len(coefs) - 1:
                activate_layer(Z, activations[layer], None)
                A = Z + A if self.has_residuals and layer > 0 and A.shape == Z.shape else Z

    def _initialize_members(self, layout, params, rng):
        """Set the initial values of a network of members, as TabM (Gorishniy, Kotelnikov and Babenko 2025).

        W and b are uniform between −1/√n_in and 1/√n_in. All members start with the same biases in hidden layers, and their
        adapters of the inputs of the network differ between the columns of X, but not between the inputs that an encoder computes
        from one column. All other adapters are 1.
        """
        for W, b in zip(*layout.views(params), strict=True):
            bound, is_head = W.shape[-1 if W.ndim == 3 else 0] ** -0.5, W.ndim == 3
            W[...] = rng.uniform(-bound, bound, W.shape)
            b[...] = rng.uniform(-bound, bound, b.shape if is_head else b.shape[-1])
        for name in ("input_adapters", "output_adapters"):
            layout.extra(params, name)[...] = 1
        n_outs = np.concatenate([np.full(encoder.n_columns, encoder.n_out // encoder.n_columns) for encoder in self.encoders])
        shape = (self.n_members, len(n_outs))
        r = rng.normal(size=shape) if self.adapter_init == "normal" else rng.randint(2, size=shape) * 2.0 - 1
        n_inputs = layout.sizes[0]
        layout.extra(params, "input_adapters")[: self.n_members * n_inputs] = np.repeat(r, n_outs, axis=1).ravel()


class _EncodedInputs:
    """The inputs of the first dense layer for the rows X: the outputs of ``encoders``, which are not stored.

    Only the product with a matrix (n_inputs, n_units) is available. It is computed as the outputs of a network with one layer.
    """

    def __init__(self, encoders, layout, params, X):
        self.encoders, self.X, self.dtype = encoders, X, params.dtype
        n_params = sum(encoder.n_params for encoder in encoders)
        self.params, self.layout = params[layout.n_params - n_params :], layout

    def __matmul__(self, W):
        from .prediction import outputs  # imported here, because the chain of module-level imports would become too long

        layout = Layout(W.shape, 0, (("encoders", self.params.size),), self.layout.n_features, self.layout.n_saved)
        flat = aligned_zeros(layout.n_params, self.dtype)
        layout.views(flat)[0][0][...] = W
        layout.extra(flat, "encoders")[...] = self.params
        plan = Plan(layout, Architecture((), encoders=self.encoders))
        return outputs(plan, flat, as_rows(self.X, self.dtype), len(self.X))


def _group_of(index):
    """The name of the parameters of an encoder."""
    return f"encoder_{index}"
