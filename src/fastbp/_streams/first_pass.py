"""A first pass over a stream, for everything that a fit has to know about all rows before it starts.

Validated rows go in; the classes, the number of rows, the sums of the weights, the scalings and the imputer come out. Rows are
added in pieces of equal sizes, so that the results do not depend on the sizes of the blocks. Means and variances are merged by the
formulas of Chan, Golub and LeVeque (1982), "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", which
scikit-learn's ``StandardScaler.partial_fit`` uses. This module does not know about estimators.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import type_of_target

from .._data import missing
from .._data.preparation import Preparation
from .._data.scaling import AffineScaling, DataScaling, target_scaling

PIECE_ROWS = 8192  # the number of rows of a piece


@dataclass(frozen=True)
class Wanted:
    """What a fit has to know: each field is False if it is known already or not used."""

    labels: bool = False  # the labels of y, and the sum of the weights of each
    inputs: bool = False  # the means and standard deviations of X
    targets: bool = False  # those of y, and its range
    weights: bool = False  # the mean of the sample weights
    n_rows: bool = False  # the number of rows

    def __bool__(self):
        return self.labels or self.inputs or self.targets or self.weights or self.n_rows

    @property
    def only_targets(self):
        """Whether X need not be read."""
        return not (self.inputs or self.targets)


class FirstPass:
    """Statistics of the rows that were passed to ``add``."""

    def __init__(self, wanted):
        self.wanted, self.n_rows, self.weight_sum = wanted, 0, 0.0
        self.inputs, self.targets = StandardScaler(), StandardScaler()
        self.y_range = None
        self._has_missing: Any = False
        self._label_sums: list = []
        self._is_multilabel = True
        self._dtype = None

    def add(self, rows):
        """Add rows: X, y and weights, each of which may be None; y has labels or numbers."""
        X, y, weight = rows
        self.n_rows += len(y)
        self.weight_sum += len(y) if weight is None else float(np.sum(weight, dtype=np.float64))
        if self.wanted.labels:
            self._add_labels(y, weight)
        if self.wanted.inputs:
            self._add_inputs(X)
        if self.wanted.targets:
            self.targets.partial_fit(y)
            y = y if weight is None else y[weight != 0]
            y = y if self.y_range is None else np.vstack([self.y_range, y])
            self.y_range = np.stack([y.min(axis=0), y.max(axis=0)]) if len(y) else None

    def _add_labels(self, y, weight):
        columns = [y] if y.ndim == 1 else list(y.T)
        self._is_multilabel &= y.ndim == 2 and type_of_target(y).startswith("multilabel")
        if not self._label_sums:
            self._label_sums = [{} for _ in columns]
        for sums, column in zip(self._label_sums, columns, strict=True):
            labels, codes = np.unique(column, return_inverse=True)
            for label, total in zip(labels.tolist(), np.bincount(codes.ravel(), weight).tolist(), strict=True):
                sums[label] = sums.get(label, 0) + total
        self._dtype = y.dtype if self._dtype is None else np.result_type(self._dtype, y.dtype)

    def _add_inputs(self, X):
        if issparse(X):
            self.inputs.set_params(with_mean=False)
            is_missing = np.bincount(X.indices[np.isnan(X.data)], minlength=X.shape[1]) > 0
        else:
            is_missing = np.isnan(X).any(axis=0)
        self._has_missing = self._has_missing | is_missing
        self.inputs.partial_fit(X)

    # ------------------------------------------------------------------ results

    def classes(self):
        """The classes for ``partial_fit``: an array, a list of arrays for several outputs, or None if y is multilabel."""
        if self._is_multilabel:
            return None
        classes = [np.array(sorted(sums), self._dtype) for sums in self._label_sums]
        return classes[0] if len(classes) == 1 else classes

    def balanced_weights(self):
        """The weights of ``class_weight='balanced'``: n_samples / (n_classes · weight of the class) (King and Zeng 2001)."""
        sums = self.label_sums()
        total = sum(sums.values())
        return {label: total / (len(sums) * value) for label, value in sums.items()}

    def label_sums(self):
        """The sum of the sample weights of each label of a y with one column, as a dict."""
        return self._label_sums[0]

    def preparation(self, config, out_activation, dtype):
        """The ``Preparation`` for the parameters ``config`` of the estimator; ``dtype`` is that of X."""
        imputer = self._imputer(dtype) if config.missing == "indicator" else None
        if config.scale is None and config.scale_y is None:
            return Preparation(imputer)
        inputs = None if config.scale is None else self._input_scaling(imputer)
        targets = None if config.scale_y is None else self._target_scaling(config.scale_y, out_activation)
        trained = dtype if config.dtype == "auto" else np.dtype(config.dtype)
        return Preparation(imputer, DataScaling(inputs, targets, np.result_type(dtype, trained)))

    def _imputer(self, dtype):
        means = np.where(np.isnan(self.inputs.mean_), 0, self.inputs.mean_)  # as in ``missing.learned``
        return missing.from_plain({"means": means.astype(dtype), "indicators": np.flatnonzero(self._has_missing)})

    def _input_scaling(self, imputer):
        """The scaling of X, or of X with imputed values and indicators."""
        scaler = self.inputs
        center = scaler.mean_ if scaler.with_mean else np.zeros_like(scaler.scale_)
        if imputer is None:
            return AffineScaling(center, scaler.scale_)
        # imputed values are equal to the mean, so they add nothing to the sum of squares
        known = np.broadcast_to(scaler.n_samples_seen_, center.shape) / self.n_rows
        is_constant = (known == 0) | ((scaler.scale_ == 1) & (scaler.var_ != 1))
        scale = np.where(is_constant, 1, scaler.scale_ * np.sqrt(known))
        share = 1 - known[self._has_missing]  # of an indicator of 0 and 1, the mean is p and the variance p (1 - p)
        deviation = np.sqrt(share * (1 - share))
        center = np.concatenate([np.where(known == 0, 0, center), share * scaler.with_mean])
        return AffineScaling(center, np.concatenate([scale, np.where(deviation > 0, deviation, 1)]))

    def _target_scaling(self, name, out_activation):
        scaler = self.targets
        centers = {True: scaler.mean_, False: np.zeros_like(scaler.scale_)}
        return target_scaling(scaler.mean_, lambda centered: AffineScaling(centers[centered], scaler.scale_), name, out_activation)
