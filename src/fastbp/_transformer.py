"""The activations of hidden units, for what comes after the network.

A fitted estimator and X enter; what the units of one layer say leaves, as a transformer of scikit-learn would give it. It is the
forward pass of `prediction`, through a network that ends at that layer; there is no other.
"""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from ._data.inputs import Matrix, as_rows, common_float
from ._network.architecture import Architecture, Plan
from ._network.layout import Layout
from ._network.prediction import outputs
from ._preparation import padded_copy


class HiddenUnits(ClassNamePrefixFeaturesOutMixin, TransformerMixin, auto_wrap_output_keys=None):
    """The part of an estimator that is a transformer; frames are made in ``transform``, since layers differ in width."""

    # which layer it is goes with no row, and is nothing for scikit-learn to route
    __metadata_request__transform = {"layer": UNUSED}

    def transform(self, X: Matrix, layer: int = -2) -> np.ndarray:
        """The activations of one layer of units.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        layer : int, default=-2
            Which of the `n_layers_` layers, as an index into a list: 0 is the inputs, missing values filled in, -1 the outputs, -2
            the last hidden layer.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            The activations, or a frame of them where ``set_output`` asks for one.

        Raises
        ------
        ValueError
            If there is no such layer.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = MLPClassifier((16, 3), max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y)
        >>> classifier.transform(X).shape
        (150, 3)
        """
        activations = self._layer_outputs(X, layer)
        wanted = _get_output_config("transform", self)["dense"]
        if wanted == "default":
            return activations
        # named by scikit-learn's rule for the units of the default layer
        names = np.array([f"{type(self).__name__.lower()}{unit}" for unit in range(activations.shape[1])], object)
        return ADAPTERS_MANAGER.adapters[wanted].create_container(activations, X, columns=names)

    @property
    def _n_features_out(self):
        """The units of the layer that ``transform`` gives by default; scikit-learn names its features by this."""
        return self._layout().sizes[-2]

    def _layer_outputs(self, X, layer):
        check_is_fitted(self)
        n_layers = self.n_layers_
        if isinstance(layer, bool) or not isinstance(layer, Integral) or not -n_layers <= layer < n_layers:
            raise ValueError(
                f"layer must be an integer from {-n_layers} to {n_layers - 1}, as the network has {n_layers} layers, inputs and "
                f"outputs included; got {layer!r}."
            )
        layer = int(layer) % n_layers
        if layer == n_layers - 1:
            return self._outputs(X)
        inputs = self._inputs(X)
        dtype = common_float(inputs, self._flat_params())
        if layer == 0:
            return np.array(inputs.toarray() if issparse(inputs) else inputs, dtype)
        plan, params = self._first_layers(layer, dtype)
        return outputs(plan, params, as_rows(inputs, dtype), inputs.shape[0])

    def _first_layers(self, n_layers, dtype):
        """The plan and the parameters of a network whose outputs, by weights of 1 and 0, are the units of that hidden layer."""
        layout, architecture = self._layout(), self._architecture(dropout=()).for_prediction()
        sizes = (*layout.sizes[: n_layers + 1], layout.sizes[n_layers])
        arrays = [*self.coefs_[:n_layers], np.eye(sizes[-1]), *self.intercepts_[:n_layers], np.zeros(sizes[-1])]
        for vectors in layout.norms(self._flat_params()):
            arrays += vectors[:n_layers]
        params = padded_copy(np.concatenate([np.ravel(array) for array in arrays]), dtype)
        activations = architecture.activations[:n_layers]
        return Plan(Layout(sizes, layout.n_norms), Architecture(activations, norm=architecture.norm)), params
