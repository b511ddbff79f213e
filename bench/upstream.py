"""The providers as the bench plays them: a bare protocol that answers canned bytes, and counts what it wrote.

The path says whose answer is wanted, the path or `"stream":true` whether it is streamed. `GET /count` tells how
many requests were answered and how many repeated events written, so that what a proxy spent is divided by what
really passed it. It checks nothing: it is to cost little. Run it: `python -m bench.upstream EVENTS GAP_S`; it says its
port as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import cast

from bench.answer import ANSWERS, Answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAMED = re.compile(rb':streamGenerateContent|"stream": *true')
# Where a request says that it wants a stream: those that do are short, and the rest of a long one is not read.
_READ_BYTES = 4096
_PATHS = ((b"/chat/completions", ANSWERS["openai"]), (b"/messages", ANSWERS["anthropic"]))


class Tally:
    """What was answered so far, and how streams are to be: `events` of them, `gap_s` apart."""

    def __init__(self, events: int, gap_s: float) -> None:
        self.events = events
        self.gap_s = gap_s
        self.requests = 0
        self.written = 0

    def encode(self) -> bytes:
        return json.dumps({"requests": self.requests, "events": self.written}).encode()


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other."""

    _transport: asyncio.Transport

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._data = bytearray()
        self._missing_bytes = 0
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes > 0:
            self._missing_bytes -= len(data)
        else:
            self._data += data
            self._missing_bytes = count_missing(self._data)
        if self._missing_bytes == 0:
            request = bytes(self._data[:_READ_BYTES])
            self._data.clear()
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        path = request[: request.index(b"\r\n")].split(b" ")[1]
        if path == b"/count":
            self._transport.write(render_whole(self._tally.encode()))
            return
        answers = next((answers for tail, answers in _PATHS if tail in path), ANSWERS["gemini"])
        if _STREAMED.search(request):
            self._left = self._tally.events
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            self._transport.write(head + render_chunk(answers.opening))
            self._stream(answers)
        else:
            self._tally.requests += 1
            self._transport.write(render_whole(answers.whole))

    def _stream(self, answers: Answers) -> None:
        if self._transport.is_closing():
            return
        if self._left:
            self._left -= 1
            self._tally.written += 1
            self._transport.write(render_chunk(answers.render_event(time.monotonic())))
            asyncio.get_running_loop().call_later(self._tally.gap_s, self._stream, answers)
        else:
            self._tally.requests += 1
            self._transport.write(render_chunk(answers.closing) + b"0\r\n\r\n")


def count_missing(request: bytes | bytearray) -> int:
    """How many bytes of a request have not come yet; -1 where what has come does not say."""
    end = request.find(b"\r\n\r\n")
    if end < 0:
        return -1
    if length := _LENGTH.search(request, 0, end):
        return end + 4 + int(length[1]) - len(request)
    unfinished = _CHUNKED.search(request, 0, end) and not request.endswith(b"\r\n0\r\n\r\n")
    return -1 if unfinished else 0


def render_whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def render_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(events: int, gap_s: float) -> None:
    tally = Tally(events, gap_s)
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(tally), "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
