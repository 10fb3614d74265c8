"""The cost of each feature: fits of ten epochs with the feature, compared with fits without it, and the losses.

A ratio compares two fits that take turns; set-up is included. The ratio of "nothing" shows how far a ratio may differ from 1 by
chance.
Compare the loss of a feature with the loss of the same feature at another commit, not with the losses of other features.
"""

from statistics import median

import numpy as np

import fastbp
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._network.activations import ACTIVATION_NAMES

from .common import Network, fit, profile, rounded, seconds_of

NETWORKS = {"20-100-1 b200": Network((20, 100, 1), 200), "64-100-10 b200": Network((64, 100, 10), 200)}
_EPOCHS = 10
_RATES = {"adadelta": 1.0, "lion": 1e-4}
_CLASSIFIER = {
    "nothing": {},
    **{f"activation {name}": {"activation": name} for name in ACTIVATION_NAMES if name != "relu"},
    **{f"solver {name}": {"solver": name, "learning_rate_init": _RATES.get(name, 1e-3)} for name in N_MOMENTS if name != "adam"},
    "dropout": {"dropout": 0.2},
    "input_noise": {"input_noise": 0.1},
    "l1": {"l1": 1e-3},
    "clip_norm": {"clip_norm": 1.0},
    "max_norm": {"max_norm": 3.0},
    "weight_decay": {"weight_decay": 1e-2},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True},
    "ema_decay": {"ema_decay": 0.99},
    "regularization_schedule": {"weight_decay": 1e-2, "regularization_schedule": "flat_cosine"},
    "learning_rate_factors": {"learning_rate_factors": {"intercepts": 0.1}},
    "weight_init data": {"weight_init": "data"},
    "scale smooth_clip": {"scale": "smooth_clip"},
    "cosine": {"learning_rate": "cosine"},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weight": {"class_weight": "balanced"},
    "loss squared_error": {"loss": "squared_error"},
    "scale": {"scale": "standard"},
    "early_stopping": {"early_stopping": True},
    "X_val": {},
}
_REGRESSOR = {
    "nothing, regression": {},
    **{f"loss {name}": {"loss": name} for name in ("absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie")},
    "three quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    "scale_y": {"scale_y": "standard"},
    "clip_predictions": {"clip_predictions": True},
}


def _fit_of(network, feature):
    """A function that fits a network with one feature to float32 data and returns the estimator."""
    network = NETWORKS[network]
    X, y = network.data(np.float32)
    given = {}
    if feature == "X_val":
        n_val = len(y) // 10
        given = {"X_val": X[:n_val], "y_val": y[:n_val]}
    if feature in _REGRESSOR:
        y = np.exp(X[:, : network.sizes[-1]] / 2 + y[:, np.newaxis] / 10)  # positive, because some losses require it
        y = y[:, 0] if y.shape[1] == 1 or feature == "three quantiles" else y
    estimator = (fastbp.MLPRegressor if feature in _REGRESSOR else fastbp.MLPClassifier)(
        hidden_layer_sizes=network.sizes[1:-1],
        batch_size=network.batch_size,
        max_iter=_EPOCHS,
        n_iter_no_change=np.inf,
        random_state=0,
        **(_CLASSIFIER | _REGRESSOR)[feature],
    )
    return lambda: fit(estimator, X, y, **given)


class Feature:
    """A fit with one feature."""

    params = [list(NETWORKS), [*_CLASSIFIER, *_REGRESSOR]]
    param_names = ["network", "feature"]

    def setup(self, network, feature):
        self.fit = _fit_of(network, feature)
        self.fitted = self.fit()  # compiles

    def time_fit(self, network, feature):
        self.fit()

    def track_ratio_to_nothing(self, network, feature):
        nothing = _fit_of(network, "nothing, regression" if feature in _REGRESSOR else "nothing")
        nothing()
        ratios = [seconds_of(self.fit) / seconds_of(nothing) for _ in range(3 * profile().rounds)]
        return rounded(median(ratios), 3)

    track_ratio_to_nothing.unit = "times as long"

    def track_loss(self, network, feature):
        return rounded(self.fitted.loss_, 7)

    track_loss.unit = "loss"
