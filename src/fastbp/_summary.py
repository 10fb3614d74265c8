"""The summary of a fitted network: its layers with their shapes, parameters, multiply-adds and bytes.

A fitted estimator goes in; a ``Summary`` comes out, which is shown as text, as HTML and as a data frame. ``fastbp.inspection``
exports the public names of this module. It does not know how a network is trained or computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ._representation import fitted_network
from ._tables import aligned_lines, html_of_table, imported_pandas


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a `Summary`.

    Parameters
    ----------
    name : str
        "hidden 1", "hidden 2", ..., or "output".
    n_in, n_out : int
        The number of inputs and of units of the layer.
    activation : str
        The name of the activation function. In an estimator for tables, ", parametric" follows if the layer computes
        z + α (g(z) − z) with a parameter α for each unit, and " + inputs" if it adds its inputs to its outputs.
    norm : str or None
        'batch_norm' or 'layer_norm' if the layer has a norm.
    dropout : float
        The dropout rate of the units during training.
    n_params : int
        The number of parameters for predictions: weights, biases and, with `layer_norm`, the norm parameters. Batch normalization
        is folded into the weights and biases.
    n_multiply_adds : int
        The number of multiplications with an addition in the matrix product for one dense row, n_in · n_out.
    n_bytes : int
        The size of the parameters in memory.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8, 6), learning_rate_init=0.01, tol=0.01, random_state=0).fit(X, y)
    >>> summary(model).layers[-1]
    LayerSummary(name='output', n_in=6, n_out=3, activation='softmax', norm=None, dropout=0.0,
                 n_params=21, n_multiply_adds=18, n_bytes=168)
    """

    name: str
    n_in: int
    n_out: int
    activation: str
    norm: str | None
    dropout: float
    n_params: int
    n_multiply_adds: int
    n_bytes: int


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a fitted network and their sizes; the result of `summary`.

    ``print`` shows it as a table, and Jupyter as an HTML table.

    Parameters
    ----------
    estimator : str
        The name of the class of the estimator.
    layers : tuple of LayerSummary
        The layers, from the first hidden layer to the output layer.
    n_features : int
        The number of features of X. With ``missing="indicator"``, the network can have more inputs than that.
    input_dropout : float
        The dropout rate of the inputs during training.
    dtype : str
        The floating-point type of the parameters.
    n_trained_params : int
        The number of parameters that training changes. It is larger than `n_params` if batch normalization is folded.
    """

    estimator: str
    layers: tuple[LayerSummary, ...]
    n_features: int
    input_dropout: float
    dtype: str
    n_trained_params: int

    @property
    def n_params(self) -> int:
        """The number of parameters for predictions."""
        return sum(layer.n_params for layer in self.layers)

    @property
    def n_multiply_adds(self) -> int:
        """The number of multiply-adds in the matrix products for one dense row."""
        return sum(layer.n_multiply_adds for layer in self.layers)

    @property
    def n_bytes(self) -> int:
        """The size of the parameters in memory."""
        return sum(layer.n_bytes for layer in self.layers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of units of all layers, inputs first."""
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about everything that the table of layers does not show."""
        return tuple(_notes(self))

    def __repr__(self) -> str:
        titles, *rows = _texts(self)
        return "\n".join([_heading(self), *aligned_lines([titles, *rows], _is_text(titles)), *self.notes])

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_layers, 8)
            One row for each layer, with the fields of `LayerSummary` as columns and the names of the layers as index.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return imported_pandas().DataFrame([vars(layer) for layer in self.layers]).set_index("name")

    def to_html(self) -> str:
        """Return the table as HTML.

        Returns
        -------
        html : str
            The element with its style sheet. Its colors follow those of the page.
        """
        titles, *rows, totals = _texts(self)
        heading, label = [_heading(self), *self.notes], f"Layers of {self.estimator}"
        return html_of_table(heading, label, titles, rows, _is_text(titles), totals=totals)

    def _repr_html_(self) -> str:
        return self.to_html()


def summary(est: Any) -> Summary:
    """Return the layers of a fitted network with their shapes, numbers of parameters, multiply-adds and bytes.

    The numbers are those of the network that predicts: scaling, batch normalization and averages are folded into its weights. The
    dropout rates are the current value of the parameter `dropout`.

    In a summary of an estimator for tables, the activation "selu, parametric" is z + α (selu(z) − z), with a parameter α for each
    unit. With "selu, parametric + inputs", the layer also adds its inputs to its outputs (`residual_connections`). The sentences
    after the table describe the inputs, their scale, and the members.

    Parameters
    ----------
    est : MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor, TabMClassifier or TabMRegressor
        A fitted estimator. Of an estimator for tables, the network of the first member is described. If the networks of other
        members have other numbers of inputs or parameters, the summary lists these.

    Returns
    -------
    summary : Summary
        The summary. ``print`` shows it as a table, and Jupyter as an HTML table. It is also part of the HTML representation of the
        estimator.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `est` is not an estimator of fastbp.
    ValueError
        If an estimator for tables needed no network, because y has a single class.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8, 6), learning_rate_init=0.01, tol=0.01, dropout=0.1, random_state=0).fit(X, y)
    >>> summary(model)
    MLPClassifier 4-8-6-3: 115 parameters in float64 (920 bytes), 98 multiply-adds per row
    layer     shape   activation  dropout  parameters  multiply-adds  bytes
    hidden 1  (4, 8)  relu            0.1          40             32    320
    hidden 2  (8, 6)  relu            0.1          54             48    432
    output    (6, 3)  softmax                      21             18    168
    total                                         115             98    920
    """
    from ._table_summary import table_summary
    from ._tabular.base import BaseTableEstimator

    return table_summary(est) if isinstance(est, BaseTableEstimator) else summary_of(fitted_network(est))


def summary_of(network):
    """Return the `Summary` of a ``FittedNetwork``."""
    layers, dtype = tuple(_layers(network)), network.dtype.name
    return Summary(network.estimator, layers, network.n_features, network.dropout[0], dtype, network.n_trained)


# ---------------------------------------------------------------------- numbers


def _layers(network):
    """Yield the summary of each layer of a ``FittedNetwork``."""
    for number, (n_in, n_out) in enumerate(pairwise(network.sizes), start=1):
        is_output = number == len(network.sizes) - 1
        n_params = n_in * n_out + n_out + (0 if is_output else network.n_norms * n_out)
        yield LayerSummary(
            "output" if is_output else f"hidden {number}",
            n_in,
            n_out,
            network.activations[number - 1],
            None if is_output else network.norm,
            0.0 if is_output else network.dropout[number],
            n_params,
            n_in * n_out,
            n_params * network.dtype.itemsize,
        )


def _notes(found):
    n_indicators = found.layers[0].n_in - found.n_features
    if n_indicators:
        yield f"Inputs: {counted(found.n_features, 'feature')} and {counted(n_indicators, 'indicator')} of missing values."
    if found.input_dropout:
        yield f"The dropout rate of the inputs is {found.input_dropout:g}."
    if found.n_trained_params != found.n_params:
        yield f"Batch normalization is folded into the weights and biases; training has {found.n_trained_params:,} parameters."


def counted(number, noun):
    """Return a number and a noun in the singular or the plural."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


