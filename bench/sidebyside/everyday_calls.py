"""The code that is timed for the section "everyday use" of the results page.

An object of `Caller`, `ThreadedFits`, `FitsAfterCall` or `TrainersInTurns` runs in its own process, which `remote` starts. Its
methods return seconds. The arguments are those of `everyday.py`. No limit is set on the threads of BLAS and OpenMP.
"""

import time
from importlib import import_module
from itertools import cycle

import numpy as np
from sklearn.preprocessing import StandardScaler

from .calls import N_CLASSES, TABLES, Repeated, estimator, quietly
from .everyday import CALLS, FIT_AFTER_CALL, WORK_IN_TURNS
from .works import WORKS, data, is_quick

_N_BATCHES = 64
PAUSE = 0.3  # seconds; idle threads of other libraries wait actively for a shorter time


class Caller:
    """The calls of `CALLS` in one library. `prepare` chooses the call."""

    def __init__(self, library):
        self.library = library

    def prepare(self, name, seconds):
        self.prepared = None  # releases the memory of the call before
        self.prepared = prepare(self.library, name)
        self.prepared.calibrate(seconds)

    def seconds(self):
        return self.prepared.seconds()


def prepare(library, name):
    """The `Repeated` of the row `name` of `CALLS`."""
    return globals()[CALLS[name].kind](library, *CALLS[name].arguments)


def _data(n_rows, n_features, dtype):
    """Random inputs and random classes."""
    random = np.random.default_rng(0)
    return random.standard_normal((n_rows, n_features), dtype), random.integers(N_CLASSES, size=n_rows)


class PartialFit(Repeated):
    """One `partial_fit` of `n_rows` rows with 20 features. Each call has other rows, until all batches were used."""

    def __init__(self, library, name, n_rows, hidden, dtype):
        X, y = _data(n_rows * _N_BATCHES, 20, dtype)
        options = {"classes": np.arange(N_CLASSES)} if name == "MLPClassifier" else {}
        if name == "MLPRegressor":
            y = y.astype(dtype)
        self.batches = cycle(zip(X.reshape(-1, n_rows, 20), y.reshape(-1, n_rows), strict=True))
        self.estimator = estimator(library, name, hidden_layer_sizes=hidden, n_threads=None)
        self.estimator.partial_fit(*next(self.batches), **options)

    def call(self):
        X, y = next(self.batches)
        self.estimator.partial_fit(X, y)


class LbfgsIteration(Repeated):
    """One iteration of a fit with solver='lbfgs' in float64: the time of a fit divided by its number of iterations."""

    def __init__(self, library, n_rows, sizes, n_iter):
        n_rows, n_iter = (min(n_rows, 100), 2) if is_quick() else (n_rows, n_iter)
        random = np.random.default_rng(0)
        self.X = random.standard_normal((n_rows, sizes[0]))
        self.y = np.sin(self.X[:, 0]) + self.X[:, 1] ** 2 + random.standard_normal(n_rows)
        options = {"solver": "lbfgs", "max_iter": n_iter, "tol": 0.0, "n_threads": None}
        self.estimator = estimator(library, "MLPRegressor", hidden_layer_sizes=sizes[1:], **options)

    def call(self):
        quietly(self.estimator.fit, self.X, self.y)

    def calibrate(self, seconds):
        self.call()
        super().calibrate(seconds / self.estimator.n_iter_)

    def seconds(self):
        return super().seconds() / self.estimator.n_iter_


class PredictRows(Repeated):
    """`predict` of `n_rows` rows with 20 features. The classifier is trained for only one epoch."""

    def __init__(self, library, n_rows, hidden, dtype):
        self.X, y = _data(min(n_rows, 100) if is_quick() else n_rows, 20, dtype)
        self.estimator = estimator(library, "MLPClassifier", hidden, max_iter=1, n_threads=None)
        quietly(self.estimator.fit, self.X[:1000], y[:1000])

    def call(self):
        self.estimator.predict(self.X)


class PredictOne(Repeated):
    """`predict` of the first row of a data set, with default parameters except `max_iter`."""

    def __init__(self, library, table):
        X, y = TABLES[table](return_X_y=True)
        X = StandardScaler().fit_transform(X)
        name = "MLPRegressor" if table == "diabetes" else "MLPClassifier"
        self.estimator = quietly(estimator(library, name, max_iter=2, n_threads=None).fit, X, y)
        self.X = X[:1].copy()

    def call(self):
        self.estimator.predict(self.X)


class ThreadedFits:
    """A fit of fastbp with different numbers of threads. `prepare` chooses the fit."""

    def prepare(self, fit):
        self.batch_size, self.hidden = fit.batch_size, fit.sizes[1:-1]
        n_rows, self.n_epochs = (2 * fit.batch_size, 1) if is_quick() else (fit.n_rows, fit.n_epochs)
        self.X, self.y = _data(n_rows, fit.sizes[0], fit.dtype)
        for n_threads in (1, 2):
            self.seconds(n_threads)  # compiles

    def seconds(self, n_threads):
        options = {"batch_size": self.batch_size, "max_iter": self.n_epochs, "n_iter_no_change": np.inf}
        classifier = estimator("fastbp", "MLPClassifier", self.hidden, n_threads=n_threads, **options)
        start = time.perf_counter()
        quietly(classifier.fit, self.X, self.y)
        return time.perf_counter() - start


class FitsAfterCall:
    """A fit of fastbp with two threads, alone or right after a call of another library in the same process.

    The threads of that library still poll for work when the fit starts. Before a fit alone, a pause lets them go to sleep.
    """

    def __init__(self, library):
        self.other = _PRODUCTS[library]()
        self.fits = ThreadedFits()
        self.fits.prepare(FIT_AFTER_CALL)

    def seconds_alone(self):
        time.sleep(0.0 if is_quick() else PAUSE)
        return self.fits.seconds(2)

    def seconds_after_call(self):
        for _ in range(3):
            self.other()
        return self.fits.seconds(2)


class TrainersInTurns:
    """Trainers of the network `WORK_IN_TURNS` in one process. Each trainer trains right after another one, or after a pause."""

    def __init__(self, trainers):
        work = WORKS[WORK_IN_TURNS]
        X, y = data(work)
        self.trainers = {}
        for peer, target in trainers.items():
            module, _, name = target.partition(":")
            self.trainers[peer] = getattr(import_module(f"sidebyside.{module}"), name)(work, X, y)
        for trainer in self.trainers.values():
            trainer.train(1)  # compiles

    def seconds(self):
        """{peer: seconds of an epoch}. If there is only one trainer, a pause lets the threads of all processes go to sleep."""
        if len(self.trainers) > 1:
            list(self.trainers.values())[-1].train(1)
        else:
            time.sleep(0.0 if is_quick() else PAUSE)
        return {peer: trainer.seconds(1) for peer, trainer in self.trainers.items()}


_N = 1024  # the products of matrices of this size use several threads in all libraries


def _numpy_product():
    A = np.ones((_N, _N), np.float32)
    return lambda: A @ A


def _torch_product():
    A = import_module("torch").ones((_N, _N))
    return lambda: A @ A


def _jax_product():
    jax = import_module("jax")
    A, product = jax.numpy.ones((_N, _N)), jax.jit(jax.numpy.matmul)
    return lambda: product(A, A).block_until_ready()


_PRODUCTS = {"BLAS of NumPy": _numpy_product, "torch": _torch_product, "JAX": _jax_product}
