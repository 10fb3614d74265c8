"""
=====================================================
Learning rates that are too small, right or too large
=====================================================

With a learning rate that is too small, training takes too many epochs. With one that is too large, the loss grows, or stays at the
level of guessing. This example first computes the limit between these two cases for a linear model, where it is known exactly. It
then shows the same behavior in a network that reads digits.

.. [1] LeCun, Bottou, Orr and Müller, "Efficient BackProp", in: Neural Networks: Tricks of the Trade, Springer, 1998, section 5.
.. [2] Bengio, "Practical Recommendations for Gradient-Based Training of Deep Architectures", in: Neural Networks: Tricks of the
   Trade, second edition, Springer, 2012, section 3.1.
"""

# %%
# The limit in a linear model
# ---------------------------
# A network without hidden layers with the loss ½ (y − a)² is linear regression. Its loss is a quadratic function of the parameters,
# with the constant matrix of second derivatives (Hessian) :math:`H = A^T A / m`, where A has the m rows of X and a column of ones
# for the bias. A step of gradient descent on all rows multiplies the distance from the minimum, along each eigenvector of H, by
# :math:`1 - \eta \lambda` with the eigenvalue λ. All of these factors are between −1 and 1 if and only if the learning rate η is
# less than :math:`2 / \lambda_{max}` [1]_.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastbp import MLPClassifier, MLPRegressor
from fastbp.datasets import load_mnist


def train(model, X, y):
    """Fit a model for a fixed number of epochs, even if it diverges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


fixed = {"solver": "sgd", "momentum": 0, "alpha": 0, "tol": 0, "n_iter_no_change": np.inf}
X, y = load_diabetes(return_X_y=True)
X, y = scale(X), scale(y)
A = np.column_stack([X, np.ones(len(X))])
limit = 2 / np.linalg.eigvalsh(A.T @ A / len(X)).max()
least = 0.5 * np.mean((y - A @ np.linalg.lstsq(A, y)[0]) ** 2)

fractions = (0.01, 0.5, 0.95, 1.05)
excess = {}
for fraction in fractions:
    model = MLPRegressor(
        hidden_layer_sizes=(), batch_size=len(X), learning_rate_init=fraction * limit, max_iter=100, random_state=0, **fixed
    )
    excess[fraction] = np.array(train(model, X, y).loss_curve_) - least
print(f"the limit of the learning rate is 2 / λ = {limit:.4f}")
print("loss minus its minimum after 100 epochs")
for fraction in fractions:
    print(f"    {fraction:4} of the limit: {excess[fraction][-1]:.2g}, at the start {excess[fraction][0]:.2g}")

# %%
# A network
# ---------
# In a network, the second derivatives change during training, and the limit is not known in advance. A network with 50 hidden units
# is trained on 3,000 images of digits for 10 epochs, with ten learning rates and three seeds.

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:3000], y[:3000], X[60000:], y[60000:]
rates, seeds = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]), range(3)
losses, accuracies = np.empty((len(rates), len(seeds), 10)), np.empty((len(rates), len(seeds)))
for i, rate in enumerate(rates):
    for seed in seeds:
        model = MLPClassifier(50, "tanh", batch_size=32, learning_rate_init=rate, max_iter=10, random_state=seed, **fixed)
        losses[i, seed] = train(model, X_train, y_train).loss_curve_
        accuracies[i, seed] = model.score(X_test, y_test)

final = losses[:, :, -1].mean(axis=1)
print("learning rate   training loss in epoch 10   test accuracy (means of three seeds)")
for rate, loss, accuracy in zip(rates, final, accuracies.mean(axis=1), strict=True):
    print(f"{rate:13.4g}   {loss:25.4f}   {accuracy:13.4f}")

# %%
# The result
# ----------
# The training loss is lowest for a rate just below those with which training fails. This agrees with a rule of thumb [2]_: the best
# learning rate is usually close to the largest one that does not cause divergence. To find it, try rates that differ by a factor of
# three.

best = int(np.argmin(final))
print(f"best learning rate: {rates[best]:g}")
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for fraction in fractions:
    left.plot(excess[fraction], label=f"{fraction:g} of the limit")
left.set(xlabel="epoch", ylabel="loss minus its minimum", yscale="log", title="linear model")
epochs = np.arange(1, 11)
for i, label in ((1, "too small"), (best, "right"), (len(rates) - 1, "too large")):
    middle.plot(epochs, losses[i].mean(axis=0), label=f"{rates[i]:g}, {label}")
middle.set(xlabel="epoch", ylabel="training loss", yscale="log", title="network")
right.fill_between(rates, accuracies.min(axis=1), accuracies.max(axis=1), alpha=0.25)
right.plot(rates, accuracies.mean(axis=1), "o-")
right.set(xlabel="learning rate", ylabel="test accuracy", xscale="log", ylim=(0, 1), title="network, three seeds")
for ax in (left, middle, right):
    ax.grid(alpha=0.25)
for ax in (left, middle):
    ax.legend(frameon=False)
plt.show()
