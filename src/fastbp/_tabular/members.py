"""One trained network of an estimator for tables, with the preparation of its inputs.

Encoded rows of a table and targets go in; a ``Member`` comes out, which computes outputs for other encoded rows. This module does
not know about tables, classes and ensembles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .network_columns import NetworkColumns


@dataclass(frozen=True)
class TargetScale:
    """The linear function from outputs to predictions, and the range (low, high) of predictions or None."""

    mean: np.ndarray
    scale: np.ndarray
    limits: tuple | None

    @classmethod
    def learned(cls, y, is_clipped):
        """The mean and the standard deviation of targets (n_rows, n_outputs); constant targets have constant predictions."""
        deviations = y.std(axis=0)
        scale, has_limits, limits = np.where(deviations > 0, deviations, 1.0), (deviations == 0) | is_clipped, None
        if has_limits.any():
            limits = np.where(has_limits, y.min(axis=0), -np.inf), np.where(has_limits, y.max(axis=0), np.inf)
        return cls(y.mean(axis=0), scale, limits)

    def scaled(self, y, dtype):
        """The inverse of ``predictions`` for targets y (n_rows, n_outputs)."""
        with np.errstate(over="ignore"):
            scaled = ((y - self.mean) / self.scale).astype(dtype)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"y and y_val must have values that {np.dtype(dtype)} can represent after a division by the standard deviation of "
                f"y in the training rows; the largest absolute value is {np.abs(y).max():g}. Leave out rows with so large values."
            )
        return scaled

    def predictions(self, outputs):
        values = outputs * self.scale + self.mean
        return values if self.limits is None else values.clip(*self.limits)


@dataclass(frozen=True)
class Member:
    """One trained network of an ensemble.

    Attributes
    ----------
    loss_curve_ : list of float
        The training loss of each epoch.
    validation_scores_ : list of float or None
        The score of the validation rows after each epoch, of which higher values are better; None without validation rows.
    n_iter_ : int
        The number of epochs.
    history_ : dict of list of float
        The training loss, the learning rate and, with validation rows, their loss and score, for each epoch: "loss",
        "learning_rate", "val_loss" and "val_score".
    best_epoch_ : int
        The number of the epoch whose weights are used, starting at 1: the epoch with the best validation score, or the last epoch
        if there are no validation rows. Of several epochs with the best score, RealMLP uses the last, and TabM the first. 0 means
        the weights before training.
    """

    inputs: Any
    embedded: np.ndarray
    network: Any
    target: TargetScale | None

    @property
    def loss_curve_(self):
        return self.network.loss_curve

    @property
    def history_(self):
        return self.network.history

    @property
    def validation_scores_(self):
        return self.network.validation_scores

    @property
    def n_iter_(self):
        return len(self.loss_curve_)

    @property
    def best_epoch_(self):
        scores = self.validation_scores_
        if scores is None:
            return self.n_iter_
        best = [epoch for epoch in range(1, len(scores) + 1) if scores[epoch - 1] == max(scores)]
        return 0 if not best else best[-1] if self.network.prefers_last_best else best[0]

    def outputs(self, rows, n_threads):
        """Return the probabilities (n_rows, n_classes), or the predicted targets (n_rows, n_outputs), in float64."""
        return self._predictions(self.network.outputs(prepared(self.inputs, self.embedded, rows), n_threads))

    def variances(self, rows, n_threads):
        """Return the variances (n_rows, n_outputs) of the same between the submodels of TabM, and 0 for other networks."""
        if self.network.n_submodels == 0:
            return 0.0
        X = prepared(self.inputs, self.embedded, rows)
        return self._predictions(self.network.outputs_of_submodels(X, n_threads)).var(axis=1)

    def _predictions(self, outputs):
        outputs = outputs.astype(np.float64)
        return outputs / outputs.sum(axis=-1, keepdims=True) if self.target is None else self.target.predictions(outputs)

    @property
    def is_paused(self):
        """Whether training ended early and can be continued."""
        return self.network.training is not None

    def to_plain(self):
        """Return a dict of plain values and arrays."""
        target = None if self.target is None else vars(self.target)
        bins = {name: list(getattr(self.network.columns, name)) for name in ("edges", "means")}
        return {"inputs": self.inputs.to_plain(), **bins, "target": target, "network": self.network.to_plain()}

    @classmethod
    def from_plain(cls, plain, reader, kind):
        """Return the member of an ensemble with a ``ColumnReader`` and a ``NetworkKind``."""
        from .networks import TrainedNetwork  # imported here, because it imports the other estimators

        inputs, embedded = kind.settings.stored_inputs(plain["inputs"], reader)
        target = None if plain["target"] is None else TargetScale(**plain["target"])
        n_codes, bins = reader.n_codes[embedded], (tuple(plain["edges"]), tuple(plain["means"]))
        columns = NetworkColumns(inputs.n_numbers, inputs.n_outputs, n_codes, *bins, inputs.wide_tables)
        network = TrainedNetwork.from_plain(plain["network"], kind, columns)
        return cls(inputs, embedded, network, target)

    def __repr__(self):
        return f"Member(n_iter_={self.n_iter_}, best_epoch_={self.best_epoch_})"


def prepared(inputs, embedded, rows):
    """Return the matrix of encoded rows for a network: prepared numbers and codes, then the codes for embeddings."""
    X = inputs.transform(*rows, embedded)
    return X if X.shape[1] else np.zeros((len(X), 1), X.dtype)  # a network has at least one input


def trained_member(settings, reader, data, validation, options, before=None):
    """Return the ``Member`` that is trained on ``data()``: encoded rows, targets (n_rows, n_columns) and sample weights or None.

    ``validation()`` are the same for validation rows, or None. ``data`` and ``validation`` are functions, so that the copies that
    they return can be deleted before training. The targets are codes of classes if their dtype is an integer. ``options`` are
    attributes and other parameters of the network. ``before`` is a member whose training continues, or None.
    """
    training = data()
    rows, y, sample_weight = training.rows, training.y, training.weights
    del training
    if before is None:
        inputs, embedded = settings.learned_inputs(rows, reader)
        target = TargetScale.learned(y, settings.clip_predictions) if y.dtype.kind == "f" else None
    else:
        inputs, embedded, target = before.inputs, before.embedded, before.target
    X = prepared(inputs, embedded, rows)
    columns = settings.network_columns(inputs, reader.n_codes[embedded], X) if before is None else before.network.columns
    del rows
    attributes = options["attributes"] | ({} if target is None else {"target_scales": target.scale})
    attributes["control"].as_member = lambda network: Member(inputs, embedded, network, target)
    y = y if target is None else target.scaled(y, X.dtype)
    held_out = validation()
    if held_out is not None:
        y_val = held_out.y if target is None else target.scaled(held_out.y, X.dtype)
        held_out = prepared(inputs, embedded, held_out.rows), y_val, held_out.weights
    from .networks import trained_network  # imported here, because it imports the other estimators

    network = None if before is None else before.network
    network = trained_network(settings, columns, (X, y, sample_weight), held_out, attributes, options["parameters"], network)
    return Member(inputs, embedded, network, target)
