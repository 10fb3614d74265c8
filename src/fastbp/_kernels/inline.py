"""Functions that exist only inside the kernels that call them.

Numba compiles every function on its own: optimised, turned into machine code and given wrappers for Python, and then all of it
once more inside each caller, up through every level of calls. A `Part` stops at LLVM's intermediate code, which its callers take
in. Those that mostly call others are not even optimised before they have arrived where they run; those with loops are, since LLVM
turns them into vector code most surely while they are small. None counts references to arrays. An entry, where all arrives, is
optimised lightly. Together this more than halves the time of a first fit.
"""

import gc
from functools import cached_property

from numba import njit, types
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering

# LLVM would use half of AVX-512's vectors, sparing the clock of processors of 2017: exponentials take a third longer so.
_WIDTH = '"prefer-vector-width"="512"'


class Part(CPUDispatcher):
    """A function for kernels; a `draft` is optimised in its callers only. Python gets one that is compiled like any other."""

    def __init__(self, function, options, *, optimize):
        super().__init__(
            function, targetoptions={"nopython": True, **options}, pipeline_class=_PartCompiler if optimize else _DraftCompiler
        )
        self._options = options

    @cached_property
    def _whole(self):
        return njit(**self._options)(self.py_func)

    def get_call_template(self, args, kws):
        """One version for all numbers of a type, where Numba would make one for each constant."""
        return super().get_call_template([types.unliteral(kind) for kind in args], kws)

    def _insert(self, *overload):
        """There is no machine code of a part that Python could be given."""

    def _compile_for_args(self, *args, **kwargs):
        return self._whole._compile_for_args(*args, **kwargs)


class _Library(JITCodeLibrary):
    """Intermediate code that is never turned into machine code."""

    def add_ir_module(self, ir_module):
        for function in ir_module.functions:
            set.add(function.attributes, _WIDTH)  # their own `add` refuses attributes that are not flags
        super().add_ir_module(ir_module)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _DraftLibrary(_Library):
    """Intermediate code of one function alone, as it was written."""

    def _optimize_functions(self, ll_module):
        """Left to the callers."""
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self):
        """What it calls is taken in by whoever calls it, once, not at each level of calls anew."""
        self._finalize_final_module()


class _EntryLibrary(JITCodeLibrary):
    """Machine code of a function that is made of parts."""

    def _optimize_final_module(self):
        """Parts with loops come as vector code: what is left takes two thirds of the time at the first level, and runs as fast."""
        manager, builder = self._codegen._module_pass_manager(opt=min(1, int(config.OPT)))
        manager.run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _EntryLowering(NativeLowering):
    _name = "lowering_of_an_entry"

    def run_pass(self, state):
        state.library = _EntryLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name, library = "lowering_of_a_part", _Library

    def run_pass(self, state):
        # parts own no array, as they allocate none: the code that counts references would be two fifths of them
        state.targetctx = state.targetctx.subtarget(enable_nrt=False)
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        key = object()  # callers find the intermediate code by it, as they would by a function that Python can call
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library, *self.left_to_callers(state.library)])
        state["cr"] = lowered._replace(cfunc=key)
        return True

    @staticmethod
    def left_to_callers(library):
        return []


@register_pass(mutates_CFG=True, analysis_only=False)
class _DraftLowering(_Lowering):
    _name, library = "lowering_of_a_draft", _DraftLibrary

    @staticmethod
    def left_to_callers(library):
        return library._linking_libraries


class EntryCompiler(CompilerBase):
    """Numba's own pipeline with another end."""

    lowering = _EntryLowering

    def compile_extra(self, func):
        # searching what Numba builds for circles of references, again and again, would take a fifteenth of the time
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(func)
        finally:
            if collects:
                gc.enable()

    def define_pipelines(self):
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [(self.lowering if step is NativeLowering else step, name) for step, name in manager.passes]
        manager.finalize()
        return [manager]


class _PartCompiler(EntryCompiler):
    lowering = _Lowering


class _DraftCompiler(EntryCompiler):
    lowering = _DraftLowering
