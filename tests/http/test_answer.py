"""Answers as they stand on the wire, for both versions, and what a handler's mistakes become."""

from __future__ import annotations

import logging

import pytest
from tests.raw_client import TEXT, Held, build_request, echo, serve

from feathergate.http.contract import Request, Responder

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


def stream(request: Request, responder: Responder) -> None:
    responder.start(200, TEXT)
    for piece in (b"one", b"", b"two"):
        responder.write(piece)
    responder.end()


def fail(request: Request, responder: Responder) -> None:
    raise ValueError("secret")
