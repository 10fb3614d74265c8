"""Kernels that kernels call by their address.

What few networks use is compiled on its own when it is first wanted, and kept on disk as every entry is; the epochs that call it
stay as they were compiled. So do they for functions that users bring. An address is an int64 and travels among the settings; it
holds for one process. Nothing here knows what is called.
"""

from llvmlite import ir
from numba import types
from numba.core import config

from .jit import intrinsic_kernel

_interpreted = {}  # functions by their number, where nothing is compiled


def address_of(function, signature):
    """The address of a compiled function for these argument types; it returns nothing."""
    if config.DISABLE_JIT:
        _interpreted[id(function)] = function
        return id(function)
    function.compile(signature)
    compiled = function.overloads[tuple(signature)]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)


def _call(address, *arguments):
    _interpreted[address](*arguments)


@intrinsic_kernel(_call)
def call(typing_context, address, *arguments):
    """Call the function at an address; the arguments are of the types that the address was asked for."""

    def build(context, builder, signature, values):
        number, packed = values
        kinds = [context.get_value_type(kind) for kind in arguments]
        function = ir.FunctionType(context.get_value_type(types.none), kinds)
        pointer = builder.inttoptr(number, function.as_pointer())
        builder.call(pointer, [builder.extract_value(packed, i) for i in range(len(kinds))])
        return context.get_dummy_value()

    return types.void(types.int64, types.Tuple(arguments)), build
