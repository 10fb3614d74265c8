"""Inspection of fitted networks: all values of backpropagation, a check of the gradients, a diagnosis, a summary, and plots.

``trace`` computes all values of a forward pass, a backward pass and an update for given rows, and shows them step by step.
``check_gradients`` compares the gradients with finite differences. ``diagnose`` measures statistics of the layers and gives advice;
the callback ``DiagnosticsMonitor`` records the statistics during a fit. ``summary`` lists the layers with their sizes. The Display
classes draw losses, gradients, activations, weights, networks, loss surfaces and decision surfaces. ``import fastbp`` does not
import this package.
"""

from .._summary import LayerSummary, Summary, summary
from ._diagnosis.diagnose import diagnose
from ._diagnosis.monitor import DiagnosticsMonitor
from ._diagnosis.records import Advice, Diagnosis, EpochDiagnosis, LayerDiagnosis
from ._displays._activations import ActivationDisplay
from ._displays._decision_surface import DecisionSurfaceDisplay
from ._displays._gradient_flow import GradientFlowDisplay
from ._displays._loss_curves import LossCurveDisplay
from ._displays._loss_landscape import LossLandscapeDisplay
from ._displays._network import NetworkDisplay
from ._displays._recorder import WeightRecorder
from ._displays._weights import WeightsDisplay
from ._gradient_check import GradientCheck, check_gradients
from ._trace import Trace, trace

__all__ = [
    "ActivationDisplay",
    "Advice",
    "DecisionSurfaceDisplay",
    "Diagnosis",
    "DiagnosticsMonitor",
    "EpochDiagnosis",
    "GradientCheck",
    "GradientFlowDisplay",
    "LayerDiagnosis",
    "LayerSummary",
    "LossCurveDisplay",
    "LossLandscapeDisplay",
    "NetworkDisplay",
    "Summary",
    "Trace",
    "WeightRecorder",
    "WeightsDisplay",
    "check_gradients",
    "diagnose",
    "summary",
    "trace",
]
