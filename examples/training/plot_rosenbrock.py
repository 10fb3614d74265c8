"""
================================
Solvers on Rosenbrock's function
================================

Rosenbrock's function [1]_ is a classic test of optimizers:

.. math:: f(x, y) = (1 - x)^2 + 100 \\, (y - x^2)^2

Its minimum, 0 at (1, 1), lies in a long, curved valley with a nearly flat floor. At the minimum, the curvature across the valley is
about 2,500 times as large as the curvature along it. Gradient descent needs a learning rate that is small enough for the steep
walls, and such a rate is far too small for the floor of the valley.

Here, the solvers of fastbp minimize this function. The updates are computed by the same compiled code that trains networks.

.. [1] Rosenbrock, "An Automatic Method for Finding the Greatest or Least Value of a Function", The Computer Journal 3, 1960.
.. [2] Polyak, "Some Methods of Speeding up the Convergence of Iteration Methods", USSR Computational Mathematics and Mathematical
   Physics 4, 1964.
"""

# %%
# Rosenbrock's function as the loss of a linear model
# ---------------------------------------------------
# A network without hidden layers and with one input has two parameters: the weight and the bias. Here, the bias is x and the weight
# is y, so the output for a row with the input t is :math:`a = x + t y`. A user-defined loss can be any function of a target and an
# output, and the losses of the rows are averaged. Rosenbrock's function has this form, because a sum of powers of :math:`x + t y`
# can express the products of x and y:
#
# .. math::
#
#    2 y^2 &= (x + y)^2 + (x - y)^2 - 2 x^2 \\
#    36 x^2 y &= 8 (x + y)^3 - 8 (x - y)^3 - (x + 2 y)^3 + (x - 2 y)^3
#
# Five rows are enough, with t = 0, 1, −1, 2 and −2. The target of a row is its t. The factor 5 cancels the division by the number
# of rows. Every epoch is one step with the exact gradient, because the five rows are one batch.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import Loss, MLPRegressor


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def part_of_row(t, a):
    if t == 0:
        return 5 * ((1 - a) ** 2 + 100 * a**4 - 100 * a**2)
    if abs(t) == 1:
        return 5 * (50 * a**2 - t * 400 / 9 * a**3)
    return 5 * np.sign(t) * 50 / 9 * a**3


def slope_of_row(t, a):
    if t == 0:
        return 5 * (2 * (a - 1) + 400 * a**3 - 200 * a)
    if abs(t) == 1:
        return 5 * (100 * a - t * 400 / 3 * a**2)
    return 5 * np.sign(t) * 50 / 3 * a**2


loss, rows = Loss(part_of_row, slope_of_row), np.array([0.0, 1, -1, 2, -2])
start, minimum, n_steps = (-1.2, 1.0), np.array([1.0, 1.0]), 3000


