"""Rules about fits: the learning rate, the batch size, overfitting and underfitting.

``Measurements`` go in; an ``Advice`` comes out, or None if the fit does not have the problem. The signs of the problems are in
``signs``. This module does not know how anything was measured.
"""

from math import log2

import numpy as np

from ..._training.advice import advice as advice_for_divergence
from . import signs
from .records import Advice
from .remedies import NO_VALUE, first_remedy, without

# If a step that is 100 times as long lowers the loss at least 50 times as much, the loss is almost a straight line over 100 steps.
_STRAIGHT, _STRAIGHT_10 = 50.0, 8.0
_LARGE_TARGET = 10.0  # root mean square of targets beyond which weights of usual size take many steps to reach them
# Beyond a few times the noise scale, larger batches hardly make better steps (McCandlish and others 2018).
_NOISE_SCALES = 4.0
_USUAL_BATCH, _SMALLEST_BATCH = 200, 16
_FEW_EPOCHS = 200  # the default of `max_iter`
_STILL_FALLING = 0.01  # the decrease in the last tenth of the epochs, relative to the loss of constant outputs


def learning_rate_too_large(m):
    """The loss grows, or rises and falls between epochs."""
    if not signs.is_rate_too_large(m):
        return None
    rises, change = signs.loss_changes(m)
    losses, rate = m.history.losses, m.config.learning_rate_init
    finite = losses[np.isfinite(losses)]
    evidence = f"The loss was {losses[0]:.3g} in epoch 1"
    if losses.size > 1:
        evidence += f" and {losses[-1]:.3g} in epoch {losses.size}"
    if signs.is_bouncing(m) and not signs.has_diverged(m):
        evidence += (
            f"; it rose in {rises:.0%} of the last {losses.size - losses.size // 2} epochs, by steps of {change:.1%} of the loss "
        )
        evidence += "of constant predictions"
    elif finite.size and finite.max() > max(losses[0], losses[-1]):
        evidence += f", with a maximum of {finite.max():.3g}"
    elif signs.starts_with_peak(m):
        evidence += f"; with weights of 0, it is {m.zero_loss:.3g}"
    text = f"Use a smaller learning_rate_init (now {rate:g})"
    if signs.has_diverged(m):
        text = f"{advice_for_divergence(m.config, m.fit.plan)} For example"
    return Advice(
        "learning_rate_too_large",
        "The learning rate is too large: steps overshoot the minimum of the loss.",
        f"{evidence}.",
        *first_remedy((True, "learning_rate_init", m.smaller_rate(), text)),
    )


def learning_rate_too_small(m):
    """The network has not learned, and the loss falls in proportion to the length of the step even for steps 100 times as long."""
    if not is_rate_too_small(m):
        return None
    gains, config = signs.gains_of_steps(m), m.config
    size = float(np.sqrt(np.mean(np.square(m.fit.y, dtype=np.float64))))
    can_scale = config.scale_y is None and m.can_scale_targets
    remedy = first_remedy(
        (can_scale and size > _LARGE_TARGET, "scale_y", "standard", f"Scale the targets, whose root mean square is {size:.3g}"),
        (True, "learning_rate_init", m.larger_rate(), f"Use a larger learning_rate_init (now {config.learning_rate_init:g})"),
    )
    return Advice(
        "learning_rate_too_small",
        "The learning rate is too small: the network has not learned much, and each step makes little progress.",
        f"The loss is {m.loss:.3g} after {m.n_epochs} epochs, and {m.constant_loss:.3g} for constant predictions. The next step "
        f"lowers it by {gains[0]:.1e}, and a step 100 times as long by {gains[2]:.1e}.",
        *remedy,
    )


def is_rate_too_small(m):
    """Return whether the learning rate is the reason why a network has not learned."""
    gains = signs.gains_of_steps(m)
    if not gains or signs.has_learned(m) or signs.is_unrelated(m) or has_other_cause(m):
        return False
    if signs.has_strong_penalty(m):  # the steps lower the penalty as well
        return False
    return gains[0] > 0 and gains[1] >= _STRAIGHT_10 * gains[0] and gains[2] >= _STRAIGHT * gains[0]


def has_other_cause(m):
    """Return whether a sign other than the size of the steps explains why a network has not learned."""
    if m.config.scale is None and (signs.large_input(m) is not None or signs.are_inputs_tiny(m)):
        return True
    found = signs.dead_layer(m), signs.saturated_layer(m)
    of_layers = any(layer is not None for layer in found) or signs.is_vanishing(m) or signs.is_exploding(m)
    return of_layers or signs.is_rate_too_large(m)


def batch_too_large(m):
    """The batches are much larger than the noise scale, so that an epoch has few steps, and the fit ended too early."""
    if m.is_lbfgs or signs.has_learned(m) or signs.is_unrelated(m) or has_other_cause(m) or is_rate_too_small(m):
        return None
    if not is_batch_too_large(m):
        return None
    size = int(min(_USUAL_BATCH, max(_SMALLEST_BATCH, 2 ** round(log2(max(m.noise_scale, 1))))))
    return Advice(
        "batch_too_large",
        "The batches are too large: training made few steps, which are hardly better than those of smaller batches.",
        f"With {m.batch_size} rows in a batch, {m.n_epochs} epochs have {m.n_epochs * m.n_steps_per_epoch} steps. The noise of the "
        f"gradient is as large as the gradient for batches of about {m.noise_scale:.0f} rows. The loss is {m.loss:.3g}, and "
        f"{m.constant_loss:.3g} for constant predictions.",
        *first_remedy((True, "batch_size", size, f"Use smaller batches (now {m.batch_size} rows)")),
    )


