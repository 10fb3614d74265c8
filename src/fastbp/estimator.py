"""The public estimators: scikit-learn's two multilayer perceptrons, trained by compiled kernels.

Each says what its y means and how outputs become predictions; all that they share is in `base`. Parameters, defaults, attributes
and behaviour are those of scikit-learn 1.9.
"""

from collections.abc import Callable
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from .activations import Activation
from .base import BaseMLP, Matrix
from .losses import REGRESSION, Loss
from .parameters import CONSTRAINTS, documented, take
from .targets import accuracy, check_values, count_outputs, decode_labels, encode_labels, learn_labels, r2


@documented(
    own="""loss : {'log_loss', 'squared_error'} or Loss, default='log_loss'
    What is minimised: the log-loss; half the squared error of one output per class against 1 for the right and 0 for the others,
    summed over the outputs; or a `fastbp.Loss` of your own, of the same targets.
label_smoothing : float, default=0.0
    The share of each target that is spread evenly over the classes [17]_.
class_weight : dict or 'balanced', default=None
    Weights of the classes, by label, that multiply those of their rows; 'balanced' is n_samples / (n_classes * count of the class)
    [18]_. For a multilabel y, of which a row may have many labels, only None.""",
    out_activation="""'auto' is 'softmax' for a multiclass y, else 'logistic', and 'logistic' with the squared error; or
    'identity', 'logistic', 'softmax', 'relu', 'softplus' or 'exp', where the loss can go with it.""",
    out_activation_="'logistic' for a binary or multilabel y, 'softmax' for a multiclass one, or what was asked for.",
    held_out="stratified for a binary y",
    score="accuracy",
    Score="The accuracy",
)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classification.

    A network of fully connected layers, trained by backpropagation to minimise the log-loss: binary, multinomial, or one binary
    loss per label for a multilabel y. It is scikit-learn's ``MLPClassifier``, in compiled kernels.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray or list of ndarray of shape (n_classes,)
        The class labels.
    {attributes}

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The original.
    MLPRegressor : The same network for regression.

    Notes
    -----
    With equal parameters and `random_state`, float64 results are scikit-learn's: starting weights, batches, losses, stopping epoch.
    float32 data are trained in float32. The compiled kernels are kept on disk after their first use.

    References
    ----------
    {references}
    .. [17] Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    .. [18] King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9, 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> classifier.predict(X[::50])
    array([0, 1, 2])
    >>> classifier.score(X, y) > 0.95
    True
    """

    _parameter_constraints = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "squared_error"}), Loss],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
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
        loss: str | Loss = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict | str | None = None,
        out_activation: str = "auto",
        rho: float = 0.9,
        weight_decay: float = 0.0,
        learning_rate_decay: float = 0.1,
        learning_rate_step: int = 10,
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
    def partial_fit(
        self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X and y, going on from the present weights and the solver's state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The class labels; not every class need be among them.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; must be given at the first call.

        Returns
        -------
        self : MLPClassifier
            The trained estimator.

        Raises
        ------
        ValueError
            For data that cannot be trained on. The estimator, fitted or not, is left as it was.
        """
        with self._all_or_nothing():
            if _check_partial_fit_first_call(self, classes):
                known = y if type_of_target(y).startswith("multilabel") else classes
                self._label_binarizer = LabelBinarizer().fit(known)
            return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> np.ndarray:
        """The most probable class of each row; for a multilabel y, the labels more probable than not.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The predicted labels.
        """
        outputs = self._outputs(X)
        return decode_labels(self._label_binarizer, outputs)

    def predict_proba(self, X: Matrix) -> np.ndarray:
        """The probability of each class, or of each label on its own for a multilabel y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Matrix) -> np.ndarray:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            The logarithms of the probabilities, in the order of `classes_`.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = learn_labels(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        return X, encode_labels(self._label_binarizer, y)

    def _validate_validation(self, X, y):
        X, y = self._validated(X, y, reset=False)
        unknown = set(unique_labels(y)) - set(self.classes_)
        if unknown:
            raise ValueError(
                f"y_val has labels that training knows nothing of: {sorted(map(str, unknown))}, beside {self.classes_} in y. Leave "
                "their rows out, or give rows of each to train on."
            )
        return X, encode_labels(self._label_binarizer, y)

    def _check_classes(self, classes):
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                    f"{self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}.")

    def _output(self, y):
        out_activation = "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"
        return count_outputs(self._label_binarizer, y), out_activation

    def _stratify(self, y):
        return y.astype(bool) if self.n_outputs_ == 1 else None

    def _score_outputs(self, y, outputs, sample_weight):
        if len(self.classes_) == 1:
            return 1.0  # there is nothing else to predict
        return accuracy(y, outputs, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@documented(
    own="""huber_delta : float, default=1.0
    The error from which the loss 'huber' is straight, in units of y, or of the scaled y.
quantile : float or list of float, default=0.5
    The quantile of y that the loss 'quantile' asks for, or several, in rising order, which never cross: each output is the one
    before and a softplus more.
tweedie_power : float, default=1.5
    The power of the mean that the variance of a Tweedie distribution goes with, from 1 (Poisson) to 2 (gamma).
scale_y : {'standard', 'robust'}, default=None
    Whether to scale the targets inside the model, as `scale` does inputs; positive ones, below an output of 'exp', are only divided
    by their mean. Losses are of the scaled targets; predictions are not scaled.""",
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
        learning_rate_step: int = 10,
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
        """The predicted values of each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset, y_numeric=True)
        return X, check_values(y)

    def _output(self, y):
        return y.shape[1], "exp" if self.loss == "poisson" else "identity"

    def _stratify(self, y):
        return None

    def _score_outputs(self, y, outputs, sample_weight):
        return r2(y, outputs, sample_weight)
