"""
=============================================
Rumelhart, Hinton and Williams 1986: symmetry
=============================================

Is a row of six zeros and ones symmetric about its middle? No single input says anything about the answer, so a network needs
hidden units, and it must discover good ones by itself. In the article that made backpropagation known, a network with two hidden
units learns the task with a solution that surprised its authors: the weights of each hidden unit are antisymmetric about the
middle, so that the two halves of a symmetric row cancel, and their sizes have the ratios 1 : 2 : 4, so that the two halves of no
other row do.

Reference: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating errors", Nature 323,
1986 (figure 1), https://doi.org/10.1038/323533a0.
"""

# %%
# The task and the network
# ------------------------
#
# There are 64 rows, of which 8 are symmetric. As in the article, the weights are updated after each sweep over all rows, with ε =
# 0.1 and α = 0.9, and the initial weights are between −0.3 and 0.3. The error of the article is a sum over rows and that of
# fastbp is a mean, so ``learning_rate_init`` is 64 ε. The network of the article learned the task in 1,425 sweeps. One run says
# little about the method, so here are the results of 100 runs with different initial weights.

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

X = np.array(list(itertools.product([0.0, 1.0], repeat=6)))
y = (X[:, ::-1] == X).all(axis=1)
N_SEEDS, N_SWEEPS = 100, 5000


def uniform(random_state, shape):
    return random_state.uniform(-0.3, 0.3, shape)


def train(seed):
    network = MLPClassifier(
        2,
        activation="logistic",
        loss="squared_error",
        solver="sgd",
        learning_rate_init=0.1 * len(X),
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
# How many networks learn it?
# ---------------------------
#
# A network has learned the task if all 64 answers are correct. The others answer "not symmetric" for all rows, or nearly all:
# this is correct for 56 of the 64, and gradient descent has not left this plateau or local minimum.

losses = np.array([network.loss_curve_ for network in networks])
n_correct = np.array([(network.predict(X) == y).sum() for network in networks])
has_learned = n_correct == len(X)
# the first sweep with a mean error below 0.01; the error on the plateau is 0.055
sweeps = (losses[has_learned] < 0.01).argmax(axis=1)
low, median, high = np.percentile(sweeps, [10, 50, 90])
print(f"learned: {has_learned.sum()} of {N_SEEDS} networks")
print(f"sweeps: median {median:.0f}, for 80 % of the networks {low:.0f} to {high:.0f}; in the article 1425")
print(f"correct answers of the other networks: {np.unique(n_correct[~has_learned])}")

# %%
# The weights
# -----------
#
# ``imbalance`` is the largest sum of two opposite weights, relative to the largest weight; it is 0 for antisymmetric weights.
# ``ratios`` are the sizes of the three weights of each half, divided by the smallest.

weights = np.array([network.coefs_[0] for network in networks])[has_learned]  # (n_networks, 6 inputs, 2 units)
imbalance = np.abs(weights + weights[:, ::-1]).max(axis=(1, 2)) / np.abs(weights).max(axis=(1, 2))
sizes = np.sort(np.abs(weights[:, :3]), axis=1)
ratios = sizes / sizes[:, :1]
is_1_2_4, is_2_3_4 = (
    np.isclose(ratios, np.reshape(pattern, (1, 3, 1)), rtol=0.05).all(axis=(1, 2)) for pattern in ((1, 2, 4), (1, 1.5, 2))
)
print(f"largest imbalance: {imbalance.max():.4f}")
print(f"ratios 1 : 2 : 4 in {is_1_2_4.sum()} networks, 2 : 3 : 4 in {is_2_3_4.sum()}, others in {(~is_1_2_4 & ~is_2_3_4).sum()}")

# %%
# With the ratios 2 : 3 : 4, the halves of no row that is not symmetric cancel, either, so this is another solution, which the
# article does not mention.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for curve, learned in zip(losses, has_learned, strict=True):
    left.plot(curve, color="tab:blue" if learned else "tab:red", alpha=0.4, linewidth=0.8)
left.plot([], [], color="tab:blue", label=f"learned ({has_learned.sum()})")
left.plot([], [], color="tab:red", label=f"not learned ({(~has_learned).sum()})")
left.axvline(1425, color="black", linestyle=":", label="the article")
left.set(xlabel="sweep", ylabel="mean error", yscale="log", title=f"{N_SEEDS} networks")
left.legend(loc="lower left")

example = np.flatnonzero(is_1_2_4)[0]
positions = np.arange(1, 7)
for unit, color in enumerate(["tab:orange", "tab:green"]):
    scaled = weights[example, :, unit] / sizes[example, 0, unit]
    bars = right.bar(positions + 0.4 * unit - 0.2, scaled, 0.38, color=color, label=f"hidden unit {unit + 1}")
    right.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
right.axvline(3.5, color="black", linewidth=0.8, linestyle=":")
right.axhline(0, color="black", linewidth=0.8)
right.set(xlabel="input", ylabel="weight / smallest weight", title="weights of a network with the ratios 1 : 2 : 4", ylim=(-5, 5))
right.legend(loc="upper right")
plt.show()
