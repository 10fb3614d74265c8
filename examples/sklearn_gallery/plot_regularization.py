"""
==========================
Varying the regularization
==========================

The parameter ``alpha`` is the strength of a penalty on the squared weights. A large ``alpha`` keeps the weights small, and the
decision boundary becomes smooth. A small ``alpha`` allows large weights and a boundary that follows single points.

The data and the parameters are those of scikit-learn's example *Varying regularization in Multi-layer Perceptron* [1]_: five values
of ``alpha`` on three data sets of 100 points, of which 40 are the test set. The solver is L-BFGS. Each of its iterations amplifies
rounding errors: fits of up to about 50 iterations agree with scikit-learn's, and longer ones may end with another loss. Their test
accuracies differ by at most one of the 40 points.

.. [1] The scikit-learn developers, `scikit-learn.org/stable/auto_examples/neural_networks/plot_mlp_alpha.html
   <https://scikit-learn.org/stable/auto_examples/neural_networks/plot_mlp_alpha.html>`_.
"""

# %%
# Training
# --------

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.datasets import make_circles, make_classification, make_moons
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier

X, y = make_classification(n_features=2, n_redundant=0, n_clusters_per_class=1, random_state=0)
X += 2 * np.random.RandomState(2).uniform(size=X.shape)
data_sets = {
    "moons": make_moons(noise=0.3, random_state=0),
    "circles": make_circles(noise=0.2, factor=0.5, random_state=1),
    "two clusters": (X, y),
}
alphas = np.logspace(-1, 1, 5)


def network(alpha):
    return make_pipeline(
        StandardScaler(), MLPClassifier((10, 10), solver="lbfgs", alpha=alpha, max_iter=2000, early_stopping=True, random_state=1)
    )


splits = {name: train_test_split(X, y, test_size=0.4, random_state=42) for name, (X, y) in data_sets.items()}
models = {
    (name, alpha): network(alpha).fit(X_train, y_train)
    for name, (X_train, X_test, y_train, y_test) in splits.items()
    for alpha in alphas
}

# %%
# The larger ``alpha``, the smaller are the weights. With ``alpha=10``, the weights for the moons and the circles are 0, and the
# network predicts the same class for all points. ``early_stopping`` has no effect on L-BFGS; it is set because scikit-learn's
# example sets it.


def norm(model):
    """The Euclidean norm of all weights."""
    return np.sqrt(sum(np.sum(W**2) for W in model[-1].coefs_))


print("test accuracy and norm of the weights")
print("alpha         " + "".join(f"{alpha:>14.3f}" for alpha in alphas))
scores, norms = {}, {}
for name, (_, X_test, _, y_test) in splits.items():
    scores[name] = [models[name, alpha].score(X_test, y_test) for alpha in alphas]
    norms[name] = [norm(models[name, alpha]) for alpha in alphas]
    cells = (f"{score:.3f} ({size:.2f})" for score, size in zip(scores[name], norms[name], strict=True))
    print(f"{name:14}" + "".join(f"{cell:>14}" for cell in cells))

# %%
# The decision surfaces
# ---------------------
# Training points have a black edge. The number in each picture is the test accuracy.

colors = ListedColormap(["tab:red", "tab:blue"])
figure, axes = plt.subplots(3, 5, figsize=(11, 6.8), layout="constrained")
for row, name in zip(axes, data_sets, strict=True):
    X_train, X_test, y_train, y_test = splits[name]
    low, high = data_sets[name][0].min(axis=0) - 0.5, data_sets[name][0].max(axis=0) + 0.5
    grid = np.meshgrid(np.linspace(low[0], high[0], 150), np.linspace(low[1], high[1], 150))
    for ax, alpha, score in zip(row, alphas, scores[name], strict=True):
        surface = models[name, alpha].predict_proba(np.column_stack([part.ravel() for part in grid]))[:, 1]
        ax.contourf(*grid, surface.reshape(grid[0].shape), np.linspace(0, 1, 11), cmap="RdBu", alpha=0.8)
        ax.scatter(*X_test.T, c=y_test, cmap=colors, s=12, alpha=0.6)
        ax.scatter(*X_train.T, c=y_train, cmap=colors, s=16, edgecolors="black", linewidths=0.7)
        ax.set(xticks=[], yticks=[])
        ax.text(0.97, 0.04, f"{score:.3f}", transform=ax.transAxes, ha="right", bbox={"facecolor": "white", "edgecolor": "none"})
    row[0].set_ylabel(name)
for ax, alpha in zip(axes[0], alphas, strict=True):
    ax.set_title(f"alpha = {alpha:.2f}")
plt.show()