def descend(**parameters):
    """The point that a solver reaches, or infinity if it diverges."""
    model = MLPRegressor(
        loss,
        hidden_layer_sizes=(),
        batch_size=5,
        alpha=0,
        tol=0,
        n_iter_no_change=np.inf,
        max_iter=n_steps,
        coefs_init=[[[start[1]]]],
        intercepts_init=[[start[0]]],
        random_state=0,
        **parameters,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(rows[:, None], rows)
        except ValueError:  # the loss is NaN
            return np.array([np.inf, np.inf])
    return np.array([model.intercepts_[0][0], model.coefs_[0][0, 0]])


# %%
# The best learning rate of each solver
# -------------------------------------
# The solvers need very different learning rates. Each solver takes 3,000 steps from (−1.2, 1), with 21 learning rates from 0.0001
# to 10. The rate with which it ends nearest to the minimum is the best one. All other parameters have their default values.

rates = np.logspace(-4, 1, 21).round(6)
solvers = {
    "sgd": {"solver": "sgd", "momentum": 0},
    "sgd, momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, Nesterov": {"solver": "sgd"},
    **{name: {"solver": name} for name in ("adagrad", "adadelta", "rmsprop", "adam", "adamw", "nadam", "adamax", "lion")},
    "lbfgs": {"solver": "lbfgs"},
}


def distance(point):
    return np.linalg.norm(point - minimum, axis=-1)


best_rate = {}
for name, parameters in solvers.items():
    if name != "lbfgs":  # it finds the length of each step by a line search
        ends = [distance(descend(learning_rate_init=rate, **parameters)) for rate in rates]
        best_rate[name] = float(rates[np.argmin(ends)])

# %%
# The paths
# ---------
# A callback records the point after each step.

paths = {}
for name, parameters in solvers.items():
    path = [start]

    def record(model, epoch, logs, path=path):
        path.append((model.intercepts_[0][0], model.coefs_[0][0, 0]))

    rate = {"learning_rate_init": best_rate[name]} if name in best_rate else {}
    descend(callbacks=record, **rate, **parameters)
    paths[name] = np.array(path)
distances = {name: distance(path) for name, path in paths.items()}

at = (30, 100, 300, 1000, 3000)
print("distance from the minimum after n steps, with the best learning rate")
print(f"{'n':15}" + "".join(f"{step:>9}" for step in at) + "   learning rate")
for name in sorted(paths, key=lambda name: distances[name][-1]):
    cells = (f"{distances[name][min(step, len(distances[name]) - 1)]:9.1e}" for step in at)
    print(f"{name:15}{''.join(cells)}   {best_rate.get(name, 'line search')}")
print(f"L-BFGS stopped after {len(paths['lbfgs']) - 1} iterations.")

# %%
# - L-BFGS is by far the fastest. It estimates the curvature from the last gradients, and its line search finds the length of each
#   step. It stops when an iteration reduces the function by less than 2.2e-9, the default tolerance of SciPy (relative to the
#   value of the function if this is above 1).
# - Gradient descent with momentum [2]_ is the best of the other solvers. Momentum adds up the small gradients along the valley,
#   while the gradients across it cancel.
# - Adam, AdamW and Adamax also find the minimum, but they need more steps than momentum. Without weight decay, AdamW differs from
#   Adam only in the place where ε is added.
# - The first steps of Adagrad are large and happen to end near the minimum. Then it hardly moves, because it divides the learning
#   rate by the root of the sum of *all* squared gradients.
# - The steps of Lion all have the same length, so it cannot come nearer than its learning rate allows. The steps of RMSprop do not
#   become small near the minimum either. It needs a small learning rate and is slow.
# - Gradient descent alone is still far away after 3,000 steps, and so is Adadelta, whose first steps are tiny.
#
# On a quadratic function with the largest curvature λ, gradient descent is stable for learning rates up to 2 / λ. With momentum μ,
# the limit is 2 (1 + μ) / λ, and with Nesterov's momentum 2 (1 + μ) / ((1 + 2 μ) λ). At the minimum, λ is 1001.6. The best learning
# rates are just below these limits:

curvatures = np.linalg.eigvalsh([[802, -400], [-400, 200]])
mu, largest = 0.9, curvatures.max()
limits = {"sgd": 2 / largest, "sgd, momentum": 2 * (1 + mu) / largest, "sgd, Nesterov": 2 * (1 + mu) / (1 + 2 * mu) / largest}
for name, limit in limits.items():
    print(f"{name:14} best learning rate {best_rate[name]:.4f}, limit {limit:.4f}")

# %%
# Pictures of the paths
# ---------------------
# The colors show the logarithm of f. The circle is the start and the star the minimum.

x, y = np.meshgrid(np.linspace(-2.2, 2.2, 200), np.linspace(-1.2, 3.2, 200))
height = np.log10(rosenbrock(x, y) + 1e-3)
figure, axes = plt.subplots(3, 4, figsize=(11, 8), sharex=True, sharey=True, layout="constrained")
for (name, path), ax in zip(paths.items(), axes.flat, strict=True):
    ax.contourf(x, y, height, 15, cmap="Blues")
    ax.plot(*path.T, color="tab:red", linewidth=1.1)
    ax.plot(*start, "o", color="white", markeredgecolor="black")
    ax.plot(*minimum, "*", color="gold", markersize=13, markeredgecolor="black")
    rate = f"learning rate {best_rate[name]:.4g}" if name in best_rate else "line search"
    ax.set(title=f"{name}, {rate}", xlim=(-2.2, 2.2), ylim=(-1.2, 3.2))
    ax.title.set_fontsize(9.5)
figure.supxlabel("x")
figure.supylabel("y")
plt.show()

# %%
# The distance from the minimum after each step:

figure, ax = plt.subplots(figsize=(9, 5.2), layout="constrained")
for number, (name, path) in enumerate(distances.items()):
    ax.loglog(np.arange(1, len(path)), path[1:], label=name, color=f"C{number % 10}", linestyle="-" if number < 6 else "--")
ax.set(xlabel="step", ylabel="distance from the minimum", ylim=(1e-13, 10))
ax.grid(alpha=0.25)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()
