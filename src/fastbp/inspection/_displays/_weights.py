"""The display of the weights of a layer, as a heat map or as one image for each unit.

A matrix of weights goes in; an image comes out. This module does not know how the weights were trained.
"""

from math import ceil, sqrt
from typing import Any, Self

import numpy as np

from ._checks import check_network, layer_number, layer_phrase, unit_numbers
from ._figures import DIVERGING, color_options, largest_magnitude, panels, use_integers

_GAP_COLOR = "0.8"  # between the images of units
_MOST_TICK_LABELS = 30
_MOST_ELONGATED = 4.0  # a heat map with a larger ratio of its sides has no square cells


class WeightsDisplay:
    """The weights of a layer: a heat map of the matrix, or one image of the incoming weights for each unit.

    It is recommended to use `WeightsDisplay.from_estimator` to create the display. All parameters are stored as attributes.

    Parameters
    ----------
    weights : ndarray of shape (n_inputs, n_units)
        The weights of the layer.
    image_shape : tuple of int, default=None
        The (height, width) in pixels of the image of each unit; height times width is n_inputs. None for a heat map.
    units : array-like of int, default=None
        The numbers of the units to draw, counted from 0. None means all units.
    title : str, default=None
        The title. None for no title.
    input_names : list of str, default=None
        The names of the inputs.
    unit_names : list of str, default=None
        The names of all units of the layer.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map, or the images of all units in a grid. Its array is masked between the images of units.
    tiles_ : list of tuple of slice
        With `image_shape`, the rows and columns of the array of `image_` that contain the image of each unit.
    colorbar_ : matplotlib Colorbar or None
        The color bar.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    NetworkDisplay : Draws all layers as a diagram.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(20, max_iter=100, tol=0.01, random_state=0).fit(X / 16, y)
    >>> display = WeightsDisplay.from_estimator(model, image_shape=(8, 8))
    >>> rows, columns = display.tiles_[3]
    >>> bool((display.image_.get_array()[rows, columns] == model.coefs_[0][:, 3].reshape(8, 8)).all())
    True
    """

    def __init__(
        self,
        *,
        weights: np.ndarray,
        image_shape: tuple[int, int] | None = None,
        units: Any = None,
        title: str | None = None,
        input_names: list[str] | None = None,
        unit_names: list[str] | None = None,
    ) -> None:
        self.weights = weights
        self.image_shape: Any = image_shape
        self.units: Any = units
        self.title = title
        self.input_names = input_names
        self.unit_names: Any = unit_names

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        *,
        layer: int = 1,
        image_shape: tuple[int, int] | None = None,
        units: Any = None,
        max_units: int = 64,
        colorbar: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the weights of a layer of a fitted estimator.

        The weights are those in `coefs_`, which apply to the inputs that are passed to ``predict``. If `scale` is set, the scaling
        is folded into them, so that the weights of an input with a small standard deviation are large.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator.
        layer : int, default=1
            The layer whose incoming weights are drawn: 1 for ``coefs_[0]``, the weights of the first hidden layer. Negative numbers
            count from the output layer, which is -1.
        image_shape : tuple of int, default=None
            The (height, width) in pixels of an input image. The incoming weights of each unit are then drawn as an image of this
            shape. If None, the matrix of weights is drawn as a heat map, with one column for each unit.
        units : int or array-like of int, default=None
            The numbers of the units to draw, counted from 0 as in the columns of ``coefs_[layer - 1]``. By default, a heat map has
            all units, and the images are those of the first `max_units` units.
        max_units : int, default=64
            The largest number of images, if `units` is None.
        colorbar : bool, default=True
            Whether to draw a color bar.
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.imshow``. By default, the color scale is symmetric about zero.

        Returns
        -------
        display : WeightsDisplay
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
            If `layer` or `units` are out of range, or if the number of pixels of `image_shape` is not the number of inputs of the
            layer.
        """
        check_network(est)
        n_layers = len(est.coefs_)
        layer = layer_number(layer, n_layers)
        weights, name = est.coefs_[layer - 1], layer_phrase(layer, n_layers)
        n_inputs, n_units = weights.shape
        if image_shape is not None:
            image_shape = _checked_shape(image_shape, n_inputs, layer)
        numbers = unit_numbers(units, n_units, max_units if image_shape is not None else n_units, name)
        shown = "" if len(numbers) == n_units else f", {_range_text(numbers)} of {n_units}"
        display = cls(
            weights=weights,
            image_shape=image_shape,
            units=numbers,
            title=f"Weights of {name}{shown}",
            input_names=_input_names(est, layer, n_inputs),
            unit_names=class_names(est) if layer == n_layers else None,
        )
        return display.plot(ax=ax, colorbar=colorbar, **kwargs)

    def plot(self, ax: Any = None, *, colorbar: bool = True, **kwargs: Any) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        colorbar : bool, default=True
            Whether to draw a color bar.
        **kwargs : dict
            Keyword arguments passed to ``Axes.imshow``. By default, the color scale is symmetric about zero.

        Returns
        -------
        self : WeightsDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        weights = np.asarray(self.weights)
        numbers = np.arange(weights.shape[1]) if self.units is None else np.asarray(self.units)
        if self.image_shape is not None:
            array, self.tiles_ = _grid_of_images(weights[:, numbers], self.image_shape)
        else:
            array, self.tiles_ = weights[:, numbers], []
        drawn = panels(self, ax, (1, 1), 1, _figure_size_of(array.shape), "compressed")
        self.ax_, self.figure_ = drawn.axes[0], drawn.figure
        limit = largest_magnitude(weights[:, numbers])
        options = color_options(-limit, limit, DIVERGING, kwargs)
        if self.image_shape is None:
            self._draw_heat_map(array, numbers, options)
        else:
            self._draw_images(array, numbers, options)
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="Weight") if colorbar else None
        if self.title is not None:
            self.ax_.set_title(self.title)
        return self

    def _draw_heat_map(self, weights, numbers, options):
        n_inputs, n_units = weights.shape
        self.image_ = self.ax_.imshow(weights, **{"aspect": "auto" if _is_elongated(weights.shape) else "equal"} | options)
        self.ax_.set(xlabel="Unit", ylabel="Input")
        names = None if self.unit_names is None else [self.unit_names[number] for number in numbers]
        if names is None and not np.array_equal(numbers, np.arange(n_units)):
            names = [str(number) for number in numbers]
        _name_ticks(self.ax_.xaxis, names, n_units)
        _name_ticks(self.ax_.yaxis, self.input_names, n_inputs)
        if names is not None and max(map(len, names)) > 3:
            self.ax_.tick_params(axis="x", labelrotation=90)

    def _draw_images(self, array, numbers, options):
        from matplotlib import colormaps

        options["cmap"] = colormaps.get_cmap(options["cmap"]).with_extremes(bad=_GAP_COLOR)
        self.image_ = self.ax_.imshow(array, **{"interpolation": "nearest"} | options)
        self.ax_.set(xticks=[], yticks=[])
        firsts = [at for at, (_, columns) in enumerate(self.tiles_) if columns.start == 0]
        if len(firsts) == 1:
            middles = [(columns.start + columns.stop - 1) / 2 for _, columns in self.tiles_]
            self.ax_.set_xticks(middles, [str(number) for number in numbers])
            self.ax_.set_xlabel("Unit")
        elif (np.diff(numbers) == 1).all():
            middles = [(self.tiles_[at][0].start + self.tiles_[at][0].stop - 1) / 2 for at in firsts]
            self.ax_.set_yticks(middles, [str(numbers[at]) for at in firsts])
            self.ax_.set_ylabel("First unit of the row")


def _is_elongated(shape):
    return max(shape) > _MOST_ELONGATED * min(shape)


def _figure_size_of(shape):
    """Return the size of a new figure, in inches, for an image of this shape with a color bar."""
    if _is_elongated(shape):
        return 6.4, 4.8
    side = 4.2 / max(shape)  # of a cell
    return side * shape[1] + 2.0, side * shape[0] + 0.9


def _checked_shape(image_shape, n_inputs, layer):
    """Return the height and the width of the images as integers."""
    shape = tuple(np.atleast_1d(np.asarray(image_shape)).tolist())
    if len(shape) != 2 or not all(isinstance(side, int) and side > 0 for side in shape) or shape[0] * shape[1] != n_inputs:
        source = "features" if layer == 1 else "inputs"
        raise ValueError(
            f"image_shape must be the (height, width) of an image with as many pixels as layer {layer} has {source}, {n_inputs}; "
            f"got {image_shape!r}{_pixels_text(shape)}. {_shape_hint(n_inputs)}"
        )
    return shape


def _pixels_text(shape):
    sides = [side for side in shape if isinstance(side, int)]
    return f", which has {np.prod(sides)} pixels" if len(sides) == len(shape) == 2 else ""


def _shape_hint(n_inputs):
    """Return a sentence that names an image shape that would match."""
    height = next(side for side in range(int(sqrt(n_inputs)), 0, -1) if n_inputs % side == 0)
    return f"For example, pass image_shape=({height}, {n_inputs // height}), or None for a heat map."


def _range_text(numbers):
    """Return the numbers of units as text."""
    if len(numbers) == 1:
        return f"unit {numbers[0]}"
    if np.array_equal(numbers, np.arange(numbers[0], numbers[0] + len(numbers))):
        return f"units {numbers[0]} to {numbers[-1]}"
    return f"{len(numbers)} units"


def _grid_of_images(weights, image_shape):
    """Return an array with the images of all units in a grid, masked between them, and the place of each image."""
    (height, width), n = image_shape, weights.shape[1]
    gap = max(1, round(0.06 * max(height, width)))
    n_rows, n_cols = _rows_and_columns(n, (height + gap) / (width + gap))
    array = np.ma.array(np.zeros((n_rows * (height + gap) - gap, n_cols * (width + gap) - gap), weights.dtype), mask=True)
    tiles = []
    for number in range(n):
        top, left = (number // n_cols) * (height + gap), (number % n_cols) * (width + gap)
        tiles.append((slice(top, top + height), slice(left, left + width)))
        array[tiles[-1]] = weights[:, number].reshape(height, width)
    return array, tiles


def _rows_and_columns(n, ratio):
    """Return the shape of a grid that is a bit wider than high and has few empty places; ratio is height / width of a tile."""
    ideal = sqrt(1.2 * n * ratio)
    candidates = range(max(1, ceil(0.85 * ideal)), min(n, ceil(1.3 * ideal)) + 1) or [n]
    n_cols = min(candidates, key=lambda cols: (ceil(n / cols) * cols - n, abs(cols - ideal)))
    return ceil(n / n_cols), n_cols


def _input_names(est, layer, n_inputs):
    """Return the names of the features, if the layer receives them."""
    names = getattr(est, "feature_names_in_", None)
    return list(map(str, names)) if layer == 1 and names is not None and len(names) == n_inputs else None


def class_names(est: Any) -> list[str] | None:
    """Return the names of the classes, if there is one output unit for each."""
    classes = getattr(est, "classes_", None)
    if classes is None or isinstance(classes, list) or len(classes) != len(est.intercepts_[-1]):
        return None
    return [str(label) for label in classes]


def _name_ticks(axis, names, n):
    """Write names at all ticks if there are not too many; otherwise, the ticks are integers."""
    if names is not None and n <= _MOST_TICK_LABELS:
        axis.set_ticks(range(n), names)
    else:
        use_integers(axis)
