"""The public regressor: what its y means, and how outputs become values.

All that it shares with the classifier is in `base`. scikit-learn's parameters, defaults, attributes and behaviour are those of 1.9.
"""

from collections.abc import Callable
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from ._base import BaseMLP
from ._data.inputs import Matrix
from ._data.targets import (
    check_values,
    negative_pinball,
    r2,
)
from ._network.activations import Activation
from ._network.architecture import Objective
from ._network.losses import REGRESSION, Loss, canonical_loss_name, check_quantiles, check_targets, link_of_regressor
from ._parameters import CONSTRAINTS, documented, take


@documented(
    own="""huber_delta : float, default=1.0
    The error from which the loss 'huber' is straight, in units of y, or of the scaled y.
quantile : float or list of float, default=0.5
    The quantile of y that the loss 'quantile' asks for, or several, in rising order, which never cross: each output is the one
    before and a softplus more.
tweedie_power : float, default=1.5
    The power of the mean that the variance of a Tweedie distribution goes with, from 1 (Poisson) to 2 (gamma).
scale_y : {'standard', 'robust'}, default=None
    Whether to scale the targets inside the model, as `scale` does inputs. Below an output of 'exp' they are only divided by their
    mean, below one of 'relu' not centred; other outputs than these and 'identity' cannot be scaled. Losses are of the scaled
    targets; predictions are not scaled.""",
    out_activation="""'auto' is 'exp' for the deviances, else 'identity'; or 'identity', 'logistic', 'relu', 'softplus' or 'exp',
    where the loss can go with it.""",
    out_activation_="'identity', 'exp' for the deviances, or what was asked for.",
    held_out="at random",
    score="R²",
    Score="R²",
)
class MLPRegressor(RegressorMixin, BaseMLP):
    r"""Multilayer perceptron for regression.

    A network of fully connected layers, trained by backpropagation to minimise the squared error or the Poisson deviance, for one
    or several outputs. It is scikit-learn's ``MLPRegressor``, in compiled kernels.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        What is minimised, of a target y and an output a, with d = y - a: 'squared_error', d² / 2; 'absolute_error', \|d\|; 'huber',
        d² / 2 up to `huber_delta` and straight from there [17]_; 'quantile', max(q d, (q - 1) d) for each `quantile` q [18]_; half
        the deviance of 'poisson' (y >= 0), 'gamma' (y > 0) or 'tweedie' of the power `tweedie_power` [19]_; or a `fastbp.Loss` of
        your own. 'squared_error' is a mean over the outputs, as in scikit-learn, whose gradient is not; all others are sums.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The original.
    MLPClassifier : The same network for classification.

    Notes
    -----
    With equal parameters and `random_state`, float64 results are scikit-learn's: starting weights, batches, losses, stopping epoch.
    float32 data are trained in float32. The compiled kernels are kept on disk after their first use.

    References
    ----------
    {references}
    .. [17] Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964.
    .. [18] Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.
    .. [19] Jørgensen, "Exponential Dispersion Models", Journal of the Royal Statistical Society B 49, 1987.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastbp import MLPRegressor
    >>> X, y = make_regression(n_features=5, random_state=0)
    >>> regressor = MLPRegressor(solver="lbfgs", alpha=1.0, max_iter=3000, random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    _quantiles = ()  # that the last fit was asked for

    _parameter_constraints = {
        **CONSTRAINTS,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "tweedie_power": [Interval(Real, 1, 2, closed="both")],
        "scale_y": [StrOptions({"standard", "robust"}), None],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str | Activation | list = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        huber_delta: float = 1.0,
        quantile: float | ArrayLike = 0.5,
        tweedie_power: float = 1.5,
        scale_y: str | None = None,
        out_activation: str = "auto",
        rho: float = 0.9,
        weight_decay: float = 0.0,
        learning_rate_decay: float = 0.1,
        learning_rate_step: int | None = None,
        learning_rate_horizon: int | None = None,
        warmup_fraction: float | None = None,
        dropout: float | ArrayLike = 0.0,
        input_noise: float = 0.0,
        l1: float = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        batch_norm: bool = False,
        layer_norm: bool = False,
        ema_decay: float | None = None,
        weight_init: str | Callable = "auto",
        bias_init: str | Callable = "auto",
        coefs_init: list | None = None,
        intercepts_init: list | None = None,
        weight_norm: str = "batch",
        scale: str | None = None,
        missing: str = "error",
        dtype: str = "auto",
        scoring: str | Callable | None = None,
        validation_splitter: object = None,
        max_time: float | None = None,
        callbacks: Callable | list | None = None,
        n_threads: int | None = None,
    ):
        take(self, locals())

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X and y, going on from the present weights and the solver's state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        self : MLPRegressor
            The trained estimator.

        Raises
        ------
        ValueError
            For data that cannot be trained on. The estimator, fitted or not, is left as it was.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> np.ndarray:
        """The predicted values of each row; of several quantiles, a column each.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_outputs), or, of several quantiles, one axis more
            The predicted values.
        """
        outputs, n_quantiles = self._outputs(X), self._n_quantiles
        if 1 < n_quantiles < outputs.shape[1]:
            return outputs.reshape(len(outputs), -1, n_quantiles)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R² of the predictions; of several quantiles, the mean pinball loss with its sign turned, so that more is better.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            The score.
        """
        if self._n_quantiles == 1:
            return super().score(X, y, sample_weight)
        y = check_values(np.asarray(y))
        return self._score_outputs(np.repeat(y, self._n_quantiles, axis=1), self._outputs(X), sample_weight)

    def _validate_input(self, X, y, incremental, reset):
        self._quantiles = ()
        if self.loss == "quantile":
            check_quantiles(self.quantile)
            self._quantiles = tuple(np.atleast_1d(self.quantile).tolist())
        X, y = self._validated(X, y, reset, y_numeric=True)
        y = check_values(y)
        check_targets(self.loss, y, self.tweedie_power)
        return X, np.repeat(y, self._n_quantiles, axis=1)

    @property
    def _n_quantiles(self):
        return len(self._quantiles) or 1

    @property
    def _link(self):
        return "ordered_quantiles" if self._n_quantiles > 1 else self.out_activation_

    def _link_numbers(self):
        return self._quantiles

    def _output(self, y):
        return y.shape[1], link_of_regressor(self.loss, self.out_activation, self._n_quantiles)

    def _objective(self):
        return Objective(canonical_loss_name(self.loss, self.tweedie_power), delta=self.huber_delta, power=self.tweedie_power)

    def _learn_preparation(self, X, y, asked, out_activation):
        if self.scale_y is not None and self.loss == "quantile" and np.size(self.quantile) > 1:
            raise ValueError(
                f"scale_y={self.scale_y!r} cannot be folded into a network for several quantiles, whose outputs are sums of "
                "softplus: scale y outside, as with sklearn.compose.TransformedTargetRegressor, or train a network for each."
            )
        super()._learn_preparation(X, y, asked, out_activation)

    def _stratify(self, y):
        return None

    def _score_outputs(self, y, outputs, sample_weight):
        if self._n_quantiles > 1:
            return negative_pinball(y, outputs, np.tile(self._quantiles, y.shape[1] // self._n_quantiles), sample_weight)
        return r2(y, outputs, sample_weight)
