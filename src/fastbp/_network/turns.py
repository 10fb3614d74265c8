"""Split a pass over rows into kernel calls of limited duration.

The number of rows and the block size go in; ranges of rows come out. A compiled kernel cannot be interrupted: Python handles Ctrl-C
and callbacks only between two calls. This module does not know which kernel is called.
"""

import time

# The intended duration of one kernel call in seconds, which is half of the longest acceptable delay of Ctrl-C.
_CALL_SECONDS = 0.05
# The work of the first call, for which there is no measurement yet, and the overhead of a block, both in multiply-adds.
_FIRST_CALL_WORK = 1e7
_BLOCK_OVERHEAD = 1000


class BlockPacer:
    """The number of blocks of rows that one kernel call processes, adjusted to the durations of the previous calls."""

    def __init__(self, layout, block_size):
        self.n_blocks = max(1, int(_FIRST_CALL_WORK / (layout.n_params * block_size + _BLOCK_OVERHEAD)))

    def measure(self, n_done, seconds):
        """Adjust the number of blocks after a call that processed `n_done` blocks."""
        fitting = n_done * _CALL_SECONDS / max(seconds, 1e-9)
        self.n_blocks = max(1, int(min(fitting, 4 * self.n_blocks)))


def timed_ranges(n_rows, pacer, block_size):
    """Yield (start, stop) ranges that cover n_rows rows; the pacer measures the time until the next range is requested."""
    start = 0
    while start < n_rows:
        stop = min(start + pacer.n_blocks * block_size, n_rows)
        started = time.perf_counter()
        yield start, stop
        pacer.measure((stop - start) / block_size, time.perf_counter() - started)
        start = stop


def fixed_ranges(start, stop, layout, block_size, work):
    """Return a list of (start, stop) ranges of whole blocks of rows, each with about `work` multiply-adds."""
    step = block_size * max(1, int(work / (layout.n_params * block_size)))
    return [(at, min(at + step, stop)) for at in range(start, stop, step)]
