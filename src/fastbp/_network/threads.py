"""The number of threads of a fit or a prediction, the threads themselves, and a limit on the threads of BLAS.

The parameters ``n_threads`` and ``n_shares`` and the work of a step go in; the number of threads and the number of shares of a
batch come out. The default number of threads is the number of CPUs that affinity, cgroup, joblib and environment variables allow.
It is one outside the main thread, and one if a step is too small to be faster with two threads. This module does not know what the
threads compute.
"""

import os
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from functools import cache
from queue import Empty, SimpleQueue

import joblib
from threadpoolctl import ThreadpoolController

from .._kernels.jit import is_interpreted

# The minimum work per thread and step, in multiply-adds times the size of a number in bytes. It was chosen from the gain of two
# threads over one (Xeon with AVX-512, medians of seven paired runs), by millions of multiply-adds per step. float32: −19 % at 1.3,
# +7 % at 2.4, +21 % at 4.4. float64: +5 % at 0.6, −7 % at 1.3, +26 % at 2.2, +33 % at 4.4.
_MIN_WORK = 6_000_000
# Threads that are started or woken for one call need the work of this many steps, because this takes 0.1 to 0.7 milliseconds. The
# number was chosen from the gain of two threads over one for predict (EPYC with AVX2, medians of 25 paired calls), by millions of
# multiply-adds per call. float32: +1 % at 21, +18 % at 37; float64: +9 % at 21, +45 % at 37.
STEPS_TO_WAKE = 9
# The limits of the default number of shares. With less work, there is one share. Shares make training with one thread slower (EPYC
# with AVX2, medians of 14 paired fits, 30 networks and batch sizes): two shares of at least 100 rows by 1.3 % on average and 5 % at
# most, four shares of 100 to 200 rows by up to 9 %, eight shares of 100 rows by up to 11 %. Each share has a gradient buffer.
_MIN_WORK_OF_SHARES = 2 * _MIN_WORK
_MIN_ROWS_OF_TWO_SHARES, _MIN_ROWS_PER_SHARE, _MAX_BATCH_SHARES, _MAX_GRADIENT_BYTES = 200, 500, 8, 1 << 28
# Kept threads end after this number of seconds without work.
IDLE_SECONDS = 0.1
# Limits that joblib sets for its worker processes, and that users set for numerical libraries.
_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def choose_threads(n_threads, work, n_rows):
    """The number of threads for a step on ``n_rows`` rows with this work; ``n_threads`` is the parameter, a number or None."""
    return 1 if is_interpreted() else useful_threads(n_threads, work, n_rows)  # the barrier needs compiled code


