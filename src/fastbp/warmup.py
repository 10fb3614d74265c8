"""Fill the cache of compiled kernels, as when a container image is built: ``python -m fastbp.warmup [--all] [float32] [float64]``.

Small fits and predictions go through every entry, once for each dtype; with ``--all``, whatever else an estimator can be asked for
is compiled, too. What was compiled, how long it took and where the machine code lies is printed. Nothing is trained that anybody
keeps.
"""

import sys
import time
import warnings

import numpy as np

from ._classifier import MLPClassifier
from ._kernels.epochs import train, update_early_stopping
from ._kernels.lazy.addresses import all_lazy_functions, lazy_address
from ._kernels.network import evaluate, loss_and_gradient, predict
from ._regressor import MLPRegressor

DTYPES = ("float32", "float64")


def warmup(dtypes=DTYPES, *, everything=False):
    """Compile the kernels of every fit for some dtypes, or load them where that was done before.

    Parameters
    ----------
    dtypes : sequence of {'float32', 'float64'}, default=('float32', 'float64')
        What the inputs of later fits will be.
    everything : bool, default=False
        Whether to compile also what is otherwise compiled when it is first asked for: further activations, solvers, losses,
        schedules, norms and so on, a tenth of a second to a second each.

    Returns
    -------
    seconds : dict of str to float
        How long it took for each dtype.

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> from fastbp.warmup import warmup
    >>> list(warmup(["float64"]))
    ['float64']
    """
    unknown = sorted(set(dtypes) - set(DTYPES))
    if unknown:
        raise ValueError(f"dtypes must be among {DTYPES}, got {unknown}.")
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


def main(arguments):
    everything = "--all" in arguments
    try:
        seconds = warmup([name for name in arguments if name != "--all"] or DTYPES, everything=everything)
    except ValueError as error:
        sys.exit(str(error))
    for dtype, taken in seconds.items():
        print(f"{dtype}: {taken:.1f} s")
    for entry in (train, update_early_stopping, loss_and_gradient, evaluate, predict):
        path = getattr(entry._cache, "cache_path", None)  # an entry without a cache has a null one
        print(f"{entry.__name__}: {len(entry.signatures)} compiled versions, {'kept in ' + path if path else 'not kept on disk'}")
    if everything:
        print(f"and {len(all_lazy_functions())} functions that are compiled when they are asked for")


if __name__ == "__main__":
    main(sys.argv[1:])
