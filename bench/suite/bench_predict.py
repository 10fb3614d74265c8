"""Prediction of one row, where input validation takes most of the time, and of many rows; functions of ``compile_predict``.

The network is trained for only one epoch, because the time of a prediction does not depend on the weights.
"""

import numpy as np

from .common import DTYPES, LIBRARIES, NETWORKS, compare, fit, rounded, seconds_of


class Predict:
    """`predict` of a trained network on the first rows of its data."""

    params = [["20-100-1 b200 adam", "784-128-10 b128 adam"], [1, 1000], DTYPES]
    param_names = ["network", "n_rows", "dtype"]

    def setup(self, name, n_rows, dtype):
        X, y = NETWORKS[name].data(dtype)
        self.X = np.resize(X, (n_rows, X.shape[1]))
        self.fitted = {library: fit(NETWORKS[name].estimator(library, 1), X, y) for library in LIBRARIES}
        self.fitted["fastbp"].predict(self.X)  # compiles

    def time_predict(self, name, n_rows, dtype):
        self.fitted["fastbp"].predict(self.X)

    def track_ratio_to_sklearn(self, name, n_rows, dtype):
        return rounded(compare({library: self._measure(library) for library in LIBRARIES}).ratio, 3)

    track_ratio_to_sklearn.unit = "times faster"

    def _measure(self, library):
        predict, X = self.fitted[library].predict, self.X

        def predict_often():
            for _ in range(20):
                predict(X)

        return lambda: seconds_of(predict_often)


class CompiledPredict:
    """The function that `compile_predict` returns, for one row and for a small batch."""

    params = [["20-100-1 b200 adam", "20-100-100-4 b200 adam tanh", "784-128-10 b128 adam"], [1, 8], DTYPES]
    param_names = ["network", "n_rows", "dtype"]

    def setup(self, name, n_rows, dtype):
        X, y = NETWORKS[name].data(dtype)
        self.rows = X[:n_rows].copy()
        self.row = self.rows[0] if n_rows == 1 else self.rows
        self.compiled = fit(NETWORKS[name].estimator("fastbp", 1), X, y).compile_predict()
        self.sklearn = fit(NETWORKS[name].estimator("sklearn", 1), X, y)
        self.compiled(self.row)

    def time_predict(self, name, n_rows, dtype):
        self.compiled(self.row)

    def track_ratio_to_sklearn(self, name, n_rows, dtype):
        calls = {"fastbp": (self.compiled, self.row), "sklearn": (self.sklearn.predict, self.rows)}
        return rounded(compare({library: self._measure(*call) for library, call in calls.items()}).ratio, 3)

    track_ratio_to_sklearn.unit = "times faster"

    def _measure(self, predict, X):
        def predict_often():
            for _ in range(50):
                predict(X)

        return lambda: seconds_of(predict_often)
