"""The fast compilation pipeline: kernels that exist only inside the functions that call them.

Numba compiles every function separately: it optimizes it, generates machine code and wrappers for Python, and repeats this for
the inlined copy in every caller. An `InlineKernel` stops at LLVM's intermediate code, which its callers link in. A kernel with
loops is optimized first, because LLVM vectorizes a loop most reliably in a small function; a kernel that mostly calls others is
not. Kernels do not count references to arrays. An `EntryDispatcher` is called from Python; it is optimized lightly, because its
loops are optimized already. Together this more than halves the time of a first fit. If this pipeline fails, Numba's own is used.
"""

import gc
import os
import threading
from functools import cached_property

from numba import config, njit, types

from .._compat import Compiler, CompilerBase, CPUDispatcher, DefaultPassBuilder, JITCodeLibrary, NativeLowering, register_pass

# By default LLVM uses half of an AVX-512 register, for the sake of the clock rate of processors of 2017. That makes exp a third
# slower.
_VECTOR_WIDTH = '"prefer-vector-width"="512"'

_one_entry_at_a_time = threading.RLock()


class InlineKernel(CPUDispatcher):
    """A function that is compiled inside its callers; with `optimize=False` it is also optimized only there.

    Called from Python, it runs a version that `njit` compiles.
    """

    pipeline_works = True  # of all kernels; only `EntryDispatcher` sets it

    def __init__(self, function, options, *, optimize):
        compiler = _OptimizedKernelCompiler if optimize else _UnoptimizedKernelCompiler
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

    def get_overload(self, sig):
        return super().get_overload(sig) if InlineKernel.pipeline_works else self._compiled_by_njit.get_overload(sig)

    def _insert(self, *overload):
        """Do nothing: there is no machine code that Python could call."""

    def _compile_for_args(self, *args, **kwargs):
        return self._compiled_by_njit._compile_for_args(*args, **kwargs)


class EntryDispatcher(CPUDispatcher):
    """A function that Python calls.

    If its compilation fails, but succeeds with Numba's own pipeline, then all later compilations use that one. `make_cache(fast)`
    returns the disk cache for a pipeline, or None; `warn(error)` is called after the change of the pipeline.
    """

    def __init__(self, function, options, *, compiler, make_cache, warn):
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=compiler)
        self._make_cache, self._warn, self._no_cache = make_cache, warn, self._cache
        self._use(compiler, fast=True)

    def _use(self, compiler, *, fast):
        self._compiler.pipeline_class, self._is_fast = compiler, fast
        self._cache = self._make_cache(fast=fast) or self._no_cache

    def compile(self, sig):
        with _one_entry_at_a_time:  # so that no other entry is compiled while the pipeline changes
            if InlineKernel.pipeline_works:
                try:
                    return super().compile(sig)
                except Exception as error:
                    self._change_pipeline(sig, error)
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
            # if this is an error, too, then the function is wrong, not the pipeline; else it is, for example, KeyboardInterrupt
            raise error if isinstance(other, Exception) else other from None
        self._warn(error)


class _KernelLibrary(JITCodeLibrary):
    """Optimized intermediate code that is never compiled to machine code."""

    def add_ir_module(self, ir_module):
        for function in ir_module.functions:
            set.add(function.attributes, _VECTOR_WIDTH)  # the class's own `add` rejects attributes with a value
        super().add_ir_module(ir_module)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _UnoptimizedKernelLibrary(_KernelLibrary):
    """Intermediate code of a single function, without optimization and without the kernels that it calls."""

    def _optimize_functions(self, ll_module):
        """Set only the data layout; the callers optimize the function."""
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self):
        """Link nothing: the entry links all kernels once, where each level of calls would link them again."""
        self._finalize_final_module()


class _EntryLibrary(JITCodeLibrary):
    """Machine code of a function that calls kernels."""

    def _optimize_final_module(self):
        """Optimize at the first level: the loops of kernels are vectorized already, and it takes two thirds of the time."""
        manager, builder = self._codegen._module_pass_manager(opt=min(1, int(config.OPT)))
        manager.run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerEntry(NativeLowering):
    _name = "fastbp_lower_entry"

    def run_pass(self, state):
        state.library = _EntryLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerOptimizedKernel(NativeLowering):
    _name, library = "fastbp_lower_optimized_kernel", _KernelLibrary

    def run_pass(self, state):
        # Kernels do not allocate and own no array. Code that counts references would be two fifths of their code.
        state.targetctx = state.targetctx.subtarget(enable_nrt=False)
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        key = object()  # callers look up the intermediate code by this key; Numba uses the function that Python can call
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library, *self.libraries_for_callers(state.library)])
        state["cr"] = lowered._replace(cfunc=key)
        return True

    @staticmethod
    def libraries_for_callers(library):
        """Return the libraries that callers must link because this one does not contain them."""
        return []


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerUnoptimizedKernel(_LowerOptimizedKernel):
    _name, library = "fastbp_lower_unoptimized_kernel", _UnoptimizedKernelLibrary

    @staticmethod
    def libraries_for_callers(library):
        return library._linking_libraries


class _PausedGarbageCollection:
    """A context in which the garbage collector is off; it is on again when the last thread leaves, if it was on before.

    Numba creates many objects while it compiles. To search them for reference cycles again and again takes a fifteenth of the time.
    """

    def __init__(self):
        self._lock, self._n_inside, self._was_enabled = threading.RLock(), 0, False

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._n_inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0 and self._was_enabled:
                gc.enable()

    def after_fork(self):
        """Leave the context in a child process: the threads that were inside do not exist there."""
        was_inside = self._n_inside > 0
        self._lock, self._n_inside = threading.RLock(), 0
        if was_inside and self._was_enabled:
            gc.enable()


_paused_garbage_collection = _PausedGarbageCollection()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_paused_garbage_collection.after_fork)


class EntryCompiler(CompilerBase):
    """Numba's pipeline with another pass for lowering."""

    lowering = _LowerEntry

    def compile_extra(self, func):
        with _paused_garbage_collection:
            return super().compile_extra(func)

    def define_pipelines(self):
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [(self.lowering if step is NativeLowering else step, name) for step, name in manager.passes]
        manager.finalize()
        return [manager]


class _OptimizedKernelCompiler(EntryCompiler):
    lowering = _LowerOptimizedKernel


class _UnoptimizedKernelCompiler(EntryCompiler):
    lowering = _LowerUnoptimizedKernel
