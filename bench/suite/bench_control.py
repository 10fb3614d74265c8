"""Control benchmarks with plain NumPy, without fastbp. If they are slower than before, the machine is slower."""

import numpy as np

from . import common  # noqa: F401  limits BLAS to one thread, as in the other modules of the suite


class Control:
    """A matrix product, and the sum of an array of 16 MB."""

    def setup(self):
        random = np.random.RandomState(0)
        self.A, self.B = random.normal(size=(2, 256, 256)).astype(np.float32)
        self.many = random.normal(size=4_000_000).astype(np.float32)

    def time_matrix_product(self):
        self.A @ self.B

    def time_pass_over_memory(self):
        self.many.sum()
