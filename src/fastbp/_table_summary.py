"""The summary of a fitted estimator for tables: the layers of the networks of its members.

A fitted estimator for tables goes in; a ``TableSummary`` comes out. This module does not know how summaries are shown.
"""

from dataclasses import dataclass
from math import prod

from ._summary import LayerSummary, Summary, counted
from ._tabular.base import fitted_ensemble


@dataclass(frozen=True, repr=False)
class TableSummary(Summary):
    """The `Summary` of the network of the first member, whose first layers are embeddings of numbers and of categories, if any.

    ``sizes_of_members`` has the number of inputs and the number of parameters of the network of each member.
    """

    sizes_of_members: tuple

    @property
    def n_inputs(self):
        """The number of inputs of the first layer that is not an embedding."""
        return self.sizes_of_members[0][0]

    @property
    def sizes(self):
        return (self.n_inputs, *(layer.n_out for layer in self.layers if layer.name.startswith(("hidden", "output"))))

    @property
    def notes(self) -> tuple[str, ...]:
        notes = [f"Inputs: {self.n_inputs:,}, computed from {counted(self.n_features, 'column')}."]
        if self.n_trained_params != self.n_params:
            first = "output" if len(self.sizes) == 2 else "hidden 1"
            trained = f"training has {self.n_trained_params:,} parameters"
            notes.append(f"Each input has a scale, which is folded into the weights of the layer {first!r}; {trained}.")
        return *notes, _note_on_members(self.sizes_of_members)


def _note_on_members(sizes):
    """Return a sentence that says which members have the network of the first member, and the sizes of the other networks."""
    if len(sizes) == 1:
        return "There is one member."
    if len(set(sizes)) == 1:
        return f"Each of the {len(sizes)} members has such a network."
    groups = {size: [n for n, other in enumerate(sizes, start=1) if other == size] for size in sizes}
    parts: list[str] = []
    for (n_inputs, n_params), numbers in groups.items():
        text = "such a network" if not parts else f"{counted(n_inputs, 'input')} and {counted(n_params, 'parameter')}"
        parts.append(f"{_enumerated(numbers)} {'has' if len(numbers) == 1 else 'have'} {text}")
    return f"M{'; '.join(parts)[1:]}."


def _enumerated(numbers):
    *others, last = map(str, numbers)
    return f"members {', '.join(others)} and {last}" if others else f"member {last}"


def table_summary(est):
    """Return the ``TableSummary`` of the first member of an estimator for tables."""
    ensemble = fitted_ensemble(est)
    if not ensemble.members:
        raise ValueError("est must have at least one network, but none was needed, because y has a single class.")
    reader, member = ensemble.reader, ensemble.members[0]
    plan, params, dropout = member.network.plan, member.network.params, ensemble.kind.settings.dropout
    layers, itemsize, layout, largest = [], params.itemsize, plan.layout, ensemble.kind.settings.max_one_hot_size
    names = iter(reader.columns[reader.categorical_columns[j]].name for j in member.embedded if reader.n_codes[j] + 1 > largest)
    for encoder in plan.architecture.encoders:
        if encoder.n_params:
            is_of_codes = encoder.kind == "embedding"
            name = f"embedding of {next(names)!r}" if is_of_codes else "embedding of numbers"
            # a frequency or a bin, and d weights, for each unit of each column
            work = 0 if is_of_codes else encoder.n_columns * encoder.n_units * (encoder.n_out // encoder.n_columns)
            size = encoder.n_params * itemsize
            n_in = encoder.n_units if is_of_codes else encoder.n_columns
            layers.append(LayerSummary(name, n_in, encoder.n_out, encoder.kind, None, 0.0, encoder.n_params, work, size))
    sizes, architecture, n_networks = layout.sizes, plan.architecture, max(1, layout.n_members)
    for number in range(1, len(sizes)):
        n_in, n_out, is_output = sizes[number - 1], sizes[number], number == len(sizes) - 1
        n_params = prod(layout.weight_shapes[number - 1]) + prod(layout.bias_shapes[number - 1])
        if not is_output:
            has_inputs = architecture.adapters == "all" or (architecture.adapters == "input" and number == 1)
            n_params += n_out * architecture.has_slopes
            n_params += n_networks * (n_in * has_inputs + n_out * (architecture.adapters == "all"))
        name, activation = (
            ("output", architecture.link) if is_output else (f"hidden {number}", _activation(architecture, number - 1, n_in, n_out))
        )
        rate, work = 0.0 if is_output else dropout, n_networks * n_in * n_out
        layers.append(LayerSummary(name, n_in, n_out, activation, None, rate, n_params, work, n_params * itemsize))
    n_scales = sizes[0] if ensemble.kind.family == "RealMLP" else 0  # the scale of the inputs is folded into the weights
    n_trained = sum(layer.n_params for layer in layers) + n_scales
    shared = type(est).__name__, tuple(layers), est.n_features_in_, 0.0, params.dtype.name, n_trained
    sizes_of_members = tuple((other.network.plan.layout.sizes[0], other.network.params.size) for other in ensemble.members)
    return TableSummary(*shared, sizes_of_members)


def _activation(architecture, layer, n_in, n_out):
    """Return the name of the activation of a hidden layer, with what is added to it."""
    parametric = ", parametric" if architecture.has_slopes else ""
    inputs = " + inputs" if architecture.has_residual(layer, (n_in, n_out)) else ""
    return f"{architecture.activations[layer]}{parametric}{inputs}"
