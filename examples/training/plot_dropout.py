"""
=======
Dropout
=======

Dropout [1]_ sets a random part of the activations to 0 in each training step. A unit then cannot rely on the presence of certain
other units. The effect on predictions is similar to that of averaging many networks. Predictions use all units.

Dropout helps when a network has too many parameters for its data. Here, a network with two hidden layers of 100 units, 89,610
parameters, is trained on only 2,000 images of MNIST. With and without dropout, it fits the training images nearly perfectly.

.. [1] Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
   Overfitting", JMLR 15, 2014.
"""

# %%
# Training
# --------
# Five seeds for each rate of dropout. The history contains the loss on 2,000 test images after each epoch, which does not change
# training. The accuracy is computed for all 10,000 test images.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[60000:], y[60000:]


def train(dropout, random_state):
    model = MLPClassifier(
        (100, 100),
        alpha=0,
        batch_size=100,
        dropout=dropout,
        max_iter=40,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=random_state,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X_train, y_train, X_val=X_test[:2000], y_val=y_test[:2000])


rates, seeds = (0, 0.3, 0.5), range(5)
models = {rate: [train(rate, seed) for seed in seeds] for rate in rates}
train_accuracy = {rate: np.array([model.score(X_train, y_train) for model in models[rate]]) for rate in rates}
test_accuracy = {rate: np.array([model.score(X_test, y_test) for model in models[rate]]) for rate in rates}
test_loss = {rate: np.array([model.history_["val_loss"] for model in models[rate]]) for rate in rates}

print("dropout   training accuracy   test accuracy, mean (lowest to highest)   test loss after 40 epochs")
for rate in rates:
    accuracy, loss = test_accuracy[rate], test_loss[rate][:, -1]
    span = f"{accuracy.mean():.4f} ({accuracy.min():.4f} to {accuracy.max():.4f})"
    print(f"{rate:7}   {train_accuracy[rate].mean():17.4f}   {span:40}  {loss.mean():.3f} ({loss.min():.3f} to {loss.max():.3f})")

# %%
# The curves
# ----------
# Without dropout, the test loss grows again soon after its minimum, because the network becomes too certain of its errors. With
# dropout, it grows more slowly. The loss on the training images is computed with dropout, so it is higher than without.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
epochs = np.arange(1, 41)
for rate, color in zip(rates, ("tab:red", "tab:blue", "tab:green"), strict=True):
    for ax, curves in ((left, np.array([model.loss_curve_ for model in models[rate]])), (right, test_loss[rate])):
        ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2)
        ax.plot(epochs, curves.mean(axis=0), color=color, label=f"dropout {rate}")
left.set(ylabel="loss on the training images", yscale="log")
right.set(ylabel="loss on the test images", ylim=(0.3, 0.7))
for ax in (left, right):
    ax.set_xlabel("epoch")
    ax.grid(alpha=0.25)
left.legend(frameon=False)
figure.suptitle("Mean of five seeds; the bands are from the lowest to the highest")
plt.show()
