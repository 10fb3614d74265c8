import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from joblib import parallel_config
from fastbp import MLPRegressor
from fastbp.datasets import load_california_housing

X, y = load_california_housing(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
network = MLPRegressor("squared_error", (64, 64), "silu", dtype="float32", missing="indicator", scale_y="standard", max_iter=60, batch_size=128, learning_rate="one_cycle", learning_rate_init=0.01, random_state=0)
pipeline = Pipeline([("quantiles", QuantileTransformer(output_distribution="normal", random_state=0)), ("network", network)])
grid = {"quantiles": [StandardScaler(), QuantileTransformer(output_distribution="normal", random_state=0)], "network__hidden_layer_sizes": [(64, 64), (128, 128)], "network__alpha": [1e-4, 1e-2]}
t = time.time()
with parallel_config("threading", n_jobs=2), warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_root_mean_squared_error").fit(X_train, y_train)
print(time.time() - t)
for p, s in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]): print(p, round(s, 4))
print(search.best_params_, -search.score(X_test, y_test))
print(root_mean_squared_error(y_test, make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(X_train, y_train).predict(X_test)))
print(root_mean_squared_error(y_test, HistGradientBoostingRegressor(random_state=0).fit(X_train, y_train).predict(X_test)))
