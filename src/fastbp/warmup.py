"""Compile the kernels in advance: ``python -m fastbp.warmup [--all] [float32] [float64]``.

This fills the cache of compiled kernels, for example when a container image is built. Small fits and predictions run every kernel
for each dtype. With ``--all``, the code of all options is compiled, too. The command prints how long the compilation took and where
the machine code is stored. The models are discarded.
"""

import sys
import time
import warnings
from collections.abc import Sequence

import numpy as np

from ._classifier import MLPClassifier
from ._kernels.epochs import train, update_early_stopping
from ._kernels.jit import cache_folder
from ._kernels.lazy.addresses import all_lazy_functions, lazy_address
from ._kernels.network import evaluate, loss_and_gradient, predict
from ._regressor import MLPRegressor

__all__ = ["warmup"]
DTYPES = ("float32", "float64")


def warmup(dtypes: Sequence[str] = DTYPES, *, everything: bool = False) -> dict[str, float]:
    """Compile the kernels that every fit needs, or load them from the cache if they were compiled before.

    Parameters
    ----------
    dtypes : sequence of {'float32', 'float64'}, default=('float32', 'float64')
        The dtypes of the inputs of later fits.
    everything : bool, default=False
        Whether to compile all options as well: activations, solvers, losses, schedules, norms and so on. Otherwise, each option is
        compiled when it is first used, which takes 0.1 to 1 second.

    Returns
    -------
    seconds : dict of str to float
        The time in seconds for each dtype.

    Raises
    ------
    ValueError
        If `dtypes` contains any other value.

    Examples
    --------
    >>> from fastbp.warmup import warmup
    >>> list(warmup(["float64"]))
    ['float64']
    """
    unknown = sorted(set(dtypes) - set(DTYPES))
    if unknown:
        raise ValueError(f"dtypes must be among {DTYPES}; got {unknown}.")
    seconds = {}
    for dtype in dtypes:
        start = time.perf_counter()
        _use_every_entry(dtype)
        if everything:
            for kind, name in all_lazy_functions():
                lazy_address(kind, name, np.dtype(dtype))
        seconds[dtype] = time.perf_counter() - start
    return seconds


def _use_every_entry(dtype):
    X = np.linspace(-1, 1, 40).reshape(20, 2).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MLPClassifier(2, early_stopping=True, max_iter=1, n_threads=1).fit(X, X[:, 0] > 0).predict(X)
        MLPRegressor(solver="lbfgs", hidden_layer_sizes=2, max_iter=1).fit(X, X[:, 0])


def _main(arguments):
    everything = "--all" in arguments
    try:
        seconds = warmup([name for name in arguments if name != "--all"] or DTYPES, everything=everything)
    except ValueError as error:
        sys.exit(str(error))
    for dtype, taken in seconds.items():
        print(f"{dtype}: {taken:.1f} s")
    for entry in (train, update_early_stopping, loss_and_gradient, evaluate, predict):
        path = cache_folder(entry)
        place = f"stored in {path}" if path else "not stored on disk"
        print(f"{entry.__name__}: {len(entry.signatures)} compiled versions, {place}")
    if everything:
        print(f"and {len(all_lazy_functions())} functions of the options")


if __name__ == "__main__":
    _main(sys.argv[1:])
