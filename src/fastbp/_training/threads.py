"""How many threads a fit may use, and the threads themselves.

What the user asked for and the work of a step enter; a number leaves, the same wherever the same processors are allowed. Without a
wish it is what affinity, cgroups and joblib leave to this process, one inside a joblib worker thread, and one where a step is too
short to be worth two meetings. Nothing here knows what the threads compute.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import joblib

# Multiply-adds per thread and step, times bytes of a number, below which another thread does not pay. What two threads gained on
# one (Xeon with AVX-512, medians of seven paired rounds), by millions of multiply-adds a step: float32 at 1.3 −19 %, 2.4 +7 %,
# 4.4 +21 %; float64 at 0.6 +5 %, 1.3 −7 %, 2.2 +26 %, 4.4 +33 %.
_LEAST_WORK = 6_000_000
# The limits that joblib sets for its worker processes, and that users set for all numerical libraries.
_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def choose_threads(wanted, work, most):
    """The number of threads for a step on `most` rows, of so many multiply-adds times bytes; `wanted` is a number or None."""
    if wanted is not None:
        return max(1, min(int(wanted), most))
    return max(1, min(allowed_threads(), int(work // _LEAST_WORK), most))


def allowed_threads():
    """What this process may use by affinity, cgroup and environment; one in a worker thread of somebody's pool."""
    if threading.current_thread() is not threading.main_thread():
        return 1
    limits = [os.environ.get(name, "").partition(",")[0] for name in _LIMITS]  # "2,1" is for nested regions
    return max(1, min([joblib.cpu_count(), *(int(limit) for limit in limits if limit.isdecimal())]))


class ThreadCrew:
    """Threads beside the calling one, there from the start so that none is waited for in vain; ``close`` ends them."""

    def __init__(self, n_threads):
        self.n_threads, self.pool = n_threads, None
        if n_threads > 1:
            self.pool = ThreadPoolExecutor(n_threads - 1, thread_name_prefix="fastbp")
            there = threading.Barrier(n_threads)
            try:
                for _ in range(n_threads - 1):
                    self.pool.submit(there.wait)
                there.wait()
            except BaseException as error:
                there.abort()
                self.close()
                if not isinstance(error, RuntimeError):
                    raise
                self.n_threads = 1  # no further thread can be started

    def run(self, work, abort):
        """Call work(rank) in every thread, rank 0 in this one, and wait for all; abort() ends the others if one fails."""

        def guarded(rank):
            try:
                work(rank)
            except BaseException:
                abort()
                raise

        others = []
        try:
            others += (self.pool.submit(guarded, rank) for rank in range(1, self.n_threads))
            guarded(0)
        except BaseException:
            abort()
            raise
        finally:
            wait(others)
        for other in others:
            other.result()

    def close(self):
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None
