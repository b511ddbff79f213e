"""An upstream that does what each request asks of it: the request's own words name a deed and a nonce to give back.

`nonce-7f do-reset_head` in any text of the body asks for the deed `reset_head`; without a deed the answer is good, in
the dialect that the path tells, and says the nonce. A path under `/well/` is always answered well, so that one of two
deployments can be the bad one. Connections are kept. The journal tells what was asked and when a client left.

As a process of its own: `python -m tests.faults.acting`; it says its port as one line of JSON, `GET /journal` tells
the journal. Source: reliability.md 2.0 (BU, I4, I9).
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from types import TracebackType
from typing import Any, NamedTuple

from tests.e2e.native import ANTHROPIC, GEMINI, JSON, LAST_CHUNK, OPENAI, SSE_HEAD, Native, chunk
from tests.scripted_upstream import FIN, RST, Act, Step, build_answer, read_request

_WORDS = re.compile(rb"nonce-([0-9a-z]+)(?: do-([a-z0-9_]+))?")
_STREAMED = re.compile(rb':streamGenerateContent|"stream": ?true')
_NATIVES = ((b"/messages", ANTHROPIC), (b"GenerateContent", GEMINI), (b"generateContent", GEMINI))
KEPT_SSE_HEAD = SSE_HEAD.replace(b"connection: close\r\n", b"")
FOREVER_S = 3600.0
PAUSE_S = 0.02
PIECES = 40


class Asked(NamedTuple):
    native: Native
    stream: bool
    nonce: str
    deed: str


Deed = Callable[[Asked], Iterable[Step]]


def parse_asked(request: bytes) -> Asked:
    line = request.partition(b"\r\n")[0]
    words = _WORDS.search(request)
    deed = words[2].decode() if words and words[2] and b"/well/" not in line else "well"
    native = next((native for part, native in _NATIVES if part in line), OPENAI)
    return Asked(native, bool(_STREAMED.search(request)), words[1].decode() if words else "", deed)


# --- deeds ----------------------------------------------------------------------------------------------------------


def _answer(asked: Asked) -> bytes:
    body = json.dumps(asked.native.text(f"said {asked.nonce}"), ensure_ascii=False).encode()
    return build_answer(body, JSON)


def _events(asked: Asked) -> list[bytes]:
    return [chunk(event) for event in asked.native.events(["said ", asked.nonce])]


def do_well(asked: Asked) -> Iterable[Step]:
    return [b"".join([KEPT_SSE_HEAD, *_events(asked), LAST_CHUNK]) if asked.stream else _answer(asked)]


def _do_status(status: int) -> Deed:
    def do(asked: Asked) -> Iterable[Step]:
        body = json.dumps(asked.native.error(status, "As asked")).encode()
        return [build_answer(body, JSON, status=f"{status} X")]

    return do


def _do_before_content(*end: Step) -> Deed:
    """Of a stream the head and what says nothing, of a whole answer the half; then `end`."""

    def do(asked: Asked) -> Iterable[Step]:
        if not asked.stream:
            return [_answer(asked)[:-40], PAUSE_S, *end]
        return [b"".join([KEPT_SSE_HEAD, *_events(asked)[: asked.native.silent]]), PAUSE_S, *end]

    return do


def _do_after_content(*end: Step) -> Deed:
    """A stream up to its words, then `end`."""

    def do(asked: Asked) -> Iterable[Step]:
        return [b"".join([KEPT_SSE_HEAD, *_events(asked)[: -asked.native.ending]]), PAUSE_S, *end]

    return do


def _encode_error_event(asked: Asked) -> bytes:
    name = b"event: error\n" if asked.native is ANTHROPIC else b""
    return chunk(name + b"data: " + json.dumps(asked.native.error(529, "Overloaded")).encode() + b"\n\n")


def do_error_event(asked: Asked) -> Iterable[Step]:
    """Before content."""
    return [*_do_before_content()(asked), _encode_error_event(asked), LAST_CHUNK]


def do_cut_error_event(asked: Asked) -> Iterable[Step]:
    return [*_do_after_content()(asked), _encode_error_event(asked), LAST_CHUNK]


_TOO_LONG = {
    "openai": {"message": "This model's maximum context length is 9 tokens.", "code": "context_length_exceeded"},
    "anthropic": {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
    "gemini": {"message": "The input token count (99) exceeds the maximum number of tokens allowed (9)."},
}


def do_too_long(asked: Asked) -> Iterable[Step]:
    """The provider's word for a prompt beyond the model's context."""
    error = asked.native.error(400, "")
    error["error"] |= _TOO_LONG[asked.native.name]
    return [build_answer(json.dumps(error).encode(), JSON, status="400 X")]


def do_error_200(asked: Asked) -> Iterable[Step]:
    return [build_answer(json.dumps(asked.native.error(500, "As asked")).encode(), JSON)]


def _do_many(pieces: int, gap_s: float) -> Deed:
    """A stream of many pieces, `gap_s` apart."""

    def do(asked: Asked) -> Iterable[Step]:
        events = asked.native.events([f"{asked.nonce} {number};" for number in range(pieces)])
        return [KEPT_SSE_HEAD, *[step for event in events for step in (chunk(event), gap_s)], LAST_CHUNK]

    return do


def do_endless(asked: Asked) -> Iterable[Step]:
    """As fast as it is read."""
    events = asked.native.events([f"{asked.nonce};" * 100])
    silent, word = events[: asked.native.silent], events[asked.native.silent]
    return chain([KEPT_SSE_HEAD], map(chunk, silent), repeat(chunk(word)))


_HTML = build_answer(b"<html>Please log in</html>", "content-type: text/html")
_HOLD = (FOREVER_S,)
BEFORE_CONTENT: dict[str, Deed] = {
    "reset": lambda asked: [RST],
    "fin": lambda asked: [FIN],
    "reset_head": lambda asked: [b"HTTP/1.1 200 OK\r\ncontent-ty", PAUSE_S, RST],
    "half_reset": _do_before_content(RST),
    "half_fin": _do_before_content(FIN),
    "half_stall": _do_before_content(*_HOLD),
    "silence": lambda asked: [*_HOLD],
    "junk": lambda asked: [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    "html": lambda asked: [_HTML],
    "no_json": lambda asked: [build_answer(b"{oops", JSON)],
    "status_500": _do_status(500),
    "status_503": _do_status(503),
    "status_529": _do_status(529),
    "status_429": _do_status(429),
    "status_401": _do_status(401),
    "error_200": do_error_200,
}
BEFORE_CONTENT_OF_A_STREAM: dict[str, Deed] = {
    "half_clean": _do_before_content(LAST_CHUNK),
    "error_event": do_error_event,
}
AFTER_CONTENT: dict[str, Deed] = {
    "cut_reset": _do_after_content(RST),
    "cut_fin": _do_after_content(FIN),
    "cut_clean": _do_after_content(LAST_CHUNK),
    "cut_stall": _do_after_content(*_HOLD),
    "cut_junk": _do_after_content(chunk(b"data: {oops}\n\n"), LAST_CHUNK),
    "cut_half_event": _do_after_content(chunk(b'data: {"ty'), LAST_CHUNK),
    "cut_bad_chunk": _do_after_content(b"zz\r\n"),
    "cut_error_event": do_cut_error_event,
}
DEEDS: dict[str, Deed] = {
    "well": do_well,
    "late": lambda asked: [0.25, *do_well(asked)],
    "flow": _do_many(PIECES, 0.05),
    "calm": _do_many(PIECES, 0.25),
    "endless": do_endless,
    "too_long": do_too_long,
    **BEFORE_CONTENT,
    **BEFORE_CONTENT_OF_A_STREAM,
    **AFTER_CONTENT,
}

# --- the upstream ---------------------------------------------------------------------------------------------------


class Journal:
    """`asked` counts requests by deed, `left` tells by nonce when a client closed amid its answer (seconds of the
    machine's monotonic clock)."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.left: dict[str, float] = {}

    def encode(self) -> bytes:
        return build_answer(json.dumps({"asked": self.asked, "left": self.left}).encode(), JSON)


class ActingUpstream:
    """Listens on a free port of loopback while its context is open."""

    def __init__(self) -> None:
        self.journal = Journal()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ActingUpstream:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=4096)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports close their sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await read_request(reader)
                if request.startswith(b"GET /journal "):
                    writer.write(self.journal.encode())
                    continue
                asked = parse_asked(request)
                self.journal.asked[asked.deed] += 1
                await self._answer(asked, DEEDS[asked.deed](asked), reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(
        self, asked: Asked, steps: Iterable[Step], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Raises `ConnectionError` where the client leaves before all is said."""
        if isinstance(steps, list) and len(steps) == 1 and isinstance(steps[0], bytes):
            writer.write(steps[0])
            return
        saying = asyncio.ensure_future(say(steps, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((saying, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not saying.done():
                self.journal.left[asked.nonce] = time.monotonic()
                raise ConnectionError
            await saying
        finally:
            await _cancel(saying, leaving)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def say(steps: Iterable[Step], writer: asyncio.StreamWriter) -> None:
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step is FIN:
            writer.write_eof()
        elif step is RST:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionError
        elif not isinstance(step, Act):
            await asyncio.sleep(step)


async def _run() -> None:
    async with ActingUpstream() as upstream:
        print(json.dumps({"port": upstream.port}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the parent lets go


if __name__ == "__main__":
    import uvloop

    uvloop.run(_run())
