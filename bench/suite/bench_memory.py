"""Peak memory of a process that fits or predicts, with fastbp and with scikit-learn, and of a fit on a stream.

The peak includes the interpreter, the imports and the data; `peakmem_data` measures only these. `setup_cache` runs in another
process, so that the memory for compilation and for creating the data is not included.
"""

import numpy as np

from .common import LIBRARIES, NETWORKS, fit

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
