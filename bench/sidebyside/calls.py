"""Measure complete calls of scikit-learn and fastbp: default fits, predictions and cross-validation.

An object of each class runs in its own process, which `remote` starts. Its methods return seconds or bytes. One thread is used
unless `n_threads` is given.
"""

import resource
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from .works import is_quick

MODULES = {"fastbp": "fastbp", "scikit-learn": "sklearn.neural_network"}
TABLES = {"iris": load_iris, "wine": load_wine, "diabetes": load_diabetes}
N_CLASSES = 4


def estimator(library, name, *arguments, n_threads=1, **options):
    """An estimator of scikit-learn or fastbp. `n_threads` is passed only to fastbp."""
    if library == "fastbp":
        options["n_threads"] = n_threads
    return getattr(import_module(MODULES[library]), name)(*arguments, random_state=0, **options)


def quietly(fit, *arguments, **options):
    """Call `fit` and ignore the ConvergenceWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(*arguments, **options)


def random_data(n_rows, n_features):
    """Random float32 inputs, created without a larger temporary array, and random classes."""
    random = np.random.default_rng(0)
    return random.standard_normal((n_rows, n_features), np.float32), random.integers(N_CLASSES, size=n_rows)


class Repeated:
    """A call that is repeated until its time can be measured accurately. A subclass defines `call`."""

    n_calls = 1

    def calibrate(self, seconds):
        self.call()  # compiles
        taken = self.seconds()
        self.n_calls = max(1, round(seconds / taken))

    def seconds(self):
        start = time.perf_counter()
        for _ in range(self.n_calls):
            self.call()
        return (time.perf_counter() - start) / self.n_calls


class DefaultFit(Repeated):
    """A complete fit in float64 with default parameters. `quality` returns the final loss and the number of epochs."""

    def __init__(self, library, table):
        X, self.y = TABLES[table](return_X_y=True)
        self.X = StandardScaler().fit_transform(X)
        if table == "diabetes":
            self.y = self.y / 100
        limits = {"max_iter": 2} if is_quick() else {}
        self.estimator = estimator(library, "MLPRegressor" if table == "diabetes" else "MLPClassifier", **limits)

    def call(self):
        quietly(self.estimator.fit, self.X, self.y)

    def quality(self):
        return self.estimator.loss_, self.estimator.n_iter_


class Predict(Repeated):
    """`predict` of `n_rows` rows with a network 20-100-100-4 in float32."""

    def __init__(self, library, n_rows):
        self.X, y = random_data(max(n_rows, 1000), 20)
        self.estimator = estimator(library, "MLPClassifier", (100, 100), max_iter=1)
        quietly(self.estimator.fit, self.X[:1000], y[:1000])
        self.estimator.predict(self.X[:100])
        self.X = self.X[:n_rows]

    def call(self):
        self.estimator.predict(self.X)

    def growth(self):
        """The increase of the peak memory of the process during the first call, in bytes."""
        before = peak_memory()
        self.call()
        return peak_memory() - before


def peak_memory():
    """The peak memory in bytes. On Linux, ru_maxrss may be inherited from the parent process; VmHWM is not."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line.split() for line in status.read_text().splitlines()]
        return 1024 * next(int(words[1]) for words in lines if words[0] == "VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class CrossValidation:
    """One `cross_val_score` of fastbp in a new process. The time for starting worker processes is included."""

    def __init__(self, n_epochs):
        n_rows = 600 if is_quick() else 12_000
        self.X, self.y = random_data(n_rows, 50)
        self.n_epochs = n_epochs

    def seconds(self, n_jobs, n_threads):
        network = estimator(
            "fastbp",
            "MLPClassifier",
            (256, 256),
            batch_size=256,
            max_iter=self.n_epochs,
            n_iter_no_change=np.inf,
            n_threads=n_threads,
        )
        start = time.perf_counter()
        quietly(cross_val_score, network, self.X, self.y, cv=4, n_jobs=n_jobs)
        seconds = time.perf_counter() - start
        if n_jobs > 1:
            get_reusable_executor().shutdown()  # otherwise the idle processes of joblib would remain for five minutes
        return seconds
