r"""
========================================================
Nielsen, chapter 3: cross-entropy, L2 and better weights
========================================================

Chapter 3 of Michael Nielsen's book improves the network of chapter 1 in three ways: the cross-entropy replaces the quadratic
cost, L2 regularization limits the weights, and the initial weights have the standard deviation :math:`1/\sqrt{n}` for n inputs of
a unit, instead of 1. With 100 hidden units, 97.8 % of the validation images are recognized after 30 epochs, and about 98 % after
60. This example repeats a stored run of the book exactly, and then trains networks with other random numbers.

Reference: M. A. Nielsen, *Neural Networks and Deep Learning*, Determination Press, 2015, chapter 3,
http://neuralnetworksanddeeplearning.com/chap3.html. The stored run is ``fig/weight_initialization_100.json`` in
https://github.com/mnielsen/neural-networks-and-deep-learning.
"""

# %%
# A stored run
# ------------
#
# The book compares the two kinds of initial weights: learning rate 0.1, :math:`\lambda = 5`, batches of 10 images, 30 epochs.
# These are the numbers of correct validation images, of 10,000, after each epoch. To save time, the run with large weights is
# repeated for 10 epochs only.

import random
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

# fmt: off
STORED = {
    "scaled": [
        9295, 9481, 9547, 9592, 9664, 9673, 9702, 9719, 9726, 9726, 9732, 9732, 9730, 9734, 9745,
        9751, 9757, 9761, 9764, 9766, 9758, 9767, 9756, 9752, 9777, 9775, 9770, 9770, 9771, 9781,
    ],
    "large": [
        8994, 9181, 9260, 9364, 9427, 9449, 9497, 9512, 9560, 9578,
    ],
}
# fmt: on

# %%
# To repeat the run, the network gets the weights that the program of the book draws, and the rows in the same order:
# ``plot_nielsen_replay.py`` explains the details. The program first trains with scaled weights; then it draws large weights, and
# continues to shuffle the same list of rows. Training is in float64.

SEED, N_TRAINING, BATCH_SIZE = 12345678, 50_000, 10
images, digits = load_mnist(return_X_y=True)
X, Y = images / 256, np.eye(10, dtype=int)[digits]
validation = slice(50_000, 60_000)
OPTIONS = {
    "hidden_layer_sizes": 100,
    "activation": "logistic",
    "solver": "sgd",
    "learning_rate_init": 0.1,
    "momentum": 0,
    "alpha": 5 * BATCH_SIZE / N_TRAINING,
    "batch_size": BATCH_SIZE,
}


def count_correct(network, X):
    return (network.predict_proba(X[validation]).argmax(axis=1) == digits[validation]).sum()


def shuffle_as_python_2(rows, generator):
    for i in range(len(rows) - 1, 0, -1):
        j = int(generator.random() * (i + 1))
        rows[i], rows[j] = rows[j], rows[i]


def draw_weights(generator, scaled):
    intercepts = [generator.randn(100), generator.randn(10)]
    coefs = [generator.randn(n_out, n_in).T / (np.sqrt(n_in) if scaled else 1) for n_in, n_out in ((784, 100), (100, 10))]
    return {"coefs_init": coefs, "intercepts_init": intercepts}


def replay(kind):
    """The numbers of correct validation images after each epoch of the stored run."""
    of_weights, of_rows, rows = np.random.RandomState(SEED), random.Random(SEED), list(range(N_TRAINING))
    start = draw_weights(of_weights, scaled=True)
    if kind == "large":
        start = draw_weights(of_weights, scaled=False)
        for _ in STORED["scaled"]:
            shuffle_as_python_2(rows, of_rows)
    network, counts = MLPClassifier(shuffle=False, n_threads=1, **OPTIONS, **start), []
    for _ in STORED[kind]:
        shuffle_as_python_2(rows, of_rows)
        network.partial_fit(X[rows], Y[rows])
        counts.append(count_correct(network, X))
    return counts


# %%
# Other random numbers
# --------------------
#
# Two networks with scaled weights and other seeds, for 60 epochs, in float32. The callback counts the correct validation
# images.

X_float32 = X.astype(np.float32)


def train(seed):
    counts = []

    def count(network, epoch, logs):
        counts.append(count_correct(network, X_float32))

    network = MLPClassifier(
        weight_init="lecun_normal",
        bias_init="standard_normal",
        max_iter=60,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=seed,
        callbacks=count,
        **OPTIONS,
    )
    network.fit(X_float32[:N_TRAINING], Y[:N_TRAINING])
    return counts


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed
    tasks = [*(delayed(train)(seed) for seed in range(2)), *(delayed(replay)(kind) for kind in STORED)]
    *others, scaled, large = Parallel(n_jobs=-1, prefer="threads")(tasks)

# %%
# Results
# -------
#
# The accuracy fluctuates from epoch to epoch, so the maximum is printed as well.

replayed = {"scaled": scaled, "large": large}
others = np.array(others)
for kind, counts in replayed.items():
    equal = sum(one == other for one, other in zip(counts, STORED[kind], strict=True))
    n_epochs = len(counts)
    print(f"{kind} weights: {equal} of {n_epochs} epochs have the same number of correct images; at last {counts[-1] / 100:.2f} %")
for seed, counts in enumerate(others / 100):
    print(f"seed {seed}: {counts[29]:.2f} % after 30 epochs, {counts[59]:.2f} % after 60 epochs, {counts.max():.2f} % at most")

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for (kind, counts), color in zip(replayed.items(), ["tab:blue", "tab:orange"], strict=True):
    epochs = range(1, len(counts) + 1)
    axes.plot(epochs, np.array(counts) / 100, color=color, label=f"{kind} initial weights, seed of the book")
    axes.plot(epochs, np.array(STORED[kind]) / 100, "x", color="black", markersize=5)
axes.plot([], [], "kx", label="stored by the book")
for seed, counts in enumerate(others):
    axes.plot(range(1, 61), counts / 100, color="gray", linewidth=0.9, label="scaled, other seeds" if seed == 0 else None)
axes.axhline(97.8, color="black", linestyle=":", linewidth=1)
axes.set(
    xlabel="epoch",
    ylabel="accuracy on the validation images (%)",
    title="784-100-10 sigmoid units, cross-entropy, η = 0.1, λ = 5",
    ylim=(93, 98.5),
)
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
plt.show()
