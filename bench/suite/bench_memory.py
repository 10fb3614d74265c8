"""Memory: the peak of a process that fits or predicts, ours and scikit-learn's.

The peak counts the interpreter, the imports and the data as well, which `peakmem_data` shows alone: the rest is the work's.
`setup_cache` runs in another process, so that neither the compiler's memory is counted nor what it takes to make the data.
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
        fit(_NETWORK.estimator("fastbp", 1), X, y).predict(X)  # leaves the compiled kernels on disk
        return X, y

    def peakmem_data(self, data, library):
        """What is there before anything is done."""

    def peakmem_fit(self, data, library):
        fit(_NETWORK.estimator(library, 1), *data)

    def peakmem_fit_and_predict(self, data, library):
        fit(_NETWORK.estimator(library, 1), *data).predict(data[0])
