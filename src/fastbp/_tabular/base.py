"""The base class of the estimators for tables: from a table to encoded rows, splits, members and the mean of their outputs.

A table and encoded targets go in; the fitted attributes and the mean outputs of the members come out. The encoding of targets and the
meaning of outputs belong to the estimators. This module does not know how a network is trained.
"""

from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions, _check_sample_weight
from .._data.columns import ColumnReader, EncodedTable
from .._data.table_inputs import Table
from .._network.activations import ACTIVATION_NAMES
from .._network.schedules import SCHEDULE_NAMES
from .._network.threads import allowed_threads
from .._training.generators import generator_of
from .members import fit_member
from .presets import PRESET_NAMES, settings_of

_SHARE = Interval(Real, 0, 1, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "preset": [StrOptions(set(PRESET_NAMES))],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "hidden_layer_sizes": ["array-like", None],
    "activation": [StrOptions(set(ACTIVATION_NAMES)), None],
    "parametric_activation": ["boolean", None],
    "learning_rate": [StrOptions(set(SCHEDULE_NAMES)), None],
    "learning_rate_init": [_POSITIVE, None],
    "beta_1": [_SHARE, None],
    "beta_2": [_SHARE, None],
    "epsilon": [_POSITIVE, None],
    "weight_decay": [_NOT_NEGATIVE, None],
    "dropout": [_SHARE, None],
    "weight_init": [StrOptions({"normal", "data"}), None],
    "n_frequencies": [Interval(Integral, 0, None, closed="left"), None],
    "max_one_hot_size": [Interval(Integral, 0, None, closed="left"), None],
    "embedding_size": [_COUNT, None],
    "batch_size": [_COUNT, None],
    "max_iter": [_COUNT, None],
    "validation_fraction": [_SHARE],
    "n_cv": [_COUNT],
    "n_ensemble": [_COUNT],
    "random_state": ["random_state"],
    "n_threads": [_COUNT, None],
    "max_time": [_POSITIVE, None],
    "verbose": ["verbose"],
}


class Split(NamedTuple):
    """The numbers of the training rows of a member, and of its validation rows, or None."""

    training: np.ndarray
    validation: np.ndarray | None


class BaseRealMLP(BaseEstimator):
    """The part of ``RealMLPClassifier`` and ``RealMLPRegressor`` that does not depend on the task."""

    _is_regression = False

    def _fit_members(self, X, y, sample_weight, validation, stratify):
        """Set ``members_`` and the attributes that describe them; y (n_rows, n_columns) are codes of classes, or numbers.

        ``validation`` are (X, y, sample_weight) or three times None, where y is encoded. ``stratify`` are the classes (n_rows,) by
        which folds are stratified, or None.
        """
        settings = settings_of(self, is_regression=self._is_regression)
        table = Table.checked(X, self, reset=True)
        _check_same_length(table, y)
        reader = ColumnReader.learned(table, self.categorical_features)
        rows = reader.encode(table, np.float32)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, rows.numeric, dtype=np.float64)
        rng = generator_of(self.random_state)
        if validation[0] is None:
            splits, given = self._splits(len(y), rng, stratify), None
        else:
            splits, given = [Split(np.arange(len(y)), None)] * self.n_ensemble, self._given_rows(reader, validation)
        seeds = rng.randint(np.iinfo(np.int32).max, size=len(splits))
        n_threads = 1 if len(splits) > 1 else self.n_threads
        options = {"verbose": self.verbose, "max_time": self.max_time}

        def fit_one(split, seed):
            data = _selected(rows, y, weights, split.training)
            held_out = given if split.validation is None else _selected(rows, y, weights, split.validation)
            return fit_member(settings, reader, data, held_out, int(seed), n_threads, **options)

        members = _map(fit_one, list(zip(splits, seeds, strict=True)), self.n_threads)
        self._reader, self.members_, self._splits_of_members = reader, members, splits
        self.n_iter_ = settings.max_iter
        return rows

    def _given_rows(self, reader, validation):
        X, y, sample_weight = validation
        table = Table.checked(X, self, reset=False)
        _check_same_length(table, y)
        return reader.encode(table, np.float32), y, sample_weight

    def _splits(self, n_rows, rng, stratify):
        if self.n_cv > 1:
            if self.n_cv > n_rows:
                raise ValueError(
                    f"n_cv must be at most the number of rows, {n_rows}, got {self.n_cv}. Pass more rows, or set n_cv=1."
                )
            kind = KFold if stratify is None else StratifiedKFold
            folds = kind(self.n_cv, shuffle=True, random_state=rng)
            return [Split(*pair) for _ in range(self.n_ensemble) for pair in folds.split(np.zeros((n_rows, 0)), stratify)]
        splits = []
        for _ in range(self.n_ensemble):
            order, n_training = rng.permutation(n_rows), int(np.ceil((1 - self.validation_fraction) * n_rows))
            splits.append(Split(order[:n_training], order[n_training:] if n_training < n_rows else None))
        return splits

    def _member_outputs(self, rows):
        """Yield the outputs (n_rows, n_outputs) of each member for encoded rows."""
        for member in self.members_:
            yield member.outputs(rows, self.n_threads)

    def _encoded(self, X):
        check_is_fitted(self)
        return self._reader.encode(Table.checked(X, self, reset=False), np.float32)

    def _mean_outputs(self, X):
        """The mean outputs of the members (n_rows, n_outputs)."""
        total = 0.0
        for outputs in self._member_outputs(self._encoded(X)):
            total = total + outputs
        return total / len(self.members_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags


def _map(function, arguments, n_threads):
    """Call a function for each tuple of arguments, in several threads if there are several tuples."""
    limit = allowed_threads() if n_threads is None else n_threads
    if min(limit, len(arguments)) <= 1:
        return [function(*one) for one in arguments]
    with ThreadPoolExecutor(min(limit, len(arguments))) as pool:
        return list(pool.map(lambda one: function(*one), arguments))


def _selected(rows, y, weights, numbers):
    """The encoded rows with these numbers, their targets and their weights or None."""
    part = EncodedTable(rows.numeric[numbers], rows.codes[numbers])
    return part, y[numbers], None if weights is None else weights[numbers]


def _check_same_length(table, y):
    if table.n_rows != len(y):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[table.n_rows, len(y)]}")
