"""
================================================
Replaying stored training runs of Nielsen's book
================================================

Chapter 3 of Michael Nielsen's book shows overfitting: a network with 30 hidden units learns 1,000 images of MNIST for 400 epochs.
The cost and the accuracy after each epoch are stored in the repository of the book, together with the seeds of the random
numbers. This example repeats the runs with fastbp and compares: the same initial weights, the same order of the rows, and all
computations in float64.

The network has sigmoid outputs and the cross-entropy cost, summed over the ten outputs. In fastbp, this is a classifier for a
multilabel target: ten columns, of which exactly one is 1.

Reference: M. A. Nielsen, *Neural Networks and Deep Learning*, Determination Press, 2015, chapter 3,
http://neuralnetworksanddeeplearning.com/chap3.html. The stored runs are ``fig/overfitting.json`` and ``fig/regularized.json`` in
https://github.com/mnielsen/neural-networks-and-deep-learning.
"""

# %%
# The same data and the same random numbers
# -----------------------------------------
#
# The book divides the gray levels by 256, not by 255. It runs in Python 2, whose function ``random.shuffle`` draws other numbers
# than that of Python 3, so the order of the rows is computed here. The list of rows is shuffled again before each epoch, so each
# epoch starts with the order of the previous one. The weights are drawn twice, because the program first draws weights with the
# standard deviation :math:`1/\sqrt{n}` and then replaces them by weights with the standard deviation 1.

import random
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from scipy.special import xlogy

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

SEED = 12345678
N_TRAINING, N_EPOCHS, BATCH_SIZE = 1000, 400, 10

images, digits = load_mnist(return_X_y=True)
X, Y = images / 256, np.eye(10, dtype=int)[digits]
X_train, Y_train, X_test, Y_test = X[:N_TRAINING], Y[:N_TRAINING], X[60_000:], Y[60_000:]


def shuffle_as_python_2(rows, generator):
    for i in range(len(rows) - 1, 0, -1):
        j = int(generator.random() * (i + 1))
        rows[i], rows[j] = rows[j], rows[i]


def draw_weights(generator, sizes):
    """Biases are drawn before weights, and a weight matrix has one row per output unit."""
    intercepts = [generator.randn(n_out) for n_out in sizes[1:]]
    coefs = [generator.randn(n_out, n_in).T for n_in, n_out in pairwise(sizes)]
    return coefs, intercepts


# %%
# Training
# --------
#
# With ``shuffle=False``, ``partial_fit`` processes the rows in the order in which they are passed. The book writes an update of
# the weights as :math:`W \leftarrow (1 - \eta\lambda/n) W - \eta \nabla`, where :math:`\nabla` is the mean gradient of the batch.
# In fastbp, ``alpha`` is divided by the number of rows in the batch, so ``alpha`` is :math:`\lambda` times the batch size over n.


def cost_and_accuracy(network, X, Y, lambda_):
    """The cost, with the penalty for the number of these rows as in the book, and the number of correct digits."""
    outputs = network.predict_proba(X)
    cross_entropy = -(xlogy(Y, outputs) + xlogy(1 - Y, 1 - outputs)).sum()
    penalty = lambda_ / 2 * sum((W**2).sum() for W in network.coefs_)
    return (cross_entropy + penalty) / len(X), (outputs.argmax(axis=1) == Y.argmax(axis=1)).sum()


def replay(lambda_):
    """Train, and return test cost, test accuracy, training cost and training accuracy after each epoch."""
    generator = np.random.RandomState(SEED)
    draw_weights(generator, (784, 30, 10))
    coefs, intercepts = draw_weights(generator, (784, 30, 10))
    network = MLPClassifier(
        30,
        activation="logistic",
        solver="sgd",
        learning_rate_init=0.5,
        momentum=0,
        alpha=lambda_ * BATCH_SIZE / N_TRAINING,
        batch_size=BATCH_SIZE,
        shuffle=False,
        coefs_init=coefs,
        intercepts_init=intercepts,
        n_threads=1,
    )
    rows, generator, curves = list(range(N_TRAINING)), random.Random(SEED), []
    for _ in range(N_EPOCHS):
        shuffle_as_python_2(rows, generator)
        network.partial_fit(X_train[rows], Y_train[rows])
        curves.append(
            (*cost_and_accuracy(network, X_test, Y_test, lambda_), *cost_and_accuracy(network, X_train, Y_train, lambda_))
        )
    return np.array(curves)


# %%
# Comparison
# ----------
#
# Some of the stored values: epoch, test cost, correct test images, training cost, correct training images. The first run has no
# regularization, the second has :math:`\lambda = 0.1`.

STORED = {
    0.0: [
        (1, 2.076277232332908, 5887, 1.8433647860328504, 690),
        (2, 1.8232334122685845, 6505, 1.4777434227600235, 749),
        (5, 1.4626645665352562, 7433, 0.9046315580572455, 872),
        (10, 1.2353298430277617, 7899, 0.47790622727830795, 949),
        (20, 1.2284082512336671, 8107, 0.21675013886039948, 985),
        (50, 1.3492461107256304, 8145, 0.06945712969205214, 998),
        (100, 1.5052999301275902, 8173, 0.02488908331796308, 1000),
        (200, 1.6370499538617151, 8190, 0.009766380011545773, 1000),
        (300, 1.7164824543799349, 8220, 0.005959584455359608, 1000),
        (400, 1.7731493757222807, 8223, 0.0042016444290295845, 1000),
    ],
    0.1: [
        (1, 2.1903999605374445, 5898, 3.005466860217319, 690),
        (2, 1.935511698609431, 6512, 2.630540182112914, 749),
        (5, 1.5652172568011837, 7455, 2.0293529993091846, 874),
        (10, 1.321296899671962, 7942, 1.561089754744465, 950),
        (20, 1.2735961691755695, 8163, 1.2185580400821583, 986),
        (50, 1.258224144889975, 8278, 0.8533898215211329, 998),
        (100, 1.1712541492322308, 8409, 0.5443467851746822, 1000),
        (200, 1.0078593577776735, 8558, 0.26031808133537176, 1000),
        (300, 0.9274344698785035, 8632, 0.15542825510458746, 1000),
        (400, 0.8910413169859033, 8695, 0.1153905733766095, 1000),
    ],
}

curves = dict(zip(STORED, Parallel(n_jobs=-1, prefer="threads")(map(delayed(replay), STORED)), strict=True))
largest_difference = 0.0
for lambda_, values in STORED.items():
    print(f"lambda = {lambda_}\nepoch   test cost: stored, here                    difference   correct test images: stored, here")
    for epoch, *stored in values:
        here = curves[lambda_][epoch - 1]
        differences = np.abs(here / stored - 1)
        largest_difference = max(largest_difference, differences.max())
        print(f"{epoch:5}   {stored[0]:.16f}  {here[0]:.16f}   {differences[0]:10.1e}   {stored[1]:10} {here[1]:10.0f}")
print(f"largest relative difference of all costs and counts: {largest_difference:.1e}")

# %%
# All stored values are repeated to 11 digits or more, and all counts exactly, although there are 40,000 updates, a logarithm in
# each cost, and other implementations of the exponential function and of the matrix products. (Compared with all 400 epochs of
# both files, the largest relative difference was 1.5e-13.)
#
# In these runs, rounding errors stay small. The book also stores runs with all 50,000 images, of which only one can be repeated
# to the end: with :math:`\lambda = 5` (``regularized_full.json``), the number of correct test images is the same in all 30
# epochs, and the costs agree to a relative difference of 3e-5. Without regularization (``overfitting_full.json``), rounding
# errors grow: the costs agree to 14 digits after the first epoch, but after ten epochs, the training cost differs by a factor of
# 1.12.
#
# The curves show the overfitting that the chapter is about: without regularization, the test cost increases after epoch 15, while
# the training cost goes to zero and the test accuracy hardly changes any more.

figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
titles = {"cost on the training images": 2, "cost on the test images": 0, "correct test images (%)": 1}
for axes, (title, column) in zip(panels, titles.items(), strict=True):
    for (lambda_, values), color in zip(STORED.items(), ["tab:blue", "tab:orange"], strict=True):
        scale = 0.01 if column == 1 else 1
        axes.plot(range(1, N_EPOCHS + 1), scale * curves[lambda_][:, column], color=color, label=f"fastbp, λ = {lambda_}")
        axes.plot([value[0] for value in values], [scale * value[column + 1] for value in values], "x", color="black", zorder=3)
    axes.plot([], [], "kx", label="stored by the book")
    axes.set(xlabel="epoch", title=title, yscale="log" if column == 2 else "linear")
    axes.grid(alpha=0.3)
panels[0].legend(loc="upper right")
plt.show()
