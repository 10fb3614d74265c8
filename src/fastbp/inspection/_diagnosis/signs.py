"""Signs of problems: conditions on measurements that more than one rule needs.

``Measurements`` go in; numbers, layers or truth values come out. This module does not know remedies.
"""

from math import sqrt

import numpy as np

# A correlation of n independent pairs is above 3 / √n with a probability of about 0.001.
_SIGNIFICANT = 3.0
_MIN_COMPARED = 50  # with fewer rows, 3 / √n is above 0.4, which useful inputs need not reach
_MIN_SHARE = 0.1  # of the second largest class, for a correlation of predictions and classes that can be recognized
# A network has learned the relation of X and y if it removes this fraction of the loss or of the wrong predictions of constants, or
# if the correlation of its errors with those of the nearest rows is below the second number. In converged fits of five data sets
# with scaled inputs, it was between −0.7 and 0.3; in fits with one of the problems below, it was between 0.5 and 0.97.
_LEARNED, _RANDOM_ERRORS = 0.9, 0.3
# The notes of the course CS231n report that 40 % of the units can be dead if the learning rate is too large. In small layers with
# strong penalties, half of the units may be dead although the network fits well.
_MANY_DEAD, _MOST_DEAD = 0.5, 0.75
# In networks that fit their rows perfectly, 0.9 of the activations of 'logistic' and 0.75 of those of 'tanh' can be saturated, and
# weights can be 20 times as large as usual initial ones. Saturated units are a problem only if they have another cause.
_MANY_SATURATED, _MOST_SATURATED = 0.5, 0.7
_LARGE_WEIGHTS, _USUAL_INPUT = 4.0, 3.0
# Multiples of the usual learning rate of the solver: small networks train well with the first, and few networks with the second.
_UNUSUAL_RATE, _EXTREME_RATE = 10.0, 100.0
# With four hidden layers of logistic units, Nielsen (chapter 5) measured gradients of 0.003 in the first and 0.285 in the last one.
_VANISHING = 0.05
_EXPLODING = 100.0  # converged networks of one to five hidden layers are below 20
# The standard deviation of the weights, relative to that of Glorot's initialization, below which penalties have erased a layer.
_ERASED = 0.1
_LARGE_INPUT = 30.0  # pixels from 0 to 16 are below it and train well without scaling
_TINY_INPUT = 0.1  # ten times smaller than standardized inputs
# In networks that have learned, changes of up to 0.03 were seen at the usual learning rates.
_MANY_RISES, _LARGE_CHANGE, _HUGE_CHANGE = 0.25, 0.02, 0.2
_PEAK = 3.0  # usual initial weights and scaled inputs give losses of at most twice that of outputs of 0
# A difference of scores is significant if it is larger than this many standard errors, and important above the second number.
_N_ERRORS, _GAP = 2.5, 0.1
_STANDARD_INITIALIZERS = (
    "auto",
    "data",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
)


# ---------------------------------------------------------------------- what was learned


def has_learned(m):
    """Return whether the network fits its rows well, or makes errors that do not depend on the inputs; True if that is unknown."""
    if np.isnan(m.explained) or np.isnan(m.neighbors_of_errors):
        return not m.explained < _LEARNED or np.isnan(m.neighbors_of_errors)
    score = (m.score.value - m.score.of_constant) / max(1 - m.score.of_constant, 1e-9)
    return max(m.explained, score) >= _LEARNED or m.neighbors_of_errors <= max(_RANDOM_ERRORS, chance_agreement(m))


def chance_agreement(m):
    """Return the largest correlation that is likely without a relation."""
    return _SIGNIFICANT / sqrt(max(m.n_compared, 1))


def is_unrelated(m):
    """Return whether neither the nearest rows nor a linear model predict the targets, and validation rows do not refute it."""
    if m.n_compared < _MIN_COMPARED or _has_one_large_class(m):
        return False
    if not max(abs(m.neighbors_of_targets), m.linear_of_targets) <= chance_agreement(m):
        return False
    return m.val_score is None or not beats_constant(m.val_score)


