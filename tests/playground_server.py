"""A server of the playground that runs in a thread of the test process, so that tests can count its threads."""

import contextlib
import threading
import time

from fastbp.playground._command import bound_socket, server_factory
from fastbp.playground._worker import THREAD_NAME


@contextlib.contextmanager
def running_server():
    """Start a server on a free port; the value is the port."""
    with bound_socket(0) as listener:
        port = listener.getsockname()[1]
        server = server_factory()(port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(60)
    assert not thread.is_alive()


def worker_threads():
    """The threads that train for an open page."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def wait_until(condition, seconds=60):
    """Wait until a function returns True."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.005)
