"""What may stand for `loss`: a name, or functions of the user's own; and the output activations that each goes with.

Parameters enter; names that belong together leave, and the addresses of what is compiled when it is first used. How a loss is
called, and what scikit-learn's own do, is the kernels' matter.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from .._kernels import address_of, find, signature
from .._kernels.jit import FASTMATH
from .user_functions import Own

REGRESSION = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie")
_ANY = ("identity", "logistic", "relu", "softplus", "exp")
# the links that a loss of a regressor can go with, the one for "auto" first
_LINKS = dict.fromkeys(("squared_error", "absolute_error", "huber", "quantile"), _ANY) | dict.fromkeys(
    ("poisson", "gamma", "tweedie"), ("exp", "softplus")
)


class Loss(Own):
    """A loss of your own.

    Parameters
    ----------
    value : callable
        A plain Python function of two numbers, a target y and an output a, that Numba can compile: the loss of one output, which is
        summed over outputs and averaged over rows.
    gradient : callable, default=None
        Its derivative by a, of the same kind. None takes the central difference of `value`, which is right to about 1e-10 in
        float64 and costs two more calls.

    Raises
    ------
    TypeError
        If a function is not callable or cannot be compiled.
    ValueError
        If `gradient` is not the derivative of `value` by a, by finite differences for y and a between 0 and 1 and beyond; kinks are
        allowed.

    Notes
    -----
    In classification y is 1 for a row's class and 0 for the others. Two losses of the same functions are equal, so that ``clone``
    and searches handle them. They are pickled by their functions: those of a module by name; functions that only exist in a session
    need cloudpickle, which joblib's processes use. The machine code is kept for the process, not on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Loss, MLPRegressor
    >>> def log_cosh(y, a):
    ...     return np.log(np.cosh(a - y))
    >>> def slope_of_log_cosh(y, a):
    ...     return np.tanh(a - y)
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> model = MLPRegressor(loss=Loss(log_cosh, slope_of_log_cosh), solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> model.score(X, X.ravel() ** 2) > 0.99
    True
    """

    names, arguments = ("value", "gradient"), "two numbers"

    def __init__(self, value: Callable, gradient: Callable | None = None) -> None:
        super().__init__(value, gradient)
        y, a = (grid.ravel() for grid in np.meshgrid([0.0, 0.35, 1.0], np.linspace(-1.9137, 1.9137, 79)))
        step = 1e-6
        try:
            slopes = self._at(y, a)[1]
            differences = (self._at(y, a + step)[0] - self._at(y, a - step)[0]) / (2 * step)
        except Exception as error:  # whatever Numba raises
            raise TypeError(
                f"value and gradient must be functions of two numbers that Numba can compile; {self!r} cannot be: {error}"
            ) from error
        if gradient is not None:
            self._compare(lambda at: f"a target of {y[at]:.4g} and an output of {a[at]:.4g}", slopes, differences)

    @property
    def compiled(self):
        """The functions, over flat arrays."""
        return _compiled(self.value, self.gradient)

    def _at(self, y, a):
        """Values and slopes."""
        values, slopes = y.copy(), np.empty_like(y)
        self.compiled(a, values, slopes, np.empty(0))
        return values, slopes


@cache  # an address must stay good for as long as the process lives
def _compiled(value, gradient):
    """The two functions over flat arrays, as `fastbp._kernels.lazy.losses` has them."""
    f = njit(error_model="numpy")(value)
    if gradient is None:

        @njit(error_model="numpy")
        def slope(y, a):
            step = 6e-6 * max(1.0, abs(a))
            return (f(y, a + step) - f(y, a - step)) / (2 * step)

    else:
        slope = njit(error_model="numpy")(gradient)

    @njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))
    def over_arrays(a, y, g, numbers):
        for q in range(a.size):
            target, output = float(y[q]), float(a[q])
            g[q] = slope(target, output)
            y[q] = f(target, output)

    return over_arrays


@cache
def loss_address(loss, dtype):
    """Where kernels find a loss over flat arrays of a dtype."""
    if isinstance(loss, Loss):
        return address_of(loss.compiled, signature("loss", dtype))
    return find("loss", loss, dtype)


def link_of_regressor(loss, wanted, n_quantiles):
    """The output activation of a regressor, from its parameters `loss` and `out_activation`."""
    if n_quantiles > 1:
        return _choose(wanted, ("identity",), "several quantiles, of which each output is the one before and more,")
    return _choose(wanted, _ANY if isinstance(loss, Loss) else _LINKS[loss], f"the loss {loss!r}")


def link_of_classifier(loss, wanted, n_classes):
    """The output activation of a classifier; n_classes is the number of exclusive classes, 0 where each output is for itself."""
    exclusive = n_classes > 0
    if loss == "log_loss":
        kind = "a multiclass" if exclusive else "a binary or multilabel"
        return _choose(wanted, ("softmax",) if exclusive else ("logistic",), f"the log-loss of {kind} y")
    links = (*_ANY, "softmax") if exclusive else _ANY
    links = ("logistic", *(link for link in links if link != "logistic"))
    return _choose(wanted, links, f"the loss {loss!r}" + ("" if exclusive else " of a binary or multilabel y"))


def _choose(wanted, possible, whose):
    if wanted == "auto":
        return possible[0]
    if wanted not in possible:
        names = " or ".join(repr(name) for name in ("auto", *possible))
        raise ValueError(f"out_activation must be {names} for {whose}; got {wanted!r}.")
    return wanted


def check_targets(loss, y, power):
    """Refuse targets that a loss has no value for."""
    positive = named(loss, power) == "gamma"
    whose = f"the loss {loss!r}" + (f" of tweedie_power={power}" if positive and loss == "tweedie" else "")
    if positive and np.min(y) <= 0:
        other = "take 'tweedie' or 'poisson'" if loss == "gamma" else "a lower tweedie_power"
        raise ValueError(f"y must be > 0 for {whose}, got {np.min(y):.6g}: drop such rows, or {other}.")
    if loss == "tweedie" and np.min(y) < 0:
        raise ValueError(f"y must be >= 0 for {whose}, got {np.min(y):.6g}: drop such rows, or take 'squared_error'.")


def check_quantiles(quantile):
    """Refuse a list that is none of rising quantiles."""
    try:
        values = np.asarray(quantile, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim > 1 or not values.size or not ((values > 0) & (values < 1)).all() or (np.diff(np.atleast_1d(values)) <= 0).any():
        raise ValueError(
            f"quantile must be a number between 0 and 1, or a list of such in rising order, without the ends; got {quantile!r}."
        )


def named(loss, power):
    """The loss that a name stands for: a Tweedie deviance of power 1 is Poisson's, of power 2 gamma's."""
    if isinstance(loss, str) and loss == "tweedie":
        return {1: "poisson", 2: "gamma"}.get(power, loss)
    return loss
