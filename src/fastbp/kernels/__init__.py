"""Every compiled function, and every code and record that they read.

Python enters by ``train``, ``judge``, ``loss_and_gradient`` and ``predict``; these alone keep their machine code on disk, under one
stamp over this whole folder. Arrays, integers and floats enter; nothing here imports another part of fastbp.
"""

from .activations import Activation
from .epochs import Schedule, Status, judge, train
from .losses import Loss, OutActivation
from .network import A_IN, A_OUT, B_AT, N_IN, N_OUT, W_AT, Scratch, loss_and_gradient, predict
from .products import Rows
from .settings import PROGRESS, SETTINGS, record
from .shuffles import Twister
from .solvers import N_MOMENTS, Solver

__all__ = [
    "A_IN",
    "A_OUT",
    "B_AT",
    "N_IN",
    "N_MOMENTS",
    "N_OUT",
    "PROGRESS",
    "SETTINGS",
    "W_AT",
    "Activation",
    "Loss",
    "OutActivation",
    "Rows",
    "Schedule",
    "Scratch",
    "Solver",
    "Status",
    "Twister",
    "judge",
    "loss_and_gradient",
    "predict",
    "record",
    "train",
]
