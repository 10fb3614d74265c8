"""Peak memory of a process that fits or predicts, with fastbp and with scikit-learn, and of a fit on a stream.

The peak includes the interpreter, the imports and the data; `peakmem_data` measures only these. `setup_cache` runs in another
process, so that the memory for compilation and for creating the data is not included.
"""

import numpy as np

from fastbp import MLPClassifier

from .common import LIBRARIES, NETWORKS, fit, profile

_NETWORK = NETWORKS["784-128-10 b128 adam"]


class Peak:
    """Peak memory with the largest network of the suite."""

    params = list(LIBRARIES)
    param_names = ["library"]

    def setup_cache(self):
        X, y = _NETWORK.data(np.float32)
        fit(_NETWORK.estimator("fastbp", 1), X, y).predict(X)  # stores the compiled kernels on disk
        return X, y

    def peakmem_data(self, data, library):
        """The memory before fitting and predicting."""

    def peakmem_fit(self, data, library):
        fit(_NETWORK.estimator(library, 1), *data)

    def peakmem_fit_and_predict(self, data, library):
        fit(_NETWORK.estimator(library, 1), *data).predict(data[0])


class StreamPeak:
    """Peak memory of ``fit_batches`` on blocks of 28 columns; it must not grow with the number of blocks."""

    params = (10, 100)
    param_names = ["blocks"]

    def setup_cache(self):
        self.peakmem_fit_batches(1)  # stores the compiled kernels on disk

    def peakmem_fit_batches(self, n_blocks):
        rows = np.random.RandomState(0).normal(size=(20_000, 28)).astype(np.float32)

        def blocks():
            for n in range(n_blocks):
                yield rows + np.float32(n), rows[:, 0]

        LIBRARIES["fastbp"].MLPRegressor(n_threads=1, random_state=0).fit_batches(blocks, epochs=1)


class PeakOfFile:
    """Peak memory with a memory-mapped file of float64 that is trained in float32; without conversions by blocks, X is copied."""

    params = [[False, True]]
    param_names = ["early_stopping"]

    def setup_cache(self):
        n_rows = max(20_000, int(2_000_000 * profile().row_share))
        random = np.random.default_rng(0)
        X = np.lib.format.open_memmap("X.npy", "w+", np.float64, (n_rows, 20))
        for start in range(0, n_rows, 10_000):
            X[start : start + 10_000] = random.normal(size=X[start : start + 10_000].shape)
        np.save("y.npy", X[:, 0] > 0)
        self._fit(20_000, False)  # stores the compiled kernels on disk
        return n_rows

    def _fit(self, n_rows, early_stopping):
        X, y = (np.load(f"{name}.npy", mmap_mode="r")[:n_rows] for name in "Xy")
        params = {"scale": "standard", "dtype": "float32", "batch_size": 1000, "max_iter": 1, "n_threads": 1}
        fit(MLPClassifier((32,), early_stopping=early_stopping, random_state=0, **params), X, y)

    def peakmem_fit(self, n_rows, early_stopping):
        self._fit(n_rows, early_stopping)
