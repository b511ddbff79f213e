"""The server as a client on a real socket meets it: order, limits, expectations, connections, draining."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme
from tests.raw_client import TEXT, Held, RawClient, Serving, build_request, echo, render_error, serve, until

from feathergate.http.contract import Request, Responder
from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker

# Bytes and order.


async def test_request_in_single_bytes_is_served() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        for byte in build_request("/x", method="POST", body=b"hello"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"POST /x hello"


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(b"".join(build_request(f"/{n}") for n in range(100)))
        for n in range(100):
            responder = await held.responder(n)
            assert len(held.requests) == n + 1, "the next request came before this one was answered"
            answer_mixed(n, responder)
        assert [(await client.answer()).body for _ in range(100)] == [b"%d" % n for n in range(100)]


async def test_thousands_of_pipelined_requests_answered_at_once_need_no_stack() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(b"".join(build_request(f"/{n}") for n in range(5000)))
        assert [(await client.answer()).body for _ in range(5000)] == [b"GET /%d " % n for n in range(5000)]


async def test_flood_of_small_requests_leaves_the_loop_to_others() -> None:
    served: list[str] = []

    def remember(request: Request, responder: Responder) -> None:
        served.append(request.path)
        echo(request, responder)

    async with serve(remember) as serving:
        await serving.connect()
        await until(lambda: serving.server.connections == 1)
        connection = open_connection(serving)
        connection.data_received(build_request("/x") * 5000)
        assert 0 < len(served) < 1000
        await until(lambda: len(served) == 5000)


async def test_reading_stops_when_enough_requests_wait() -> None:
    held = Held()
    async with serve(held, pipeline_depth=4) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.send(build_request(headers=b"x: " + b"a" * 8000 + b"\r\n") * 2000)
        await held.responder()
        await until(lambda: not open_connection(serving)._transport.is_reading())
        assert len(open_connection(serving)._reader.ready) <= 4 + 2
        assert client.writer.transport.get_write_buffer_size() > 0


async def test_refused_request_waits_for_the_answers_before_it() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request() + b"GARBAGE\r\n\r\n")
        (await held.responder()).respond(200, TEXT, b"first")
        assert [(await client.answer()).status for _ in range(2)] == [200, 400]
        assert await client.rest() == b""


async def test_client_that_reads_nothing_gets_no_further_requests_served() -> None:
    big = bytes(4 * 1024 * 1024)
    served: list[str] = []

    def answer_big(request: Request, responder: Responder) -> None:
        served.append(request.path)
        responder.respond(200, TEXT, big)

    async with serve(answer_big) as serving:
        client = await serving.connect(receive_buffer_bytes=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(build_request() * 20)
        await until(lambda: len(served) > 0)
        await asyncio.sleep(0.05)
        assert len(served) < 5


# Limits of a body.


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
async def test_body_up_to_the_limit_is_served(size: int) -> None:
    body = b"a" * size
    async with serve(echo, body_bytes=max(size, 1)) as serving:
        by_length = await serving.ask(build_request(method="POST", body=body))
        by_chunks = await serving.ask(build_chunked(body, 999))
    assert by_length.body == by_chunks.body == b"POST / " + body


async def test_body_too_large_by_length_is_refused_before_it_comes() -> None:
    async with serve(echo, body_bytes=100) as serving:
        client = await serving.connect()
        seen = await client.ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n")
        assert (seen.status, await client.rest()) == (413, b"")


async def test_body_too_large_by_chunks_is_refused_while_it_comes() -> None:
    async with serve(echo, body_bytes=100) as serving:
        client = await serving.connect()
        seen = await client.ask(build_chunked(b"a" * 101, 50).removesuffix(b"0\r\n\r\n"))
        assert (seen.status, await client.rest()) == (413, b"")


async def test_client_that_sends_on_after_413_can_read_it() -> None:
    async with serve(echo, body_bytes=1_000_000) as serving:
        client = await serving.connect()
        client.send(build_request(method="POST", body=bytes(1_500_000)))
        await client.writer.drain()
        assert ((await client.answer()).status, await client.rest()) == (413, b"")


async def test_client_that_sends_on_without_end_is_cut_off() -> None:
    async with serve(echo, body_bytes=100_000) as serving:
        client = await serving.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\n")
        await client.answer()
        with pytest.raises(ConnectionError):
            await flood(client)


# Expectations.


async def test_expected_continue_is_sent_before_the_body_comes() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        head, body = split(build_request(method="POST", headers=b"expect: 100-Continue\r\n", body=b"hello"))
        assert (await client.ask(head)).status == 100
        assert (await client.ask(body)).body == b"POST / hello"


async def test_body_that_does_not_wait_gets_no_continue() -> None:
    async with serve(echo) as serving:
        seen = await serving.ask(build_request(method="POST", headers=b"expect: 100-continue\r\n", body=b"hello"))
    assert (seen.status, seen.body) == (200, b"POST / hello")


async def test_http10_gets_no_continue() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        head, body = split(
            build_request(method="POST", version="1.0", headers=b"expect: 100-continue\r\n", body=b"hello")
        )
        client.send(head)
        await asyncio.sleep(0.02)
        assert (await client.ask(body)).status == 200


async def test_body_that_will_be_refused_gets_no_continue() -> None:
    async with serve(echo, body_bytes=4) as serving:
        head, _ = split(build_request(method="POST", headers=b"expect: 100-continue\r\n", body=b"hello"))
        assert (await serving.ask(head)).status == 413


async def test_continue_waits_for_the_answer_before_it() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        head, body = split(build_request(method="POST", headers=b"expect: 100-continue\r\n", body=b"hello"))
        client.send(build_request("/first") + head)
        (await held.responder(0)).respond(200, TEXT, b"first")
        assert [(await client.answer()).status for _ in range(2)] == [200, 100]
        client.send(body)
        (await held.responder(1)).respond(200, TEXT, b"")
        assert held.requests[1].body == b"hello"


# Connections.


async def test_connection_above_the_limit_is_refused_with_503() -> None:
    async with serve(echo, connections=1) as serving:
        first, second = await serving.connect(), await serving.connect()
        seen = await second.answer()
        assert (seen.status, await second.rest()) == (503, b"")
        assert (await first.ask(build_request())).status == 200


async def test_connections_far_above_the_limit_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feathergate.http.connection._EXPLAINED_REFUSALS", 1)
    async with serve(echo, connections=1) as serving:
        first, second, third = [await serving.connect() for _ in range(3)]
        assert (await second.answer()).status == 503
        assert await third.rest() == b""
        assert (await first.ask(build_request())).status == 200


async def test_connections_counts_those_that_are_open() -> None:
    async with serve(echo) as serving:
        client, other = await serving.connect(), await serving.connect()
        await client.ask(build_request())
        await until(lambda: serving.server.connections == 2)
        client.reset()
        other.finish()
        await until(lambda: serving.server.connections == 0)


async def test_address_in_use_is_an_os_error() -> None:
    async with serve(echo) as serving:
        with pytest.raises(OSError, match=r"[Aa]ddress (already )?in use"):
            await serving.server.listen(serving.address)


async def test_accepted_sockets_send_at_once_and_probe_silent_peers() -> None:
    async with serve(echo) as serving:
        await (await serving.connect()).ask(build_request())
        sock = open_connection(serving)._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_given_certificate_serves_tls() -> None:
    authority, ticker = trustme.CA(), Ticker(asyncio.get_running_loop())
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(ours)
    authority.configure_trust(theirs)
    server = Server(echo, ServerLimits(), ticker, error_body=render_error)
    host, port = await server.listen(("127.0.0.1", 0), tls=ours)
    client = RawClient(*await asyncio.open_connection(host, port, ssl=theirs, server_hostname="localhost"))
    kept, refused = await client.ask(build_request("/x")), await client.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert (kept.body, refused.status, await client.rest()) == (b"GET /x ", 400, b"")
    client.writer.close()
    await until(lambda: server.connections == 0)
    server.close()
    ticker.close()


# Draining.


async def test_drain_closes_idle_connections_and_waits_for_open_answers() -> None:
    held = Held()
    async with serve(held) as serving:
        idle, busy = await serving.connect(), await serving.connect()
        idle.send(build_request())
        (await held.responder(0)).respond(200, TEXT, b"")
        await idle.answer()
        busy.send(build_request())
        responder = await held.responder(1)
        drained = asyncio.create_task(serving.server.drain(2.0))
        assert await idle.rest() == b""
        responder.respond(200, TEXT, b"done")
        seen = await busy.answer()
        busy.writer.close()
        assert (seen.body, seen.headers[b"connection"], await drained) == (b"done", b"close", 0)


async def test_drain_drops_what_outlasts_it() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request())
        await held.responder()
        assert await serving.server.drain(0.05) == 1
        assert await client.rest() == b""
        assert held.calls == ["close"]


async def test_drain_stops_accepting() -> None:
    async with serve(echo) as serving:
        await serving.server.drain(0.05)
        with pytest.raises(ConnectionError):
            await serving.connect()


async def test_begun_drain_still_serves_with_a_close() -> None:
    async with serve(echo) as serving:
        early = await serving.connect()
        early.send(b"GET / HT")
        await until(lambda: serving.server.connections == 1)
        serving.server.begin_drain()
        early.send(b"TP/1.1\r\nhost: a\r\n\r\n")
        answers = [await early.answer(), await serving.ask(build_request())]
    assert [(seen.status, seen.headers[b"connection"]) for seen in answers] == [(200, b"close")] * 2


async def test_drain_may_go_on_accepting_and_waits_only_for_who_was_there() -> None:
    held = Held()
    async with serve(held) as serving:
        early = await serving.connect()
        early.send(build_request())
        responder = await held.responder(0)
        serving.server.begin_drain()
        waiting = asyncio.create_task(serving.server.wait_closed(2.0))
        late = await serving.connect()
        late.send(build_request())
        await held.responder(1)
        responder.respond(200, TEXT, b"done")
        assert (await early.answer()).body == b"done"
        assert await waiting == 0
        assert not late.reader.at_eof()


async def test_connections_may_end_with_their_answers_for_a_while() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        await client.ask(build_request())
        serving.server.keep_connections(False)
        closing = await client.ask(build_request())
        serving.server.keep_connections(True)
        kept = await serving.ask(build_request())
        assert await client.rest() == b""
    assert (closing.headers.get(b"connection"), kept.headers.get(b"connection")) == (b"close", None)


async def test_new_limits_hold_for_new_connections_and_listening_sockets() -> None:
    async with serve(echo, body_bytes=100) as serving:
        serving.server.change_limits(ServerLimits(body_bytes=10, write_timeout_s=7.0))
        assert (await serving.ask(build_request(method="POST", body=bytes(11)))).status == 413
        await serving.connect()
        await until(lambda: serving.server.connections == 2)
        socks = [known._transport.get_extra_info("socket") for known in serving.server._service.connections]
        assert {sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for sock in socks} == {7000}


async def test_remembered_head_does_not_carry_old_limits_to_new_connections() -> None:
    async with serve(echo, body_bytes=100) as serving:
        early = await serving.connect()
        for _ in range(3):
            await early.ask(build_request(method="POST", body=bytes(50)))
        serving.server.change_limits(ServerLimits(body_bytes=60))
        late = await serving.connect()
        for size in (50, 50, 50, 61):
            seen = await late.ask(build_request(method="POST", body=bytes(size)))
        assert seen.status == 413
        assert (await early.ask(build_request(method="POST", body=bytes(70)))).status == 200


async def test_idle_client_gets_one_more_answer_within_the_grace() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(build_request())
        await client.answer()
        serving.server.begin_drain(idle_grace_s=1.0)
        client.send(build_request("/again"))
        seen = await client.answer()
        assert (seen.body, seen.headers[b"connection"], await client.rest()) == (b"GET /again ", b"close", b"")


async def test_idle_client_that_sends_nothing_more_is_closed_after_the_grace() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(build_request())
        await client.answer()
        serving.server.begin_drain(idle_grace_s=0.1)
        assert await asyncio.wait_for(client.rest(), 2.0) == b""


async def test_started_stream_ends_properly_in_a_drain() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request())
        responder = await held.responder()
        responder.start(200, TEXT)
        drained = asyncio.create_task(serving.server.drain(2.0))
        await asyncio.sleep(0)
        responder.write(b"done")
        responder.end()
        assert ((await client.answer()).body, await client.rest(), await drained) == (b"done", b"", 0)


def answer_mixed(number: int, responder: Responder) -> None:
    """Every third answer is whole, the others are streamed."""
    if number % 3 == 0:
        responder.respond(200, TEXT, b"%d" % number)
        return
    responder.start(200, TEXT)
    for digit in str(number):
        responder.write(digit.encode())
    responder.end()


async def flood(client: RawClient) -> None:
    for _ in range(1000):
        client.send(bytes(100_000))
        await client.writer.drain()
        await asyncio.sleep(0.001)


def open_connection(serving: Serving):  # type: ignore[no-untyped-def]
    """The server's side of the only connection."""
    (connection,) = serving.server._service.connections
    return connection


def build_chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return build_request(method="POST", headers=b"transfer-encoding: chunked\r\n") + chunks + b"0\r\n\r\n"


def split(request: bytes) -> tuple[bytes, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body
