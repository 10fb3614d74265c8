"""What is measured, and how: the one place that the asv suite and `ratios.py` have both from.

Networks and seeded data come out, and seconds: of a fit, of an epoch, of fastbp and scikit-learn side by side. Both libraries get
the same arrays, parameters and seed, and one BLAS thread. Data sets and networks are only ever added, never changed: results of
last year would no longer compare. FASTBP_BENCH=quick shrinks everything until it only shows that it runs.
"""

import os
import platform
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numba
import numpy as np
import scipy
import sklearn.neural_network
from sklearn.datasets import load_iris, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fastbp

# For as long as the process lives, and after both BLAS libraries, NumPy's and SciPy's, were loaded. fastbp, which calls no BLAS,
# looks at the variable whenever it trains.
threadpool_limits(1)
os.environ["OMP_NUM_THREADS"] = "1"

LIBRARIES = {"fastbp": fastbp, "sklearn": sklearn.neural_network}


@dataclass(frozen=True)
class Profile:
    """How long measuring may take: rounds of pairs, the seconds that a difference of two fits aims at, rows as a fraction."""

    rounds: int
    seconds: float
    most_epochs: int
    row_share: float


PROFILES = {"full": Profile(9, 0.15, 3000, 1.0), "quick": Profile(1, 0.0, 2, 0.1)}


def profile():
    """The profile that FASTBP_BENCH names."""
    name = os.environ.get("FASTBP_BENCH", "full")
    if name not in PROFILES:
        raise ValueError(f"FASTBP_BENCH must be one of {list(PROFILES)}; got {name!r}.")
    return PROFILES[name]


# ---------------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Network:
    """A classifier to train; an output layer of one unit means two classes."""

    sizes: tuple[int, ...]
    batch_size: int
    solver: str = "adam"
    activation: str = "relu"
    n_rows: int = 4000

    def data(self, dtype):
        """X and y of a random but learnable problem, with labels that are wrong now and then so that training never ends."""
        n_rows = max(2 * self.batch_size, int(self.n_rows * profile().row_share))
        n_features, n_classes = self.sizes[0], max(2, self.sizes[-1])
        n_informative = min(n_features, 10)
        X, y = make_classification(
            n_rows, n_features, n_informative=n_informative, n_redundant=0, n_classes=n_classes, flip_y=0.1, random_state=0
        )
        return StandardScaler().fit_transform(X).astype(dtype), y

    def estimator(self, library, n_epochs):
        """One that trains for exactly n_epochs epochs."""
        return LIBRARIES[library].MLPClassifier(
            self.sizes[1:-1],
            self.activation,
            solver=self.solver,
            batch_size=self.batch_size,
            max_iter=n_epochs,
            n_iter_no_change=np.inf,
            random_state=0,
        )


NETWORKS = {
    "10-16-1 b10 sgd": Network((10, 16, 1), 10, solver="sgd", n_rows=1000),
    "20-100-1 b200 adam": Network((20, 100, 1), 200),
    "32-64-64-3 b32 adam": Network((32, 64, 64, 3), 32),
    "30-50-50-1 b32 sgd logistic": Network((30, 50, 50, 1), 32, solver="sgd", activation="logistic"),
    "20-100-100-4 b200 adam tanh": Network((20, 100, 100, 4), 200, activation="tanh"),
    "784-128-10 b128 adam": Network((784, 128, 10), 128, n_rows=12800),
}
DTYPES = ["float32", "float64"]
TABLES = {"iris": load_iris, "wine": load_wine}


def table(name, dtype):
    """X and y of a small data set that comes with scikit-learn, standardized."""
    X, y = TABLES[name](return_X_y=True)
    return StandardScaler().fit_transform(X).astype(dtype), y


def default_estimator(library):
    """A classifier as it is when nobody asks for anything; the quick profile has it stop early."""
    limits = {"max_iter": 2} if profile() is PROFILES["quick"] else {}
    return LIBRARIES[library].MLPClassifier(random_state=0, **limits)


# ---------------------------------------------------------------------- how it is measured


def fit(estimator, X, y, **given):
    """Fit without the warning that training ended before it converged, which here it always does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y, **given)


def rounded(value, n_digits):
    """A value to so many significant digits: asv prints all that it gets."""
    return float(f"{value:.{n_digits}g}")


def seconds_of(call):
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class EpochTimer:
    """Times the epochs of one network in one library, by the difference of a long fit and a short one: set-up cancels out."""

    def __init__(self, network, library, dtype):
        self.network, self.library = network, library
        self.X, self.y = network.data(dtype)
        self._fit_seconds(1)  # compiles, or loads what was compiled before
        self.n_epochs = self._enough_epochs()

    def measure(self):
        """Seconds per epoch, once."""
        n_short = max(1, self.n_epochs // 10)
        n_long = n_short + self.n_epochs
        return (self._fit_seconds(n_long) - self._fit_seconds(n_short)) / self.n_epochs

    def _enough_epochs(self):
        """So many that they take about as long as the profile wants."""
        wanted = profile()
        n_epochs, seconds = 1, 0.0
        while seconds < wanted.seconds / 2 and n_epochs < wanted.most_epochs:
            n_epochs *= 2
            seconds = self._fit_seconds(n_epochs)
        return min(max(1, round(n_epochs * wanted.seconds / max(seconds, 1e-6))), wanted.most_epochs)

    def _fit_seconds(self, n_epochs):
        estimator = self.network.estimator(self.library, n_epochs)
        return seconds_of(lambda: fit(estimator, self.X, self.y))


@dataclass(frozen=True)
class Comparison:
    """Medians over rounds: seconds of each library, and the ratio of the two within a round."""

    fastbp: float
    sklearn: float
    ratio: float
    lowest: float
    highest: float


def compare(measure):
    """A `Comparison` from `measure`, which maps the name of each library to a function that measures its seconds once.

    The two take turns, so that a slow moment of the machine meets both, and ratios are taken within a round.
    """
    rounds = []
    for _ in range(profile().rounds):
        rounds.append({library: measure[library]() for library in LIBRARIES})
    ratios = sorted(one["sklearn"] / one["fastbp"] for one in rounds)
    return Comparison(*(median(one[library] for one in rounds) for library in LIBRARIES), median(ratios), ratios[0], ratios[-1])


def compare_epochs(network, dtype):
    """A `Comparison` of seconds per epoch."""
    return compare({library: EpochTimer(network, library, dtype).measure for library in LIBRARIES})


def compare_default_fits(name, dtype):
    """A `Comparison` of whole fits at default parameters on iris or wine."""
    X, y = table(name, dtype)

    def measure(library):
        estimator = default_estimator(library)
        return seconds_of(lambda: fit(estimator, X, y))

    for library in LIBRARIES:
        measure(library)  # compiles
    return compare({library: lambda library=library: measure(library) for library in LIBRARIES})


# ---------------------------------------------------------------------- where it was measured


def environment():
    """The processor and the versions, in one line."""
    packages = (fastbp, sklearn, numba, np, scipy)
    versions = [f"{package.__name__} {package.__version__}" for package in packages]
    return ", ".join([f"{_processor()} with {os.cpu_count()} cores", f"Python {platform.python_version()}", *versions])


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
