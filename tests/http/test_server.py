"""The server as a client on a real socket meets it: answers, order, limits, and what it does at the end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import pytest
import trustme
from tests.raw_client import TEXT, Held, RawClient, Serving, build_request, echo, render_error, serve, until

from feathergate.http.contract import Request, Responder
from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker

# Answers.


async def test_whole_answer_carries_its_length_and_a_date_and_no_server() -> None:
    async with serve(echo) as serving:
        seen = await serving.ask(build_request("/a/b?c=d&e", method="POST", body=b"hello"))
    assert (seen.status, seen.body) == (200, b"POST /a/b?c=d&e hello")
    assert set(seen.headers) == {b"content-type", b"content-length", b"date"}
    assert seen.headers[b"date"].endswith(b" GMT")


async def test_request_has_lower_case_names_and_stripped_values() -> None:
    held = Held()
    async with serve(held) as serving:
        (await serving.connect()).send(build_request(headers=b"X-Name: \t a b \t\r\n"))
        await held.responder()
        assert held.requests[0].headers == [(b"host", b"test"), (b"x-name", b"a b")]
        assert held.requests[0].peer == "127.0.0.1"


async def test_streamed_answer_is_chunked_and_each_write_one_chunk() -> None:
    async with serve(stream) as serving:
        client = await serving.connect()
        client.send(build_request(headers=b"connection: close\r\n"))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"\r\ntransfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_streamed_answer_on_http10_ends_with_the_connection() -> None:
    async with serve(stream) as serving:
        client = await serving.connect()
        client.send(build_request(version="1.0", headers=b"connection: keep-alive\r\n"))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"onetwo"


async def test_http10_is_closed_after_the_answer_unless_it_asks_to_stay() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        kept = await client.ask(build_request(version="1.0", headers=b"connection: keep-alive\r\n"))
        last = await client.ask(build_request(version="1.0"))
        assert await client.rest() == b""
    assert kept.headers[b"connection"] == b"keep-alive"
    assert last.headers[b"connection"] == b"close"


async def test_http10_needs_no_host() -> None:
    async with serve(echo) as serving:
        assert (await serving.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200


async def test_head_is_answered_without_a_body() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(build_request("/a", method="HEAD") + build_request("/b"))
        first, second = await client.answer(head_only=True), await client.answer()
    assert first.headers[b"content-length"] == b"%d" % len(b"HEAD /a ")
    assert second.body == b"GET /b "


async def test_streamed_head_is_answered_without_a_body() -> None:
    async with serve(stream) as serving:
        client = await serving.connect()
        client.send(build_request(method="HEAD") + build_request())
        first, second = await client.answer(head_only=True), await client.answer()
    assert first.headers[b"transfer-encoding"] == b"chunked"
    assert second.body == b"onetwo"


async def test_no_content_has_neither_length_nor_body() -> None:
    async with serve(lambda request, responder: responder.respond(204, b"", b"")) as serving:
        client = await serving.connect()
        first, second = await client.ask(build_request()), await client.ask(build_request())
    assert first.status == second.status == 204
    assert set(first.headers) == {b"date"}


async def test_connection_close_is_obeyed_and_what_follows_ignored() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request(headers=b"connection: close\r\n") + build_request("/more"))
        (await held.responder()).respond(200, TEXT, b"done")
        seen = await client.answer()
        assert (seen.body, await client.rest(), held.paths) == (b"done", b"", ["/"])
        assert seen.headers[b"connection"] == b"close"


async def test_handler_error_leaves_the_connection_open() -> None:
    def refuse(request: Request, responder: Responder) -> None:
        responder.respond(400, TEXT, request.body)

    async with serve(refuse) as serving:
        client = await serving.connect()
        answers = [await client.ask(build_request(method="POST", body=b"%d" % n)) for n in range(3)]
    assert [(seen.status, seen.body) for seen in answers] == [(400, b"0"), (400, b"1"), (400, b"2")]


async def test_405_says_what_is_allowed() -> None:
    async with serve(echo) as serving:
        seen = await serving.ask(build_request(method="TRACE"))
    assert (seen.status, seen.headers[b"allow"]) == (405, b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


# A handler's own mistakes.


async def test_handler_that_raises_is_answered_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(fail) as serving:
        client = await serving.connect()
        seen = await client.ask(build_request("/x"))
        assert await client.rest() == b""
    assert (seen.status, seen.headers[b"connection"]) == (500, b"close")
    assert b"secret" not in seen.body
    assert [record.name for record in caplog.records if record.levelno == logging.ERROR] == ["feathergate.http"]


async def test_handler_that_raises_in_mid_answer_cuts_it(caplog: pytest.LogCaptureFixture) -> None:
    def start_and_fail(request: Request, responder: Responder) -> None:
        responder.start(200, TEXT)
        responder.write(b"one")
        fail(request, responder)

    async with serve(start_and_fail) as serving:
        client = await serving.connect()
        client.send(build_request())
        assert not (await client.rest()).endswith(b"0\r\n\r\n")
    assert "secret" in caplog.text


async def test_abort_is_seen_as_a_failure_on_http10_too() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request(version="1.0"))
        responder = await held.responder()
        responder.start(200, TEXT)
        await client.reader.readuntil(b"\r\n\r\n")
        responder.abort()
        with pytest.raises(ConnectionResetError):
            await client.rest()
    assert (responder.closed, held.calls) == (True, [])


async def test_abort_before_the_answer_closes_without_one() -> None:
    async with serve(lambda request, responder: responder.abort()) as serving:
        client = await serving.connect()
        client.send(build_request() + build_request())
        assert await client.rest() == b""


async def test_ended_answer_writes_nothing_into_the_next() -> None:
    held = Held()
    async with serve(held) as serving:
        client = await serving.connect()
        client.send(build_request("/a") + build_request("/b"))
        first = await held.responder(0)
        first.start(200, TEXT)
        first.end()
        second = await held.responder(1)
        second.start(200, TEXT)
        for call in (first.end, first.abort, lambda: first.write(b"late"), lambda: first.respond(500, b"", b"")):
            call()
        second.end()
        assert [(await client.answer()).body for _ in range(2)] == [b"", b""]


async def test_misused_responder_raises() -> None:
    held = Held()
    async with serve(held) as serving:
        (await serving.connect()).send(build_request())
        responder = await held.responder()
        with pytest.raises(RuntimeError, match="not been started"):
            responder.write(b"x")
        responder.start(200, TEXT)
        with pytest.raises(RuntimeError, match="started already"):
            responder.respond(200, TEXT, b"x")


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
            for _ in range(1000):
                client.send(bytes(100_000))
                await client.writer.drain()
                await asyncio.sleep(0.001)


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


def stream(request: Request, responder: Responder) -> None:
    responder.start(200, TEXT)
    for piece in (b"one", b"", b"two"):
        responder.write(piece)
    responder.end()


def fail(request: Request, responder: Responder) -> None:
    raise ValueError("secret")


def answer_mixed(number: int, responder: Responder) -> None:
    """Every third answer is whole, the others are streamed."""
    if number % 3 == 0:
        responder.respond(200, TEXT, b"%d" % number)
        return
    responder.start(200, TEXT)
    for digit in str(number):
        responder.write(digit.encode())
    responder.end()


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
