"""The segment table: ranges of parameters with their own learning rates, penalties and epsilons.

A layout and, optionally, factors for groups of parameters go in; an array of `SEGMENT` records comes out. This module does not know
how a solver uses the factors.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from .._kernels.tables import SEGMENT


class Factors(NamedTuple):
    """The factors of the learning rate, of the L2 penalty, of the weight decay and of epsilon for a group of parameters."""

    rate: float = 1.0
    alpha: float = 0.0
    decay: float = 0.0
    epsilon: float = 1.0


OF_WEIGHTS, OF_OTHERS = Factors(1.0, 1.0, 1.0, 1.0), Factors()


def segment_table(layout, factors=None):
    """Return the segments of a network, an array (n_segments,) of `SEGMENT` records.

    ``factors`` maps names of groups to ``Factors``. The names are ("coefs", layer), ("intercepts", layer), "norms", and the names
    of ``layout.extras``. Penalties and weight decay act on weights only, unless ``factors`` says otherwise.
    """
    factors = {} if factors is None else factors
    groups = []
    for layer, shape in enumerate(layout.weight_shapes):
        groups.append((prod(shape), factors.get(("coefs", layer), OF_WEIGHTS)))
    for layer, shape in enumerate(layout.bias_shapes):
        groups.append((prod(shape), factors.get(("intercepts", layer), OF_OTHERS)))
    groups.append((layout.n_norms * layout.n_hidden, factors.get("norms", OF_OTHERS)))
    groups += [(size, factors.get(name, OF_OTHERS)) for name, size in layout.extras]
    return _merged(groups)


def _merged(groups):
    """Return the table for groups of (size, factors), in which adjacent groups with the same factors are one segment."""
    records: list[tuple] = []
    at = 0
    for size, factors in groups:
        if records and records[-1][2:] == factors:
            records[-1] = (records[-1][0], at + size, *factors)
        elif size:
            records.append((at, at + size, *factors))
        at += size
    return np.array(records, SEGMENT)
