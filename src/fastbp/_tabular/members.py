"""One trained network of an estimator for tables, with the preparation of its inputs.

Encoded rows of a table and targets go in; a ``Member`` comes out, which computes outputs for other encoded rows. This module does not
know about tables, classes and ensembles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.numeric_inputs import RobustInputs
from .._network.encoders import copy_encoder, embedding_encoder, pbld_encoder
from .._network.layer_kinds import LayerKinds
from .networks import ClassifierNetwork, RegressorNetwork, fitted_network


@dataclass
class Member:
    """A network and what was learned from its training rows: the preparation of inputs, and the scale of the targets."""

    inputs: RobustInputs
    embedded: np.ndarray
    network: Any
    target_mean: np.ndarray | float = 0.0
    target_scale: np.ndarray | float = 1.0
    target_range: tuple | None = None

    def outputs(self, rows, n_threads):
        """Return the probabilities (n_rows, n_classes), or the predicted targets (n_rows, n_outputs) in float64."""
        network = self.network
        network.n_threads = n_threads
        outputs = network.outputs(prepared(self.inputs, self.embedded, rows))
        if isinstance(network, ClassifierNetwork):
            return outputs
        outputs = outputs * self.target_scale + self.target_mean
        return outputs if self.target_range is None else outputs.clip(*self.target_range)


def prepared(inputs, embedded, rows):
    """Return the matrix of encoded rows for a network: prepared numbers and one-hot columns, then the codes for embeddings."""
    X = inputs.transform(*rows)
    return np.hstack([X, rows.codes[:, embedded].astype(X.dtype)]) if embedded.size else X


def fit_member(settings, reader, data, validation, seed, n_threads, **options):
    """Return the ``Member`` that is trained on ``data``: encoded rows, targets (n_rows, n_columns) and sample weights or None.

    ``validation`` are the same for validation rows, or None. The targets are codes of classes if their dtype is an integer.
    ``options`` are other parameters of the network.
    """
    rows, y, sample_weight = data
    inputs = RobustInputs.learned(*rows, reader.n_codes, reader.numeric_sources, settings.max_one_hot_size)
    embedded = inputs.embedded(len(reader.n_codes))
    X = prepared(inputs, embedded, rows)
    is_regression = y.dtype.kind == "f"
    kinds = layer_kinds(settings, _encoders(settings, inputs, reader.n_codes[embedded]))
    network = new_network(settings, y, seed, n_threads, is_regression, validation is not None, options)
    member = Member(inputs, embedded, network)
    attributes = {}
    if is_regression:
        member.target_mean, deviations = y.mean(axis=0), y.std(axis=0)
        member.target_scale = np.where(deviations > 0, deviations, 1.0)
        member.target_range = (y.min(axis=0), y.max(axis=0)) if settings.clip_predictions else None
        attributes["target_scales"] = member.target_scale
    if validation is not None:
        rows_val, y_val, weight_val = validation
        validation = prepared(inputs, embedded, rows_val), _network_targets(member, y_val, X.dtype, is_regression), weight_val
    targets = _network_targets(member, y, X.dtype, is_regression)
    fitted_network(network, kinds, (X, targets, sample_weight), validation, **attributes)
    return member


def _network_targets(member, y, dtype, is_regression):
    y = ((y - member.target_mean) / member.target_scale).astype(dtype) if is_regression else y
    return y[:, 0] if y.shape[1] == 1 else y


def new_network(settings, y, seed, n_threads, is_regression, is_validated, options):
    """Return the estimator of a network for targets y (n_rows, n_columns), which is not fitted."""
    cls = RegressorNetwork if is_regression else ClassifierNetwork
    options = options | ({} if is_regression else {"label_smoothing": settings.label_smoothing})
    # with half squared errors, whose gradients are sums over the outputs, all gradients have this factor
    epsilon = settings.epsilon * (y.shape[1] / 2 if is_regression else 1)
    return cls(
        hidden_layer_sizes=settings.hidden_layer_sizes,
        activation=settings.activation,
        solver="adamw",
        alpha=0.0,
        batch_size=min(settings.batch_size, len(y)),
        learning_rate=settings.learning_rate,
        learning_rate_init=settings.learning_rate_init,
        max_iter=settings.max_iter,
        random_state=seed,
        tol=0.0,
        early_stopping=is_validated,
        n_iter_no_change=np.inf,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=epsilon,
        weight_decay=settings.weight_decay,
        dropout=settings.dropout,
        n_threads=n_threads,
        **options,
    )


def _encoders(settings, inputs, n_codes):
    if not settings.n_frequencies and not n_codes.size:
        return ()
    n_numbers = inputs.n_numbers
    encoders = [
        pbld_encoder(n_numbers, settings.n_frequencies) if settings.n_frequencies else copy_encoder(n_numbers),
        copy_encoder(inputs.n_outputs - n_numbers),
        *(embedding_encoder(int(n) + 1, settings.embedding_size) for n in n_codes),
    ]
    return tuple(encoder for encoder in encoders if encoder.n_columns)


def layer_kinds(settings, encoders):
    """Return the ``LayerKinds`` of RealMLP."""
    return LayerKinds(
        has_input_scale=True,
        has_slopes=settings.parametric_activation,
        encoders=encoders,
        is_ntp=True,
        initialization=settings.weight_init,
        rates=(("intercepts", 0.1), ("input_scale", 6.0), ("slopes", 0.1), ("pbld", 0.1)),
        # the reference implementation multiplies the decay by the square of the factor of the learning rate
        decays=(("input_scale", 36.0), ("slopes", 0.01), ("pbld", 0.01), ("embedding", 1.0)),
        strength_schedule="flat_cosine" if settings.dropout or settings.weight_decay else None,
        drop_last=True,
        prefers_last_best=True,
    )
