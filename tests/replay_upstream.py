"""A provider that answers every request with a recording, over real sockets.

Which one is told by the model's name, which the gateway passes on: in the body, or, for Gemini, in the path. One
server plays all recordings, keeps its connections, and is asked again and again. `script_answer` says how a
recording is delivered; a test that wants it delivered oddly adds an answer of its own under another name.

    async with ReplayUpstream({"stream.case": script_answer(recording)}) as upstream:
        ...ask upstream.port for the model "stream.case"...
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tests.recorded import Recording
from tests.scripted_upstream import read_request

_MODEL_IN_PATH = re.compile(rb"/models/([^:? ]+):")
# What a recording says of its transport is the recorder's, not ours.
_TRANSPORT = (b"content-length", b"content-encoding", b"transfer-encoding", b"connection")
_UNKNOWN = b'{"error":{"message":"there is no recording of this name"}}'


class Answer(NamedTuple):
    """What goes over the wire. Each of `pieces` is a write of its own; a stream has no length and is chunked."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    chunked: bool


class ReplayUpstream:
    """Listens on a free port of loopback while its context is open. `answers` may grow meanwhile."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ReplayUpstream:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
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
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                model = read_model(await read_request(reader))
                for data in write_answer(self.answers.get(model) or build_unknown()):
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0)  # lets the gateway read each write by itself
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


def script_answer(recording: Recording, *, pieces: Iterable[bytes] | None = None, coding: bytes = b"") -> Answer:
    """The recording as it was served, a stream an event a write; or with other `pieces`, in the coding `coding`."""
    kept = tuple(header for header in recording.headers if header[0].lower() not in _TRANSPORT)
    added = ((b"content-encoding", coding),) if coding else ()
    chunked = any(b"event-stream" in value for _, value in recording.headers)
    return Answer(recording.status, (*kept, *added), tuple(pieces or split_events(recording.body)), chunked)


def split_events(body: bytes) -> list[bytes]:
    """A stream's events, each with the blank line that ends it; any other body is one piece."""
    return [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if event]


def build_unknown() -> Answer:
    return Answer(404, ((b"content-type", b"application/json"),), (_UNKNOWN,), chunked=False)


def read_model(request: bytes) -> str:
    """The model that a request asks for, whichever provider's request it is."""
    head, _, body = request.partition(b"\r\n\r\n")
    in_path = _MODEL_IN_PATH.search(head.partition(b"\r\n")[0])
    if in_path:
        return unquote_to_bytes(in_path[1]).decode()
    model: str = json.loads(body)["model"]
    return model


def write_answer(answer: Answer) -> list[bytes]:
    """The writes that make the answer: its head, then each piece."""
    length = [] if answer.chunked else [b"content-length: %d" % sum(map(len, answer.pieces))]
    framing = [b"transfer-encoding: chunked"] if answer.chunked else length
    status = b"HTTP/1.1 %d %b" % (answer.status, _phrase(answer.status))
    lines = [status, *(b"%b: %b" % header for header in answer.headers), *framing, b"", b""]
    head = b"\r\n".join(lines)
    if not answer.chunked:
        return [head, *answer.pieces]
    return [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in answer.pieces), b"0\r\n\r\n"]


def _phrase(status: int) -> bytes:
    known = {entry.value: entry.phrase for entry in HTTPStatus}
    return known.get(status, "Unknown").encode()
