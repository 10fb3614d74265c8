"""The function ``diagnose``: statistics of the layers of a fitted network, and advice.

A fitted estimator, X, y and sample weights go in; a ``Diagnosis`` comes out. The numbers are those of the kernels that train. This
module does not know the rules by which advice is given.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..._data.inputs import Matrix
from ..._data.targets import check_validation_rows
from ..._inspected_fit import inspected_fit
from ..._training.sgd import next_step
from .._evaluation import Evaluation, constant_network, published_network
from .layers import layer_diagnoses, pass_over_rows, slope_range
from .measurements import measure
from .records import Diagnosis, LayerDiagnosis
from .rules import advice_for

_MAX_DIAGNOSED_ROWS = 10_000  # the standard error of a share that is measured on so many rows is at most 0.005


def diagnose(
    est: Any,
    X: Matrix,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    X_val: Matrix | None = None,
    y_val: ArrayLike | None = None,
) -> Diagnosis:
    """Measure statistics of the layers of a fitted network, and give advice if it has a problem.

    The rows are treated as one batch of training, as in `trace`. If there are more than 10,000 rows, that many are drawn at random,
    and the statistics are computed from them.

    Parameters
    ----------
    est : MLPClassifier or MLPRegressor
        The fitted estimator, which is not changed. Of a pipeline, pass the last step, and the X that the other steps return.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The rows on which the estimator was trained.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. Class weights are multiplied by them.
    X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
        Rows on which the estimator was not trained, to find overfitting. Without them, the validation score of the fit is used if
        there is one. They have the same weight each.
    y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
        Their targets.

    Returns
    -------
    diagnosis : Diagnosis
        The statistics of each layer, and the advice. Jupyter shows them as a table and a list.

    Raises
    ------
    TypeError
        If `est` is not an estimator of fastbp.
    NotFittedError
        If `est` is not fitted.
    ValueError
        If the data do not fit the network, if parameters such as `scale` have changed since the fit, or if only one of `X_val` and
        `y_val` is given.
    ZeroDivisionError
        If the weights of the rows sum to zero, but not all of them are zero.

    See Also
    --------
    DiagnosticsMonitor : Records the same statistics during a fit.
    trace : Returns all values from which the statistics are computed.

    Notes
    -----
    The problems are "shuffled_labels", "unscaled_inputs", "learning_rate_too_large", "learning_rate_too_small",
    "exploding_gradients", "vanishing_gradients", "dead_units", "saturated_units", "batch_too_large", "underfitting", "overfitting"
    and "imbalanced_classes". The limits are chosen so that networks without problems get no advice. Several kinds of evidence
    separate the problems from each other:

    - The correlation of the targets of some rows with those of their five nearest rows, and with the predictions of a linear model,
      shows whether the inputs are related to the targets. The correlation of the errors with those of the nearest rows shows
      whether the network has learned this relation.
    - The losses after 1, 10 and 100 times the next change of the weights show whether the learning rate is too small. The losses of
      the epochs show whether it is too large: those of the first epoch are compared with the loss of an untrained network, later
      ones with earlier ones.
    - Saturated units are only a problem if the network has not learned or makes many more errors on validation rows, and if the
      initial weights, the inputs or the learning rate are too large. Many networks that fit their rows well have saturated units.
    - The norms of the deltas of each layer show vanishing and exploding gradients.
    - The noise scale of the gradient [1]_ shows whether the batches are larger than useful.

    With ``partial_fit``, the losses of all calls are used, and no advice names a parameter that ``partial_fit`` ignores, such as
    `max_iter`. After ``solver='lbfgs'``, there are no losses of epochs and no next
    step, so that nothing is said about the learning rate and the batch size.

    References
    ----------
    .. [1] McCandlish, Kaplan, Amodei and others, "An Empirical Model of Large-Batch Training", 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import diagnose
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = MLPClassifier((30, 30), activation="tanh", max_iter=500, random_state=0).fit(X, y)
    >>> (advice, *_) = diagnose(model, X, y).advice
    >>> advice.problem, advice.parameter, advice.value
    ('unscaled_inputs', 'scale', 'standard')
    >>> print(advice.evidence)
    The root mean square of the nonzero values is 1.05e+03 in column 23 and 0.0046 in the column with the smallest values.
    >>> model = MLPClassifier((30, 30), activation="tanh", max_iter=500, scale="standard", random_state=0).fit(X, y)
    >>> diagnose(model, X, y).advice
    ()
    """
    check_validation_rows((X_val, y_val, None), None)
    given = inspected_fit(est, X, y, sample_weight)
    val_fit = None if X_val is None else _validation_rows(est, X_val, y_val)
    fit = given.drawn(_MAX_DIAGNOSED_ROWS)
    statistics = Statistics.of(fit)
    with np.errstate(over="ignore", invalid="ignore"):  # the fit may have diverged
        advice = advice_for(measure(est, statistics, len(given.y), val_fit, constant_network(fit), published_network(fit)))
    return Diagnosis(statistics.loss, len(fit.y), statistics.layers, advice)


def _validation_rows(est, X, y):
    try:
        return inspected_fit(est, X, y, None, weighted=False).drawn(_MAX_DIAGNOSED_ROWS)
    except ValueError as error:  # its message names X and y
        raise ValueError(f"X_val and y_val cannot be used: {error}") from error


class Statistics(NamedTuple):
    """The results of one pass over the rows of an ``InspectedFit``: the objective, the layers and the next step.

    ``bounded`` says for each hidden layer whether its activation is flat on both sides.
    """

    evaluation: Any
    values: Any
    step: np.ndarray
    loss: float
    layers: tuple[LayerDiagnosis, ...]
    bounded: tuple[bool, ...]

    @classmethod
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the fit may have diverged
    def of(cls, fit):
        """Compute the statistics."""
        evaluation = Evaluation(fit)
        values = pass_over_rows(evaluation)
        gradient = values.gradient + evaluation.penalty_gradient(evaluation.params)
        if fit.config.solver == "lbfgs":  # it keeps no state, so that its next step is not known
            step = np.full_like(gradient, np.nan)
        else:
            step, _ = next_step(fit, gradient)
        loss = values.loss + evaluation.penalty(evaluation.params)
        layers = layer_diagnoses(evaluation, values.sums, gradient, step)
        bounded = tuple(slope_range(activation).is_bounded for activation in fit.plan.architecture.activations)
        return cls(evaluation, values, step, loss, layers, bounded)
