"""The executor for a cluster of Dask.

It uses futures only: no actors, no messages between workers, and no tasks that submit tasks. A fit therefore cannot wait for a
worker that has gone: the scheduler runs its tasks again in another worker, and the driver repeats a round whose parameters were
lost. This module does not know what is computed.
"""

import time
from concurrent.futures import CancelledError

from distributed import Client, KilledWorker, default_client, get_worker, wait
from distributed.comm import CommClosedError

from .executors import Executor, SerialExecutor

_MAX_ATTEMPTS = 10  # of one round in a row, each of which can lose up to four workers
_RETRIES = 2  # of a task that raises an error, for example because a file could not be read
_LOOK_SECONDS = 0.5  # seconds between two looks at the workers
_LOST = (CancelledError, KilledWorker, CommClosedError)


class LostClusterError(RuntimeError):
    """The cluster has no workers, or the connection to its scheduler was closed."""


class DaskExecutor(Executor):
    """Runs functions in the workers of a `distributed.Client`; handles are futures.

    If the cluster has no worker for ``timeout`` seconds, the fit ends with a `LostClusterError`.
    """

    def __init__(self, client, timeout):
        self.client, self.timeout = client, timeout

    def load(self, parts):
        from dask import is_dask_collection

        self._check_connection()
        lazy = [part for part in parts if is_dask_collection(part)]
        futures = iter(self.client.compute(lazy, retries=_RETRIES) if lazy else [])
        return [next(futures) if is_dask_collection(part) else self.submit(_passed, part) for part in parts]

    def put(self, value):
        self._wait_for_workers()
        try:
            # without broadcast, which waits for all workers; the list is needed because a tuple would be scattered by elements
            return self.client.scatter([value], hash=False)[0]
        except TimeoutError as error:
            raise CancelledError("All workers ended while parameters were sent to them.") from error

    def submit(self, function, *arguments):
        self._check_connection()
        return self.client.submit(function, *arguments, pure=False, retries=_RETRIES)

    def gather(self, handles):
        started = time.monotonic()
        while True:
            try:
                wait(handles, timeout=_LOOK_SECONDS)
                break
            except TimeoutError:
                started = self._check_workers(started)
        return [self._result(handle) for handle in handles]

    def _result(self, future):
        """The value of a finished future; it is computed again if the worker that has it ends."""
        started, seconds = time.monotonic(), max(10.0, self.timeout)
        while True:
            try:
                return future.result(timeout=seconds)
            except TimeoutError:
                if future.status == "error":  # the function raised it
                    raise
                started = self._check_workers(started)
                seconds *= 2  # the transfer may take long

    def _check_workers(self, started):
        """The time since which there is no worker; raise an error if there was none for too long."""
        if self._n_threads():
            return time.monotonic()
        if time.monotonic() - started > self.timeout:
            raise LostClusterError(
                f"The cluster has had no worker for worker_timeout={self.timeout:g} seconds. Start workers and call fit again, "
                "with resume=True if the parameter checkpoint was set."
            )
        return started

    def _n_threads(self):
        """The number of threads of all workers; 0 while the client connects to the scheduler again."""
        self._check_connection()
        try:
            return 0 if self.client.status == "connecting" else sum(self.client.nthreads().values())
        except (OSError, AttributeError):  # the connection ended during the call
            self._check_connection()
            return 0

    def _check_connection(self):
        if self.client.status not in ("running", "connecting"):
            raise LostClusterError(
                f"The connection to the scheduler was closed (the status of the client is {self.client.status!r}). Connect a new "
                "client and call fit again, with resume=True if the parameter checkpoint was set."
            )

    def _wait_for_workers(self):
        started = time.monotonic()
        while not self._n_threads():
            started = self._check_workers(started)
            time.sleep(_LOOK_SECONDS)

    def each_host(self, function, *arguments):
        self._wait_for_workers()
        hosts = {address.rpartition(":")[0]: address for address in self.client.nthreads()}
        options = {"pure": False, "retries": _RETRIES, "allow_other_workers": True}
        self.gather([self.client.submit(function, *arguments, workers=[address], **options) for address in hosts.values()])

    def repeated(self, function):
        for attempt in range(_MAX_ATTEMPTS):
            try:
                return function(attempt)
            except _LOST as error:
                self._check_connection()
                last = error
                time.sleep(_LOOK_SECONDS)
        raise LostClusterError(
            f"The same round failed {_MAX_ATTEMPTS} times in a row, because workers ended while they computed it or because data "
            "were lost that exist only in a worker, such as scattered data. Read the logs of the workers. If they ran out of "
            "memory, use smaller partitions."
        ) from last


def _passed(value):
    return value


def executor_of(client, timeout):
    """The executor for the value of the parameter `client`.

    None is the current client. Without one, or inside a task, it is a `SerialExecutor`: a task that waited for other tasks would
    occupy a thread of a worker, so that several of them could wait for each other.
    """
    if client is None:
        try:
            get_worker()
            return SerialExecutor()
        except ValueError:
            pass
        try:
            client = default_client()
        except ValueError:
            return SerialExecutor()
    if not isinstance(client, Client) or client.asynchronous:
        raise TypeError(
            f"client must be None or a distributed.Client that is not asynchronous, got {client!r}. Create it with "
            "distributed.Client(address)."
        )
    if client.status not in ("running", "connecting"):
        raise LostClusterError(
            f"client must be connected to a scheduler, but its status is {client.status!r}. Pass a new "
            "distributed.Client(address), or None for the current client."
        )
    return DaskExecutor(client, timeout)
