"""The networks of the estimators for tables: the estimators of fastbp with other layers, on rows that are already encoded.

A matrix of encoded rows, and integer codes of classes or scaled targets, go in; a ``TrainedNetwork`` comes out. The parameters of
the estimators and a ``LayerKinds`` determine the network. This module does not know about tables, presets and ensembles.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._base import BaseMLP
from .._classifier import MLPClassifier
from .._data.inputs import as_rows
from .._data.scores import brier_score, negative_pinball
from .._data.targets import learn_labels
from .._network.activations import per_layer
from .._network.architecture import Architecture, Plan
from .._network.layout import padded
from .._network.prediction import member_outputs, outputs
from .._regressor import MLPRegressor
from .._training.context import Publication
from .._training.state import TrainingState
from .network_columns import NetworkColumns

# The batch is divided into shares for the threads. Their number does not depend on the threads, so that results do not, either.
_ROWS_OF_TWO_SHARES, _ROWS_PER_SHARE, _MAX_MEMBER_SHARES = 200, 500, 8


# The attributes of the estimator of a network that a later fit needs to continue its training.
_OF_EPOCHS = ("loss_", "best_loss_", "t_", "n_iter_", "best_validation_score_", "_no_improvement_count")


class PausedTraining(NamedTuple):
    """What is needed to continue the training of a network: its ``TrainingState``, and attributes of its estimator by name."""

    state: TrainingState
    attributes: dict

    def to_plain(self):
        """Return a dict of plain values and arrays."""
        return {"state": self.state.to_plain(), "attributes": self.attributes}

    @classmethod
    def from_plain(cls, plain, kinds, params):
        """Return the result for a network with these ``LayerKinds`` and parameters that predict."""
        state = TrainingState.from_plain(plain["state"])
        layout = kinds.layout(state.layout.sizes, state.layout.n_norms)
        return cls(replace(state, kinds=kinds, layout=layout).with_published(params), plain["attributes"])


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that predicts, and the measurements of each epoch of its training.

    ``params`` are its parameters in one array, and ``columns`` the ``NetworkColumns`` that it reads. ``history`` has a list with an
    entry for each epoch by the name of each quantity, as ``history_`` of `MLPClassifier`. ``training`` is a ``PausedTraining`` if
    training ended early and a later fit can continue it, otherwise None. ``prefers_last_best`` is whether the last of several
    equally good epochs was kept.
    """

    plan: Plan
    params: np.ndarray
    columns: NetworkColumns
    history: dict
    training: PausedTraining | None = None
    prefers_last_best: bool = True

    @property
    def n_submodels(self):
        """The number of submodels of TabM, or 0."""
        return self.plan.layout.n_members

    @property
    def loss_curve(self):
        return self.history["loss"]

    @property
    def validation_scores(self):
        """The validation scores, or None without validation rows."""
        return self.history.get("val_score")

    def outputs(self, X, n_threads):
        """Return the probabilities (n_rows, n_classes), or the scaled predictions (n_rows, n_outputs)."""
        return outputs(self.plan, self.params, as_rows(X, self.params.dtype), len(X), n_threads=n_threads)

    def outputs_of_submodels(self, X, n_threads=1):
        """Return the same for each submodel of TabM: an array (n_rows, n_submodels, n_outputs)."""
        return member_outputs(self.plan, self.params, as_rows(X, self.params.dtype), np.arange(len(X)), n_threads)

    def to_plain(self):
        """Return a dict of plain values and arrays."""
        training = None if self.training is None else self.training.to_plain()
        return {"params": self.params, "history": self.history, "training": training}

    @classmethod
    def from_plain(cls, plain, kind, columns):
        """Return the network of a ``NetworkKind`` that reads these ``NetworkColumns``."""
        plan, params, kinds = prediction_plan(kind, columns), padded(plain["params"]), kind.settings.layer_kinds(columns)
        if params.size != plan.layout.n_params:
            raise ValueError(
                f"A network of this estimator has {plan.layout.n_params} parameters, got {params.size}. Its file or pickle is "
                "damaged; load another copy."
            )
        paused = plain["training"]
        training = None if paused is None else PausedTraining.from_plain(paused, kinds, params)
        return cls(plan, params, columns, plain["history"], training, kinds.prefers_last_best)


def prediction_plan(kind, columns):
    """Return the ``Plan`` for predictions of a network of a ``NetworkKind`` that reads these ``NetworkColumns``."""
    settings, kinds = kind.settings, kind.settings.layer_kinds(columns)
    n_inputs = kinds.n_inputs(max(1, columns.n_plain + len(columns.n_codes)))
    layout = kinds.published(kinds.layout((n_inputs, *settings.hidden_layer_sizes, kind.n_outputs), 0))
    activations = per_layer(settings.activation, len(settings.hidden_layer_sizes))
    architecture = kinds.added_to(Architecture(activations, kind.link, numbers=kind.numbers))
    return Plan(layout, architecture.for_prediction())


