"""Calls of compiled functions by their address.

A function that few networks use, or that a user provides, is compiled separately when it is first used. The kernels that call the
function receive its address as an int64, so they are not compiled again. An address is valid in one process only. This module does
not know what the functions compute.
"""

from llvmlite import ir
from numba import config, types

from .intrinsics import intrinsic_kernel

_interpreted = {}  # functions by their id, with NUMBA_DISABLE_JIT=1


def address_of(function, signature):
    """Compile a function without a return value for these argument types, and return its address."""
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
    """Call the function at an address; the types of the arguments must be those given to `address_of`."""

    def build(context, builder, signature, values):
        address, packed = values
        kinds = [context.get_value_type(kind) for kind in arguments]
        function = ir.FunctionType(context.get_value_type(types.none), kinds)
        pointer = builder.inttoptr(address, function.as_pointer())
        builder.call(pointer, [builder.extract_value(packed, i) for i in range(len(kinds))])
        return context.get_dummy_value()

    return types.void(types.int64, types.Tuple(arguments)), build
