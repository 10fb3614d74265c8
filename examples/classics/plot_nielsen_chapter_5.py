"""
===============================================
Nielsen, chapter 5: gradients vanish with depth
===============================================

In a network of several sigmoid layers, the first layers learn much more slowly than the last ones. Chapter 5 of Michael Nielsen's
book measures this before training: for the first 1,000 images of MNIST, it prints the norm of the gradient with respect to the
biases of each hidden layer. This example repeats the measurement with 100 random starts, and shows the effect of rectified linear
units and of He's initialization.

References: M. A. Nielsen, *Neural Networks and Deep Learning*, Determination Press, 2015, chapter 5,
http://neuralnetworksanddeeplearning.com/chap5.html. K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV
2015, https://arxiv.org/abs/1502.01852.
"""

# %%
# Networks with their initial weights
# -----------------------------------
#
# Each hidden layer has 30 units. The weights have the standard deviation :math:`1/\sqrt{n}` for n inputs of a unit, and the
# biases have the standard deviation 1. The cost is the cross-entropy of ten sigmoid outputs, so the target is multilabel.
#
# ``trace`` computes all gradients of a fitted network. A fit with one step and a learning rate of almost zero leaves the initial
# weights unchanged, except for about the twelfth digit.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist
from fastbp.inspection import trace

images, digits = load_mnist(return_X_y=True)
X, Y = images[:1000] / 256, np.eye(10, dtype=int)[digits[:1000]]


def gradient_norms(n_layers, seed, activation="logistic", weight_init="lecun_normal", bias_init="standard_normal"):
    """The norm of the gradient with respect to the biases of each hidden layer, before training."""
    network = MLPClassifier(
        (30,) * n_layers,
        activation=activation,
        solver="sgd",
        learning_rate_init=1e-12,
        momentum=0,
        alpha=0,
        batch_size=len(X),
        max_iter=1,
        weight_init=weight_init,
        bias_init=bias_init,
        random_state=seed,
    )
    return [np.linalg.norm(gradient) for gradient in trace(network.fit(X, Y), X, Y).intercept_grads[:-1]]


def over_seeds(n_seeds, n_layers, *options):
    """The norms for several seeds, shape (n_seeds, n_layers)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # there is only one step
        return np.array(
            Parallel(n_jobs=-1, prefer="threads")(delayed(gradient_norms)(n_layers, seed, *options) for seed in range(n_seeds))
        )


# %%
# Two, three and four hidden layers
# ---------------------------------
#
# The program of the book draws the weights once, without a seed, so its draw cannot be repeated. About one draw in five differs
# by more than a third from the median of many draws, so the printed figures have to be compared with the spread of the draws,
# too.

BOOK = {2: [0.0657, 0.3092], 3: [0.0118, 0.0600, 0.2831], 4: [0.0030, 0.0171, 0.0695, 0.2851]}
N_SEEDS = 100

norms = {n_layers: over_seeds(N_SEEDS, n_layers) for n_layers in BOOK}
print("hidden layer   book   median   10 % to 90 % of the draws   median / book")
for n_layers, printed in BOOK.items():
    for layer, (one, draws) in enumerate(zip(printed, norms[n_layers].T, strict=True), start=1):
        low, median, high = np.percentile(draws, [10, 50, 90])
        print(f"{layer} of {n_layers}       {one:7.4f}  {median:7.4f}        {low:7.4f} to {high:7.4f}   {median / one:15.2f}")
    steps = np.median(norms[n_layers][:, :-1] / norms[n_layers][:, 1:], axis=0)
    print(f"    each layer has {', '.join(f'{step:.2f}' for step in steps)} times the gradient of the next layer")

medians = np.concatenate([np.median(draws, axis=0) for draws in norms.values()])
deviations = medians / np.concatenate(list(BOOK.values())) - 1
print(f"medians within 20 % of the printed figures: {(np.abs(deviations) < 0.2).sum()} of {len(deviations)}")

# %%
# The book's figures are within the central 80 % of the draws. Two of the nine medians differ by more than 20 %: by 22 % and 31 %,
# both in the network with four hidden layers, of which the book shows one draw. Each sigmoid layer has about a fifth of the
# gradient of the next layer: the derivative of the sigmoid function is at most 1/4.
#
# Rectified linear units and He's initialization
# ----------------------------------------------
#
# The derivative of a rectified linear unit is 1 or 0. With the same weights, half of the units are off. In very wide layers, the
# gradient would become smaller by a factor of :math:`\sqrt{2}` per layer. He's initialization has weights that are larger by
# exactly this factor, and the biases are zero. In these layers with 30 units, the measured factors are a little larger than in very
# wide layers: about 1.6 instead of :math:`\sqrt{2}`, and about 1.1 instead of 1 with He's initialization.

DEPTHS = (2, 4, 6, 8)
SETTINGS = {
    "sigmoid, standard deviation 1/√n": ("logistic", "lecun_normal", "standard_normal"),
    "ReLU, standard deviation 1/√n": ("relu", "lecun_normal", "zeros"),
    "ReLU, He's initialization": ("relu", "he_normal", "zeros"),
}
by_depth = {name: {n_layers: over_seeds(10, n_layers, *options) for n_layers in DEPTHS} for name, options in SETTINGS.items()}
# the gradient of the first hidden layer relative to that of the last one, as a median over the draws
shares = {name: [np.median(draws[:, 0] / draws[:, -1]) for draws in of.values()] for name, of in by_depth.items()}
for name, of_depth in shares.items():
    print(f"{name}: " + ", ".join(f"{share:.2g} with {n_layers} layers" for n_layers, share in zip(DEPTHS, of_depth, strict=True)))
# the mean factor per layer, of the deepest networks
factors = {name: of_depth[-1] ** (-1 / (DEPTHS[-1] - 1)) for name, of_depth in shares.items()}
print(
    "the gradient becomes smaller per layer by a factor of:", ", ".join(f"{value:.2f} ({name})" for name, value in factors.items())
)

figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
for n_layers, color in zip(BOOK, ["tab:blue", "tab:orange", "tab:green"], strict=True):
    low, median, high = np.percentile(norms[n_layers], [10, 50, 90], axis=0)
    layers = np.arange(1, n_layers + 1) + 0.06 * (n_layers - 3)
    left.errorbar(
        layers, median, [median - low, high - median], fmt="o-", color=color, capsize=3, label=f"{n_layers} hidden layers"
    )
    left.plot(layers, BOOK[n_layers], "x", color="black", zorder=3)
left.plot([], [], "kx", label="printed in the book")
left.set(
    xlabel="hidden layer", ylabel="norm of the gradient of the biases", yscale="log", title="sigmoid layers (median, 10 % to 90 %)"
)
left.set_xticks(range(1, 5))
left.legend(loc="lower right")
for (name, of_depth), marker in zip(shares.items(), "osD", strict=True):
    right.plot(DEPTHS, of_depth, marker + "-", label=name)
right.set(
    xlabel="hidden layers",
    ylabel="norm in the first / norm in the last layer",
    yscale="log",
    title="effect of the activation and of the weights",
)
right.set_xticks(DEPTHS)
right.legend(loc="lower left")
plt.show()
