"""The networks of the estimators for tables: the estimators of fastbp with other layers, on rows that are already encoded.

A matrix of encoded rows, and integer codes of classes or scaled targets, go in; outputs come out. The parameters of the estimators
and a ``LayerKinds`` determine the network. This module does not know about tables, presets and ensembles.
"""

import numpy as np

from .._classifier import MLPClassifier
from .._model import on_snapshot
from .._regressor import MLPRegressor


class ClassifierNetwork(MLPClassifier):
    """A classifier with one output for each class, also for two classes."""

    kinds = None

    @on_snapshot
    def outputs(self, X):
        """Return the probabilities (n_rows, n_classes)."""
        return self._outputs(X)

    def _output_layer(self, y):
        return len(self.classes_), "softmax"

    def _score_outputs(self, y, outputs, sample_weight):
        return float(np.average(outputs.argmax(axis=1) == y[:, 0], weights=sample_weight))


class RegressorNetwork(MLPRegressor):
    """A regressor for standardized targets, which is scored by the root mean squared error in the original units."""

    kinds = None
    target_scales = 1.0

    @on_snapshot
    def outputs(self, X):
        """Return the outputs (n_rows, n_outputs)."""
        return self._outputs(X)

    def _score_outputs(self, y, outputs, sample_weight):
        errors = (((outputs - y) * self.target_scales) ** 2).mean(axis=1)
        return -float(np.sqrt(np.average(errors, weights=sample_weight)))


def fitted_network(network, kinds, data, validation, **attributes):
    """Fit a network with layer kinds on ``data`` (X, y, sample_weight), with ``validation`` (X, y, sample_weight) or None."""
    network.kinds = kinds
    for name, value in attributes.items():
        setattr(network, name, value)
    X_val, y_val, weight_val = (None, None, None) if validation is None else validation
    network.fit(*data, X_val=X_val, y_val=y_val, sample_weight_val=weight_val)
    del network.kinds  # the training state contains them
    return network
