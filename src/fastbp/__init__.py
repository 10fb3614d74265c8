"""fastbp: scikit-learn's multilayer perceptrons, trained by compiled kernels.

>>> from fastbp import MLPClassifier  # instead of: from sklearn.neural_network import MLPClassifier
"""

from .activations import Activation
from .callbacks import Checkpoint, load_checkpoint
from .classifier import MLPClassifier
from .losses import Loss
from .regressor import MLPRegressor

__all__ = ["Activation", "Checkpoint", "Loss", "MLPClassifier", "MLPRegressor", "__version__", "load_checkpoint"]
__version__ = "0.1.0"
