"""The check of gradients by finite differences.

A fitted estimator, X, y and sample weights go in; a ``GradientCheck`` comes out, with the largest errors of each layer. The
gradient is that of the kernels, and the differences are those of the kernels' loss. This module does not know how the kernels
compute them.
"""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._data.inputs import Matrix
from .._inspected_fit import inspected_fit
from ._displays._checks import check_count
from ._evaluation import Evaluation, groups_of

KINDS = ("weights", "biases", "norm_scales", "norm_shifts")
_THRESHOLDS = {"float64": 1e-6, "float32": 1e-3}
# The step is the cube root of the machine epsilon times the size of the parameter, which balances the errors of truncation, step²,
# and of rounding, epsilon / step. At a kink, it is multiplied by each of these factors in turn. In float64, smaller steps no longer
# cross the kink. In float32, the kernels may be on the other side of a kink, and larger steps reach it.
_STEP = np.finfo(np.float64).eps ** (1 / 3)
_FACTORS = {"float64": (1.0, 1 / 8, 1 / 64), "float32": (1.0, 8.0, 64.0)}
_FLOOR = 1e-2  # the smallest gradient, relative to the loss, whose relative error is measured
_MIN_PER_ARRAY = 20  # the number of parameters of each array that are checked in any case


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of `check_gradients`.

    Parameters
    ----------
    max_error : float
        The largest error of all parameters that were checked. The error of a parameter is
        ``|g - d| / max(|g|, |d|, 0.01 C / s)``, for the gradient g of the kernels, the finite difference d, the objective C and the
        size s of the parameter; see `check_gradients`.
    threshold : float
        The largest error that is allowed.
    layer_errors : list of dict
        For each layer, the largest error of its arrays, by their names: 'weights', 'biases' and, in layers with a norm,
        'norm_scales' and 'norm_shifts'.
    layer_kinks : list of int
        For each layer, the number of parameters whose difference crosses a kink.
    n_checked : int
        The number of parameters that were checked.
    n_params : int
        The number of parameters of the network.
    dtype : str
        The dtype in which the kernels computed the gradient.
    wrong_layer : int, default=None
        The last layer with an error above the threshold, or None. Layer 1 is the first hidden layer. Errors propagate from a layer
        to the layers before it, so the derivative of this layer is wrong.
    suspect : str, default=''
        The functions of that layer, whose derivatives should be checked.
    """

    max_error: float
    threshold: float
    layer_errors: list[dict[str, float]]
    layer_kinks: list[int]
    n_checked: int
    n_params: int
    dtype: str
    wrong_layer: int | None = None
    suspect: str = ""

    @property
    def passed(self) -> bool:
        """Whether `max_error` is at most `threshold`. It is False if an error is NaN."""
        return bool(self.max_error <= self.threshold)

    @property
    def n_kinks(self) -> int:
        """The number of parameters whose difference crosses a kink."""
        return sum(self.layer_kinks)

    def __repr__(self) -> str:
        count = f"{self.n_checked}" if self.n_checked == self.n_params else f"{self.n_checked} of {self.n_params}"
        lines = [
            f"Gradient check of {count} parameters in {self.dtype}: {'passed' if self.passed else 'FAILED'}",
            f"largest error {self.max_error:.1e}, threshold {self.threshold:.0e}, differences that cross a kink: {self.n_kinks}",
            *_table_lines(self.layer_errors, self.layer_kinks),
        ]
        if self.wrong_layer is not None:
            lines.append(f"The errors begin in layer {self.wrong_layer}. Check the derivative of {self.suspect}.")
        return "\n".join(lines)


def _table_lines(layer_errors, layer_kinks):
    """Return the lines of the table of the errors of all layers."""
    kinds = [kind for kind in KINDS if any(kind in errors for errors in layer_errors)]
    lines = ["layer " + "".join(f"{kind:>13}" for kind in kinds) + f"{'kinks':>8}"]
    for layer, (errors, kinks) in enumerate(zip(layer_errors, layer_kinks, strict=True), start=1):
        cells = "".join(f"{errors[kind]:>13.1e}" if kind in errors else " " * 13 for kind in kinds)
        lines.append(f"{layer:<6}{cells}{kinks:>8}")
    return lines


def check_gradients(
    est: Any,
    X: Matrix,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    threshold: float | None = None,
    max_params: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> GradientCheck:
    """Compare the gradient that the kernels compute with finite differences of their loss.

    The objective and the network are those of `trace`: all rows are one batch, the penalties are included, dropout and noise are
    switched off, and batch normalization uses the statistics of the given rows.

    Parameters
    ----------
    est : MLPClassifier or MLPRegressor
        The fitted estimator, which is not changed.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The rows. The loss is computed at least twice for each parameter, so about a hundred rows are enough.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    threshold : float, default=None
        The largest error that is allowed. None stands for 1e-6 if the weights are float64, and for 1e-3 if they are float32.
    max_params : int, default=1000
        The largest number of parameters to check. Of a larger network, about this number is drawn at random, in proportion to the
        size of each array, but at least 20 of each array.
    random_state : int, RandomState instance or None, default=0
        The random numbers for `max_params`.

    Returns
    -------
    check : GradientCheck
        The largest errors overall and of each layer, and whether the check is passed.

    Raises
    ------
    TypeError
        If `est` is not an estimator of fastbp.
    NotFittedError
        If `est` is not fitted.
    ValueError
        If the data do not fit the network, if `threshold` is not a positive number, or if `max_params` is not a positive
        integer.

    See Also
    --------
    trace : Computes the gradients and all other values of a pass.

    Notes
    -----
    **Differences.** d = (C(w + h) − C(w − h)) / 2h, the central difference, with the step h = ε^(1/3) s, where ε is the machine
    epsilon (Press and others, "Numerical Recipes", 3rd edition, 2007, section 5.7). s is the size of the parameter: the larger of
    its absolute value and, for weights, 1 / (root mean square of the inputs of the layer), otherwise 1.

    **float32.** Differences in float32 would have an error of about 1 %. The loss is therefore computed by the float64 kernels, for
    a copy of the network and the rows in float64. The gradient that is compared is that of the float32 kernels, also with
    ``dtype="mixed_bfloat16"``, because rounding to bfloat16 changes gradients by more than the threshold.

    **Relative error.** ``|g - d| / max(|g|, |d|, 0.01 C / s)``. Without the last term, the rounding errors of C would dominate the
    errors of gradients that are almost 0.

    **Curvature.** If the error is above the threshold, the difference d(h) is replaced by (4 d(h/2) − d(h)) / 3, whose error of
    truncation is of the order h⁴ instead of h² (Richardson 1911).

    **Kinks.** At a kink, as of ReLU or of the loss 'absolute_error', the difference mixes two slopes. If the error is still above
    the threshold, the difference is repeated with the steps h/8 and h/64, which usually do not cross the kink. If the kink is at w
    itself, g must be between the differences to the left and to the right for the last step. In float32, g may be the slope on the
    other side of a kink that is as near as the rounding errors, so the steps are h, 8h and 64h, and g must be between the
    differences to the left and to the right for one of them. All these parameters are counted in `layer_kinks`. A wrong derivative
    passes none of these tests.

    **Regressors with several outputs.** The gradient for the loss 'squared_error' is that of the sum over the outputs, as in
    scikit-learn, so the differences are those of the sum.

    **Limits of probabilities.** As in scikit-learn, the log-loss limits probabilities to [ε, 1 − ε], but its gradient does not. A
    network that assigns a probability below ε to the class of a row therefore does not pass.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import check_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((5, 4), "tanh", max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> check = check_gradients(model, X, y)
    >>> check.passed, check.n_checked, check.n_kinks
    (True, 64, 0)
    >>> check.max_error < 1e-6
    True
    """
    if threshold is not None and not (isinstance(threshold, Real) and not isinstance(threshold, bool) and threshold > 0):
        raise ValueError(f"threshold must be None or a number > 0, got {threshold!r}.")
    check_count("max_params", max_params)
    fit = _without_rounding(inspected_fit(est, X, y, sample_weight))
    evaluation = Evaluation(fit)
    gradient = evaluation.loss_and_gradient(evaluation.params)[1] + evaluation.penalty_gradient(evaluation.params)
    threshold = _THRESHOLDS[evaluation.dtype.name] if threshold is None else threshold
    differences = _Differences(fit, evaluation, threshold)
    sizes = _sizes(evaluation)
    chosen = _chosen(evaluation, max_params, check_random_state(random_state))
    results = [[differences.compare(at, float(gradient[at]), sizes[at]) for at in indices] for indices in chosen]
    return _summary(evaluation, chosen, results, threshold)


def _without_rounding(fit):
    """Return an ``InspectedFit`` whose products have factors in the dtype of the parameters."""
    plan = fit.plan
    return fit._replace(plan=replace(plan, architecture=replace(plan.architecture, product_dtype=None)))


def _relative(g, difference, floor):
    """Return the relative error of a gradient."""
    return abs(g - difference) / max(abs(g), abs(difference), floor)


class _Result(NamedTuple):
    """The error of a parameter, and whether its difference crosses a kink."""

    error: float
    is_kink: bool


class _Differences:
    """Finite differences of the objective, computed in float64."""

    def __init__(self, fit, evaluation, threshold):
        self.name, self.threshold = evaluation.dtype.name, threshold
        self.evaluation = evaluation if self.name == "float64" else Evaluation(fit, np.float64)
        self.params = self.evaluation.params
        plan = fit.plan
        is_mean = plan.objective.is_averaged_over_outputs(plan.architecture.link)
        self.n_summed = plan.layout.sizes[-1] if is_mean else 1
        self.loss = self._objective()

    def _objective(self):
        """Return the objective for the current parameters."""
        return self.n_summed * self.evaluation.loss(self.params) + self.evaluation.penalty(self.params)

    def compare(self, at, g, size):
        """Return the `_Result` of the parameter with the index `at`, for its gradient g; see the notes of `check_gradients`."""
        floor, step = max(_FLOOR * abs(self.loss) / size, np.finfo(np.float64).tiny), _STEP * size
        central = sum(self._one_sided(at, step)) / 2
        error = _relative(g, central, floor)
        if error <= self.threshold:
            return _Result(error, False)
        halved = sum(self._one_sided(at, step / 2)) / 2
        extrapolated = _relative(g, (4 * halved - central) / 3, floor)
        if extrapolated <= self.threshold:
            return _Result(extrapolated, False)
        at_kink = self._error_at_kink(at, g, step, floor)
        return _Result(error, False) if at_kink is None else _Result(at_kink, True)

    def _error_at_kink(self, at, g, step, floor):
        """Return the error of a parameter whose difference crosses a kink, or None if a kink does not explain the error."""
        factors = _FACTORS[self.name]
        for factor in factors:
            left, right = self._one_sided(at, factor * step)
            central = (left + right) / 2
            error = _relative(g, central, floor)
            if error <= self.threshold:
                return error
            if self.name == "float32" or factor == factors[-1]:
                outside = _relative(g, min(max(g, min(left, right)), max(left, right)), floor)
                if outside <= self.threshold:
                    return outside
        return None

    def _one_sided(self, at, step):
        """Return the differences to the left and to the right of a parameter."""
        w, values, steps = self.params[at], [], []
        for moved in (w - step, w + step):
            self.params[at] = moved
            values.append(self._objective())
            steps.append(moved - w)  # the step after rounding
        self.params[at] = w
        return tuple((value - self.loss) / step for value, step in zip(values, steps, strict=True))


def _sizes(evaluation):
    """Return the size of each parameter, by which its step is multiplied."""
    _, _, values = evaluation.values()
    sizes = np.maximum(np.abs(evaluation.params.astype(np.float64)), 1.0)
    for layer, kind, start, stop in groups_of(evaluation):
        if kind == 0:
            inputs = evaluation.fit.X if layer == 0 else values.activations[layer - 1]
            unit = 1 / _root_mean_square(inputs)
            sizes[start:stop] = np.maximum(np.abs(evaluation.params[start:stop].astype(np.float64)), unit)
    return sizes


def _root_mean_square(A):
    """Return the root mean square of an array or a sparse matrix, or 1 if it is 0 or not finite."""
    flat = np.asarray(A.data if hasattr(A, "indptr") else A, np.float64).ravel()
    root = np.sqrt(flat @ flat / max(1, A.shape[0] * A.shape[1]))
    return root if 0 < root < np.inf else 1.0


def _chosen(evaluation, max_params, random_state):
    """Return the indices of the parameters to check, as a list with one array for each array of parameters."""
    n_params, chosen = evaluation.layout.n_params, []
    for _, _, start, stop in groups_of(evaluation):
        size = stop - start
        n = size if n_params <= max_params else min(size, max(_MIN_PER_ARRAY, round(max_params * size / n_params)))
        chosen.append(start + np.sort(random_state.choice(size, n, replace=False)))
    return chosen


def _summary(evaluation, chosen, results, threshold):
    """Return the `GradientCheck` for the results of all parameters."""
    n_layers = len(evaluation.layout.sizes) - 1
    errors: list[dict[str, float]] = [{} for _ in range(n_layers)]
    kinks = [0] * n_layers
    for (layer, kind, _, _), group in zip(groups_of(evaluation), results, strict=True):
        errors[layer][KINDS[kind]] = float(np.max([result.error for result in group]))  # NaN if an error is NaN
        kinks[layer] += sum(result.is_kink for result in group)
    wrong = [layer for layer, arrays in enumerate(errors, start=1) if not all(error <= threshold for error in arrays.values())]
    return GradientCheck(
        max_error=float(np.max([error for arrays in errors for error in arrays.values()])),
        threshold=float(threshold),
        layer_errors=errors,
        layer_kinks=kinks,
        n_checked=sum(map(len, chosen)),
        n_params=evaluation.layout.n_params,
        dtype=evaluation.dtype.name,
        wrong_layer=wrong[-1] if wrong else None,
        suspect=_functions_of(evaluation.fit.plan, wrong[-1]) if wrong else "",
    )


def _functions_of(plan, layer):
    """Return the names of the functions of a layer, counted from 1, whose derivatives its gradients contain."""
    architecture = plan.architecture
    if layer == len(plan.layout.sizes) - 1:
        return f"the loss {plan.objective.loss!r} and of the output activation {architecture.link!r}"
    norm = f" and of its {architecture.norm}" if architecture.norm else ""
    return f"the activation {architecture.activations[layer - 1]!r} of hidden layer {layer}{norm}"
