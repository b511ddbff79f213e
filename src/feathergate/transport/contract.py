"""What a transport promises to the gateway, whether it is the network, the built-in mock or a recording.

A transport takes complete bytes and pushes complete facts; it neither retries (but for dead pooled connections)
nor judges a status, and its only errors are `UpstreamError` and `DeadlineError`. Nothing here does I/O.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from feathergate.errors import UpstreamError
from feathergate.http.contract import Call, Headers, Timeouts

__all__ = ["Call", "Headers", "Timeouts", "Transport", "UpstreamRequest", "UpstreamSink"]

_TARGET: Final = re.compile(rb"/[!-~]*")


class UpstreamRequest:
    """One request as a dialect built it. Immutable.

    `target` is the path and query, percent-encoded; `headers` a block (`name: value\\r\\n` repeated) that holds
    the credentials and the content-type, but neither host nor any length, which are the transport's.
    Raises ValueError where the target could end the request line early.
    """

    __slots__ = ("body", "headers", "method", "target", "timeouts")

    def __init__(self, target: bytes, headers: bytes, body: bytes, timeouts: Timeouts, method: bytes = b"POST") -> None:
        if _TARGET.fullmatch(target) is None:
            raise ValueError("the target is not a percent-encoded path: quote it where it is built")
        self.target: Final = target
        self.headers: Final = headers
        self.body: Final = body
        self.timeouts: Final = timeouts
        self.method: Final = method

    def __repr__(self) -> str:
        """Without headers and body: they hold the key and the prompt."""
        return f"UpstreamRequest({self.method!r}, {self.target!r}, {len(self.body)} bytes)"


class UpstreamSink(Protocol):
    """The consumer of one answer: `on_head`, any number of `on_body`, then exactly one of the last two."""

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_error(self, error: UpstreamError) -> None: ...


class Transport(Protocol):
    """One way to one provider."""

    def send(self, request: UpstreamRequest, sink: UpstreamSink) -> Call:
        """Start a request. Never blocks and never raises; `sink` hears everything after this has returned."""

    def close(self) -> None:
        """Take no more requests; those under way run to their end."""
