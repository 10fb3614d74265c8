"""Computational graphs and automatic differentiation, for teaching and for checks.

Calculations with a `Variable` are recorded as a graph. `Variable.backward` computes all gradients in reverse mode,
`forward_derivative` one derivative in forward mode, and `render` draws the graph. `from_estimator` builds the graph of a fitted
network, so that its backpropagation can be followed step by step. Training does not use this module.
"""

from ._drawing import Drawing
from ._estimators import NetworkGraph, from_estimator
from ._functions import exp, forward_derivative, log, maximum, mean, relu, sigmoid, sum, tanh
from ._rendering import render
from ._variable import Variable

__all__ = [
    "Drawing",
    "NetworkGraph",
    "Variable",
    "exp",
    "forward_derivative",
    "from_estimator",
    "log",
    "maximum",
    "mean",
    "relu",
    "render",
    "sigmoid",
    "sum",
    "tanh",
]
