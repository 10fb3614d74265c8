"""Functions that are compiled by the fast pipeline: kernels, and the entries that Python calls.

A function and a compiler from `inline` go in; an object that Numba calls like its own dispatchers comes out. If the pipeline fails,
all functions change to Numba's own pipeline. This module does not know how the compilers work.
"""

import threading
from functools import cached_property

from numba import njit, types

from .._compat import Compiler, CPUDispatcher

_one_entry_at_a_time = threading.RLock()


class InlineKernel(CPUDispatcher):
    """A function that is compiled inside its callers, by a compiler from `inline`.

    If Python calls it, a version that is compiled by `njit` runs.
    """

    pipeline_works = True  # shared by all kernels; only `EntryDispatcher` changes it

    def __init__(self, function, options, *, compiler):
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=compiler)
        self._options = options

    @cached_property
    def _compiled_by_njit(self):
        return njit(**self._options)(self.py_func)

    def get_call_template(self, args, kws):
        """Compile one version for all numbers of a type; Numba would compile one for each constant."""
        if not InlineKernel.pipeline_works:
            return self._compiled_by_njit.get_call_template(args, kws)
        return super().get_call_template([types.unliteral(kind) for kind in args], kws)

    def compile(self, sig):
        """Compile as Numba does, but without a cache and without timers, which would be called at every call of LLVM."""
        arguments = tuple(sig)
        if arguments not in self.overloads:
            self.add_overload(self._compiler.compile(arguments, None))

    def get_overload(self, sig):
        return super().get_overload(sig) if InlineKernel.pipeline_works else self._compiled_by_njit.get_overload(sig)

    def _insert(self, *overload):
        """Do nothing: there is no machine code that Python could call."""

    def _compile_for_args(self, *args, **kwargs):
        return self._compiled_by_njit._compile_for_args(*args, **kwargs)


class EntryDispatcher(CPUDispatcher):
    """A function that Python calls.

    If its compilation fails with the fast pipeline but succeeds with Numba's own pipeline, all later compilations use Numba's.
    `make_cache(fast)` returns the disk cache for a pipeline, or None. `warn(error)` is called when the pipeline changes.
    """

    def __init__(self, function, options, *, compiler, make_cache, warn):
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=compiler)
        self._make_cache, self._warn, self._no_cache = make_cache, warn, self._cache
        self._use(compiler, fast=True)

    def _use(self, compiler, *, fast):
        self._compiler.pipeline_class, self._is_fast = compiler, fast
        self._cache = self._make_cache(fast=fast) or self._no_cache
        self._release = getattr(self._cache, "release", lambda: None)

    def compile(self, sig):
        with _one_entry_at_a_time:  # so that no other entry is compiled while the pipeline changes
            if InlineKernel.pipeline_works:
                release = self._release  # of this cache, which a change of the pipeline replaces
                try:
                    return super().compile(sig)
                except Exception as error:
                    self._change_pipeline(sig, error)
                finally:
                    release()
            elif self._is_fast:
                self._use(Compiler, fast=False)
            return super().compile(sig)

    def _change_pipeline(self, sig, error):
        compiler = self._compiler.pipeline_class
        InlineKernel.pipeline_works = False
        self._use(Compiler, fast=False)
        try:
            super().compile(sig)
        except BaseException as other:
            InlineKernel.pipeline_works = True
            self._use(compiler, fast=True)
            # if the second compilation fails, too, the function is wrong, not the pipeline; KeyboardInterrupt is passed on
            raise error if isinstance(other, Exception) else other from None
        self._warn(error)