def choose_shares(n_shares, n_threads, work, n_rows):
    """The number of shares of a batch of ``n_rows`` rows for this work and number of threads.

    ``n_shares`` is the parameter, a number or None. By default, the number depends on the number of threads only if there are more
    threads than shares with enough rows.
    """
    if n_shares is not None:
        return min(int(n_shares), n_rows)
    if work < _MIN_WORK_OF_SHARES:
        return n_threads
    gradient_bytes = work / (3 * n_rows)
    n_useful = max(n_rows // _MIN_ROWS_PER_SHARE, 2 * (n_rows >= _MIN_ROWS_OF_TWO_SHARES))
    return max(n_threads, int(min(_MAX_BATCH_SHARES, n_useful, _MAX_GRADIENT_BYTES // gradient_bytes)))


def useful_threads(limit, work, n_parts):
    """The number of threads that are useful for this work, at most ``limit``; None is the limit of ``allowed_threads``."""
    useful = min(int(work // _MIN_WORK), n_parts)
    # `allowed_threads` reads system files, which takes longer than a step of a small network
    return 1 if useful <= 1 else min(useful, allowed_threads() if limit is None else int(limit))


def allowed_threads():
    """The number of threads that affinity, cgroup and environment variables allow; 1 outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return 1
    limits = [os.environ.get(name, "").partition(",")[0] for name in _LIMITS]  # "2,1" has limits for nested parallel regions
    affinity = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    n_cpus = _n_cpus(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))
    return max(1, min([n_cpus, *(int(limit) for limit in limits if limit.isdecimal())]))


@cache
def _n_cpus(affinity, limit):
    """The number of CPUs for this affinity and this limit of joblib, which reads system files in every call."""
    return joblib.cpu_count()


def other_threads_exist():
    """Whether there are threads besides the calling thread and those of this module."""
    this = threading.current_thread()
    return any(thread is not this and not isinstance(thread, _WorkerThread) for thread in threading.enumerate())


class _WorkerThread(threading.Thread):
    pass


class ThreadCrew:
    """Threads in addition to the calling thread. The constructor starts all of them, and ``close`` ends them.

    A thread also ends after ``idle_seconds`` without work, and ``run`` starts a new one. Therefore, a crew can be kept without a
    later call of ``close``, and after a fork, the child process starts its own threads.
    """

    def __init__(self, n_threads, idle_seconds=10.0):
        self.n_threads, self.idle_seconds, self.workers = n_threads, idle_seconds, []
        try:
            for rank in range(1, n_threads):
                self.workers.append(_Worker(rank, idle_seconds))
        except BaseException as error:
            self.close()
            if not isinstance(error, RuntimeError):
                raise
            self.n_threads = 1  # the system cannot start another thread

    def run(self, work, abort):
        """Call work(rank) in every thread, with rank 0 in this thread, and wait for all; if one fails, abort() stops the others."""
        if not self.workers:
            work(0)
            return

        def guarded(rank):
            try:
                work(rank)
            except BaseException:
                abort()
                raise

        tasks: list[_Task] = []
        try:
            tasks += (self._submit(guarded, rank) for rank in range(1, self.n_threads))
            guarded(0)
            _wait_for(tasks)
        except BaseException:
            abort()
            _wait_for(tasks)
            raise
        for task in tasks:
            if task.error is not None:
                raise task.error

    def _submit(self, work, rank):
        task = _Task(work, rank)
        if not self.workers[rank - 1].submit(task):
            try:
                self.workers[rank - 1] = _Worker(rank, self.idle_seconds, task)
            except RuntimeError as error:
                raise RuntimeError(
                    f"n_threads={self.n_threads} needs {self.n_threads - 1} more threads, but the system cannot start them "
                    f"({error}). Set n_threads=1."
                ) from error
        return task

    def close(self):
        workers, self.workers = self.workers, []
        for worker in workers:
            worker.submit(None)
        for worker in workers:
            worker.thread.join()

    @property
    def is_running(self):
        """Whether no thread of the crew has ended."""
        return all(worker.thread.is_alive() for worker in self.workers)


# The crews that no call uses, by their number of threads. There are several if threads of the user call at the same time.
_kept_crews: defaultdict[int, deque[ThreadCrew]] = defaultdict(lambda: deque(maxlen=4))


_calling_thread = ThreadCrew(1)


def take_crew(n_threads):
    """A `ThreadCrew` that no other call uses. Its threads may be those of an earlier call, because starting threads can take long.

    Afterwards, pass the crew to `keep_crew`, or close it if one of its threads may still run.
    """
    if n_threads == 1:
        return _calling_thread
    try:
        crew = _kept_crews[n_threads].pop()
    except IndexError:
        return ThreadCrew(n_threads, IDLE_SECONDS)
    if crew.is_running:
        return crew
    crew.close()
    return ThreadCrew(n_threads, IDLE_SECONDS)


def keep_crew(crew):
    """Keep the threads of a crew for a short time for the next call of `take_crew`."""
    if crew.workers:
        _kept_crews[crew.n_threads].append(crew)


@contextmanager
def kept_crew(n_threads):
    """A context with the result of `take_crew`, which is kept at the end or closed after an error."""
    crew = take_crew(n_threads)
    try:
        yield crew
    except BaseException:  # a thread may still run
        crew.close()
        raise
    keep_crew(crew)


class _Task:
    """A call of work(rank) in another thread."""

    def __init__(self, work, rank):
        self.work, self.rank, self.error, self.running = work, rank, None, threading.Lock()
        self.running.acquire()

    def run(self):
        try:
            self.work(self.rank)
        except BaseException as error:
            self.error = error
        finally:
            self.running.release()


def _wait_for(tasks):
    for task in tasks:
        with task.running:
            pass


class _Worker:
    """A thread that runs tasks, until it gets None or has no task for ``idle_seconds``."""

    def __init__(self, rank, idle_seconds, first_task=None):
        self.idle_seconds, self.is_open, self.lock = idle_seconds, True, threading.Lock()
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        if first_task is not None:
            self.tasks.put(first_task)  # before the thread starts, so that it cannot end without this task
        self.thread = _WorkerThread(target=self._run_tasks, name=f"fastbp_{rank}")
        self.thread.start()

    def submit(self, task):
        """Add a task; return False if the thread has ended. After a fork, the thread does not exist in the child process."""
        if not self.thread.is_alive():
            return False
        with self.lock:
            if self.is_open:
                self.tasks.put(task)
            return self.is_open

    def _run_tasks(self):
        while self.is_open:
            task = self._next_task()
            if task is not None:
                task.run()
            del task  # it refers to the data of the fit

    def _next_task(self):
        try:
            task = self.tasks.get(timeout=self.idle_seconds)
        except Empty:
            task = None
        if task is None:
            with self.lock:
                self.is_open = not self.tasks.empty()
        return task


class _OneBlasThread:
    """A context in which BLAS uses one thread. The limit applies to the whole process until the last thread leaves the context."""

    def __init__(self):
        self.controller = self.limits = None
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave_after_fork)

    def _start(self):
        self.lock, self.n_inside = threading.Lock(), 0

    def __enter__(self):
        with self.lock:
            if self.n_inside == 0:
                if self.controller is None:  # finding the libraries takes milliseconds
                    self.controller = ThreadpoolController()
                self.limits = self.controller.limit(limits=1, user_api="blas")
            self.n_inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.n_inside -= 1
            if self.n_inside == 0:
                self._restore()

    def _restore(self):
        if self.limits is not None:
            self.limits.restore_original_limits()
            self.limits = None

    def _leave_after_fork(self):
        """Restore the limits in a child process, because the threads that were inside the context do not exist there."""
        self._start()
        self._restore()


one_blas_thread = _OneBlasThread()
