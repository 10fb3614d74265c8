"""Numbers too small to be normal, which processors multiply a hundred times slower, taken for zero in epochs of training.

A network that is sure of its rows has errors around 1e-40 in float32, and spent a fifth of its time on them. The mode is a thread's
own; it is put back when training returns, so that predictions keep every digit. Only x86 and ARM are known here.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .jit import intrinsic_kernel

_ARCHITECTURE = llvm.get_process_triple().partition("-")[0]
_IS_X86, _IS_ARM = _ARCHITECTURE in ("x86_64", "i386", "i686"), _ARCHITECTURE in ("aarch64", "arm64")
# The bits of the control register that take subnormal operands and results for zero.
_FLUSH_X86, _FLUSH_ARM = 0x8040, 1 << 24


def _do_not_flush():
    return 0


@intrinsic_kernel(_do_not_flush)
def flush_subnormals(typing_context):
    """Take subnormals for zero from here on, in this thread; returns what `restore_subnormals` wants."""

    def build(context, builder, signature, arguments):
        mode = _get(builder)
        _put(builder, builder.or_(mode, ir.Constant(mode.type, _FLUSH_ARM if _IS_ARM else _FLUSH_X86)))
        return mode

    return types.int64(), build


def _do_not_restore(mode):
    pass


@intrinsic_kernel(_do_not_restore)
def restore_subnormals(typing_context, mode):
    """Treat subnormals as before."""

    def build(context, builder, signature, arguments):
        _put(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), build


def _get(builder):
    if _IS_X86:
        word = cgutils.alloca_once(builder, ir.IntType(32))
        _x86(builder, "stmxcsr", word)
        return builder.zext(builder.load(word), ir.IntType(64))
    if _IS_ARM:
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.get.fpcr"), [])
    return ir.Constant(ir.IntType(64), 0)


def _put(builder, mode):
    if _IS_X86:
        word = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(mode, ir.IntType(32)), word)
        _x86(builder, "ldmxcsr", word)
    elif _IS_ARM:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [mode])


def _x86(builder, name, word):
    pointer = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [pointer]), f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(word, pointer)])
