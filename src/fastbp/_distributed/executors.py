"""The contract between the driver of a fit and the processes that compute: an executor.

Functions and their arguments go in; handles come out, and later the values. `SerialExecutor` computes everything at once in this
process. It defines the results that every other executor must give, and simulates a cluster. This module does not know what is
computed.
"""

from abc import ABC, abstractmethod


class Executor(ABC):
    """Runs pure functions that are defined in a module.

    A handle stands for a value. A function gets the values of the handles that are among its arguments, also if they are elements
    of a list. It must not change them. It may run more than once, in any process, and before or after other functions.
    """

    is_remote = True

    @abstractmethod
    def load(self, parts):
        """Return the handle of the computed value of each part: an array in memory, or a lazy object of Dask."""

    @abstractmethod
    def put(self, value):
        """Return the handle of a value that many functions read."""

    @abstractmethod
    def submit(self, function, *arguments):
        """Return the handle of the result of a function."""

    @abstractmethod
    def gather(self, handles):
        """Return the list of the values of handles; raise the error of the first function that failed."""

    @abstractmethod
    def each_host(self, function, *arguments):
        """Run a function once on each host, and wait for the results."""

    @abstractmethod
    def repeated(self, function):
        """Return function(); if a result was lost with a worker, call the function again.

        The function is called with the number of the attempt, starting at 0. If the attempts fail several times in a row, the last
        error is raised.
        """


class SerialExecutor(Executor):
    """Runs each function in this process when it is submitted. A handle is the value itself."""

    is_remote = False

    def load(self, parts):
        return [_computed(part) for part in parts]

    def put(self, value):
        return value

    def submit(self, function, *arguments):
        return function(*arguments)

    def gather(self, handles):
        return list(handles)

    def each_host(self, function, *arguments):
        """Do nothing: the first round compiles what it needs."""

    def repeated(self, function):
        return function(0)


def _computed(part):
    """The value of a lazy object of Dask, computed in this thread; or the array itself."""
    if not hasattr(part, "compute"):
        return part
    import dask

    return part.compute(scheduler=dask.get)  # the name "synchronous" warns in some versions if the process has a client
