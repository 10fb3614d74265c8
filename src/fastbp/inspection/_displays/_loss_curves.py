"""The display of losses, scores and learning rates after each epoch, for one or several fits.

Fitted estimators or lists of numbers go in; curves come out. This module does not know how the numbers were computed.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..._tabular.base import BaseTableEstimator
from ._checks import check_network, numbers_in
from ._figures import add_legend, distinct_colors, panels, use_integers


class LossCurveDisplay:
    """Training loss, validation loss, score and learning rate after each epoch, for one or several fits.

    It is recommended to use `LossCurveDisplay.from_estimator` to create the display. All parameters are stored as attributes.

    Parameters
    ----------
    train_loss : list of array-like of shape (n_epochs,)
        The training losses of each fit, such as ``[est.loss_curve_]``. They include the penalties.
    val_loss : list of array-like of shape (n_epochs,), default=None
        The validation losses of each fit, without penalties; None for a fit without validation rows. NaN stands for an epoch
        without validation.
    val_score : list of array-like of shape (n_epochs,), default=None
        The validation scores of each fit, in the same form.
    learning_rate : list of array-like of shape (n_epochs,), default=None
        The learning rates of each fit at the end of each epoch, in the same form.
    best_epoch : list of int, default=None
        The epoch of each fit, counted from 1, whose weights the estimator kept; None for a fit without early stopping.
    names : list of str, default=None
        The names of the fits for the legend.
    loss_name : str, default=None
        The name of the loss for the label of the axis.

    Attributes
    ----------
    train_lines_ : list of matplotlib Line2D
        The training losses, one line for each fit.
    val_lines_ : list of matplotlib Line2D or None
        The validation losses; None for a fit without them.
    score_lines_ : list of matplotlib Line2D or None
        The validation scores, if they are drawn.
    rate_lines_ : list of matplotlib Line2D or None
        The learning rates, if they are drawn.
    best_points_ : list of matplotlib Line2D or None
        The markers of the epochs in `best_epoch`.
    ax_ : matplotlib Axes
        The axes with the losses.
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The axes of all panels: losses, scores and learning rates.
    bounding_ax_ : matplotlib Axes or None
        The axes that the panels divide, if one axes was passed for several panels.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    LossCurveDisplay.from_estimator : Create the display from fitted estimators.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(learning_rate_init=0.01, max_iter=500, random_state=0)
    >>> model = model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    >>> display = LossCurveDisplay.from_estimator(model, learning_rate=True)
    >>> display.train_lines_[0].get_ydata().tolist() == model.loss_curve_
    True
    >>> len(display.axes_)
    2
    """

    def __init__(
        self,
        *,
        train_loss: list[Any],
        val_loss: list[Any] | None = None,
        val_score: list[Any] | None = None,
        learning_rate: list[Any] | None = None,
        best_epoch: list[Any] | None = None,
        names: list[str] | None = None,
        loss_name: str | None = None,
    ) -> None:
        self.train_loss: Any = train_loss
        self.val_loss: Any = val_loss
        self.val_score: Any = val_score
        self.learning_rate: Any = learning_rate
        self.best_epoch: Any = best_epoch
        self.names = names
        self.loss_name = loss_name

    @classmethod
    def from_estimator(
        cls,
        est: Any,
        *,
        names: list[str] | None = None,
        score: bool = False,
        learning_rate: bool = False,
        log_scale: bool = False,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves of one or several fitted estimators.

        Parameters
        ----------
        est : estimator of fastbp, list of them, or dict of str to them
            The fitted estimators. The keys of a dict are the names in the legend. Of an estimator for tables, such as
            `RealMLPClassifier`, the curves of all members are drawn.
        names : list of str, default=None
            The names in the legend. By default, several estimators are numbered from 1.
        score : bool, default=False
            Whether to draw the validation scores in a second panel.
        learning_rate : bool, default=False
            Whether to draw the learning rate in another panel.
        log_scale : bool, default=False
            Whether the axis of the losses is logarithmic.
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several panels; an array has one axes for each panel. If
            None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot`` for all curves.

        Returns
        -------
        display : LossCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an estimator is not an estimator of fastbp.
        NotFittedError
            If an estimator is not fitted.
        ValueError
            If an estimator has no losses, as after ``solver="lbfgs"``, if `names` has another length, or if scores are requested
            and no estimator has validation rows.
        """
        names, models = _named_models(est, names)
        names, models = _with_members(names, models)
        histories = [_history(model) for model in models]
        display = cls(
            train_loss=[model.loss_curve_ for model in models],
            val_loss=[history.get("val_loss") for history in histories],
            val_score=[history.get("val_score") for history in histories],
            learning_rate=[history.get("learning_rate") for history in histories],
            best_epoch=[_best_epoch(model) for model in models],
            names=names,
            loss_name=_common_loss(models),
        )
        return display.plot(ax=ax, score=score, learning_rate=learning_rate, log_scale=log_scale, **kwargs)

    def plot(
        self, ax: Any = None, *, score: bool = False, learning_rate: bool = False, log_scale: bool = False, **kwargs: Any
    ) -> Self:
        """Draw the curves.

        Training losses are solid lines, and validation losses are dashed lines of the same color. If several fits are drawn, each
        has its own color. The markers show the epochs in `best_epoch`.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            The axes in which to draw. One axes is divided if there are several panels; an array has one axes for each panel. If
            None, a new figure is created.
        score : bool, default=False
            Whether to draw the validation scores in a second panel.
        learning_rate : bool, default=False
            Whether to draw the learning rate in another panel.
        log_scale : bool, default=False
            Whether the axis of the losses is logarithmic.
        **kwargs : dict
            Keyword arguments passed to ``Axes.plot`` for all curves.

        Returns
        -------
        self : LossCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` has another number of axes than there are panels, or if curves are requested for which there are no numbers.
        """
        self._check_values()
        _check_present("score", score, self.val_score, "Pass X_val and y_val to fit, or set early_stopping=True.")
        _check_present("learning_rate", learning_rate, self.learning_rate, "The learning rates are in history_ after a fit.")
        n_panels = 1 + score + learning_rate
        drawn = panels(self, ax, (n_panels, 1), n_panels, (6.4, 3.0 + 1.8 * n_panels), sharex=True)
        self.axes_, self.figure_, self.bounding_ax_ = drawn
        self.ax_, colors = self.axes_[0], distinct_colors(len(self.train_loss))
        self.train_lines_ = _curves(self.ax_, self.train_loss, colors, "-", kwargs)
        self.val_lines_ = _curves(self.ax_, self._listed(self.val_loss), colors, "--", kwargs)
        self.best_points_ = self._mark_best(colors)
        self.ax_.set_ylabel("Loss" if self.loss_name is None else f"Loss ({self.loss_name})")
        if log_scale:
            self.ax_.set_yscale("log")
        others = iter(self.axes_[1:])
        self.score_lines_ = self._panel(next(others), self.val_score, colors, "Validation score", "--", kwargs) if score else None
        self.rate_lines_ = (
            self._panel(next(others), self.learning_rate, colors, "Learning rate", "-", kwargs) if learning_rate else None
        )
        if learning_rate:
            self.axes_[-1].set_ylim(bottom=0)
        self._label(colors)
        return self

    def _check_values(self):
        """Raise a ValueError unless each parameter has one array of numbers for each fit."""
        _check_curves("train_loss", self.train_loss, len(self.train_loss))
        for name in ("val_loss", "val_score", "learning_rate"):
            if getattr(self, name) is not None:
                _check_curves(name, getattr(self, name), len(self.train_loss), may_be_none=True)

    def _listed(self, values):
        return [None] * len(self.train_loss) if values is None else values

    def _panel(self, ax, values, colors, label, style, kwargs):
        """Draw the curves of a panel below the losses, and return them."""
        ax.set_ylabel(label)
        return _curves(ax, self._listed(values), colors, style, kwargs)

    def _mark_best(self, colors):
        """Draw the markers of the best epochs on the validation losses, and return them."""
        points: list[Any] = []
        for epoch, losses, color in zip(self._listed(self.best_epoch), self._listed(self.val_loss), colors, strict=True):
            if epoch is None or losses is None:
                points.append(None)
            else:
                style = {"marker": "o", "color": color, "markeredgecolor": "black", "linestyle": "none", "zorder": 3}
                points += self.ax_.plot([epoch], [losses[epoch - 1]], **style)
        return points

    def _label(self, colors):
        """Write the legend and the label of the epochs."""
        from matplotlib.lines import Line2D

        has_val = any(line is not None for line in self.val_lines_)
        has_best = any(point is not None for point in self.best_points_)
        if len(self.train_loss) > 1:
            names = self.names or default_names(len(self.train_loss))
            entries = [(Line2D([], [], color=color), name) for color, name in zip(colors, names, strict=True)]
            common = "0.3"
        else:
            entries, common = [], self.train_lines_[0].get_color()
        if has_val or not entries:
            entries.append((Line2D([], [], color=common), "training"))
        if has_val:
            entries.append((Line2D([], [], color=common, linestyle="--"), "validation"))
        if has_best:
            marker = Line2D([], [], color=common, marker="o", markeredgecolor="black", linestyle="none")
            entries.append((marker, "weights that were kept"))
        if len(entries) > 1:
            add_legend(self.ax_, entries)
        self.axes_[-1].set_xlabel("Epoch")
        use_integers(self.axes_[-1].xaxis)


