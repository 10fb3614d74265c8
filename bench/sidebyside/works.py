"""Define what all peers train: networks, data, starting weights, batches and goals.

The data are those of the asv suite. Starting weights and shuffles are those of scikit-learn with ``random_state=0``. This module
generates them without scikit-learn, so that all peers start from the same weights and use the same batches. `loss` computes the
loss of a trained network in float64 with NumPy. This module imports no peer.
"""

import os
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

LEARNING_RATE, MOMENTUM, BETA_1, BETA_2, EPSILON, ALPHA = 0.001, 0.9, 0.9, 0.999, 1e-8, 0.0001  # scikit-learn's defaults
PEERS = ("fastbp", "scikit-learn", "JAX", "torch")


@dataclass(frozen=True)
class Work:
    """A classifier to train. `goals` states how many times faster than each peer fastbp should be.

    An output layer of one unit means two classes. `n_threads` applies to all peers except JAX. `limit` is the goal for the ratio of
    two times: the matrix products with BLAS, divided by a whole step of fastbp on one thread.
    """

    sizes: tuple[int, ...]
    batch_size: int
    solver: str
    goals: dict[str, float]
    activation: str = "relu"
    dtype: str = "float32"
    n_rows: int = 4000
    n_threads: int = 1
    limit: float | None = None
    non_zeros: int | None = None

    @property
    def n_products(self):
        """The number of multiply-adds in the matrix products of a step."""
        shapes = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return self.batch_size * (3 * sum(shapes) - shapes[0])


def _goals(sklearn, jax, torch):
    return {"scikit-learn": sklearn, "JAX": jax, "torch": torch}


WORKS = {
    "10-16-1 b10 sgd": Work((10, 16, 1), 10, "sgd", _goals(180, 11, 350), n_rows=1000),
    "10-16-1 b1 sgd": Work((10, 16, 1), 1, "sgd", _goals(250, 4.5, 500), n_rows=1000),
    "20-100-1 b200 adam": Work((20, 100, 1), 200, "adam", _goals(13, 7, 14), limit=0.9),
    "64-100-10 b200 adam": Work((64, 100, 10), 200, "adam", _goals(5, 2.6, 5.3), limit=0.95),
    "32-64-64-3 b32 adam": Work((32, 64, 64, 3), 32, "adam", _goals(17, 3.5, 25)),
    "30-50-50-1 b32 sgd sigmoid": Work((30, 50, 50, 1), 32, "sgd", _goals(13, 3.2, 22), activation="logistic"),
    "20-100-100-4 b200 adam tanh": Work((20, 100, 100, 4), 200, "adam", _goals(2.8, 1.9, 4), activation="tanh"),
    "784-128-10 b128 adam": Work((784, 128, 10), 128, "adam", _goals(3.7, 1.5, 2.8), n_rows=6400, n_threads=2, limit=0.95),
    "50-256-256-256-5 b256 adam": Work(
        (50, 256, 256, 256, 5), 256, "adam", _goals(3.2, 1.65, 2.1), n_rows=4096, n_threads=2, limit=1.03
    ),
    "500-1024-1024-10 b512 adam": Work(
        (500, 1024, 1024, 10), 512, "adam", _goals(1.75, 1.15, 1.2), n_rows=2048, n_threads=2, limit=1.03
    ),
    "20-100-1 b200 adam float64": Work((20, 100, 1), 200, "adam", _goals(6.5, 3.8, 7), dtype="float64"),
}
SPARSE_WORKS = {
    "one-hot CSR 5000-64-1 b200 adam": Work((5000, 64, 1), 200, "adam", {"scikit-learn": 5}, n_rows=10_000, non_zeros=20),
}


def data(work):
    """X and y (class codes), with a number of rows that is a multiple of the batch size."""
    from suite.common import Network, profile

    if work.non_zeros:
        X, y = _one_hot(work, max(2 * work.batch_size, int(work.n_rows * profile().row_share)))
    else:
        X, y = Network(work.sizes, work.batch_size, n_rows=work.n_rows).data(work.dtype)
    n_rows = len(y) // work.batch_size * work.batch_size
    return X[:n_rows], y[:n_rows]


def _one_hot(work, n_rows):
    """CSR rows with one nonzero in each of `non_zeros` groups of columns, and classes from a random linear function of the row."""
    random = np.random.RandomState(0)
    n_features = work.sizes[0]
    width = n_features // work.non_zeros
    columns = random.randint(width, size=(n_rows, work.non_zeros)) + width * np.arange(work.non_zeros)
    starts = np.arange(0, columns.size + 1, work.non_zeros)
    X = sparse.csr_array((np.ones(columns.size, work.dtype), columns.ravel(), starts), shape=(n_rows, n_features))
    return X, (X @ random.normal(size=n_features) > 0).astype(int)


class Start:
    """Starting weights (Glorot uniform) and the row order of each epoch, drawn in this order from one random number generator."""

    def __init__(self, work, n_rows):
        random = np.random.RandomState(0)
        factor = 2 if work.activation == "logistic" else 6
        self.coefs, self.intercepts = [], []
        for n_in, n_out in pairwise(work.sizes):
            bound = np.sqrt(factor / (n_in + n_out))
            self.coefs.append(random.uniform(-bound, bound, (n_in, n_out)).astype(work.dtype))
            self.intercepts.append(random.uniform(-bound, bound, n_out).astype(work.dtype))
        self.state, self.n_rows, self.batch_size = random.get_state(), n_rows, work.batch_size

    def orders(self, n_epochs):
        """Yield the row indices (n_batches, batch_size) of each epoch. Each order is a shuffle of the previous order."""
        random, latest = np.random.RandomState(), np.arange(self.n_rows)
        random.set_state(self.state)
        for _ in range(n_epochs):
            latest = latest[random.permutation(self.n_rows)]
            yield latest.reshape(-1, self.batch_size)


def loss(work, weights, X, y):
    """The mean log-loss, in float64 and without penalty, of a network with weights (coefs, intercepts)."""
    coefs, intercepts = ([np.asarray(array, np.float64) for array in arrays] for arrays in weights)
    A = X.astype(np.float64)
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        A = ACTIVATIONS[work.activation](A @ W + b)
    Z = A @ coefs[-1] + intercepts[-1]
    if Z.shape[1] == 1:
        Z = np.hstack([np.zeros_like(Z), Z])
    return float(np.mean(np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(y)), y]))


ACTIVATIONS = {"relu": lambda Z: np.maximum(Z, 0), "tanh": np.tanh, "logistic": lambda Z: 1 / (1 + np.exp(-Z))}


def is_quick():
    return os.environ.get("FASTBP_BENCH") == "quick"
