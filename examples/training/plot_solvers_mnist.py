"""
================
Solvers on MNIST
================

All solvers of fastbp train the same network on MNIST for the same number of epochs. The example compares the accuracy on the test
images and the duration of training.

A comparison of solvers depends on their learning rates [1]_. Each solver therefore gets the best of three learning rates, which is
chosen with validation images and not with the test images.

.. [1] Choi, Shallue, Nado, Lee, Maddison and Dahl, "On Empirical Comparisons of Optimizers for Deep Learning", 2019,
   arXiv:1910.05446.
"""

# %%
# The learning rate of each solver
# --------------------------------
# The three learning rates are the one below, its triple and its third. The network has 50 hidden units. It is trained for one epoch
# with half of the training images, and scored with 10,000 other training images.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:60000], y[:60000], X[60000:], y[60000:]
X_half, y_half, X_val, y_val = X[:30000], y[:30000], X[50000:60000], y[50000:60000]
solvers = {
    "sgd": ({"solver": "sgd", "momentum": 0}, 0.3),
    "sgd, momentum": ({"solver": "sgd", "nesterovs_momentum": False}, 0.1),
    "sgd, Nesterov": ({"solver": "sgd"}, 0.1),
    "adagrad": ({"solver": "adagrad"}, 0.03),
    "adadelta": ({"solver": "adadelta"}, 1.0),
    "rmsprop": ({"solver": "rmsprop"}, 0.003),
    "adam": ({"solver": "adam"}, 0.003),
    "adamw": ({"solver": "adamw", "alpha": 0, "weight_decay": 0.01}, 0.003),
    "nadam": ({"solver": "nadam"}, 0.003),
    "adamax": ({"solver": "adamax"}, 0.01),
    "lion": ({"solver": "lion"}, 0.0003),
    "lbfgs": ({"solver": "lbfgs"}, None),
}


def train(X, y, max_iter, random_state, **parameters):
    """The network after a fixed number of epochs, and the duration of training in seconds."""
    model = MLPClassifier(50, max_iter=max_iter, tol=0, n_iter_no_change=np.inf, random_state=random_state, **parameters)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return model, time.perf_counter() - start


best_rate = {}
for name, (parameters, middle) in solvers.items():
    if middle is not None:  # L-BFGS has no learning rate
        rates = middle / 3, middle, 3 * middle
        scores = [train(X_half, y_half, 1, 0, learning_rate_init=rate, **parameters)[0].score(X_val, y_val) for rate in rates]
        best_rate[name] = rates[np.argmax(scores)]

# %%
# Training
# --------
# Three epochs with all training images, in batches of 200, and three seeds. An iteration of L-BFGS uses all images at once, so
# L-BFGS gets three iterations instead.

n_epochs, seeds = 3, (0, 1, 2)
accuracies, seconds, losses = {}, {}, {}
for name, (parameters, _) in solvers.items():
    rate = {"learning_rate_init": best_rate[name]} if name in best_rate else {}
    runs = [train(X_train, y_train, n_epochs, seed, **rate, **parameters) for seed in seeds]
    accuracies[name] = np.array([model.score(X_test, y_test) for model, _ in runs])
    seconds[name] = min(duration for _, duration in runs)
    losses[name] = np.mean([model.loss_ for model, _ in runs])

order = sorted(solvers, key=lambda name: -accuracies[name].mean())
print("solver          learning rate   loss     test accuracy, mean (lowest to highest)   seconds (shortest of three fits)")
for name in order:
    a = accuracies[name]
    span = f"{a.mean():.4f} ({a.min():.4f} to {a.max():.4f})"
    print(f"{name:15} {best_rate.get(name, np.nan):13.4g}   {losses[name]:.4f}   {span:40}  {seconds[name]:.2f}")

# %%
# The result
# ----------
# Nadam has the highest mean accuracy. The next four are gradient descent with momentum, Adam, AdamW and Adamax. Their means differ
# by less than the accuracies of one solver with different seeds. All five are better than gradient descent alone. Adadelta and Lion
# are the last of the solvers with batches.
#
# The order depends on how the learning rates are chosen. One epoch is short, so that most of the solvers get the largest of their
# three rates. With more rates and a longer selection, some of the solvers could change places.
#
# L-BFGS cannot do much in three iterations. It is intended for small data sets, where hundreds of iterations are cheap. The times
# of the other solvers differ little, because most of the work is in the matrix products and not in the update.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
shown = [name for name in reversed(order) if name != "lbfgs"]
for position, name in enumerate(shown):
    left.plot(accuracies[name], [position] * len(seeds), "o", color="tab:blue", alpha=0.5)
    left.plot(accuracies[name].mean(), position, "|", color="black", markersize=14)
    right.barh(position, seconds[name], color="tab:gray")
labels = [f"{name} ({best_rate[name]:.3g})" for name in shown]
left.set(xlabel="test accuracy of three seeds, and their mean", yticks=range(len(shown)), yticklabels=labels)
left.set_ylabel("solver (learning rate)")
right.set(xlabel="seconds for three epochs")
for ax in (left, right):
    ax.grid(alpha=0.25)
figure.suptitle("Three epochs on MNIST (without L-BFGS)")
plt.show()
