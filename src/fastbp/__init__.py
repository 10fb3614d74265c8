"""Multilayer perceptrons with the interface of scikit-learn that are trained by compiled kernels.

>>> from fastbp import MLPClassifier  # instead of: from sklearn.neural_network import MLPClassifier
"""

from ._classifier import MLPClassifier
from ._network.activations import Activation
from ._network.losses import Loss
from ._regressor import MLPRegressor
from ._saving import load, save
from ._sklearn_conversion import from_sklearn
from ._tabular.realmlp import RealMLPClassifier, RealMLPRegressor
from ._tabular.tabm import TabMClassifier, TabMRegressor
from .callbacks import Checkpoint, load_checkpoint

__all__ = [
    "Activation",
    "Checkpoint",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "RealMLPClassifier",
    "RealMLPRegressor",
    "TabMClassifier",
    "TabMRegressor",
    "__version__",
    "from_sklearn",
    "load",
    "load_checkpoint",
    "save",
]
__version__ = "0.1.0"