# ---------------------------------------------------------------------- text

_TEXT_COLUMNS = ("layer", "shape", "activation", "norm")


def _heading(found):
    sizes = "-".join(map(str, found.sizes))
    return (
        f"{found.estimator} {sizes}: {counted(found.n_params, 'parameter')} in {found.dtype} ({_as_bytes(found.n_bytes)}), "
        f"{counted(found.n_multiply_adds, 'multiply-add')} per row"
    )


def _as_bytes(number):
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} bytes"


def _texts(found):
    """Return the cells of the table as rows of texts: the titles, the layers and the totals."""
    columns = {
        "layer": [layer.name for layer in found.layers] + ["total"],
        "shape": [f"({layer.n_in}, {layer.n_out})" for layer in found.layers] + [""],
        "activation": [layer.activation for layer in found.layers] + [""],
        "norm": [layer.norm or "" for layer in found.layers] + [""],
        "dropout": [f"{layer.dropout:g}" if layer.dropout else "" for layer in found.layers] + [""],
    }
    columns = {title: cells for title, cells in columns.items() if title not in ("norm", "dropout") or any(cells)}
    for title, name in (("parameters", "n_params"), ("multiply-adds", "n_multiply_adds"), ("bytes", "n_bytes")):
        columns[title] = [f"{getattr(part, name):,}" for part in (*found.layers, found)]
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _is_text(titles):
    return [title in _TEXT_COLUMNS for title in titles]
