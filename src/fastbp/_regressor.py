"""The regressor: the validation of targets, and predictions of values and quantiles.

X and real targets go in; predicted values or quantiles come out. Parameters, defaults, attributes and behavior are those of
scikit-learn 1.9. The code that the regressor shares with the classifier is in ``fastbp._base``. This module does not know how a
network is trained.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from ._base import BaseMLP
from ._compat import Interval, StrOptions, fit_method
from ._data.inputs import Matrix
from ._data.scores import RunningR2, negative_pinball, r2, running_pinball
from ._data.streamed import is_large
from ._data.targets import check_values
from ._model import continues_run, on_snapshot
from ._network.activations import Activation
from ._network.architecture import Objective
from ._network.losses import REGRESSION, Loss, canonical_loss_name, check_quantiles, check_targets, link_of_regressor
from ._parameters import CONSTRAINTS, documented


@documented(
    own="""huber_delta : float, default=1.0
    The error above which the loss 'huber' is linear, in units of y, or of the scaled y with `scale_y`.
quantile : float or list of float, default=0.5
    The quantile of y that the loss 'quantile' estimates, or several quantiles in increasing order. Several quantiles never cross:
    each output is the previous one plus a softplus.
tweedie_power : float, default=1.5
    The power p of the Tweedie distribution, whose variance is proportional to mean ** p, from 1 (Poisson) to 2 (gamma).
scale_y : {'standard', 'robust'}, default=None
    The scaling of the targets inside the model, as `scale` for the inputs. If the output activation is 'relu', the targets are not
    centered. If it is 'exp', the targets are only divided by their mean. Apart from these and 'identity', no output activation is
    supported. The reported losses are those of the scaled targets; predictions are not scaled.
