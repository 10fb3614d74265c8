"""The training of one page: a network, its rows, the position in the epoch, and the record of the epochs.

``Settings`` and a ``Table`` go in; methods train for one batch or to the end of the epoch. Training calls ``partial_fit``. Without
dropout, whole epochs give the same numbers as ``fit``, and single steps the same numbers as whole epochs. The state depends only on
the settings, the file and the number of steps, so that it can be reached again. This module does not know about threads or servers.
"""

from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone

from ._points import make_dataset

# With this learning rate, a step leaves every weight unchanged, because the change is smaller than the rounding error.
_NO_STEP = 1e-300
_N_RECORDS = 400
_GROWTH_LIMIT = 1e6  # the same factor as in the warnings of `fit`


class Session:
    """The training of one network.

    ``model`` is the estimator with the current weights. ``epoch`` is the number of complete epochs, ``step`` the number of batches
    of the current epoch that were trained. ``failure`` is the message of the error if training has diverged, and None otherwise.
    """

    def __init__(self, settings, table=None):
        self.settings, self.dataset = settings, make_dataset(settings, table)
        self.X, self.y = self.dataset.part(test=False)
        self.X_test, self.y_test = self.dataset.part(test=True)
        self.classes = None if self.dataset.labels is None else np.arange(len(self.dataset.labels))
        self.batch_size = min(settings.batch_size, len(self.y))
        self.n_batches = -(-len(self.y) // self.batch_size)
        self.epoch, self.step, self.failure = 0, 0, None
        self._random = np.random.RandomState(settings.seed)
        self.model = self._untrained()
        self._trained = estimator(settings, self.dataset, self.batch_size)
        if settings.dropout:  # each call draws other units
            self._trained.set_params(random_state=np.random.RandomState(settings.seed))
        self._order = self._shuffled(np.arange(len(self.y)))
        self.record = Record()
        self.record.add(self)

    def _untrained(self):
        """A fitted estimator with the initial weights. Afterwards, the random numbers continue as they do in ``fit``."""
        model = estimator(self.settings, self.dataset, self.batch_size).set_params(random_state=self._random, dropout=0.0)
        model.set_params(learning_rate_init=_NO_STEP)
        return self._fitted(model, np.arange(self.batch_size))

    def _fitted(self, model, rows):
        arguments = {} if self.classes is None else {"classes": self.classes}
        return model.partial_fit(self.X[rows], self.y[rows], **arguments)

    def _shuffled(self, order):
        """The order of the rows in the next epoch, which is that of ``fit``."""
        return order[self._random.permutation(len(order))]

    def change_limits(self, settings):
        """Use settings that differ only in those that do not change the numbers."""
        self.settings = settings
        for model in (self.model, self._trained):
            model.set_params(max_iter=settings.epochs)

    # ------------------------------------------------------------------ training

    @property
    def is_finished(self):
        """Whether all epochs are complete, or training has diverged."""
        return self.failure is not None or self.epoch >= self.settings.epochs

    @property
    def n_steps(self):
        """The number of steps since the initial weights."""
        return self.epoch * self.n_batches + self.step

    def train_step(self):
        """Train on the next batch."""
        if not self.is_finished:
            self._train(1)

    def train_epoch(self, should_stop=None):
        """Train on all remaining batches of the epoch. With dropout, training stops after a batch if ``should_stop()`` is true."""
        if self.is_finished:
            return
        if not self.settings.dropout:
            self._train(self.n_batches - self.step)
            return
        for _ in range(self.n_batches - self.step):  # a call draws random numbers once, so an epoch must be the same calls as steps
            self._train(1)
            if self.failure is not None or (should_stop is not None and should_stop()):
                return

    def advance_to(self, epoch, step, should_stop=None):
        """Train until this epoch and step, in parts of at most one epoch; yield after each part."""
        while self.epoch < epoch and not self.is_finished:
            self.train_epoch(should_stop)
            yield
        while self.epoch == epoch and self.step < min(step, self.n_batches - 1) and not self.is_finished:
            self.train_step()
            yield

    def _train(self, n_batches):
        start = self.step * self.batch_size
        rows = self._order[start : start + n_batches * self.batch_size]
        # the last batch can be smaller; partial_fit would warn about a batch size that is larger than the number of rows
        self._set_batch_size(min(self.batch_size, len(rows)))
        try:
            self._fitted(self._trained, rows)
        except ValueError as error:  # a weight is not finite
            self.failure = str(error)
            return
        self.model = self._trained
        self._check_growth()
        self.step += n_batches
        if self.step == self.n_batches:
            self._end_epoch()

    def _set_batch_size(self, size):
        if self._trained.batch_size != size:  # a new parameter makes the next call slower
            self._trained.set_params(batch_size=size)

    def _check_growth(self):
        """End the training if the loss has grown so much that the network cannot recover; its numbers would soon overflow."""
        loss, first = self.model.loss_, self.record.losses["train"][0]
        if not loss <= _GROWTH_LIMIT * max(1.0, first):
            self.failure = (
                f"Training has diverged: the loss was {first:.3g} before the first step, and it is {loss:.3g} in epoch "
                f"{self.epoch + 1}. Select a smaller learning rate (now {self.settings.learning_rate:g}), or standardize the data."
            )

    def _end_epoch(self):
        self.epoch, self.step = self.epoch + 1, 0
        self._order = self._shuffled(self._order)
        self.record.add(self)

    # ------------------------------------------------------------------ measures

    def measures(self):
        """The losses and the scores of the training rows and the test rows, for the current weights and without dropout."""
        parts = {"train": (self.X, self.y), "test": (self.X_test, self.y_test)}
        return {name: self._measured(*part) for name, part in parts.items()}

    def _measured(self, X, y):
        if self.classes is None:
            with np.errstate(over="ignore", invalid="ignore"):  # shortly before training diverges
                squared_error = float(np.mean((self.model.predict(X) - y) ** 2))
            variance = float(y.var())
            return {"loss": squared_error / 2, "score": 1 - squared_error / variance if variance > 0 else float("nan")}
        probabilities = self.model.predict_proba(X)
        chosen = np.clip(probabilities[np.arange(len(y)), y], np.finfo(float).tiny, 1)
        return {"loss": float(-np.log(chosen).mean()), "score": float((probabilities.argmax(axis=1) == y).mean())}

    def diagnosis(self):
        """The ``Diagnosis`` of the current weights on the training rows, with the test rows as validation rows."""
        from ..inspection import diagnose

        with np.errstate(all="ignore"):  # after divergence, sums of squares overflow
            return diagnose(self.model, self.X, self.y, X_val=self.X_test, y_val=self.y_test)


@dataclass
class Record:
    """Losses and gradient norms at some epochs; if there are many epochs, only every second, fourth, ... epoch is kept."""

    epochs: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=lambda: {"train": [], "test": []})
    gradients: list[list[float]] = field(default_factory=list)  # for each epoch, one norm per layer
    stride: int = 1

    def add(self, session):
        """Add the current epoch of a session, unless it is left out."""
        if session.epoch % self.stride:
            return
        if len(self.epochs) > _N_RECORDS:
            self._thin()
            self.add(session)
            return
        self.epochs.append(session.epoch)
        for name, measure in session.measures().items():
            self.losses[name].append(measure["loss"])
        self.gradients.append(gradient_norms(session))

    def _thin(self):
        self.stride *= 2
        self.epochs, self.gradients = self.epochs[::2], self.gradients[::2]
        self.losses = {name: losses[::2] for name, losses in self.losses.items()}


