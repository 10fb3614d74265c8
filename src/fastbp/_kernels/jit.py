"""The decorators that compile functions: `kernel`, `entry` and `lazy_entry`.

A kernel is called only by other kernels. An entry is called from Python, and its machine code is stored on disk. There are two
compiler modes. With FASTBP_COMPILER=fast, the default, the pipeline in `inline` is used. With FASTBP_COMPILER=plain, or if that
pipeline does not work with the installed version of Numba, the public `numba.njit` is used, which takes three times as long. LLVM
may round differently in the two modes, but in a comparison of 1,700 fits all bits were equal. This module does not know what the
kernels compute.
"""

import os
from functools import cached_property, partial, update_wrapper

import numba
from numba import config, njit

from .._compat import PIPELINE_IMPORT_ERROR
from .user_warnings import warn_once

try:
    from .disk_cache import StampedCache
except ImportError:  # a private name of Numba is missing
    StampedCache = None
try:
    from .dispatchers import EntryDispatcher, InlineKernel
    from .inline import EntryCompiler, LightEntryCompiler, OptimizedKernelCompiler, UnoptimizedKernelCompiler, target_context
except Exception as error:  # an unknown version of Numba may raise any error
    PIPELINE_ERROR = PIPELINE_IMPORT_ERROR or error
else:
    PIPELINE_ERROR = None

# Without "nnan" and "ninf", because divergence must be detected, and without "afn", because exp, log and tanh are fastbp's own.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp"})
# For code whose operations must not be reordered: "reassoc" could change overflows and cancel rounding errors that are kept on
# purpose.
EXACT = frozenset({"contract"})


def _warn_about_pipeline(error):
    warn_once(
        "pipeline",
        f"the fast compilation pipeline does not work with Numba {numba.__version__} ({type(error).__name__}: {error}), so "
        "kernels are compiled with numba.njit; compilation takes longer, but results are the same; install a version of Numba that "
        "fastbp supports, or set the environment variable FASTBP_COMPILER=plain to use numba.njit without this warning",
    )


def _compiler_mode():
    mode = os.environ.get("FASTBP_COMPILER", "fast")
    if mode not in ("fast", "plain"):
        raise ValueError(f"The environment variable FASTBP_COMPILER must be 'fast' or 'plain', got {mode!r}. Change or unset it.")
    if mode == "fast" and PIPELINE_ERROR is not None and not config.DISABLE_JIT:
        _warn_about_pipeline(PIPELINE_ERROR)
        return "plain"
    return mode


COMPILER_MODE = _compiler_mode()


def is_interpreted():
    """Whether NUMBA_DISABLE_JIT=1 is set, so that the kernels run as plain Python."""
    return bool(config.DISABLE_JIT)


def kernel(*, fastmath=FASTMATH, optimize=True, inline=True, interpreted=None):
    """Compile a function that kernels call, without the GIL and without checks for division by zero.

    The function is inlined, because a call with a dozen arrays takes longer than the computation of a small layer. With
    `inline=False`, it is called. This is meant for large functions that are called at most once for each block of rows, because the
    compilation of one very large function takes longer. With `optimize=False`, it is optimized only inside its callers, which
    shortens the compilation of functions without hot loops. With NUMBA_DISABLE_JIT=1, `interpreted` replaces the function, if it is
    given.
    """

    def compiled(function):
        if config.DISABLE_JIT:
            return interpreted or function
        options = {**_compiler_options(fastmath), "forceinline": inline}
        if COMPILER_MODE == "plain":
            return njit(**options)(function)
        compiler = OptimizedKernelCompiler if optimize else UnoptimizedKernelCompiler
        return InlineKernel(function, options, compiler=compiler)

    return compiled


def entry(function, *, fastmath=FASTMATH, light=True, nogil=True):
    """Compile a function that Python calls, and store its machine code on disk if there is a writable folder.

    With `light`, only the kernels that it calls are fully optimized. This is meant for entries without hot loops of their own. With
    `nogil=False`, the function keeps the GIL. This is meant for calls of a few microseconds: a thread that releases the GIL may
    have to wait for 5 milliseconds until another thread releases it again.
    """
    if config.DISABLE_JIT:
        return function
    options, make_cache = {**_compiler_options(fastmath), "nogil": nogil}, partial(_disk_cache, function)
    if COMPILER_MODE == "plain":
        dispatcher = njit(**options)(function)
        dispatcher._cache = make_cache(fast=False) or dispatcher._cache
        return dispatcher
    compiler = LightEntryCompiler if light else EntryCompiler
    return EntryDispatcher(function, options, compiler=compiler, make_cache=make_cache, warn=_warn_about_pipeline)


def _compiler_options(fastmath):
    return {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath), "forceinline": True}


def _disk_cache(function, *, fast):
    """Return the disk cache of a function for a compiler mode, or None."""
    if StampedCache is None:
        warn_once(
            "no cache",
            f"compiled kernels cannot be kept on disk with Numba {numba.__version__}, so every new process will compile them "
            "again, which takes seconds; install a version of Numba that fastbp supports",
        )
        return None
    # Numba compiles for exactly this processor, and does not always unlock a version whose compilation failed
    return StampedCache(function, "fast", context=target_context, exclusive=True) if fast else StampedCache(function, "plain")


def cache_folder(entry):
    """Return the folder where the machine code of an entry is stored, or None."""
    return getattr(entry._cache, "cache_path", None)  # without a cache, Numba uses a NullCache, which has no path


class LazyEntry:
    """A function that becomes an `entry` when it is used for the first time."""

    def __init__(self, function, **options):
        update_wrapper(self, function)
        self._options = options

    @cached_property
    def entry(self):
        return entry(self.__wrapped__, light=False, **self._options)

    def __call__(self, *arguments):
        return self.entry(*arguments)


def lazy_entry(function=None, *, fastmath=FASTMATH, nogil=True):
    """Decorate a function that becomes an `entry` when it is first used, because dozens of entries would double the import time."""
    decorate = partial(LazyEntry, fastmath=fastmath, nogil=nogil)
    return decorate if function is None else decorate(function)
