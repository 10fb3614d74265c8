"""RealMLP for classification: the encoding of labels, and predictions of labels and probabilities.

A table and class labels go in; predicted labels or probabilities come out. This module does not know how tables are encoded and
networks are trained.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._compat import Interval, StrOptions
from .._data.scores import accuracy
from .._data.targets import check_validation_labels, class_weights
from .._parameters import documented
from .base import OF_TABLES, BaseRealMLP
from .calibration import fitted_temperature, scaled_probabilities
from .documentation import TEXTS_OF_TABLES


@documented(
    TEXTS_OF_TABLES,
    sibling="MLPClassifier",
    first="",
    activation="selu",
    learning_rate_init="0.04",
    own="""label_smoothing : float, default=None
    The fraction of each target that is spread evenly over the classes. None means 0.1.
""",
    stratified=" Folds are stratified if each class has at least `n_cv` rows.",
    last="""class_weight : dict or 'balanced', default=None
    Weights of the classes, as a dict from label to weight, by which the sample weights are multiplied. Classes that are not in the
    dict have weight 1. 'balanced' uses n_samples / (n_classes * count of the class), where a row with sample weight w counts as w
    rows.
calibrate : {{'temperature'}}, default=None
    With 'temperature', the logarithms of the probabilities are divided by a number, the temperature, before they are normalized
    [4]_. It is the number from 1/20 to 20 that minimizes the log-loss of the validation rows. The predicted classes do not change.
    Without it, the label smoothing makes most probabilities too small.
""",
    no_members=", or none if all rows with a weight above 0 have the same class",
    scores="the accuracies",
    score="The accuracy",
    estimates="""oob_decision_function_ : ndarray of shape (n_samples, n_classes)
    The mean probabilities of the members for which a row was a validation row, and NaN for rows that were never validation rows or
    have weight 0. They are scaled by the temperature. Not defined if `X_val` is passed or there are no validation rows.
temperature_ : float
    The temperature. Only with `calibrate`.""",
)
class RealMLPClassifier(ClassifierMixin, BaseRealMLP):
    """RealMLP classifier for tables with numbers, categories, dates and missing values.

    A multilayer perceptron whose default parameters were chosen on many tables [1]_. It needs no preparation of the table.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    {attributes}

    See Also
    --------
    RealMLPRegressor : RealMLP for regression.
    MLPClassifier : Multi-layer Perceptron classifier.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import RealMLPClassifier
    >>> table = pd.DataFrame({"color": ["red", "green", None, "green"] * 20, "size": [1.5, 3.0, 2.0, None] * 20})
    >>> labels = ["apple", "pear", "apple", "pear"] * 20
    >>> classifier = RealMLPClassifier("td-s", max_iter=8, random_state=0).fit(table, labels)
    >>> classifier.predict(pd.DataFrame({"color": ["red", "green"], "size": [1.0, 2.5]}))
    array(['apple', 'pear'], dtype='<U5')
    """

    classes_: np.ndarray
    oob_decision_function_: np.ndarray
    temperature_: float

    _parameter_constraints = {
        **OF_TABLES,
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": [StrOptions({"temperature"}), None],
    }

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
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
        label_smoothing: float | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        validation_fraction: float = 0.2,
        n_cv: int = 1,
        n_ensemble: int = 1,
        class_weight: dict[Any, float] | str | None = None,
        calibrate: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    ) -> None:
        self.preset = preset
        self.categorical_features = categorical_features
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
        self.label_smoothing = label_smoothing
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_cv = n_cv
        self.n_ensemble = n_ensemble
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.random_state = random_state
        self.n_threads = n_threads
        self.max_time = max_time
        self.verbose = verbose
        self.warm_start = warm_start
        self.callbacks = callbacks

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The most probable class of each row.
        """
        codes = self._probabilities(X).argmax(axis=1)
        return self.classes_.take(codes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The mean probabilities of the members, in the order of `classes_`. With `calibrate`, they are scaled by the temperature.
        """
        return self._calibrated(self._probabilities(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            The logarithms of the result of `predict_proba`; -inf for a probability of 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # ------------------------------------------------------------------ implementation of the base class

    def _probabilities(self, X):
        return self._mean_and_deviation(X)[0]

    def _calibrated(self, probabilities):
        temperature = getattr(self, "temperature_", None)
        return probabilities if temperature is None else scaled_probabilities(probabilities, temperature)

    def _encode_targets(self, y):
        labels = _checked_labels(y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        return codes[:, None]

    def _encode_validation_targets(self, y):
        labels = _checked_labels(y)
        check_validation_labels(labels, self.classes_)
        return self.classes_.searchsorted(labels)[:, None]

    def _row_weights(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        weights, counted = np.ones(len(y)), slice(None) if sample_weight is None else sample_weight > 0
        present, codes = np.unique(y[counted, 0], return_inverse=True)
        classes = self.classes_ if isinstance(self.class_weight, dict) else self.classes_[present]
        codes = y[counted] if isinstance(self.class_weight, dict) else codes[:, None]
        given = None if sample_weight is None else sample_weight[counted]
        weights[counted] = class_weights(self.class_weight, codes, classes, given)
        return weights if sample_weight is None else weights * sample_weight

    def _constant_outputs(self, y):
        is_constant = (y == y[0]).all()
        return np.eye(len(self.classes_))[y[0, 0]] if is_constant else None

    def _network_options(self):
        return {"n_classes": len(self.classes_)}, {}

    def _set_estimates(self, data, out_of_bag, validation, kept):
        if self.calibrate is not None and self.members_:
            self.temperature_ = self._temperature(data, out_of_bag, validation)
        if out_of_bag is not None:
            probabilities, is_known = self._calibrated(out_of_bag), ~np.isnan(out_of_bag[:, 0])
            weights = None if data.weights is None else data.weights[is_known]
            self.oob_score_ = accuracy(data.y[is_known], probabilities[is_known], weights)
            self.oob_decision_function_ = kept(probabilities)

    def _temperature(self, data, out_of_bag, validation):
        if validation is not None:
            rows, codes, weights = validation
            return fitted_temperature(self._ensemble.outputs(rows, self.n_threads)[0], codes[:, 0], weights)
        if out_of_bag is None:
            raise ValueError(
                f"calibrate={self.calibrate!r} needs validation rows, but there are none with validation_fraction="
                f"{self.validation_fraction} and {len(data.y)} rows. Increase validation_fraction, pass X_val and y_val, or set "
                "calibrate=None."
            )
        is_known = ~np.isnan(out_of_bag[:, 0])
        weights = None if data.weights is None else data.weights[is_known]
        return fitted_temperature(out_of_bag[is_known], data.y[is_known, 0], weights)


def _checked_labels(y):
    y = column_or_1d(y, warn=True)
    missing = [n for n, label in enumerate(y) if label is None] if y.dtype == object else []
    if missing:
        raise ValueError(f"Input y must have a label in each row, but is None in row {missing[0]}. Leave out such rows.")
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y
