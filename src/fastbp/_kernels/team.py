"""Cooperation of the threads that train one network.

Each thread runs the same kernel on its own rows of every batch. The threads wait for each other at a barrier: a waiting thread
polls a counter and, after some time, yields the processor. All sums over threads are computed in the order of the ranks, so that
the same seed and the same number of threads give the same bits. This module does not know what is computed between two barriers.
"""

import os
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compat import cgutils, make_array
from .jit import kernel
from .views import vector

_N_SPINS = 2000
# The operating system's function that yields the processor. It is called by name, because the machine code is kept on disk.
_YIELD = "SwitchToThread" if os.name == "nt" else "sched_yield"
# The columns of `Team.sums`, for one batch: the sums of loss and weight over the thread's rows, the penalty of the thread's share
# of the weights, and the sum of squares of the thread's share of the gradient.
LOSS, WEIGHT, PENALTY, SQUARES = range(4)
# The elements of a barrier: the number of arrivals so far, summed over the threads, and whether a thread has failed.
N_ARRIVED, ABORTED = range(2)


class Team(NamedTuple):
    """Arrays that all threads share: `barrier` (2,), and one row per thread of `sums` (n_threads, 4) and `gradients`."""

    barrier: np.ndarray
    sums: np.ndarray
    gradients: np.ndarray


@kernel()
def wait_at_barrier(team, state):
    """Wait until every thread has arrived at the barrier; return False if a thread has failed, True otherwise."""
    state.n_barriers += 1
    return _wait(team.barrier, state.n_barriers * team.sums.shape[0])


@kernel()
def wait_at_layer_barrier(barrier, n_barriers, n_threads):
    """Wait at another barrier than the team's, for the n_barriers-th time; the result is that of `wait_at_barrier`."""
    return n_threads == 1 or _wait(barrier, n_barriers * n_threads)


@kernel()
def _wait(barrier, expected):
    _atomic_add(barrier, N_ARRIVED, 1)
    n_spins = 0
    while _atomic_load(barrier, N_ARRIVED) < expected:
        if _atomic_load(barrier, ABORTED):
            return False
        n_spins += 1
        if n_spins > _N_SPINS:
            _yield_processor()
    return True


@kernel()
def total(team, column):
    """Return the sum of a column of `Team.sums` over the threads, in the order of their ranks."""
    result = 0.0
    for rank in range(team.sums.shape[0]):
        result += team.sums[rank, column]
    return result


@kernel()
def share(n, rank, n_threads):
    """Return the start of a thread's share of n items; the share ends where that of rank + 1 starts."""
    return n * rank // n_threads


@kernel()
def share_of_line(n, rank, n_threads):
    """Return the same as `share` in whole cache lines of n numbers, so that no two threads write to the same cache line."""
    return min(n, 16 * share((n + 15) // 16, rank, n_threads))


@kernel()
def add_gradients(team, low, high):
    """Add gradients[rank, low:high] of all other threads to gradients[0, low:high]."""
    first = vector(team.gradients, low, high - low)
    for rank in range(1, team.sums.shape[0]):
        other = vector(team.gradients, rank * team.gradients.shape[1] + low, high - low)
        for q in range(first.size):
            first[q] += other[q]


@intrinsic
def _atomic_add(typing_context, counters, index, change):
    """Add `change` to counters[index] atomically."""

    def build(context, builder, signature, arguments):
        counter = builder.gep(make_array(counters)(context, builder, arguments[0]).data, [arguments[1]])
        builder.atomic_rmw("add", counter, arguments[2], "seq_cst")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), build


@intrinsic
def _atomic_load(typing_context, counters, index):
    """Return counters[index], read atomically."""

    def build(context, builder, signature, arguments):
        counter = builder.gep(make_array(counters)(context, builder, arguments[0]).data, [arguments[1]])
        return builder.load_atomic(counter, "seq_cst", 8)

    return types.int64(counters, types.intp), build


@intrinsic
def _yield_processor(typing_context):
    """Let another thread run on this processor."""

    def build(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), build
