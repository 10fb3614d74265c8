"""The summary of a fitted estimator for tables: the layers of the networks of its members.

A fitted estimator for tables goes in; a ``TableSummary`` comes out. This module does not know how summaries are shown.
"""

from dataclasses import dataclass

from ._summary import LayerSummary, Summary
from ._tabular.base import fitted_ensemble


@dataclass(frozen=True, repr=False)
class TableSummary(Summary):
    """The `Summary` of the network of one member, whose first layers are embeddings of numbers and of categories, if any."""

    n_members: int
    n_inputs: int

    @property
    def sizes(self):
        return (self.n_inputs, *(layer.n_out for layer in self.layers if layer.name.startswith(("hidden", "output"))))

    @property
    def notes(self) -> tuple[str, ...]:
        each = f"Each of the {self.n_members} members has such a network." if self.n_members > 1 else "There is one member."
        text = f"Inputs: {self.n_inputs:,}, computed from {self.n_features:,} column{'s' * (self.n_features != 1)}."
        return text, each


def table_summary(est):
    """Return the ``TableSummary`` of the first member of an estimator for tables."""
    ensemble = fitted_ensemble(est)
    if not ensemble.members:
        raise ValueError("est must have at least one network, but none was needed, because y has a single class.")
    reader, member = ensemble.reader, ensemble.members[0]
    plan, params, dropout = member.network.plan, member.network.params, ensemble.kind.settings.dropout
    layers, itemsize = [], params.itemsize
    names = iter(reader.columns[reader.categorical_columns[j]].name for j in member.embedded)
    for encoder in plan.architecture.encoders:
        if encoder.n_params:
            is_pbld = encoder.kind == "pbld"
            name = "embedding of numbers" if is_pbld else f"embedding of {next(names)!r}"
            # a frequency and d weights for each unit of each column
            work = encoder.n_columns * encoder.n_units * (encoder.n_out // encoder.n_columns) if is_pbld else 0
            size = encoder.n_params * itemsize
            n_in = encoder.n_columns if is_pbld else encoder.n_units
            layers.append(LayerSummary(name, n_in, encoder.n_out, encoder.kind, None, 0.0, encoder.n_params, work, size))
    sizes, architecture = plan.layout.sizes, plan.architecture
    for number in range(1, len(sizes)):
        n_in, n_out, is_output = sizes[number - 1], sizes[number], number == len(sizes) - 1
        n_params = n_in * n_out + n_out * (1 if is_output or not architecture.has_slopes else 2)
        name, activation = (
            ("output", architecture.link) if is_output else (f"hidden {number}", architecture.activations[number - 1])
        )
        rate = 0.0 if is_output else dropout
        layers.append(LayerSummary(name, n_in, n_out, activation, None, rate, n_params, n_in * n_out, n_params * itemsize))
    n_trained = sum(layer.n_params for layer in layers) + sizes[0]  # the scale of the inputs is folded into the weights
    shared = type(est).__name__, tuple(layers), est.n_features_in_, 0.0, params.dtype.name, n_trained
    return TableSummary(*shared, len(ensemble.members), sizes[0])
