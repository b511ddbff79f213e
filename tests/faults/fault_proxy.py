"""A TCP proxy that spoils what passes it, with toxiproxy's toxics under their names.

A toxic takes a flow of bytes and gives the flow that is left of it; those of one direction act one after the other.
Times are seconds and sizes bytes, where toxiproxy has milliseconds and kilobytes. Source: reliability.md A13.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType

Flow = AsyncIterator[bytes]
Toxic = Callable[[Flow], Flow]
_READ_BYTES = 65_536
_SLICE_S = 0.005


class ResetError(Exception):
    """Both connections are to be reset."""


def latency(delay_s: float, jitter_s: float = 0.0, *, seed: int = 0) -> Toxic:
    """Each piece comes later, by as much as `jitter_s` more or less."""
    draw = random.Random(seed)

    async def flow(pieces: Flow) -> Flow:
        async for data in pieces:
            await asyncio.sleep(max(0.0, delay_s + draw.uniform(-jitter_s, jitter_s)))
            yield data

    return flow


def bandwidth(rate_bytes_per_s: int) -> Toxic:
    size = max(1, int(rate_bytes_per_s * _SLICE_S))

    async def flow(pieces: Flow) -> Flow:
        async for data in pieces:
            for start in range(0, len(data), size):
                part = data[start : start + size]
                await asyncio.sleep(len(part) / rate_bytes_per_s)
                yield part

    return flow


def slow_close(delay_s: float) -> Toxic:
    """The end comes later than it was said."""

    async def flow(pieces: Flow) -> Flow:
        async for data in pieces:
            yield data
        await asyncio.sleep(delay_s)

    return flow


def timeout(timeout_s: float) -> Toxic:
    """Nothing passes, and the connection is closed after a while."""

    async def flow(pieces: Flow) -> Flow:
        await asyncio.sleep(timeout_s)
        for _ in range(0):
            yield b""

    return flow


def reset_peer(timeout_s: float) -> Toxic:
    """All passes for a while, then both ends see an RST."""

    async def flow(pieces: Flow) -> Flow:
        end = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                left_s = end - asyncio.get_running_loop().time()
                yield await asyncio.wait_for(anext(pieces), left_s)
        except TimeoutError:
            raise ResetError from None
        except StopAsyncIteration:
            return

    return flow


def slicer(size_bytes: int, delay_s: float = 0.0) -> Toxic:
    async def flow(pieces: Flow) -> Flow:
        async for data in pieces:
            for start in range(0, len(data), size_bytes):
                yield data[start : start + size_bytes]
                await asyncio.sleep(delay_s)

    return flow


def limit_data(count_bytes: int) -> Toxic:
    """The connection is closed after so many bytes."""

    async def flow(pieces: Flow) -> Flow:
        left = count_bytes
        async for data in pieces:
            yield data[:left]
            left -= len(data)
            if left <= 0:
                return

    return flow


class FaultProxy:
    """Listens on a free port of loopback and passes everything on to `port`.

    `upstream` spoils what clients send, `downstream` what they are answered.
    """

    def __init__(self, port: int, *, upstream: Sequence[Toxic] = (), downstream: Sequence[Toxic] = ()) -> None:
        self._target = port
        self._upstream = upstream
        self._downstream = downstream
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultProxy:
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
        self._tasks.add(asyncio.get_running_loop().create_task(self._pass(reader, writer)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, far_writer, self._upstream))
                group.create_task(pump(far_reader, writer, self._downstream))
        except* ResetError:
            for each in writers:
                sock = each.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except* OSError:
            pass
        finally:
            for each in writers:
                each.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, toxics: Sequence[Toxic]) -> None:
    flow = _read(reader)
    for toxic in toxics:
        flow = toxic(flow)
    async for data in flow:
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _read(reader: asyncio.StreamReader) -> Flow:
    while data := await reader.read(_READ_BYTES):
        yield data
