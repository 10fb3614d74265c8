"""Threads that train one network together.

Each runs the same kernel on its own rows of every batch; they wait_at_barrier at a barrier, which spins briefly and then yields the
processor. All decide alike from sums that are taken in the order of their ranks, so that equal seeds and equal numbers of
threads give equal bits. What is computed between two meetings is not known here.
"""

import os
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .jit import kernel
from .views import vector

_SPINS = 2000
# by name, not by address, so that the machine code can be kept on disk
_YIELD = "SwitchToThread" if os.name == "nt" else "sched_yield"
# What a thread tells the others of a batch: its sums of loss and weight, of the penalty of its part of the weights, and of the
# squares of its part of the gradient.
LOSS, WEIGHT, PENALTY, SQUARES = range(4)
# What stands in the barrier: how often threads have come to a meeting, and whether one of them will come no more.
N_ARRIVED, ABORTED = range(2)


class Team(NamedTuple):
    """What threads share: the `barrier` (2,), and a row each of `sums` (n_threads, 4) and `gradients`."""

    barrier: np.ndarray
    sums: np.ndarray
    gradients: np.ndarray


@kernel()
def wait_at_barrier(team, state):
    """Wait until every thread has come to the next meeting; returns False if one never will."""
    state.n_barriers += 1
    return _wait(team.barrier, state.n_barriers * team.sums.shape[0])


@kernel()
def wait_at_layer_barrier(barrier, n_barriers, n_threads):
    """Wait at another barrier than `wait_at_barrier`; n_barriers is the number of waits at it so far, this one included."""
    return n_threads == 1 or _wait(barrier, n_barriers * n_threads)


@kernel()
def _wait(barrier, expected):
    _atomic_add(barrier, N_ARRIVED, 1)
    spins = 0
    while _atomic_load(barrier, N_ARRIVED) < expected:
        if _atomic_load(barrier, ABORTED):
            return False
        spins += 1
        if spins > _SPINS:
            _yield_processor()
    return True


@kernel()
def total(team, column):
    """Σ over the threads of one of their sums, in the order of their ranks."""
    result = 0.0
    for rank in range(team.sums.shape[0]):
        result += team.sums[rank, column]
    return result


@kernel()
def share(n, rank, n_threads):
    """Where the share of a thread starts, of n things in order."""
    return n * rank // n_threads


@kernel()
def share_of_line(n, rank, n_threads):
    """`share` of n numbers in whole cache lines, so that no two threads write into one."""
    return min(n, 16 * share((n + 15) // 16, rank, n_threads))


@kernel()
def add_gradients(team, low, high):
    """Add elements low to high of every other thread's gradient to the first's."""
    first = vector(team.gradients, low, high - low)
    for rank in range(1, team.sums.shape[0]):
        other = vector(team.gradients, rank * team.gradients.shape[1] + low, high - low)
        for q in range(first.size):
            first[q] += other[q]


@intrinsic
def _atomic_add(typing_context, counters, index, change):
    def build(context, builder, signature, arguments):
        counter = builder.gep(make_array(counters)(context, builder, arguments[0]).data, [arguments[1]])
        builder.atomic_rmw("add", counter, arguments[2], "seq_cst")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), build


@intrinsic
def _atomic_load(typing_context, counters, index):
    def build(context, builder, signature, arguments):
        counter = builder.gep(make_array(counters)(context, builder, arguments[0]).data, [arguments[1]])
        return builder.load_atomic(counter, "seq_cst", 8)

    return types.int64(counters, types.intp), build


@intrinsic
def _yield_processor(typing_context):
    def build(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), build
