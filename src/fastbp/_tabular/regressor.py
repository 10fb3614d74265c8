"""Regression of tables: the validation of targets, and predictions of means, standard deviations and quantiles.

A table and real targets go in; predictions come out. The subclasses of ``TableRegressor`` have the parameters. This module does not
know how tables are encoded and networks are trained.
"""

from numbers import Real
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions
from .._data.scores import negative_pinball, r2
from .._network.losses import check_quantiles
from .base import OF_TABLES, BaseTableEstimator

OF_TABLE_REGRESSORS = {
    **OF_TABLES,
    "loss": [StrOptions({"squared_error", "quantile"})],
    "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
}
_LARGEST_SQUARES = 1e300  # the largest float64 is 1.8e308


class TableRegressor(RegressorMixin, BaseTableEstimator):
    """The part of all regressors for tables that does not depend on the network."""

    loss: str
    quantile: float | ArrayLike
    oob_prediction_: np.ndarray

    _is_regression = True

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict targets.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.
        return_std : bool, default=False
            Whether to return the standard deviation between the networks, too; with TabM, the one between all submodels of the
            networks. It is large where they disagree, and does not contain the noise of y.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The mean predictions of the networks. For several quantiles, there is one more axis of length n_quantiles.
        y_std : ndarray of the same shape
            The standard deviations of the predictions. Only if `return_std` is True.

        Raises
        ------
        ValueError
            If the columns of X are not those of ``fit``, or if `return_std` is True and there is only one network.
        """
        mean, deviation = self._mean_and_deviation(X, return_std)
        return (self._shaped(mean), self._shaped(deviation)) if return_std else self._shaped(mean)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            R² or, with the loss 'quantile', the negative mean pinball loss.
        """
        check_is_fitted(self)
        if not self._shape.quantiles:
            return super().score(X, y, sample_weight)
        values = _checked_values(y).reshape(len(np.asarray(y)), -1)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return self._score_of(self._shape.repeated(values), self._mean_and_deviation(X)[0], weights)

    # ------------------------------------------------------------------ implementation of the base class

    def _encode_targets(self, y):
        values = _checked_values(y)
        _check_variance(values)
        if self.loss == "quantile":
            check_quantiles(self.quantile)
        quantiles = tuple(np.atleast_1d(self.quantile).tolist()) if self.loss == "quantile" else ()
        self._shape = PredictionShape(None if values.ndim == 1 else values.shape[1], quantiles)
        return self._shape.repeated(values.reshape(len(values), -1))

    def _encode_validation_targets(self, y):
        values, n_targets = _checked_values(y), self._shape.n_targets
        if (None if values.ndim == 1 else values.shape[1]) != n_targets:
            expected = "(n_val,)" if n_targets is None else f"(n_val, {n_targets})"
            raise ValueError(f"y_val must have the shape {expected}, like y, but has {values.shape}.")
        return self._shape.repeated(values.reshape(len(values), -1))

    def _network_options(self):
        return {}, {"loss": self.loss, "quantile": self.quantile}

    def _set_estimates(self, data, out_of_bag, validation, kept):
        if out_of_bag is not None:
            is_known = ~np.isnan(out_of_bag[:, 0])
            weights = None if data.weights is None else data.weights[is_known]
            self.oob_score_ = self._score_of(data.y[is_known], out_of_bag[is_known], weights)
            self.oob_prediction_ = self._shaped(kept(out_of_bag))

    def _score_of(self, y, outputs, weights):
        quantiles = self._shape.quantiles
        if quantiles:
            return negative_pinball(y, outputs, np.tile(quantiles, y.shape[1] // len(quantiles)), weights)
        return r2(y, outputs, weights)

    def _shape_of_row(self):
        return self._shape.of_row()

    def _shaped(self, outputs):
        return self._shape.of_predictions(outputs)

    def __getstate__(self):
        state = super().__getstate__()
        return state | {"_shape": vars(state["_shape"])} if "_shape" in state else state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_shape" in state:
            self._shape = PredictionShape(**state["_shape"])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class PredictionShape:
    """The shape of predictions: the number of columns of y, or None if y has one dimension, and a tuple of quantiles."""

    def __init__(self, n_targets, quantiles):
        self.n_targets, self.quantiles = n_targets, quantiles

    def repeated(self, values):
        """Return targets (n_rows, n_targets) with a column for each quantile of each target."""
        return np.repeat(values, len(self.quantiles), axis=1) if len(self.quantiles) > 1 else values

    def of_row(self):
        """Return the shape of the prediction of one row, without axes of length 1, but with at least one axis."""
        return tuple(n for n in (self.n_targets or 1, len(self.quantiles)) if n > 1) or (1,)

    def of_predictions(self, outputs):
        """Return outputs (n_rows, n_outputs) in the shape of predictions."""
        n_quantiles = max(1, len(self.quantiles))
        targets = () if self.n_targets is None else (self.n_targets,)
        return outputs.reshape(len(outputs), *targets, *((n_quantiles,) if n_quantiles > 1 else ()))


def _check_variance(values):
    with np.errstate(over="ignore", invalid="ignore"):
        squares = ((values - values.mean(axis=0)) ** 2).sum()
    if not squares < _LARGEST_SQUARES:
        raise ValueError(
            "y must have squared deviations from its mean whose sum is less than "
            f"{_LARGEST_SQUARES:g}, because errors are squared; the largest absolute value of y is {np.abs(values).max():g}. "
            "Divide y by a constant."
        )


def _checked_values(y):
    dtype = np.asarray(y).dtype
    if dtype.kind in "mMSU":  # `check_array` would convert dates, and strings of digits
        raise TypeError(f"y must hold real numbers for regression, got an array of dtype {dtype}. Convert it to float first.")
    try:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    except ValueError as error:
        if dtype.kind == "O" and "could not convert" in str(error):
            raise TypeError(f"y must hold real numbers for regression: {error}. Convert it to float first.") from error
        raise
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    if y.ndim != 2 and y.ndim != 1:
        raise ValueError(f"y must have the shape (n_samples,) or (n_samples, n_outputs), got {y.shape}. Reshape y.")
    return y
