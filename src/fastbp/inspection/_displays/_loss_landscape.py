"""The display of the loss surface around the weights of a network, with the path of descent.

A fitted estimator, rows and possibly the weights after each epoch go in; a contour plot comes out. The losses are those of the
kernels that train. This module does not know how they are computed.
"""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from ..._inspected_fit import inspected_fit
from .._evaluation import Evaluation
from ._checks import check_choice, check_count, check_network, numbers_in
from ._directions import filter_normalized, principal_directions, square_around
from ._figures import SEQUENTIAL, import_pyplot, panels
from ._recorder import WeightRecorder

_PLOT_METHODS = ("contourf", "contour", "pcolormesh")
_LOGARITHMIC = 20.0  # the color scale is logarithmic if the largest loss is at least this multiple of the smallest
_N_LEVELS = 24
_PATH_COLOR = "#e8000b"


class LossLandscapeDisplay:
    """The objective of a network around its weights θ*, in two directions, with the path of descent.

    The surface is C(θ* + a d₁ + b d₂) for the directions d₁ and d₂ and the objective C: the mean loss of the given rows, plus the
    penalties. Without a path, the directions are random, and they are normalized by filter [1]_: the part of a direction that
    belongs to the incoming weights of a unit has the norm of these weights, and biases do not change. With a path, the directions
    are the two orthonormal directions in which the path moves most.

    It is recommended to use `LossLandscapeDisplay.from_estimator` to create the display. All parameters are stored as attributes.

    Parameters
    ----------
    xx0 : ndarray of shape (grid_resolution, grid_resolution)
        The coordinates a in the first direction, as from ``numpy.meshgrid``.
    xx1 : ndarray of shape (grid_resolution, grid_resolution)
        The coordinates b in the second direction.
    loss : ndarray of shape (grid_resolution, grid_resolution)
        The objective at these points.
    center : ndarray of shape (n_params,), default=None
        The flat parameters θ*.
    directions : ndarray of shape (2, n_params), default=None
        The directions d₁ and d₂.
    path : ndarray of shape (n_records, 2), default=None
        The coordinates of the path: its projections (θ_i − θ*) · d.
    path_loss : ndarray of shape (n_records,), default=None
        The objective at the points θ_i themselves, which are usually not in the plane of the surface.
    path_epochs : array-like of int of shape (n_records,), default=None
        The epochs of the records.
    path_shares : ndarray of shape (2,), default=None
        The shares of the sum of the squared distances \\|θ_i − θ*\\|² in the two directions.

    Attributes
    ----------
    surface_ : matplotlib QuadContourSet or QuadMesh
        The surface.
    path_line_ : matplotlib Line2D or None
        The path.
    start_point_ : matplotlib Line2D or None
        The circle at the first record of the path.
    center_point_ : matplotlib Line2D
        The star at θ*.
    colorbar_ : matplotlib Colorbar or None
        The color bar.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    WeightRecorder : Records the path.

    References
    ----------
    .. [1] Li, Xu, Taylor, Studer and Goldstein, "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, sections 4 and 7.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import LossLandscapeDisplay, WeightRecorder, trace
    >>> X, y = load_iris(return_X_y=True)
    >>> recorder = WeightRecorder()
    >>> model = MLPClassifier(5, "tanh", max_iter=500, tol=0.001, random_state=0, callbacks=recorder).fit(X, y)
    >>> display = LossLandscapeDisplay.from_estimator(model, X, y, path=recorder, grid_resolution=10)
    >>> display.path.shape == (model.n_iter_, 2)
    True
    >>> bool(abs(display.path_loss[-1] - trace(model, X, y).loss) < 1e-12)
    True
    """

    def __init__(
        self,
        *,
        xx0: np.ndarray,
        xx1: np.ndarray,
        loss: np.ndarray,
        center: np.ndarray | None = None,
        directions: np.ndarray | None = None,
        path: np.ndarray | None = None,
        path_loss: np.ndarray | None = None,
        path_epochs: ArrayLike | None = None,
        path_shares: np.ndarray | None = None,
    ) -> None:
        self.xx0 = xx0
        self.xx1 = xx1
        self.loss = loss
        self.center = center
        self.directions = directions
        self.path: Any = path
        self.path_loss = path_loss
        self.path_epochs: Any = path_epochs
        self.path_shares: Any = path_shares

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        path: Any = None,
        grid_resolution: int = 31,
        extent: float | None = None,
        random_state: int | np.random.RandomState | None = 0,
        plot_method: str = "contourf",
        log_scale: bool | None = None,
        colorbar: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compute the loss surface of a fitted estimator on the given rows, and draw it.

        The network is the one that is trained, as in `trace`: the weights are those before scaling, batch normalization and
        averages are folded into `coefs_`, and batch normalization uses the mean and the variance of the given rows.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows. The loss of all rows is computed for each point of the grid, so a few hundred rows are enough for a large
            network.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        path : WeightRecorder or array-like of shape (n_records, n_params), default=None
            The path of descent: a recorder that was passed to the estimator as `callbacks` before the fit, or an array of flat
            parameters in the form of `WeightRecorder.params`. If None, the directions are random.
        grid_resolution : int, default=31
            The number of points in each direction.
        extent : float, default=None
            The distance from the center of the drawing to its sides, in units of the directions. By default, this is 1 for random
            directions; with a path, the drawing is a square around the path.
        random_state : int, RandomState instance or None, default=0
            The random numbers for the directions.
        plot_method : {'contourf', 'contour', 'pcolormesh'}, default='contourf'
            The method of matplotlib's Axes that draws the surface.
        log_scale : bool, default=None
            Whether the color scale is logarithmic. By default, it is if the largest loss is at least 20 times the smallest.
        colorbar : bool, default=True
            Whether to draw a color bar.
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to the `plot_method`.

        Returns
        -------
        display : LossLandscapeDisplay
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
            If the data do not fit the network, if `path` has another number of parameters than the network, is empty or is the
            recorder of another fit, or if another parameter is invalid.
        """
        check_network(est)
        check_count("grid_resolution", grid_resolution, smallest=2)
        check_choice("plot_method", plot_method, _PLOT_METHODS)
        _check_extent(extent)
        evaluation = Evaluation(inspected_fit(est, X, y, sample_weight))
        center = evaluation.params.astype(np.float64)
        data: dict[str, Any] = {"center": center}
        if path is None:
            data["directions"] = filter_normalized(evaluation.layout, center, random_state)
            middle, half = np.zeros(2), 1.0
        else:
            params, data["path_epochs"] = _checked_path(path, est, center)
            data["directions"], data["path_shares"] = principal_directions(params, center, random_state)
            data["path"] = (params - center) @ data["directions"].T
            data["path_loss"] = np.array([_objective(evaluation, one) for one in params])
            middle, half = square_around(data["path"])
        half = half if extent is None else extent
        axes = [np.linspace(at - half, at + half, grid_resolution) for at in middle]
        xx0, xx1 = np.meshgrid(*axes)
        loss = _surface(evaluation, center, data["directions"], xx0, xx1)
        display = cls(xx0=xx0, xx1=xx1, loss=loss, **data)
        return display.plot(ax=ax, plot_method=plot_method, log_scale=log_scale, colorbar=colorbar, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        plot_method: str = "contourf",
        log_scale: bool | None = None,
        colorbar: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the surface and the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        plot_method : {'contourf', 'contour', 'pcolormesh'}, default='contourf'
            The method of matplotlib's Axes that draws the surface.
        log_scale : bool, default=None
            Whether the color scale is logarithmic. By default, it is if the largest loss is at least 20 times the smallest.
        colorbar : bool, default=True
            Whether to draw a color bar.
        **kwargs : dict
            Keyword arguments passed to the `plot_method`.

        Returns
        -------
        self : LossLandscapeDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `plot_method` is not one of these, or if the loss is not finite at any point.
        """
        check_choice("plot_method", plot_method, _PLOT_METHODS)
        loss = np.ma.masked_invalid(self.loss)
        if loss.count() == 0:
            raise ValueError(
                "loss must be finite at some points, got NaN or infinite losses at all points. Check that the fit did not diverge, "
                "or set a smaller extent."
            )
        import_pyplot(self)
        options = _surface_options(loss, plot_method, log_scale, kwargs)
        drawn = panels(self, ax, (1, 1), 1, (6.4, 4.8), "compressed")
        self.ax_, self.figure_ = drawn.axes[0], drawn.figure
        self.surface_ = getattr(self.ax_, plot_method)(self.xx0, self.xx1, loss, **options)
        self._draw_path()
        self.ax_.set(xlim=(self.xx0.min(), self.xx0.max()), ylim=(self.xx1.min(), self.xx1.max()), aspect="equal")
        self._label()
        self.colorbar_ = self._add_colorbar() if colorbar else None
        return self

    def _draw_path(self):
        star = {"marker": "*", "markersize": 13, "color": "white", "markeredgecolor": "black", "linestyle": "none", "zorder": 4}
        self.path_line_ = self.start_point_ = None
        if self.path is not None:
            epochs = np.asarray(self.path_epochs if self.path_epochs is not None else np.arange(1, len(self.path) + 1))
            style = {"color": _PATH_COLOR, "linewidth": 1.4, "marker": ".", "markersize": 4, "zorder": 3}
            label = f"path from epoch {epochs[0]} (circle) to {epochs[-1]}"
            (self.path_line_,) = self.ax_.plot(self.path[:, 0], self.path[:, 1], label=label, **style)
            start = {
                "marker": "o",
                "markersize": 7,
                "color": "white",
                "markeredgecolor": _PATH_COLOR,
                "linestyle": "none",
                "zorder": 3,
            }
            (self.start_point_,) = self.ax_.plot(*self.path[:1].T, **start)
        (self.center_point_,) = self.ax_.plot([0], [0], label="fitted weights", **star)
        self.ax_.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), borderaxespad=0.2, frameon=False, labelspacing=0.2)

    def _label(self):
        if self.path_shares is None:
            kind = "Random direction" if self.path is None else "Direction"
            self.ax_.set(xlabel=f"{kind} 1, relative to the weights", ylabel=f"{kind} 2, relative to the weights")
        else:
            names = [f"Direction {n} of the path ({100 * share:.0f} %)" for n, share in enumerate(self.path_shares, start=1)]
            self.ax_.set(xlabel=names[0], ylabel=names[1])

    def _add_colorbar(self):
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

        bar = self.figure_.colorbar(self.surface_, ax=self.ax_, label="Objective (mean loss + penalties)")
        if type(self.surface_.norm).__name__ == "LogNorm":
            bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            bar.ax.yaxis.set_minor_locator(NullLocator())
        else:
            bar.ax.yaxis.set_major_locator(MaxNLocator(7))
        return bar


