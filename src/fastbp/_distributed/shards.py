"""The shards of a fit: lists of prepared blocks of rows, which do not depend on the workers.

Lazy partitions of the data go in; statistics and handles of shards come out. The n-th partition that has rows belongs to the shard
n % n_shards. This module calls functions in an `Executor`; the functions convert and prepare one partition at a time. It does not
know how a shard is trained.
"""

from typing import Any

import numpy as np

from .partitions import checked_length
from .rounds import PreparedRows
from .statistics import largest_deviation, merged_statistics, partition_statistics


def summarize(part, reader, of_classes, with_moments):
    """The `PartitionStatistics` of a loaded partition (X, y, weight)."""
    X, y, weight = _arrays_of(part, reader)
    return partition_statistics(X, y, weight, of_classes=of_classes, with_moments=with_moments)


def _arrays_of(part, reader):
    X, y, weight = part
    X = reader.read(X)
    return X, checked_length(X.shape[0], y, "y"), checked_length(X.shape[0], weight, "sample_weight")


def prepare_shard(parts, reader, encoder, preparation, dtype):
    """A list with the `PreparedRows` of each loaded partition; ``encoder`` has the method ``encoded_rows``.

    ``dtype`` is that of training. `Preparation.prepared` would keep the dtype of each partition.
    """
    blocks = []
    for part in parts:
        X, y, weight = _arrays_of(part, reader)
        X, y, weight = encoder.encoded_rows(X, y, weight)
        X, y = preparation.prepared(X, y, dtype)
        X = X.tocsr() if hasattr(X, "tocsr") else np.ascontiguousarray(X)
        dtype_of_rows = np.dtype(X.dtype)
        blocks.append(PreparedRows(X, y.astype(dtype_of_rows), None if weight is None else weight.astype(dtype_of_rows)))
    return blocks


class DataOfFit:
    """The partitions of training or validation rows in an `Executor`.

    ``parts`` are the lazy parts (X, y, weight) and ``reader`` their `TableReader`. If partitions were lost, all handles can be
    made again.
    """

    def __init__(self, executor, parts, reader):
        self.executor, self.parts, self.reader = executor, parts, reader
        self.loaded: Any = None
        self.used: list[int] = []
        self.shards: list = []
        self.rows_of_shards: list[int] = []
        self._how: Any = None

    def _load(self):
        """Load all partitions; the columns of one partition are loaded together."""
        wanted = [value for part in self.parts for value in part if value is not None]
        handles = iter(self.executor.load(wanted))
        self.loaded = [[None if value is None else next(handles) for value in part] for part in self.parts]

    def statistics(self, of_classes, with_moments, *, needs_weight=False):
        """The merged `PartitionStatistics`, and those of each partition that is used.

        Partitions without rows are not used, and with ``needs_weight``, also those whose weights are all 0.
        """

        def run(attempt):
            if attempt or self.loaded is None:
                self._load()
            options = self.reader, of_classes, with_moments
            return self.executor.gather([self.executor.submit(summarize, part, *options) for part in self.loaded])

        parts = self.executor.repeated(run)
        merged = merged_statistics(parts)
        self.used = [n for n, one in enumerate(parts) if one.n_rows and not (needs_weight and one.weight_sum == 0)]
        return merged, [parts[n] for n in self.used]

    def make_shards(self, n_shards, n_rows, encoder, preparation, dtype):
        """Divide the partitions that have rows into shards; ``n_rows`` are their numbers of rows."""
        self._how = n_shards, encoder, preparation, dtype
        self.rows_of_shards = [sum(n_rows[shard::n_shards]) for shard in range(n_shards)]
        self._submit()
        self.loaded = None  # the executor keeps only what the shards need

    def _submit(self):
        n_shards, *options = self._how
        used = [self.loaded[n] for n in self.used]
        self.shards = [self.executor.submit(prepare_shard, used[n::n_shards], self.reader, *options) for n in range(n_shards)]

    def make_again(self):
        """Load the partitions and prepare the shards again, after some of them were lost."""
        self._load()
        self._submit()
        self.loaded = None


def class_deviation(parts, all_labels, n_shards):
    """The result of `largest_deviation` for the shards of partitions with these `PartitionStatistics`."""
    shards = []
    for shard in range(n_shards):
        columns = []
        for column, labels in enumerate(all_labels):
            counts = np.zeros(len(labels))
            for part in parts[shard::n_shards]:
                np.add.at(counts, np.searchsorted(labels, part.labels[column]), part.counts[column])
            columns.append(counts)
        shards.append(columns)
    return largest_deviation(shards)
