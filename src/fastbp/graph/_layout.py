"""The positions of the boxes, labels and arrows of a drawing, in columns from the operands to the result.

The sizes of boxes and of the labels of their arrows go in; positions come out. Each label has a place in a column between two
columns of boxes, and long arrows have a place in each column that they cross, so that nothing overlaps (Sugiyama, Tagawa and Toda
1981). This module does not know what is drawn.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

_COLUMN_GAP, _ROW_GAP, _THROUGH_HEIGHT = 26, 16, 12
_ORDER_SWEEPS, _POSITION_SWEEPS = 12, 16


@dataclass(eq=False)
class Place:
    """A box, a label, or the place of a long arrow in one column; x and y are those of its center."""

    width: float
    height: float
    column: int
    x: float = 0.0
    y: float = 0.0
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)


def layered_layout(sizes, arrows):
    """Return the places of all boxes, and the chains of places of all arrows, from a box through its label to another box.

    ``sizes`` are the (width, height) of the boxes, each after the boxes from which arrows lead to it. ``arrows`` are
    (start, end, (width, height) of the label).
    """
    ranks = _ranks(len(sizes), [(start, end) for start, end, _ in arrows])
    boxes = [Place(size[0], size[1], 2 * rank) for size, rank in zip(sizes, ranks, strict=True)]
    chains = [_chain(boxes[start], boxes[end], size) for start, end, size in arrows]
    columns: list[list[Place]] = [[] for _ in range(2 * max(ranks) + 1)]
    for place in dict.fromkeys([*boxes, *(place for chain in chains for place in chain)]):
        columns[place.column].append(place)
    _order(columns)
    _set_x(columns)
    _set_y(columns)
    return boxes, chains


def _ranks(n_boxes, arrows):
    """Return the length of the longest path to each box; a box without operands is moved next to the box that uses it first."""
    ranks, has_operands, users = [0] * n_boxes, [False] * n_boxes, _lists(n_boxes)
    for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
        has_operands[end] = True
        users[start].append(end)
    return [
        rank if has or not own else min(ranks[user] for user in own) - 1
        for rank, has, own in zip(ranks, has_operands, users, strict=True)
    ]


def _lists(number: int) -> list[list[int]]:
    return [[] for _ in range(number)]


def _chain(start, end, label_size):
    """Return the places of an arrow, which are linked with each other; the label is next to the end."""
    through = [Place(0, _THROUGH_HEIGHT, column) for column in range(start.column + 1, end.column - 1)]
    chain = [start, *through, Place(label_size[0], label_size[1], end.column - 1), end]
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return chain


# ---------------------------------------------------------------------- the order in each column


def _order(columns):
    """Sort the columns by the means of the positions of neighbors, which reduces the number of crossings."""
    best, fewest = [list(column) for column in columns], _n_crossings(columns)
    for sweep in range(_ORDER_SWEEPS):
        to_right = sweep % 2
        for column in columns if to_right else reversed(columns):
            _sort_column(column, columns, to_right)
        crossings = _n_crossings(columns)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    for column, places in zip(columns, best, strict=True):
        column[:] = places


def _sort_column(column, columns, to_right):
    own, number = _positions(column), column[0].column + (-1 if to_right else 1)
    neighbors = _positions(columns[number]) if 0 <= number < len(columns) else {}
    keys = {}
    for place in column:
        found = [neighbors[id(other)] for other in (place.before if to_right else place.after)]
        keys[id(place)] = float(np.mean(found)) if found else own[id(place)]
    column.sort(key=lambda place: keys[id(place)])


def _positions(column):
    return {id(place): (number + 0.5) / len(column) for number, place in enumerate(column)}


def _n_crossings(columns):
    """Return the number of pairs of arrows that cross between two columns."""
    total = 0
    for left, right in pairwise(columns):
        at = _positions(right)
        ends = [at[id(other)] for place in left for other in sorted(place.after, key=lambda other: at[id(other)])]
        total += int(np.count_nonzero(np.triu(np.subtract.outer(ends, ends) > 0, 1)))
    return total


# ---------------------------------------------------------------------- coordinates


def _set_x(columns):
    left = 0.0
    for column in columns:
        width = max(place.width for place in column)
        for place in column:
            place.x = left + width / 2
            if not place.width:  # a long arrow crosses the whole column
                place.width = width
        left += width + _COLUMN_GAP


def _set_y(columns):
    """Move each place as near as possible to the mean of its neighbors, without overlaps and without changing the order."""
    for column in columns:
        _move(column, [0.0] * len(column))
    for sweep in range(_POSITION_SWEEPS):
        to_right = sweep % 2
        for column in columns if to_right else reversed(columns):
            _move(column, [_wanted(place, to_right, sweep) for place in column])
    low = min(place.y - place.height / 2 for column in columns for place in column)
    for column in columns:
        for place in column:
            place.y -= low


def _wanted(place, to_right, sweep):
    one_sided = place.before if to_right else place.after
    neighbors = [*place.before, *place.after] if sweep >= _POSITION_SWEEPS - 4 else one_sided
    return float(np.mean([other.y for other in neighbors])) if neighbors else place.y


def _move(column, wanted):
    """Set y to the values with the smallest squared distance to the wanted ones (pool adjacent violators; Kruskal 1964)."""
    heights = [place.height for place in column]
    offsets = np.concatenate([[0], np.cumsum([(a + b) / 2 + _ROW_GAP for a, b in pairwise(heights)])])
    pools: list[list[float]] = []  # (mean, number) of consecutive places that touch each other
    for value in np.array(wanted) - offsets:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (mean, n), (other, m) = pools[-2:]
            pools[-2:] = [[(mean * n + other * m) / (n + m), n + m]]
    levels = np.repeat([mean for mean, _ in pools], [int(n) for _, n in pools])
    for place, y in zip(column, levels + offsets, strict=True):
        place.y = float(y)
