"""The fast compilation pipeline: kernels that exist only inside the functions that call them.

Numba optimizes every function separately, generates machine code and Python wrappers for it, and repeats this for the inlined copy
in every caller. Here, a kernel is compiled only to LLVM's intermediate code, which its callers include. A kernel with loops is
optimized before that, because LLVM vectorizes a loop most reliably in a small function; a kernel that mostly calls other kernels
is not. Kernels and light entries do not count references to arrays. Light entries are optimized lightly, because their loops are
optimized already. Passes of Numba that kernels do not need are left out, and the types of operations are remembered. Together,
these changes reduce the time of a first fit to less than a third. The machine code is generated for the target of `targets`.
"""

import gc
import os
import threading
from functools import cache
from typing import ClassVar

from llvmlite.binding import create_new_module_pass_manager
from numba import types

from .._compat import (
    CompilerBase,
    ConfigStack,
    CPUContext,
    DefaultPassBuilder,
    Flags,
    JITCodeLibrary,
    JITCPUCodegen,
    Lower,
    NativeLowering,
    TypingContext,
    register_pass,
)
from .targets import COMPILE_ONLY, HOST, LEVELS, TARGET
from .user_warnings import warn_once

# By default, LLVM uses only 256-bit vectors on processors with AVX-512, because 512-bit vectors lowered the clock rate of
# processors of 2017. With 256-bit vectors, exp takes a third longer.
_VECTOR_WIDTH = '"prefer-vector-width"="512"'
_TUNING = [f'"tune-cpu"="{LEVELS[TARGET].tuning}"'] if TARGET != HOST and LEVELS[TARGET].tuning else []

# Passes of Numba for closures, constant branches, array expressions and so on, which kernels and light entries do not contain.
_UNUSED_PASSES = frozenset(
    {
        "with_lifting",
        "inline_closure_likes",
        "rewrite_semantic_constants",
        "dead_branch_prune",
        "inline_inlinables",
        "find_literally",
        "literal_unroll",
        "LiteralPropagation",
        "inline_overloads",
        "nopython_rewrites",
        "ir_legalization",
    }
)


class _LevelCodegen(JITCPUCodegen):
    """Numba's code generator for a level of processors, instead of for exactly this processor."""

    def _get_host_cpu_name(self):
        return LEVELS[TARGET].cpu

    def _get_host_cpu_features(self):
        return ",".join(f"+{name}" for name in LEVELS[TARGET].unnamed_features)


@cache
def _level_codegen():
    return _LevelCodegen("fastbp")


def target_context(context):
    """Return a copy of Numba's context for the target, or the context itself if the target is this processor.

    The copy shares all declarations with the original, and code that the user compiles with Numba is not affected.
    """
    if TARGET == HOST:
        return context
    try:
        return context.subtarget(_internal_codegen=_level_codegen())
    except Exception as error:  # an unknown version of Numba may raise any error
        if COMPILE_ONLY:  # the code would be stored for the wrong processor
            raise
        warn_once(
            "target",
            f"code for {TARGET!r} cannot be generated with this version of Numba ({type(error).__name__}: {error}), so kernels are "
            "compiled for exactly this processor; set the environment variable FASTBP_TARGET=host to do this without this warning",
        )
        return context


class _FastContext(CPUContext):
    """A context that remembers the sizes of types, and does not import all modules of Numba for each new intrinsic function."""

    _sizes: ClassVar[dict] = {}

    @classmethod
    def like(cls, context, **changes):
        """Return a context that shares all declarations with another context."""
        result = object.__new__(cls)
        result.__dict__.update(context.__dict__, **changes)
        return result

    def load_additional_registries(self):
        """Install implementations that are new in registries that are installed already."""
        for registry in list(self._registries):
            self.install_registry(registry)

    def get_abi_sizeof(self, ty):
        key = str(ty)
        if key not in self._sizes:
            self._sizes[key] = super().get_abi_sizeof(ty)
        return self._sizes[key]


class _FastTypingContext(TypingContext):
    """A typing context that remembers the signatures of functions.

    Numba derives the signature of every operation again, although kernels use the same few operations on integers and floats
    thousands of times. Without this class and `_FastFlags`, type inference would take almost twice as long.
    """

    def load_additional_registries(self):
        """Do nothing: the original context has loaded the declarations."""

    def resolve_function_type(self, func, args, kws):
        if not isinstance(func, types.Function) or kws:
            return super().resolve_function_type(func, args, kws)
        key = ConfigStack.top_or_none(), func, args
        if key not in self._signatures:
            signature = super().resolve_function_type(func, args, kws)
            if signature is None:
                return None
            self._signatures[key] = signature, func.get_impl_key(signature)
        signature, implementation = self._signatures[key]
        func._impl_keys[signature.args] = implementation  # other flags may have another implementation for the same arguments
        return signature


@cache
def _fast_typing_context(context):
    """Return a context that shares all declarations with another context, and remembers signatures."""
    result = object.__new__(_FastTypingContext)
    result.__dict__.update(context.__dict__, _signatures={})
    return result


class _FastFlags(Flags):
    """Compiler flags that are compared by the options that were set; Numba would compare the values of all options."""

    def __hash__(self):
        return hash(frozenset(self._values))  # of the names, because not all values can be hashed

    def __eq__(self, other):
        return isinstance(other, Flags) and self._values == other._values


