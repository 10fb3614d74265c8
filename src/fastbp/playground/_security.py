"""Refuses requests of other sites, and adds headers that restrict the page to this server.

An ASGI application and a port go in; an ASGI application comes out. A request must have a Host header, and an Origin header must be
that of this server. Therefore other pages in the browser cannot use the server, also if their name resolves to 127.0.0.1. This
module does not know which routes exist.
"""

_NAMES = ("127.0.0.1", "localhost")


class LocalOnly:
    """An ASGI application that passes requests from the page of this server to another application, and refuses all others."""

    def __init__(self, app, port):
        self.app = app
        # a browser leaves out the port if it is the default port
        self.hosts = {f"{name}:{port}".encode() for name in _NAMES} | {name.encode() for name in _NAMES if port == 80}
        self.headers = security_headers(port)

    async def __call__(self, scope, receive, send):
        """Pass a request on, or answer it with status 403."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        problem = self._problem(scope)
        if problem is None:
            return await self.app(scope, receive, self._with_headers(send))
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": problem})  # before `accept`: status 403
            return None
        await self._refuse(send, problem)
        return None

    def _problem(self, scope):
        """The reason for which a request is refused, or None."""
        found = {name: [value.lower() for key, value in scope["headers"] if key == name] for name in (b"host", b"origin")}
        if len(found[b"host"]) != 1 or found[b"host"][0] not in self.hosts:
            return f"The Host header must be one of {self._names('')}. Open the address that the server has printed."
        origins = {b"http://" + host for host in self.hosts}
        # browsers send Origin with every upgrade to a WebSocket
        is_required = scope["type"] == "websocket"
        is_own = len(found[b"origin"]) == 1 and found[b"origin"][0] in origins
        if not is_own and (found[b"origin"] or is_required):
            return f"The Origin header must be one of {self._names('http://')}. Other sites cannot use this server."
        return None

    def _names(self, prefix):
        return " and ".join(sorted(prefix + host.decode() for host in self.hosts))

    async def _refuse(self, send, problem):
        body = problem.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *self.headers]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _with_headers(self, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers]}
            await send(message)

        return send_with_headers


def security_headers(port):
    """The headers of every response: the page may load only its own files and connect only to this server."""
    sockets = " ".join(f"ws://{name}:{port}" for name in _NAMES)
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-cache"),  # so that a new version of fastbp shows its own files
    ]
