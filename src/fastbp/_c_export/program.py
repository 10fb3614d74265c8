"""The parts of a generated program: constants, buffers and labels.

An ``ExportedNetwork`` and the names in C go in; arrays, sizes and plain labels come out, from which the source file and the header
are written. Networks that cannot be written in C are refused here. This module does not know the syntax of C.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from .formulas import ACTIVATIONS_IN_C, typed_code

C_DTYPES: dict[str, np.dtype] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}


class StoredArray(NamedTuple):
    """A constant array of the source file."""

    name: str
    values: np.ndarray
    comment: str


class CProgram:
    """An ``ExportedNetwork`` with the names and the types of its C code.

    ``real`` is "float" or "double", ``prefix`` the start of all names, and ``header_name`` the name of the header. ``arrays`` has
    the constants, and ``labels`` a list of the labels of each column of y.
    """

    def __init__(self, network, prefix, real, header_name):
        self.network, self.prefix, self.real, self.header_name = network, prefix, real, header_name
        _refuse_user_functions(network)
        self.arrays = [StoredArray(name, self._converted(values, note), note) for name, values, note in self._constants()]
        self.labels = None if network.labels is None else [_labels_for_c(classes) for classes in network.labels.classes]

    def code(self, text):
        """C code of `formulas` with the type and the names of this program."""
        return typed_code(text, self.prefix, self.real)

    @property
    def layer_names(self):
        """The names of the layers in comments."""
        n_layers = len(self.network.coefs)
        return [f"hidden layer {number}" for number in range(1, n_layers)] + ["output layer"]

    @property
    def itemsize(self):
        """The bytes of a number."""
        return C_DTYPES[self.real].itemsize

    @cached_property
    def constant_bytes(self):
        """The bytes of all constant arrays."""
        return sum(array.values.nbytes for array in self.arrays)

    @property
    def buffer_sizes(self):
        """The number of elements of the buffers of the odd and of the even hidden layers."""
        hidden = self.network.sizes[1:-1]
        return [max(widths) for widths in (hidden[::2], hidden[1::2]) if widths]

    def stack_bytes(self, n_more):
        """The bytes of the buffers of a forward pass and of ``n_more`` other numbers."""
        return (sum(self.buffer_sizes) + self.network.sizes[0] * self.prepares_inputs + n_more) * self.itemsize

    @property
    def prepares_inputs(self):
        """Whether the inputs of the first layer are stored in an array, because they are not the features."""
        return self.network.fill_values is not None or self.network.clip_factors is not None

    @property
    def n_outputs(self):
        return self.network.sizes[-1]

    @property
    def n_probabilities(self):
        """The number of probabilities of a classifier; one output stands for two classes."""
        return max(self.n_outputs, 2)

    @property
    def group_sizes(self):
        """The sizes of the groups of outputs to which the function of the output layer is applied."""
        network = self.network
        if network.link == "ordered_quantiles":
            return (network.n_quantiles,) * (self.n_outputs // network.n_quantiles)
        return network.group_sizes if self.kind == "multioutput" else (self.n_outputs,)

    @property
    def kind(self):
        """The kind of the labels of a classifier, "single class", or "regressor"."""
        labels = self.network.labels
        if labels is None:
            return "regressor"
        return "single class" if labels.kind == "binary" and len(labels.classes[0]) == 1 else labels.kind

    def _constants(self):
        """Yield the name, the values and the description of each constant array."""
        network = self.network
        if network.fill_values is not None:
            yield "fill_values", network.fill_values, "the values that replace NaN"
        if network.clip_factors is not None:
            yield "clip_centers", network.clip_centers, "smooth clipping of the inputs: the centers"
            yield "clip_factors", network.clip_factors, "smooth clipping of the inputs: the factors"
        if network.output_range is not None:
            yield "lowest_outputs", network.output_range[0], "the lowest predictions"
            yield "highest_outputs", network.output_range[1], "the highest predictions"
        for layer, name in enumerate(self.layer_names):
            W, b = network.coefs[layer], network.intercepts[layer]
            yield f"weights_{layer + 1}", W.T, f"{name}: {W.shape[1]} rows of {W.shape[0]} weights"
            yield f"biases_{layer + 1}", b, f"{name}: biases"
            if layer < len(network.norm_scales):
                yield f"norm_scales_{layer + 1}", network.norm_scales[layer], f"{name}: scales of the norm"
                yield f"norm_shifts_{layer + 1}", network.norm_shifts[layer], f"{name}: shifts of the norm"

    def _converted(self, values, note):
        """The values in the type of the program; raise a ValueError for infinite values and NaN."""
        with np.errstate(over="ignore"):
            converted = np.asarray(values).astype(C_DTYPES[self.real])
        if np.isfinite(converted).all():
            return converted
        if np.isfinite(values).all():
            raise ValueError(
                f"dtype='float' requires parameters below 3.4e38, but {note} has {np.abs(values).max():.3g}. Use dtype='double'."
            )
        wrong = values[~np.isfinite(values)][0]
        raise ValueError(
            f"coefs_ and intercepts_ must be finite to be exported, but {note} contains {wrong}. Fit the estimator again, for "
            "example with a lower learning_rate_init."
        )


def _refuse_user_functions(network):
    """Raise a ValueError for a user-defined activation."""
    for activation in network.activations:
        if not isinstance(activation, str):
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS_IN_C)} to be exported to C, because Python functions are not "
                f"translated; got {activation!r}. Fit the estimator with one of these activations."
            )


def _labels_for_c(classes):
    """Return the labels as a list of str, of int or of float; raise a ValueError for others."""
    labels = [int(label) if isinstance(label, bool) else label for label in classes.tolist()]
    if all(isinstance(label, str) and "\0" not in label for label in labels):
        return labels
    if any(all(isinstance(label, kind) for label in labels) for kind in (int, float)):
        return labels
    raise ValueError(
        "classes_ must be numbers, or strings without null characters, to be exported to C, and all of the same type; got "
        f"{labels[:5]!r}. Fit the estimator with other labels."
    )
