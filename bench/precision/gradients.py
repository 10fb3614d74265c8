"""The relative errors of the gradients of float32 and mixed_bfloat16, for each weight matrix, before and after some epochs.

The weights are those of a float32 fit. For each batch, `fastbp.inspection.trace` computes the gradients with the same weights in
float64, in float32 and with products of bfloat16 numbers. Rows of a Markdown table come out.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sidebyside.works import Start, Work, data

from .accuracy import DTYPES

EXACT = "float64"
# A step with this learning rate is smaller than the rounding errors of the weights.
_NO_STEP = 1e-30


class Network(NamedTuple):
    """The sizes of a network, the rows of a batch, and the number of epochs before the second measurement."""

    sizes: tuple[int, ...]
    batch_size: int
    n_rows: int = 4096
    n_epochs: int = 20
    activation: str = "relu"


NETWORKS = {
    "784-128-10 b256": Network((784, 128, 10), 256),
    "50-256-256-256-1 b256": Network((50, 256, 256, 256, 1), 256),
    "50-256-256-256-1 b256 tanh": Network((50, 256, 256, 256, 1), 256, activation="tanh"),
    "500-1024-1024-10 b512": Network((500, 1024, 1024, 10), 512),
}


class Errors(NamedTuple):
    """For each layer: ‖g − g₆₄‖ / ‖g₆₄‖ of both values of `dtype`, and ‖g₆₄ − h‖ / ‖h‖ for the gradient h of all rows."""

    float32: np.ndarray
    mixed: np.ndarray
    sampling: np.ndarray


def gradient_rows(name, network, n_batches):
    """Rows of a table: one for each layer, before training and after the epochs of the network."""
    work = Work(network.sizes, network.batch_size, "adam", {}, network.activation, n_rows=network.n_rows)
    X, y = data(work)
    start = Start(work, len(y))
    weights = start.coefs, start.intercepts
    for when in ("start", f"{network.n_epochs} epochs"):
        errors = errors_of(network, weights, X, y, n_batches)
        for layer, values in enumerate(zip(*errors, strict=True)):
            n_in, n_out = network.sizes[layer : layer + 2]
            yield [name, when, f"{n_in} × {n_out}", *(f"{value:.2g}" for value in values)]
        weights = _trained(network, weights, X, y)


def errors_of(network, weights, X, y, n_batches):
    """The `Errors`, as root mean squares over batches."""
    models = {dtype: _untrained(network, weights, X, y, dtype) for dtype in (*DTYPES, EXACT)}
    whole = _gradients(models[EXACT], X, y)
    squares = []
    for at in range(0, n_batches * network.batch_size, network.batch_size):
        batch = X[at : at + network.batch_size], y[at : at + network.batch_size]
        if len(batch[1]) < network.batch_size:
            break
        exact = _gradients(models[EXACT], *batch)
        compared = [(_gradients(models[dtype], *batch), exact) for dtype in DTYPES] + [(exact, whole)]
        squares.append([[_relative(g, of) ** 2 for g, of in zip(*pair, strict=True)] for pair in compared])
    return Errors(*np.sqrt(np.mean(squares, axis=0)))


def _gradients(model, X, y):
    from fastbp.inspection import trace

    return trace(model, X, y).coef_grads


def _relative(g, exact):
    exact = exact.astype(np.float64)
    return np.linalg.norm(g - exact) / np.linalg.norm(exact)


def _untrained(network, weights, X, y, dtype):
    """An estimator with the given weights and without penalties."""
    options = {"solver": "sgd", "learning_rate_init": _NO_STEP, "momentum": 0, "max_iter": 1, "dtype": dtype}
    model = _fitted(network, weights, X, y, **options)
    if not all(np.array_equal(*pair) for pair in zip(model.coefs_, weights[0], strict=True)):
        raise RuntimeError("The weights have changed.")
    return model


def _trained(network, weights, X, y):
    model = _fitted(network, weights, X, y, max_iter=network.n_epochs)
    return model.coefs_, model.intercepts_


def _fitted(network, weights, X, y, **options):
    from fastbp import MLPClassifier

    coefs, intercepts = weights
    model = MLPClassifier(
        network.sizes[1:-1],
        network.activation,
        alpha=0,
        batch_size=network.batch_size,
        n_iter_no_change=np.inf,
        random_state=0,
        n_threads=1,
        coefs_init=coefs,
        intercepts_init=intercepts,
        **options,
    )
    with warnings.catch_warnings(action="ignore"):  # of maximum iterations
        return model.fit(X, y)
