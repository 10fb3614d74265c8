import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPRegressor

X, y = load_diabetes(return_X_y=True)


def train(X, y, **parameters):
    model = MLPRegressor(hidden_layer_sizes=100, learning_rate_init=0.01, max_iter=1000, tol=0, scale="standard", scale_y="standard", **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


for seed in range(10):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    full = train(X_train, y_train, random_state=seed, n_iter_no_change=np.inf)
    early = train(X_train, y_train, random_state=seed, early_stopping=True, validation_fraction=0.2, n_iter_no_change=20)
    print(seed, full.n_iter_, full.score(X_test, y_test), early.n_iter_, early.score(X_test, y_test))
