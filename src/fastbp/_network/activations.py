"""The parameter `activation`: a name, a user-defined function, or a list with one of these for each hidden layer.

`fastbp.Activation` checks and compiles user-defined functions. The named activations are defined in `_kernels.lazy.activations`.
This module does not know how kernels call an activation.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from .._kernels.jit import FASTMATH
from .._kernels.lazy.activations import ACTIVATIONS
from .user_functions import UserFunction

ACTIVATION_NAMES = list(ACTIVATIONS)


class Activation(UserFunction):
    """A user-defined activation function for hidden units.

    Parameters
    ----------
    value : callable
        The activation g(z): a plain Python function of one number that returns a number. Numba must be able to compile it, which
        allows arithmetic, comparisons, `math` and scalar NumPy functions.
    slope : callable, default=None
        The derivative g'(z), also a function of one number. If None, the central difference of `value` is used, which is accurate
        to about 1e-10 in float64 and takes two more calls of `value`.

    Raises
    ------
    TypeError
        If a function is not callable, contains raise or assert, or cannot be compiled.
    ValueError
        If `slope` is not the derivative of `value`. This is checked by finite differences between −3 and 3; kinks are allowed.

    Notes
    -----
    Two activations with the same functions are equal, so that ``clone`` and parameter searches work. Pickle stores functions by
    name, so they must be defined in a module; functions that are defined in an interactive session need cloudpickle, which joblib
    uses for its processes. The machine code is kept in memory, not on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Activation, MLPRegressor
    >>> def bent_identity(z):
    ...     return (np.sqrt(z * z + 1) - 1) / 2 + z
    >>> def bent_identity_slope(z):
    ...     return z / (2 * np.sqrt(z * z + 1)) + 1
    >>> activation = Activation(bent_identity, bent_identity_slope)
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> model = MLPRegressor(activation=activation, solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> model.score(X, X.ravel() ** 2) > 0.99
    True
    """

    __module__ = "fastbp"  # shown in error messages
    kind, names, arguments = "activation", ("value", "slope"), "one number"
    value: Callable[[float], float]
    slope: Callable[[float], float] | None

    def __init__(self, value: Callable[[float], float], slope: Callable[[float], float] | None = None) -> None:
        super().__init__(value, slope)
        step, z = 1e-6, np.linspace(-3, 3, 241) + 0.0061
        try:
            a, slopes, above, below = z.copy(), np.empty_like(z), z + step, z - step
            self.compiled(a, slopes)
        except Exception as error:  # Numba raises errors of many types
            raise TypeError(
                f"value and slope must be functions of one number that Numba can compile; {self!r} cannot be compiled: {error}"
            ) from error
        if slope is not None:
            self.compiled(above, np.empty(0))
            self.compiled(below, np.empty(0))
            self._compare(lambda at: f"{z[at]:.4g}", slopes, (above - below) / (2 * step))

    @property
    def compiled(self):
        """The compiled loop over flat arrays."""
        return _compile_activation(self.value, self.slope)


@cache  # the kernels use the address of the machine code, so it must not be freed
def _compile_activation(value, slope):
    """Compile the two functions into a loop with the arguments of `_kernels.lazy.activations`."""
    g = njit(error_model="numpy")(value)
    if slope is None:

        @njit(error_model="numpy")
        def derivative(z):
            step = 6e-6 * max(1.0, abs(z))
            return (g(z + step) - g(z - step)) / (2 * step)

    else:
        derivative = njit(error_model="numpy")(slope)

    @njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))
    def over_arrays(z, slopes):
        for q in range(z.size):
            x = float(z[q])
            z[q] = g(x)
            if slopes.size:
                slopes[q] = derivative(x)

    return over_arrays


def per_layer(activation, n_hidden):
    """Return a tuple with the activation of each hidden layer; raise a ValueError for a list of another length."""
    if not isinstance(activation, (list, tuple)):
        return (activation,) * n_hidden
    unknown = [one for one in activation if not isinstance(one, Activation) and one not in ACTIVATION_NAMES]
    if unknown:
        raise ValueError(
            f"activation must be a list of names in {ACTIVATION_NAMES} or of instances of fastbp.Activation, got {unknown[0]!r}."
        )
    if len(activation) != n_hidden:
        raise ValueError(
            "activation must be one activation for all hidden layers, or a list with one for each hidden layer; got a list of "
            f"{len(activation)}, and hidden_layer_sizes has {n_hidden} hidden layers."
        )
    return tuple(activation)
