"""The display of the norms of gradients in all layers, for one state of a network or after each epoch.

Statistics of layers go in; curves come out. This module does not know how the gradients were computed.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from .._diagnosis.diagnose import diagnose
from ._checks import check_choice, check_network
from ._figures import add_legend, ordered_colors, panels, use_integers
from ._records import curves_of_layers, curves_of_monitor

_LABELS = {
    "coef_grad_norm": "Norm of the gradient of the weights",
    "intercept_grad_norm": "Norm of the gradient of the biases",
    "update_ratio": "Norm of the next update / norm of the weights",
}
QUANTITIES = tuple(_LABELS)


class GradientFlowDisplay:
    """The norms of the gradients in all layers, which show vanishing and exploding gradients.

    For one state of a network, the norm is drawn over the layers. With the records of a `DiagnosticsMonitor`, it is drawn over the
    epochs, with one curve for each layer. The axis is logarithmic, so that a gradient that shrinks by the same factor in each layer
    is a straight line.

    It is recommended to use `GradientFlowDisplay.from_estimator` or `GradientFlowDisplay.from_monitor` to create the display. All
    parameters are stored as attributes.

    Parameters
    ----------
    coef_grad_norm : ndarray of shape (n_records, n_layers)
        The Frobenius norms of the gradients of the objective with respect to the weights.
    intercept_grad_norm : ndarray of shape (n_records, n_layers)
        The norms of the gradients with respect to the biases. Nielsen compares them between layers [1]_.
    update_ratio : ndarray of shape (n_records, n_layers)
        The norms of the next update of the weights, divided by the norms of the weights.
    layer_names : list of str
        The names of the layers.
    epochs : array-like of shape (n_records,), default=None
        The epochs of the records. None for a single record that is drawn over the layers.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One line for each layer, or one line over the layers.
    zeros_ : matplotlib Line2D or None
        Markers at the lower end of the axis for values that are exactly 0, as in layers whose units are all dead.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    diagnose : Computes the norms, and says whether gradients vanish or explode.
    DiagnosticsMonitor : Records the norms during a fit.

    References
    ----------
    .. [1] Nielsen, "Neural Networks and Deep Learning", chapter 5, 2015.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import GradientFlowDisplay, trace
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8, 8, 8), "logistic", tol=1e9, n_iter_no_change=1, random_state=0).fit(X, y)
    >>> display = GradientFlowDisplay.from_estimator(model, X, y)
    >>> norms = display.lines_[0].get_ydata()
    >>> bool(norms[0] < 0.1 * norms[-1])  # the gradient vanishes
    True
    """

    def __init__(
        self,
        *,
        coef_grad_norm: np.ndarray,
        intercept_grad_norm: np.ndarray,
        update_ratio: np.ndarray,
        layer_names: list[str],
        epochs: ArrayLike | None = None,
    ) -> None:
        self.coef_grad_norm = coef_grad_norm
        self.intercept_grad_norm = intercept_grad_norm
        self.update_ratio = update_ratio
        self.layer_names = layer_names
        self.epochs: Any = epochs

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        quantity: str = "coef_grad_norm",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the norms of the gradients of a fitted estimator on the given rows.

        Parameters
        ----------
        est : MLPClassifier or MLPRegressor
            The fitted estimator.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        quantity : {'coef_grad_norm', 'intercept_grad_norm', 'update_ratio'}, default='coef_grad_norm'
            The statistic to draw.
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot``.

        Returns
        -------
        display : GradientFlowDisplay
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
            If the data do not fit the network, or if `quantity` is not one of these or was not computed: after ``solver="lbfgs"``,
            the next update is not known.
        """
        check_network(est)
        check_choice("quantity", quantity, QUANTITIES)
        curves = curves_of_layers([diagnose(est, X, y, sample_weight).layers], QUANTITIES)
        return cls(layer_names=curves.layer_names, **curves.values).plot(ax=ax, quantity=quantity, **kwargs)

    @classmethod
    def from_monitor(cls, monitor: Any, *, quantity: str = "coef_grad_norm", ax: Any = None, **kwargs: Any) -> Self:
        """Draw the norms of the gradients after each epoch that a monitor recorded.

        Parameters
        ----------
        monitor : DiagnosticsMonitor
            A monitor that was passed to an estimator as `callbacks` before the fit.
        quantity : {'coef_grad_norm', 'intercept_grad_norm', 'update_ratio'}, default='coef_grad_norm'
            The statistic to draw.
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot``.

        Returns
        -------
        display : GradientFlowDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `monitor` has no records.
        ValueError
            If the list of records is empty, or if `quantity` is not one of these or was not computed.
        """
        check_choice("quantity", quantity, QUANTITIES)
        curves = curves_of_monitor(monitor, QUANTITIES)
        display = cls(layer_names=curves.layer_names, epochs=curves.epochs, **curves.values)
        return display.plot(ax=ax, quantity=quantity, **kwargs)

    def plot(self, ax: Any = None, *, quantity: str = "coef_grad_norm", **kwargs: Any) -> Self:
        """Draw one of the statistics.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes in which to draw. If None, a new figure is created.
        quantity : {'coef_grad_norm', 'intercept_grad_norm', 'update_ratio'}, default='coef_grad_norm'
            The statistic to draw.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot``.

        Returns
        -------
        self : GradientFlowDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `quantity` is not one of these or was not computed.
        """
        check_choice("quantity", quantity, QUANTITIES)
        values = np.atleast_2d(np.asarray(getattr(self, quantity), float))
        _check_known(quantity, values)
        drawn = panels(self, ax, (1, 1), 1, (6.4, 4.8))
        self.ax_, self.figure_ = drawn.axes[0], drawn.figure
        self.ax_.set_ylabel(_LABELS[quantity])
        points = self._draw_over_layers(values[0], kwargs) if self.epochs is None else self._draw_over_epochs(values, kwargs)
        if (values > 0).any():
            self.ax_.set_yscale("log", nonpositive="mask")
        self.zeros_ = _mark_zeros(self.ax_, points)
        return self

    def _draw_over_layers(self, values, kwargs):
        """Draw a line over the layers; return the (x, y, color) of all points."""
        x = np.arange(1, len(values) + 1)
        self.lines_ = self.ax_.plot(x, values, **{"marker": "o"} | kwargs)
        texts = [name.replace(" layer", "").replace(" ", "\n") for name in self.layer_names]
        if len(values) > 6:
            texts = [str(number) for number in x]
            self.ax_.set_xlabel(f"Layer ({len(values)} is the output layer)")
        else:
            self.ax_.set_xlabel("Layer")
        self.ax_.set_xticks(x, texts)
        self.ax_.margins(x=0.1)
        return [(at, value, self.lines_[0].get_color()) for at, value in zip(x, values, strict=True)]

    def _draw_over_epochs(self, values, kwargs):
        """Draw one line for each layer; return the (x, y, color) of all points."""
        self.lines_, points = [], []
        colors = ordered_colors(values.shape[1])
        style = {"marker": "o" if len(values) == 1 else None}
        for layer, (name, color) in enumerate(zip(self.layer_names, colors, strict=True)):
            options = {"color": color, "label": name} | style | kwargs
            self.lines_ += self.ax_.plot(self.epochs, values[:, layer], **options)
            points += [(at, value, color) for at, value in zip(np.asarray(self.epochs), values[:, layer], strict=True)]
        self.ax_.set_xlabel("Epoch")
        use_integers(self.ax_.xaxis)
        add_legend(self.ax_, list(zip(self.lines_, self.layer_names, strict=True)))
        return points


def _check_known(quantity, values):
    """Raise a ValueError if a statistic is NaN everywhere."""
    if np.isnan(values).all():
        raise ValueError(
            f"quantity must be a statistic that was computed, got {quantity!r}, which is NaN in all layers. After solver='lbfgs', "
            "the next update is not known; draw 'coef_grad_norm' instead. If this is NaN, too, the fit diverged."
        )


def _mark_zeros(ax, points):
    """Draw triangles at the lower end of the axis for values that a logarithmic axis cannot show."""
    zeros = [(x, color) for x, value, color in points if value == 0]
    if not zeros or ax.get_yscale() != "log":
        return None
    transform, style = ax.get_xaxis_transform(), {"marker": "v", "linestyle": "none", "clip_on": False}
    (markers,) = ax.plot([x for x, _ in zeros], [0.02] * len(zeros), color=zeros[0][1], transform=transform, **style)
    ax.annotate("exactly 0", (zeros[0][0], 0.02), (0, 7), xycoords=transform, textcoords="offset points", ha="center")
    return markers
