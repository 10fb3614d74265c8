import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist
from fastbp.inspection import trace

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:60000], y[:60000], X[60000:], y[60000:]
batch_size, steps_per_chunk, n_epochs = 60, 100, 5


def small_normal(random_state, shape):
    return random_state.normal(0, 0.1, shape)


def train(batch_norm, rate, seed):
    model = MLPClassifier(
        (100, 100, 100), "logistic", solver="sgd", momentum=0, alpha=0, batch_size=batch_size, learning_rate_init=rate,
        weight_init=small_normal, bias_init="zeros", batch_norm=batch_norm, random_state=seed
    )
    random = np.random.RandomState(seed)
    accuracy, percentiles = [], []
    for _ in range(n_epochs):
        for chunk in random.permutation(len(X_train)).reshape(-1, steps_per_chunk * batch_size):
            model.partial_fit(X_train[chunk], y_train[chunk], classes=range(10))
            accuracy.append(model.score(X_test, y_test))
            values = trace(model, X_test[:1000], y_test[:1000])
            percentiles.append(np.percentile((values.norm_Z or values.Z)[2][:, 0], [15, 50, 85]))
    return np.array(accuracy), np.array(percentiles)


import time
for rate in (0.1, 0.5, 1):
    for bn in (False, True):
        for seed in range(1):
            t = time.time()
            a, p = train(bn, rate, seed)
            print(rate, bn, seed, a[[0, 1, 4, 9, 19, 29, 49]], p[::10].round(2).tolist(), time.time() - t)
