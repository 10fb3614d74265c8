"""The display of the outputs of a network, or of the activations of its units, over a plane of two features.

A fitted estimator with two features goes in; images come out, one for each output or unit. This module does not know how outputs
are computed.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from ._checks import check_count, check_network, layer_number
from ._figures import (
    DIVERGING,
    SEQUENTIAL,
    color_options,
    distinct_colors,
    grid_shape,
    label_outer_axes,
    largest_magnitude,
    panels,
)
from ._responses import checked_points, grid_around, responses_of_layer, responses_of_predictions, targets_of_panels

_PALE = 0.23  # the part at each end of the color map of probabilities that is used for points only
_LARGEST_OPACITY = 0.75  # of the color of a class whose probability is 1
_BOUNDARY = "#222222"


class DecisionSurfaceDisplay:
    """The outputs of a network over a plane of two features, or the activations of the units of a layer.

    For a classifier with two classes, and for each label of a multilabel classifier, the color is the probability. With more
    classes, the color is that of the most probable class, and it is paler for lower probabilities. For a regressor, the color is
    the prediction. For a layer, there is one panel for each unit, and the color is its activation. Black lines are the boundaries
    between classes or, for activations that change their sign there and for 'logistic', the points at which the weighted sum of a
    unit is zero.

    It is recommended to use `DecisionSurfaceDisplay.from_estimator` to create the display. All parameters are stored as attributes.

    Parameters
    ----------
    xx0 : ndarray of shape (grid_resolution, grid_resolution)
        The values of the first feature, as from ``numpy.meshgrid``.
    xx1 : ndarray of shape (grid_resolution, grid_resolution)
        The values of the second feature.
    response : list of ndarray
        The values of each panel: an array of shape (grid_resolution, grid_resolution), or (grid_resolution, grid_resolution,
        n_classes) if `kind` is 'classes'.
    kind : {'classes', 'probability', 'prediction', 'activation'}
        What the values are.
    titles : list of str, default=None
        The titles of the panels.
    levels : list of float, default=None
        The value of each panel at which a line is drawn; None for a panel without a line.
    class_names : list of list of str, default=None
        The names of the classes of each panel, if `kind` is 'classes'.
    limits : tuple of float, default=None
        The lowest and the highest value of the color scale. None means the range of the values.
    label : str, default=None
        The label of the color bar.
    feature_names : list of str, default=None
        The names of the two features.
    points : ndarray of shape (n_samples, 2), default=None
        The rows to draw as points.
    targets : list of ndarray of shape (n_samples,), default=None
        The targets of the points for each panel: the index of the class, or a number; None for points without a color.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The image of each panel. Its array contains the values, or colors if `kind` is 'classes'.
    points_ : list of matplotlib PathCollection
        The points of each panel; empty without points.
    boundaries_ : list of matplotlib QuadContourSet
        The black lines.
    colorbars_ : list of matplotlib Colorbar
        The color bars: one for each output of a regressor, otherwise one for all panels; empty for classes, which have legends.
    ax_ : matplotlib Axes
        The first panel.
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        All panels.
    bounding_ax_ : matplotlib Axes or None
        The axes that the panels divide, if one axes was passed for several panels.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn.inspection.DecisionBoundaryDisplay : Draws the outputs of any estimator.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_moons
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import DecisionSurfaceDisplay
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> model = MLPClassifier((8, 4), "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> display = DecisionSurfaceDisplay.from_estimator(model, X, y)
    >>> display.response[0].shape
    (100, 100)
    >>> units = DecisionSurfaceDisplay.from_estimator(model, X, y, layer=2)
    >>> len(units.images_)
    4
    """

    def __init__(
        self,
        *,
        xx0: np.ndarray,
        xx1: np.ndarray,
        response: list[np.ndarray],
        kind: str,
        titles: list[str] | None = None,
        levels: list[Any] | None = None,
        class_names: list[list[str]] | None = None,
        limits: tuple[float, float] | None = None,
        label: str | None = None,
        feature_names: list[str] | None = None,
        points: np.ndarray | None = None,
        targets: list[Any] | None = None,
    ) -> None:
        self.xx0 = xx0
        self.xx1 = xx1
        self.response = response
        self.kind = kind
        self.titles: Any = titles
        self.levels: Any = levels
        self.class_names: Any = class_names
        self.limits: Any = limits
        self.label = label
        self.feature_names = feature_names
        self.points: Any = points
        self.targets: Any = targets

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        X: Matrix,
        y: ArrayLike | None = None,
        *,
        layer: int | None = None,
        units: Any = None,
        max_units: int = 16,
        grid_resolution: int = 100,
        margin: float = 0.1,
        colorbar: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compute the outputs or activations of a fitted estimator on a grid, and draw them.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator, which must have two features.
        X : array-like of shape (n_samples, 2)
            The rows, which determine the range of the grid.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets. If given, the rows are drawn as points in the colors of their targets.
        layer : int, default=None
            The layer whose units are drawn: 1 is the first hidden layer, -1 the output layer. None for the predictions.
        units : int or array-like of int, default=None
            The numbers of the units to draw, counted from 0. None means the first `max_units` units.
        max_units : int, default=16
            The largest number of units that are drawn, if `units` is None.
        grid_resolution : int, default=100
            The number of points of the grid in each direction.
        margin : float, default=0.1
            The distance between the points and the sides of the grid, as a fraction of the range of each feature.
        colorbar : bool, default=True
            Whether to draw a color bar or, for more than two classes, a legend.
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several panels; an array has one axes for each panel. If
            None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.imshow``.

        Returns
        -------
        display : DecisionSurfaceDisplay
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
            If `est` or `X` do not have two features, if `y` has another length than `X`, or if another parameter is invalid.
        """
        check_network(est)
        check_count("grid_resolution", grid_resolution, smallest=2)
        points, names = checked_points(est, X)
        xx0, xx1 = grid_around(points, grid_resolution, margin)
        rows = np.column_stack([xx0.ravel(), xx1.ravel()])
        rows = rows if names is None else type(X)(dict(zip(names, rows.T, strict=True)))
        if layer is None:
            parts = responses_of_predictions(est, rows, xx0.shape)
        else:
            parts = responses_of_layer(est, rows, xx0.shape, layer_number(layer, len(est.coefs_)), units, max_units)
        if y is not None:
            parts["points"], parts["targets"] = points, targets_of_panels(est, y, len(points), parts)
        display = cls(xx0=xx0, xx1=xx1, feature_names=names, **parts)
        return display.plot(ax=ax, colorbar=colorbar, **kwargs)

    def plot(self, ax: Any = None, *, colorbar: bool = True, **kwargs: Any) -> Self:
        """Draw the images, the boundaries and the points.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several panels; an array has one axes for each panel. If
            None, a new figure is created.
        colorbar : bool, default=True
            Whether to draw a color bar or, for more than two classes, a legend.
        **kwargs : dict
            Keyword arguments passed to ``Axes.imshow``.

        Returns
        -------
        self : DecisionSurfaceDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` has another number of axes than there are panels.
        """
        n = len(self.response)
        shape = grid_shape(n)
        size = (6.4, 4.8) if n == 1 else (1.2 + 2.5 * shape[1], 0.6 + 2.3 * shape[0])
        drawn = panels(self, ax, shape, n, size, sharex=True, sharey=True)
        self.axes_, self.figure_, self.bounding_ax_ = drawn
        self.ax_ = self.axes_[0]
        self.images_: list[Any] = []
        self.points_: list[Any] = []
        self.boundaries_: list[Any] = []
        for number, panel in enumerate(self.axes_):
            if self.kind == "classes":
                self._draw_classes(panel, number, kwargs)
            else:
                self._draw_values(panel, number, self._image_options() | self._color_options(number, kwargs))
            self._draw_points(panel, number)
            if self.titles is not None and self.titles[number]:
                panel.set_title(self.titles[number], fontsize=None if n == 1 else "medium" if n < 5 else "small")
        names = ["Feature 0", "Feature 1"] if self.feature_names is None else [str(name) for name in self.feature_names]
        label_outer_axes(self.axes_, shape, *names)
        self.colorbars_ = self._add_keys() if colorbar else []
        return self

    def _color_options(self, number, given):
        """Return the options for the color scale of a panel; the units of a layer have the same scale."""
        values = np.ma.masked_invalid(self.response[number] if self.kind == "prediction" else np.stack(self.response))
        low, high = self.limits or (float(values.min()), float(values.max()))
        if self.kind == "probability":
            return color_options(low, high, _paler_map(DIVERGING), given)
        if self.kind == "prediction" or low >= 0:
            return color_options(low, high if high > low else low + 1, SEQUENTIAL, given)
        limit = largest_magnitude(values, low, high)
        return color_options(-limit, limit, DIVERGING, given)

    def _image_options(self):
        """Return the options of images whose pixels are centered on the points of the grid."""
        (x0, x1), (y0, y1) = self.xx0[0, [0, -1]], self.xx1[[0, -1], 0]
        half_x, half_y = (x1 - x0) / (self.xx0.shape[1] - 1) / 2, (y1 - y0) / (self.xx1.shape[0] - 1) / 2
        extent = (x0 - half_x, x1 + half_x, y0 - half_y, y1 + half_y)
        return {"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "bilinear", "zorder": 0}

    def _draw_values(self, panel, number, options):
        values = self.response[number]
        self.images_.append(panel.imshow(values, **options))
        level = None if self.levels is None else self.levels[number]
        if level is not None and values.min() < level < values.max():
            style = {"levels": [level], "colors": _BOUNDARY, "linewidths": 1.2}
            self.boundaries_.append(panel.contour(self.xx0, self.xx1, values, **style))

    def _draw_classes(self, panel, number, kwargs):
        from matplotlib.colors import to_rgb

        P = self.response[number]
        n_classes = P.shape[2]
        colors = np.array([to_rgb(color) for color in distinct_colors(n_classes)])
        best = P.max(axis=2)
        opacity = np.clip(_LARGEST_OPACITY * (n_classes * best - 1) / (n_classes - 1), 0, 1)[..., None]
        image = 1 - opacity * (1 - colors[P.argmax(axis=2)])
        self.images_.append(panel.imshow(image, **self._image_options() | kwargs))
        for k in range(n_classes):
            lead = P[..., k] - np.delete(P, k, axis=2).max(axis=2)
            if lead.min() < 0 < lead.max():
                style = {"levels": [0], "colors": _BOUNDARY, "linewidths": 0.9}
                self.boundaries_.append(panel.contour(self.xx0, self.xx1, lead, **style))

    def _draw_points(self, panel, number):
        if self.points is None:
            return
        targets = None if self.targets is None else self.targets[number]
        n_panels = len(self.response)
        style = {"s": 26 if n_panels == 1 else 9, "edgecolors": "black", "linewidths": 0.5 if n_panels == 1 else 0.3, "zorder": 3}
        self.points_.append(panel.scatter(*self.points.T, **style | self._point_colors(targets, number)))

    def _point_colors(self, targets, number):
        """Return the options of ``scatter`` for the colors of the points."""
        if targets is None:
            return {"c": "0.85"}
        if self.kind == "prediction":
            image = self.images_[number]
            return {"c": targets, "cmap": image.get_cmap(), "norm": image.norm}
        if self.kind == "probability":
            return {"c": targets, "cmap": DIVERGING, "vmin": -_PALE / 2, "vmax": 1 + _PALE / 2, "edgecolors": "white"}
        if np.asarray(targets).dtype.kind == "f":
            return {"c": targets, "cmap": "gray"}
        colors = distinct_colors(int(max(targets)) + 1 if self.kind == "activation" else self.response[number].shape[2])
        return {"c": [colors[target] for target in targets]}

    def _add_keys(self):
        """Add the color bars, or legends of classes."""
        if self.kind == "prediction":
            pairs = zip(self.images_, self.axes_, strict=True)
            return [self.figure_.colorbar(image, ax=panel, label=self.label) for image, panel in pairs]
        if self.kind != "classes":
            return [self.figure_.colorbar(self.images_[0], ax=list(self.axes_), label=self.label)]
        from matplotlib.patches import Patch

        names = self.class_names or [[str(k) for k in range(P.shape[2])] for P in self.response]
        for panel, classes in zip(self.axes_, names, strict=True):
            handles = [
                Patch(facecolor=color, label=name) for color, name in zip(distinct_colors(len(classes)), classes, strict=True)
            ]
            if len(self.axes_) == 1 and self.figure_.get_layout_engine() is not None:
                panel.legend(handles=handles, title="Class", loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
            else:
                panel.legend(handles=handles, fontsize="x-small", loc="upper right")
        return []


def _paler_map(name):
    """Return a color map without its darkest colors, on which points in these colors are visible."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[name](np.linspace(_PALE, 1 - _PALE, 256)), name)
