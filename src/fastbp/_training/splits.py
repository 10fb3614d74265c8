"""Random training and validation rows, the same as those of scikit-learn's ``train_test_split``, with little memory.

A number of rows, a generator and optional codes of classes go in; row numbers come out. All of them are in one array of int32, and
classes are shuffled in place. scikit-learn needs more than a hundred bytes for each row of a stratified split. This module does not
know what the rows are.
"""

from math import ceil

import numpy as np
from sklearn.model_selection import train_test_split

from .._compat import _approximate_mode
from .._data.row_numbers import row_dtype, row_numbers
from .._data.streamed import row_slices


def split_numbers(n_rows, fraction, rng, stratify=None):
    """The numbers of the training rows and of the held-out rows, in random order, drawn from the ``RandomState`` rng.

    ``stratify`` (n_rows, 1) are codes 0 and 1, whose shares are equal in both parts, or None.
    """
    n_held_out = ceil(fraction * n_rows)
    n_train = n_rows - n_held_out
    counts = None if stratify is None else _class_counts(stratify)
    is_small = counts is not None and (counts.min() < 2 or min(n_train, n_held_out) < len(counts))
    if not 0 < fraction < 1 or n_train == 0 or is_small:  # scikit-learn raises an error
        labels = None if stratify is None else stratify.astype(bool)
        return train_test_split(np.arange(n_rows), random_state=rng, test_size=fraction, stratify=labels)
    if counts is None:
        order = row_numbers(n_rows)
        rng.shuffle(order)
        return order[n_held_out:], order[:n_held_out]
    return _stratified(stratify, counts, n_train, n_held_out, rng)


def _class_counts(codes):
    counts = np.zeros(0, np.int64)
    for rows in row_slices(len(codes), 1):
        block = np.bincount(codes[rows, 0])
        counts, smaller = (block, counts) if len(block) > len(counts) else (counts, block)
        counts[: len(smaller)] += smaller
    return counts


def _stratified(codes, counts, n_train, n_held_out, rng):
    """The rows that ``StratifiedShuffleSplit`` selects."""
    in_train = _approximate_mode(counts, n_train, rng)
    in_held_out = _approximate_mode(counts - in_train, n_held_out, rng)
    order, starts = _rows_by_class(codes, counts), np.cumsum(counts) - counts
    parts, at, n_rows = [], 0, len(order)
    for start, count, n, n_out in zip(starts, counts, in_train, in_held_out, strict=True):
        of_class = order[start : start + count]
        rng.shuffle(of_class)
        selected = of_class[n : n + n_out]
        # the held-out rows of the last class are in place if all rows are used
        is_in_place = start + n + len(selected) == n_rows
        parts.append(selected if is_in_place else selected.copy())
        _move_forward(order, start, at, n)
        at += n
    train, held_out, n_filled = order[:at], order[at : at + sum(map(len, parts))], 0
    for part in parts:
        held_out[n_filled : n_filled + len(part)] = part
        n_filled += len(part)
    rng.shuffle(train)
    rng.shuffle(held_out)
    return train, held_out


def _rows_by_class(codes, counts):
    """The numbers of all rows, sorted by class and then by number."""
    order, ends = np.empty(len(codes), row_dtype(len(codes))), np.cumsum(counts) - counts
    for rows in row_slices(len(codes), 1):
        block = codes[rows, 0]
        for code in range(len(counts)):
            found = np.flatnonzero(block == code)
            order[ends[code] : ends[code] + len(found)] = found + rows.start
            ends[code] += len(found)
    return order


def _move_forward(order, start, to, n):
    """Move n elements forward in the array, in blocks, because NumPy copies all elements if their places overlap."""
    if start != to:
        for rows in row_slices(n, 1):
            order[to + rows.start : to + rows.stop] = order[start + rows.start : start + rows.stop]
