"""The routes of the playground: the page, its files, and one WebSocket for each open page.

A port goes in; a Starlette application comes out. Each WebSocket has its own ``Worker``, whose thread ends when the page is closed.
Messages are JSON objects. This module does not know how a network is trained.
"""

import asyncio
import contextlib
import json
from importlib.resources import files

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from ._security import LocalOnly
from ._settings import InputProblem, checked_settings, options
from ._uploads import MAX_BYTES, UploadError, read_table
from ._views import problem_message
from ._worker import Worker

_MAX_PAGES = 16
_MAX_UNCONFIRMED = 2  # frames that the page has not drawn yet; further frames are dropped
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MESSAGES = ("configure", "restart", "start", "pause", "epoch", "step", "drawn")


def create_app(port):
    """Return the ASGI application of the server that listens on this port."""
    routes = [Route(path, _file_route(content, kind)) for path, content, kind in static_files()]
    app = Starlette(routes=[*routes, WebSocketRoute("/session", PageRoute())])
    return LocalOnly(app, port)


def static_files():
    """Yield the path, the content and the media type of each file of the page."""
    for file in (files(__package__) / "static").iterdir():
        kind = _MEDIA_TYPES.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            yield "/" if file.name == "index.html" else f"/{file.name}", file.read_bytes(), f"{kind}; charset=utf-8"


def _file_route(content, kind):
    async def respond(request):
        return Response(content, headers={"content-type": kind})

    return respond


class PageRoute:
    """The endpoint of the WebSocket; it counts the open pages."""

    def __init__(self):
        self.n_pages = 0

    async def __call__(self, scope, receive, send):
        """Serve one page until it is closed."""
        from starlette.websockets import WebSocket

        socket = WebSocket(scope, receive, send)
        await socket.accept()
        if self.n_pages >= _MAX_PAGES:
            await socket.send_text(
                _problem_text("server", f"At most {_MAX_PAGES} pages can be open. Close one of them, and reload this page.")
            )
            await socket.close(1013)
            return
        self.n_pages += 1
        try:
            await Page(socket).serve()
        finally:
            self.n_pages -= 1


class Page:
    """One open page: passes its requests to a ``Worker``, and the messages of the worker to the page."""

    def __init__(self, socket):
        self.socket, self.is_configured = socket, False
        self.loop, self.has_messages = asyncio.get_running_loop(), asyncio.Event()
        self.messages = {}  # by kind; a new message replaces one that was not sent yet
        self.n_unconfirmed, self.is_frame_waiting = 0, False
        self.worker = Worker(self.publish, self.is_ready)

    async def serve(self):
        """Receive and send messages until the page is closed; then end the thread."""
        sender = asyncio.create_task(self._send())
        try:
            self._put("options", {**options(), "max_bytes": MAX_BYTES})
            while (message := await self.socket.receive())["type"] == "websocket.receive":
                if message.get("text") is None:
                    await self.socket.close(1003, "Messages must be text.")
                    break
                self._receive(message["text"])
        finally:
            sender.cancel()
            self.worker.close()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sender
            await asyncio.to_thread(self.worker.thread.join)

    # ------------------------------------------------------------------ from the worker to the page

    def publish(self, kind, message):
        """Send a message; called in the thread of the worker."""
        if kind == "frame":
            self.is_frame_waiting = True
        with contextlib.suppress(RuntimeError):  # the server has stopped
            self.loop.call_soon_threadsafe(self._put, kind, message)

    def is_ready(self):
        """Return whether the page has drawn the earlier frames, and no frame is waiting."""
        return self.n_unconfirmed < _MAX_UNCONFIRMED and not self.is_frame_waiting

    def _put(self, kind, message):
        self.messages.pop(kind, None)  # so that the order is that of the newest messages
        self.messages[kind] = message
        self.has_messages.set()

    async def _send(self):
        while True:
            await self.has_messages.wait()
            self.has_messages.clear()
            while self.messages:
                kind = next(iter(self.messages))
                message = self.messages.pop(kind)
                await self.socket.send_text(json.dumps(message, allow_nan=False, separators=(",", ":")))
                if kind == "frame":
                    self.n_unconfirmed, self.is_frame_waiting = self.n_unconfirmed + 1, False
                    self.worker.wake()

    # ------------------------------------------------------------------ from the page to the worker

    def _receive(self, text):
        """Carry out a request; a request that is not valid is answered with a message."""
        try:
            message = parsed_message(text)
            getattr(self, f"_on_{message['type']}")(message)
        except RequestError as error:
            self._refuse([InputProblem("server", str(error))])

    def _refuse(self, problems, file=None):
        self._put("problem", problem_message(problems, file))

    def _on_configure(self, message, restart=False):
        settings, problems = checked_settings(message.get("settings"))
        position = {name: message.get(name, 0) for name in ("epoch", "step")}
        for name in [name for name, value in position.items() if not _is_position(value)]:
            text = (
                f"The {name} in the address must be an integer from 0 to 1,000,000, got {str(position[name])[:60]!r}. Correct it."
            )
            problems.append(InputProblem(name, text))
            position[name] = 0
        table = None
        if message.get("csv") is not None:
            file = message.get("file")
            file = file if _is_position(file) else None
            try:
                table = read_table(message["csv"])._replace(file=file)
            except UploadError as error:
                self._refuse([InputProblem("csv", str(error))], file)
                return
        if problems and self.is_configured:
            self._refuse(problems)
            return
        self.is_configured = True
        self.worker.configure(settings, table, problems=problems, restart=restart, **position)

    def _on_restart(self, message):
        self.worker.pause()
        self._on_configure(message, restart=True)

    def _on_start(self, message):
        self.worker.start()

    def _on_pause(self, message):
        self.worker.pause()

    def _on_epoch(self, message):
        self.worker.advance("epoch")

    def _on_step(self, message):
        self.worker.advance("step")

    def _on_drawn(self, message):
        self.n_unconfirmed = max(0, self.n_unconfirmed - 1)
        self.worker.wake()


class RequestError(ValueError):
    """A message of the page that is not valid."""


def parsed_message(text):
    """Return the dict of a message, or raise a ``RequestError``."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"A message must be JSON, got {text[:60]!r}. Reload the page.") from error
    if not isinstance(message, dict) or message.get("type") not in _MESSAGES:
        kind = message.get("type") if isinstance(message, dict) else message
        raise RequestError(f"The type of a message must be one of {', '.join(_MESSAGES)}, got {str(kind)[:60]!r}. Reload the page.")
    return message


def _is_position(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**6


def _problem_text(field, text):
    return json.dumps({"type": "problem", "problems": [InputProblem(field, text)._asdict()]})
