"""
===================
Batch normalization
===================

Batch normalization standardizes the weighted sums of each unit over the rows of a batch, and multiplies the result by a learned
factor. The inputs of the next layer therefore keep a suitable range while the weights change. This example repeats the first
experiment of the paper of Ioffe and Szegedy (section 4.1) [1]_: a network with three hidden layers of 100 sigmoid units each and
small normal starting weights reads MNIST, in batches of 60 images. The paper trains for 50,000 steps. 1,500 steps are enough to see
the difference. The paper does not state the learning rate. Here, it is 0.1.

.. [1] Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", ICML 2015.
"""

# %%
# Training
# --------
# ``partial_fit`` trains on 50 batches at a time. After each call, the accuracy on the test images is computed, and ``trace`` gives
# the weighted sums of the last hidden layer.

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist
from fastbp.inspection import trace

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:60000], y[:60000], X[60000:], y[60000:]
batch_size, batches_per_call, n_steps, seeds = 60, 50, 1500, (0, 1, 2)


def small_normal(random_state, shape):
    return random_state.normal(0, 0.1, shape)


def train(batch_norm, seed):
    """The test accuracy, and the 15th, 50th and 85th percentile of the input of one unit, after each call."""
    model = MLPClassifier(
        (100, 100, 100),
        "logistic",
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=batch_size,
        learning_rate_init=0.1,
        weight_init=small_normal,
        bias_init="zeros",
        batch_norm=batch_norm,
        random_state=seed,
    )
    order = np.random.RandomState(seed).permutation(len(X_train))
    chunks = np.resize(order, n_steps * batch_size).reshape(-1, batches_per_call * batch_size)
    accuracy, percentiles = [], []
    for chunk in chunks:
        model.partial_fit(X_train[chunk], y_train[chunk], classes=range(10))
        accuracy.append(model.score(X_test, y_test))
        values = trace(model, X_test[:1000], y_test[:1000])
        inputs = (values.norm_Z if batch_norm else values.Z)[2][:, 0]
        percentiles.append(np.percentile(inputs, [15, 50, 85]))
    return accuracy, percentiles


names = {False: "without batch normalization", True: "with batch normalization"}
runs = {batch_norm: [train(batch_norm, seed) for seed in seeds] for batch_norm in names}
accuracy = {batch_norm: np.array([run[0] for run in runs[batch_norm]]) for batch_norm in names}
percentiles = {batch_norm: np.array([run[1] for run in runs[batch_norm]]) for batch_norm in names}
steps = np.arange(1, n_steps // batches_per_call + 1) * batches_per_call

print("test accuracy, mean of three seeds (lowest to highest)")
for step in (50, 250, 500, 1000, 1500):
    at = np.searchsorted(steps, step)
    cells = (f"{names[norm]} {a.mean():.3f} ({a.min():.3f} to {a.max():.3f})" for norm in names for a in [accuracy[norm][:, at]])
    print(f"step {step:5}: " + ";  ".join(cells))

# %%
# The result
# ----------
# Without batch normalization, the network does not learn in the first few hundred steps. With it, the accuracy is above 70 % after
# 50 steps. The right pictures show the inputs of one unit of the last hidden layer for the first 1,000 test images. The line is the
# median, and the band contains the middle 70 %, as in figure 1 of the paper. Without batch normalization, the inputs hardly differ
# between images at first, so that they carry no information about the digit. With batch normalization, they have a stable
# distribution from the first steps on.

figure, (left, *others) = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for norm, color in zip(names, ("tab:orange", "tab:blue"), strict=True):
    left.fill_between(steps, accuracy[norm].min(axis=0), accuracy[norm].max(axis=0), color=color, alpha=0.25)
    left.plot(steps, accuracy[norm].mean(axis=0), color=color, label=names[norm])
left.set(xlabel="step", ylabel="test accuracy", ylim=(0, 1.3), yticks=np.arange(0, 1.1, 0.2), title="mean and range of three seeds")
left.legend(frameon=False, loc="upper left")
for ax, norm, color in zip(others, names, ("tab:orange", "tab:blue"), strict=True):
    low, median, high = percentiles[norm][0].T
    ax.fill_between(steps, low, high, color=color, alpha=0.25)
    ax.plot(steps, median, color=color)
    ax.set(xlabel="step", ylabel="input of one unit", ylim=(-3, 3), title=names[norm])
for ax in (left, *others):
    ax.grid(alpha=0.25)
plt.show()
