"""Ensembles of networks: the rows of each member, and means of the outputs of all members.

Encoded rows go in; means of outputs come out, also those of the members that were not trained on a row. This module does not know
what targets and outputs mean.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from .._data.columns import ColumnReader, EncodedTable
from .._data.row_numbers import row_dtype, row_numbers
from .members import Member
from .network_kind import NetworkKind

_ROWS_OF_PREDICTION = 1 << 15  # so many rows are prepared at a time for predictions


class Split(NamedTuple):
    """The numbers of the training rows of a member, and of its validation rows, or None."""

    training: np.ndarray
    validation: np.ndarray | None


class FoldSplit(NamedTuple):
    """The split of the member whose validation rows are those with this ``number`` in ``folds`` (n_rows,).

    The members of a cross-validation share ``folds``, which need much less memory than the numbers of all rows of all members.
    """

    folds: np.ndarray
    number: int

    @property
    def training(self):
        return np.flatnonzero(self.folds != self.number)

    @property
    def validation(self):
        return np.flatnonzero(self.folds == self.number)


@dataclass
class RowData:
    """Encoded rows of a table, their targets (n_rows, n_columns), and their weights (n_rows,) or None.

    ``rows`` is set to None when they are not needed any more.
    """

    rows: EncodedTable | None
    y: np.ndarray
    weights: np.ndarray | None

    def selected(self, numbers):
        """Return copies of the rows with these numbers."""
        weights = None if self.weights is None else self.weights[numbers]
        return RowData(_rows_at(self.rows, numbers), self.y[numbers], weights)


@dataclass(frozen=True)
class Ensemble:
    """A ``ColumnReader``, the trained members, and the ``NetworkKind`` of their networks.

    Without members, all rows have the same outputs ``constant`` (n_outputs,).
    """

    reader: Any
    members: list
    kind: NetworkKind | None = None
    constant: np.ndarray | None = None

    @property
    def n_models(self):
        """The number of members, where the submodels of TabM count."""
        return sum(max(1, member.network.n_submodels) for member in self.members)

    def to_plain(self):
        """Return a dict of plain values and arrays, for files and pickles."""
        return {
            "columns": self.reader.to_plain(),
            "kind": None if self.kind is None else self.kind.to_plain(),
            "members": [member.to_plain() for member in self.members],
            "constant": self.constant,
        }

    @classmethod
    def from_plain(cls, plain):
        """Return the ensemble in the result of ``to_plain``."""
        reader, kind = ColumnReader.from_plain(plain["columns"]), plain["kind"]
        kind = None if kind is None else NetworkKind.from_plain(kind)
        return cls(reader, [Member.from_plain(one, reader, kind) for one in plain["members"]], kind, plain["constant"])

    def outputs(self, rows, n_threads, with_deviation=False):
        """Return the mean outputs (n_rows, n_outputs) of the members, and their standard deviations (divided by ``n_models``).

        The standard deviations are None unless ``with_deviation`` is True. With TabM, they are those between all submodels.
        """
        starts = range(0, len(rows.codes), _ROWS_OF_PREDICTION)
        blocks = [_rows_at(rows, slice(start, start + _ROWS_OF_PREDICTION)) for start in starts]
        means, deviations = zip(*(self._block(block, n_threads, with_deviation) for block in blocks), strict=True)
        return np.concatenate(means), np.concatenate(deviations) if with_deviation else None

    def _block(self, rows, n_threads, with_deviation):
        if self.constant is not None:
            mean = np.tile(self.constant, (len(rows.codes), 1))
            return mean, np.zeros_like(mean)
        mean, squares = np.zeros(()), np.zeros(())
        for n, member in enumerate(self.members, 1):  # Welford's method
            outputs = member.outputs(rows, n_threads)
            change = outputs - mean
            mean = mean + change / n
            if with_deviation:
                squares = squares + change * (outputs - mean) + member.variances(rows, n_threads)
        return mean, np.sqrt(squares / len(self.members))


def out_of_bag(n_rows, parts, n_threads):
    """Return the mean outputs (n_rows, n_outputs) of the members for their validation rows, and NaN for other rows.

    ``parts`` has a member, the numbers of its validation rows, and these rows for each member that has some. If no member has
    validation rows, the result is None.
    """
    total, counts = None, np.zeros((n_rows, 1))
    for member, numbers, rows in parts:
        outputs = member.outputs(rows, n_threads)
        total = np.zeros((n_rows, outputs.shape[1])) if total is None else total
        total[numbers] += outputs
        counts[numbers] += 1
    return None if total is None else np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)


def drawn_splits(n_rows, rng, classes, *, n_cv, n_ensemble, validation_fraction):
    """Return the ``Split`` or ``FoldSplit`` of each member; folds are stratified by ``classes`` (n_rows,) unless it is None."""
    if n_cv > n_rows:
        raise ValueError(
            f"n_cv must be at most the number of rows with a weight above 0, which is {n_rows}; got {n_cv}. Pass more rows, or "
            "decrease n_cv."
        )
    splits: list[Split | FoldSplit] = []
    for _ in range(n_ensemble):
        if n_cv > 1:
            is_stratified = classes is not None and np.unique(classes, return_counts=True)[1].min() >= n_cv
            splitter = (StratifiedKFold if is_stratified else KFold)(n_cv, shuffle=True, random_state=rng)
            folds = np.empty(n_rows, np.min_scalar_type(n_cv))
            for number, (_, validation) in enumerate(splitter.split(np.zeros((n_rows, 0)), classes)):
                folds[validation] = number
            splits += [FoldSplit(folds, number) for number in range(n_cv)]
        else:
            order, n_training = _small(rng.permutation(n_rows)), int(np.ceil((1 - validation_fraction) * n_rows))
            splits.append(Split(order[:n_training], order[n_training:] if n_training < n_rows else None))
    return splits


def split_of_all_rows(n_rows):
    """Return the ``Split`` of a member that is trained on all rows."""
    return Split(row_numbers(n_rows), None)


def _small(numbers):
    """Numbers of rows in the smallest type that has them."""
    return numbers.astype(row_dtype(len(numbers)))


def _rows_at(rows, numbers):
    return EncodedTable(rows.numeric[numbers], rows.codes[numbers])
