"""The function ``serve`` and the command line of the playground.

A port number goes in; the server runs until Ctrl-C. The socket is opened here, so that a port that is in use gives a clear message
before the server starts. This module does not know about requests.
"""

import argparse
import errno
import socket
import sys
import threading
import warnings
import webbrowser
from typing import Any

from sklearn.exceptions import ConvergenceWarning

DEFAULT_PORT = 8765
_HOST = "127.0.0.1"
_MAX_MESSAGE = 8_000_000  # bytes; a message with a file of the largest size is smaller, also if JSON escapes each character


def serve(port: int = DEFAULT_PORT, *, open_browser: bool = True) -> None:
    """Serve the playground on this machine until Ctrl-C is pressed.

    The server listens on 127.0.0.1 only. It refuses requests with a Host or Origin header of another site.

    Parameters
    ----------
    port : int, default=8765
        The port, from 0 to 65535; 0 selects a free port. The address of the page is printed.
    open_browser : bool, default=True
        Whether to open the page in the default browser.

    Raises
    ------
    ImportError
        If the extra ``playground`` is not installed.
    OSError
        If the port is in use, or if it needs the rights of an administrator.
    ValueError
        If `port` is not an integer from 0 to 65535.

    Examples
    --------
    >>> from fastbp.playground import serve
    >>> serve(port=0, open_browser=False)  # doctest: +SKIP
    The playground is at http://127.0.0.1:40123/. Press Ctrl-C to stop the server.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"port must be an integer from 0 to 65535, got {port!r}. Pass port=0 to select a free port.")
    create_server = server_factory()
    listener = bound_socket(port)
    url = f"http://{_HOST}:{listener.getsockname()[1]}/"
    server = create_server(listener.getsockname()[1])
    print(f"The playground is at {url}. Press Ctrl-C to stop the server.", flush=True)
    if open_browser:
        # in a thread, because a browser in a terminal runs until it is closed
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    with warnings.catch_warnings(), listener:
        # the page shows whether training converges; the server would print one warning for each call of `partial_fit`
        warnings.simplefilter("ignore", ConvergenceWarning)
        server.run(sockets=[listener])


def server_factory():
    """Return the function that creates a uvicorn server for a port, or raise an error that names the extra."""
    try:
        import starlette  # noqa: F401
        import uvicorn
        import websockets  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"The playground needs Starlette, uvicorn and websockets, and {error.name} is not installed. Install them with: "
            'pip install "fastbp[playground]"'
        ) from error
    from ._server import create_app

    def create_server(port):
        options: dict[str, Any] = {
            "log_level": "warning",
            "ws": "websockets-sansio",
            "ws_max_size": _MAX_MESSAGE,
            "timeout_graceful_shutdown": 2,
        }
        return uvicorn.Server(uvicorn.Config(create_app(port), proxy_headers=False, server_header=False, **options))

    return create_server


def bound_socket(port):
    """Return a socket that listens on 127.0.0.1 and the port, or raise an OSError that names the remedy."""
    listener = socket.socket()
    if sys.platform != "win32":  # on Windows, this option would allow two servers on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, _port_message(port, error)) from error
    return listener


def _port_message(port, error):
    if error.errno == errno.EADDRINUSE:
        rule = "is in use by another program, or by another playground"
    elif error.errno == errno.EACCES:
        rule = "may be used by administrators only"
    else:
        rule = f"cannot be used ({error.strerror})"
    other = port + 1 if 1024 <= port < 65535 else DEFAULT_PORT + 1
    return (
        f"port {port} on {_HOST} {rule}. Choose another port, for example with --port {other}, or a free port with --port 0. "
        "In Python, pass port= to serve."
    )


def run_command(arguments):
    """Run the command with a list of arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m fastbp.playground",
        description="Serve a page on this machine on which you train a small network with fastbp and watch it.",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port, or 0 for a free port (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in the browser")
    options = parser.parse_args(arguments)
    try:
        serve(options.port, open_browser=not options.no_browser)
    except OSError as error:
        sys.exit(f"Error: {error.strerror or error}")
    except (ImportError, ValueError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        pass
