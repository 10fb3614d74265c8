"""The list of all rules.

``Measurements`` go in; a tuple of ``Advice`` comes out. A rule is a function of measurements that returns an ``Advice`` or None.
This module does not know what the rules are about.
"""

from .rules_of_data import imbalanced_classes, shuffled_labels, unscaled_inputs
from .rules_of_fits import batch_too_large, learning_rate_too_large, learning_rate_too_small, overfitting, underfitting
from .rules_of_layers import dead_units, exploding_gradients, saturated_units, vanishing_gradients

# In the order in which problems should be solved: those of the data first, because they often cause the others.
RULES = (
    shuffled_labels,
    unscaled_inputs,
    learning_rate_too_large,
    learning_rate_too_small,
    exploding_gradients,
    vanishing_gradients,
    dead_units,
    saturated_units,
    batch_too_large,
    underfitting,
    overfitting,
    imbalanced_classes,
)


def advice_for(measurements):
    """Return the advice of all rules for which the network has a problem."""
    found = (rule(measurements) for rule in RULES)
    return tuple(one for one in found if one is not None)
