"""
==============
Early stopping
==============

A network with many parameters first learns the structure of the training data and later its noise. The loss on rows that are not
used for training then grows again. Early stopping [1]_ ends training at that point: ``early_stopping=True`` sets a part of the
training rows aside, scores the model with them after each epoch, stops when the score has not improved for ``n_iter_no_change``
epochs, and keeps the weights with the best score.

The data are those of the diabetes study of Efron and others [2]_: 442 patients, ten features and a measure of disease progression
one year later. A network with 100 hidden units has 1,201 parameters, about 3.6 for each of the 331 training rows.

.. [1] Prechelt, "Early Stopping - But When?", in: Neural Networks: Tricks of the Trade, Springer, 1998.
.. [2] Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression", Annals of Statistics 32, 2004.
"""

# %%
# One fit without early stopping
# ------------------------------
# If ``X_val`` and ``y_val`` are passed to ``fit``, ``history_`` contains their loss after each epoch. Without early stopping, they
# do not change training.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from fastbp import MLPRegressor

X, y = load_diabetes(return_X_y=True)


def train(X, y, *, validation=None, **parameters):
    model = MLPRegressor(
        hidden_layer_sizes=100, learning_rate_init=0.01, max_iter=1000, tol=0, scale="standard", scale_y="standard", **parameters
    )
    X_val, y_val = validation or (None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, X_val=X_val, y_val=y_val)


X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
full = train(X_train, y_train, validation=(X_test, y_test), n_iter_no_change=np.inf, random_state=0)
curves = full.history_
best_epoch = 1 + int(np.argmin(curves["val_loss"]))
print(f"lowest loss on the test rows: {curves['val_loss'][best_epoch - 1]:.3f} in epoch {best_epoch}")
print(f"after 1,000 epochs: {curves['val_loss'][-1]:.3f}, while the loss on the training rows is {curves['loss'][-1]:.4f}")

# %%
# Twenty splits
# -------------
# Each of twenty random splits into training and test rows is used for a fit of 1,000 epochs, a fit with early stopping, and linear
# regression. With early stopping, a fifth of the training rows are validation rows.

seeds = range(20)
scores, n_epochs = {"1,000 epochs": [], "early stopping": [], "linear regression": []}, []
for seed in seeds:
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    early = train(X_train, y_train, early_stopping=True, validation_fraction=0.2, n_iter_no_change=20, random_state=seed)
    models = train(X_train, y_train, n_iter_no_change=np.inf, random_state=seed), early, LinearRegression().fit(X_train, y_train)
    for of_model, model in zip(scores.values(), models, strict=True):
        of_model.append(model.score(X_test, y_test))
    n_epochs.append(early.n_iter_)

print("R² on the test rows: mean of twenty splits (lowest to highest)")
for name, values in scores.items():
    print(f"{name:18} {np.mean(values):6.3f} ({min(values):6.3f} to {max(values):6.3f})")
wins = np.sum(np.array(scores["early stopping"]) > scores["1,000 epochs"])
print(f"early stopping is better in {wins} of 20 splits; it takes {min(n_epochs)} to {max(n_epochs)} epochs")

# %%
# The result
# ----------
# After 1,000 epochs, the network fits the training rows nearly perfectly. In most of the splits, its predictions for other patients
# are worse than the mean of y, which has an R² of 0. Early stopping prevents this, and takes a small fraction of the time. Linear
# regression is better still: so few rows do not contain more structure than that. Early stopping makes a network that is too large
# safe to use, but it does not make it the right model.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
epochs = np.arange(1, 1001)
left.plot(epochs, curves["loss"], label="training rows", color="tab:blue")
left.plot(epochs, curves["val_loss"], label="test rows", color="tab:orange")
left.axvline(best_epoch, color="gray", linestyle="--", label=f"lowest test loss, epoch {best_epoch}")
left.set(xlabel="epoch", ylabel="loss", xscale="log", yscale="log", title="one fit without early stopping")
left.legend(frameon=False)
right.boxplot(list(scores.values()), tick_labels=list(scores), widths=0.5)
right.axhline(0, color="gray", linewidth=0.8)
right.set(ylabel="R² on the test rows", title="twenty splits")
for ax in (left, right):
    ax.grid(alpha=0.25)
plt.show()
