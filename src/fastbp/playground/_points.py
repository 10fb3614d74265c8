"""The rows on which a page trains: built-in problems or the file of the user, split into training and test rows.

``Settings`` and the ``Table`` of a file go in; a ``Dataset`` comes out. The same settings and the same file always give the same
rows. This module does not know about networks.
"""

from dataclasses import dataclass

import numpy as np

from ._uploads import UploadError, target_values


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test rows. Targets are class codes if ``labels`` has the labels of the classes, otherwise numbers."""

    X: np.ndarray  # (n_rows, 2), in the units of the axes
    y: np.ndarray
    is_test: np.ndarray
    labels: list[str] | None
    names: tuple[str, str, str]
    offset: np.ndarray  # the network receives (X - offset) / spread
    spread: np.ndarray
    y_offset: float
    y_spread: float

    @property
    def is_classification(self):
        """Whether the targets are classes."""
        return self.labels is not None

    def inputs(self, X):
        """The inputs of the network for points in the units of the axes."""
        return (X - self.offset) / self.spread

    def part(self, *, test):
        """The inputs and the targets of the network for the training rows or the test rows."""
        rows = self.is_test if test else ~self.is_test
        return self.inputs(self.X[rows]), (self.y[rows] - self.y_offset) / self.y_spread if self.labels is None else self.y[rows]

    @property
    def limits(self):
        """The limits of the axes: (low, high) of x1 and of x2, with a margin."""
        low, high = self.X.min(axis=0), self.X.max(axis=0)
        margin = np.where(high > low, 0.08 * (high - low), 1.0)
        return list(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))


def make_dataset(settings, table=None):
    """Return the ``Dataset`` of the settings; ``table`` is the file of the user, or None."""
    random = np.random.RandomState(settings.seed)
    if settings.data == "csv":
        if table is None:
            raise UploadError("A CSV file must be chosen, got none. Choose a file under Data; the address does not contain it.")
        X, (y, labels), names = table.X, target_values(table, settings.target), table.names
    else:
        X, y = _GENERATORS[settings.data](random, settings.rows, settings.noise)
        is_regression = settings.data == "regression"
        labels, names = None if is_regression else ["0", "1"], ("x1", "x2", "y" if is_regression else "class")
    is_test = _test_rows(y, labels, settings)
    return Dataset(X, y, is_test, labels, names, *_scaling(X, y, ~is_test, settings.scale, labels))


def _test_rows(y, labels, settings):
    """Whether each row is a test row; each class has the same share of the test rows, if there are enough rows."""
    from sklearn.model_selection import train_test_split

    n_test = max(1, round(len(y) * settings.test_share))
    is_large = labels is not None and min(n_test, len(y) - n_test) >= len(labels)
    _, rows = train_test_split(np.arange(len(y)), test_size=n_test, random_state=settings.seed, stratify=y if is_large else None)
    is_test = np.zeros(len(y), bool)
    is_test[rows] = True
    return is_test


def _scaling(X, y, rows, is_scaled, labels):
    """The offset and spread of the inputs and of the target: mean and standard deviation of the training rows, or 0 and 1."""
    if not is_scaled:
        return np.zeros(2), np.ones(2), 0.0, 1.0
    spread = X[rows].std(axis=0)
    y_offset, y_spread = (0.0, 1.0) if labels is not None else (float(y[rows].mean()), float(y[rows].std()))
    return X[rows].mean(axis=0), np.where(spread > 0, spread, 1.0), y_offset, y_spread or 1.0


# ---------------------------------------------------------------------- built-in problems


def _circles(random, n_rows, noise):
    """Two circles around the origin with radii 1 and 0.5."""
    angle, y = random.uniform(0, 2 * np.pi, n_rows), np.arange(n_rows) % 2
    radius = np.where(y == 0, 1.0, 0.5)
    return _noisy(random, radius * np.cos(angle), radius * np.sin(angle), noise), y


def _xor(random, n_rows, noise):
    """Points in the square from -1 to 1; the class is 1 if the coordinates have different signs."""
    x1, x2 = random.uniform(-1, 1, (2, n_rows))
    return _noisy(random, x1, x2, noise), ((x1 > 0) != (x2 > 0)).astype(int)


def _moons(random, n_rows, noise):
    """Two half circles that face each other."""
    angle, y = random.uniform(0, np.pi, n_rows), np.arange(n_rows) % 2
    x1, x2 = np.where(y == 0, np.cos(angle), 1 - np.cos(angle)), np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _noisy(random, x1 - 0.5, x2 - 0.25, noise), y


def _spirals(random, n_rows, noise):
    """Two spirals with 1.5 turns each around the origin."""
    share, y = np.sqrt(random.uniform(0, 1, n_rows)), np.arange(n_rows) % 2
    angle = 3 * np.pi * share + np.pi * y
    return _noisy(random, share * np.cos(angle), share * np.sin(angle), noise / 4), y


def _regression(random, n_rows, noise):
    """The function sin(π x1) (1 + x2) / 2 in the square from -1 to 1."""
    x1, x2 = random.uniform(-1, 1, (2, n_rows))
    y = np.sin(np.pi * x1) * (1 + x2) / 2 + noise * random.standard_normal(n_rows)
    return np.column_stack([x1, x2]), y


def _noisy(random, x1, x2, noise):
    return np.column_stack([x1, x2]) + noise * random.standard_normal((len(x1), 2))


_GENERATORS = {"circles": _circles, "xor": _xor, "moons": _moons, "spirals": _spirals, "regression": _regression}
