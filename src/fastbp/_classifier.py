"""The classifier: the encoding of class labels, and predictions of labels and probabilities.

X and class labels go in; predicted labels or probabilities come out. Parameters, defaults, attributes and behavior are those of
scikit-learn 1.9. The code that the classifier shares with the regressor is in ``fastbp._base``. This module does not know how a
network is trained.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import type_of_target

from ._base import BaseMLP
from ._compat import Interval, StrOptions, _check_partial_fit_first_call, available_with, fit_method
from ._data.inputs import Matrix
from ._data.scores import RunningMean, accuracy, correct_rows
from ._data.targets import (
    are_grouped,
    check_known_labels,
    check_same_labels,
    check_validation_labels,
    class_weights,
    clipped_probabilities,
    count_outputs,
    decode_labels,
    encode_labels,
    known_codes,
    labels_in,
    learn_first_classes,
    learn_labels,
    split_groups,
)
from ._model import continues_run, on_snapshot
from ._network.activations import Activation
from ._network.architecture import Objective
from ._network.losses import Loss, link_of_classifier
from ._parameters import CONSTRAINTS, documented


def _count_of_hits(blocks):
    """The fraction of rows whose label is predicted; labels and predictions have shape (n_rows, 1)."""
    return RunningMean(lambda labels, predicted: (labels == predicted)[:, 0])


@documented(
    own="""loss : {'log_loss', 'squared_error'} or Loss, default='log_loss'
    The loss function. 'log_loss' is the log-loss. 'squared_error' is half the squared error, summed over one output per class, with
    a target of 1 for the class of the row and 0 for the other classes. A `fastbp.Loss` has the same targets.
label_smoothing : float, default=0.0
    The fraction of each target that is spread evenly over the classes [23]_.
