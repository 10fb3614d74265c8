"""A barrier, at which threads wait for each other.

A waiting thread polls a counter for some microseconds and then sleeps until the last thread arrives, so that it takes no processor
time from other programs. On Linux, the last thread wakes the others; on other systems, they sleep for short times. This module does
not know what is computed between two barriers.
"""

import sys

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compat import cgutils, make_array
from .jit import kernel
from .targets import ARCHITECTURE, IS_ARM, IS_X86

# The elements of a barrier: the number of arrivals so far, summed over the threads; whether a thread has failed; and the number of
# threads that sleep.
N_ARRIVED, ABORTED, _N_SLEEPING = range(3)
BARRIER_SIZE = 3
# How often a waiting thread polls the counter before it sleeps. The processor pauses after each time; on Zen 3, this takes 280
# microseconds in total. With 1,500 pauses, threads that were not interrupted slept, and two threads took a fifth longer.
_N_SPINS = 10000
# Linux's system call that sleeps until another thread changes a number in memory and wakes this thread.
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(ARCHITECTURE) if sys.platform == "linux" else None
_WAIT_PRIVATE, _WAKE_PRIVATE = 128, 129
# The longest sleep, after which a thread checks whether another thread has failed.
_SLEEP_NANOSECONDS = 2_000_000
_I32, _I64 = ir.IntType(32), ir.IntType(64)


@kernel()
def wait(barrier, expected):
    """Arrive at a barrier (3,) and wait until the number of arrivals is `expected`; return False if a thread has failed."""
    if _atomic_add(barrier, N_ARRIVED, 1) + 1 == expected:
        if _atomic_load(barrier, _N_SLEEPING) > 0:
            _wake_all(barrier)
        return True
    for _ in range(_N_SPINS):
        if _atomic_load(barrier, N_ARRIVED) >= expected:
            return True
        if _atomic_load(barrier, ABORTED):
            return False
        _pause()
    _atomic_add(barrier, _N_SLEEPING, 1)
    n_arrived = _atomic_load(barrier, N_ARRIVED)
    while n_arrived < expected and not _atomic_load(barrier, ABORTED):
        _sleep(barrier, n_arrived)
        n_arrived = _atomic_load(barrier, N_ARRIVED)
    _atomic_add(barrier, _N_SLEEPING, -1)
    return n_arrived >= expected


@intrinsic
def _atomic_add(typing_context, counters, index, change):
    """Add `change` to counters[index] atomically; return its previous value."""

    def build(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _counter(context, builder, counters, *arguments[:2]), arguments[2], "seq_cst")

    return types.int64(counters, types.intp, types.int64), build


@intrinsic
def _atomic_load(typing_context, counters, index):
    """Return counters[index], read atomically."""

    def build(context, builder, signature, arguments):
        return builder.load_atomic(_counter(context, builder, counters, *arguments), "seq_cst", 8)

    return types.int64(counters, types.intp), build


def _counter(context, builder, counters, array, index):
    return builder.gep(make_array(counters)(context, builder, array).data, [index])


@intrinsic
def _pause(typing_context):
    """Tell the processor that this thread polls, so that it saves energy and gives resources to another thread of the same core."""

    def build(context, builder, signature, arguments):
        if IS_X86:
            _call_by_name(builder, ir.VoidType(), "llvm.x86.sse2.pause")
        elif IS_ARM:
            _call_by_name(builder, ir.VoidType(), "llvm.aarch64.hint", _I32(1))
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def _sleep(typing_context, barrier, n_arrived):
    """Sleep until another thread arrives at the barrier, unless the number of arrivals has changed; the time is limited.

    Functions of the operating system are called by name, because the machine code is kept on disk.
    """

    def build(context, builder, signature, arguments):
        if _FUTEX is not None:
            limit = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_I64, 2), [0, _SLEEP_NANOSECONDS]))
            address = _counter(context, builder, barrier, arguments[0], _I64(N_ARRIVED))
            _call_futex(builder, address, _WAIT_PRIVATE, builder.trunc(arguments[1], _I32), limit)
        elif sys.platform == "win32":
            _call_by_name(builder, _I32, "SwitchToThread")  # Windows sleeps for at least a millisecond
        else:
            _call_by_name(builder, _I32, "usleep", _I32(50))
        return context.get_dummy_value()

    return types.void(barrier, types.int64), build


@intrinsic
def _wake_all(typing_context, barrier):
    """Wake all threads that sleep at the barrier."""

    def build(context, builder, signature, arguments):
        if _FUTEX is not None:
            address = _counter(context, builder, barrier, arguments[0], _I64(N_ARRIVED))
            _call_futex(builder, address, _WAKE_PRIVATE, _I32(2**31 - 1), _I64(0))
        return context.get_dummy_value()

    return types.void(barrier), build


def _call_futex(builder, address, operation, value, limit):
    """Call futex for the lower half of the number at an address; both supported processors are little-endian."""
    kind = ir.FunctionType(_I64, [_I64], var_arg=True)
    function = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    builder.call(function, [_I64(_FUTEX), address, _I32(operation), value, limit])


def _call_by_name(builder, result, name, *arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
