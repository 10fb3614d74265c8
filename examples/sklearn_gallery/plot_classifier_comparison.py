"""
=================================
A comparison of seven classifiers
=================================

The decision boundary of a multilayer perceptron is compared with those of six other classifiers, on the data sets of scikit-learn's
example *Classifier comparison* [1]_. The network has the parameters of that example: 100 hidden units, the solver Adam,
``alpha=1``, ``max_iter=1000`` and ``random_state=42``. Its class is the only difference. scikit-learn's class is trained as well,
so that both can be compared: the numbers of epochs, the losses and the accuracies are equal.

Two features are easy to draw, but they say little about problems with many features.

.. [1] The scikit-learn developers, `scikit-learn.org/stable/auto_examples/classification/plot_classifier_comparison.html
   <https://scikit-learn.org/stable/auto_examples/classification/plot_classifier_comparison.html>`_.
"""

# %%
# Training
# --------

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import make_circles, make_classification, make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import fastbp

of_network = {"alpha": 1, "max_iter": 1000, "random_state": 42}
classifiers = {
    "fastbp": fastbp.MLPClassifier(**of_network),
    "scikit-learn": neural_network.MLPClassifier(**of_network),
    "nearest neighbors": KNeighborsClassifier(3),
    "linear SVM": SVC(kernel="linear", C=0.025, random_state=42),
    "RBF SVM": SVC(gamma=2, C=1, random_state=42),
    "decision tree": DecisionTreeClassifier(max_depth=5, random_state=42),
    "random forest": RandomForestClassifier(max_depth=5, n_estimators=10, max_features=1, random_state=42),
    "naive Bayes": GaussianNB(),
}
X, y = make_classification(n_features=2, n_redundant=0, n_informative=2, random_state=1, n_clusters_per_class=1)
X += 2 * np.random.RandomState(2).uniform(size=X.shape)
data_sets = {
    "moons": make_moons(noise=0.3, random_state=0),
    "circles": make_circles(noise=0.2, factor=0.5, random_state=1),
    "two clusters": (X, y),
}
splits = {name: train_test_split(X, y, test_size=0.4, random_state=42) for name, (X, y) in data_sets.items()}

models, scores = {}, {}
for name, (X_train, X_test, y_train, y_test) in splits.items():
    for label, classifier in classifiers.items():
        model = make_pipeline(StandardScaler(), clone(classifier)).fit(X_train, y_train)
        models[name, label], scores[name, label] = model, model.score(X_test, y_test)

print("test accuracy          " + "".join(f"{name:>14}" for name in data_sets))
for label in classifiers:
    print(f"{label:22} " + "".join(f"{scores[name, label]:14.3f}" for name in data_sets))

# %%
# The two networks stop after the same number of epochs with the same loss:

print("epochs and last loss      fastbp              scikit-learn")
for name in data_sets:
    networks = (models[name, label][-1] for label in ("fastbp", "scikit-learn"))
    print(f"{name:14} " + "".join(f"{network.n_iter_:6} {network.loss_:.10f}  " for network in networks))

# %%
# The decision surfaces
# ---------------------
# Training points have a black edge. The number in each picture is the test accuracy. The surface of scikit-learn's network is not
# drawn, because it is equal to that of fastbp.

colors = ListedColormap(["tab:red", "tab:blue"])
drawn = [label for label in classifiers if label != "scikit-learn"]
figure, axes = plt.subplots(3, len(drawn), figsize=(13, 6), layout="constrained")
for row, name in zip(axes, data_sets, strict=True):
    X_train, X_test, y_train, y_test = splits[name]
    low, high = data_sets[name][0].min(axis=0) - 0.5, data_sets[name][0].max(axis=0) + 0.5
    grid = np.meshgrid(np.linspace(low[0], high[0], 100), np.linspace(low[1], high[1], 100))
    points = np.column_stack([part.ravel() for part in grid])
    for ax, label in zip(row, drawn, strict=True):
        model = models[name, label]
        surface = model.predict_proba(points)[:, 1] - 0.5 if hasattr(model, "predict_proba") else model.decision_function(points)
        limit = np.abs(surface).max()  # the boundary is in the middle of the color scale
        ax.contourf(*grid, surface.reshape(grid[0].shape), np.linspace(-limit, limit, 12), cmap="RdBu", alpha=0.8)
        ax.scatter(*X_test.T, c=y_test, cmap=colors, s=12, alpha=0.6)
        ax.scatter(*X_train.T, c=y_train, cmap=colors, s=16, edgecolors="black", linewidths=0.7)
        ax.set(xticks=[], yticks=[])
        text = f"{scores[name, label]:.3f}"
        ax.text(0.97, 0.04, text, transform=ax.transAxes, ha="right", bbox={"facecolor": "white", "edgecolor": "none"})
    row[0].set_ylabel(name)
for ax, label in zip(axes[0], drawn, strict=True):
    ax.set_title(label)
plt.show()
