"""Training: seconds per epoch for each network, complete default fits, and their losses and scores.

The ratios to scikit-learn are the most reliable results, because both libraries take turns in one process; seconds depend on the
load of the machine. Losses and scores show whether a change of speed also changed the quality of the model.
"""

from dataclasses import replace

from .common import (
    DTYPES,
    LIBRARIES,
    NETWORKS,
    TABLES,
    EpochTimer,
    compare_default_fits,
    compare_epochs,
    default_estimator,
    fit,
    rounded,
    table,
)

_QUALITY_EPOCHS = 10


class Epoch:
    """One epoch of training, without set-up."""

    params = [list(NETWORKS), DTYPES]
    param_names = ["network", "dtype"]

    def setup_cache(self):
        return {(name, dtype): compare_epochs(network, dtype) for name, network in NETWORKS.items() for dtype in DTYPES}

    setup_cache.timeout = 900

    def track_ratio_to_sklearn(self, comparisons, network, dtype):
        return rounded(comparisons[network, dtype].ratio, 3)

    track_ratio_to_sklearn.unit = "times faster"

    def track_seconds(self, comparisons, network, dtype):
        return rounded(comparisons[network, dtype].fastbp, 3)

    track_seconds.unit = "s"


class SomeEpochs:
    """A fit of ten epochs in fastbp, with set-up. asv times this fit itself, so two commits can take turns."""

    params = [list(NETWORKS), DTYPES]
    param_names = ["network", "dtype"]

    def setup(self, name, dtype):
        self.X, self.y = NETWORKS[name].data(dtype)
        self.estimator = NETWORKS[name].estimator("fastbp", 10)
        fit(self.estimator, self.X, self.y)  # compiles

    def time_fit(self, name, dtype):
        fit(self.estimator, self.X, self.y)


class EpochQuality:
    """Loss and score after ten epochs in both libraries. They must be equal in float64 and almost equal in float32."""

    params = [list(NETWORKS), DTYPES, list(LIBRARIES)]
    param_names = ["network", "dtype", "library"]

    def setup_cache(self):
        return {
            (name, dtype, library): self._train(network, dtype, library)
            for name, network in NETWORKS.items()
            for dtype in DTYPES
            for library in LIBRARIES
        }

    setup_cache.timeout = 900

    def track_loss(self, reached, network, dtype, library):
        return reached[network, dtype, library][0]

    track_loss.unit = "loss"

    def track_training_score(self, reached, network, dtype, library):
        return reached[network, dtype, library][1]

    track_training_score.unit = "accuracy"

    def _train(self, network, dtype, library):
        X, y = network.data(dtype)
        fitted = fit(network.estimator(library, _QUALITY_EPOCHS), X, y)
        return rounded(fitted.loss_, 7), rounded(fitted.score(X, y), 4)


class DefaultFit:
    """A complete fit with default parameters on a small data set."""

    params = [list(TABLES), DTYPES]
    param_names = ["table", "dtype"]

    def setup(self, name, dtype):
        self.X, self.y = table(name, dtype)
        self.fitted = fit(default_estimator("fastbp", name), self.X, self.y)  # compiles

    def track_ratio_to_sklearn(self, name, dtype):
        return rounded(compare_default_fits(name, dtype).ratio, 3)

    track_ratio_to_sklearn.unit = "times faster"

    def time_fit(self, name, dtype):
        fit(default_estimator("fastbp", name), self.X, self.y)

    def track_loss(self, name, dtype):
        return rounded(self.fitted.loss_, 7)

    track_loss.unit = "loss"

    def track_training_score(self, name, dtype):
        return rounded(self.fitted.score(self.X, self.y), 4)

    track_training_score.unit = "score"


class Rows:
    """The time per row, without set-up. It should be the same for few and for many rows."""

    params = [[1000, 10_000, 100_000], DTYPES]
    param_names = ["n_rows", "dtype"]

    def setup(self, n_rows, dtype):
        network = replace(NETWORKS["20-100-1 b200 adam"], n_rows=n_rows)
        self.timer = EpochTimer(network, "fastbp", dtype)
        self.fitted = fit(network.estimator("fastbp", 1), self.timer.X, self.timer.y)

    def track_nanoseconds_per_row(self, n_rows, dtype):
        seconds = min(self.timer.measure() for _ in range(3))
        return rounded(1e9 * seconds / len(self.timer.y), 3)

    track_nanoseconds_per_row.unit = "ns"

    def track_training_score(self, n_rows, dtype):
        return rounded(self.fitted.score(self.timer.X, self.timer.y), 4)

    track_training_score.unit = "accuracy"
