"""
=================================================
Rumelhart, Hinton and Williams 1986: exclusive or
=================================================

The exclusive or of two inputs is the smallest task that a network without hidden units cannot learn. The first detailed report on
backpropagation studies it: how often does gradient descent end in a local minimum, and how does the time for learning depend on
the number of hidden units? Yves Chauvin, whose results it cites, found that a network with H hidden units needs about 280 − 33
log₂ H presentations, until the error is 0.01 per row. This example repeats the study with 100 random starts for each
H.

Reference: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation", in
*Parallel Distributed Processing*, volume 1, chapter 8, MIT Press, 1986, https://doi.org/10.7551/mitpress/5236.003.0012.
"""

# %%
# The report gives the learning rate η = 0.25. It does not give the initial weights; here, they are between −1 and 1. The momentum
# is α = 0.9, which the report uses in most experiments. The first networks of the report also have direct connections from the
# inputs to the output, which fastbp does not support, so they are not repeated here.
#
# The report counts presentations. Here, one presentation is taken as one sweep over the four rows.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
N_HIDDEN = np.array([2, 4, 8, 16, 32])
N_SEEDS, N_SWEEPS, TARGET_ERROR = 100, 3000, 0.01


def uniform(random_state, shape):
    return random_state.uniform(-1, 1, shape)


def train(n_hidden, seed):
    network = MLPClassifier(
        int(n_hidden),
        activation="logistic",
        loss="squared_error",
        solver="sgd",
        learning_rate_init=0.25 * len(X),  # the error of the report is a sum over rows
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
    tasks = (delayed(train)(n_hidden, seed) for n_hidden in N_HIDDEN for seed in range(N_SEEDS))
    networks = np.reshape(Parallel(n_jobs=-1, prefer="threads")(tasks), (len(N_HIDDEN), N_SEEDS))

# %%
# ``loss_curve_`` has the mean error of each sweep, so it also tells after how many sweeps a network has learned the task.

errors = np.array([[network.loss_curve_ for network in row] for row in networks])  # (n_sizes, n_seeds, n_sweeps)
has_learned = errors[:, :, -1] < TARGET_ERROR
sweeps = np.where(has_learned, (errors < TARGET_ERROR).argmax(axis=2), np.nan)
medians = np.nanmedian(sweeps, axis=1)
formula = 280 - 33 * np.log2(N_HIDDEN)
print("hidden units   learned of 100   sweeps (median)   280 - 33 log2 H")
for row in zip(N_HIDDEN, has_learned.sum(axis=1), medians, formula, strict=True):
    print("{:12} {:16} {:17.0f} {:17.0f}".format(*row))
slope = np.polyfit(np.log2(N_HIDDEN), medians, 1)[0]
print(f"sweeps saved by twice as many hidden units: {-slope:.0f}; in the report 33")

# %%
# With two hidden units, about a fifth of the networks do not learn the task in 3,000 sweeps. The report found local minima in two
# of several hundred runs, but with other networks and initial weights. With four or more hidden units, all networks learn it.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for curve, learned in zip(errors[0], has_learned[0], strict=True):
    left.plot(curve, color="tab:blue" if learned else "tab:red", alpha=0.4, linewidth=0.8)
left.plot([], [], color="tab:blue", label=f"learned ({has_learned[0].sum()})")
left.plot([], [], color="tab:red", label=f"not learned ({(~has_learned[0]).sum()})")
left.axhline(TARGET_ERROR, color="black", linestyle=":", label="target")
left.set(xlabel="sweep", ylabel="mean error", yscale="log", xlim=(0, 1500), title="100 networks with two hidden units")
left.legend(loc="lower left")

low, high = np.nanpercentile(sweeps, [25, 75], axis=1)
right.errorbar(N_HIDDEN, medians, [medians - low, high - medians], fmt="o-", capsize=4, label="median and quartiles")
right.plot(N_HIDDEN, formula, "k--", label="280 − 33 log₂ H")
right.set_xscale("log", base=2)
right.set(xlabel="hidden units H", ylabel="sweeps until the error is 0.01", title="more hidden units learn faster", ylim=(0, None))
right.set_xticks(N_HIDDEN, N_HIDDEN)
right.grid(alpha=0.3)
right.legend()
plt.show()
