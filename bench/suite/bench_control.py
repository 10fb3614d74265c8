"""Control: plain NumPy, without a line of ours. If these are slower than last time, so was the machine."""

import numpy as np

from . import common  # noqa: F401  sets one BLAS thread, as everywhere else in this suite


class Control:
    """A product of matrices, and a pass over memory."""

    def setup(self):
        random = np.random.RandomState(0)
        self.A, self.B = random.normal(size=(2, 256, 256)).astype(np.float32)
        self.many = random.normal(size=4_000_000).astype(np.float32)

    def time_matrix_product(self):
        self.A @ self.B

    def time_pass_over_memory(self):
        self.many.sum()
