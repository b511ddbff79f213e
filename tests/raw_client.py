"""A server on a real socket, and a client that sends whatever bytes a test wants and reads one answer at a time."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from feathergate.http.contract import Handler, Request, Responder
from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker

PATIENCE_S = 3.0
TEXT = b"content-type: text/plain\r\n"


class Seen(NamedTuple):
    """One answer as the client read it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, data: bytes) -> Seen:
        self.send(data)
        return await self.answer()

    async def answer(self, *, head_only: bool = False) -> Seen:
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            pairs = [line.partition(b": ")[::2] for line in lines[1:-2]]
            headers: dict[bytes, bytes] = dict(pairs)
            assert len(headers) == len(pairs), "a header came twice"
            status = int(lines[0].split()[1])
            if head_only or status in (100, 204):
                return Seen(status, headers, b"")
            return Seen(status, headers, await self._body(headers))

    async def _body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return await self.reader.readexactly(int(headers[b"content-length"]))
        if b"transfer-encoding" not in headers:
            return await self.reader.read()
        pieces = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            pieces.append(await self.reader.readexactly(size))
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return b"".join(pieces)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    def finish(self) -> None:
        """Send a FIN, and go on reading."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Send an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Serving:
    def __init__(self, server: Server, address: tuple[str, int]) -> None:
        self.server = server
        self.address = address
        self._clients: list[RawClient] = []

    async def connect(self, receive_buffer_bytes: int | None = None) -> RawClient:
        """`receive_buffer_bytes` makes a client that can be stalled with little data."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self.address)
        except OSError:
            sock.close()
            raise
        client = RawClient(*await asyncio.open_connection(sock=sock, limit=receive_buffer_bytes or 2**16))
        self._clients.append(client)
        return client

    async def ask(self, data: bytes) -> Seen:
        """One request on a connection of its own."""
        return await (await self.connect()).ask(data)

    def close(self) -> None:
        self.server.close()
        for client in self._clients:
            client.writer.transport.abort()


def render_error(status: int, message: str, target: bytes) -> tuple[bytes, bytes]:
    return TEXT, f"{status} {message}".encode()


@asynccontextmanager
async def serve(handler: Handler, **limits: float) -> AsyncIterator[Serving]:
    """`handler` behind a real socket, with these `ServerLimits`."""
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    server = Server(handler, ServerLimits(**limits), ticker, error_body=render_error)  # type: ignore[arg-type]
    serving = Serving(server, await server.listen(("127.0.0.1", 0)))
    try:
        yield serving
        serving.close()
        await until(lambda: server.connections == 0)
    finally:
        serving.close()
        ticker.close()


async def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 — any condition of any object, in tests only
            await asyncio.sleep(0.002)


def echo(request: Request, responder: Responder) -> None:
    """Answers at once with what it was asked."""
    target = request.path + ("?" + request.query if request.query else "")
    responder.respond(200, TEXT, f"{request.method} {target} ".encode() + request.body)


class Held:
    """A handler that answers when the test says so; remembers the requests, and who left."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.responders: list[Responder] = []
        self.calls: list[str] = []

    def __call__(self, request: Request, responder: Responder) -> None:
        self.requests.append(request)
        self.responders.append(responder)
        responder.on_close = lambda: self.calls.append("close")
        responder.on_pause = lambda: self.calls.append("pause")
        responder.on_resume = lambda: self.calls.append("resume")

    async def responder(self, number: int = 0) -> Responder:
        """The way back of request `number`, once it has come."""
        await until(lambda: len(self.responders) > number)
        return self.responders[number]

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


def build_request(
    target: str = "/", *, method: str = "GET", headers: bytes = b"", body: bytes = b"", version: str = "1.1"
) -> bytes:
    """A well-formed request; `content-length` is added where there is a body."""
    length = b"content-length: %d\r\n" % len(body) if body else b""
    line = f"{method} {target} HTTP/{version}\r\nhost: test\r\n".encode()
    return line + headers + length + b"\r\n" + body
