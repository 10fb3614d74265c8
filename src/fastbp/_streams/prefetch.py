"""A thread that reads ahead: it fills buffers while the caller trains with the rows of another buffer.

A function that yields items goes in; the items come out, in the same order, with the exception that ended them, if there was one.
The number of buffers limits how far the thread reads ahead. This module does not know what the items are.
"""

import threading
import time
from queue import Empty, SimpleQueue

from sklearn import config_context, get_config

# So long `close` waits for the thread, which may be in a call of the user's source that does not return.
_SECONDS_TO_END = 2.0


class PrefetchClosedError(Exception):
    """Raised in the thread that reads ahead, if its items are not needed any more."""


class SourceFailure(Exception):
    """An exception in the thread that reads ahead; ``error`` is the exception."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


class Prefetcher:
    """The items of ``iterate(take_buffer)``, a generator that runs in a thread of its own.

    ``take_buffer`` returns one of the ``buffers`` that ``release`` has not given back yet, and waits if there is none. Use this
    object as a context manager, or call ``close``. The thread is a daemon thread, so that a source that never returns cannot keep
    the process from ending.
    """

    def __init__(self, iterate, buffers):
        self._ready: SimpleQueue = SimpleQueue()
        self._free: SimpleQueue = SimpleQueue()
        for buffer in buffers:
            self._free.put(buffer)
        self._is_closed, self._iterate, self._config = False, iterate, get_config()
        self._thread = threading.Thread(target=self._run, name="fastbp-read-ahead", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _run(self):
        """Read all items; the options of scikit-learn are those of the thread that created this object."""
        try:
            with config_context(**self._config):
                items = self._iterate(self._take_buffer)
                try:
                    for item in items:
                        self._ready.put((item, None))
                finally:
                    items.close()
        except PrefetchClosedError:
            pass
        except BaseException as error:
            self._ready.put((None, error))
        finally:
            self._iterate = None

    def _take_buffer(self):
        if not self._is_closed:
            buffer = self._free.get()
            if buffer is not None:
                return buffer
        raise PrefetchClosedError

    def get(self, timeout=None):
        """Return the next item, or None if it is not ready after ``timeout`` seconds; raise ``SourceFailure`` after an error.

        This must not be called after the last item.
        """
        try:
            # a wait without a limit could not be interrupted on Windows
            item, error = self._ready.get(timeout=timeout) if timeout is not None else self._wait()
        except Empty:
            return None
        if error is not None:
            raise SourceFailure(error) from error
        return item

    def _wait(self):
        while True:
            try:
                return self._ready.get(timeout=0.1)
            except Empty:
                continue

    def release(self, buffer):
        """Give a buffer back, so that the thread can use it again."""
        self._free.put(buffer)

    def close(self):
        """End the thread after the current call of the user's source, for which this waits for two seconds at most."""
        self._is_closed = True
        self._free.put(None)
        end = time.monotonic() + _SECONDS_TO_END
        while self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(0.05)

    @property
    def is_alive(self):
        """Whether the thread still runs."""
        return self._thread.is_alive()