class _TunedLibrary(JITCodeLibrary):
    """Machine code of a function, with attributes that affect which of several equivalent instructions LLVM selects."""

    attributes = _TUNING

    def add_ir_module(self, ir_module):
        for function in ir_module.functions:
            for attribute in self.attributes:
                set.add(function.attributes, attribute)  # the method `add` of the class rejects attributes with a value
        super().add_ir_module(ir_module)


class _WholeModuleLibrary(_TunedLibrary):
    """Code that is optimized once, after all functions have been linked."""

    def _optimize_functions(self, ll_module):
        """Set only the data layout."""
        ll_module.data_layout = self._codegen._data_layout


class _KernelLibrary(_WholeModuleLibrary):
    """Optimized intermediate code that is never compiled to machine code."""

    attributes = [*_TUNING, _VECTOR_WIDTH]

    def _optimize_final_module(self):
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _UnoptimizedKernelLibrary(_KernelLibrary):
    """Intermediate code of a single function, without optimization and without the kernels that it calls."""

    def finalize(self):
        """Link nothing: the entry links all kernels once; otherwise, each level of calls would link them again."""
        self._finalize_final_module()


class _LightEntryLibrary(_WholeModuleLibrary):
    """Machine code of a function whose loops are mostly in the kernels that it calls."""

    def _optimize_final_module(self):
        """Clean and inline the kernels, without the passes for loops, because the loops of kernels are optimized already.

        The passes of LLVM's level 1 would take six times as long.
        """
        _, builder = self._codegen._module_pass_manager(opt=0)
        manager = create_new_module_pass_manager()
        manager.add_sroa_pass()
        manager.add_simplify_cfg_pass()
        manager.add_always_inliner_pass()
        manager.add_global_dead_code_eliminate_pass()
        manager.add_sroa_pass()
        manager.add_instruction_combine_pass()
        manager.add_simplify_cfg_pass()
        manager.add_global_dead_code_eliminate_pass()  # code that refers to addresses of this process cannot be cached
        manager.run(self._final_module, builder)


class _LowerForTarget(NativeLowering):
    """Numba's lowering pass, for the target and with another library; without `counts_references`, arrays are not owned."""

    library, counts_references = _TunedLibrary, True

    def run_pass(self, state):
        context = _FastContext.like(target_context(state.targetctx), typing_context=state.typingctx)
        state.targetctx = context if self.counts_references else context.subtarget(enable_nrt=False)
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        if not state.flags.no_compile:
            state.library.enable_object_caching()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerEntry(_LowerForTarget):
    _name = "fastbp_lower_entry"


class _LightEntryLowering(Lower):
    """The function does not count references, but its Python wrapper owns references to the arguments."""

    def create_cpython_wrapper(self, release_gil=False):
        self.context = self.context.subtarget(enable_nrt=True)
        super().create_cpython_wrapper(release_gil)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerLightEntry(_LowerForTarget):
    _name, library, lowering_class, counts_references = "fastbp_lower_light_entry", _LightEntryLibrary, _LightEntryLowering, False

    def run_pass(self, state):
        state.flags.no_cfunc_wrapper = True
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerOptimizedKernel(_LowerForTarget):
    # Kernels do not allocate and do not own arrays. Code that counts references would be two fifths of their code.
    _name, library, counts_references = "fastbp_lower_optimized_kernel", _KernelLibrary, False

    def run_pass(self, state):
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        key = object()  # callers look up the intermediate code by this key, instead of by the function that Python calls
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
    """A context in which the garbage collector is disabled.

    When the last thread leaves the context, the collector is enabled again if it was enabled before. Numba creates many objects
    while it compiles; searching them for reference cycles would take a fifteenth of the compilation time.
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
        """Leave the context in a child process, because the threads that were inside the context do not exist there."""
        was_inside = self._n_inside > 0
        self._lock, self._n_inside = threading.RLock(), 0
        if was_inside and self._was_enabled:
            gc.enable()


_paused_garbage_collection = _PausedGarbageCollection()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_paused_garbage_collection.after_fork)


class EntryCompiler(CompilerBase):
    """Numba's pipeline with its lowering pass replaced by `lowering`, and without the passes that `unused` names."""

    lowering, unused = _LowerEntry, frozenset()

    def compile_extra(self, func):
        self.state.typingctx = _fast_typing_context(self.state.typingctx)
        self.state.flags = _FastFlags(self.state.flags)
        with _paused_garbage_collection:
            return super().compile_extra(func)

    def define_pipelines(self):
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps = [(step, description) for step, description in manager.passes if step.name() not in self.unused]
        manager.passes = [(self.lowering if step is NativeLowering else step, description) for step, description in steps]
        manager.finalize()
        return [manager]


class LightEntryCompiler(EntryCompiler):
    """A pipeline for entries without hot loops of their own."""

    lowering, unused = _LowerLightEntry, _UNUSED_PASSES


class OptimizedKernelCompiler(EntryCompiler):
    lowering, unused = _LowerOptimizedKernel, _UNUSED_PASSES


class UnoptimizedKernelCompiler(EntryCompiler):
    lowering, unused = _LowerUnoptimizedKernel, _UNUSED_PASSES
