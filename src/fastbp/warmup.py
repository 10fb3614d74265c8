"""Compile the kernels in advance: ``python -m fastbp.warmup [--all] [--target LEVEL ...] [--into DIR] [float32] [float64]``.

This fills the cache of compiled kernels, for example when a container image is built. Small fits and predictions run every kernel
for each dtype. With ``--all``, the code of all options is compiled, too. With ``--target``, the kernels are compiled for other
levels of processors, without being run. With ``--into``, they are stored in a folder that other processes and machines can use as
``FASTBP_CACHE_DIR``. The command prints how long the compilation took and where the machine code is stored. The models are
discarded.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._classifier import MLPClassifier
from ._kernels.cache_folders import can_be_written
from ._kernels.epochs import train, update_early_stopping
from ._kernels.jit import COMPILER_MODE, cache_folder
from ._kernels.lazy.addresses import all_lazy_functions, lazy_address
from ._kernels.network import evaluate, loss_and_gradient, predict
from ._kernels.targets import COMPILE_ONLY, HOST, HOST_FEATURES, LEVELS, TARGET, supported_levels
from ._regressor import MLPRegressor

__all__ = ["warmup"]
DTYPES = ("float32", "float64")
_ENTRIES = (train, update_early_stopping, loss_and_gradient, evaluate, predict)


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
    _check_dtypes(dtypes)
    seconds = {}
    for dtype in dtypes:
        start = time.perf_counter()
        _use_every_entry(dtype)
        if everything:
            _compile_lazy_functions(dtype)
        seconds[dtype] = time.perf_counter() - start
    return seconds


def _check_dtypes(dtypes):
    unknown = sorted(set(dtypes) - set(DTYPES))
    if unknown:
        raise ValueError(f"dtypes must be among {DTYPES}; got {unknown}.")


def _compile_lazy_functions(dtype):
    for kind, name in all_lazy_functions():
        lazy_address(kind, name, np.dtype(dtype))


def _use_every_entry(dtype):
    X = np.linspace(-1, 1, 40).reshape(20, 2).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MLPClassifier(2, early_stopping=True, max_iter=1, n_threads=1).fit(X, X[:, 0] > 0).predict(X)
        MLPRegressor(solver="lbfgs", hidden_layer_sizes=2, max_iter=1).fit(X, X[:, 0])


# ---------------------------------------------------------------------- other levels of processors
#
# One process runs fits for a target that this processor supports, and writes the argument types of all entries to a file. For each
# other target, one process compiles the entries for these types. If the processor supports none of the targets, the machine code of
# the first process is discarded.


def _compile_for(targets, folder, dtypes, *, everything):
    """Compile the kernels for all targets, and store them in a folder, or in the usual folder if it is None."""
    supported = [target for target in targets if target == HOST or target in supported_levels(HOST_FEATURES)]
    run = supported[-1:]
    with tempfile.TemporaryDirectory() as temporary:
        signatures = ["--signatures", str(Path(temporary) / "signatures")]
        options = [*signatures, *(["--all"] if everything else []), *dtypes]
        if run:
            _start(run[0], folder, options)
        else:
            print(f"The argument types are determined by fits for {TARGET}, whose machine code is not kept.", flush=True)
            _start(TARGET, Path(temporary) / "discarded", [*signatures, "--quiet", *dtypes])
        for target in targets:
            if target not in run:
                _start(target, folder, options, FASTBP_COMPILE_ONLY="1")


def _start(target, folder, options, **environment):
    if folder is not None:
        environment["FASTBP_CACHE_DIR"] = str(folder)
    if "--quiet" not in options:
        print(f"{target}:", flush=True)
    command = [sys.executable, "-m", "fastbp.warmup", *options]
    code = subprocess.run(command, env={**os.environ, "FASTBP_TARGET": target, **environment}, check=False).returncode
    if code:
        sys.exit(code)


def _compile_signatures(signatures, dtypes, *, everything):
    warnings.simplefilter("error", RuntimeWarning)  # for example if the folder cannot be written
    start = time.perf_counter()
    for entry in _ENTRIES:
        for signature in signatures[entry.__name__]:
            entry.compile(signature)
    seconds = {" and ".join(dtypes): time.perf_counter() - start}
    for dtype in dtypes if everything else ():
        start = time.perf_counter()
        _compile_lazy_functions(dtype)
        seconds[f"options, {dtype}"] = time.perf_counter() - start
    return seconds


# ---------------------------------------------------------------------- the command


def _parser():
    parser = argparse.ArgumentParser("python -m fastbp.warmup", description="Compile the kernels of fastbp in advance.")
    parser.add_argument("dtypes", nargs="*", metavar="dtype", help="float32 or float64 (default: both)")
    parser.add_argument("--all", action="store_true", help="also compile the code of all options")
    levels = ", ".join(LEVELS) or "none for this architecture"
    parser.add_argument(
        "--target", nargs="+", metavar="LEVEL", default=[], help=f"the levels of processors to compile for: {levels}; or host"
    )
    parser.add_argument("--into", metavar="DIR", type=Path, help="the folder where the machine code is stored")
    parser.add_argument("--signatures", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    return parser


def _main(arguments):
    options = _parser().parse_args(arguments)
    dtypes = options.dtypes or list(DTYPES)
    try:
        if options.signatures is None and (options.target or options.into):
            _check(options, dtypes)
            _compile_for(options.target or [TARGET], options.into, dtypes, everything=options.all)
        else:
            seconds = _compile_here(options, dtypes)
            if not options.quiet:
                _print_report(seconds, everything=options.all)
    except ValueError as error:
        sys.exit(str(error))


def _check(options, dtypes):
    unknown = [name for name in options.target if name not in (*LEVELS, HOST)]
    if unknown:
        raise ValueError(f"--target must be followed by some of {[*LEVELS, HOST]}; got {unknown}.")
    _check_dtypes(dtypes)
    if COMPILER_MODE == "plain" and options.target != []:
        raise ValueError("--target needs FASTBP_COMPILER=fast; got 'plain', which compiles for exactly this processor.")
    if options.into is not None and not can_be_written(options.into.absolute()):
        raise ValueError(f"--into must be a folder that this user can write; got {str(options.into)!r}. Choose another folder.")


def _compile_here(options, dtypes):
    if COMPILE_ONLY:
        return _compile_signatures(pickle.loads(options.signatures.read_bytes()), dtypes, everything=options.all)
    seconds = warmup(dtypes, everything=options.all)
    if options.signatures is not None:
        options.signatures.write_bytes(pickle.dumps({entry.__name__: entry.signatures for entry in _ENTRIES}))
    return seconds


def _print_report(seconds, *, everything):
    for name, taken in seconds.items():
        print(f"{name}: {taken:.1f} s")
    for entry in _ENTRIES:
        path = cache_folder(entry)
        place = f"stored in {path}" if path else "not stored on disk"
        print(f"{entry.__name__}: {len(entry.signatures)} compiled versions, {place}")
    if everything:
        print(f"and {len(all_lazy_functions())} functions of the options")


if __name__ == "__main__":
    _main(sys.argv[1:])