def default_names(n):
    """Return the names of several models that have none."""
    return [f"model {number}" for number in range(1, n + 1)]


def _named_models(est, names):
    """Return the names, or None, and the list of estimators."""
    if isinstance(est, Mapping):
        names, models = [str(name) for name in est] if names is None else names, list(est.values())
    else:
        models = list(est) if isinstance(est, (list, tuple)) else [est]
    if not models:
        raise ValueError(f"est must contain at least one fitted estimator, got {est!r}.")
    for number, model in enumerate(models):
        _check_has_losses(
            model, "est" if len(models) == 1 else f"est[{list(est)[number]!r}]" if isinstance(est, Mapping) else f"est[{number}]"
        )
    if isinstance(names, str):
        names = [names]
    if names is not None and len(names) != len(models):
        raise ValueError(f"names must have one name for each of the {len(models)} estimators, got {names!r}.")
    return names, models


class _MemberFit:
    """A member of an estimator for tables with the attributes of an estimator that has losses."""

    def __init__(self, est, member):
        self.loss_curve_, self.history_ = member.loss_curve_, member.history_
        self.validation_scores_ = member.validation_scores_
        self.best_epoch = None if member.validation_scores_ is None else member.best_epoch_ or None
        self.loss = getattr(est, "loss", "log_loss")


