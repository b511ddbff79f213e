"""A raw upstream that does what it is told, byte by byte.

A script is a list of steps, one list a connection; the last list serves all further connections. A step is bytes
to write, a number of seconds to wait, REQUEST (read one whole request), FIN (half-close) or RST (abort). After
its last step a connection stays open until the client closes it.

    async with ScriptedUpstream([REQUEST, b"HTTP/1.1 200 OK\\r\\n", 0.1, RST]) as upstream:
        ...connect to upstream.port...
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from enum import Enum
from types import TracebackType

from feathergate.http.contract import Origin


class Act(Enum):
    REQUEST = "read one request"
    FIN = "half-close"
    RST = "abort with a reset"


REQUEST, FIN, RST = Act.REQUEST, Act.FIN, Act.RST
Step = Act | bytes | float | int
Script = Sequence[Step]


def build_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A complete answer with a content-length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class ScriptedUpstream:
    """Listens on a free port of loopback while its context is open."""

    def __init__(self, *scripts: Script, ssl_context: ssl.SSLContext | None = None) -> None:
        self.scripts = scripts
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()  # a client has closed a connection
        self.left_at = 0.0
        self._ssl_context = ssl_context
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> Origin:
        return Origin(self._ssl_context is not None, "127.0.0.1", self.port)

    async def __aenter__(self) -> ScriptedUpstream:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._ssl_context)
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
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._play(script, reader, writer))
        self._tasks.add(task)

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for step in script:
                await self._do(step, reader, writer)
            while await reader.read(65536):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left_at = time.monotonic()
            self.left.set()
            writer.transport.abort()

    async def _do(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step is REQUEST:
            self.requests.append(await read_request(reader))
        elif step is FIN:
            writer.write_eof()
        elif step is RST:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif not isinstance(step, Act):
            await asyncio.sleep(step)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request, head and body, by its content-length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(length[1]) if length else 0)
