"""The private names of scikit-learn, NumPy and Numba that fastbp uses.

Only this module imports private names of scikit-learn, Numba and llvmlite, and names from `numba.core` and `numba.np`; a test
checks this. A comment states the purpose of each name and its public replacement, if there is one. If the import of this module
fails with a new version of scikit-learn or Numba, the name in the error must be replaced. `llvmlite.ir`, `llvmlite.binding`,
`numba.config`, `numba.types` and `numba.extending` are public and are imported where they are used.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

# ---------------------------------------------------------------------- Numba: functions that generate LLVM code
#
# `numba.extending.intrinsic` is public, but the code inside an intrinsic needs these helpers. Both compiler modes need them.
#
# The version of llvmlite. Public replacement: `importlib.metadata.version`, which takes longer.
from llvmlite import __version__ as llvmlite_version

# Generates loops, branches, stack variables and external functions in LLVM code. Numba's documentation uses `cgutils` in its
# examples. Public replacement: `llvmlite.ir.IRBuilder`, with more code.
from numba.core import cgutils

# Marks the result of generated code as owned by another object, so that a reference to it is counted where references are counted.
from numba.core.imputils import impl_ret_borrowed

# The base class of a template that tells Numba the types of attributes. Public replacement:
# `numba.extending.overload_attribute`, which would compile one function for each attribute.
from numba.core.typing.templates import AttributeTemplate

# These functions read and write the fields of an array: data pointer, shape, strides, owner. No public replacement.
# `_kernels/views.py` also calls `_getvalue` of the result.
from numba.np.arrayobj import make_array, populate_array

# ---------------------------------------------------------------------- scikit-learn
#
# Private members that `_base.py` and `_model.py` use, without public replacements:
# - CallbackSupportMixin: _init_callback_context, and the attributes _skl_callbacks, _callback_fit_ctx, _skl_callbacks_to_teardown
#   and _parent_callback_ctx
# - BaseEstimator: _validate_params and _parameter_constraints
# `_data/targets.py` sets the fitted attributes of a `LabelBinarizer`, which are public, instead of calling its slow `fit`.
# Decorates `fit`: it validates the parameters before the call, unless `skip_parameter_validation` is set, and ends callbacks after
# it. No public replacement.
from sklearn.base import _fit_context

# The base class of all scorers, which distinguishes them from other callables. No public replacement.
from sklearn.metrics._scorer import _BaseScorer

# Selects rows of lists, arrays, sparse matrices and data frames. No public replacement.
from sklearn.utils import _safe_indexing

# The types of parameter constraints, and the function that raises `InvalidParameterError`. They are used so that error messages are
# the same as scikit-learn's. No public replacement.
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions, validate_parameter_constraints

# The container types that `set_output` supports, and the type that the user chose. No public replacement: the wrapper that
# scikit-learn adds to `transform` can name only the columns of the default layer.
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config

# The numbers of rows of each class in a stratified split, in which ties are broken at random. No public replacement.
from sklearn.utils.extmath import _approximate_mode

# Makes a method available only under a condition. The function is public, but has no type annotations.
from sklearn.utils.metaestimators import available_if

# Checks `classes` in the first and later calls of `partial_fit`. No public replacement.
from sklearn.utils.multiclass import _check_partial_fit_first_call

# - _check_categorical_features: which columns are categorical, from the parameter of `HistGradientBoostingClassifier`
# - _check_sample_weight: checks `sample_weight`
# Both raise the errors of scikit-learn. No public replacements.
from sklearn.utils.validation import _check_categorical_features, _check_sample_weight

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_method(method: Method) -> Method:
    """Decorate `fit` or `partial_fit` with scikit-learn's validation of parameters, without changing the type of the method."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def available_with(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Decorate a method that is available only if `check` returns True, without changing the type of the method."""
    return available_if(check)


def accepts_sample_weight(scorer):
    """Return whether a scorer accepts sample_weight. `_accept_sample_weight` has no public replacement."""
    return scorer._accept_sample_weight() if isinstance(scorer, _BaseScorer) else "sample_weight" in signature(scorer).parameters


# ---------------------------------------------------------------------- NumPy
#
# `_training/generators.py` reads the state of RandomState._bit_generator. Public replacement: get_state and set_state, which take
# longer than some small fits.


def bit_generator_of(random_state):
    """Return the bit generator of a `RandomState`, or None if it has no such attribute."""
    return getattr(random_state, "_bit_generator", None)


