import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.datasets import load_mnist

X, y = load_mnist(return_X_y=True)
X = (X / 255).astype(np.float32)
X_train, y_train, X_test, y_test = X[:3000], y[:3000], X[60000:], y[60000:]


def train(dropout, random_state):
    model = MLPClassifier(
        (200, 200), batch_size=100, dropout=dropout, alpha=0, max_iter=60, tol=0, n_iter_no_change=np.inf, random_state=random_state
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X_train, y_train, X_val=X_test, y_val=y_test)


for dropout in (0, 0.2, 0.5, [0.2, 0.5, 0.5]):
    for seed in range(3):
        model = train(dropout, seed)
        print(dropout, seed, model.loss_, model.history_["val_loss"][-1], min(model.history_["val_loss"]), model.history_["val_score"][-1], model.score(X_train, y_train))
