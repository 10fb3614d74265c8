"""
======================================================
Rumelhart, Hinton and Williams 1986: the 8-3-8 encoder
======================================================

Eight inputs, of which exactly one is 1, have to be copied to eight outputs through three hidden units. Three binary units have
eight states, just enough to tell the inputs apart, so the network has to invent a code like the binary numbers. Nothing in the
task says which code: each network finds its own.

Reference: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation", in
*Parallel Distributed Processing*, volume 1, chapter 8, MIT Press, 1986, https://doi.org/10.7551/mitpress/5236.003.0012. They
credit the problem to D. H. Ackley, G. E. Hinton and T. J. Sejnowski, "A learning algorithm for Boltzmann machines", Cognitive
Science 9, 1985.
"""

# %%
# The weights are updated after each sweep over the eight rows. The report does not print the hyperparameters of this experiment;
# η = 0.1 and α = 0.9 are those of its other experiments. The classifier is multilabel, because each output is a separate sigmoid
# unit.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

X, y = np.eye(8), np.eye(8, dtype=int)
N_SEEDS, N_SWEEPS = 100, 5000


def uniform(random_state, shape):
    return random_state.uniform(-0.3, 0.3, shape)


def train(seed):
    network = MLPClassifier(
        3,
        activation="logistic",
        loss="squared_error",
        solver="sgd",
        learning_rate_init=0.1 * len(X),  # the error of the report is a sum over rows
        momentum=0.9,
        nesterovs_momentum=False,
        alpha=0,
        batch_size=len(X),
        shuffle=False,
        max_iter=N_SWEEPS,
        tol=0,
        n_iter_no_change=np.inf,
        weight_init=uniform,
        bias_init=uniform,
        random_state=seed,
    )
    return network.fit(X, y)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of sweeps is fixed
    networks = Parallel(n_jobs=-1, prefer="threads")(delayed(train)(seed) for seed in range(N_SEEDS))

# %%
# A network has learned the task if all outputs are on the right side of 0.5 for all inputs.

has_learned = np.array([(network.predict(X) == y).all() for network in networks])
largest_error = np.array([np.abs(network.transform(X, layer=-1) - y).max() for network in networks])
print(f"learned: {has_learned.sum()} of {N_SEEDS} networks")
print(f"largest error of an output: {np.median(largest_error):.3f} (median), {largest_error.max():.3f} (maximum)")

# %%
# The activations of the hidden units are the code. Many networks use the eight corners of a cube, like the binary numbers from 0
# to 7. The others have units that are about half active for one or two inputs, which is enough for the output units to tell the
# inputs apart. The network in the report also has a hidden unit with such an intermediate activation.

codes = np.array([network.transform(X) for network in networks])  # (n_networks, 8 inputs, 3 hidden units)
n_corners = np.array([len(np.unique(code > 0.5, axis=0)) for code in codes])
distances = np.array([min(np.linalg.norm(a - b) for i, a in enumerate(code) for b in code[:i]) for code in codes])
for number in np.unique(n_corners):
    print(f"{(n_corners == number).sum()} networks use {number} corners of the cube")
print(f"smallest distance between the codes of two inputs: {distances.min():.2f}")

binary = np.flatnonzero(n_corners == 8)[0]
figure = plt.figure(figsize=(10, 4.2), layout="constrained")
left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
for network in networks:
    left.plot(network.loss_curve_, color="tab:blue", alpha=0.3, linewidth=0.8)
left.set(xlabel="sweep", ylabel="mean error", yscale="log", title=f"{N_SEEDS} networks")
for number, point in enumerate(codes[binary]):
    right.scatter(*point, color="tab:orange", s=50, depthshade=False)
    right.text(*(point + 0.06), str(number + 1), fontsize=12)
corners = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)])
for i, a in enumerate(corners):
    for b in corners[:i]:
        if np.abs(a - b).sum() == 1:
            right.plot(*zip(a, b, strict=True), color="gray", linewidth=0.8)
right.set(xlabel="hidden unit 1", ylabel="hidden unit 2", zlabel="hidden unit 3", title="code of each input in one network")
right.set_box_aspect(None, zoom=0.85)
for axis in (right.xaxis, right.yaxis, right.zaxis):
    axis.set_ticks([0, 1])
plt.show()
