"""Statistics of the rows that are computed in one pass over the partitions, and merged in their order.

A partition goes in; its `PartitionStatistics` come out. They are merged by the formulas of Chan, Golub and LeVeque (1983,
"Algorithms for computing the sample variance"), in a fixed order, so that the bits do not depend on workers. This module does not
know about networks.
"""

from dataclasses import dataclass
from functools import reduce
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from .._data.column_objects import is_missing_object


class ColumnMoments(NamedTuple):
    """The number of rows, the mean of each column (n_columns,), and the sum of its squared deviations from the mean."""

    n_rows: float
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values):
        """The moments of the columns of an array or a CSR matrix (n_rows, n_columns)."""
        if issparse(values):
            mean, variance = mean_variance_axis(values.astype(np.float64), axis=0)
        else:
            mean, variance = values.mean(axis=0, dtype=np.float64), values.var(axis=0, dtype=np.float64)
        return cls(values.shape[0], mean, variance * values.shape[0])

    def merged(self, other):
        """The moments of the rows of both."""
        n_rows, change = self.n_rows + other.n_rows, other.mean - self.mean
        mean = self.mean + change * (other.n_rows / n_rows)
        return ColumnMoments(n_rows, mean, self.squares + other.squares + change**2 * (self.n_rows * other.n_rows / n_rows))

    def two_rows(self):
        """Two rows (2, n_columns) with the same mean and the same variance, in float64."""
        deviation = np.sqrt(self.squares / self.n_rows)
        return np.stack([self.mean - deviation, self.mean + deviation])


@dataclass(frozen=True)
class PartitionStatistics:
    """The statistics of one partition, or of several in their order.

    ``labels`` has a sorted array of the different values of each column of y, and ``counts`` the sums of the weights of their rows;
    both are None for regression. ``limits`` (2, n_columns) are the smallest and the largest target, and ``targets`` the
    `ColumnMoments` of y; both are None for classification. ``inputs`` are the `ColumnMoments` of X, or None if they are not needed.
    ``weight_sum`` is None without sample weights.
    """

    n_rows: int
    n_features: int
    dtype: Any
    is_sparse: bool
    y_shape: tuple
    weight_sum: float | None
    labels: list | None = None
    counts: list | None = None
    limits: np.ndarray | None = None
    targets: ColumnMoments | None = None
    inputs: ColumnMoments | None = None

    def merged(self, other):
        """The statistics of both; raise a ValueError if they cannot belong to the same data."""
        for name, text in (("n_features", "columns of X"), ("is_sparse", "kinds of X"), ("y_shape", "columns of y")):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"All partitions must have the same {text}, but some have {getattr(self, name)} and others "
                    f"{getattr(other, name)} ({name}). Correct the function that creates the partitions."
                )
        labels, counts = None, None
        if self.labels is not None and self.counts is not None:
            merged = [_merged_labels(*pair) for pair in zip(self.labels, self.counts, other.labels, other.counts, strict=True)]
            labels, counts = map(list, zip(*merged, strict=True))
        limits = self.limits
        if limits is not None:
            limits = np.stack([np.minimum(limits[0], other.limits[0]), np.maximum(limits[1], other.limits[1])])
        return PartitionStatistics(
            self.n_rows + other.n_rows,
            self.n_features,
            np.result_type(self.dtype, other.dtype),
            self.is_sparse,
            self.y_shape,
            None if self.weight_sum is None else self.weight_sum + other.weight_sum,
            labels,
            counts,
            limits,
            None if self.targets is None else self.targets.merged(other.targets),
            None if self.inputs is None else self.inputs.merged(other.inputs),
        )

    def example_targets(self):
        """Targets (n_rows,) or (n_rows, n_columns) that have all labels, or the smallest and the largest values."""
        y: Any = self.limits
        if self.labels is not None:
            n_rows = max(map(len, self.labels))
            columns = [np.resize(labels, n_rows) for labels in self.labels]
            y = columns[0][:, None] if len(columns) == 1 else np.stack(columns, axis=1)
        return y[:, 0] if self.y_shape == () else y

    def two_rows_of_inputs(self, dtype):
        """Two rows of X with its mean and variance, or of zeros if these are not known; sparse if X is sparse."""
        rows = np.zeros((2, self.n_features)) if self.inputs is None else self.inputs.two_rows()
        rows = rows.astype(dtype)
        return csr_array(rows) if self.is_sparse else rows


def _merged_labels(labels, counts, other, other_counts):
    union, places = np.unique(np.concatenate([labels, other]), return_inverse=True)
    total = np.zeros(len(union))
    np.add.at(total, places, np.concatenate([counts, other_counts]))
    return union, total


def merged_statistics(parts):
    """The statistics of all partitions that have rows; raise a ValueError if none has rows."""
    parts = [part for part in parts if part.n_rows]
    if not parts:
        raise ValueError("X must have at least one row, but all of its partitions are empty. Check how the data were read.")
    return reduce(PartitionStatistics.merged, parts)


def partition_statistics(X, y, weight, *, of_classes, with_moments):
    """The `PartitionStatistics` of an array or CSR matrix X (n_rows, n_features), y, and weights or None."""
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    own: dict[str, Any] = {}
    if len(y) == 0:
        return PartitionStatistics(0, X.shape[1], dtype, issparse(X), y.shape[1:], None)
    columns = y.reshape(len(y), -1)
    check_no_missing_targets(columns)
    if of_classes:
        pairs = [np.unique(column, return_inverse=True) for column in columns.T]
        counts = [np.bincount(places, weight, len(labels)).astype(np.float64) for labels, places in pairs]
        own = {"labels": [labels for labels, _ in pairs], "counts": counts}
    else:
        values = columns.astype(np.float64)
        own = {"limits": np.stack([values.min(axis=0), values.max(axis=0)]), "targets": ColumnMoments.of(values)}
    if with_moments:
        own["inputs"] = ColumnMoments.of(X)
    weight_sum = None if weight is None else float(np.sum(weight, dtype=np.float64))
    return PartitionStatistics(len(y), X.shape[1], dtype, issparse(X), y.shape[1:], weight_sum, **own)


def check_no_missing_targets(y):
    """Raise a ValueError if an array of targets (n_rows, ...) has missing values."""
    if y.dtype.kind == "O":
        is_missing = any(is_missing_object(value) or (isinstance(value, Real) and value != value) for value in y.flat)
    else:
        is_missing = y.dtype.kind == "f" and np.isnan(y).any()
    if is_missing:
        raise ValueError(
            "y must not contain missing values (NaN, None or pandas.NA), but a partition has some. Remove their rows from X, y and "
            "the sample weights, or replace the missing values."
        )


def largest_deviation(counts_of_shards):
    """The largest distance between the class frequencies of a shard and those of all rows, from 0 to 1 (total variation).

    ``counts_of_shards`` has a list of arrays of counts, one for each column of y, for each shard; all have the same classes. Twice
    the distance that is expected for random rows is subtracted, so that small shards do not count.
    """
    largest = 0.0
    for counts in zip(*counts_of_shards, strict=True):
        table = np.array(counts, np.float64)
        table = table[table.sum(axis=1) > 0]
        if not len(table):
            continue
        n_rows, overall = table.sum(axis=1), table.sum(axis=0) / table.sum()
        distances = np.abs(table / n_rows[:, None] - overall).sum(axis=1) / 2
        # the mean absolute deviation of a frequency is √(2 p (1 − p) / (π n))
        expected = np.sqrt(2 / np.pi * overall * (1 - overall)).sum() / np.sqrt(n_rows) / 2
        largest = max(largest, float((distances - 2 * expected).max()))
    return largest
