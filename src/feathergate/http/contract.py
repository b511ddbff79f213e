"""What the HTTP room promises to those above it. Read this first.

Both sides push: the server calls a handler with one complete request and a `Responder` to answer it with; the
client calls a `Sink` with what comes back. Nothing here knows of models, JSON or server-sent events.

Header names are lower-case bytes, values are bytes without surrounding white space. A block of headers ready
for the wire is `name: value\r\n` repeated, without the empty line. Specification: RFC 9110, RFC 9112.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

Header = tuple[bytes, bytes]
Headers = Sequence[Header]

HttpErrorKind = Literal[
    "dns",
    "connect",
    "tls",
    "timeout_connect",
    "timeout_first_byte",
    "idle",
    "timeout_total",
    "reset",
    "protocol",
    "exhausted",
]


def find_header(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first header called `name` (lower-case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


class Request:
    """One complete request as it came off the wire. `path` is raw: neither decoded nor normalised."""

    __slots__ = ("body", "headers", "method", "path", "peer", "query")

    def __init__(self, method: str, path: str, query: str, headers: Headers, body: bytes, peer: str = "") -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.peer = peer

    def header(self, name: bytes) -> bytes | None:
        return find_header(self.headers, name)


class Responder(Protocol):
    """One request's way back. Either `respond`, or `start`, any number of `write`s, and `end`.

    After the client has left every method is a no-op; `on_close` has then been called, once. `write` never
    blocks: when the client reads too slowly `on_pause` is called, and `on_resume` when it has caught up.
    """

    closed: bool
    on_close: Callable[[], None] | None
    on_pause: Callable[[], None] | None
    on_resume: Callable[[], None] | None

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer. `headers` is a block; content-length, connection and date are added here."""

    def start(self, status: int, headers: bytes) -> None:
        """The head of an answer whose length is not known yet."""

    def write(self, data: bytes) -> None:
        """A piece of the body; empty pieces are ignored."""

    def end(self) -> None:
        """The proper end of the body; the connection may serve the next request."""

    def abort(self) -> None:
        """Drop the connection without a proper end, so that the client sees a failure."""


Handler = Callable[[Request, Responder], None]


class Origin(NamedTuple):
    """Where a pool's connections lead."""

    tls: bool
    host: str
    port: int


class Timeouts(NamedTuple):
    """Seconds allowed for each phase of one call; `first_byte_s` counts from the request's start to the head."""

    connect_s: float = 5.0
    tls_s: float = 10.0
    first_byte_s: float = 600.0
    idle_s: float = 300.0
    total_s: float = 600.0


class HttpError(Exception):
    """A call failed below the level of an HTTP answer. `clean` = no byte of an answer had come."""

    def __init__(self, kind: HttpErrorKind, detail: str, *, clean: bool = False) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.clean = clean


class Sink(Protocol):
    """The consumer of one answer: `on_head`, any number of `on_body`, then exactly one of the last two.

    After `Call.cancel` nothing more is called.
    """

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_error(self, error: HttpError) -> None: ...


class Call(Protocol):
    """A call under way, as its owner holds it."""

    def cancel(self) -> None:
        """Close the upstream connection at once; idempotent, and harmless after the end."""

    def pause(self) -> None:
        """Stop reading from upstream."""

    def resume(self) -> None:
        """Read on."""
