"""Every compiled function, and every code and record that they read.

Python enters by ``train``, ``judge``, ``loss_and_gradient`` and ``predict``; these alone keep their machine code on disk, under one
stamp over this whole folder. Arrays, integers and floats enter; nothing here imports another part of fastbp.
"""

from .activations import Activation
from .calls import address_of, flat_arrays
from .epochs import Schedule, Status, Trace, judge, train
from .losses import Loss, OutActivation
from .more_activations import MORE_ACTIVATIONS
from .more_solvers import MORE_SOLVERS, N_NUMBERS
from .network import ACTIVATION, CALLED_AT, Scratch, loss_and_gradient, predict
from .products import Rows
from .settings import PROGRESS, SETTINGS, record
from .shuffles import Twister
from .solvers import N_MOMENTS, Solver
from .team import CALLED_OFF, Team
from .tiles import VECTOR_BYTES

__all__ = [
    "ACTIVATION",
    "CALLED_AT",
    "CALLED_OFF",
    "MORE_ACTIVATIONS",
    "MORE_SOLVERS",
    "N_MOMENTS",
    "N_NUMBERS",
    "PROGRESS",
    "SETTINGS",
    "VECTOR_BYTES",
    "Activation",
    "Loss",
    "OutActivation",
    "Rows",
    "Schedule",
    "Scratch",
    "Solver",
    "Status",
    "Team",
    "Trace",
    "Twister",
    "address_of",
    "flat_arrays",
    "judge",
    "loss_and_gradient",
    "predict",
    "record",
    "train",
]
