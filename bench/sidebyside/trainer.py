"""What every peer can be asked: to train for so many epochs from the start, and how long a step takes.

A peer adds ``train``, which returns (coefs, intercepts) when all work is done, the shuffling of rows in every epoch included, which
the estimators of fastbp and scikit-learn do themselves. Seconds are the difference of a long and a short
training, so that what is done once cancels out; whatever compiles was compiled before.
"""

import time

from .works import Start


class Trainer:
    def __init__(self, work, X, y):
        self.work, self.X, self.y = work, X, y
        self.start = Start(work, X.shape[0])
        self.n_epochs = None
        self.setup()

    def setup(self):
        """Whatever is done once and not timed."""

    def train(self, n_epochs):
        """The weights after so many epochs from the starting weights on."""
        raise NotImplementedError

    def calibrate(self, seconds, most_epochs):
        """Find how many epochs take about so many seconds."""
        self._seconds(1)  # compiles, or loads what was compiled before
        n_epochs, taken = 1, 0.0
        while taken < seconds / 2 and n_epochs < most_epochs:
            n_epochs *= 2
            taken = self._seconds(n_epochs)
        self.n_epochs = min(max(1, round(n_epochs * seconds / max(taken, 1e-6))), most_epochs)

    def seconds_per_epoch(self):
        n_short = max(1, self.n_epochs // 10)
        n_long = n_short + self.n_epochs
        short = self._seconds(n_short)
        return max(self._seconds(n_long) - short, 1e-9) / self.n_epochs  # next to no work, as in a quick run, may seem negative

    def seconds_per_step(self):
        return self.seconds_per_epoch() * self.work.batch_size / self.X.shape[0]

    def _seconds(self, n_epochs):
        start = time.perf_counter()
        self.train(n_epochs)
        return time.perf_counter() - start
