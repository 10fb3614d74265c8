"""Flush-to-zero mode for subnormal numbers, on x86 and ARM processors.

Arithmetic with subnormal numbers is up to a hundred times slower. If a float32 network predicts its training rows almost perfectly,
the errors are around 1e-40; the arithmetic with them took a fifth of the training time. Training therefore treats subnormal numbers
as zero. Each thread has its own mode, which is restored when training returns, so predictions are not affected. On other processors
these functions do nothing. This module does not know what is computed.
"""

from llvmlite import ir
from numba import types

from .._compat import cgutils
from .intrinsics import intrinsic_kernel
from .targets import IS_ARM, IS_X86

# The bits of the control register that replace subnormal operands and results by zero.
_FLUSH_X86, _FLUSH_ARM = 0x8040, 1 << 24


def _do_not_flush():
    return 0


@intrinsic_kernel(_do_not_flush)
def flush_subnormals(typing_context):
    """Treat subnormal numbers as zero in this thread; return the previous mode, for `restore_subnormals`."""

    def build(context, builder, signature, arguments):
        mode = _read_control_register(builder)
        _write_control_register(builder, builder.or_(mode, ir.Constant(mode.type, _FLUSH_ARM if IS_ARM else _FLUSH_X86)))
        return mode

    return types.int64(), build


def _do_not_restore(mode):
    pass


@intrinsic_kernel(_do_not_restore)
def restore_subnormals(typing_context, mode):
    """Restore a mode that `flush_subnormals` returned."""

    def build(context, builder, signature, arguments):
        _write_control_register(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), build


def _read_control_register(builder):
    if IS_X86:
        word = cgutils.alloca_once(builder, ir.IntType(32))
        _call_x86(builder, "stmxcsr", word)
        return builder.zext(builder.load(word), ir.IntType(64))
    if IS_ARM:
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.get.fpcr"), [])
    return ir.Constant(ir.IntType(64), 0)


def _write_control_register(builder, mode):
    if IS_X86:
        word = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(mode, ir.IntType(32)), word)
        _call_x86(builder, "ldmxcsr", word)
    elif IS_ARM:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [mode])


def _call_x86(builder, name, word):
    pointer = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [pointer]), f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(word, pointer)])