def _has_one_large_class(m):
    """Return whether all classes but one have few rows, so that even good predictions have a small correlation."""
    return m.classes is not None and np.sort(m.classes.shares)[-2] < _MIN_SHARE


def beats_constant(score):
    """Return whether a score is significantly above that of constant predictions."""
    return score.value > score.of_constant + 2 * score.error


def score_gap(m):
    """Return the difference of the scores on training and validation rows, and its standard error; None without validation rows."""
    if m.val_score is None:
        return None
    return m.score.value - m.val_score.value, sqrt(m.score.error**2 + m.val_score.error**2)


def is_disturbed(m):
    """Return whether saturated units, exploding gradients or a large learning rate explain bad predictions for other rows."""
    return saturated_layer(m) is not None or is_exploding(m) or is_rate_too_large(m)


def generalizes_badly(m):
    """Return whether the score on validation rows is significantly and much lower than that on the training rows."""
    found = score_gap(m)
    return found is not None and found[0] > max(_GAP, _N_ERRORS * found[1])


def generalizes_hardly(m):
    """Return whether the network is less than half as good on validation rows as on the training rows, relative to constants."""
    of_constant = m.score.of_constant
    return m.val_score.value - of_constant < 0.5 * (m.score.value - of_constant)


# ---------------------------------------------------------------------- layers


def dead_layer(m):
    """Return the hidden layer with the largest share of dead units if it is a problem, or None; bounded layers do not count."""
    layers = [layer for layer, bounded in zip(m.layers[:-1], m.bounded, strict=True) if not bounded]
    worst = max(layers, key=lambda layer: layer.dead_share, default=None)
    limit = _MOST_DEAD if has_learned(m) else _MANY_DEAD
    return worst if worst is not None and worst.dead_share > limit and not is_erased(m) else None


def saturated_layer(m):
    """Return the hidden layer with the largest share of saturated activations if it is a problem, or None."""
    layers = [layer for layer, bounded in zip(m.layers[:-1], m.bounded, strict=True) if bounded]
    worst = max(layers, key=lambda layer: layer.saturated_share, default=None)
    if worst is None or worst.saturated_share <= (_MOST_SATURATED if has_learned(m) else _MANY_SATURATED):
        return None
    started_badly = has_large_values(m, worst) or has_unusual_weights(m, worst)
    if has_learned(m):
        return worst if started_badly and generalizes_badly(m) else None
    return worst if started_badly or rate_ratio(m) > _EXTREME_RATE or is_rate_too_large(m) else None


def usual_deviation(m, layer):
    """Return the standard deviation of the weights of a layer in Glorot's initialization."""
    sizes = m.fit.plan.layout.sizes
    return sqrt(2 / (sizes[layer.layer - 1] + sizes[layer.layer]))


def has_standard_initializer(m):
    """Return whether `weight_init` gives initial weights of the usual size."""
    return isinstance(m.config.weight_init, str) and m.config.weight_init in _STANDARD_INITIALIZERS


def has_unusual_weights(m, layer):
    """Return whether the user chose the initial weights, and those of a layer are much larger than usual initial ones."""
    is_chosen = m.config.coefs_init is not None or not has_standard_initializer(m)
    return is_chosen and layer.weight_std > _LARGE_WEIGHTS * usual_deviation(m, layer)


def has_large_values(m, layer):
    """Return whether a layer is the first one, and its inputs are not scaled and larger than scaled inputs."""
    return layer.layer == 1 and m.config.scale is None and m.input_sizes.max() > _USUAL_INPUT


def is_erased(m):
    """Return whether the weights of a layer are much smaller than their usual initial values, because penalties are strong."""
    return has_strong_penalty(m) and any(layer.weight_std < _ERASED * usual_deviation(m, layer) for layer in m.layers)


def has_strong_penalty(m):
    """Return whether `alpha` or `l1`, divided by the number of rows by which training divides them, is at least 0.01."""
    return max(m.config.alpha, m.config.l1) / m.penalty_divisor >= 0.01