def _with_members(names, models):
    """Return the names and the estimators, where estimators for tables are replaced by their members."""
    if not any(isinstance(model, BaseTableEstimator) for model in models):
        return names, models
    all_names, fits = [], []
    for name, model in zip(names or default_names(len(models)), models, strict=True):
        parts = [_MemberFit(model, member) for member in model.members_] if isinstance(model, BaseTableEstimator) else [model]
        prefix = "" if names is None and len(models) == 1 else f"{name}, "
        all_names += [name] if len(parts) == 1 else [f"{prefix}member {number}" for number in range(1, len(parts) + 1)]
        fits += parts
    return all_names if names is not None or len(fits) > 1 else None, fits


def _check_has_losses(model, name):
    if isinstance(model, BaseTableEstimator):
        check_is_fitted(model)
        if not model.members_:
            raise ValueError(f"{name} must have at least one network, but none was needed, because y has a single class.")
        return
    check_network(model, name)
    if model.solver == "lbfgs" or not getattr(model, "loss_curve_", None):  # the curve is that of an earlier fit
        raise ValueError(
            f"{name} must have the losses of its epochs in loss_curve_, got an estimator with solver={model.solver!r} without it. "
            "L-BFGS stores no losses. Use another solver, or record the losses with callbacks=DiagnosticsMonitor() and pass them "
            "to the constructor: LossCurveDisplay(train_loss=[[record.loss for record in monitor.records]]).plot()."
        )


def _history(model):
    """Return the lists of an estimator by name; older fits may have losses only."""
    return getattr(model, "history_", None) or {}


def _best_epoch(model):
    """Return the epoch with the best validation score, whose weights are kept with early stopping, or None."""
    if isinstance(model, _MemberFit):
        return model.best_epoch
    scores = getattr(model, "validation_scores_", None)
    if not model.early_stopping or not scores or np.isnan(scores).all():
        return None
    return int(np.nanargmax(scores)) + 1


def _common_loss(models):
    """Return the name of the loss of all models, or None if they differ."""
    losses = {model.loss if isinstance(model.loss, str) else repr(model.loss) for model in models}
    return losses.pop() if len(losses) == 1 else None


def _check_present(name, requested, values, remedy):
    """Raise a ValueError if curves are requested for which there are no numbers."""
    if requested and (values is None or all(one is None for one in values)):
        raise ValueError(f"{name} must be False, because no fit has these numbers; got {requested!r}. {remedy}")


def _check_curves(name, curves, n_fits, may_be_none=False):
    """Raise a ValueError unless there is one array-like of numbers for each fit."""
    if len(curves) != n_fits:
        raise ValueError(f"{name} must have one list for each of the {n_fits} fits in train_loss, got {len(curves)}.")
    for number, values in enumerate(curves):
        if not (may_be_none and values is None) and numbers_in(f"{name}[{number}]", values).ndim != 1:
            raise ValueError(
                f"{name} must contain one list of numbers for each fit, got {values!r} for fit {number}. For one fit, pass a list "
                "with one list, such as train_loss=[est.loss_curve_]."
            )


def _curves(ax, all_values, colors, style, kwargs):
    """Draw one line for each fit that has values, and return the lines."""
    lines: list[Any] = []
    for values, color in zip(all_values, colors, strict=True):
        if values is None:
            lines.append(None)
            continue
        options = {"color": color, "linestyle": style, "marker": "." if np.isfinite(values).sum() == 1 else None} | kwargs
        lines += ax.plot(np.arange(1, len(values) + 1), values, **options)
    return lines
