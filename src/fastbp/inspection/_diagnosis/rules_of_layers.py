"""Rules about layers: vanishing and exploding gradients, dead and saturated units.

``Measurements`` go in; an ``Advice`` comes out, or None if the network does not have the problem. The signs of the problems are in
``signs``. This module does not know how anything was measured.
"""

from . import signs
from .records import Advice
from .remedies import first_remedy, without

_BELOW_ZERO = ("leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus")  # their slopes are not 0 for all negative sums


def vanishing_gradients(m):
    """The deltas become much smaller from the output layer to the first layer."""
    if not signs.is_vanishing(m):
        return None
    config, has_norm = m.config, m.config.batch_norm or m.config.layer_norm
    remedy = first_remedy(
        (any(m.bounded), "activation", "relu", "Use an activation whose slope does not become small"),
        (not has_norm and not m.is_lbfgs, "batch_norm", True, "Normalize the sums of each layer"),
        (not has_norm, "layer_norm", True, "Normalize the sums of each layer"),
        (config.weight_init != "he_normal", "weight_init", "he_normal", "Use larger initial weights"),
        (True, "hidden_layer_sizes", m.sizes[: max(1, len(m.sizes) // 2)], "Use fewer layers"),
    )
    return Advice(
        "vanishing_gradients",
        "The gradients vanish on the way from the output layer to the first layer, so that the first layers hardly learn.",
        f"The norm of the deltas of layer 1 is {signs.delta_ratio(m):.2g} times that of the output layer; "
        f"{_gradients_of_biases(m)}.",
        *remedy,
    )


def exploding_gradients(m):
    """The deltas become much larger from the output layer to the first layer."""
    if not signs.is_exploding(m):
        return None
    config, has_norm = m.config, m.config.batch_norm or m.config.layer_norm
    is_relu_like = not any(m.bounded)
    remedy = first_remedy(
        (config.coefs_init is not None, "coefs_init", None, "Use random initial weights of the usual size"),
        (
            not signs.has_standard_initializer(m),
            "weight_init",
            "he_normal" if is_relu_like else "glorot_uniform",
            "Use smaller initial weights",
        ),
        (
            signs.has_unusual_rate(m),
            "learning_rate_init",
            m.smaller_rate(),
            f"Use a smaller learning_rate_init (now {config.learning_rate_init:g})",
        ),
        (not has_norm and not m.is_lbfgs, "batch_norm", True, "Normalize the sums of each layer"),
        (not has_norm, "layer_norm", True, "Normalize the sums of each layer"),
        (config.clip_norm is None and not m.is_lbfgs, "clip_norm", 1.0, "Limit the norm of the gradient"),
        (True, "hidden_layer_sizes", m.sizes[: max(1, len(m.sizes) // 2)], "Use fewer layers"),
    )
    return Advice(
        "exploding_gradients",
        "The gradients explode on the way from the output layer to the first layer, so that training is unstable.",
        f"The norm of the deltas of layer 1 is {signs.delta_ratio(m):.2g} times that of the output layer; "
        f"{_gradients_of_biases(m)}.",
        *remedy,
    )


def _gradients_of_biases(m):
    norms = ", ".join(f"{layer.intercept_grad_norm:.2g}" for layer in m.layers)
    return f"the norms of the gradients of the biases are {norms} from the first to the last layer"


def dead_units(m):
    """Many units of a layer have a slope of 0 on all rows."""
    layer = signs.dead_layer(m)
    if layer is None:
        return None
    config, activations = m.config, m.fit.plan.architecture.activations
    leaky = without(activations, lambda name: name == activations[layer.layer - 1], "leaky_relu")
    is_fast = signs.has_unusual_rate(m) or signs.is_rate_too_large(m)
    smaller_rate = "learning_rate_init", m.smaller_rate(), f"Use a smaller learning_rate_init (now {config.learning_rate_init:g})"
    remedy = first_remedy(
        (config.scale is None and signs.large_input(m) is not None, "scale", "standard", "Scale the inputs"),
        (is_fast, *smaller_rate),
        (
            activations[layer.layer - 1] not in _BELOW_ZERO,
            "activation",
            leaky,
            "Use an activation whose slope is not 0 for negative sums",
        ),
        (not m.is_lbfgs, *smaller_rate),
        (config.bias_init != "zeros", "bias_init", "zeros", "Start with biases of 0"),
        (True, "hidden_layer_sizes", tuple(max(1, n // 2) for n in m.sizes), "Use fewer units"),
    )
    n_dead = round(layer.dead_share * layer.n_units)
    return Advice(
        "dead_units",
        f"Most units of hidden layer {layer.layer} are dead: they do not react to any row, and do not learn.",
        f"{n_dead} of its {layer.n_units} units ({layer.dead_share:.0%}) have a slope of {layer.activation} of 0, or almost 0, on "
        f"all {m.n_rows} rows.",
        *remedy,
    )


def saturated_units(m):
    """Many activations of a bounded activation function are in its flat parts."""
    layer = signs.saturated_layer(m)
    if layer is None:
        return None
    config, rate, has_unusual_weights = m.config, m.config.learning_rate_init, signs.has_unusual_weights(m, layer)
    remedy = first_remedy(
        (signs.has_large_values(m, layer), "scale", "standard", "Scale the inputs"),
        (has_unusual_weights and config.coefs_init is not None, "coefs_init", None, "Use random initial weights of the usual size"),
        (has_unusual_weights, "weight_init", "glorot_uniform", "Use smaller initial weights"),
        (True, "learning_rate_init", m.smaller_rate(), f"Use a smaller learning_rate_init (now {rate:g})"),
    )
    return Advice(
        "saturated_units",
        f"Most activations of hidden layer {layer.layer} are saturated: they are in the flat parts of {layer.activation}, so that "
        "their gradients are small.",
        f"{layer.saturated_share:.0%} of the activations have a slope of at most 5% of the largest; the standard deviation of the "
        f"weights is {layer.weight_std:.2g}, and {signs.usual_deviation(m, layer):.2g} is usual at the start.",
        *remedy,
    )
