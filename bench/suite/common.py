"""Networks, seeded data and timing functions for the asv suite and `ratios.py`.

Both libraries get the same arrays, parameters and seed, and one BLAS thread. Functions return the seconds of a fit or an epoch, or
a comparison of fastbp with scikit-learn. Networks and data sets may be added, but existing ones must not be changed, so that old
results remain comparable. With FASTBP_BENCH=quick, all work is reduced to a check that it runs.
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
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fastbp

# The limit applies to the whole process. It must be set after NumPy's and SciPy's BLAS libraries were loaded. fastbp does not use
# BLAS and reads OMP_NUM_THREADS at each fit.
threadpool_limits(1)
os.environ["OMP_NUM_THREADS"] = "1"

LIBRARIES = {"fastbp": fastbp, "sklearn": sklearn.neural_network}


@dataclass(frozen=True)
class Profile:
    """How much to measure: rounds, seconds per timing, maximum epochs, and the fraction of rows that is used."""

    rounds: int
    seconds: float
    most_epochs: int
    row_share: float


PROFILES = {"full": Profile(9, 0.15, 3000, 1.0), "quick": Profile(1, 0.0, 2, 0.1)}


def profile():
    """The profile that FASTBP_BENCH selects."""
    name = os.environ.get("FASTBP_BENCH", "full")
    if name not in PROFILES:
        raise ValueError(f"FASTBP_BENCH must be one of {list(PROFILES)}; got {name!r}.")
    return PROFILES[name]


# ---------------------------------------------------------------------- networks and data


@dataclass(frozen=True)
class Network:
    """A classifier to train. An output layer of one unit means two classes."""

    sizes: tuple[int, ...]
    batch_size: int
    solver: str = "adam"
    activation: str = "relu"
    n_rows: int = 4000

    def data(self, dtype):
        """X and y of a random classification problem. Some labels are wrong, so that training does not converge."""
        n_rows = max(2 * self.batch_size, int(self.n_rows * profile().row_share))
        n_features, n_classes = self.sizes[0], max(2, self.sizes[-1])
        n_informative = min(n_features, 10)
        X, y = make_classification(
            n_rows, n_features, n_informative=n_informative, n_redundant=0, n_classes=n_classes, flip_y=0.1, random_state=0
        )
        return StandardScaler().fit_transform(X).astype(dtype), y

    def estimator(self, library, n_epochs):
        """An estimator that trains for exactly n_epochs epochs."""
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
TABLES = {"iris": load_iris, "wine": load_wine, "diabetes": load_diabetes}


def table(name, dtype):
    """X and y of a small data set of scikit-learn, standardized. The targets of diabetes are divided by 100."""
    X, y = TABLES[name](return_X_y=True)
    if name == "diabetes":
        y = (y / 100).astype(dtype)
    return StandardScaler().fit_transform(X).astype(dtype), y


def default_estimator(library, name):
    """An estimator with default parameters for this data set. The quick profile reduces max_iter."""
    limits = {"max_iter": 2} if profile() is PROFILES["quick"] else {}
    estimator = LIBRARIES[library].MLPRegressor if name == "diabetes" else LIBRARIES[library].MLPClassifier
    return estimator(random_state=0, **limits)


# ---------------------------------------------------------------------- timing


def fit(estimator, X, y, **given):
    """Fit and ignore the ConvergenceWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y, **given)


def rounded(value, n_digits):
    """Round a value to n_digits significant digits, because asv prints all digits."""
    return float(f"{value:.{n_digits}g}")


def seconds_of(call):
    """The duration of a call in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class EpochTimer:
    """Time the epochs of a network in one library. A short fit is subtracted from a long fit, so that the set-up cancels out."""

    def __init__(self, network, library, dtype):
        self.network, self.library = network, library
        self.X, self.y = network.data(dtype)
        self._fit_seconds(1)  # compiles, or loads compiled code
        self.n_epochs = self._enough_epochs()

    def measure(self):
        """Measure seconds per epoch once."""
        n_short = max(1, self.n_epochs // 10)
        n_long = n_short + self.n_epochs
        return (self._fit_seconds(n_long) - self._fit_seconds(n_short)) / self.n_epochs

    def _enough_epochs(self):
        """The number of epochs that takes about as long as the profile requires."""
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
    """Medians over the rounds: the seconds of each library and their ratio. `lowest` and `highest` are the extreme ratios."""

    fastbp: float
    sklearn: float
    ratio: float
    lowest: float
    highest: float


def compare(measure):
    """Compare both libraries. `measure` maps the name of each library to a function that measures its seconds once.

    The libraries take turns, so that a slow phase of the machine affects both. Ratios are computed within a round.
    """
    rounds = []
    for _ in range(profile().rounds):
        rounds.append({library: measure[library]() for library in LIBRARIES})
    ratios = sorted(one["sklearn"] / one["fastbp"] for one in rounds)
    return Comparison(*(median(one[library] for one in rounds) for library in LIBRARIES), median(ratios), ratios[0], ratios[-1])


def compare_epochs(network, dtype):
    """Compare the seconds per epoch; return a `Comparison`."""
    return compare({library: EpochTimer(network, library, dtype).measure for library in LIBRARIES})


def compare_default_fits(name, dtype):
    """Compare complete fits with default parameters on a small data set; return a `Comparison`."""
    X, y = table(name, dtype)

    def measure(library):
        estimator = default_estimator(library, name)
        return seconds_of(lambda: fit(estimator, X, y))

    for library in LIBRARIES:
        measure(library)  # compiles
    return compare({library: lambda library=library: measure(library) for library in LIBRARIES})


# ---------------------------------------------------------------------- environment


def environment():
    """The processor and the versions of all packages, in one line."""
    packages = (fastbp, sklearn, numba, np, scipy)
    versions = [f"{package.__name__} {package.__version__}" for package in packages]
    return ", ".join([f"{_processor()} with {os.cpu_count()} cores", f"Python {platform.python_version()}", *versions])


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
