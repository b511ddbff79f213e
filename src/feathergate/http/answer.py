"""One request's way back: renders an answer's bytes and writes them to the connection as they come.

An `Answer` belongs to one request only. Once ended it does nothing more, so that a late caller cannot write into
the answer of the next request on the same connection. It knows nothing of requests that wait behind it: it calls
`finish` and is forgotten. Specification: RFC 9110 sections 6.6.1 and 9.3.2, RFC 9112 sections 6, 7.1 and 9.3.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Final

_WAITING: Final = 0
_STREAMING: Final = 1
_ENDED: Final = 2

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(200, 600)
}
_BODILESS: Final = frozenset((204, 304))

# By http10, then keep_alive: only what differs from the version's own default is said.
_CONNECTION_LINES: Final = (
    (b"connection: close\r\n", b""),
    (b"connection: close\r\n", b"connection: keep-alive\r\n"),
)

# The first line of a chunk, by its size: looked up it costs 0.1 µs less than rendered.
_USUAL_CHUNK_BYTES: Final = 1024
_CHUNK_HEADS: Final = [b"%x\r\n" % size for size in range(_USUAL_CHUNK_BYTES)]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@lru_cache(maxsize=1)
def render_date(second: int) -> bytes:
    """The date header of that second of the epoch."""
    return b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"


class Answer:
    """Implements `contract.Responder`; `finish` is called once, when the answer has ended properly."""

    __slots__ = (
        "_chunked",
        "_finish",
        "_head_only",
        "_http10",
        "_state",
        "_transport",
        "closed",
        "keep_alive",
        "on_close",
        "on_pause",
        "on_resume",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        finish: Callable[[Answer], None],
        head_only: bool = False,
        http10: bool = False,
        keep_alive: bool = False,
    ) -> None:
        self._transport = transport
        self._finish = finish
        self._head_only = head_only
        self._http10 = http10
        self._state = _WAITING
        self._chunked = False
        self.keep_alive = keep_alive
        self.closed = False
        self.on_close: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    @property
    def waiting(self) -> bool:
        """Nothing has been answered yet."""
        return self._state == _WAITING

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        if not self._may_begin():
            return
        if status in _BODILESS:
            framing = body = b""
        else:
            framing = b"content-length: %d\r\n" % len(body)
            if self._head_only:
                body = b""
        self._transport.write(self._render(status, headers, framing, body))
        self._end()

    def start(self, status: int, headers: bytes) -> None:
        if not self._may_begin():
            return
        framing = b""
        if status in _BODILESS:
            self._head_only = True
        elif self._http10:
            self.keep_alive = False
        else:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        self._state = _STREAMING
        self._transport.write(self._render(status, headers, framing, b""))

    def write(self, data: bytes) -> None:
        # `_may_continue` on its usual way, without the call: a tenth of what an event costs here.
        if self._state == _STREAMING and self._chunked and data and not self._transport.is_closing():
            if not self._head_only:
                size = len(data)
                head = _CHUNK_HEADS[size] if size < _USUAL_CHUNK_BYTES else b"%x\r\n" % size
                self._transport.write(b"%b%b\r\n" % (head, data))
        elif self._may_continue() and data and not self._head_only:
            self._transport.write(data)

    def end(self) -> None:
        if not self._may_continue():
            return
        if self._chunked and not self._head_only:
            self._transport.write(b"0\r\n\r\n")
        self._end()

    def abort(self) -> None:
        if self._state == _ENDED:
            return
        if self._state == _STREAMING and not self._chunked:
            # A body that ends with the connection can only be seen to fail by a reset.
            sock = self._transport.get_extra_info("socket")
            if sock is not None and not self._transport.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.closed = True
        self._forget()
        self._transport.abort()

    def leave(self) -> None:
        """The client has left: tell the owner, once, unless the answer has ended."""
        if self._state == _ENDED:
            return
        on_close = self.on_close
        self.closed = True
        self._forget()
        if on_close is not None:
            on_close()

    def _may_begin(self) -> bool:
        if self._state == _STREAMING:
            raise RuntimeError("this answer has been started already")
        return self._state == _WAITING and not self._transport.is_closing()

    def _may_continue(self) -> bool:
        if self._transport.is_closing():  # also one that was closing already when the answer was to start
            return False
        if self._state == _WAITING:
            raise RuntimeError("this answer has not been started")
        return self._state == _STREAMING

    def _render(self, status: int, headers: bytes, framing: bytes, body: bytes) -> bytes:
        date, connection = render_date(int(time())), _CONNECTION_LINES[self._http10][self.keep_alive]
        return b"%b%b%b%b%b\r\n%b" % (_STATUS_LINES[status], headers, date, framing, connection, body)

    def _end(self) -> None:
        if self._state == _ENDED:  # `on_pause`, called from within the last write, may have aborted
            return
        self._forget()
        self._finish(self)

    def _forget(self) -> None:
        self._state = _ENDED
        self.on_close = self.on_pause = self.on_resume = None
