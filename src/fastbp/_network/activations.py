"""What may stand for `activation`: a name, a function of the user's own, or a list with one for each hidden layer.

Parameters enter; addresses leave, of functions that are compiled when they are first used. scikit-learn's four are part of the
epochs besides. How they are called is the kernels' matter.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from .._kernels import ACTIVATIONS, address_of, find, signature
from .._kernels.jit import FASTMATH
from .user_functions import Own

NAMES = list(ACTIVATIONS)


class Activation(Own):
    """A function of hidden units of your own.

    Parameters
    ----------
    value : callable
        A plain Python function from one number to one number, g(z), that Numba can compile: arithmetic, comparisons, `math` and
        scalar NumPy functions.
    slope : callable, default=None
        Its derivative g'(z), of the same kind. None takes the central difference of `value`, which is right to about 1e-10 in
        float64 and costs two more calls.

    Raises
    ------
    TypeError
        If a function is not callable or cannot be compiled.
    ValueError
        If `slope` is not the derivative of `value`, by finite differences between −3 and 3; kinks are allowed.

    Notes
    -----
    Two activations of the same functions are equal, so that ``clone`` and searches handle them. They are pickled by their
    functions: those of a module by name; functions that only exist in a session need cloudpickle, which joblib's processes use. The
    machine code is kept for the process, not on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Activation, MLPRegressor
    >>> def bent(z):
    ...     return (np.sqrt(z * z + 1) - 1) / 2 + z
    >>> def slope_of_bent(z):
    ...     return z / (2 * np.sqrt(z * z + 1)) + 1
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> model = MLPRegressor(activation=Activation(bent, slope_of_bent), solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> model.score(X, X.ravel() ** 2) > 0.99
    True
    """

    names, arguments = ("value", "slope"), "one number"

    def __init__(self, value: Callable, slope: Callable | None = None) -> None:
        super().__init__(value, slope)
        step, z = 1e-6, np.linspace(-3, 3, 241) + 0.0061
        try:
            a, slopes, above, below = z.copy(), np.empty_like(z), z + step, z - step
            self.compiled(a, slopes)
        except Exception as error:  # whatever Numba raises
            raise TypeError(
                f"value and slope must be functions of one number that Numba can compile; {self!r} cannot be: {error}"
            ) from error
        if slope is not None:
            self.compiled(above, np.empty(0))
            self.compiled(below, np.empty(0))
            self._compare(lambda at: f"{z[at]:.4g}", slopes, (above - below) / (2 * step))

    @property
    def compiled(self):
        """The functions, over flat arrays."""
        return _compiled(self.value, self.slope)


@cache  # an address must stay good for as long as the process lives
def _compiled(value, slope):
    """The two functions over flat arrays, as `fastbp._kernels.lazy.activations` has them."""
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
    """A tuple with the activation of each hidden layer, from a valid parameter; a ValueError for a list of another length."""
    if not isinstance(activation, (list, tuple)):
        return (activation,) * n_hidden
    unknown = [one for one in activation if not isinstance(one, Activation) and one not in NAMES]
    if unknown:
        raise ValueError(f"activation must hold names among {NAMES} or instances of fastbp.Activation, got {unknown[0]!r}.")
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation must be one for all, or a list of one for each hidden layer: got {len(activation)} for the {n_hidden} "
            "hidden layers of hidden_layer_sizes."
        )
    return tuple(activation)


@cache
def address(activation, dtype):
    """Where kernels find an activation's function over flat arrays of a dtype."""
    if isinstance(activation, Activation):
        return address_of(activation.compiled, signature("activation", dtype))
    return find("activation", activation, dtype)
