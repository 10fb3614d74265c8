"""The numbers from which advice is derived.

The ``InspectedFit`` of the training rows and of validation rows, the results of a pass over the rows, and the attributes of the
estimator that describe its fit go in; ``Measurements`` come out. This module does not know the rules.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from ..._data.scores import accuracy

STEP_FACTORS = (1, 10, 100)
_USUAL_RATES = {"sgd": 0.01, "adagrad": 0.01, "adadelta": 1.0, "lion": 1e-4}  # PyTorch's defaults and the paper of Lion; else 0.001
N_NEIGHBORS = 5
_MAX_NEIGHBOR_ROWS = 1000  # so that all distances take less than 0.1 seconds
# Small networks do not overfit the 442 rows of the data set Diabetes with the first penalty. It is too strong for most classifiers.
_STRONG_PENALTY, _WEAK_PENALTY = 0.03, 0.003
_MIN_SCORED_ROWS, _N_GROUPS = 20, 10


class Score(NamedTuple):
    """A score of the published network on some rows, 1 for perfect predictions, and its standard error.

    It is the accuracy of a classifier and, for a regressor, 1 minus the ratio of the loss to that of the best constant, which is R²
    for the squared error. ``of_constant`` is the score of the best constant outputs for the training rows.
    """

    value: float
    error: float
    of_constant: float


class ClassTable(NamedTuple):
    """The labels of exclusive classes, their shares of the weight of the rows, and the shares of their rows that are predicted.

    ``class_weight`` is the parameter of the estimator.
    """

    labels: tuple[Any, ...]
    shares: np.ndarray
    recalls: np.ndarray
    class_weight: Any


class History(NamedTuple):
    """The attributes of an estimator that describe its fit: ``losses`` of all epochs, and the score of its validation rows.

    The score is the best one with early stopping, otherwise the last one, and NaN without validation rows. ``n_iter`` is the number
    of epochs of the last fit, and ``n_stale`` the number of epochs at its end that did not improve the loss by `tol`, or the score
    with early stopping. ``is_incremental`` says whether the last epoch was a call of ``partial_fit``.
    """

    losses: np.ndarray
    val_score: float
    n_iter: int
    n_stale: int = 0
    is_incremental: bool = False

    @classmethod
    def of(cls, est, n_given):
        """Return the history of an estimator; entries that it does not have are empty or NaN."""
        if est.solver == "lbfgs":  # the curves are those of an earlier fit with another solver
            return cls(np.empty(0), np.nan, int(getattr(est, "n_iter_", 0)))
        curves = getattr(est, "history_", {})
        if getattr(est, "t_", np.inf) < 0.5 * n_given * len(curves.get("loss", ())):
            curves = {}  # calls of partial_fit with different rows, whose losses cannot be compared
        best = getattr(est, "best_validation_score_", None)
        score = [np.nan, *curves.get("val_score", ())][-1] if best is None else best
        losses, n_iter = np.array(curves.get("loss", ()), float), int(getattr(est, "n_iter_", 0))
        watched = -np.array(curves.get("val_score", ()), float) if est.early_stopping else losses
        return cls(losses, float(score), n_iter, n_stale_epochs(watched, est.tol), n_iter == 1 and _ended_by_partial_fit(est))


def _ended_by_partial_fit(est):
    """Return whether the last fit of an estimator, which had one epoch, was a call of ``partial_fit``."""
    has_more_epochs = len(getattr(est, "loss_curve_", ())) > 1
    if est.max_iter == 1:
        return has_more_epochs and not est.warm_start
    return has_more_epochs or (est.callbacks is None and est.max_time is None)


def n_stale_epochs(losses, tol):
    """Return the number of epochs at the end that were not better than all earlier ones by tol, as fits count them."""
    best, n_stale = np.inf, 0
    for loss in losses:
        n_stale = n_stale + 1 if loss > best - tol else 0
        best = min(best, loss)
    return n_stale


@dataclass(frozen=True)
class Measurements:
    """Everything that a rule may read.

    Parameters
    ----------
    fit : InspectedFit
        The network and its rows.
    names : ndarray of shape (n_features,) or None
        The names of the columns of X, None if they have no names.
    layers : tuple of LayerDiagnosis
        The statistics of the layers.
    bounded : tuple of bool
        Whether the activation of each hidden layer is flat on both sides.
    history : History
        The losses of the epochs.
    n_given : int
        The number of training rows.
    loss, penalty : float
        The mean loss on the rows without penalties, and the penalties.
    constant_loss, zero_loss : float
        The loss of the best constant outputs, and that of a network whose weights and biases are 0.
    losses_after_steps : tuple of float
        The losses after 1, 10 and 100 times the next change of the parameters; empty for L-BFGS.
    noise_scale : float
        The number of rows of a batch at which noise and signal of its gradient are equally large.
    delta_norms : ndarray of shape (n_layers,)
        The root mean square over the rows of the norms of the deltas ∂C/∂Z of each layer.
    score : Score
        The score on the rows.
    val_score : Score or None
        The score on validation rows.
    classes : ClassTable or None
        The classes and their recalls.
    input_sizes : ndarray of shape (n_inputs,)
        The root mean square of the nonzero values of each input.
    neighbors_of_targets, neighbors_of_errors : float
        The correlation of the targets, and of the errors of the outputs, with their means over the five nearest other rows.
    linear_of_targets : float
        The correlation of the targets with the predictions of a linear model for rows on which it was not fitted.
    n_compared : int
        The number of rows for these correlations.
    """

    fit: Any
    names: Any
    layers: tuple[Any, ...]
    bounded: tuple[bool, ...]
    history: History
    n_given: int
    loss: float
    penalty: float
    constant_loss: float
    zero_loss: float
    losses_after_steps: tuple[float, ...]
    noise_scale: float
    delta_norms: np.ndarray
    score: Score
    val_score: Score | None
    classes: ClassTable | None
    input_sizes: np.ndarray
    neighbors_of_targets: float
    linear_of_targets: float
    neighbors_of_errors: float
    n_compared: int

    @property
    def config(self):
        return self.fit.config

    @property
    def explained(self):
        """The fraction of the loss of the best constant outputs that the network removes: 1 is perfect, 0 is useless."""
        return 1 - self.loss / self.constant_loss if self.constant_loss > 0 else np.nan

    @cached_property
    def batch_size(self):
        """The number of rows of a batch, for all solvers except L-BFGS."""
        size = self.config.batch_size
        return min(200 if size == "auto" else size, self.n_given)

    @property
    def n_steps_per_epoch(self):
        return ceil(self.n_given / self.batch_size)

    @property
    def has_noisy_losses(self):
        """Whether losses of epochs differ because of dropout or input noise."""
        return bool(np.any(self.config.dropout) or self.config.input_noise)

    @property
    def is_lbfgs(self):
        return self.config.solver == "lbfgs"

    @property
    def n_epochs(self):
        """The number of epochs or iterations of all fits."""
        return max(self.history.losses.size, self.history.n_iter)

    @property
    def n_rows(self):
        """The number of rows on which the network was evaluated."""
        return len(self.fit.y)

    @property
    def sizes(self):
        """The number of units of each hidden layer."""
        return self.fit.plan.layout.sizes[1:-1]

    @property
    def can_scale_targets(self):
        """Whether `scale_y` can be set for the output activation of a regressor."""
        return not self.fit.plan.objective.of_classes and self.fit.plan.architecture.link in ("identity", "relu", "exp")

    def name_of_input(self, index):
        """Return the name of a column of X in quotation marks, or its number."""
        is_named = self.names is not None and index < len(self.names)
        return f"the column {self.names[index]!r}" if is_named else f"column {index}"

    def smaller_rate(self):
        """Return a tenth of the current learning rate, or the usual one of the solver if that is smaller."""
        return float(f"{min(self.config.learning_rate_init / 10, self.usual_rate):.2g}")

    def larger_rate(self):
        """Return ten times the current learning rate, or the usual one of the solver if that is larger."""
        return float(f"{max(self.config.learning_rate_init * 10, self.usual_rate):.2g}")

    def larger_alpha(self, *, is_strong):
        """Return several times the current alpha, with a penalty of at least 0.003 / 2 Σ W², or ten times that, for each row."""
        factor, penalty = (10, _STRONG_PENALTY) if is_strong else (3, _WEAK_PENALTY)
        return float(f"{max(factor * self.config.alpha, penalty * self.penalty_divisor):.2g}")

    @property
    def usual_rate(self):
        """The usual learning rate of the solver."""
        return _USUAL_RATES.get(self.config.solver, 0.001)

    @property
    def penalty_divisor(self):
        """The number of rows by which training divides the penalties."""
        return self.n_given if self.is_lbfgs else self.batch_size

    @property
    def ended_early(self):
        """Whether the last fit ended because of `max_iter`."""
        return self.history.n_iter >= self.config.max_iter and not self.is_incremental

    @property
    def ran_out_of_patience(self):
        """Whether the last fit ended because of `n_iter_no_change`."""
        return not self.is_incremental and self.history.n_stale > self.config.n_iter_no_change

    @property
    def is_incremental(self):
        """Whether the last epoch was a call of ``partial_fit``, which ignores the parameters that end a fit."""
        return self.history.is_incremental


def measure(est, statistics, n_given, val_fit, constant, published):
    """Return the ``Measurements`` for the ``Statistics`` of the rows, which were drawn from n_given rows.

    ``constant`` and ``published`` are the best constant predictions and the network that predicts, as a ``PredictingNetwork``.
    """
    evaluation, values, layers = statistics.evaluation, statistics.values, statistics.layers
    fit = evaluation.fit
    score = score_on(fit, published, constant, fit)
    compared = _compared_rows(len(fit.y))
    targets = fit.target_columns()[compared]
    errors = targets - published.outputs(fit.X)[compared]
    of_targets, of_errors, linear = _relations(_standardized_rows(fit.X, compared), targets, errors)
    return Measurements(
        fit=fit,
        names=getattr(est, "feature_names_in_", None),
        layers=layers,
        bounded=statistics.bounded,
        history=History.of(est, n_given),
        n_given=n_given,
        loss=values.loss,
        penalty=evaluation.penalty(evaluation.params),
        constant_loss=float(constant.loss(fit, fit.sample_weight)),
        zero_loss=float(constant._replace(params=np.zeros_like(constant.params)).loss(fit, fit.sample_weight)),
        losses_after_steps=_losses_after_steps(evaluation, statistics.step),
        noise_scale=_noise_scale(values, len(fit.y)),
        delta_norms=values.delta_norms,
        score=score,
        val_score=score_on(val_fit, published, constant, fit)
        if val_fit is not None
        else _score_of_history(est, fit, score, n_given),
        classes=_class_table(est, fit, published),
        input_sizes=_input_sizes(fit.X),
        neighbors_of_targets=of_targets,
        neighbors_of_errors=of_errors,
        linear_of_targets=linear,
        n_compared=len(compared),
    )


# ---------------------------------------------------------------------- scores


def score_on(rows, network, constant, trained):
    """Return the ``Score`` of a network on the rows of an ``InspectedFit``; ``trained`` are the training rows."""
    if not rows.plan.objective.of_classes:
        return _score_of_values(rows, network, constant)
    groups, n_rows = rows.plan.architecture.numbers, len(rows.y)
    usual = np.tile(trained.target_columns().mean(axis=0), (n_rows, 1))
    value = accuracy(rows.y, network.outputs(rows.X), None, groups)
    return Score(value, _binomial_error(value, n_rows), accuracy(rows.y, usual, None, groups))


def _binomial_error(share, n_rows):
    """Return the standard error of a share, with one row added to each side so that it is not 0 (Agresti and Coull 1998)."""
    share = (share * n_rows + 1) / (n_rows + 2)
    return sqrt(share * (1 - share) / n_rows)


def _score_of_values(rows, network, constant):
    """Return 1 minus the ratio of two losses; the standard error is computed from the losses of ten groups of rows."""
    n_rows, loss_of_constant = len(rows.y), constant.loss(rows, None)
    if not loss_of_constant > 0 or n_rows < _MIN_SCORED_ROWS:
        return Score(np.nan, np.nan, 0.0)
    groups = np.array_split(np.random.RandomState(0).permutation(n_rows), _N_GROUPS)
    losses = np.array([network.loss(rows, None, group) for group in groups]) / loss_of_constant
    return Score(1 - network.loss(rows, None) / loss_of_constant, float(losses.std(ddof=1) / sqrt(_N_GROUPS)), 0.0)


def _score_of_history(est, fit, score, n_given):
    """Return the score of the validation rows of the fit as a ``Score``, or None if there is none or if it was another score."""
    value, config, objective = History.of(est, n_given).val_score, fit.config, fit.plan.objective
    is_same = objective.of_classes or objective.is_averaged_over_outputs(fit.plan.architecture.link)
    if not np.isfinite(value) or config.scoring is not None or not is_same:
        return None
    n_rows = max(2, config.validation_fraction * n_given)  # an estimate if the user passed the validation rows to ``fit``
    # the standard error of a mean of squares of normal errors
    error = _binomial_error(value, n_rows) if objective.of_classes else (1 - value) * sqrt(2 / n_rows)
    return Score(value, error, score.of_constant)


def _class_table(est, fit, network):
    labels = getattr(est, "classes_", ())
    if not fit.plan.objective.of_classes or fit.y.shape[1] > 1 or len(labels) < 2 or isinstance(labels, list):
        return None
    codes, found = fit.y[:, 0].astype(int), network.outputs(fit.X)
    predicted = found.argmax(axis=1) if found.shape[1] > 1 else (found[:, 0] > 0.5).astype(int)
    counts = np.bincount(codes, minlength=len(labels))
    hits = np.bincount(codes[predicted == codes], minlength=len(labels))
    weights = np.bincount(codes, fit.sample_weight, len(labels))
    recalls = np.divide(hits, counts, out=np.full(len(labels), np.nan), where=counts > 0)
    return ClassTable(tuple(labels), weights / weights.sum(), recalls, est.class_weight)


# ---------------------------------------------------------------------- inputs and steps


def _input_sizes(X):
    """Return the root mean square of the nonzero values of each column; 0 for a column of zeros."""
    squares = np.asarray((X.multiply(X) if issparse(X) else np.square(X, dtype=np.float64)).sum(axis=0), np.float64).ravel()
    counts = np.bincount(X.tocsr().indices, minlength=X.shape[1]) if issparse(X) else np.count_nonzero(X, axis=0)
    return np.sqrt(squares / np.maximum(counts, 1))


def _losses_after_steps(evaluation, step):
    if not np.isfinite(step).all():
        return ()
    return tuple(float(evaluation.loss(evaluation.params + factor * step)) for factor in STEP_FACTORS)


def _noise_scale(values, n_rows):
    """Return tr Σ / |G|² (McCandlish and others 2018) for the gradient G and the covariance Σ of the gradients of single rows."""
    square = float(np.square(values.gradient, dtype=np.float64).sum())
    variance = values.row_gradient_square - square
    signal = square - variance / n_rows
    return variance / signal if signal > 0 else np.inf


# ---------------------------------------------------------------------- nearest neighbors


def _compared_rows(n_rows):
    if n_rows <= _MAX_NEIGHBOR_ROWS:
        return np.arange(n_rows)
    return np.sort(np.random.RandomState(0).choice(n_rows, _MAX_NEIGHBOR_ROWS, replace=False))


def _standardized_rows(X, rows):
    """Return some rows of X, of which each column is divided by its standard deviation; sparse columns are not centered."""
    if issparse(X):
        X = X.tocsr()[rows]
        sizes = _input_sizes(X)
        return X.multiply(1 / np.where(sizes > 0, sizes, 1)).tocsr()
    X = X[rows].astype(np.float64)
    deviations = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(deviations > 0, deviations, 1)


def _means_of_neighbors(X, columns):
    """Return the means of values (n_rows, n_columns) over the five nearest other rows."""
    neighbors = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(X).kneighbors(return_distance=False)
    return columns[neighbors].mean(axis=1)


def _linear_predictions(X, columns):
    """Return predictions of a linear model with an L2 penalty for five parts of the rows, each fitted on the other four."""
    return cross_val_predict(Ridge(alpha=X.shape[0] / 10), X, columns, cv=KFold(5, shuffle=True, random_state=0))


def _correlation(columns, others):
    """Return the correlation of two arrays after each column is centered; NaN if it is not defined."""
    columns, others = columns - columns.mean(axis=0), others.reshape(columns.shape) - others.mean(axis=0)
    product = float((columns**2).sum()) * float((others**2).sum())
    return float((columns * others).sum()) / sqrt(product) if product > 0 else np.nan


def _relations(X, targets, errors):
    """Return the correlations of targets and errors with those of the nearest rows, and of targets with linear predictions."""
    if len(targets) < _MIN_SCORED_ROWS or not (np.isfinite(errors).all() and np.isfinite(targets).all()):
        return np.nan, np.nan, np.nan
    of_targets, of_errors = (_correlation(columns, _means_of_neighbors(X, columns)) for columns in (targets, errors))
    return of_targets, of_errors, _correlation(targets, _linear_predictions(X, targets))
