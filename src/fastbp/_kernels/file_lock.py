"""A lock between processes, which the operating system releases when the process that holds it ends.

The path of a file goes in; the lock is held until `release` is called. If the file cannot be locked, for example on some network
file systems, or if another process holds the lock for too long, the lock is not acquired, and the caller continues without it. This
module does not know what the lock protects.
"""

import os
import time
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def _try_to_lock(descriptor):
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor):
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:

    def _try_to_lock(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not sufficient if a child process has inherited the descriptor


_PAUSE = 0.05  # seconds between two attempts to acquire a lock


class FileLock:
    """A lock file that is acquired on creation, or not at all after `timeout` seconds; it is deleted when the lock is released."""

    def __init__(self, path, timeout):
        self._path, self._descriptor = path, None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # for example a deleted folder
            return
        try:
            acquired = _wait_for_lock(descriptor, time.monotonic() + timeout)
        except BaseException:  # KeyboardInterrupt is passed on
            os.close(descriptor)
            raise
        if acquired:
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    @property
    def acquired(self):
        return self._descriptor is not None

    def release(self):
        """Unlock and delete the file. Processes that wait for the lock acquire it one after the other."""
        if self.acquired:
            with suppress(OSError):
                self._path.unlink()  # Windows does not delete files that other processes have open
            with suppress(OSError):
                _unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def _wait_for_lock(descriptor, end):
    while True:
        try:
            _try_to_lock(descriptor)
        except (BlockingIOError, PermissionError):  # on Windows, the error is a PermissionError
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE)
        except OSError:  # the file system does not support locks
            return False
        else:
            return True
