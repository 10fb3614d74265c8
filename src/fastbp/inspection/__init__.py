"""Inspection of fitted networks: all values of backpropagation, a check of the gradients, and a summary of the layers.

``trace`` computes all values of a forward pass, a backward pass and an update for given rows, and shows them step by step.
``check_gradients`` compares the gradients with finite differences. ``summary`` lists the layers with their sizes. ``import fastbp``
does not import this package.
"""

from .._summary import LayerSummary, Summary, summary
from ._gradient_check import GradientCheck, check_gradients
from ._trace import Trace, trace

__all__ = ["GradientCheck", "LayerSummary", "Summary", "Trace", "check_gradients", "summary", "trace"]
