"""Inspection of fitted networks: all values of backpropagation, a check of the gradients, and plots.

``trace`` computes all values of a forward pass, a backward pass and an update for given rows, and shows them step by step.
``check_gradients`` compares the gradients with finite differences. The Display classes draw losses, gradients, activations,
weights, networks, loss surfaces and decision surfaces with matplotlib. ``import fastbp`` does not import this package.
"""

from ._displays._decision_surface import DecisionSurfaceDisplay
from ._displays._loss_curves import LossCurveDisplay
from ._displays._loss_landscape import LossLandscapeDisplay
from ._displays._network import NetworkDisplay
from ._displays._recorder import WeightRecorder
from ._displays._weights import WeightsDisplay
from ._gradient_check import GradientCheck, check_gradients
from ._trace import Trace, trace

__all__ = [
    "DecisionSurfaceDisplay",
    "GradientCheck",
    "LossCurveDisplay",
    "LossLandscapeDisplay",
    "NetworkDisplay",
    "Trace",
    "WeightRecorder",
    "WeightsDisplay",
    "check_gradients",
    "trace",
]
