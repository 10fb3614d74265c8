"""Classification of tables: the encoding of labels, and predictions of labels and probabilities.

A table and class labels go in; predicted labels or probabilities come out. The subclasses of ``TableClassifier`` have the
parameters. This module does not know how tables are encoded and networks are trained.
"""

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._compat import StrOptions
from .._data.column_objects import is_missing_object
from .._data.scores import accuracy
from .._data.targets import check_validation_labels, class_weights
from .base import OF_TABLES, BaseTableEstimator
from .calibration import fitted_temperature, scaled_probabilities

OF_TABLE_CLASSIFIERS = {
    **OF_TABLES,
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "calibrate": [StrOptions({"temperature"}), None],
}


class TableClassifier(ClassifierMixin, BaseTableEstimator):
    """The part of all classifiers for tables that does not depend on the network."""

    class_weight: dict[Any, float] | str | None
    calibrate: str | None
    classes_: np.ndarray
    oob_decision_function_: np.ndarray
    temperature_: float

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
        codes = self._mean_and_deviation(X)[0].argmax(axis=1)
        return self.classes_.take(codes)

    @overload
    def predict_proba(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict_proba(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    def predict_proba(self, X: Any, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict class probabilities.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.
        return_std : bool, default=False
            Whether to return the standard deviation between the networks, too; with TabM, the one between all submodels of the
            networks. It is large where they disagree.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The mean probabilities of the networks, in the order of `classes_`. With `calibrate`, they are scaled by the
            temperature.
        probabilities_std : ndarray of shape (n_samples, n_classes)
            The standard deviations of the probabilities, before they are scaled. Only if `return_std` is True.

        Raises
        ------
        ValueError
            If the columns of X are not those of ``fit``, or if `return_std` is True and there is only one network.
        """
        mean, deviation = self._mean_and_deviation(X, return_std)
        return (self._calibrated(mean), deviation) if return_std else self._calibrated(mean)

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

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the same columns as in ``fit``.
        y : array-like of shape (n_samples,)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            The fraction of rows whose predicted label is the true label, weighted by `sample_weight`.
        """
        return super().score(X, y, sample_weight)

    # ------------------------------------------------------------------ implementation of the base class

    def _calibrated(self, probabilities):
        temperature = getattr(self, "temperature_", None)
        return probabilities if temperature is None else scaled_probabilities(probabilities, temperature)

    def _encode_targets(self, y):
        labels = _checked_labels(y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int32)[:, None]

    def _encode_validation_targets(self, y):
        labels = _checked_labels(y)
        check_validation_labels(labels, self.classes_)
        return self.classes_.searchsorted(labels).astype(np.int32)[:, None]

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
            outputs, _ = self._ensemble.outputs(validation.rows, self.n_threads)
            return fitted_temperature(outputs, validation.y[:, 0], validation.weights)
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
    if y.dtype == object:
        _check_objects(y)
    elif y.dtype.kind in "fmM" and np.isnan(y).any():
        raise _missing_label_error(y[np.isnan(y)][0], np.isnan(y).argmax())
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y


def _missing_label_error(label, row):
    return ValueError(f"Input y must have a label in each row, but is {label} in row {row}. Leave out such rows.")


def _check_objects(y):
    for n, label in enumerate(y):
        if is_missing_object(label) or label != label:
            raise _missing_label_error(label, n)
    types = {type(label).__name__: isinstance(label, str) for label in y}
    if any(types.values()) and not all(types.values()):
        raise ValueError(
            f"y must have labels of one type, but has values of the types {sorted(types)}. Convert all labels to strings."
        )
