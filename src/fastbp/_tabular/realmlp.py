"""RealMLP, a multilayer perceptron for tables: the two estimators.

Tables and labels or numbers go in; predictions come out. This module does not know how tables are encoded and networks are trained.
"""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from .._compat import Interval, StrOptions, fit_method
from .base import CONSTRAINTS, BaseRealMLP

_PARAMETERS = """preset : {'td', 'td-s'}, default='td'
        The default values of the parameters that are None. 'td' is RealMLP-TD, 'td-s' the simpler and faster RealMLP-TD-S [1]_.
    categorical_features : array-like of bool, int or str, 'from_dtype' or None, default='from_dtype'
        The categorical columns, as a mask, numbers or names. With 'from_dtype', these are columns of strings, booleans and
        categorical types. With None, all columns must be numbers, booleans or dates."""


class RealMLPClassifier(ClassifierMixin, BaseRealMLP):
    """RealMLP classifier: a multilayer perceptron with good default parameters for tables."""

    classes_: np.ndarray

    _parameter_constraints = {
        **CONSTRAINTS,
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
        hidden_layer_sizes: ArrayLike | None = None,
        activation: str | None = None,
        parametric_activation: bool | None = None,
        learning_rate: str | None = None,
        learning_rate_init: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        label_smoothing: float | None = None,
        weight_init: str | None = None,
        n_frequencies: int | None = None,
        max_one_hot_size: int | None = None,
        embedding_size: int | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        validation_fraction: float = 0.2,
        n_cv: int = 1,
        n_ensemble: int = 1,
        class_weight: dict[Any, float] | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        verbose: bool | int = False,
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
        self.label_smoothing = label_smoothing
        self.weight_init = weight_init
        self.n_frequencies = n_frequencies
        self.max_one_hot_size = max_one_hot_size
        self.embedding_size = embedding_size
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_cv = n_cv
        self.n_ensemble = n_ensemble
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_threads = n_threads
        self.max_time = max_time
        self.verbose = verbose

    @fit_method
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the networks to a table."""
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"RealMLPClassifier needs at least two classes in y, got one class: {classes.tolist()}.")
        validation = (None, None, None)
        if X_val is not None:
            validation = X_val, self._codes(classes, column_or_1d(y_val))[:, None], sample_weight_val
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=classes, y=y)[codes]
            sample_weight = weights if sample_weight is None else weights * np.asarray(sample_weight)
        counts = np.bincount(codes)
        stratify = codes if counts.min() >= self.n_cv else None
        self._fit_members(X, codes[:, None], sample_weight, validation, stratify)
        self.classes_ = classes
        return self

    @staticmethod
    def _codes(classes, labels):
        codes = np.searchsorted(classes, labels)
        codes[codes == len(classes)] = 0
        unknown = labels[classes[codes] != labels]
        if unknown.size:
            raise ValueError(f"y_val must have labels of y only, got {np.unique(unknown).tolist()}. Leave out these rows.")
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities (n_rows, n_classes)."""
        return self._mean_outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels (n_rows,)."""
        return self.classes_.take(self.predict_proba(X).argmax(axis=1))


class RealMLPRegressor(RegressorMixin, BaseRealMLP):
    """RealMLP regressor: a multilayer perceptron with good default parameters for tables."""

    _is_regression = True
    _parameter_constraints = {**CONSTRAINTS, "clip_predictions": ["boolean", None]}

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
        hidden_layer_sizes: ArrayLike | None = None,
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

    @fit_method
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the networks to a table."""
        targets = _targets(y)
        validation = (
            (None, None, None) if X_val is None else (X_val, _targets(y_val).reshape(-1, targets[0].size), sample_weight_val)
        )
        self._fit_members(X, targets.reshape(len(targets), -1), sample_weight, validation, None)
        self._is_flat = targets.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets (n_rows,) or (n_rows, n_outputs)."""
        outputs = self._mean_outputs(X)
        return outputs[:, 0] if self._is_flat else outputs


def _targets(y):
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    return y
