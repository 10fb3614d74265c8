"""fastbp and scikit-learn: both are trained by the same code, with a different import."""

import warnings
from importlib import import_module

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .trainer import Trainer

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed


class SklearnTrainer(Trainer):
    module, options = "sklearn.neural_network", {}

    def setup(self):
        self.MLPClassifier = import_module(self.module).MLPClassifier

    def train(self, n_epochs):
        work = self.work
        classifier = self.MLPClassifier(
            work.sizes[1:-1],
            work.activation,
            solver=work.solver,
            batch_size=work.batch_size,
            max_iter=n_epochs,
            n_iter_no_change=np.inf,
            random_state=0,
            **self.options,
        )
        classifier.fit(self.X, self.y)
        return classifier.coefs_, classifier.intercepts_


class FastbpTrainer(SklearnTrainer):
    module = "fastbp"

    def setup(self):
        super().setup()
        self.options = {"n_threads": self.work.n_threads}


class MixedFastbpTrainer(FastbpTrainer):
    """Products of bfloat16 numbers."""

    def setup(self):
        super().setup()
        self.options["dtype"] = "mixed_bfloat16"
