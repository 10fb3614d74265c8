"""Numbers too small to be normal, which processors multiply a hundred times slower, taken for zero in epochs of training.

A network that is sure of its rows has errors around 1e-40 in float32, and spent a fifth of its time on them. The mode is a thread's
own; it is put back when training returns, so that predictions keep every digit. Only x86 and ARM are known here.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

_ARCHITECTURE = llvm.get_process_triple().partition("-")[0]
_IS_X86, _IS_ARM = _ARCHITECTURE in ("x86_64", "i386", "i686"), _ARCHITECTURE in ("aarch64", "arm64")
# The bits of the control register that take subnormal operands and results for zero.
_FLUSH_X86, _FLUSH_ARM = 0x8040, 1 << 24


def flush_subnormals():
    """Take subnormals for zero from here on, in this thread; returns what `restore_subnormals` wants."""
    return 0


def restore_subnormals(mode):
    """Treat subnormals as before."""


@overload(flush_subnormals)
def _flush_subnormals():
    flag = _FLUSH_ARM if _IS_ARM else _FLUSH_X86

    def flush():
        mode = _get()
        _put(mode | flag)
        return mode

    return flush


@overload(restore_subnormals)
def _restore_subnormals(mode):
    return lambda mode: _put(mode)


@intrinsic
def _get(typing_context):
    def build(context, builder, signature, arguments):
        if _IS_X86:
            word = cgutils.alloca_once(builder, ir.IntType(32))
            _x86(builder, "stmxcsr", word)
            return builder.zext(builder.load(word), ir.IntType(64))
        if _IS_ARM:
            kind = ir.FunctionType(ir.IntType(64), [])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.get.fpcr"), [])
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(), build


@intrinsic
def _put(typing_context, mode):
    def build(context, builder, signature, arguments):
        if _IS_X86:
            word = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(arguments[0], ir.IntType(32)), word)
            _x86(builder, "ldmxcsr", word)
        elif _IS_ARM:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [arguments[0]])
        return context.get_dummy_value()

    return types.void(types.int64), build


def _x86(builder, name, word):
    pointer = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [pointer]), f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(word, pointer)])
