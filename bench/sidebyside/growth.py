"""Measure seconds per epoch of fastbp on one thread, in one process, for different numbers of rows or hidden layers."""

import numpy as np

from .train_sklearn import FastbpTrainer
from .works import Work


class Growth:
    def __init__(self, unit, points):
        n_most = max(points) if unit == "rows" else 4000
        random = np.random.default_rng(0)
        X = random.standard_normal((n_most, 20), np.float32)
        y = (X[:, 0] + random.standard_normal(n_most, np.float32) > 0).astype(int)
        self.trainers = []
        for at in points:
            n_hidden, n_rows = (1, at) if unit == "rows" else (at, n_most)
            work = Work((20, *[100] * n_hidden, 1), 200, "adam", {})
            self.trainers.append(FastbpTrainer(work, X[:n_rows], y[:n_rows]))

    def calibrate(self, seconds, most_epochs):
        for trainer in self.trainers:
            trainer.calibrate(seconds, most_epochs)

    def seconds(self, i):
        return self.trainers[i].seconds_per_epoch()
