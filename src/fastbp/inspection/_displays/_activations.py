"""The display of activations: histograms of the layers, or dead and saturated shares after each epoch.

Histograms or statistics of layers go in; panels come out. This module does not know how the activations were computed.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from .._diagnosis.diagnose import diagnose
from ._checks import BOUNDED_RANGES, activation_names, check_count, check_network, layer_number, layer_title
from ._figures import add_legend, grid_shape, label_outer_axes, ordered_colors, panels, use_integers
from ._records import curves_of_monitor

_SHARES = {"dead_share": "Dead units", "saturated_share": "Saturated activations"}
_COLOR = "#3f90da"


class ActivationDisplay:
    """Histograms of the activations of each layer, or the shares of dead units and of saturated activations over the epochs.

    It is recommended to use `ActivationDisplay.from_estimator` for histograms, and `ActivationDisplay.from_monitor` for shares over
    the epochs. All parameters are stored as attributes.

    Parameters
    ----------
    counts : list of ndarray of shape (n_bins,), default=None
        The histogram of each layer. None for shares over the epochs.
    bin_edges : list of ndarray of shape (n_bins + 1,), default=None
        The edges of the bins of each histogram.
    layer_names : list of str, default=None
        The names of the layers.
    dead_share : ndarray of shape (n_records, n_layers), default=None
        The shares of dead units, as in `LayerDiagnosis`. With histograms, there is one record.
    saturated_share : ndarray of shape (n_records, n_layers), default=None
        The shares of saturated activations, as in `LayerDiagnosis`. NaN for activations that do not saturate on both sides.
    epochs : array-like of shape (n_records,), default=None
        The epochs of the records. None for histograms.

    Attributes
    ----------
    patches_ : list of matplotlib StepPatch
        The histograms; empty for shares over the epochs.
    lines_ : list of list of matplotlib Line2D
        For each panel with shares over the epochs, one line for each layer; empty for histograms.
    ax_ : matplotlib Axes
        The first panel.
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The panels: one for each layer or, over the epochs, one for each share.
    bounding_ax_ : matplotlib Axes or None
        The axes that the panels divide, if one axes was passed for several panels.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    diagnose : Computes the shares.
    DiagnosticsMonitor : Records the shares during a fit.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import ActivationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20, 10), "tanh", max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> display = ActivationDisplay.from_estimator(model, X, y)
    >>> [int(counts.sum()) for counts in display.counts]  # 150 rows with 20 and 10 units
    [3000, 1500]
    """

    def __init__(
        self,
        *,
        counts: list[np.ndarray] | None = None,
        bin_edges: list[np.ndarray] | None = None,
        layer_names: list[str] | None = None,
        dead_share: np.ndarray | None = None,
        saturated_share: np.ndarray | None = None,
        epochs: ArrayLike | None = None,
    ) -> None:
        self.counts: Any = counts
        self.bin_edges: Any = bin_edges
        self.layer_names = layer_names
        self.dead_share: Any = dead_share
        self.saturated_share: Any = saturated_share
        self.epochs = epochs

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        X: Matrix,
        y: ArrayLike | None = None,
        *,
        layers: Any = None,
        bins: int = 30,
        log_scale: bool | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw histograms of the activations of a fitted estimator on the given rows.

        The activations are those of predictions, which ``est.transform(X, layer)`` returns.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets. If given, the titles of hidden layers contain the shares of dead units and of saturated activations that
            `diagnose` computes.
        layers : int or list of int, default=None
            The layers to draw: 1 is the first hidden layer, -1 the output layer. None means all hidden layers.
        bins : int, default=30
            The number of bins of each histogram. For bounded activations such as 'tanh', the bins divide the range of the
            activation, otherwise the range of the values.
        log_scale : bool, default=None
            Whether the axis of the counts is logarithmic. By default, it is if half of the activations of a layer are in one bin,
            as the zeros of 'relu'.
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several layers; an array has one axes for each layer. If
            None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.stairs``.

        Returns
        -------
        display : ActivationDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `est` is not an estimator of fastbp.
        NotFittedError
            If `est` is not fitted.
        ValueError
            If the data do not fit the network, if `layers` or `bins` are invalid, or if activations are not finite.
        """
        check_network(est)
        check_count("bins", bins)
        numbers, n_layers = _layer_numbers(est, layers), len(est.coefs_)
        functions = [*activation_names(est), est.out_activation_]
        shares: dict[str, Any] = {} if y is None else _shares_of(diagnose(est, X, y).layers, numbers)
        histograms = [_histogram(est, X, layer, functions[layer - 1], bins) for layer in numbers]
        display = cls(
            counts=[counts for counts, _ in histograms],
            bin_edges=[edges for _, edges in histograms],
            layer_names=[f"{layer_title(layer, n_layers)} ({functions[layer - 1]})" for layer in numbers],
            **shares,
        )
        return display.plot(ax=ax, log_scale=log_scale, **kwargs)

    @classmethod
    def from_monitor(cls, monitor: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the shares of dead units and of saturated activations after each epoch that a monitor recorded.

        Parameters
        ----------
        monitor : DiagnosticsMonitor
            A monitor that was passed to an estimator as `callbacks` before the fit.
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided into two panels; an array has two axes. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot``.

        Returns
        -------
        display : ActivationDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `monitor` has no records.
        ValueError
            If the list of records is empty, or if the network has no hidden layers.
        """
        curves = curves_of_monitor(monitor, tuple(_SHARES))
        n_hidden = len(curves.layer_names) - 1
        if n_hidden == 0:
            raise ValueError("monitor must have records of a network with hidden layers, got a network without hidden layers.")
        shares: dict[str, Any] = {name: values[:, :n_hidden] for name, values in curves.values.items()}
        return cls(layer_names=curves.layer_names[:n_hidden], epochs=curves.epochs, **shares).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, log_scale: bool | None = None, **kwargs: Any) -> Self:
        """Draw the histograms, or the shares over the epochs.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several panels; an array has one axes for each panel. If
            None, a new figure is created.
        log_scale : bool, default=None
            Whether the axis of the counts is logarithmic. By default, it is if half of the activations of a layer are in one bin,
            as the zeros of 'relu'.
        **kwargs : dict
            Keyword arguments passed to ``Axes.stairs`` for histograms, and to ``Axes.plot`` for shares over the epochs.

        Returns
        -------
        self : ActivationDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` has another number of axes than there are panels.
        """
        self.patches_: list[Any] = []
        self.lines_: list[Any] = []
        if self.counts is None:
            self._draw_shares(ax, kwargs)
        else:
            self._draw_histograms(ax, log_scale, kwargs)
        self.ax_ = self.axes_[0]
        return self

    def _draw_histograms(self, ax, log_scale, kwargs):
        n = len(self.counts)
        if log_scale is None:
            log_scale = any(2 * counts.max() > counts.sum() for counts in self.counts)
        shape = grid_shape(n)
        size = (6.4, 4.8) if n == 1 else (0.6 + 2.7 * shape[1], 0.5 + 2.3 * shape[0])
        self.axes_, self.figure_, self.bounding_ax_ = panels(self, ax, shape, n, size)
        for number, (panel, counts, edges) in enumerate(zip(self.axes_, self.counts, self.bin_edges, strict=True)):
            self.patches_.append(panel.stairs(counts, edges, **{"fill": True, "color": _COLOR} | kwargs))
            panel.set_title(self._title(number), fontsize="medium" if n < 3 else "small")
            panel.margins(x=0.02)
            if log_scale:
                panel.set_yscale("log")
        label_outer_axes(self.axes_, shape, "Activation", "Count")

    def _title(self, number):
        """Return the title of a histogram, with the shares if they are known."""
        title = f"layer {number + 1}" if self.layer_names is None else self.layer_names[number]
        shares = [
            f"{100 * values[0][number]:.0f} % {word}"
            for values, word in ((self.dead_share, "dead"), (self.saturated_share, "saturated"))
            if values is not None and not np.isnan(values[0][number])
        ]
        return "\n".join([title, ", ".join(shares)]) if shares else title

    def _draw_shares(self, ax, kwargs):
        drawn = panels(self, ax, (2, 1), 2, (6.4, 5.6), sharex=True)
        self.axes_, self.figure_, self.bounding_ax_ = drawn
        n_layers = self.dead_share.shape[1]
        names = self.layer_names or [f"layer {number + 1}" for number in range(n_layers)]
        colors, marker = ordered_colors(n_layers), "o" if len(self.dead_share) == 1 else None
        for panel, (attribute, label) in zip(self.axes_, _SHARES.items(), strict=True):
            values, lines = 100 * np.asarray(getattr(self, attribute), float), []
            for layer, (name, color) in enumerate(zip(names, colors, strict=True)):
                options = {"color": color, "label": name, "marker": marker} | kwargs
                lines += panel.plot(self.epochs, values[:, layer], **options)
            self.lines_.append(lines)
            panel.set(ylabel=f"{label} (%)", ylim=(-3, 103))
            if np.isnan(values).all():
                panel.text(
                    0.5,
                    0.5,
                    "no layer has an activation\nthat saturates on both sides",
                    ha="center",
                    va="center",
                    transform=panel.transAxes,
                    color="0.4",
                )
        add_legend(self.axes_[0], list(zip(self.lines_[0], names, strict=True)), "center right")
        self.axes_[-1].set_xlabel("Epoch")
        use_integers(self.axes_[-1].xaxis)


def _layer_numbers(est, layers):
    """Return the list of the numbers of the layers to draw, from 1 to the number of layers."""
    n_layers = len(est.coefs_)
    if layers is None and n_layers == 1:
        raise ValueError("layers must be -1, the output layer, because the network has no hidden layers; got None.")
    if layers is None:
        return list(range(1, n_layers))
    listed = layers if isinstance(layers, (list, tuple, np.ndarray, range)) else [layers]
    if not len(listed):
        raise ValueError(f"layers must contain at least one layer, got {layers!r}.")
    return [layer_number(layer, n_layers, "layers") for layer in listed]


def _shares_of(diagnoses, numbers):
    """Return the dead and saturated shares of some layers as arrays (1, n_layers), by name."""
    return {name: np.array([[getattr(diagnoses[layer - 1], name) for layer in numbers]]) for name in _SHARES}


def _histogram(est, X, layer, function, bins):
    """Return the counts and the edges of the histogram of a layer."""
    values = np.asarray(est.transform(X, layer)).ravel()
    if not np.isfinite(values).all():
        raise ValueError(
            f"X must have finite activations in all layers, got NaN or infinite activations in layer {layer}. The values of X or "
            "the weights are too large: scale X, or fit again with a smaller learning rate."
        )
    return np.histogram(values, bins, range=BOUNDED_RANGES.get(function))
