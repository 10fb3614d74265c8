"""fastbp: scikit-learn's multilayer perceptrons, trained by compiled kernels.

>>> from fastbp import MLPClassifier  # instead of: from sklearn.neural_network import MLPClassifier
"""

from .activations import Activation
from .estimator import MLPClassifier, MLPRegressor

__all__ = ["Activation", "MLPClassifier", "MLPRegressor", "__version__"]
__version__ = "0.1.0"
