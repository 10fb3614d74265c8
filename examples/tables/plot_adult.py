import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from joblib import parallel_config
from fastbp import MLPClassifier
from fastbp.datasets import load_adult

adult = load_adult(as_frame=True)
X_train, X_test = adult.data[: adult.n_train], adult.data[adult.n_train :]
y_train, y_test = adult.target[: adult.n_train], adult.target[adult.n_train :]
gains = ["capital_gain", "capital_loss"]
numbers = [n for n in adult.data.columns if n not in adult.categories and n not in gains]
columns = make_column_transformer(
    (StandardScaler(), numbers),
    (make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), gains),
    (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20), list(adult.categories)),
    sparse_threshold=0
)
network = MLPClassifier(dtype="float32", max_iter=20, batch_size=256, learning_rate="cosine", random_state=0)
pipeline = Pipeline([("columns", columns), ("network", network)])
grid = {"network__hidden_layer_sizes": [32, (64, 32)], "network__alpha": [1e-4, 1, 5], "network__learning_rate_init": [0.001, 0.004]}
t = time.time()
with parallel_config("threading", n_jobs=2), warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
print(time.time() - t)
for p, s in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]): print(p, round(s, 4))
print(search.best_params_, search.score(X_test, y_test))
lr = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X_train, y_train)
print(lr.score(X_test, y_test), (y_test == "<=50K").mean())
print(HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0).fit(X_train, y_train).score(X_test, y_test))