clip_predictions : bool, default=False
    Whether to limit predictions to `y_range_`, the range of the targets [22]_. It contains the targets of all rows of ``fit`` whose
    weight is not 0, and of all later calls that continue training. Scores are those of the limited predictions. The losses and
    ``transform`` use outputs that are not limited. Must not change from False to True while training continues.""",
    out_activation="""'auto' is 'exp' for the deviances and 'identity' for all other losses. The other values are 'identity',
    'logistic', 'relu', 'softplus' and 'exp'; not every loss supports all of them.""",
    out_activation_="""'identity', 'exp' for the deviances, or the value of `out_activation`.
    For several quantiles, it is 'ordered_quantiles': with the weighted sums z of the output layer, the predictions for one target
    are a[0] = z[0] and a[j] = a[j - 1] + ln(1 + exp(z[j])).""",
    held_out="at random",
    score="R²",
    Score="R²",
)
class MLPRegressor(RegressorMixin, BaseMLP):
    r"""Multi-layer Perceptron regressor.

    A network of fully connected layers that minimizes the squared error or another loss by backpropagation, for one or several
    outputs. The parameters and results are those of scikit-learn's ``MLPRegressor``; compiled kernels do the training.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        The loss function of a target y and an output a, with d = y - a: 'squared_error', d² / 2; 'absolute_error', \|d\|; 'huber',
        d² / 2 up to `huber_delta` and linear above [23]_; 'quantile', max(q d, (q - 1) d) for each `quantile` q [24]_; half the
        deviance of 'poisson' (y >= 0), 'gamma' (y > 0) or 'tweedie' with the power `tweedie_power` [25]_; or a `fastbp.Loss`. As in
        scikit-learn, 'squared_error' is averaged over the outputs, but its gradient is not. All other losses are summed over the
        outputs.
    {parameters}

    Attributes
    ----------
    {attributes}
    y_range_ : ndarray of shape (2, n_outputs)
        The smallest and the largest target of each output. Only with `clip_predictions`.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The estimator of scikit-learn.
    MLPClassifier : Multi-layer Perceptron classifier.

    Notes
    -----
    With the same parameters and the same `random_state`, results in float64 agree with those of scikit-learn: starting weights,
    batches, losses and the last epoch; for the solver 'lbfgs', the starting weights and the first iterations. float32 data are
    trained in float32. The compiled kernels are cached on disk.

    References
    ----------
    {references}
    .. [23] Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964.
    .. [24] Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.
    .. [25] Jørgensen, "Exponential Dispersion Models", Journal of the Royal Statistical Society B 49, 1987.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastbp import MLPRegressor
    >>> X, y = make_regression(n_features=5, random_state=0)
    >>> regressor = MLPRegressor(solver="lbfgs", alpha=1.0, max_iter=3000, random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    _quantiles = ()  # the quantiles of the last fit

    _parameter_constraints = {
        **CONSTRAINTS,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "tweedie_power": [Interval(Real, 1, 2, closed="both")],
        "scale_y": [StrOptions({"standard", "robust"}), None],
        "clip_predictions": ["boolean"],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[int, float], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
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
        clip_predictions: bool = False,
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
        weight_init: str | Callable[..., ArrayLike] = "auto",
        bias_init: str | Callable[..., ArrayLike] = "auto",
        coefs_init: Sequence[ArrayLike] | None = None,
        intercepts_init: Sequence[ArrayLike] | None = None,
        sample_weight_norm: str = "batch",
        scale: str | None = None,
        missing: str = "error",
        dtype: str = "auto",
        scoring: str | Callable[..., float] | None = None,
        validation_splitter: object = None,
        max_time: float | None = None,
        callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        n_threads: int | None = None,
        n_shares: int | None = None,
        regularization_schedule: str | None = None,
        learning_rate_factors: dict[str, Any] | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.tweedie_power = tweedie_power
        self.scale_y = scale_y
        self.clip_predictions = clip_predictions
        self.out_activation = out_activation
        self.rho = rho
        self.weight_decay = weight_decay
        self.learning_rate_decay = learning_rate_decay
        self.learning_rate_step = learning_rate_step
        self.learning_rate_horizon = learning_rate_horizon
        self.warmup_fraction = warmup_fraction
        self.dropout = dropout
        self.input_noise = input_noise
        self.l1 = l1
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.batch_norm = batch_norm
        self.layer_norm = layer_norm
        self.ema_decay = ema_decay
        self.weight_init = weight_init
        self.bias_init = bias_init
        self.coefs_init = coefs_init
        self.intercepts_init = intercepts_init
        self.sample_weight_norm = sample_weight_norm
        self.scale = scale
        self.missing = missing
        self.dtype = dtype
        self.scoring = scoring
        self.validation_splitter = validation_splitter
        self.max_time = max_time
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.n_shares = n_shares
        self.regularization_schedule = regularization_schedule
        self.learning_rate_factors = learning_rate_factors

    @continues_run
    @fit_method
    def partial_fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the model with a single epoch over the given data.

        With ``solver="lbfgs"``, the call minimizes the loss on the given data, starting from the current weights, for at most
        `max_iter` iterations.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are invalid. The estimator is then unchanged.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    @on_snapshot
    def predict(self, X: Matrix) -> np.ndarray:
        """Predict target values.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values. For several quantiles, there is one more axis of length n_quantiles.
        """
        outputs, n_quantiles = self._clipped_outputs(X), self._n_quantiles
        if 1 < n_quantiles < outputs.shape[1]:
            return outputs.reshape(len(outputs), -1, n_quantiles)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    @on_snapshot
    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            R²; for several quantiles, the negative mean pinball loss.
        """
        if type(self).predict is MLPRegressor.predict and isinstance(y, np.ndarray):
            is_repeated = self._n_quantiles > 1 and y.ndim == 1
            targets = np.broadcast_to(y[:, None], (len(y), self._n_quantiles)) if is_repeated else y
            predict = type(self)._values_at_once
            score = self._score_in_blocks(X, targets, sample_weight, predict, self.n_outputs_, self._running_score)
            if score is not None:
                return score
        if self._n_quantiles == 1:
            return super().score(X, y, sample_weight)
        y = check_values(np.asarray(y))
        return self._score_outputs(np.repeat(y, self._n_quantiles, axis=1), self._clipped_outputs(X), sample_weight)

    def _values_at_once(self, X):
        return self._clipped_outputs(X)

    # ------------------------------------------------------------------ implementation of the base class

    def _complete(self):
        super()._complete()
        if self._state is None and self.loss == "quantile":
            self.__dict__.setdefault("_quantiles", tuple(np.atleast_1d(self.quantile).tolist()))

    def _validate_input(self, X, y, incremental, reset):
        self._quantiles = ()
        if self.loss == "quantile":
            check_quantiles(self.quantile)
            self._quantiles = tuple(np.atleast_1d(self.quantile).tolist())
        X, y = self._validated(X, y, reset, y_numeric=True)
        y = check_values(y)
        check_targets(self.loss, y, self.tweedie_power)
        if self._n_quantiles == 1:
            return X, y
        if y.shape[1] == 1 and is_large(y, np.float64):
            return X, np.broadcast_to(y, (len(y), self._n_quantiles))  # not a copy
        return X, np.repeat(y, self._n_quantiles, axis=1)

    @property
    def _n_quantiles(self):
        return len(self._quantiles) or 1

    @property
    def _link(self):
        # an estimator whose weights were set by the user has no quantiles of a fit
        is_rebuilt = self.out_activation_ == "ordered_quantiles" and not self._quantiles
        return self.out_activation_, tuple(np.atleast_1d(self.quantile).tolist()) if is_rebuilt else self._quantiles

    def _output_layer(self, y):
        if self.scale_y is not None and self._n_quantiles > 1:
            raise ValueError(
                f"scale_y={self.scale_y!r} is not supported for several quantiles, because their outputs are sums of softplus "
                "functions, which weights cannot rescale. Scale y outside the model, for example with "
                "sklearn.compose.TransformedTargetRegressor, or train one model for each quantile."
            )
        return y.shape[1], link_of_regressor(self.loss, self.out_activation, self._n_quantiles)

    def _objective(self):
        return Objective(canonical_loss_name(self.loss, self.tweedie_power), delta=self.huber_delta, power=self.tweedie_power)

    def _stratify(self, y):
        return None

    def _score_outputs(self, y, outputs, sample_weight):
        if self._n_quantiles > 1:
            return negative_pinball(y, outputs, np.tile(self._quantiles, y.shape[1] // self._n_quantiles), sample_weight)
        return r2(y, outputs, sample_weight)

    def _running_score(self, blocks):
        return RunningR2(blocks) if self._n_quantiles == 1 else running_pinball(self._quantiles)
