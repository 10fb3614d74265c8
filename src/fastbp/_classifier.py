"""The public classifier: what its y means, and how outputs become labels and probabilities.

All that it shares with the regressor is in `base`. scikit-learn's parameters, defaults, attributes and behaviour are those of 1.9.
"""

from collections.abc import Callable
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from ._base import BaseMLP
from ._data.inputs import Matrix
from ._data.targets import (
    GroupedLabels,
    accuracy,
    are_grouped,
    class_weights,
    count_outputs,
    decode_labels,
    encode_labels,
    labels_in,
    learn_labels,
    split_groups,
)
from ._network.activations import Activation
from ._network.architecture import Objective
from ._network.losses import Loss, link_of_classifier
from ._parameters import CONSTRAINTS, documented, take


@documented(
    own="""loss : {'log_loss', 'squared_error'} or Loss, default='log_loss'
    What is minimised: the log-loss; half the squared error of one output per class against 1 for the right and 0 for the others,
    summed over the outputs; or a `fastbp.Loss` of your own, of the same targets.
label_smoothing : float, default=0.0
    The share of each target that is spread evenly over the classes [17]_.
class_weight : dict or 'balanced', default=None
    Weights of the classes, by label, that multiply those of their rows; 1 for those not named. 'balanced' is n_samples / (n_classes
    * count of the class) [18]_, rows being counted by their weights, and not for ``partial_fit``. For a y of several columns, of
    which a row has many labels, only None.""",
    out_activation="""'auto' is 'softmax' for a multiclass y, else 'logistic', and 'logistic' with the squared error; or
    'identity', 'logistic', 'softmax', 'relu', 'softplus' or 'exp', where the loss can go with it.""",
    out_activation_="'logistic' for a binary or multilabel y, 'softmax' for a multiclass one, or what was asked for.",
    held_out="stratified for a binary y",
    score="accuracy",
    Score="The accuracy",
)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classification.

    A network of fully connected layers, trained by backpropagation to minimise the log-loss: binary, multinomial, one binary loss
    per label for a multilabel y, or one multinomial loss per output for a y of several. It is scikit-learn's ``MLPClassifier``, in
    compiled kernels.

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
    def partial_fit(
        self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X and y, going on from the present weights and the solver's state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The class labels; not every class need be among them.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.
        classes : array-like of shape (n_classes,) or list of these, default=None
            All classes that will ever come; for a y of several outputs, a list of those of each. Must be given at the first call,
            but for a multilabel y, which has a column for each.

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
            self._learn_classes(y, classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> np.ndarray:
        """The most probable class of each row and output; for a multilabel y, the labels more probable than not.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The predicted labels.
        """
        outputs = self._outputs(X)
        return decode_labels(self._label_binarizer, outputs)

    def predict_proba(self, X: Matrix) -> np.ndarray:
        """The probability of each class, or of each label on its own for a multilabel y.

        Outputs of a loss and an activation that are no probabilities are held within 0 and 1, and divided by their sum.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or list of these
            The probabilities, in the order of `classes_`; for a y of several outputs a list, with those of each.
        """
        outputs = self._outputs(X)
        if self._groups:
            return [self._as_probabilities(part, exclusive=True) for part in split_groups(outputs, self._groups)]
        outputs = self._as_probabilities(outputs, exclusive=self._label_binarizer.y_type_ == "multiclass")
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def _as_probabilities(self, outputs, exclusive):
        """Outputs held within 0 and 1 where they need not be, and, of exclusive classes, divided by their sum."""
        if self.out_activation_ == "softmax" or (self.out_activation_ == "logistic" and not exclusive):
            return outputs
        outputs = outputs.clip(0, 1)
        if exclusive:
            sums = outputs.sum(axis=1, keepdims=True)
            outputs = np.where(sums > 0, outputs / np.where(sums > 0, sums, 1), 1 / outputs.shape[1])
        return outputs

    def predict_log_proba(self, X: Matrix) -> np.ndarray:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or list of these
            The logarithms of the probabilities, in the order of `classes_`.
        """
        probabilities = self.predict_proba(X)
        if self._groups:
            return [np.log(part) for part in probabilities]
        return np.log(probabilities, out=probabilities)

    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The accuracy of the predictions; for a y of several outputs, the mean of their accuracies.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The true labels. Of a multilabel row, all must be met.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            The accuracy.
        """
        if not self._groups:
            return super().score(X, y, sample_weight)
        predicted, y = self.predict(X), np.asarray(y)
        labels_in(y, self.classes_)  # which checks its shape
        pairs = zip(y.T, predicted.T, strict=True)
        return float(np.mean([accuracy_score(true, said, sample_weight=sample_weight) for true, said in pairs]))

    # ------------------------------------------------------------------ what the base asks

    def _learn_classes(self, y, classes):
        """What ``partial_fit`` is told of classes: at its first call, learned; later, the same."""
        known = getattr(self, "classes_", None)
        if known is None and are_grouped(classes):
            self._know(GroupedLabels([np.unique(some) for some in classes]))
        elif known is None:
            if classes is None and type_of_target(y).startswith("multilabel"):
                classes = np.arange(y.shape[1] if hasattr(y, "shape") else np.shape(y)[1])
            if _check_partial_fit_first_call(self, classes):
                told = self.classes_
                self._know(LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes))
                self.classes_ = told  # which scikit-learn shows even where y has fewer labels
        elif not self._groups:
            _check_partial_fit_first_call(self, classes)
        elif classes is not None and [np.unique(some).tolist() for some in classes] != [some.tolist() for some in known]:
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")

    def _know(self, labels):
        self._label_binarizer, self.classes_ = labels, labels.classes_
        self._groups = getattr(labels, "groups", ())

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._know(learn_labels(y))
        else:
            self._check_classes(y)
        return X, encode_labels(self._label_binarizer, y)

    def _validate_validation(self, X, y):
        X, y = self._validated(X, y, reset=False)
        for labels, known in labels_in(y, self.classes_):
            unknown = set(labels) - set(known)
            if unknown:
                raise ValueError(
                    f"y_val has labels that training knows nothing of: {sorted(map(str, unknown))}, beside {known} in y. Leave "
                    "their rows out, or give rows of each to train on."
                )
        return X, encode_labels(self._label_binarizer, y)

    def _check_classes(self, y):
        for classes, known in labels_in(y, self.classes_):
            if self.warm_start:
                if set(classes) != set(known):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                        f"{known}, `y` has {classes}"
                    )
            elif len(np.setdiff1d(classes, known, assume_unique=True)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. 'y' has {classes}.")

    def _weights(self, X, y, sample_weight, incremental):
        sample_weight = super()._weights(X, y, sample_weight, incremental)
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not know how many rows of each class will "
                "come: take the weights of sklearn.utils.compute_class_weight('balanced', classes=classes, y=y) for a large "
                "sample y, and give them as a dict."
            )
        if y.shape[1] > 1 or self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                f"class_weight must be None for a y of several columns, whose rows have no one class; got {self.class_weight!r}. "
                "Give each row a weight as sample_weight, such as sklearn.utils.compute_sample_weight makes."
            )
        weights = class_weights(self.class_weight, y, self.classes_, sample_weight)
        return weights.astype(X.dtype) if sample_weight is None else sample_weight * weights

    def _output(self, y):
        n_classes = len(self.classes_) if self._label_binarizer.y_type_.startswith("multiclass") else 0
        return count_outputs(self._label_binarizer, y), link_of_classifier(self.loss, self.out_activation, n_classes)

    @property
    def _link(self):
        return "grouped_softmax" if self._groups and self.out_activation_ == "softmax" else self.out_activation_

    def _link_numbers(self):
        return tuple(self._groups)

    def _objective(self):
        return Objective(self.loss, smoothing=self.label_smoothing, of_classes=True)

    def _stratify(self, y):
        return y.astype(bool) if self.n_outputs_ == 1 else None

    def _score_outputs(self, y, outputs, sample_weight):
        if len(self.classes_) == 1:
            return 1.0  # there is nothing else to predict
        return accuracy(y, outputs, sample_weight, self._groups)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags
