"""
===================================================
Nielsen, chapter 1: a network that reads the digits
===================================================

The first network of Michael Nielsen's book has 784 inputs, 30 hidden units and 10 outputs, all of them sigmoid units. It is
trained with the quadratic cost by stochastic gradient descent, with batches of 10 images and a learning rate of 3. After 30
epochs, it recognizes about 95 % of the test images of MNIST. The result depends on the random numbers, so the book takes the best
of three networks, with 95.42 %. This example trains twelve networks, and computes the result that the best of three has on
average.

Reference: M. A. Nielsen, *Neural Networks and Deep Learning*, Determination Press, 2015, chapter 1,
http://neuralnetworksanddeeplearning.com/chap1.html.
"""

# %%
# The data
# --------
#
# The book trains with the first 50,000 images and tests with the 10,000 test images. The other 10,000 images, which are for
# choosing hyperparameters, are not used in this chapter. The gray levels are divided by 256. With float32 inputs, training is in
# float32.

import warnings
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

images, digits = load_mnist(return_X_y=True)
X = (images / 256).astype(np.float32)
X_train, y_train = X[:50_000], digits[:50_000]
X_test, y_test = X[60_000:], digits[60_000:]

# %%
# Training
# --------
#
# The cost of the book is half the squared error, which is the loss "squared_error" of the classifier. All weights and biases are
# drawn from a normal distribution with mean 0 and standard deviation 1. There is no momentum and no regularization. Training
# lasts 30 epochs, whether the loss improves or not, so the warning that the loss might still decrease is not needed. The rows
# that are passed as ``X_val`` are scored after each epoch, and do not change training.
#
# A step with 10 rows is too small for several threads. Instead, each network is trained in its own thread.


def train(seed):
    network = MLPClassifier(
        30,
        activation="logistic",
        loss="squared_error",
        solver="sgd",
        learning_rate_init=3.0,
        momentum=0,
        alpha=0,
        batch_size=10,
        max_iter=30,
        tol=0,
        n_iter_no_change=np.inf,
        weight_init="standard_normal",
        bias_init="standard_normal",
        random_state=seed,
    )
    return network.fit(X_train, y_train, X_val=X_test, y_val=y_test)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    networks = Parallel(n_jobs=-1, prefer="threads")(delayed(train)(seed) for seed in range(12))

curves = 100 * np.array([network.history_["val_score"] for network in networks])
for seed, curve in enumerate(curves):
    print(f"seed {seed:2}: {curve[0]:.2f} % after 1 epoch, {curve[-1]:.2f} % after 30 epochs, {curve.max():.2f} % at most")

# %%
# The best of three
# -----------------
#
# As in the book, the result of a network is that of its best epoch. There are 220 ways to choose three of the twelve networks.

peaks = curves.max(axis=1)
best_of_three = np.array([max(three) for three in combinations(peaks, 3)])
share = 100 * np.mean(best_of_three >= 95)
print(f"best of three networks: {best_of_three.mean():.2f} % on average; at least 95 % in {share:.0f} % of the choices")
print(f"one network: {np.median(peaks):.2f} % (median), {peaks.min():.2f} % to {peaks.max():.2f} %")

# %%
# Some networks begin with 80 % or less: for these random weights, the output for one of the digits stays near zero for some
# epochs, where the derivative of the sigmoid function is small. One of the twelve networks does not recover within 30 epochs. The
# cross-entropy, with which chapter 3 continues, does not have this problem.
#
# Accuracy
# --------
#
# The book prints the number of correct test images after some epochs of its best run, which has other random numbers.

BOOK = {1: 91.29, 2: 92.95, 3: 93.48, 28: 95.28, 29: 95.42, 30: 95.34}

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for seed, curve in enumerate(curves):
    axes.plot(range(1, 31), curve, color="tab:blue", alpha=0.5, label="12 networks" if seed == 0 else None)
axes.plot(list(BOOK), list(BOOK.values()), "kx", label="printed in the book")
axes.set(
    xlabel="epoch", ylabel="accuracy on the test images (%)", ylim=(80, 96), title="784-30-10 sigmoid units, quadratic cost, η = 3"
)
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
plt.show()

# %%
# The hidden units
# ----------------
#
# The incoming weights of each hidden unit of the best network, as images. Red pixels excite the unit, blue pixels inhibit it. The
# weights of pixels near the border keep their random initial values, because these pixels are nearly always 0.

weights = networks[peaks.argmax()].coefs_[0].T.reshape(-1, 28, 28)
limit = np.percentile(np.abs(weights), 99)
figure, grid = plt.subplots(3, 10, figsize=(10, 3.2), layout="constrained")
for axes, image in zip(grid.flat, weights, strict=True):
    axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_axis_off()
figure.suptitle("weights of the 30 hidden units")
plt.show()
