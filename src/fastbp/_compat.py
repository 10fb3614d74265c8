"""The private names of scikit-learn and Numba that fastbp uses.

No other module imports a private name of these packages or of llvmlite, or a name from `numba.core` or `numba.np`; a test checks
it. Each name has a comment that states its purpose and the public replacement, if there is one. When a new version of
scikit-learn or Numba fails to import here, this file shows what has to be replaced. `llvmlite.ir`, `llvmlite.binding`,
`numba.config`, `numba.types` and `numba.extending` are public and are imported where they are used.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

# ---------------------------------------------------------------------- Numba: functions that write LLVM code
#
# `numba.extending.intrinsic` is public, but the code inside an intrinsic needs these helpers. Both compiler modes need them.
# Numba's documentation uses `cgutils` in its examples.
# Loops, branches, stack variables and external functions in LLVM code. Public replacement: `llvmlite.ir.IRBuilder`, with more code.
from numba.core import cgutils

# The features of this processor, as a string of flags. Public replacement: `llvmlite.binding.get_host_cpu_features()`, which
# ignores Numba's environment variables, such as NUMBA_ENABLE_AVX.
from numba.core.codegen import get_host_cpu_features

# Read and write the fields of an array: data pointer, shape, strides, owner. No public replacement. `_kernels/views.py` also calls
# `_getvalue` of the result.
from numba.np.arrayobj import make_array, populate_array

# ---------------------------------------------------------------------- scikit-learn
# Validates the parameters before `fit`, honors `skip_parameter_validation` and ends callbacks. No public replacement.
from sklearn.base import _fit_context

# The base class of all scorers; it tells a scorer from any other callable. No public replacement.
from sklearn.metrics._scorer import _BaseScorer

# Selects rows of lists, arrays, sparse matrices and data frames. No public replacement.
from sklearn.utils import _safe_indexing

# The types of parameter constraints, and the check that raises `InvalidParameterError`, so that error messages have the same text
# as scikit-learn's. No public replacement.
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions, validate_parameter_constraints

# The container types that `set_output` supports, and the type that the user chose. No public replacement: scikit-learn wraps the
# output of `transform` by itself, but not that of methods with other names.
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config

# Makes a method depend on a parameter. It is public, but has no types.
from sklearn.utils.metaestimators import available_if

# Checks `classes` in the first call of `partial_fit` and later ones. No public replacement.
from sklearn.utils.multiclass import _check_partial_fit_first_call

# Checks `sample_weight`; the text of its errors is scikit-learn's. No public replacement.
from sklearn.utils.validation import _check_sample_weight

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_method(method: Method) -> Method:
    """Decorate `fit` or `partial_fit` with scikit-learn's validation of parameters; type checkers see the method itself."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def available_with(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Decorate a method that an estimator has only if `check` returns True; type checkers see the method itself."""
    return available_if(check)


def accepts_sample_weight(scorer):
    """Whether a scorer takes sample_weight. `_accept_sample_weight` has no public replacement."""
    return scorer._accept_sample_weight() if isinstance(scorer, _BaseScorer) else "sample_weight" in signature(scorer).parameters


__all__ = [
    "ADAPTERS_MANAGER",
    "PIPELINE_IMPORT_ERROR",
    "HasMethods",
    "Interval",
    "Method",
    "Options",
    "StrOptions",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_get_output_config",
    "_safe_indexing",
    "accepts_sample_weight",
    "available_with",
    "cgutils",
    "fit_method",
    "get_host_cpu_features",
    "make_array",
    "populate_array",
    "validate_parameter_constraints",
]

# ---------------------------------------------------------------------- Numba: the disk cache
#
# Without these names fastbp works, but compiled kernels are not kept on disk: every process compiles them again. The public
# replacement is `njit(cache=True)`, but it does not notice when the source of a kernel in another file has changed.
#
# Private members that `_kernels/disk_cache.py` uses:
# - FunctionCache: _cache_file, _cache_path, _impl.filename_base
# - IndexDataCacheFile: _data_name, _data_path, _dump, _load_data, _load_index, _open_for_write, _save_data, _save_index,
#   _source_stamp
# `_kernels/jit.py` and `_kernels/inline.py` replace `Dispatcher._cache` by this cache.
try:
    # The cache of one compiled function, and the files in which it is kept.
    from numba.core.caching import FunctionCache, IndexDataCacheFile
except ImportError:
    pass
else:
    __all__ += ["FunctionCache", "IndexDataCacheFile"]

# ---------------------------------------------------------------------- Numba: the fast compilation pipeline
#
# Without these names, or if they behave differently, fastbp compiles with the public `numba.njit`, which takes longer.
#
# Private members that `_kernels/inline.py` uses:
# - Dispatcher: _cache, _compile_for_args, _compiler.pipeline_class, _insert, get_call_template, get_overload
# - the result of a compilation: cfunc, fndesc, _replace
# - JITCodeLibrary: _codegen, _final_module, _finalize_dynamic_globals, _finalize_final_module, _finalized, _linking_libraries,
#   _optimize_final_module, _optimize_functions
# - JITCPUCodegen: _data_layout, _module_pass_manager
# - CPUContext: codegen, insert_user_function, subtarget
# - llvmlite.ir.Function.attributes: the set behind it, whose own `add` rejects attributes with a value
# `_kernels/function_pointers.py` uses two more of a compilation's result: fndesc.llvm_cfunc_wrapper_name and
# library.get_pointer_to_function. Public replacement: `numba.cfunc(...).address`, which needs explicit signatures.
PIPELINE_IMPORT_ERROR = None
try:
    # The LLVM code and the machine code of one function.
    from numba.core.codegen import JITCodeLibrary

    # A compilation pipeline. Numba documents these classes for custom pipelines, but they are in `numba.core`.
    from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder

    # Registers a compiler pass. Documented, but in `numba.core`.
    from numba.core.compiler_machinery import register_pass

    # The type of a function decorated with `njit`. It is subclassed for kernels that are compiled only inside other kernels.
    from numba.core.registry import CPUDispatcher

    # The pass that generates LLVM code. The fast pipeline replaces it.
    from numba.core.typed_passes import NativeLowering
except ImportError as error:
    PIPELINE_IMPORT_ERROR = error
else:
    __all__ += [
        "CPUDispatcher",
        "Compiler",
        "CompilerBase",
        "DefaultPassBuilder",
        "JITCodeLibrary",
        "NativeLowering",
        "register_pass",
    ]
