"""The parameter `loss`: a name or a user-defined function, and the output activations that it can be combined with.

`fastbp.Loss` checks and compiles user-defined functions. The named losses are defined in `_kernels.lazy.losses` and
`_kernels.losses`. This module also checks that targets are in the domain of the loss. It does not know how kernels call a loss.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from .._kernels.jit import FASTMATH
from .._kernels.scratch import LOSS_NUMBERS
from .user_functions import UserFunction

REGRESSION = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie")
_ANY = ("identity", "logistic", "relu", "softplus", "exp")
# the output activations of a regressor for each loss; "auto" selects the first
_LINKS = dict.fromkeys(("squared_error", "absolute_error", "huber", "quantile"), _ANY) | dict.fromkeys(
    ("poisson", "gamma", "tweedie"), ("exp", "softplus")
)


class Loss(UserFunction):
    """A user-defined loss function.

    Parameters
    ----------
    value : callable
        The loss of one output: a plain Python function of two numbers, the target y and the output a, that returns a number. Numba
        must be able to compile it, which allows arithmetic, comparisons, `math` and scalar NumPy functions. Losses are summed over
        outputs and averaged over rows.
    gradient : callable, default=None
        The derivative of `value` with respect to a, a function with the same arguments. If None, the central difference of `value`
        is used, which is accurate to about 1e-10 in float64 and takes two more calls of `value`.

    Raises
    ------
    TypeError
        If a function is not callable, contains raise or assert, or cannot be compiled.
    ValueError
        If `gradient` is not the derivative of `value` with respect to a. This is checked by finite differences for y between 0 and
        1 and a between −1.9 and 1.9; kinks are allowed.

    Notes
    -----
    In classification, y is 1 for the class of a row and 0 for the other classes. Two losses with the same functions are equal, so
    that ``clone`` and parameter searches work. Pickle stores functions by name, so they must be defined in a module; functions that
    are defined in an interactive session need cloudpickle, which joblib uses for its processes. The machine code is kept in memory,
    not on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Loss, MLPRegressor
    >>> def log_cosh(y, a):
    ...     return np.log(np.cosh(a - y))
    >>> def log_cosh_gradient(y, a):
    ...     return np.tanh(a - y)
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> model = MLPRegressor(loss=Loss(log_cosh, log_cosh_gradient), solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> model.score(X, X.ravel() ** 2) > 0.99
    True
    """

    __module__ = "fastbp"  # shown in error messages
    kind, names, arguments = "loss", ("value", "gradient"), "two numbers"
    value: Callable[[float, float], float]
    gradient: Callable[[float, float], float] | None

    def __init__(self, value: Callable[[float, float], float], gradient: Callable[[float, float], float] | None = None) -> None:
        super().__init__(value, gradient)
        y, a = (grid.ravel() for grid in np.meshgrid([0.0, 0.35, 1.0], np.linspace(-1.9137, 1.9137, 79)))
        step = 1e-6
        try:
            slopes = self._evaluate(y, a)[1]
            differences = (self._evaluate(y, a + step)[0] - self._evaluate(y, a - step)[0]) / (2 * step)
        except Exception as error:  # Numba raises errors of many types
            raise TypeError(
                f"value and gradient must be functions of two numbers that Numba can compile; {self!r} cannot be compiled: {error}"
            ) from error
        if gradient is not None:
            self._compare(lambda at: f"a target of {y[at]:.4g} and an output of {a[at]:.4g}", slopes, differences)

    @property
    def compiled(self):
        """The compiled loop over flat arrays."""
        return _compile_loss(self.value, self.gradient)

    def _evaluate(self, y, a):
        """Return the values and the slopes for arrays of targets and outputs."""
        values, slopes = y.copy(), np.empty_like(y)
        self.compiled(a, values, slopes, np.empty(0, LOSS_NUMBERS), np.empty(0))
        return values, slopes


@cache  # the kernels use the address of the machine code, so it must not be freed
def _compile_loss(value, gradient):
    """Compile the two functions into a loop with the arguments of `_kernels.lazy.losses`."""
    f = njit(error_model="numpy")(value)
    if gradient is None:

        @njit(error_model="numpy")
        def slope(y, a):
            step = 6e-6 * max(1.0, abs(a))
            return (f(y, a + step) - f(y, a - step)) / (2 * step)

    else:
        slope = njit(error_model="numpy")(gradient)

    @njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))
    def over_arrays(a, y, g, numbers, output_numbers):
        for q in range(a.size):
            target, output = float(y[q]), float(a[q])
            g[q] = slope(target, output)
            y[q] = f(target, output)

    return over_arrays


def link_of_regressor(loss, out_activation, n_quantiles):
    """Return the output activation of a regressor for its parameters `loss` and `out_activation`."""
    if n_quantiles > 1:
        _choose_link(out_activation, ("identity",), "several quantiles, which a softplus keeps in order")
        return "ordered_quantiles"
    return _choose_link(out_activation, _ANY if isinstance(loss, Loss) else _LINKS[loss], f"the loss {loss!r}")


def link_of_classifier(loss, out_activation, n_classes):
    """Return the output activation of a classifier; n_classes is the number of exclusive classes, or 0 for independent outputs."""
    exclusive = n_classes > 0
    if loss == "log_loss":
        kind = "a multiclass" if exclusive else "a binary or multilabel"
        return _choose_link(out_activation, ("softmax",) if exclusive else ("logistic",), f"the log-loss of {kind} y")
    others = (link for link in _ANY if link != "logistic")
    links = ("logistic", *others, "softmax") if exclusive else ("logistic", *others)
    return _choose_link(out_activation, links, f"the loss {loss!r}" + ("" if exclusive else " of a binary or multilabel y"))


def _choose_link(out_activation, allowed, purpose):
    if out_activation == "auto":
        return allowed[0]
    if out_activation not in allowed:
        names = " or ".join(repr(name) for name in ("auto", *allowed))
        raise ValueError(f"out_activation must be {names} for {purpose}; got {out_activation!r}.")
    return out_activation


def check_targets(loss, y, power):
    """Raise a ValueError for targets outside the domain of a loss."""
    positive = canonical_loss_name(loss, power) == "gamma"
    name = f"the loss {loss!r}" + (f" of tweedie_power={power}" if positive and loss == "tweedie" else "")
    if positive and np.min(y) <= 0:
        other = "use 'tweedie' or 'poisson'" if loss == "gamma" else "use a lower tweedie_power"
        raise ValueError(f"y must be > 0 for {name}, got {np.min(y):.6g}. Drop such rows, or {other}.")
    if loss == "tweedie" and np.min(y) < 0:
        raise ValueError(f"y must be >= 0 for {name}, got {np.min(y):.6g}. Drop such rows, or use 'squared_error'.")


def check_quantiles(quantile):
    """Raise a ValueError unless `quantile` is a number in (0, 1), or a list of such numbers in increasing order."""
    try:
        values = np.asarray(quantile, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim > 1 or not values.size or not ((values > 0) & (values < 1)).all() or (np.diff(np.atleast_1d(values)) <= 0).any():
        raise ValueError(f"quantile must be a number in (0, 1), or a list of such numbers in increasing order; got {quantile!r}.")


def canonical_loss_name(loss, power):
    """Return "poisson" or "gamma" for the Tweedie deviance of power 1 or 2, and any other loss unchanged."""
    if isinstance(loss, str) and loss == "tweedie":
        return {1: "poisson", 2: "gamma"}.get(power, loss)
    return loss
