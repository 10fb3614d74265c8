"""
==========
Dead ReLUs
==========

A ReLU unit has the output max(0, z) and the slope 0 for z < 0. If z is negative for every training row, the gradient of all weights
of the unit is 0. Such a unit is called dead: its weights no longer change, and it contributes nothing to the predictions. In the
first hidden layer, it stays dead. In a deeper layer, it can come back only if the layers before it change its inputs. The usual
cause is a learning rate that is too large: one large step can make z negative for all rows.

This example counts the dead units of a network on MNIST for three learning rates, and tests two remedies: the leaky ReLU [1]_,
whose slope for z < 0 is 0.01, and batch normalization [2]_, which standardizes z over the rows of a batch. Smaller learning rates
are the third remedy.

.. [1] Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.
.. [2] Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", ICML 2015.
"""

# %%
# Training
# --------
# The networks have two hidden layers with 100 units each and are trained for 10 epochs with 3,000 images. There are three seeds for
# each learning rate.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist
from fastbp.inspection import trace

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:3000], y[:3000], X[60000:], y[60000:]


def train(learning_rate, random_state, **parameters):
    model = MLPClassifier(
        (100, 100),
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=32,
        learning_rate_init=learning_rate,
        max_iter=10,
        random_state=random_state,
        **parameters,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return model.fit(X_train, y_train)
        except ValueError:  # the loss is NaN
            return None


# %%
# ``trace`` computes the slopes of all units for all rows. A unit is dead if its slope is 0 for every training row. The gradients in
# the trace confirm that training cannot change these units: the columns of ``coef_grads`` that belong to them are exactly 0.


def dead_units(model):
    """For each hidden layer, which of its units are dead; and whether all of their gradients are 0."""
    values = trace(model, X_train, y_train)
    dead = [(slopes == 0).all(axis=0) for slopes in values.slopes]
    stuck = all(
        not gradient[:, units].any() and not of_bias[units].any()
        for gradient, of_bias, units in zip(values.coef_grads, values.intercept_grads, dead, strict=False)
    )
    return dead, stuck


networks = {
    "ReLU": {},
    "leaky ReLU": {"activation": "leaky_relu"},
    "ReLU, batch norm": {"batch_norm": True},
}
rates, seeds = (0.1, 0.3, 1.0), (0, 1, 2)
shares = {name: np.full((len(rates), len(seeds)), np.nan) for name in networks}
accuracies = {name: np.full((len(rates), len(seeds)), np.nan) for name in networks}
all_stuck = True
for name, parameters in networks.items():
    for i, rate in enumerate(rates):
        for j, seed in enumerate(seeds):
            model = train(rate, seed, **parameters)
            if model is not None:
                dead, stuck = dead_units(model)
                shares[name][i, j], accuracies[name][i, j] = np.mean(dead), model.score(X_test, y_test)
                all_stuck &= stuck

print("share of dead units and test accuracy for three seeds; nan: training diverged")
for name in networks:
    for i, rate in enumerate(rates):
        cells = zip(shares[name][i], accuracies[name][i], strict=True)
        print(f"{name:17} learning rate {rate}: " + ",".join(f"{share:7.1%} {accuracy:.3f}" for share, accuracy in cells))
print(f"all gradients of dead units are exactly 0: {all_stuck}")

# %%
# The result
# ----------
# With a learning rate of 1, more than half of the ReLU units die, and the accuracy drops from 93 % to 70 % or less. With 0.3,
# there are no dead units. The other two networks have none with any of the learning rates. Batch normalization also keeps the
# accuracy. The leaky ReLU only prevents the death of units and not the other effects of a learning rate that is too large: with two
# of the seeds, the accuracy drops to 87 %, and with the third, training diverges.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, color in zip(networks, ("tab:red", "tab:orange", "tab:blue"), strict=True):
    for ax, values in ((left, shares[name]), (right, accuracies[name])):
        ax.plot(rates, np.nanmean(values, axis=1), color=color, label=name)
        ax.plot(rates, values, "o", color=color, alpha=0.6)
left.set(ylabel="share of dead hidden units", ylim=(-0.03, 1))
right.set(ylabel="test accuracy", ylim=(0, 1))
for ax in (left, right):
    ax.set(xlabel="learning rate", xscale="log", xticks=rates, xticklabels=rates)
    ax.minorticks_off()
    ax.grid(alpha=0.25)
left.legend(frameon=False)
figure.suptitle("Three seeds (points) and their means (lines)")
plt.show()