class_weight : dict or 'balanced', default=None
    Weights of the classes, as a dict from label to weight, by which the sample weights are multiplied. Classes that are not in the
    dict have weight 1. 'balanced' uses n_samples / (n_classes * count of the class) [24]_, where a row with sample weight w counts
    as w rows; it is not available for ``partial_fit``. Must be None if y has several columns.""",
    out_activation="""'auto' is 'softmax' for the log-loss of a multiclass y, and 'logistic' otherwise. The other values are
    'identity', 'logistic', 'softmax', 'relu', 'softplus' and 'exp'; not every loss supports all of them.""",
    out_activation_="""'softmax' for the log-loss of a multiclass y, 'logistic' otherwise, or the value of `out_activation`.
    If y has several multiclass outputs, the softmax is computed for the classes of each output separately. With a loss other than
    'log_loss', the outputs need not be probabilities: `predict_proba` clips them to [0, 1] and, for a multiclass y, divides them by
    their sum. ``transform(X, layer=-1)`` returns the outputs themselves.""",
    held_out="stratified for a binary y",
    score="accuracy",
    Score="The accuracy",
)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer Perceptron classifier.

    A network of fully connected layers that minimizes the log-loss by backpropagation. The log-loss is binary or multinomial. It is
    the sum of a binary loss for each label of a multilabel y, or of a multinomial loss for each output of a multiclass y with
    several outputs. The parameters and results are those of scikit-learn's ``MLPClassifier``; compiled kernels do the training.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray or list of ndarray of shape (n_classes,)
        The class labels; a list with one array per output if y has several multiclass outputs.
    {attributes}

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The estimator of scikit-learn.
    MLPRegressor : Multi-layer Perceptron regressor.

    Notes
    -----
    With the same parameters and the same `random_state`, results in float64 agree with those of scikit-learn: starting weights,
    batches, losses and the last epoch; for the solver 'lbfgs', the starting weights and the first iterations. float32 data are
    trained in float32. The compiled kernels are cached on disk.

    References
    ----------
    {references}
    .. [23] Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    .. [24] King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9, 2001.

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

    _groups = ()  # the number of output units of each output, if y has several multiclass outputs

    classes_: np.ndarray | list[np.ndarray]

    _parameter_constraints = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "squared_error"}), Loss],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
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
        loss: str | Loss = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
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
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
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

    @available_with(lambda estimator: estimator._check_partial_fit() is None)
    @continues_run
    @fit_method
    def partial_fit(
        self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Update the model with a single epoch over the given data.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The class labels. Classes may be missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        classes : array-like of shape (n_classes,) or list of these, default=None
            The classes of all calls. If y has several multiclass outputs, this is a list with the classes of each output. Required
            in the first call, unless y is multilabel.

        Returns
        -------
        self : MLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are invalid. The estimator is then unchanged.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    @on_snapshot
    def predict(self, X: Matrix) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The most probable class of each row and output; for a multilabel y, the labels with a probability above 0.5.
        """
        if getattr(getattr(self, "_label_binarizer", None), "sparse_input_", False):
            return decode_labels(self._label_binarizer, self._outputs(X))
        return self._by_blocks(X, type(self)._labels_at_once, self._n_units_out)

    def _labels_at_once(self, X):
        outputs = self._outputs_at_once(X)  # first, because it checks that the estimator is fitted
        return decode_labels(self._label_binarizer, outputs)

    @property
    def _n_units_out(self):
        return getattr(self, "n_outputs_", 0)

    @on_snapshot
    def predict_proba(self, X: Matrix) -> np.ndarray | list[np.ndarray]:
        """Predict class probabilities.

        If the loss and the output activation do not give probabilities, the outputs are clipped to [0, 1] and divided by their sum.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or list of these
            The probabilities of the classes in the order of `classes_`, or the probability of each label if y is multilabel. If y
            has several multiclass outputs, this is a list with the probabilities of each output.
        """
        return self._by_blocks(X, type(self)._probabilities_at_once, self._n_units_out)

    def _probabilities_at_once(self, X):
        outputs = self._outputs_at_once(X)
        if self._groups:
            return [self._as_probabilities(part, exclusive=True) for part in split_groups(outputs, self._groups)]
        labels = getattr(self, "_label_binarizer", None)  # probabilities do not need it, as in scikit-learn
        outputs = self._as_probabilities(outputs, exclusive=labels is not None and labels.y_type_ == "multiclass")
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def _as_probabilities(self, outputs, exclusive):
        """The outputs, clipped to [0, 1] if they can be outside it, and divided by their sum if the classes are exclusive."""
        if self.out_activation_ == "softmax" or (self.out_activation_ == "logistic" and not exclusive):
            return outputs
        return clipped_probabilities(outputs, exclusive)

    def predict_log_proba(self, X: Matrix) -> np.ndarray | list[np.ndarray]:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or list of these
            The logarithms of the result of `predict_proba`.
        """
        probabilities = self.predict_proba(X)
        if isinstance(probabilities, list):
            return [np.log(part) for part in probabilities]
        return np.log(probabilities, out=probabilities)

    @on_snapshot
    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            The accuracy. For a multilabel y, this is the fraction of rows whose labels are all correct; for several multiclass
            outputs, the mean accuracy of the outputs.
        """
        if not self._groups:
            score, kinds = None, (getattr(labels, "dtype", np.dtype(object)).kind for labels in (y, self.classes_))
            if type(self).predict is MLPClassifier.predict and set(kinds) <= set("iub") and np.ndim(y) == 1:
                score = self._score_in_blocks(X, y, sample_weight, type(self)._labels_at_once, 1, _count_of_hits)
            return super().score(X, y, sample_weight) if score is None else score
        predicted, y = self.predict(X), np.asarray(y)
        labels_in(y, self.classes_)  # checks the shape of y
        pairs = zip(y.T, predicted.T, strict=True)
        return float(np.mean([accuracy_score(true, column, sample_weight=sample_weight) for true, column in pairs]))

    # ------------------------------------------------------------------ implementation of the base class

    def _check_partial_fit(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")

    def _learn_classes(self, y, classes):
        """Learn the classes in the first call of ``partial_fit``, and check in later calls that they are the same."""
        known = getattr(self, "classes_", None)
        if known is None and are_grouped(classes):
            self._set_labels(learn_first_classes(y, classes))
        elif known is None:
            if classes is None and type_of_target(y).startswith("multilabel"):
                classes = np.arange(y.shape[1] if hasattr(y, "shape") else np.shape(y)[1])
            if _check_partial_fit_first_call(self, classes):
                announced = self.classes_
                self._set_labels(learn_first_classes(y, classes))
                self.classes_ = announced  # as in scikit-learn, even if y has fewer labels
        elif not self._groups:
            if classes is not None and not np.array_equal(classes, known):  # scikit-learn's check takes longer
                _check_partial_fit_first_call(self, classes)
        elif classes is not None and [np.unique(some).tolist() for some in classes] != [some.tolist() for some in known]:
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")

    def _set_labels(self, labels):
        self._label_binarizer, self.classes_ = labels, labels.classes_
        self._groups = getattr(labels, "groups", ())

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._set_labels(learn_labels(y))
        elif self.warm_start:
            check_same_labels(y, self.classes_)
        elif (codes := known_codes(self._label_binarizer, y)) is not None:
            return X, codes
        else:
            check_known_labels(y, self.classes_)
        return X, encode_labels(self._label_binarizer, y)

    def _validate_validation_rows(self, X, y):
        X, y = self._validated(X, y, reset=False)
        check_validation_labels(y, self.classes_)
        return X, encode_labels(self._label_binarizer, y)

    def _row_weights(self, X, y, sample_weight, incremental):
        sample_weight = super()._row_weights(X, y, sample_weight, incremental)
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, because the number of rows of each class is not known "
                "in advance. Compute sklearn.utils.compute_class_weight('balanced', classes=classes, y=y) for a large sample y, "
                "and pass the weights as a dict."
            )
        if y.shape[1] > 1 or self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                f"class_weight must be None for a y of several columns, because a row has several labels; got "
                f"{self.class_weight!r}. Pass sample_weight instead, for example from sklearn.utils.compute_sample_weight."
            )
        weights = class_weights(self.class_weight, y, self.classes_, sample_weight)
        return weights.astype(X.dtype) if sample_weight is None else sample_weight * weights

    def _output_layer(self, y):
        n_classes = len(self.classes_) if self._label_binarizer.y_type_.startswith("multiclass") else 0
        return count_outputs(self._label_binarizer, y), link_of_classifier(self.loss, self.out_activation, n_classes)

    @property
    def _link(self):
        name = "grouped_softmax" if self._groups and self.out_activation_ == "softmax" else self.out_activation_
        return name, tuple(self._groups)

    def _objective(self):
        return Objective(self.loss, smoothing=self.label_smoothing, of_classes=True)

    def _stratify(self, y):
        return y if self.n_outputs_ == 1 else None

    def _score_outputs(self, y, outputs, sample_weight):
        if len(self.classes_) == 1:
            return 1.0  # every prediction is correct
        return accuracy(y, outputs, sample_weight, self._groups)

    def _running_score(self, blocks):
        groups, is_constant = self._groups, len(self.classes_) == 1
        return RunningMean(lambda y, outputs: np.ones(len(y)) if is_constant else correct_rows(y, outputs, groups))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags
