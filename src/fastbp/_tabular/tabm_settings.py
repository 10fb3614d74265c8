"""The parameters of a network of TabM, the preparation of its inputs and its layers.

The parameters of an estimator go in; complete ``TabMSettings`` come out. Their methods are those of ``NetworkSettings``.
The formulas are those of the packages pytabkit 1.7.3 and tabm 0.0.3 (Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular
deep learning with parameter-efficient ensembling", ICLR 2025). This module does not know how a network is trained.
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from .._data.numeric_inputs import QuantileInputs, bin_edges
from .._network.encoders import (
    copy_encoder,
    embedding_encoder,
    one_hot_encoder,
    piecewise_linear_embedding_encoder,
    plr_encoder,
)
from .._network.layer_kinds import LayerKinds
from .network_columns import NetworkColumns

# the largest numbers of training rows, and the batch size, for batch_size="auto"; with more rows, it is _LARGEST_BATCH
_BATCH_SIZES = ((2_799, 32), (4_499, 64), (6_399, 128), (31_999, 256), (107_999, 512))
_LARGEST_BATCH = 1024
_N_LAYERS, _N_UNITS = {False: 3, True: 2}, 512  # the number of layers depends on whether numbers have embeddings
_EMBEDDING_SIZES = {None: 0, "piecewise_linear": 16, "periodic": 24, "periodic_lite": 24}
_MIN_EMBEDDED_ROWS = 3  # bins need at least so many training rows
_ADAPTERS = {"tabm": "all", "tabm-mini": "input"}
ARCHITECTURES = tuple(_ADAPTERS)
NUMERIC_EMBEDDINGS = tuple(name for name in _EMBEDDING_SIZES if name is not None)


class TabMSettings(NamedTuple):
    """The parameters of one network; the names are those of the parameters of the estimators."""

    architecture: str
    n_submodels: int
    hidden_layer_sizes: tuple
    activation: str
    numeric_embedding: str | None
    n_bins: int
    n_frequencies: int
    frequency_scale: float
    numeric_embedding_size: int
    max_one_hot_size: int
    embedding_size: int
    learning_rate: str
    learning_rate_init: float
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    clip_norm: float | None
    dropout: float
    batch_size: int | str
    shares_batches: bool
    max_iter: int
    n_iter_no_change: float
    n_cv: int
    dtype: str
    # the same for all networks
    label_smoothing: float = 0.0
    clip_predictions: bool = False
    tolerance: float = 1e-10  # an equally good epoch is not an improvement
    scoring: str = "accuracy"

    def of_member(self, n):
        """Return the settings of the member with this number, which are those of all members."""
        return self

    def rows_per_batch(self, n_rows):
        """Return the number of rows of a batch for this number of training rows."""
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        return min(n_rows, next((size for limit, size in _BATCH_SIZES if n_rows <= limit), _LARGEST_BATCH))

    def learned_inputs(self, rows, reader):
        """Return the preparation of the encoded training rows, and the numbers of the columns whose codes the network reads."""
        no_codes = np.empty(0, np.int64)  # encoders of the network replace the codes of all columns
        inputs = QuantileInputs.learned(rows.numeric, rows.codes, no_codes, reader.numeric_sources)
        return inputs, np.arange(len(reader.n_codes))

    def stored_inputs(self, plain, reader):
        """Return the same for the result of ``to_plain`` of the preparation."""
        return QuantileInputs.from_plain(plain), np.arange(len(reader.n_codes))

    def network_columns(self, inputs, n_codes, X):
        """Return the ``NetworkColumns`` of prepared training rows X; ``n_codes`` are those of the columns of codes."""
        edges: tuple = ()
        if self.numeric_embedding == "piecewise_linear" and len(X) >= _MIN_EMBEDDED_ROWS:
            edges = tuple(bin_edges(X[:, : inputs.n_numbers], min(self.n_bins, len(X) - 1)))
        return NetworkColumns(inputs.n_numbers, inputs.n_outputs, n_codes, edges)

    def layer_kinds(self, columns):
        """Return the ``LayerKinds`` for these columns."""
        numbers = self._encoder_of_numbers(columns)
        encoders = [numbers, copy_encoder(columns.n_plain - columns.n_numbers)]
        for size, codes in groupby(columns.n_codes + 1):
            n_columns = len(list(codes))
            if size <= self.max_one_hot_size:
                encoders.append(one_hot_encoder(int(size), n_columns))
            else:
                encoders += [embedding_encoder(int(size), self.embedding_size)] * n_columns
        return LayerKinds(
            encoders=tuple(encoder for encoder in encoders if encoder.n_columns) or (copy_encoder(1),),
            n_members=self.n_submodels,
            adapters=_ADAPTERS[self.architecture],
            adapter_init="signs" if numbers.kind == "copy" else "normal",
            shares_batches=self.shares_batches,
            initialization="tabm",
            decays=tuple((name, 1.0) for name in _DECAYED),
        )

    def _encoder_of_numbers(self, columns):
        n_numbers, size = columns.n_numbers, self.numeric_embedding_size
        if columns.edges:
            return piecewise_linear_embedding_encoder(columns.edges, size)
        if self.numeric_embedding in ("periodic", "periodic_lite") and n_numbers:
            is_lite = self.numeric_embedding == "periodic_lite"
            return plr_encoder(n_numbers, self.n_frequencies, size, frequency_scale=self.frequency_scale, is_lite=is_lite)
        return copy_encoder(n_numbers)


# groups of parameters, other than the weights, to which the weight decay applies
_DECAYED = ("input_adapters", "output_adapters", "piecewise_linear_embedding", "plr", "plr_lite", "embedding")


def tabm_settings(estimator):
    """Return the ``TabMSettings`` of an estimator."""
    parameters = estimator.get_params(deep=False)
    given = {name: parameters[name] for name in TabMSettings._fields if name in parameters}
    embedding, sizes = estimator.numeric_embedding, estimator.hidden_layer_sizes
    if sizes is None:
        sizes = (_N_UNITS,) * _N_LAYERS[embedding is not None]
    sizes = tuple(np.atleast_1d(sizes).tolist())
    if not sizes:
        raise ValueError(
            "hidden_layer_sizes must have at least one layer, whose weights the submodels share, got (). Add a layer, or use "
            "RealMLP for a linear model."
        )
    if given["numeric_embedding_size"] is None:
        given["numeric_embedding_size"] = _EMBEDDING_SIZES[embedding]
    return TabMSettings(**given | {"hidden_layer_sizes": sizes})
