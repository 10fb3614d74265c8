"""The common interface of all peers: train for a number of epochs, and measure the time of a step.

Each peer defines ``train``, which returns (coefs, intercepts) when training is finished. Training includes shuffling the rows in
each epoch; the estimators of fastbp and scikit-learn do this themselves. The time of a short training run is subtracted from that
of a long one, so that work that is done once cancels out. Compilation happens before the timing.
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
        """Work that is done once and not timed."""

    def train(self, n_epochs):
        """Train for n_epochs epochs from the starting weights; return (coefs, intercepts)."""
        raise NotImplementedError

    def calibrate(self, seconds, most_epochs):
        """Find the number of epochs that takes about `seconds` seconds."""
        self.seconds(1)  # compiles, or loads compiled code
        n_epochs, taken = 1, 0.0
        while taken < seconds / 2 and n_epochs < most_epochs:
            n_epochs *= 2
            taken = self.seconds(n_epochs)
        self.n_epochs = min(max(1, round(n_epochs * seconds / max(taken, 1e-6))), most_epochs)

    def seconds_per_epoch(self):
        n_short = max(1, self.n_epochs // 10)
        n_long = n_short + self.n_epochs
        short = self.seconds(n_short)
        return max(self.seconds(n_long) - short, 1e-9) / self.n_epochs  # in a quick run, the difference may be negative

    def seconds_per_step(self):
        return self.seconds_per_epoch() * self.work.batch_size / self.X.shape[0]

    def seconds(self, n_epochs):
        """The time of one call of `train`."""
        start = time.perf_counter()
        self.train(n_epochs)
        return time.perf_counter() - start