__all__ = [
    "ADAPTERS_MANAGER",
    "PIPELINE_IMPORT_ERROR",
    "AttributeTemplate",
    "HasMethods",
    "Interval",
    "Method",
    "Options",
    "StrOptions",
    "_approximate_mode",
    "_check_categorical_features",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_get_output_config",
    "_safe_indexing",
    "accepts_sample_weight",
    "available_with",
    "bit_generator_of",
    "cgutils",
    "fit_method",
    "impl_ret_borrowed",
    "llvmlite_version",
    "make_array",
    "populate_array",
    "validate_parameter_constraints",
]

# ---------------------------------------------------------------------- Numba: the disk cache
#
# Without these names, fastbp works, but compiled kernels are not stored on disk, and every process compiles them again. The public
# replacement is `njit(cache=True)`, but it does not detect changes of a kernel in another file.
#
# Private members that `_kernels/disk_cache.py` uses:
# - CompileResult: _rebuild, _reduce, codegen, library.has_dynamic_globals
# - CPUContext: codegen, refresh
# - JITCPUCodegen: magic_tuple
# `_kernels/jit.py` and `_kernels/dispatchers.py` replace `Dispatcher._cache` by this cache.
try:
    # The machine code of one version of a function, and all that is needed to call it.
    from numba.core.compiler import CompileResult

    # Pickles objects of Numba, for example the environment of a compiled function.
    from numba.core.serialize import dumps
except ImportError:
    pass
else:
    __all__ += ["CompileResult", "dumps"]

# ---------------------------------------------------------------------- Numba: the fast compilation pipeline
#
# Without these names, or if they behave differently, fastbp compiles with the public `numba.njit`, which takes longer.
#
# Private members that `_kernels/inline.py` and `_kernels/dispatchers.py` use:
# - Dispatcher: _cache, _compile_for_args, _compiler.compile, _compiler.pipeline_class, _insert, add_overload, get_call_template,
#   get_overload, overloads
# - the result of a compilation: cfunc, fndesc, _replace
# - JITCodeLibrary: _codegen, _final_module, _finalize_dynamic_globals, _finalize_final_module, _finalized, _linking_libraries,
#   _optimize_final_module, _optimize_functions
# - Lower: context, create_cpython_wrapper
# - JITCPUCodegen: _data_layout, _module_pass_manager; _get_host_cpu_name and _get_host_cpu_features are overridden
# - CPUContext: _internal_codegen, _registries, codegen, enable_nrt, insert_user_function, install_registry, subtarget;
#   get_abi_sizeof and load_additional_registries are overridden; all attributes are shared with a copy
# - NativeLowering: lowering_class is overridden
# - llvmlite.ir.Function.attributes: `set.add` is called for this set, because its own `add` rejects attributes with a value
# - TargetConfig: _values
# - CompilerBase: state.typingctx and state.flags are replaced
# - TypingContext: load_additional_registries and resolve_function_type are overridden; all attributes are shared with a copy
# - types.Function: _impl_keys, get_impl_key
# - the names of the compiler passes in _UNUSED_PASSES
# `_kernels/function_pointers.py` uses two other members of the result of a compilation: fndesc.llvm_cfunc_wrapper_name and
# library.get_pointer_to_function. Public replacement: `numba.cfunc(...).address`, which needs explicit signatures.
PIPELINE_IMPORT_ERROR = None
try:
    # The LLVM code and the machine code of one function, and the generator of machine code.
    from numba.core.codegen import JITCodeLibrary, JITCPUCodegen

    # A compilation pipeline. Numba documents these classes for custom pipelines, but they are in `numba.core`.
    from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder, Flags

    # Registers a compiler pass. Documented, but in `numba.core`.
    from numba.core.compiler_machinery import register_pass

    # The properties of the processor, and the implementations of all functions. It is subclassed to load them only once.
    from numba.core.cpu import CPUContext

    # Generates the LLVM code of a function and of the wrapper that Python calls.
    from numba.core.lowering import Lower

    # The type of a function decorated with `njit`. It is subclassed for kernels that are compiled only inside other kernels.
    from numba.core.registry import CPUDispatcher

    # The compiler flags that are in use.
    from numba.core.targetconfig import ConfigStack

    # The pass that generates LLVM code. The fast pipeline replaces it.
    from numba.core.typed_passes import NativeLowering

    # The types of functions and of their results. It is subclassed to remember these types.
    from numba.core.typing.context import Context as TypingContext
except ImportError as error:
    PIPELINE_IMPORT_ERROR = error
else:
    __all__ += [
        "CPUContext",
        "CPUDispatcher",
        "Compiler",
        "CompilerBase",
        "ConfigStack",
        "DefaultPassBuilder",
        "Flags",
        "JITCPUCodegen",
        "JITCodeLibrary",
        "Lower",
        "NativeLowering",
        "TypingContext",
        "register_pass",
    ]
