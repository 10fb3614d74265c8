"""The HTML representation of the estimators, and a description of the network of a fitted estimator.

An estimator goes in; HTML or a ``FittedNetwork`` comes out. The HTML is that of scikit-learn, with a summary of the layers below it
if the estimator is fitted. This module does not know how a summary is written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from ._config import FitConfig, dropout_rates
from ._wrong_estimator import wrong_estimator_error


class FittedNetwork(NamedTuple):
    """A fitted network: the name of its estimator, the layer sizes, the functions between the layers, and its parameters.

    ``activations`` are the names of the activations of all layers, ``dropout`` the rates of the inputs and of the hidden layers.
    ``n_norms`` is the number of norm parameters of each hidden unit in predictions; ``n_trained`` is the number of parameters that
    training changes, which is different if batch normalization is folded.
    """

    estimator: str
    n_features: int
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    norm: str | None
    dropout: tuple[float, ...]
    n_norms: int
    n_trained: int
    dtype: np.dtype


class RepresentedModel:
    """The methods of the estimators that describe a fitted network."""

    # defined by the other base classes of the estimators
    _snapshot: Callable[[], Any]
    _complete: Callable[[], None]
    _flat_params: Callable[[], Any]
    _prediction_architecture: Callable[..., Any]
    _state: Any
    n_features_in_: int
    out_activation_: str

    def _html_repr(self):
        """The HTML of scikit-learn and, if the estimator is fitted, the summary of its network."""
        html = estimator_html_repr(self)
        try:
            network = fitted_network(self)
        except Exception:  # not fitted, or the user has set parameters or weights that cannot be used
            return html
        from ._summary import summary_of

        return html + summary_of(network).to_html()

    def _fitted_network(self):
        """The ``FittedNetwork``, called on a snapshot only."""
        check_is_fitted(self)
        self._complete()
        params, layout = self._flat_params()
        state, n_hidden = self._state, len(layout.sizes) - 2
        hidden = self._prediction_architecture(n_hidden, state).activations
        norm, n_trained = (None, layout.n_params) if state is None else (state.norm, state.layout.n_params)
        return FittedNetwork(
            type(self).__name__,
            self.n_features_in_,
            layout.sizes,
            (*map(str, hidden), self.out_activation_),
            norm,
            dropout_rates(FitConfig.of(self), n_hidden) or (0.0,) * (n_hidden + 1),
            layout.n_norms,
            n_trained,
            params.dtype,
        )


def fitted_network(estimator):
    """Return the ``FittedNetwork`` of an estimator."""
    if not isinstance(estimator, RepresentedModel):
        raise wrong_estimator_error(estimator)
    return estimator._snapshot()._fitted_network()
