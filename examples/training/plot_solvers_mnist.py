"""
================
Solvers on MNIST
================
"""

# %%
# The learning rate of each solver
# --------------------------------

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

mnist = load_mnist()
X, y = (mnist.data / 255).astype(np.float32), mnist.target
X_train, y_train, X_test, y_test = X[:60000], y[:60000], X[60000:], y[60000:]
n_epochs, seeds = 5, (0, 1, 2)
solvers = {
    "sgd": {"solver": "sgd", "momentum": 0},
    "sgd, momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, Nesterov": {"solver": "sgd"},
    **{name: {"solver": name} for name in ("adagrad", "adadelta", "rmsprop", "adam", "adamw", "nadam", "adamax", "lion")},
}


def train(X, y, max_iter, random_state, **parameters):
    """A network with 100 hidden units after a fixed number of epochs, and the seconds that the training took."""
    model = MLPClassifier(100, max_iter=max_iter, tol=0, n_iter_no_change=np.inf, random_state=random_state, **parameters)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return model, time.perf_counter() - start


rates = np.logspace(-4.5, 1, 12)
X_small, y_small, X_val, y_val = X[:10000], y[:10000], X[50000:60000], y[50000:60000]
best_rate = {}
for name, parameters in solvers.items():
    scores = []
    for rate in rates:
        try:
            model, _ = train(X_small, y_small, 2, 0, learning_rate_init=rate, **parameters)
            scores.append(model.score(X_val, y_val))
        except ValueError:  # the loss is NaN
            scores.append(0)
    best_rate[name] = rates[np.argmax(scores)]
    print(name, np.round(scores, 3))

accuracies, seconds, curves = {}, {}, {}
for name, parameters in {**solvers, "lbfgs": {"solver": "lbfgs"}}.items():
    more = {"learning_rate_init": best_rate[name]} if name in best_rate else {}
    runs = [train(X_train, y_train, n_epochs, seed, **more, **parameters) for seed in seeds]
    accuracies[name] = [model.score(X_test, y_test) for model, _ in runs]
    seconds[name] = min(duration for _, duration in runs)
    curves[name] = [model.history_["loss"] for model, _ in runs] if name != "lbfgs" else None
    print(f"{name:15} {more} {np.mean(accuracies[name]):.4f} {min(accuracies[name]):.4f} {max(accuracies[name]):.4f} {seconds[name]:.1f}")