def gradient_norms(session):
    """The Frobenius norm of the gradient of the objective with respect to the weights of each layer."""
    from ..inspection import trace

    return [float(np.linalg.norm(gradient)) for gradient in trace(session.model, session.X, session.y).coef_grads]


def estimator(settings, dataset, batch_size):
    """Return the estimator of the settings, which receives the rows in their order; see ``shown_estimator``.

    ``partial_fit`` ignores the parameters that end a fit; they are for the code that the page shows.
    """
    # imported here, because a chain of module-level imports would become too long
    from .. import MLPClassifier, MLPRegressor

    kind = MLPClassifier if dataset.is_classification else MLPRegressor
    sizes, activations = [units for units, _ in settings.layers], [activation for _, activation in settings.layers]
    return kind(
        hidden_layer_sizes=tuple(sizes),
        activation=activations or "relu",
        solver=settings.solver,
        learning_rate_init=settings.learning_rate,
        alpha=settings.alpha,
        dropout=settings.dropout,
        batch_size=batch_size,
        shuffle=False,
        max_iter=settings.epochs,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=settings.seed,
        n_threads=1,
    )


def shown_estimator(session):
    """The Python code that makes the estimator whose ``fit`` gives the numbers of the page."""
    model = clone(estimator(session.settings, session.dataset, session.batch_size))
    code = repr(model.set_params(shuffle=True, n_threads=None)).replace("=inf", '=float("inf")')
    return f"from fastbp import {type(model).__name__}\n\nmodel = {code}"
