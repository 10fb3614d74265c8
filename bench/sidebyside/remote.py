"""Run an object in its own process, so that libraries, their threads and their settings do not affect each other.

``Remote("module:Class", *arguments)`` starts a process and creates the object in it. ``call`` runs a method of the object and
returns the result. Between calls, the process sleeps. Thread limits are set before the process starts, because BLAS libraries read
them at start-up.
"""

import multiprocessing
import os
import traceback
from contextlib import contextmanager
from importlib import import_module

LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Remote:
    """A context manager for an object in another process. `n_threads` limits its BLAS and OpenMP threads; None sets no limit."""

    def __init__(self, target, *arguments, n_threads=1, **options):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=False)
        with _limits(n_threads):
            self.process.start()
        theirs.close()
        try:
            self.ask(target, arguments, options)
        except BaseException:
            self.close()  # otherwise, this process would wait at its end for the other process
            raise

    def call(self, method, *arguments):
        return self.ask(method, arguments, {})

    def ask(self, *message):
        self.connection.send(message)
        succeeded, answer = self.connection.recv()
        if not succeeded:
            raise RuntimeError(f"error in the other process:\n{answer}")
        return answer

    def close(self):
        self.connection.close()
        self.process.join()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@contextmanager
def _limits(n_threads):
    """Set the environment variables that a new process with `n_threads` threads inherits."""
    before = dict(os.environ)
    for name in LIMITS:
        os.environ.pop(name, None)
        if n_threads is not None:
            os.environ[name] = str(n_threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(connection):
    target = None
    while True:
        try:
            name, arguments, options = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if target is None:
                module, _, attribute = name.partition(":")
                target = getattr(import_module(module), attribute)(*arguments, **options)
                answer = None
            else:
                answer = getattr(target, name)(*arguments, **options)
            connection.send((True, answer))
        except Exception:
            connection.send((False, traceback.format_exc()))
