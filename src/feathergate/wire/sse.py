"""Server-sent events: an incremental reader of what providers send, and the few bytes that we write.

The reader takes bytes however they were cut and gives whole events, a pair of name and data each. A read that holds
one event and nothing else, as most do, is taken apart where it stands. Else line ends are made LF as they arrive, so
that only one form is parsed; bytes that wait for their blank line stay in one buffer which is searched from where
the last search ended. `id` and `retry` mean nothing to a gateway and are passed over. It does not decode: data are
bytes. Specification: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

from typing import Final

from feathergate.errors import UpstreamError

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": ping\n\n"
_BOM: Final = b"\xef\xbb\xbf"
# Numbers, because to look for a byte as bytes takes ten times as long: CPython first tries it as a number, and fails.
LF: Final = 0x0A
_CR: Final = 0x0D


SseEvent = tuple[bytes, bytes]
"""Name and data: the name is empty where the event bears none; data are its lines joined by LF, and never empty."""


def encode_event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


class SseReader:
    """Feed it what comes; it returns the events that are whole. One reader a stream."""

    __slots__ = ("_after_cr", "_buffer", "_event_limit_bytes", "_fresh", "_idle", "_searched")

    def __init__(self, event_limit_bytes: int) -> None:
        self._event_limit_bytes = event_limit_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._after_cr = False
        self._fresh = True
        self._idle = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """Raises `UpstreamError` (protocol) when one event is larger than the limit."""
        if self._idle and len(data) <= self._event_limit_bytes:
            single = _read_single(data)
            if single is not None:
                return [single]
        events = self._feed(data)
        self._idle = not (self._buffer or self._after_cr or self._fresh)
        return events

    def _feed(self, data: bytes) -> list[SseEvent]:
        if not data:
            return []
        if self._after_cr or _CR in data:
            data = self._with_lf(data)
        buffer = self._buffer
        if self._fresh:
            buffer += data
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                return []
            self._fresh = False
            data = bytes(buffer).removeprefix(_BOM)
            buffer.clear()
        if not buffer:
            events, rest = _split(data)
            if rest < len(data):
                buffer += memoryview(data)[rest:]
                self._searched = max(len(buffer) - 1, 0)
        else:
            buffer += data
            if buffer.find(b"\n\n", self._searched) < 0:
                events = []
            else:
                whole = bytes(buffer)
                events, rest = _split(whole)
                del buffer[:rest]
            self._searched = max(len(buffer) - 1, 0)
        if len(buffer) > self._event_limit_bytes:
            raise UpstreamError(
                f"The provider sent an event of more than {self._event_limit_bytes} bytes.", kind="protocol"
            )
        return events

    def close(self) -> SseEvent | None:
        """The event that lacks its blank line at the end of the stream, if there is one."""
        events, _ = _split(bytes(self._buffer) + b"\n\n")
        self._buffer.clear()
        self._idle = False
        return events[0] if events else None

    def _with_lf(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            if not data:
                self._after_cr = False
                return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_single(data: bytes) -> SseEvent | None:
    """The event, where `data` is one event with one line of JSON and with or without a name, and ends with it."""
    name = b""
    start = 0
    if data.startswith(b"event: "):
        start = data.find(b"\n") + 1
        name = data[7 : start - 1]
    if data[start : start + 7] != b"data: {":
        return None
    if data.endswith(b"\n\n"):
        payload = data[start + 6 : -2]
    elif data.endswith(b"\r\n\r\n"):
        payload = data[start + 6 : -4]
        name = name.removesuffix(b"\r")
    else:
        return None
    return None if LF in payload or _CR in payload or _CR in name else (name, payload)


def _split(data: bytes) -> tuple[list[SseEvent], int]:
    """The events in `data`, and where the unfinished rest begins."""
    events: list[SseEvent] = []
    start = 0
    while (end := data.find(b"\n\n", start)) >= 0:
        block = data[start:end]
        start = end + 2
        if block.startswith(b"data: {") and LF not in block:
            events.append((b"", block[6:]))
        elif (event := _parse_block(block)) is not None:
            events.append(event)
    return events, start


def _parse_block(block: bytes) -> SseEvent | None:
    """A block of fields as an event. A block that is bare JSON, as Gemini sends errors, counts as data."""
    if block.lstrip()[:1] in (b"{", b"["):
        return b"", block
    name = b""
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    data = b"\n".join(lines)
    return (name, data) if data else None
