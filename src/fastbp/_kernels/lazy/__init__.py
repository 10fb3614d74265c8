"""What few networks use: compiled when somebody first asks for it, kept on disk, and called from the epochs by its address.

Each file is a kind of function, with a registry of their names; a new one is a function and a line in it. ``find`` gives addresses,
by the types of arguments that ``signature`` says for each kind. Who calls what, and when, is the matter of the files one folder
up.
"""

from functools import cache

import numpy as np
from numba import types

from ..function_pointers import address_of
from .activations import ACTIVATIONS
from .draws import DRAWS
from .links import LINKS, finish
from .losses import LOSSES
from .norms import NORMS
from .penalties import PENALTIES, hold_norms
from .schedules import SCHEDULES
from .solvers import SOLVERS

_KINDS = {
    "activation": ACTIVATIONS,
    "draw": DRAWS,
    "link": LINKS,
    "loss": LOSSES,
    "finish": {"finish": finish},
    "norm": NORMS,
    "penalty": PENALTIES,
    "hold_norms": {"hold_norms": hold_norms},
    "schedule": SCHEDULES,
    "solver": {name: function for name, (function, _) in SOLVERS.items()},
}


@cache
def find(kind, name, dtype):
    """The address of a function of these names, for parameters of a dtype; it holds for this process."""
    return address_of(_KINDS[kind][name].entry, signature(kind, dtype))


def all_called():
    """The (kind, name) of every function here."""
    return [(kind, name) for kind, functions in _KINDS.items() for name in functions]


def signature(kind, dtype):
    """The types of the arguments of a kind of function, for parameters of a dtype."""
    real = types.float32 if np.dtype(dtype) == np.float32 else types.float64
    vector, matrix = types.Array(real, 1, "C"), types.Array(real, 2, "C")
    numbers, integers, n = types.Array(types.float64, 1, "C"), types.Array(types.int64, 1, "C"), types.int64
    exchange = types.Array(types.float64, 2, "C")
    return {
        "activation": (vector, vector),
        "draw": (matrix, vector, n, integers, n, n),
        "link": (matrix, n, numbers),
        "loss": (vector, vector, vector, numbers),
        "finish": (matrix, vector, n, vector, matrix, n, numbers, n),
        "norm": (matrix, matrix, vector, vector, vector, numbers, exchange, integers, integers, n),
        "penalty": (vector, vector, numbers),
        "hold_norms": (types.Array(types.int64, 2, "C"), vector, vector, numbers, n, n),
        "schedule": (numbers,),
        "solver": (vector, vector, vector, vector, numbers),
    }[kind]
