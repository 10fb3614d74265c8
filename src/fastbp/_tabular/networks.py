"""The networks of the estimators for tables: the estimators of fastbp with other layers, on rows that are already encoded.

A matrix of encoded rows, and integer codes of classes or scaled targets, go in; a ``TrainedNetwork`` comes out. The parameters of
the estimators and a ``LayerKinds`` determine the network. This module does not know about tables, presets and ensembles.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._base import BaseMLP
from .._classifier import MLPClassifier
from .._data.inputs import as_rows
from .._data.scores import negative_pinball
from .._data.targets import learn_labels
from .._network.architecture import Plan
from .._network.prediction import member_outputs, outputs
from .._regressor import MLPRegressor

# The batch is divided into shares for the threads. Their number does not depend on the threads, so that results do not, either.
_ROWS_OF_TWO_SHARES, _ROWS_PER_SHARE, _MAX_MEMBER_SHARES = 200, 500, 8


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that predicts, and the loss and the validation score of each epoch of its training.

    ``params`` are its parameters in one array. ``validation_scores`` is None without validation rows. ``n_submodels`` is the number
    of submodels of TabM, or 0. ``prefers_last_best`` is whether the last of several equally good epochs was kept, and
    ``is_out_of_time`` whether training ended after its deadline.
    """

    plan: Plan
    params: np.ndarray
    loss_curve: list
    validation_scores: list | None
    n_submodels: int = 0
    prefers_last_best: bool = True
    is_out_of_time: bool = False

    def outputs(self, X, n_threads):
        """Return the probabilities (n_rows, n_classes), or the scaled predictions (n_rows, n_outputs)."""
        return outputs(self.plan, self.params, as_rows(X, self.params.dtype), len(X), n_threads=n_threads)

    def outputs_of_submodels(self, X, n_threads=1):
        """Return the same for each submodel of TabM: an array (n_rows, n_submodels, n_outputs)."""
        return member_outputs(self.plan, self.params, as_rows(X, self.params.dtype), np.arange(len(X)), n_threads)


class _MemberNetwork(BaseMLP):
    """The part of both networks that does not depend on the task; the data were validated by the ensemble."""

    kinds: Any = None
    control: Any = None

    def _train(self, X, y, sample_weight, validation, incremental, hooks):
        return super()._train(X, y, sample_weight, validation, incremental, self.control.applied_to(hooks))

    def _validate_validation_rows(self, X, y):
        return X, y

    def trained(self):
        """Return the ``TrainedNetwork``, which does not refer to this estimator."""
        plan = self._prediction_plan(self._state.published_layout, self._state)
        scores = self.validation_scores_ if self.early_stopping else None
        end = self.kinds.n_members, self.kinds.prefers_last_best, time.monotonic() >= self.control.deadline
        return TrainedNetwork(plan, self._flat_params()[0], self.loss_curve_, scores, *end)


class ClassifierNetwork(_MemberNetwork, MLPClassifier):
    """A classifier with one output for each of ``n_classes`` classes, also for two classes and for classes without rows."""

    n_classes = 2

    def _validate_input(self, X, y, incremental, reset):
        self.n_features_in_ = X.shape[1]
        self._set_labels(learn_labels(np.arange(self.n_classes)))
        return X, y

    def _output_layer(self, y):
        return self.n_classes, "softmax"

    def _score_outputs(self, y, outputs, sample_weight):
        return float(np.average(outputs.argmax(axis=1) == y[:, 0], weights=sample_weight))


class RegressorNetwork(_MemberNetwork, MLPRegressor):
    """A regressor for scaled targets, which is scored in the original units: by the root mean squared error or the pinball loss.

    ``target_scales`` (n_outputs,) are the units of the outputs. For several quantiles, each target has one column per quantile.
    """

    target_scales = 1.0

    def _validate_input(self, X, y, incremental, reset):
        self.n_features_in_ = X.shape[1]
        self._quantiles = tuple(np.atleast_1d(self.quantile).tolist()) if self.loss == "quantile" else ()
        return X, y

    def _score_outputs(self, y, outputs, sample_weight):
        y, outputs = y * self.target_scales, outputs * self.target_scales
        if self.loss == "quantile":
            return negative_pinball(y, outputs, np.tile(self._quantiles, y.shape[1] // self._n_quantiles), sample_weight)
        return -float(np.sqrt(np.average(((outputs - y) ** 2).mean(axis=1), weights=sample_weight)))


def trained_network(settings, columns, data, validation, attributes, parameters):
    """Return the ``TrainedNetwork`` for ``data`` (X, y, sample_weight), with ``validation`` (X, y, sample_weight) or None.

    ``columns`` are the ``NetworkColumns`` of X. The targets y (n_rows, n_columns) are codes of classes if their dtype is an
    integer. ``attributes`` and ``parameters`` are those of the estimator of the network.
    """
    network = new_network(settings, data[1], data[1].dtype.kind == "f", validation is not None, parameters)
    network.kinds = settings.layer_kinds(columns)
    for name, value in attributes.items():
        setattr(network, name, value)
    network.tol *= np.mean(attributes.get("target_scales", 1.0))  # in the units of the scores
    X_val, y_val, weight_val = (None, None, None) if validation is None else validation
    return network.fit(*data, X_val=X_val, y_val=y_val, sample_weight_val=weight_val).trained()


def new_network(settings, y, is_regression, is_validated, parameters):
    """Return the estimator of a network for targets y (n_rows, n_columns), which is not fitted."""
    cls = RegressorNetwork if is_regression else ClassifierNetwork
    parameters = parameters | ({} if is_regression else {"label_smoothing": settings.label_smoothing})
    # with half squared errors, whose gradients are sums over the outputs, all gradients have this factor
    is_halved = is_regression and parameters.get("loss", "squared_error") == "squared_error"
    batch_size = settings.rows_per_batch(len(y))
    n_computed = batch_size * max(1, settings.n_submodels)
    n_shares = min(_MAX_MEMBER_SHARES, max(1 + (n_computed >= _ROWS_OF_TWO_SHARES), n_computed // _ROWS_PER_SHARE))
    parameters = {"n_shares": n_shares, **parameters}
    return cls(
        hidden_layer_sizes=settings.hidden_layer_sizes,
        activation=settings.activation,
        solver="adamw",
        alpha=0.0,
        batch_size=batch_size,
        learning_rate=settings.learning_rate,
        learning_rate_init=settings.learning_rate_init,
        max_iter=settings.max_iter,
        tol=settings.tolerance,
        early_stopping=is_validated,
        n_iter_no_change=settings.n_iter_no_change,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon * (y.shape[1] / 2 if is_halved else 1),
        weight_decay=settings.weight_decay,
        dropout=settings.dropout,
        clip_norm=settings.clip_norm,
        sample_weight_norm="global",
        **parameters,
    )