def _check_extent(extent):
    if extent is not None and not (isinstance(extent, Real) and 0 < float(extent) < np.inf):
        raise ValueError(f"extent must be None or a finite number > 0, got {extent!r}.")


def _checked_path(path, est, center):
    """Return the parameters (n_records, n_params) in float64, and the epochs."""
    params, epochs = (path.params, path.epochs) if isinstance(path, WeightRecorder) else (path, None)
    params, n_params = numbers_in("path", params), center.size
    if not params.size:
        raise ValueError(
            f"path must have at least one record, got {path!r}. Pass the recorder to the estimator as callbacks=recorder, and call "
            "fit with at least as many epochs as its parameter `every`."
        )
    if params.ndim != 2 or params.shape[1] != n_params or not np.isfinite(params).all():
        raise ValueError(
            f"path must be a WeightRecorder or an array of finite numbers of shape (n_records, {n_params}), because the network "
            f"has {n_params} parameters; got shape {params.shape}. Pass the recorder of the last fit of this estimator."
        )
    if isinstance(path, WeightRecorder) and not _is_of_fit(path, est, center):
        raise ValueError(
            f"path must be the recorder of the fit of this estimator, got {path!r} of another fit. Pass the recorder that the "
            "estimator had as callbacks when it was fitted, or fit the estimator again with a new recorder."
        )
    return params, np.arange(1, len(params) + 1) if epochs is None else np.array(epochs)


