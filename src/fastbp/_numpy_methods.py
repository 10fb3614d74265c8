"""The private methods of scikit-learn's estimators that compute a network, in NumPy, for code that calls them.

Activations, targets and deltas go in; activations, deltas and gradients come out, in the lists that scikit-learn uses. Fitting and
predicting do not call these methods. This module does not know how a network is trained.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.extmath import safe_sparse_dot

from ._network.numpy_passes import activate_layer, apply_link, loss_and_delta_of_outputs, multiply_by_slopes


class NumPyMethods:
    """scikit-learn's methods for the forward pass and the backward pass of the network that predicts."""

    # defined by the other base class of the estimators
    coefs_: list
    intercepts_: list
    alpha: float
    _norm: Any
    _state: Any
    _objective: Callable[[], Any]
    _prediction_architecture: Callable[..., Any]

    def _forward_pass(self, activations):
        """Compute the activations of all layers; ``activations[0]`` are the inputs, and the other items are replaced."""
        n_layers = len(self.coefs_)
        architecture = self._prediction_architecture(n_layers - 1, self._state)
        for layer in range(n_layers):
            activations[layer + 1] = Z = self._weighted_sums(activations, layer)
            if layer + 1 == n_layers:
                apply_link(Z, architecture)
            else:
                activate_layer(Z, architecture.activations[layer], self._norm_params(layer))
        return activations

    def _backprop(self, X, y, sample_weight, activations, deltas, coef_grads, intercept_grads):
        """Compute the loss with the penalty of ``alpha``, and its gradient.

        Label y are encoded with one column for each output, as by ``LabelBinarizer``. The gradient does not contain dropout, noise
        and other penalties. The lists ``activations``, ``deltas``, ``coef_grads`` and ``intercept_grads`` are filled.

        Returns
        -------
        loss : float
        coef_grads, intercept_grads : list of ndarray
        """
        activations = self._forward_pass(activations)
        last = len(self.coefs_) - 1
        architecture = self._prediction_architecture(last, self._state)
        y, exclusive = np.reshape(y, (len(y), -1)), getattr(vars(self).get("_label_binarizer"), "y_type_", None) == "multiclass"
        loss, deltas[last] = loss_and_delta_of_outputs(
            architecture, self._objective(), y, activations[-1], sample_weight, exclusive=exclusive
        )
        sw_sum = X.shape[0] if sample_weight is None else sample_weight.sum()
        loss += 0.5 * self.alpha * sum(np.dot(W.ravel(), W.ravel()) for W in self.coefs_) / sw_sum
        gradients = activations, deltas, coef_grads, intercept_grads
        self._compute_loss_grad(last, sw_sum, *gradients)
        for layer in range(last, 0, -1):
            deltas[layer - 1] = delta = safe_sparse_dot(deltas[layer], self.coefs_[layer].T)
            Z, activation = self._weighted_sums(activations, layer - 1), architecture.activations[layer - 1]
            multiply_by_slopes(delta, Z, activations[layer], activation, self._norm_params(layer - 1))
            self._compute_loss_grad(layer - 1, sw_sum, *gradients)
        return loss, coef_grads, intercept_grads

    def _compute_loss_grad(self, layer, sw_sum, activations, deltas, coef_grads, intercept_grads):
        """Compute the gradient with respect to the weights and biases of one layer, from its inputs and deltas."""
        coef_grads[layer] = safe_sparse_dot(activations[layer].T, deltas[layer])
        coef_grads[layer] += self.alpha * self.coefs_[layer]
        coef_grads[layer] /= sw_sum
        intercept_grads[layer] = np.sum(deltas[layer], axis=0) / sw_sum

    def _unpack(self, packed_parameters):
        """Replace all weights and biases by views of a flat array: first all weights, then all biases."""
        shapes = [*map(np.shape, self.coefs_), *map(np.shape, self.intercepts_)]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        if np.shape(packed_parameters) != (ends[-1],):
            raise ValueError(
                f"packed_parameters must have shape ({ends[-1]},) for this network, got {np.shape(packed_parameters)}. Pass all "
                "weights, then all biases, in one flat array."
            )
        parts = np.split(packed_parameters, ends[:-1])
        views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        self.coefs_, self.intercepts_ = views[: len(self.coefs_)], views[len(self.coefs_) :]

    # ------------------------------------------------------------------ parts

    def _weighted_sums(self, activations, layer):
        """Z (n_rows, n_out) of one layer, a new C-contiguous array."""
        Z = np.ascontiguousarray(safe_sparse_dot(activations[layer], self.coefs_[layer]))
        Z += self.intercepts_[layer]
        return Z

    def _norm_params(self, layer):
        """γ and β of a hidden layer with layer normalization, or None."""
        return None if self._norm is None else tuple(vars(self)[name][layer] for name in ("norm_scales_", "norm_shifts_"))