def is_batch_too_large(m):
    """Return whether the batches have more rows than usual and than a few times the noise scale."""
    return m.ended_early and m.batch_size > max(_USUAL_BATCH, _NOISE_SCALES * m.noise_scale)


def overfitting(m):
    """The score on validation rows is significantly and much lower than that on the training rows."""
    if not signs.generalizes_badly(m) or signs.is_unrelated(m) or signs.is_disturbed(m):
        return None
    config, (_, error) = m.config, signs.score_gap(m)
    # if the network is almost as good on other rows, early stopping often ends before it has learned enough
    is_severe = signs.generalizes_hardly(m)
    can_stop = not config.early_stopping and not m.is_lbfgs and not m.is_incremental
    alpha = m.larger_alpha(is_strong=is_severe)
    remedy = first_remedy(
        (is_severe and can_stop, "early_stopping", True, "End training when the validation score stops improving"),
        (True, "alpha", alpha, f"Penalize large weights by a larger alpha (now {config.alpha:g})"),
    )
    name = "accuracy" if m.fit.plan.objective.of_classes else "share of the loss of constant predictions that is removed"
    return Advice(
        "overfitting",
        "The network overfits: it is much better on the training rows than on other rows.",
        f"The {name} is {m.score.value:.2f} on the training rows and {m.val_score.value:.2f} on the validation rows, and the "
        f"standard error of the difference is {error:.2f}.",
        *remedy,
    )


def underfitting(m):
    """The errors of the network can be predicted from the inputs, and no other rule explains why."""
    if signs.has_learned(m) or signs.is_unrelated(m) or is_rate_too_small(m):
        return None
    if has_other_cause(m) or (not m.is_lbfgs and is_batch_too_large(m)):
        return None
    return Advice(
        "underfitting",
        "The network underfits: it has not learned the whole relation between the inputs and the targets.",
        f"It removes {m.explained:.0%} of the loss of constant predictions. The correlation of the errors of {m.n_compared} rows "
        f"with those of their nearest rows is {m.neighbors_of_errors:.2f}; it is about 0 if the network has learned everything.",
        *_remedy_of_underfitting(m),
    )


def _remedy_of_underfitting(m):
    config, is_linear = m.config, not m.sizes or all(name == "identity" for name in m.fit.plan.architecture.activations)
    activations = without(m.fit.plan.architecture.activations, lambda name: True, "relu") if m.sizes else "relu"
    rates = config.dropout if isinstance(config.dropout, (list, tuple)) else [config.dropout]
    return first_remedy(
        (config.alpha / m.penalty_divisor >= 0.01, "alpha", config.alpha / 1000, f"Use a smaller alpha (now {config.alpha:g})"),
        (config.l1 / m.penalty_divisor >= 0.01, "l1", config.l1 / 1000, f"Use a smaller l1 (now {config.l1:g})"),
        (max(rates, default=0) >= 0.5, "dropout", 0.1, f"Use less dropout (now {config.dropout!r})"),
        (
            config.weight_decay >= 1,
            "weight_decay",
            config.weight_decay / 100,
            f"Use less weight decay (now {config.weight_decay:g})",
        ),
        (config.early_stopping and config.scoring != "loss", "scoring", "loss", "Choose the best weights by the validation loss"),
        (m.ended_early, "max_iter", 5 * config.max_iter, f"Train longer (now at most {config.max_iter} epochs)"),
        (is_too_short(m), *_longer_training(m)),
        (not m.sizes, "hidden_layer_sizes", (100,), "The network is linear; use hidden layers"),
        (is_linear, "activation", activations, "The network is linear; use an activation that is not"),
        (True, "hidden_layer_sizes", tuple(max(50, 4 * n) for n in m.sizes), "Use more units"),
    )


def _longer_training(m):
    """Return the remedy (parameter, value, text) for a fit that another reason than `max_iter` ended too early."""
    config, text = m.config, f"Train for more epochs (now {m.n_epochs})"
    if m.ran_out_of_patience:
        patience = 5 * config.n_iter_no_change
        return "n_iter_no_change", patience, "Training ended while the loss was falling; wait longer for an improvement"
    if m.is_incremental:
        return "partial_fit", NO_VALUE, f"{text}; each call of partial_fit is one epoch"
    if config.max_time is not None:
        return "max_time", 5 * config.max_time, f"Train longer (now at most {config.max_time:g} seconds)"
    if config.callbacks is not None:
        return "callbacks", NO_VALUE, f"{text}; a function in callbacks may have ended training"
    return "max_iter", NO_VALUE, f"{text}; training may have been interrupted"


def is_too_short(m):
    """Return whether the loss was falling at the end, or there were few epochs although no stopping rule ended training."""
    has_few_epochs = not m.ran_out_of_patience and not m.is_lbfgs and 0 < m.history.losses.size < _FEW_EPOCHS
    return _is_falling(m) or has_few_epochs


def _is_falling(m):
    """Return whether the loss fell in the last tenth of the epochs, or in the last five."""
    losses = m.history.losses
    before = losses[-1 - max(5, losses.size // 10) :]
    return before.size > 1 and bool(before[0] - before[-1] > _STILL_FALLING * m.constant_loss)
