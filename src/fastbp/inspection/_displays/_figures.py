"""Axes, colors and color scales of all displays.

The number of panels and the axes that the user passed go in; axes in which a display draws come out. matplotlib is imported inside
the functions, so that a display can be computed without it. This module does not know about networks.
"""

from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..._wrong_estimator import described

# Ten colors that people with color vision deficiencies can distinguish (Petroff 2021, arXiv:2107.02270)
PALETTE = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadb")
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"
_LAST_OF_SEQUENTIAL = 0.88  # lighter colors are hardly visible on white
_MOST_ENTRIES_INSIDE = 4  # a legend with more entries is placed to the right of the axes


class Panels(NamedTuple):
    """The axes of a display: an array (n_panels,), their figure, and the axes that they divide or None."""

    axes: np.ndarray
    figure: Any
    bounding_ax: Any


def import_pyplot(display: Any) -> Any:
    """Return ``matplotlib.pyplot``."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        message = f'{type(display).__name__}.plot needs matplotlib, which is not installed: pip install "fastbp[plot]".'
        raise ImportError(message) from error
    return plt


def grid_shape(n_panels: int, most_columns: int = 5) -> tuple[int, int]:
    """Return the numbers of rows and columns of a grid for n_panels that is about as wide as it is high."""
    n_cols = n_panels if n_panels <= 3 else min(most_columns, ceil(sqrt(n_panels)))
    return ceil(n_panels / n_cols), n_cols


def panels(
    display: Any,
    ax: Any,
    shape: tuple[int, int],
    n_panels: int,
    figsize: tuple[float, float],
    layout: str = "constrained",
    **share: Any,
) -> Panels:
    """Return axes for n_panels in a grid.

    ax is None for a new figure, axes that are divided if there are several panels, or one axes for each panel. The layout of a new
    figure is 'compressed' if the ratio of the sides of its axes is fixed.
    """
    plt = import_pyplot(display)
    if ax is None:
        figure, grid = plt.subplots(*shape, figsize=figsize, layout=layout, squeeze=False, **share)
        for unused in grid.ravel()[n_panels:]:
            unused.remove()
        return Panels(grid.ravel()[:n_panels], figure, None)
    if not hasattr(ax, "plot"):
        return _given_axes(ax, n_panels)
    if n_panels == 1:
        return Panels(_object_array([ax]), ax.figure, None)
    return _divided(ax, shape, n_panels, share)


def _given_axes(ax, n_panels):
    """Return the axes that the user passed as an array or a list."""
    axes = np.asarray(ax, object).ravel()
    if len(axes) != n_panels or not all(hasattr(one, "plot") for one in axes):
        several = f"None, one matplotlib Axes, or an array of {n_panels} Axes, one for each panel"
        rule = several if n_panels > 1 else "None or a matplotlib Axes"
        wrong = next((described(one) for one in axes if not hasattr(one, "plot")), f"{len(axes)} Axes")
        raise ValueError(f"ax must be {rule}; got {wrong}.")
    return Panels(axes, axes[0].figure, None)


def _divided(ax, shape, n_panels, share):
    """Return new axes in the place of the axes that the user passed, which are switched off."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    space: dict[str, Any] = {} if _has_layout(ax) else {"wspace": 0.3, "hspace": 0.45}
    place = ax.get_subplotspec()
    if place is None:
        box = ax.get_position()
        grid = ax.figure.add_gridspec(*shape, left=box.x0, right=box.x1, bottom=box.y0, top=box.y1, **space)
    else:
        grid = GridSpecFromSubplotSpec(shape[0], shape[1], place, **space)
    ax.set_axis_off()
    axes: list[Any] = []
    for number in range(n_panels):
        shared = {name: axes[0] for name in ("sharex", "sharey") if share.get(name) and axes}
        axes.append(ax.figure.add_subplot(grid[number], **shared))
    if share:
        _label_outer(axes, shape)
    return Panels(_object_array(axes), ax.figure, ax)


def _has_layout(ax):
    """Return whether matplotlib arranges the axes of the figure, so that legends and labels do not overlap other axes."""
    return ax.figure.get_layout_engine() is not None


def _label_outer(axes, shape):
    """Remove the tick labels inside a grid."""
    n_cols = shape[1]
    for number, ax in enumerate(axes):
        if number % n_cols:
            ax.tick_params(labelleft=False)
        if number + n_cols < len(axes):
            ax.tick_params(labelbottom=False)


def _object_array(axes):
    array = np.empty(len(axes), object)
    array[:] = axes
    return array


def label_outer_axes(axes: np.ndarray, shape: tuple[int, int], xlabel: str, ylabel: str) -> None:
    """Write the labels of the axes of a grid to its left column, and to the lowest panel of each column."""
    for number, ax in enumerate(axes):
        if number % shape[1] == 0:
            ax.set_ylabel(ylabel)
        if number + shape[1] >= len(axes):
            ax.set_xlabel(xlabel)
            ax.tick_params(labelbottom=True)


# ---------------------------------------------------------------------- colors


def distinct_colors(n: int) -> list[Any]:
    """Return n colors for models or classes, which have no order."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    from matplotlib import colormaps

    return [colormaps["turbo"](at) for at in np.linspace(0.05, 0.95, n)]


def ordered_colors(n: int) -> list[Any]:
    """Return n colors for layers, from dark to light."""
    from matplotlib import colormaps

    return [colormaps[SEQUENTIAL](at) for at in np.linspace(0, _LAST_OF_SEQUENTIAL, n)]


def color_options(low: float, high: float, cmap: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options for a color scale; options that the user gave have priority."""
    scale = {} if "norm" in given else {"vmin": low, "vmax": high}
    return {"cmap": cmap, **scale, **given}


def largest_magnitude(*arrays: Any) -> float:
    """Return the largest finite absolute value, or 1 if there is none or if it is 0."""
    sizes = [float(np.abs(array[np.isfinite(array)]).max(initial=0)) for array in map(np.asarray, arrays)]
    return max(sizes, default=0) or 1.0


# ---------------------------------------------------------------------- parts of axes


def add_legend(ax: Any, entries: list[tuple[Any, str]], loc: str = "upper right") -> None:
    """Add a legend of (artist, name); if it has many entries, it is to the right of the axes, otherwise it has small letters."""
    handles, names = zip(*entries, strict=True)
    if len(entries) <= _MOST_ENTRIES_INSIDE:
        ax.legend(handles, names, loc=loc)
    elif _has_layout(ax):
        ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    else:
        ax.legend(handles, names, loc=loc, fontsize="x-small", ncols=2, columnspacing=1)


def use_integers(axis: Any) -> None:
    """Use integers as ticks of an axis."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
