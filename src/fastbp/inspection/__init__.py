"""Inspection of fitted networks: all values of backpropagation, and a check of the gradients.

``trace`` computes all values of a forward pass, a backward pass and an update for given rows, and shows them step by step.
``check_gradients`` compares the gradients with finite differences. ``import fastbp`` does not import this package.
"""

from ._gradient_check import GradientCheck, check_gradients
from ._trace import Trace, trace

__all__ = ["GradientCheck", "Trace", "check_gradients", "trace"]
