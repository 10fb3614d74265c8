"""Training: seconds per epoch for each network, whole default fits, and the quality that was reached in that time.

Ratios to scikit-learn are measured in turns with it in one process, and are what to look at; seconds follow the machine's mood.
Losses and scores stand beside them so that speed cannot be bought with quality unseen.
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
    """One epoch of training, set-up not counted."""

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
    """A fit of ten epochs in fastbp alone, set-up included: what asv can measure in turns for two commits."""

    params = [list(NETWORKS), DTYPES]
    param_names = ["network", "dtype"]

    def setup(self, name, dtype):
        self.X, self.y = NETWORKS[name].data(dtype)
        self.estimator = NETWORKS[name].estimator("fastbp", 10)
        fit(self.estimator, self.X, self.y)  # compiles

    def time_fit(self, name, dtype):
        fit(self.estimator, self.X, self.y)


class EpochQuality:
    """What ten epochs reach, in both libraries: in float64 the two must be equal, in float32 nearly so."""

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
    """A whole fit with default parameters on a small table."""

    params = [list(TABLES), DTYPES]
    param_names = ["table", "dtype"]

    def setup(self, name, dtype):
        self.X, self.y = table(name, dtype)
        self.fitted = fit(default_estimator("fastbp"), self.X, self.y)  # compiles

    def track_ratio_to_sklearn(self, name, dtype):
        return rounded(compare_default_fits(name, dtype).ratio, 3)

    track_ratio_to_sklearn.unit = "times faster"

    def time_fit(self, name, dtype):
        fit(default_estimator("fastbp"), self.X, self.y)

    def track_loss(self, name, dtype):
        return rounded(self.fitted.loss_, 7)

    track_loss.unit = "loss"

    def track_training_score(self, name, dtype):
        return rounded(self.fitted.score(self.X, self.y), 4)

    track_training_score.unit = "accuracy"


class Rows:
    """What a row costs, set-up not counted: the same from few rows to many, or something does not grow with them alone."""

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
