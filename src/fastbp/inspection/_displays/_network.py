"""The display of a network as a diagram: units as circles, weights as lines.

Weights and biases go in; circles and lines come out. This module does not know how the weights were trained.
"""

from textwrap import fill
from typing import Any, NamedTuple, Self

import numpy as np

from ._checks import activation_names, check_count, check_network
from ._figures import DIVERGING, color_options, largest_magnitude, panels
from ._weights import class_names

_RADIUS = 0.33  # of a circle; the distance of neighboring units is 1
_THINNEST, _THICKEST = 0.25, 3.5  # lines, in points
_INCHES = 0.42  # of the distance of neighboring units, in a new figure
_NARROWEST, _WIDEST = 2.6, 7.0  # distances of neighboring layers
_CHARACTER = 0.62  # the width of a character as a multiple of the font size
_SMALLEST_TEXT, _LARGEST_TEXT = 6.0, 9.0  # in points
_EDGE = "#333333"


class NetworkDisplay:
    """A diagram of a network: a column of circles for each layer, and a line for each weight.

    The color of a line is the weight, and its width grows with the absolute value of the weight. The color of a circle is the bias
    of the unit. Inputs are white. Of a layer with many units, only the first and the last units are drawn, with three dots between
    them.

    Each layer has its own color scale, which is symmetric about zero, because the weights of different layers often have different
    sizes. Its limit is the largest absolute value of the weights of this layer that are drawn. It is written below the layer as
    ``|w| ≤ limit``. The color bar has values relative to these limits. A bias outside the limits has the color of the limit.

    It is recommended to use `NetworkDisplay.from_estimator` to create the display. All parameters are stored as attributes.

    Parameters
    ----------
    coefs : list of ndarray of shape (n_inputs, n_units)
        The weights of each layer.
    intercepts : list of ndarray of shape (n_units,)
        The biases of each layer.
    layer_names : list of str, default=None
        The names of the layers, the first for the inputs, to which the number of units is added.
    input_names : list of str, default=None
        The names of the inputs.
    output_names : list of str, default=None
        The names of the output units.

    Attributes
    ----------
    lines_ : list of matplotlib LineCollection
        The lines to the units of each layer, without the inputs. The arrays contain the weights that are drawn, those with large
        absolute values last.
    circles_ : list of matplotlib PatchCollection
        The circles of each layer, the first for the inputs. The arrays of all but the first contain the biases.
    limits_ : ndarray of shape (n_layers,)
        The largest absolute value of the weights of each layer that are drawn.
    units_ : list of ndarray of int
        The numbers of the units of each layer that are drawn, counted from 0.
    colorbar_ : matplotlib Colorbar or None
        The color bar.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    WeightsDisplay : Draws all weights of one layer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import NetworkDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = MLPClassifier((5, 100), learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(model, max_units=6)
    >>> display.units_[2]
    array([ 0,  1,  2, 97, 98, 99])
    >>> [lines.get_array().size for lines in display.lines_]  # 4 * 5, 5 * 6, 6 * 3
    [20, 30, 18]
    """

    def __init__(
        self,
        *,
        coefs: list[np.ndarray],
        intercepts: list[np.ndarray],
        layer_names: list[str] | None = None,
        input_names: list[str] | None = None,
        output_names: list[str] | None = None,
    ) -> None:
        self.coefs = coefs
        self.intercepts = intercepts
        self.layer_names: Any = layer_names
        self.input_names: Any = input_names
        self.output_names: Any = output_names

    @classmethod
    def from_estimator(cls, est: Any, *, max_units: int = 12, colorbar: bool = True, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the network of a fitted estimator.

        The weights and biases are those in `coefs_` and `intercepts_`, into which scaling and batch normalization are folded. With
        `scale`, the weights of the first layer are divided by the scales of the features. To draw the weights that are trained,
        pass `coefs` and `intercepts` of a `trace` to the constructor, and call `plot`.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator.
        max_units : int, default=12
            The largest number of units that are drawn for each layer. Of a layer with more units, the first and the last units are
            drawn.
        colorbar : bool, default=True
            Whether to draw a color bar.
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created, whose size depends on the number of layers and units.
        **kwargs : dict
            Keyword arguments passed to ``LineCollection`` for the lines, for example ``cmap``, ``norm`` or ``alpha``. With
            ``norm``, ``vmin`` or ``vmax``, all layers have the same color scale.

        Returns
        -------
        display : NetworkDisplay
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
            If `max_units` is not an integer of at least 2.
        """
        check_network(est)
        names = getattr(est, "feature_names_in_", None)
        hidden = [f"hidden {number}\n{name}" for number, name in enumerate(activation_names(est), start=1)]
        display = cls(
            coefs=list(est.coefs_),
            intercepts=list(est.intercepts_),
            layer_names=["inputs", *hidden, f"outputs\n{est.out_activation_}"],
            input_names=list(map(str, names)) if names is not None and len(names) == len(est.coefs_[0]) else None,
            output_names=class_names(est),
        )
        return display.plot(ax=ax, max_units=max_units, colorbar=colorbar, **kwargs)

    def plot(self, ax: Any = None, *, max_units: int = 12, colorbar: bool = True, **kwargs: Any) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created, whose size depends on the number of layers and units.
        max_units : int, default=12
            The largest number of units that are drawn for each layer. Of a layer with more units, the first and the last units are
            drawn.
        colorbar : bool, default=True
            Whether to draw a color bar.
        **kwargs : dict
            Keyword arguments passed to ``LineCollection`` for the lines, for example ``cmap``, ``norm`` or ``alpha``. With
            ``norm``, ``vmin`` or ``vmax``, all layers have the same color scale.

        Returns
        -------
        self : NetworkDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `max_units` is not an integer of at least 2.
        """
        check_count("max_units", max_units, smallest=2)
        columns = _drawn_columns([len(self.coefs[0]), *map(len, self.intercepts)], max_units)
        self.units_ = [column.units for column in columns]
        weights = [np.asarray(W)[np.ix_(*units)] for W, *units in zip(self.coefs, self.units_, self.units_[1:], strict=False)]
        self.limits_ = np.array([largest_magnitude(W) for W in weights])
        is_common = bool({"norm", "vmin", "vmax"} & set(kwargs))
        kwargs = kwargs | _common_norm(kwargs.get("norm"), weights)
        drawn = panels(self, ax, (1, 1), 1, _figure_size(columns), "compressed")
        self.ax_, self.figure_ = drawn.axes[0], drawn.figure
        self.ax_.set_aspect("equal")
        self.ax_.set_axis_off()
        largest = float(self.limits_.max())
        self.lines_: list[Any] = []
        for below, above, W, limit in zip(columns, columns[1:], weights, self.limits_, strict=False):
            limit = largest if is_common else limit
            self._draw_lines(below, above, W, limit, color_options(-limit, limit, DIVERGING, kwargs))
        self._draw_circles(columns)
        self._set_limits(columns)
        self.colorbar_ = self._add_colorbar(is_common) if colorbar else None
        self._write(columns, is_common)
        return self

    def _draw_lines(self, below, above, W, limit, options):
        """Draw the lines between two columns; the widths are relative to the limit."""
        from matplotlib.collections import LineCollection

        ends = np.empty((*W.shape, 2, 2))
        ends[..., 0, 0], ends[..., 1, 0] = below.x, above.x
        ends[..., 0, 1], ends[..., 1, 1] = below.y[:, None], above.y
        order = np.argsort(np.abs(W), axis=None, kind="stable")
        values, segments = W.ravel()[order], ends.reshape(-1, 2, 2)[order]
        widths = _THINNEST + (_THICKEST - _THINNEST) * np.nan_to_num(np.abs(values) / limit)
        low, high = options.pop("vmin", None), options.pop("vmax", None)
        lines = LineCollection(list(segments), array=values, **{"linewidths": widths, "zorder": 1} | options)
        lines.set_clim(low, high)
        self.ax_.add_collection(lines)
        self.lines_.append(lines)

    def _draw_circles(self, columns):
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Circle

        self.circles_: list[Any] = []
        for number, column in enumerate(columns):
            patches = [Circle((column.x, y), _RADIUS) for y in column.y]
            style: Any = {"edgecolor": _EDGE, "linewidth": 0.9, "zorder": 2}
            if number == 0:
                circles = PatchCollection(patches, facecolor="white", **style)
            else:
                biases = np.asarray(self.intercepts[number - 1])[column.units]
                lines = self.lines_[number - 1]
                circles = PatchCollection(patches, array=biases, cmap=lines.get_cmap(), norm=lines.norm, **style)
            self.ax_.add_collection(circles)
            self.circles_.append(circles)
            if column.n_units > len(column.units):
                dots = [Circle((column.x, column.gap + shift), 0.06) for shift in (-0.25, 0, 0.25)]
                self.ax_.add_collection(PatchCollection(dots, facecolor=_EDGE, edgecolor="none", zorder=2))

    def _add_colorbar(self, is_common):
        """Return the color bar: of the values if all layers have one scale, otherwise of the values relative to the limits."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        biases = [largest_magnitude(circles.get_array()) for circles in self.circles_[1:]]
        extend = "both" if not is_common and (biases > self.limits_).any() else "neither"
        colors, label = self.lines_[0], "Weight or bias"
        if not is_common:
            colors, label = ScalarMappable(Normalize(-1, 1), colors.get_cmap()), "Relative weight or bias"
        return self.figure_.colorbar(colors, ax=self.ax_, label=label, shrink=0.8, extend=extend)

    def _set_limits(self, columns):
        highest = max(column.y.max() for column in columns)
        self.ax_.set(xlim=(-0.6, columns[-1].x + 0.6), ylim=(-highest - 0.6, highest + 0.6))

    def _unit_size(self):
        """Return the distance of neighboring units in points."""
        corners = self.ax_.get_window_extent().transformed(self.figure_.dpi_scale_trans.inverted())
        width, height = np.ptp(self.ax_.get_xlim()), np.ptp(self.ax_.get_ylim())
        return 72 * float(min(corners.width / width, corners.height / height))

    def _write(self, columns, is_common):
        """Write the names and limits of the layers below the columns, and the names of inputs and outputs to the left and right."""
        unit = self._unit_size()
        names = self.layer_names or ["inputs", *(f"layer {number}" for number in range(1, len(columns)))]
        texts = [_layer_text(name, column.n_units) for name, column in zip(names, columns, strict=True)]
        if not is_common:
            limits = ["", *(f"\n|w| ≤ {limit:.2g}" for limit in self.limits_)]
            texts = [text + limit for text, limit in zip(texts, limits, strict=True)]
        longest = max(len(line) for text in texts for line in text.split("\n"))
        size, style = columns[1].x * unit / (longest * _CHARACTER), {"ha": "center", "va": "top", "parse_math": False}
        if size < _SMALLEST_TEXT:  # the texts fit only if they are turned
            texts, style["rotation"] = [text.replace("\n", ", ") for text in texts], 90
            size = columns[1].x * unit / 1.4
        for column, text in zip(columns, texts, strict=True):
            self.ax_.text(column.x, self.ax_.get_ylim()[0], text, fontsize=min(size, _LARGEST_TEXT), **style)
        size = float(np.clip(0.8 * unit, 4, _LARGEST_TEXT))
        for side, column, labels in ((-1, columns[0], self.input_names), (1, columns[-1], self.output_names)):
            for unit_number, y in zip(column.units, column.y, strict=True) if labels is not None else ():
                align = "right" if side < 0 else "left"
                self.ax_.text(column.x + side * 0.5, y, labels[unit_number], ha=align, va="center", fontsize=size, parse_math=False)


def _common_norm(norm, weights):
    """Return the option for a color scale that the user passed, with limits for the weights of all layers if it has none."""
    if norm is None:
        return {}
    from matplotlib.cm import ScalarMappable

    norm = ScalarMappable(norm=norm).norm  # the name of a scale becomes an object
    norm.autoscale_None(np.concatenate([W.ravel() for W in weights]))
    return {"norm": norm}


class _Column(NamedTuple):
    """The units of a layer that are drawn, their positions, the position of the gap, and the number of all units."""

    x: float
    y: np.ndarray
    units: np.ndarray
    gap: float
    n_units: int


def _drawn_columns(sizes, max_units):
    """Return the `_Column` of each layer."""
    shown = [_shown_units(n_units, max_units) for n_units in sizes]
    heights = [len(units) + (len(units) < n_units) for units, n_units in zip(shown, sizes, strict=True)]
    step = float(np.clip(1.5 * max(heights) / (len(sizes) - 1), _NARROWEST, _WIDEST))
    columns = []
    for number, (units, height, n_units) in enumerate(zip(shown, heights, sizes, strict=True)):
        places = (height - 1) / 2 - np.arange(height, dtype=float)
        first = (len(units) + 1) // 2  # the units above the gap
        y = places if height == len(units) else np.delete(places, first)
        columns.append(_Column(number * step, y, units, float(places[min(first, height - 1)]), n_units))
    return columns


def _shown_units(n_units, max_units):
    """Return the numbers of the units to draw: all, or the first and the last ones."""
    if n_units <= max_units:
        return np.arange(n_units)
    first = (max_units + 1) // 2
    return np.concatenate([np.arange(first), np.arange(n_units - (max_units - first), n_units)])


def _figure_size(columns):
    """Return the width and the height of a new figure in inches."""
    height = 2 * max(column.y.max() for column in columns) + 1.2
    return max(4.8, _INCHES * (columns[-1].x + 1.2) + 2.6), max(2.6, _INCHES * height + 1.0)


def _layer_text(name, n_units):
    """Return the lines below a layer."""
    title, *rest = name.split("\n")
    lines = [fill(line.replace("_", " "), 12) for line in rest]
    return "\n".join([title, f"{n_units} unit{'s' * (n_units > 1)}", *lines])
