"""Every compiled function, and every code and record that they read.

Python enters by ``train``, ``judge``, ``loss_and_gradient``, ``evaluate`` and ``predict``; these, and what `called` has, keep their
machine code on disk, under one stamp over this whole folder. Arrays, integers and floats enter; nothing here imports another part
of fastbp.
"""

from .activations import Activation
from .epochs import Schedule, Status, Trace, judge, train
from .function_pointers import address_of
from .lazy import all_called, find, signature
from .lazy.activations import ACTIVATIONS
from .lazy.losses import LOSSES
from .lazy.schedules import SCHEDULES
from .lazy.solvers import N_NUMBERS, SOLVERS
from .losses import Loss, OutActivation
from .network import Scratch, evaluate, loss_and_gradient, predict
from .products import Rows
from .settings import PROGRESS, SETTINGS, record
from .shuffles import Twister
from .solvers import N_MOMENTS, Solver
from .team import CALLED_OFF, Team
from .tiles import VECTOR_BYTES

__all__ = [
    "ACTIVATIONS",
    "CALLED_OFF",
    "LOSSES",
    "N_MOMENTS",
    "N_NUMBERS",
    "PROGRESS",
    "SCHEDULES",
    "SETTINGS",
    "SOLVERS",
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
    "all_called",
    "evaluate",
    "find",
    "judge",
    "loss_and_gradient",
    "predict",
    "record",
    "signature",
    "train",
]
