"""
======================================
Training curves of learning strategies
======================================

How fast the loss decreases depends on the solver, on the momentum and on the learning rate schedule. This example trains with seven
strategies on four small data sets and draws the loss of each epoch. The data, the parameters and the seed are those of
scikit-learn's example *Compare Stochastic learning strategies for MLPClassifier* [1]_, and so are the losses.

- Gradient descent with a constant learning rate of 0.2; alone, with momentum, and with Nesterov's momentum.
- The same three with the schedule ``"invscaling"``, which divides the learning rate by the square root of the number of rows seen.
- Adam with a learning rate of 0.01.

.. [1] The scikit-learn developers, `scikit-learn.org/stable/auto_examples/neural_networks/plot_mlp_training_curves.html
   <https://scikit-learn.org/stable/auto_examples/neural_networks/plot_mlp_training_curves.html>`_.
"""

# %%
# The strategies and the data
# ---------------------------

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_iris, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import minmax_scale

from fastbp import MLPClassifier

sgd = {"solver": "sgd", "learning_rate_init": 0.2}
plain, momentum, nesterov = {"momentum": 0}, {"nesterovs_momentum": False}, {"nesterovs_momentum": True}
constant, invscaling = {"learning_rate": "constant"}, {"learning_rate": "invscaling"}
strategies = {
    "constant": sgd | constant | plain,
    "constant, momentum": sgd | constant | momentum,
    "constant, Nesterov": sgd | constant | nesterov,
    "invscaling": sgd | invscaling | plain,
    "invscaling, momentum": sgd | invscaling | momentum,
    "invscaling, Nesterov": sgd | invscaling | nesterov,
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}
data_sets = {
    "iris": load_iris(return_X_y=True),
    "digits": load_digits(return_X_y=True),
    "circles": make_circles(noise=0.2, factor=0.5, random_state=1),
    "moons": make_moons(noise=0.3, random_state=0),
}

# %%
# Training
# --------
# Some of the fits do not converge within the given number of epochs, as the curves will show.

models = {}
for name, (X, y) in data_sets.items():
    max_iter = 15 if name == "digits" else 400
    for label, parameters in strategies.items():
        model = MLPClassifier(max_iter=max_iter, random_state=0, **parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models[name, label] = model.fit(minmax_scale(X), y)

print("final loss             " + "".join(f"{name:>10}" for name in data_sets))
for label in strategies:
    print(f"{label:22} " + "".join(f"{models[name, label].loss_:10.6f}" for name in data_sets))

# %%
# The curves
# ----------
# On all four data sets, momentum reaches a lower loss than gradient descent alone, and the schedule ``"invscaling"`` lowers the
# learning rate too fast: after the first epoch with 150 rows, it is already divided by 12. The two kinds of momentum differ little.
# Adam has the lowest loss on iris, circles and moons. On digits, where the number of epochs is limited to 15, gradient descent with
# momentum is slightly better. These results depend on the learning rates.

styles = [(color, line) for line in ("-", "--") for color in ("tab:red", "tab:green", "tab:blue")] + [("black", "-")]
figure, axes = plt.subplots(2, 2, figsize=(10, 7.4), layout="constrained")
for name, ax in zip(data_sets, axes.flat, strict=True):
    for label, (color, line) in zip(strategies, styles, strict=True):
        ax.plot(models[name, label].loss_curve_, label=label, color=color, linestyle=line, linewidth=1.4)
    ax.set(title=name, xlabel="epoch", ylabel="loss")
    ax.grid(alpha=0.25)
figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=4, loc="outside upper center", frameon=False)
plt.show()
