"""Inspection of fitted networks: all values of backpropagation, a check of the gradients, and a diagnosis with advice.

``trace`` computes all values of a forward pass, a backward pass and an update for given rows, and shows them step by step.
``check_gradients`` compares the gradients with finite differences. ``diagnose`` measures statistics of the layers and gives advice;
the callback ``DiagnosticsMonitor`` records the statistics during a fit. ``import fastbp`` does not import this package.
"""

from ._diagnosis.diagnose import diagnose
from ._diagnosis.monitor import DiagnosticsMonitor
from ._diagnosis.records import Advice, Diagnosis, LayerDiagnosis
from ._gradient_check import GradientCheck, check_gradients
from ._trace import Trace, trace

__all__ = [
    "Advice",
    "Diagnosis",
    "DiagnosticsMonitor",
    "GradientCheck",
    "LayerDiagnosis",
    "Trace",
    "check_gradients",
    "diagnose",
    "trace",
]