def _is_of_fit(recorder, est, center):
    """Return whether the records are of the fit of an estimator: they have its losses or, for L-BFGS, the last one its weights."""
    if est.solver == "lbfgs":
        last = recorder.epochs[-1]
        return last < est.n_iter_ or (last == est.n_iter_ and np.array_equal(recorder.params[-1], center))
    curve = dict(enumerate(getattr(est, "loss_curve_", ()), start=1))
    pairs = [(loss, curve[epoch]) for epoch, loss in zip(recorder.epochs, recorder.losses, strict=True) if epoch in curve]
    return bool(pairs) and all(np.array_equal(recorded, loss, equal_nan=True) for recorded, loss in pairs)


def _objective(evaluation, params):
    """Return the mean loss plus the penalties at flat parameters in float64."""
    params = params.astype(evaluation.dtype)
    return evaluation.loss(params) + evaluation.penalty(params)


def _surface(evaluation, center, directions, xx0, xx1):
    """Return the objective at all points of a grid."""
    points = zip(xx0.ravel(), xx1.ravel(), strict=True)
    losses = [_objective(evaluation, center + a * directions[0] + b * directions[1]) for a, b in points]
    return np.array(losses).reshape(xx0.shape)


def _surface_options(loss, plot_method, log_scale, given):
    """Return the keyword arguments for the plot method, with levels and a color scale for the range of the losses."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = float(loss.min()), float(loss.max())
    if log_scale is None:
        log_scale = low > 0 and high >= _LOGARITHMIC * low
    if log_scale and low <= 0:
        raise ValueError(f"log_scale must be False or None if losses are <= 0, got {log_scale!r} and a smallest loss of {low:g}.")
    high = high if high > low else low + (abs(low) or 1.0)
    options: dict[str, Any] = {"cmap": SEQUENTIAL} if "colors" not in given else {}
    if "norm" not in given and not {"vmin", "vmax"} & set(given):
        options["norm"] = (LogNorm if log_scale else Normalize)(low, high)
    if plot_method == "pcolormesh":
        options |= {"shading": "nearest"}
    else:
        options["levels"] = (np.geomspace if log_scale else np.linspace)(low, high, _N_LEVELS + 1)
    return options | given
