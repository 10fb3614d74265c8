"""
=======================================
The weights of the first layer on MNIST
=======================================

A unit of the first hidden layer has one weight for each pixel of an image. The weights of a unit can therefore be drawn as an
image, which shows to which strokes the unit responds. If many of these images look like noise, training was too short, or the
penalty on the weights is too small.

The data, the parameters and the seed are those of scikit-learn's example *Visualization of MLP weights on MNIST* [1]_. 21,000
images are the training set and 49,000 the test set. Training takes eight epochs of stochastic gradient descent. fastbp computes the
same loss in every epoch, and the same accuracies.

.. [1] The scikit-learn developers, `scikit-learn.org/stable/auto_examples/neural_networks/plot_mnist_filters.html
   <https://scikit-learn.org/stable/auto_examples/neural_networks/plot_mnist_filters.html>`_.
"""

# %%
# Training
# --------
# Eight epochs are too few for convergence, so the ``ConvergenceWarning`` is expected.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

X, y = load_mnist(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 255, y, test_size=0.7, random_state=0)

model = MLPClassifier(40, solver="sgd", alpha=1e-4, learning_rate_init=0.2, max_iter=8, random_state=1)
start = time.perf_counter()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit(X_train, y_train)
seconds = time.perf_counter() - start

# %%
# The losses are compared with those that scikit-learn's page shows for version 1.8:

published = [0.44139186, 0.19174891, 0.13983521, 0.11378556, 0.09443967, 0.07846529, 0.06506307, 0.05534985]
print("epoch      fastbp   scikit-learn")
for epoch, (loss, expected) in enumerate(zip(model.loss_curve_, published, strict=True), start=1):
    print(f"{epoch:5}  {loss:.8f}     {expected:.8f}")

train_accuracy, test_accuracy = model.score(X_train, y_train), model.score(X_test, y_test)
print(f"training accuracy {train_accuracy:.6f}, in scikit-learn 0.986429")
print(f"test accuracy     {test_accuracy:.6f}, in scikit-learn 0.953061")
print(f"eight epochs took {seconds:.1f} s")

# %%
# The weights as images
# ---------------------
# All images have the same color scale. Blue pixels lower the input of a unit and red pixels raise it. The pixels at the border are
# 0 in nearly all images. Their weights receive no gradient, so that they keep their small random starting values.

weights = model.coefs_[0]
limit = 0.5 * np.abs(weights).max()
figure, axes = plt.subplots(4, 10, figsize=(10, 4.6), layout="constrained")
for unit, ax in enumerate(axes.flat):
    image = ax.imshow(weights[:, unit].reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
figure.colorbar(image, ax=axes, label="weight", shrink=0.9)
figure.suptitle("The weights of the 40 hidden units")
plt.show()
