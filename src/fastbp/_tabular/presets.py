"""The presets of RealMLP: the values of all parameters that the user does not set, the preparation of inputs and the layers.

A preset, a task and the parameters of an estimator go in; complete ``NetworkSettings`` come out. Their methods are those of
``TabMSettings``. The values of "td" and "td-s" are those of the reference implementation pytabkit 1.7.3 (Holzmüller,
Grinsztajn and Steinwart, "Better by default: Strong pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024). "best" was
chosen on 17 tables together. This module does not know how a network is trained.
"""

from typing import Any, NamedTuple

import numpy as np

from .._data.numeric_inputs import RobustInputs, centered_bins
from .._network.encoders import (
    copy_encoder,
    embedding_encoder,
    one_hot_encoder_of,
    pbld_encoder,
    piecewise_linear_encoder,
)
from .._network.layer_kinds import LayerKinds
from .network_columns import NetworkColumns


class NetworkSettings(NamedTuple):
    """The parameters of one network; the names are those of the parameters of the estimators."""

    hidden_layer_sizes: tuple = (256, 256, 256)
    activation: str = "selu"
    parametric_activation: bool = False
    residual_connections: bool = False
    learning_rate: str = "coslog4"
    learning_rate_init: float = 0.04
    beta_1: float = 0.9
    beta_2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.1
    weight_init: str = "normal"
    n_frequencies: int = 0
    max_one_hot_size: int = 256  # the reference implementation has no limit
    embedding_size: int = 8
    clip_predictions: bool = False
    batch_size: int = 256
    max_iter: int = 256
    # the same for all presets
    n_submodels: int = 0
    n_iter_no_change: float = np.inf
    tolerance: float = 0.0
    clip_norm: float | None = None
    # those of ensembles; regressors do not use the scoring
    n_cv: int = 1
    n_bins: int = 0
    scoring: str = "accuracy"
    dtype: str = "float32"

    def of_member(self, n):
        """Return the settings of the member with this number: members 0, 2, 4, … have no piecewise-linear encoding."""
        return self if n % 2 else self._replace(n_bins=0)

    def rows_per_batch(self, n_rows):
        """Return the number of rows of a batch for this number of training rows."""
        return min(self.batch_size, n_rows)

    def learned_inputs(self, rows, reader):
        """Return the preparation of the encoded training rows, and the numbers of the columns whose codes the network reads."""
        sources = reader.numeric_sources
        inputs = RobustInputs.learned(rows.numeric, rows.codes, reader.n_codes, sources, self.max_one_hot_size)
        return inputs, inputs.embedded(len(reader.n_codes))

    def stored_inputs(self, plain, reader):
        """Return the same for the result of ``to_plain`` of the preparation."""
        inputs = RobustInputs.from_plain(plain)
        return inputs, inputs.embedded(len(reader.n_codes))

    def network_columns(self, inputs, n_codes, X):
        """Return the ``NetworkColumns`` of prepared training rows X; ``n_codes`` are those of the columns of codes."""
        edges, means = centered_bins(X[:, : inputs.n_numbers], self.n_bins) if self.n_bins else ((), ())
        return NetworkColumns(inputs.n_numbers, inputs.n_outputs, n_codes, edges, means, inputs.wide_tables)

    def layer_kinds(self, columns):
        """Return the ``LayerKinds`` for these columns."""
        return realmlp_kinds(self, _encoders_of_columns(self, columns))


_TD: dict[str, Any] = {
    "parametric_activation": True,
    "weight_decay": 0.02,
    "dropout": 0.15,
    "weight_init": "data",
    "n_frequencies": 16,
    "max_one_hot_size": 9,
}
_OF_REGRESSION: dict[str, Any] = {"activation": "mish", "label_smoothing": 0.0}
_BEST: dict[str, Any] = {**_TD, "n_cv": 6, "n_bins": 16, "scoring": "neg_brier_score"}
# by the preset, and whether the task is regression
_PRESETS: dict[tuple[str, bool], dict[str, Any]] = {
    ("td", False): _TD,
    ("td", True): {**_TD, **_OF_REGRESSION, "learning_rate_init": 0.2, "clip_predictions": True},
    ("best", False): _BEST,
    ("best", True): {**_BEST, **_OF_REGRESSION, "learning_rate_init": 0.08, "clip_predictions": True},
    ("td-s", False): {},
    ("td-s", True): {**_OF_REGRESSION, "learning_rate_init": 0.07},
}
PRESET_NAMES = sorted({name for name, _ in _PRESETS})


def settings_of(estimator, *, is_regression):
    """Return the ``NetworkSettings`` of an estimator, whose parameters that are None have the value of its preset."""
    given = {name: getattr(estimator, name, None) for name in NetworkSettings._fields}
    if given["hidden_layer_sizes"] is not None:
        given["hidden_layer_sizes"] = tuple(np.atleast_1d(given["hidden_layer_sizes"]).tolist())
    return NetworkSettings(**_PRESETS[estimator.preset, is_regression])._replace(
        **{name: value for name, value in given.items() if value is not None}
    )


def _encoders_of_columns(settings, columns):
    if not settings.n_frequencies and not columns.n_codes.size and not columns.wide_tables and not columns.edges:
        return ()
    at, size = columns.n_numbers, settings.embedding_size
    encoders = [pbld_encoder(at, settings.n_frequencies) if settings.n_frequencies else copy_encoder(at)]
    if columns.edges:
        encoders.append(piecewise_linear_encoder(columns.edges, columns.means, reads_again=True))
    for column, table in columns.wide_tables:
        encoders += [copy_encoder(column - at), one_hot_encoder_of(table)]
        at = column + 1
    encoders += [copy_encoder(columns.n_plain - at), *(embedding_encoder(int(n) + 1, size) for n in columns.n_codes)]
    return tuple(encoder for encoder in encoders if encoder.n_columns)


def realmlp_kinds(settings, encoders):
    """Return the ``LayerKinds`` of RealMLP."""
    return LayerKinds(
        has_input_scale=True,
        has_slopes=settings.parametric_activation,
        has_residuals=settings.residual_connections,
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
