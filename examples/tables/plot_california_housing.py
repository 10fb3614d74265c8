"""
================================
California housing: a regression
================================

The California housing data set has 20,640 block groups of the US census of 1990, with eight numbers for each: incomes, ages,
numbers of rooms and persons, and the position [1]_. The target is the median value of the houses in units of 100,000 dollars. The
average number of bedrooms is missing in 207 rows.

The columns have very different distributions with a few extreme values, so the way in which they are scaled matters. The grid
search compares two ways of scaling together with the size of the network.

.. [1] Pace and Barry, "Sparse Spatial Autoregressions", Statistics & Probability Letters 33, 1997.
.. [2] Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling", ICLR 2025:
   means of 15 seeds from the published reports.
.. [3] Gorishniy, Rubachev, Kartashev, Shlenskii, Kotelnikov and Babenko, "TabR: Tabular Deep Learning Meets Nearest Neighbors",
   ICLR 2024: means of 15 seeds from the published reports.
"""

# %%
# The pipeline
# ------------
# ``StandardScaler`` keeps the shape of a distribution. ``QuantileTransformer`` replaces each value by the quantile of a normal
# distribution, so that there are no extreme values. Both keep missing values. ``missing="indicator"`` replaces them inside the
# network, and adds an input that marks them. ``scale_y`` standardizes the target inside the network; predictions have the original
# unit.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import parallel_config
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from fastbp import MLPRegressor
from fastbp.datasets import load_california_housing

X, y = load_california_housing(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)

network = MLPRegressor(
    activation="silu",
    batch_size=128,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=30,
    missing="indicator",
    scale_y="standard",
    dtype="float32",
    random_state=0,
)
quantiles = QuantileTransformer(output_distribution="normal", random_state=0)
pipeline = Pipeline([("scaling", quantiles), ("network", network)])
grid = {"scaling": [StandardScaler(), quantiles], "network__hidden_layer_sizes": [32, (64, 64), (128, 64)]}

# %%
# The grid search
# ---------------
# The score is the root mean squared error (RMSE), with a minus sign because a grid search maximizes.

start = time.perf_counter()
with parallel_config("threading", n_jobs=2), warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_root_mean_squared_error").fit(X_train, y_train)
seconds = time.perf_counter() - start

results = search.cv_results_
names = [f"{type(p['scaling']).__name__}, {p['network__hidden_layer_sizes']}" for p in results["params"]]
errors = -results["mean_test_score"]
print("RMSE in three-fold cross-validation")
for at in np.argsort(errors):
    print(f"{errors[at]:.4f}  {names[at]}")
print(f"the search with 19 fits took {seconds:.0f} s")

# %%
# The test set
# ------------
# The test RMSE is compared with those of linear regression and of gradient boosting with default parameters. Published figures are
# 0.495 for a tuned multilayer perceptron [2]_ and 0.429 for tuned gradient boosting [3]_, for another split of the rows.

models = {
    "linear regression": make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(X_train, y_train),
    "network": search,
    "gradient boosting": HistGradientBoostingRegressor(random_state=0).fit(X_train, y_train),
}
test_errors = {name: root_mean_squared_error(y_test, model.predict(X_test)) for name, model in models.items()}
print("test RMSE")
for name, error in test_errors.items():
    print(f"{name:18} {error:.4f}")

# %%
# Target and prediction of each test row. The values in the data end at 500,000 dollars.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(1, 1.1))
order = np.argsort(-errors)
left.errorbar(errors[order], range(len(order)), xerr=results["std_test_score"][order], fmt="o")
left.set(yticks=range(len(order)), yticklabels=[names[at] for at in order], xlabel="RMSE")
left.set_title("cross-validation: mean and standard deviation", fontsize=10)
left.grid(alpha=0.25)
right.plot(y_test, search.predict(X_test), ".", markersize=3, alpha=0.3)
right.plot([0, 5], [0, 5], color="black", linewidth=0.8)
right.set(xlabel="median value (100,000 dollars)", ylabel="prediction", xlim=(0, 5.2), ylim=(0, 6))
right.set_title(f"test set, RMSE {test_errors['network']:.3f}", fontsize=10)
plt.show()
