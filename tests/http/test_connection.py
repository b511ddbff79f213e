"""Time, leaving and flow on a server's connection: who waits for whom, how long, and who is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.raw_client import PATIENCE_S, TEXT, Held, RawClient, build_request, echo, serve, until

BIG = bytes(8 * 1024 * 1024)

# The client leaves.


@pytest.mark.parametrize("leave", [RawClient.finish, RawClient.reset])
@pytest.mark.parametrize("started", [False, True])
async def test_client_that_leaves_is_told_once_within_100_ms(leave: Callable[[RawClient], None], started: bool) -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request() + build_request("/never"))
        responder = await held.responder()
        if started:
            responder.start(200, TEXT)
            responder.write(b"one")
        leave(client)
        await until(lambda: held.calls == ["close"], timeout_s=0.1)
        await until(lambda: serving.server.connections == 0)
        assert (responder.closed, held.calls, held.paths) == (True, ["close"], ["/"])


async def test_every_call_after_the_client_left_does_nothing() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request())
        responder = await held.responder()
        client.finish()
        await until(lambda: responder.closed)
        responder.respond(200, TEXT, b"x")
        responder.start(200, TEXT)
        responder.write(b"x")
        responder.end()
        responder.abort()
        assert (await client.rest(), held.calls) == (b"", ["close"])


async def test_writes_between_a_reset_and_its_notice_are_harmless() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request())
        responder = await held.responder()
        responder.start(200, TEXT)
        client.reset()
        for _ in range(100):
            responder.write(bytes(10_000))
            await asyncio.sleep(0)
        await until(lambda: held.calls[-1:] == ["close"])


async def test_client_that_leaves_within_a_request_reaches_no_handler() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request(method="POST", body=b"hello")[:-1])
        await until(lambda: serving.server.connections == 1)
        client.finish()
        await until(lambda: serving.server.connections == 0)
        assert held.requests == []


async def test_fin_after_the_answer_tells_nobody() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request())
        (await held.responder()).respond(200, TEXT, b"x")
        await client.answer()
        client.finish()
        assert (await client.rest(), held.calls) == (b"", [])


async def test_answer_under_way_to_a_client_that_sent_fin_arrives_whole() -> None:
    async with serve(lambda request, responder: responder.respond(200, TEXT, BIG)) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.send(build_request())
        client.finish()
        assert (await client.answer()).body == BIG


# The client is slow to send.


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\nhost: a\r\n"])
async def test_head_that_stops_coming_is_answered_408(sent: bytes) -> None:
    async with serve(echo, header_timeout_s=0.1) as serving:
        client = await serving.connect()
        client.send(sent)
        assert ((await client.answer()).status, await client.rest()) == (408, b"")


async def test_time_for_the_head_is_total_and_not_per_read() -> None:
    async with serve(echo, header_timeout_s=0.15) as serving:
        client, began = await serving.connect(), time.monotonic()
        answer = asyncio.create_task(client.answer())
        client.send(b"GET / HTTP/1.1\r\n")
        while not answer.done():
            client.send(b"x: y\r\n")
            await asyncio.sleep(0.02)
        assert (await answer).status == 408
        assert time.monotonic() - began < 1.0


async def test_second_head_has_its_own_time() -> None:
    async with serve(echo, header_timeout_s=0.1, keep_alive_s=5.0) as serving:
        client = await serving.connect()
        await client.ask(build_request())
        await asyncio.sleep(0.15)
        assert (await client.ask(build_request())).status == 200
        client.send(b"GET")
        assert (await client.answer()).status == 408


async def test_connection_that_sends_nothing_is_closed_without_a_word() -> None:
    async with serve(echo, header_timeout_s=0.05) as serving:
        assert await (await serving.connect()).rest() == b""


async def test_idle_connection_is_closed_without_a_word() -> None:
    async with serve(echo, keep_alive_s=0.05) as serving:
        client = await serving.connect()
        await client.ask(build_request())
        assert await client.rest() == b""


async def test_body_that_stops_coming_is_answered_408() -> None:
    async with serve(echo, body_timeout_s=0.1) as serving:
        client = await serving.connect()
        client.send(build_request(method="POST", body=b"hello")[:-1])
        assert ((await client.answer()).status, await client.rest()) == (408, b"")


async def test_time_for_the_body_is_per_read() -> None:
    async with serve(echo, body_timeout_s=0.15) as serving:
        client = await serving.connect()
        client.send(build_head(5))
        for byte in b"hello":
            await asyncio.sleep(0.06)
            client.send(bytes([byte]))
        assert (await client.answer()).body == b"POST / hello"


async def test_body_that_trickles_for_too_long_is_answered_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feathergate.http.connection._SLOW_BODY_S", 0.1)
    async with serve(echo, body_timeout_s=5.0) as serving:
        client = await serving.connect()
        client.send(build_head(1000))
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            client.send(b"a")
            await asyncio.sleep(0.01)
        assert (await answer).status == 408


async def test_waiting_for_the_handler_has_no_deadline() -> None:
    held = Held()
    async with serve(held, header_timeout_s=0.03, keep_alive_s=0.03, body_timeout_s=0.03) as serving:
        client = await serving.connect()
        client.send(build_request() + b"GET /half")
        responder = await held.responder()
        await asyncio.sleep(0.1)
        responder.respond(200, TEXT, b"late")
        assert ((await client.answer()).body, (await client.answer()).status) == (b"late", 408)


# The client is slow to read.


async def test_full_buffer_pauses_and_a_read_resumes() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(build_request())
        responder = await held.responder()
        responder.start(200, TEXT)
        responder.write(BIG)
        await until(lambda: held.calls == ["pause"])
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answer = asyncio.create_task(client.answer())
        await until(lambda: held.calls == ["pause", "resume"])
        responder.end()
        assert (await answer).body == BIG


async def test_client_that_does_not_read_is_dropped() -> None:
    held = Held()
    async with serve(held, write_timeout_s=0.1) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(build_request())
        responder = await held.responder()
        responder.start(200, TEXT)
        responder.write(BIG)
        await until(lambda: held.calls == ["pause", "close"])
        assert serving.server.connections == 0


async def test_client_that_does_not_read_its_last_answer_is_dropped() -> None:
    async with serve(lambda request, responder: responder.respond(200, TEXT, BIG), write_timeout_s=0.1) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(build_request(headers=b"connection: close\r\n"))
        await until(lambda: serving.server.connections == 1)
        await until(lambda: serving.server.connections == 0)


async def test_client_that_reads_slowly_but_reads_gets_all() -> None:
    async with serve(lambda request, responder: responder.respond(200, TEXT, BIG), write_timeout_s=0.2) as serving:
        client = await serving.connect(receive_buffer_bytes=65536)
        client.send(build_request(headers=b"connection: close\r\n"))
        body = bytearray()
        while piece := await asyncio.wait_for(client.reader.read(256 * 1024), PATIENCE_S):
            body += piece
            await asyncio.sleep(0.01)
        assert body.endswith(BIG)


async def test_client_that_stays_after_its_last_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feathergate.http.connection._LINGER_S", 0.05)
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(b"GARBAGE\r\n\r\n")
        assert b" 400 " in await client.rest()
        await until(lambda: serving.server.connections == 0)


def build_head(length: int) -> bytes:
    return build_request(method="POST", headers=b"content-length: %d\r\n" % length)