def delta_ratio(m):
    """Return the norm of the deltas of the first layer, relative to that of the output layer; NaN if it is not defined."""
    first, last = m.delta_norms[0], m.delta_norms[-1]
    return first / last if last > 0 and np.isfinite(last) else np.nan


def is_vanishing(m):
    """Return whether the deltas of a network that has not learned become much smaller from the last to the first layer."""
    blocked = dead_layer(m) is not None or is_erased(m) or is_rate_too_large(m)
    return len(m.layers) > 2 and delta_ratio(m) < _VANISHING and not has_learned(m) and not blocked


def is_exploding(m):
    """Return whether the deltas become much larger from the last to the first layer, and training has not diverged."""
    return len(m.layers) > 2 and delta_ratio(m) > _EXPLODING and not has_diverged(m)


# ---------------------------------------------------------------------- inputs and losses


def large_input(m):
    """Return the index of the largest input if it is too large, or None."""
    largest = int(m.input_sizes.argmax())
    return largest if m.input_sizes[largest] > _LARGE_INPUT else None


def are_inputs_tiny(m):
    """Return whether all inputs are much smaller than standardized ones."""
    return 0 < m.input_sizes.max() < _TINY_INPUT


def has_diverged(m):
    """Return whether a loss of the fit is not finite, or the last one is larger than the first."""
    losses = m.history.losses
    return not m.is_lbfgs and losses.size > 1 and not (np.isfinite(losses).all() and losses[-1] <= losses[0])


def loss_changes(m):
    """Return the share of the epochs in the second half of training in which the loss rose, and the root mean square change.

    The change is relative to the loss of the best constant outputs.
    """
    losses = m.history.losses
    changes = np.diff(losses[losses.size // 2 :])
    if not changes.size or not m.constant_loss > 0:
        return 0.0, 0.0
    return float((changes > 0).mean()), float(np.sqrt((changes**2).mean()) / m.constant_loss)


def is_bouncing(m):
    """Return whether the loss of training rows rises often and much; with dropout, this is not a sign of a large rate."""
    rises, change = loss_changes(m)
    if m.has_noisy_losses or rises < _MANY_RISES:
        return False
    if rate_ratio(m) > _EXTREME_RATE or not has_learned(m):
        return change >= _LARGE_CHANGE
    return change >= _HUGE_CHANGE and m.explained < _LEARNED


def has_peak(m):
    """Return whether the loss of an epoch was much larger than that of the first epoch and of constant outputs."""
    losses = m.history.losses
    return losses.size > 1 and bool(losses.max() > _PEAK * max(losses[0], m.constant_loss))


def starts_with_peak(m):
    """Return whether the rate is large, and usual initial weights and scaled inputs cannot explain the loss of the first epoch."""
    if not m.history.losses.size or not has_unusual_rate(m) or has_strong_penalty(m):
        return False
    if not has_standard_initializer(m) or m.config.coefs_init is not None:
        return False
    if m.config.scale is None and m.input_sizes.max() > _USUAL_INPUT:
        return False
    return bool(m.history.losses[0] > _PEAK * max(m.constant_loss, m.zero_loss))


def rate_ratio(m):
    """Return the learning rate relative to the usual one of the solver; 0 for L-BFGS."""
    return 0.0 if m.is_lbfgs else m.config.learning_rate_init / m.usual_rate


def has_unusual_rate(m):
    """Return whether the learning rate is much larger than the usual one of the solver."""
    return rate_ratio(m) > _UNUSUAL_RATE * (1 + 1e-9)  # not because of rounding


def is_rate_too_large(m):
    """Return whether the loss shows that the learning rate is too large, and not large inputs or exploding gradients."""
    if m.is_lbfgs or has_diverged(m):
        return not m.is_lbfgs
    has_other_reason = is_exploding(m) or (m.config.scale is None and large_input(m) is not None)
    return not has_other_reason and (is_bouncing(m) or has_peak(m) or starts_with_peak(m))


def gains_of_steps(m):
    """Return how much 1, 10 and 100 times the next step lower the loss; empty if that is not known."""
    return [m.loss - loss for loss in m.losses_after_steps]
