"""Every compiled function, and every code and record that they read.

Python enters by ``train``, ``update_early_stopping``, ``loss_and_gradient``, ``evaluate`` and ``predict``; these, and what `called` has, keep their
machine code on disk, under one stamp over this whole folder. Arrays, integers and floats enter; nothing here imports another part
of fastbp.
"""

from .activations import ActivationCode
from .epochs import ScheduleCode, Status, Trace, train, update_early_stopping
from .function_pointers import address_of
from .lazy import all_called, find, signature
from .lazy.activations import ACTIVATIONS
from .lazy.losses import LOSSES
from .lazy.schedules import SCHEDULES
from .lazy.solvers import N_NUMBERS, SOLVERS
from .losses import LinkCode, LossCode
from .network import Scratch, evaluate, loss_and_gradient, predict
from .products import Rows
from .settings import PROGRESS, SETTINGS, record
from .shuffles import MT19937State
from .solvers import N_MOMENTS, SolverCode
from .team import ABORTED, Team
from .vector_code import VECTOR_BYTES

__all__ = [
    "ABORTED",
    "ACTIVATIONS",
    "LOSSES",
    "N_MOMENTS",
    "N_NUMBERS",
    "PROGRESS",
    "SCHEDULES",
    "SETTINGS",
    "SOLVERS",
    "VECTOR_BYTES",
    "ActivationCode",
    "LinkCode",
    "LossCode",
    "MT19937State",
    "Rows",
    "ScheduleCode",
    "Scratch",
    "SolverCode",
    "Status",
    "Team",
    "Trace",
    "address_of",
    "all_called",
    "evaluate",
    "find",
    "loss_and_gradient",
    "predict",
    "record",
    "signature",
    "train",
    "update_early_stopping",
]
