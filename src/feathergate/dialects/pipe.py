"""One upstream answer on its way to the client: its bytes in, the client's bytes out, and nothing else.

`Pipe` feeds a flow with whole events and tells the relay when the client has got something to use (`content`),
when the provider has come to its own end (`complete`), and what went wrong (`error`), after which nothing more is
made. A provider that answers a stream whole is understood too: the body's first byte says which. What becomes of
the events is a flow's affair: `passing.py` on the diagonal, `translation.py` for every other dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from feathergate.dialects.chat.answer import build_truncated
from feathergate.errors import UpstreamError
from feathergate.wire import sse
from feathergate.wire.chat import Usage as TokenUsage

SPACE: Final = b" \t\r\n"
WHOLE_STARTS: Final = (b"{", b"[")
STREAM_STARTS: Final = (b"d", b"e", b"i", b"r", b":", b"\xef")


class Flow(ABC):
    """What becomes of a stream's events. Every method may raise `UpstreamError`."""

    __slots__ = ("complete", "content", "usage")

    def __init__(self) -> None:
        self.content = False
        self.complete = False
        self.usage: TokenUsage | None = None

    @abstractmethod
    def take(self, name: bytes, data: bytes) -> bytes:
        """One event to the client's bytes."""

    @abstractmethod
    def take_whole(self, body: bytes) -> bytes:
        """An answer that came whole though a stream was asked for, as the client's stream."""

    @abstractmethod
    def end(self) -> bytes:
        """The upstream's body has ended without its end mark: the last bytes, if that may be."""


class Pipe:
    """Feed it the upstream's body. What is wrong with that stands in `error`; `events` counts what has come."""

    __slots__ = ("_flow", "_limit_bytes", "_reader", "_sniffed", "_whole", "complete", "error", "events")

    def __init__(self, flow: Flow, limit_bytes: int) -> None:
        self.complete = False
        self.error: UpstreamError | None = None
        self.events = 0
        self._flow = flow
        self._limit_bytes = limit_bytes
        self._reader = sse.SseReader(limit_bytes)
        self._sniffed = False
        self._whole: bytearray | None = None

    @property
    def content(self) -> bool:
        return self._flow.content

    @property
    def usage(self) -> TokenUsage | None:
        return self._flow.usage

    def feed(self, data: bytes) -> bytes:
        if self.complete or self.error is not None:
            return b""
        flow = self._flow
        out: list[bytes] = []
        try:
            if not self._sniffed:
                self._sniff(data)
            if self._whole is not None:
                _collect(self._whole, data, self._limit_bytes)
                return b""
            for name, payload in self._reader.feed(data):
                self.events += 1
                out.append(flow.take(name, payload))
                if flow.complete:
                    break
        except UpstreamError as error:
            self.error = error
        self.complete = flow.complete
        return out[0] if len(out) == 1 else b"".join(out)

    def close(self) -> bytes:
        """The upstream's body has ended: the last bytes, or `error` where its end is missing."""
        out: list[bytes] = []
        flow = self._flow
        if self.complete or self.error is not None:
            return b""
        try:
            if self._whole is not None:
                out.append(flow.take_whole(bytes(self._whole)))
            else:
                last = self._reader.close()
                if last is not None:
                    out.append(_take_unterminated(flow, *last))
                if not flow.complete:
                    out.append(flow.end())
        except UpstreamError as error:
            self.error = error
        self.complete = flow.complete
        return b"".join(out)

    def _sniff(self, data: bytes) -> None:
        first = data.lstrip(SPACE)[:1]
        if not first:
            return
        self._sniffed = True
        if first in WHOLE_STARTS:
            self._whole = bytearray()
        elif first not in STREAM_STARTS:
            raise UpstreamError("The provider answered a stream with something else.", kind="protocol")


def _collect(whole: bytearray, data: bytes, limit_bytes: int) -> None:
    whole += data
    if len(whole) > limit_bytes:
        raise UpstreamError(f"The provider sent an answer of more than {limit_bytes} bytes.", kind="protocol")


def _take_unterminated(flow: Flow, name: bytes, data: bytes) -> bytes:
    """The last event, without its blank line: whole, or the mark of a truncation."""
    try:
        return flow.take(name, data)
    except UpstreamError as error:
        if error.kind == "protocol":
            raise build_truncated() from error
        raise
