"""Connections accepted beside other workers, on real sockets; the others are numbers that the test publishes."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

import pytest
from tests.raw_client import echo, render_error, until

from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker
from feathergate.server import acceptor as module
from feathergate.server.acceptor import Acceptor
from feathergate.server.share import Loads, Share


class Accepting(NamedTuple):
    server: Server
    acceptor: Acceptor
    loads: Loads
    address: tuple[str, int]


@asynccontextmanager
async def accepting(others: int = 0) -> AsyncIterator[Accepting]:
    """A worker in slot 0; slot 1 says that it holds `others` connections, and accepts none."""
    loop = asyncio.get_running_loop()
    ticker = Ticker(loop, period_s=0.01)
    server = Server(echo, ServerLimits(), ticker, error_body=render_error)
    loads = Loads(2)
    loads.publish(1, others)
    sock = socket.create_server(("127.0.0.1", 0), backlog=256)
    acceptor = Acceptor(loop, sock, server, Share(loads, 0))
    address = sock.getsockname()
    acceptor.open()
    try:
        yield Accepting(server, acceptor, loads, address)
    finally:
        await acceptor.close()
        server.close()
        await until(lambda: server.connections == 0)
        ticker.close()


@contextmanager
def connected(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """`count` clients, connected before anybody has accepted."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(count)]


async def test_accepted_client_is_answered() -> None:
    async with accepting() as worker:
        reader, writer = await asyncio.open_connection(*worker.address)
        writer.write(b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_worker_below_the_average_takes_all_that_wait() -> None:
    async with accepting(others=100) as worker:
        with connected(worker.address, 60):
            await until(lambda: worker.server.connections == 60)


async def test_worker_above_the_average_leaves_the_queue_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 60.0)
    async with accepting(others=10) as worker:
        with connected(worker.address, 60):
            await until(lambda: worker.server.connections >= 10)
            await asyncio.sleep(0.02)
            assert 10 <= worker.server.connections <= 16


async def test_nobody_waits_for_a_worker_that_stands_still() -> None:
    async with accepting(others=0) as worker:
        with connected(worker.address, 30):
            await until(lambda: worker.server.connections == 30)


async def test_others_are_told_how_many_are_held() -> None:
    async with accepting(others=0) as worker:
        with connected(worker.address, 20):
            await until(lambda: worker.server.connections == 20)
            with connected(worker.address, 1):
                await until(lambda: worker.server.connections == 21)
                assert worker.loads.average() == pytest.approx(10.5, abs=1)


async def test_closed_acceptor_refuses() -> None:
    async with accepting() as worker:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(worker.address)


async def test_client_that_left_before_it_was_accepted_harms_nobody() -> None:
    async with accepting(others=100) as worker:
        with connected(worker.address, 5) as clients:
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
            with connected(worker.address, 1):
                await until(lambda: worker.server.connections == 1)


async def test_want_of_descriptors_is_told_and_outlived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_EXHAUSTED_PAUSE_S", 0.02)
    accept = socket.socket.accept
    failures = iter([OSError(errno.EMFILE, "Too many open files")])

    def fail_once(sock: socket.socket) -> tuple[socket.socket, object]:
        for failure in failures:
            raise failure
        return accept(sock)

    monkeypatch.setattr(socket.socket, "accept", fail_once)
    async with accepting() as worker:
        with connected(worker.address, 1):
            await until(lambda: worker.server.connections == 1)
    assert "Too many open files" in caplog.text
