"""Rules about data: unscaled inputs, imbalanced classes, and labels that look shuffled.

``Measurements`` go in; an ``Advice`` comes out, or None if the data do not have the problem. The signs of the problems are in
``signs``. This module does not know how anything was measured.
"""

import numpy as np

from . import signs
from .records import Advice
from .remedies import first_remedy

# A class is rare if it has at most this fraction of the rows of the largest class, and is missed if less than this fraction of its
# rows are predicted correctly. The positive class of the data set Adult, with 0.32 of the rows of the other class, is not rare.
_RARE, _MISSED = 0.2, 0.5


def unscaled_inputs(m):
    """Some inputs are large, or all inputs are tiny."""
    largest = signs.large_input(m)
    if m.config.scale is not None or (largest is None and not signs.are_inputs_tiny(m)):
        return None
    used = m.input_sizes[m.input_sizes > 0]
    text = "Scale the inputs to mean 0 and standard deviation 1, inside the model or by a StandardScaler"
    if largest is None:
        symptom = "The inputs are much smaller than the scaled inputs for which initial weights and learning rates are made."
        evidence = f"The root mean square of the nonzero values is at most {used.max():.2g} in all {used.size} columns."
    else:
        symptom = "The inputs are not scaled: large inputs determine the weighted sums, and make training slow or unstable."
        evidence = (
            f"The root mean square of the nonzero values is {used.max():.3g} in {m.name_of_input(largest)} and {used.min():.2g} in "
            "the column with the smallest values."
        )
    return Advice("unscaled_inputs", symptom, evidence, *first_remedy((True, "scale", "standard", text)))


def imbalanced_classes(m):
    """A class is rare, and the network seldom predicts it although the inputs contain information about the classes."""
    table = m.classes
    if table is None or table.class_weight is not None or signs.is_unrelated(m):
        return None
    missed = (table.shares <= _RARE * table.shares.max()) & (table.shares > 0) & (table.recalls < _MISSED)
    if not missed.any():
        return None
    worst = int(np.flatnonzero(missed)[table.recalls[missed].argmin()])
    common = int(table.shares.argmax())
    return Advice(
        "imbalanced_classes",
        "The classes are imbalanced, and the network neglects a rare class.",
        f"Class {table.labels[worst]} has {table.shares[worst]:.1%} of the rows, of which {table.recalls[worst]:.0%} are predicted "
        f"correctly; of class {table.labels[common]}, which has {table.shares[common]:.1%} of the rows, "
        f"{table.recalls[common]:.0%} are.",
        *first_remedy((True, "class_weight", "balanced", "Give rare classes a larger weight")),
    )


def shuffled_labels(m):
    """The inputs contain no information about the targets."""
    if not signs.is_unrelated(m):
        return None
    val = "" if m.val_score is None else f" The score on validation rows is {m.val_score.value:.2f}."
    return Advice(
        "shuffled_labels",
        "The targets look as if they did not belong to their rows: the inputs do not help to predict them.",
        f"The correlation of the targets of {m.n_compared} rows with those of their nearest rows is {m.neighbors_of_targets:.2f}, "
        f"and with a linear model {m.linear_of_targets:.2f}; for random targets, it is below {signs.chance_agreement(m):.2f}. The "
        f"score on the training rows is {m.score.value:.2f}, and that of constant predictions is {m.score.of_constant:.2f}.{val}",
        "Check that X and y are in the same order, that they were not sorted, merged or shuffled separately, and that X contains "
        "the inputs that determine y.",
        "y",
    )
