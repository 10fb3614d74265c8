"""RealMLP for regression: the validation of targets, and predictions of means, standard deviations and quantiles.

A table and real targets go in; predictions come out. This module does not know how tables are encoded and networks are trained.
"""

from collections.abc import Callable, Sequence
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
from .._parameters import documented
from .base import OF_TABLES, BaseRealMLP
from .documentation import TEXTS_OF_TABLES


@documented(
    TEXTS_OF_TABLES,
    sibling="MLPRegressor",
    first="""loss : {{'squared_error', 'quantile'}}, default='squared_error'
    The loss function: the squared error, or the pinball loss max(q d, (q - 1) d) for each `quantile` q, with d the target minus the
    prediction [4]_.
quantile : float or list of float, default=0.5
    The quantile of y that the loss 'quantile' estimates, or several quantiles in increasing order. Several quantiles never cross.
""",
    activation="mish",
    learning_rate_init="0.2 for 'td' and 0.07 for 'td-s'",
    own="""clip_predictions : bool, default=None
    Whether predictions are limited to the range of y in the training rows. None means True for 'td' and False for 'td-s'.
""",
    stratified="",
    last="",
    no_members="",
    scores="the negative root mean squared errors or, with the loss 'quantile', the negative mean pinball losses",
    score="R² or, with the loss 'quantile', the negative mean pinball loss",
    estimates="""oob_prediction_ : ndarray of the shape of the predictions
    The mean predictions of the members for which a row was a validation row, and NaN for rows that were never validation rows or
    have weight 0. Not defined if `X_val` is passed or there are no validation rows.""",
)
class RealMLPRegressor(RegressorMixin, BaseRealMLP):
    """RealMLP regressor for tables with numbers, categories, dates and missing values.

    A multilayer perceptron whose default parameters were chosen on many tables [1]_. It needs no preparation of the table.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    RealMLPClassifier : RealMLP for classification.
    MLPRegressor : Multi-layer Perceptron regressor.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import RealMLPRegressor
    >>> table = pd.DataFrame({"kind": ["a", "b"] * 40, "length": range(80)})
    >>> price = table["length"] + 100 * (table["kind"] == "b")
    >>> regressor = RealMLPRegressor("td-s", max_iter=30, random_state=0).fit(table, price)
    >>> regressor.score(table, price) > 0.9
    True
    """

    oob_prediction_: np.ndarray

    _is_regression = True
    _parameter_constraints = {
        **OF_TABLES,
        "loss": [StrOptions({"squared_error", "quantile"})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "clip_predictions": ["boolean", None],
    }

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
        loss: str = "squared_error",
        quantile: float | ArrayLike = 0.5,
        hidden_layer_sizes: int | ArrayLike | None = None,
        activation: str | None = None,
        parametric_activation: bool | None = None,
        learning_rate: str | None = None,
        learning_rate_init: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        weight_init: str | None = None,
        n_frequencies: int | None = None,
        max_one_hot_size: int | None = None,
        embedding_size: int | None = None,
        clip_predictions: bool | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        validation_fraction: float = 0.2,
        n_cv: int = 1,
        n_ensemble: int = 1,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    ) -> None:
        self.preset = preset
        self.categorical_features = categorical_features
        self.loss = loss
        self.quantile = quantile
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.parametric_activation = parametric_activation
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.weight_init = weight_init
        self.n_frequencies = n_frequencies
        self.max_one_hot_size = max_one_hot_size
        self.embedding_size = embedding_size
        self.clip_predictions = clip_predictions
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_cv = n_cv
        self.n_ensemble = n_ensemble
        self.random_state = random_state
        self.n_threads = n_threads
        self.max_time = max_time
        self.verbose = verbose
        self.warm_start = warm_start
        self.callbacks = callbacks

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
            Whether to return the standard deviation between the members, too. It is large where the members disagree, and does not
            contain the noise of y.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The mean predictions of the members. For several quantiles, there is one more axis of length n_quantiles.
        y_std : ndarray of the same shape
            The standard deviations of the predictions of the members. Only if `return_std` is True.

        Raises
        ------
        ValueError
            If the columns of X are not those of ``fit``, or if `return_std` is True and there is only one member.
        """
        mean, deviation = self._mean_and_deviation(X)
        if not return_std:
            return self._shaped(mean)
        if len(self.members_) < 2:
            raise ValueError(
                "return_std=True needs at least two members, because it is the standard deviation between members, but this "
                "estimator was fitted with one. Fit it with n_cv=5 or n_ensemble=5, for example."
            )
        return self._shaped(mean), self._shaped(deviation)

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


def _checked_values(y):
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    if y.ndim != 2 and y.ndim != 1:
        raise ValueError(f"y must have the shape (n_samples,) or (n_samples, n_outputs), got {y.shape}. Reshape y.")
    return y
