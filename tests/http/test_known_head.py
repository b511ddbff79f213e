"""A head that is known changes no outcome: whatever comes, requests and answers are those of the parser."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, cast

import pytest
from tests.raw_client import build_request, echo, render_error, serve

from feathergate.http import connection as connection_module
from feathergate.http.connection import Connection, Service
from feathergate.http.contract import Request, Responder
from feathergate.http.known_head import KnownHead, learn_head
from feathergate.http.limits import ServerLimits
from feathergate.http.reader import IDLE, RequestReader
from feathergate.http.ticker import Ticker

HEAD = b"POST /x?y=z HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nX-Name: b\r\n\r\n"
HELLO = HEAD % b"5" + b"hello"
SMALL = ServerLimits(body_bytes=150)
UNPARSED = b"what no parser makes of a request's target"


def learn(data: bytes, limits: ServerLimits = SMALL) -> KnownHead | None:
    """What is kept of `data` after the parser has read it."""
    reader = RequestReader(limits)
    reader.feed(data)
    (incoming,) = reader.ready
    assert isinstance(incoming.asked, Request)
    return learn_head(data, incoming.asked, limits)


def known_hello() -> KnownHead:
    known = learn(HELLO)
    assert known is not None
    return known


@pytest.mark.parametrize("length", [0, 1, 9, 10, 99, 100, 150])
def test_repeated_head_is_read_with_its_own_length_and_body(length: int) -> None:
    data = HEAD % b"%d" % length + b"x" * length
    reader = RequestReader(SMALL, "peer")
    reader.feed(data)
    parsed, read = reader.take().asked, known_hello().read(data, "peer")
    assert isinstance(parsed, Request)
    assert read is not None
    assert all(
        getattr(read, name) == getattr(parsed, name) for name in ("method", "path", "query", "headers", "body", "peer")
    )


def test_reading_leaves_earlier_requests_as_they_were() -> None:
    known = known_hello()
    first, second = known.read(HELLO, ""), known.read(HEAD % b"2" + b"hi", "")
    assert first is not None
    assert second is not None
    assert (first.header(b"content-length"), second.header(b"content-length")) == (b"5", b"2")


OTHERS: dict[str, bytes] = {
    "body cut": HELLO[:-1],
    "body too long": HELLO + b"!",
    "another request behind": HELLO + HELLO,
    "head cut": HELLO[:20],
    "nothing": b"",
    "other path": HELLO.replace(b"/x", b"/y"),
    "other header behind the length": HELLO.replace(b"X-Name: b", b"X-Name: c"),
    "header more": HELLO.replace(b"X-Name", b"A: b\r\nX-Name"),
    "body above the limit": HEAD % b"151" + b"x" * 151,
    "zeros in front": HEAD % b"005" + b"hello",
    "zeros alone": HEAD % b"00",
    "no digit": HEAD % b"",
    "plus": HEAD % b"+5" + b"hello",
    "minus": HEAD % b"-5" + b"hello",
    "underscore": HEAD % b"0_5" + b"hello",
    "space in front": HEAD % b" 5" + b"hello",
    "space behind": HEAD % b"5 " + b"hello",
    "list": HEAD % b"5, 5" + b"hello",
    "hex": HEAD % b"0x5" + b"hello",
    "eight bits": HEAD % "\u0665".encode() + b"hello",
    "bare CR": HEAD % b"5\r" + b"hello",
    "another header in the digits' place": HEAD % b"5\r\nA: b" + b"hello",
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_left_to_the_parser(name: str) -> None:
    assert known_hello().read(OTHERS[name], "") is None


UNKNOWABLE: dict[str, bytes] = {
    "no length": build_request("/x"),
    "chunked": build_request(method="POST", headers=b"transfer-encoding: chunked\r\n") + b"1\r\na\r\n0\r\n\r\n",
    "expectation": HELLO.replace(b"X-Name: b", b"EXPECT: 100-continue"),
    "upgrade": HELLO.replace(b"X-Name: b", b"connection: upgrade\r\nUpgrade: h2c"),
    "length named in another header": HELLO.replace(b"X-Name: b", b"vary: content-length"),
    "length named only in another header": build_request("/x", headers=b"x-content-length: 0\r\n"),
    "length named in the path": HELLO.replace(b"/x", b"/content-length"),
    "empty lines in front": b"\r\n\r\n" + HELLO,
    "empty line behind": HELLO + b"\r\n",
    "body and what follows of empty lines": HEAD % b"4" + b"\r\n\r\n" + b"\r\n\r\n",
    "space behind the length": HELLO.replace(b": 5", b": 5 "),
    "half the limit of headers": HELLO.replace(b"X-Name: b", b"X-Name: " + b"b" * 33_000),
}


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_head_that_says_more_than_a_length_is_not_learned(name: str) -> None:
    assert learn(UNKNOWABLE[name]) is None


class Recorder:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Played(NamedTuple):
    """`read` counts the pieces that were served without the parser, `learned` the heads."""

    requests: list[tuple[object, ...]]
    sent: bytes
    closing: bool
    read: int
    learned: int


async def play(pieces: list[bytes], ticker: Ticker, limits: ServerLimits = SMALL, *, learns: bool = True) -> Played:
    """What a connection makes of `pieces`, each a read of its own."""
    seen: list[tuple[object, ...]] = []
    read = learned = 0

    def remember(request: Request, responder: Responder) -> None:
        seen.append((request.method, request.path, request.query, list(request.headers), request.body))
        echo(request, responder)

    connection, transport = Connection(Service(remember, limits, ticker, render_error)), Recorder()
    connection.connection_made(cast(asyncio.Transport, transport))
    reader = connection._reader
    for piece in pieces:
        if not learns:
            connection._lessons = 0
        if idle := reader.phase == IDLE:
            reader._target = UNPARSED
        lessons, requests = connection._lessons, len(seen)
        connection.data_received(piece)
        while connection._turn_due:  # noqa: ASYNC110 — there is no event: the turns are the connection's own
            await asyncio.sleep(0)
        read += idle and reader._target == UNPARSED and len(seen) > requests
        learned += connection._lessons < lessons
    connection.connection_lost(None)
    sent = re.sub(rb"date: [^\r]*\r\n", b"", transport.sent)
    return Played(seen, sent, transport.closing, read, learned)


async def check_same(streams: list[list[bytes]]) -> None:
    ticker = Ticker(asyncio.get_running_loop())
    with_memory = [await play([HELLO, HELLO, HELLO, *pieces], ticker) for pieces in streams]
    parsed = [await play([HELLO, HELLO, HELLO, *pieces], ticker, learns=False) for pieces in streams]
    ticker.close()
    assert all(played.read for played in with_memory)
    assert not any(played.read for played in parsed)
    assert [played[:3] for played in with_memory] == [played[:3] for played in parsed]


async def test_any_changed_byte_has_the_outcome_of_the_parser() -> None:
    changed = [
        HELLO[:at] + new + HELLO[at + size :]
        for at in range(len(HELLO))
        for size in (0, 1)
        for new in (b"", b"0", b"6", b" ", b"\r", b"\n", b"\r\n", b"\0", b":", b"x")
    ]
    await check_same([[data, HELLO] for data in changed])


async def test_any_two_cuts_have_the_outcome_of_the_parser() -> None:
    data = HEAD % b"2" + b"hi" + HELLO
    cuts = [(one, two) for one in range(len(data)) for two in range(one, len(data), 5)]
    await check_same([[data[:one], data[one:two], data[two:], HELLO] for one, two in cuts])


@pytest.mark.parametrize("others", [OTHERS, UNKNOWABLE])
async def test_odd_requests_have_the_outcome_of_the_parser(others: dict[str, bytes]) -> None:
    await check_same([[data, data, data, HELLO] for data in others.values()])


async def count_reads(pieces: list[bytes]) -> tuple[int, int]:
    """How many of `pieces` were served without the parser, and how many heads were learned."""
    ticker = Ticker(asyncio.get_running_loop())
    played = await play(pieces, ticker, ServerLimits())
    ticker.close()
    assert len(played.requests) == len(pieces)
    return played.read, played.learned


async def test_head_is_learned_from_the_second_request_on() -> None:
    assert await count_reads([HELLO] * 5) == (3, 1)


async def test_large_request_in_one_read_is_learned_and_read() -> None:
    large = [HEAD % b"%d" % size + b"x" * size for size in (100_000, 99_999, 200_000)]
    assert await count_reads(large) == (1, 1)


async def test_client_whose_heads_all_differ_is_given_up() -> None:
    heads = [HELLO.replace(b"X-Name: b", b"X-Name: %d" % number) for number in range(20)]
    assert await count_reads(heads) == (0, connection_module._LESSONS)


async def test_close_is_never_learned() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        for _ in range(3):
            await client.ask(HELLO)
        await client.ask(HELLO.replace(b"X-Name: b", b"connection: close"))
        assert await client.rest() == b""


async def test_http10_is_never_learned() -> None:
    old = HELLO.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"X-Name: b", b"connection: keep-alive")
    async with serve(echo) as serving:
        client = await serving.connect()
        answers = [await client.ask(old) for _ in range(4)]
    assert [seen.headers[b"connection"] for seen in answers] == [b"keep-alive"] * 4


async def test_connections_share_what_they_learned_and_it_goes_with_them() -> None:
    async with serve(echo) as serving:
        clients = [await serving.connect() for _ in range(3)]
        for client in clients:
            for _ in range(2):
                await client.ask(HELLO)
        heads = serving.server._service.heads
        assert len(heads) == 1
    assert len(heads) == 0


async def test_known_head_in_a_drain_is_answered_with_a_close() -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        answers = [await client.ask(HELLO) for _ in range(3)]
        serving.server._service.draining = True
        answers.append(await client.ask(HELLO))
    assert [seen.headers.get(b"connection") for seen in answers] == [None, None, None, b"close"]
