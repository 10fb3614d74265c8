"""Cooperation of the threads that train one network.

The rows of each batch and the parameters are divided into the same number of shares, which does not depend on the number of
threads. Each thread runs the same kernel and computes the shares rank, rank + n_threads, … Sums over a batch are added in the order
of the shares, so that the result has the same bits for every number of threads. The threads wait for each other at a barrier. This
module does not know what is computed between two barriers.
"""

from typing import NamedTuple

import numpy as np

from .barrier import wait
from .integers import minimum
from .jit import kernel
from .views import vector

# The columns of `Team.sums`, for one batch: the sums of loss and weight over the rows of a share; the penalty of a share of the
# weights; the sum of squares of a share of the gradient; and Σ w² of a share of the weights, or 0 if it is unknown.
LOSS, WEIGHT, PENALTY, SQUARES, WEIGHT_SQUARES = range(5)
N_SUMS = 5


class Team(NamedTuple):
    """Arrays that all threads share: `barrier` (3,), `sums` (n_shares, 5) and `gradients` (n_shares, ≥ n_params)."""

    barrier: np.ndarray
    sums: np.ndarray
    gradients: np.ndarray


@kernel()
def wait_at_barrier(team, state, n_threads):
    """Wait until every thread has arrived at the barrier; return False if a thread has failed, True otherwise."""
    if n_threads == 1:
        return True
    state.n_barriers += 1
    return wait(team.barrier, state.n_barriers * n_threads)


@kernel()
def wait_at_layer_barrier(barrier, n_barriers, n_threads):
    """Wait at another barrier than the team's, for the n_barriers-th time; the result is that of `wait_at_barrier`."""
    return n_threads == 1 or wait(barrier, n_barriers * n_threads)


@kernel()
def total(team, column):
    """Return the sum of a column of `Team.sums` over the shares, in their order."""
    result, sums = 0.0, team.sums
    for share in range(sums.shape[0]):
        result += sums[share, column]
    return result


def share_start(n, share, n_shares):
    """Return the start of a share of n items; it ends where the next share starts. Python calls it, kernels `start_of_share`."""
    return n * share // n_shares


start_of_share = kernel()(share_start)


@kernel()
def start_of_line_share(n, share, n_shares):
    """Return the same in whole cache lines of n numbers, so that no two threads write to the same cache line."""
    return minimum(n, 16 * start_of_share((n + 15) // 16, share, n_shares))


@kernel()
def line_share(n, share, n_shares):
    """Return the start and the end of a share of n numbers in whole cache lines."""
    return start_of_line_share(n, share, n_shares), start_of_line_share(n, share + 1, n_shares)


@kernel()
def gradient_of_share(team, share):
    """Return the buffer (≥ n_params,) for the gradient of a share of the rows."""
    n = team.gradients.shape[1]
    return vector(team.gradients, share * n, n)


@kernel()
def add_gradients(team, low, high):
    """Add gradients[share, low:high] of all other shares to gradients[0, low:high]."""
    gradients = team.gradients
    first = vector(gradients, low, high - low)
    for share in range(1, gradients.shape[0]):
        other = vector(gradients, share * gradients.shape[1] + low, high - low)
        for q in range(first.size):
            first[q] += other[q]
