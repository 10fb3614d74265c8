"""Write the layer table and the fields of `SETTINGS` that describe a network for the kernels.

A `Plan`, a block size and a dtype go in; the layer table comes out, and fields of `SETTINGS` are changed. Functions that are not
compiled into every fit are compiled on first use, and their addresses are written. This module does not know about training
parameters.
"""

from functools import cache

import numpy as np

from .._kernels.codes import ActivationCode, LinkCode, LossCode
from .._kernels.lazy.addresses import lazy_address
from .._kernels.targets import VECTOR_BYTES
from .user_functions import user_function_address

_ONE = 1 << 32  # rates and deviations are stored as multiples of 2⁻³²


def configure_network(settings, plan, block_size, dtype):
    """Write the fields of `SETTINGS` for a network and blocks of block_size rows; return its layer table."""
    dtype = np.dtype(dtype)
    table = plan.layout.layer_table(block_size, dtype.itemsize, VECTOR_BYTES)
    settings["block_size"] = block_size
    _write_hidden_layers(table, plan.architecture, dtype)
    _write_inputs(settings, plan.architecture, dtype)
    if plan.layout.n_members:
        _write_members(settings, table, plan.architecture.adapters, plan.layout.n_members, dtype)
    _write_link(settings, plan.architecture.link, dtype)
    if plan.objective is not None:
        _write_loss(settings, plan.objective, plan.architecture.link, dtype)
    return table


def _write_hidden_layers(table, architecture, dtype):
    norm = architecture.norm
    for layer, activation in enumerate(architecture.activations):
        row = table[layer]
        if architecture.calls_activation(layer):
            row["activation"], row["activation_address"] = (
                ActivationCode.by_address,
                function_address("activation", activation, dtype),
            )
        else:
            row["activation"] = ActivationCode[activation]
        if norm is not None:
            row["norm_address"] = lazy_address("norm", norm, dtype)
            row["norm_back_address"] = lazy_address("norm", f"{norm}_back", dtype)
        if architecture.has_slopes:
            row["parametric_address"] = lazy_address("parametric", "parametric", dtype)
            row["parametric_back_address"] = lazy_address("parametric_back", "parametric_back", dtype)
        row["is_residual"] = architecture.has_residual(layer, (row["n_in"], row["n_out"]))
        row["dropout"] = int(architecture.dropout_of(layer) * _ONE)


def _write_inputs(settings, architecture, dtype):
    if architecture.draws:
        settings["dropout_address"] = lazy_address("draw", "drop", dtype)
        settings["noise_address"] = lazy_address("draw", "add_noise", dtype)
        settings["input_dropout"] = int(architecture.dropout[0] * _ONE) if architecture.dropout else 0
        settings["input_noise"] = int(architecture.input_noise * _ONE)


def _write_members(settings, table, adapters, n_members, dtype):
    settings["member_shuffle_address"] = lazy_address("member_shuffle", "shuffle_members", dtype)
    table["n_members"] = n_members
    with_adapters = {"inputs": table[:1] if adapters == "input" else table[:-1], "outputs": table[: -1 if adapters == "all" else 0]}
    for name, rows in with_adapters.items():
        rows[f"adapt_{name}_address"] = lazy_address("adapter", name, dtype)
        rows[f"adapt_{name}_back_address"] = lazy_address("adapter_back", name, dtype)
    table[-1]["heads_address"] = lazy_address("heads", "heads", dtype)
    table[-1]["heads_back_address"] = lazy_address("heads_back", "heads_back", dtype)


def _write_link(settings, link, dtype):
    settings["out_activation"] = LinkCode[link]
    if not LinkCode[link].is_compiled_in:
        settings["link_address"] = lazy_address("link", link, dtype)


def _write_loss(settings, objective, link, dtype):
    if objective.is_compiled_in(link):
        settings["loss"] = LossCode[objective.loss]
    else:
        settings["loss"] = LossCode.by_address
        settings["output_delta_address"] = lazy_address("output_delta", "loss_and_output_delta", dtype)
        settings["loss_address"] = function_address("loss", objective.loss, dtype)


@cache
def function_address(kind, function, dtype):
    """Return the address of a function given by its name, or by a `UserFunction`."""
    return lazy_address(kind, function, dtype) if isinstance(function, str) else user_function_address(function, dtype)