class _MemberNetwork(BaseMLP):
    """The part of both networks that does not depend on the task; the data were validated by the ensemble."""

    kinds: Any = None
    control: Any = None
    columns: Any = None

    def _train(self, X, y, sample_weight, validation, incremental, hooks):
        end_epoch = None if self.control.callbacks is None else self._end_epoch_of_member
        return super()._train(X, y, sample_weight, validation, incremental, self.control.applied_to(hooks, end_epoch))

    def _run_training(self, run):
        ended_by = None
        try:
            ended_by = run.run()
        except BaseException as error:
            if not self.control.keeps(error):
                raise
        finally:
            progress = run.runner.close()
        return run.finish(ended_by, progress)

    def _end_epoch_of_member(self, state, result, run, problem):
        """Call the callbacks of the ensemble; return whether one of them ends the training of this network."""
        shown = state.copy()
        shown.publish()
        return self.control.end_epoch(
            self._network_after(shown, result), lambda: self._network_after(run.state_if_stopped(), result)
        )

    def _network_after(self, state, result):
        """Return the ``TrainedNetwork`` with a published state and the epochs so far."""
        return self._snapshot_with_lists().trained_until(state, result)

    def trained_until(self, state, result):
        """Do the same without a copy of the estimator."""
        self._set_result(state, result, Publication())
        return self.trained()

    def _validate_validation_rows(self, X, y):
        return X, y

    def _running_score(self, blocks):
        return None  # all outputs are scored at once

    def trained(self):
        """Return the ``TrainedNetwork``, which does not refer to this estimator."""
        plan = self._prediction_plan(self._state.published_layout, self._state)
        training, n_epochs = None, len(self.loss_curve_)
        self.control.is_converged = self._no_improvement_count > self.n_iter_no_change
        if self._state.resume is not None and not self.control.has_ended(n_epochs):
            training = PausedTraining(self._state, {name: getattr(self, name, None) for name in _OF_EPOCHS})
        plan = replace(plan, objective=None)
        return TrainedNetwork(plan, self._flat_params()[0], self.columns, self.history_, training, self.kinds.prefers_last_best)

    def restore(self, network):
        """Set the fitted attributes for a ``TrainedNetwork`` whose training is paused."""
        state, link = network.training.state, network.plan.architecture.link
        self._set_state(state)
        sizes = {"n_outputs_": state.layout.sizes[-1], "n_layers_": len(state.layout.sizes), "out_activation_": link}
        curves = {"loss_curve_": network.loss_curve, "validation_scores_": network.validation_scores}
        self.__dict__.update(network.training.attributes, history_=network.history, **sizes, **curves)


class ClassifierNetwork(_MemberNetwork, MLPClassifier):
    """A classifier with one output for each of ``n_classes`` classes, also for two classes and for classes without rows."""

    n_classes = 2
    selects_by_brier = False

    def _validate_input(self, X, y, incremental, reset):
        self.n_features_in_ = X.shape[1]
        self._set_labels(learn_labels(np.arange(self.n_classes)))
        return X, y

    def _output_layer(self, y):
        return self.n_classes, "softmax"

    def _score_outputs(self, y, outputs, sample_weight):
        if self.selects_by_brier:
            return -brier_score(outputs, y[:, 0], sample_weight)
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


def trained_network(settings, columns, data, validation, attributes, parameters, before=None):
    """Return the ``TrainedNetwork`` for ``data`` (X, y, sample_weight), with ``validation`` (X, y, sample_weight) or None.

    ``columns`` are the ``NetworkColumns`` of X. The targets y (n_rows, n_columns) are codes of classes if their dtype is an
    integer. ``attributes`` and ``parameters`` are those of the estimator of the network. ``before`` is a ``TrainedNetwork`` whose
    training continues, or None.
    """
    network = new_network(settings, data[1], data[1].dtype.kind == "f", validation is not None, parameters)
    network.kinds = settings.layer_kinds(columns)
    for name, value in attributes.items():
        setattr(network, name, value)
    network.columns, network.selects_by_brier = columns, settings.scoring == "neg_brier_score"
    network.tol *= np.mean(attributes.get("target_scales", 1.0))  # in the units of the scores
    if before is not None:
        network.restore(before)
        network.max_iter -= len(before.loss_curve)
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
        learning_rate_horizon=settings.max_iter,
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
        dtype=settings.dtype,
        **parameters,
    )
