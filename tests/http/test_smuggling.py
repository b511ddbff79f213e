"""Every request with two readings is refused with its status and a close, and its tail is never executed."""

from __future__ import annotations

import pytest
from tests.raw_client import build_request, echo, serve

from feathergate.http.contract import Request, Responder
from feathergate.http.limits import ServerLimits
from feathergate.http.reader import OVER, RequestReader
from feathergate.http.request import RefusedError

TAIL = build_request("/smuggled")
HOST = b"host: a\r\n"
CHUNKED = HOST + b"transfer-encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /x " + version + b"\r\n" + headers + b"\r\n" + body


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\n" + HOST + b"\r\n"


HARMLESS = post(HOST + b"content-length: 5\r\n", b"hello")

REFUSED: dict[str, tuple[int, bytes]] = {
    # Two lengths.
    "CL and TE": (400, post(CHUNKED + b"content-length: 5\r\n", b"0\r\n\r\n")),
    "TE and CL": (400, post(HOST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n")),
    "two CL that differ": (400, post(HOST + b"content-length: 5\r\ncontent-length: 6\r\n", b"hello")),
    "two CL that agree": (400, post(HOST + b"content-length: 5\r\ncontent-length: 5\r\n", b"hello")),
    "a list of CL": (400, post(HOST + b"content-length: 5, 5\r\n", b"hello")),
    "CL with a plus": (400, post(HOST + b"content-length: +5\r\n", b"hello")),
    "CL with a minus": (400, post(HOST + b"content-length: -5\r\n", b"hello")),
    "CL in hex": (400, post(HOST + b"content-length: 0x5\r\n", b"hello")),
    "CL with an underscore": (400, post(HOST + b"content-length: 5_0\r\n", b"hello")),
    "CL with a space inside": (400, post(HOST + b"content-length: 5 0\r\n", b"hello")),
    "CL with leading zeros": (400, post(HOST + b"content-length: 005\r\n", b"hello")),
    "CL of zeros": (400, post(HOST + b"content-length: 00\r\n")),
    "CL empty": (400, post(HOST + b"content-length:\r\n", b"hello")),
    "CL beyond 64 bits": (400, post(HOST + b"content-length: 99999999999999999999\r\n", b"hello")),
    "CL larger than the limit": (413, post(HOST + b"content-length: 33554433\r\n", b"hello")),
    "two TE": (400, post(CHUNKED + b"transfer-encoding: chunked\r\n", b"0\r\n\r\n")),
    "two TE, one harmless": (400, post(CHUNKED + b"transfer-encoding: identity\r\n", b"0\r\n\r\n")),
    "TE xchunked": (400, post(HOST + b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n")),
    "TE identity": (400, post(HOST + b"transfer-encoding: identity\r\n", b"0\r\n\r\n")),
    "TE chunked, identity": (400, post(HOST + b"transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    "TE gzip, chunked": (400, post(HOST + b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    "TE empty": (400, post(HOST + b"transfer-encoding:\r\n", b"0\r\n\r\n")),
    "TE with a vertical tab": (400, post(HOST + b"transfer-encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    "TE with a space before the colon": (400, post(HOST + b"transfer-encoding : chunked\r\n", b"0\r\n\r\n")),
    "TE before a tab": (400, post(HOST + b"transfer-encoding: chunked\t\r\n", b"0\r\n\r\n")),
    "TE quoted": (400, post(HOST + b'transfer-encoding: "chunked"\r\n', b"0\r\n\r\n")),
    "TE on HTTP/1.0": (400, post(CHUNKED, b"0\r\n\r\n", b"HTTP/1.0")),
    "TE with an underscore twin": (400, post(HOST + b"transfer_encoding: chunked\r\n", b"0\r\n\r\n")),
    # Chunks.
    "chunk size of no digit": (400, post(CHUNKED, b"\r\nabc\r\n0\r\n\r\n")),
    "chunk size garbage": (400, post(CHUNKED, b"g\r\nabc\r\n0\r\n\r\n")),
    "chunk size in 0x": (400, post(CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n")),
    "chunk size with a plus": (400, post(CHUNKED, b"+3\r\nabc\r\n0\r\n\r\n")),
    "chunk size with a minus": (400, post(CHUNKED, b"-3\r\nabc\r\n0\r\n\r\n")),
    "chunk size with a space": (400, post(CHUNKED, b"3 \r\nabc\r\n0\r\n\r\n")),
    "chunk size overflow": (400, post(CHUNKED, b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
    "chunk ends without CRLF": (400, post(CHUNKED, b"3\r\nabcXX0\r\n\r\n")),
    "chunk longer than said": (400, post(CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n")),
    "chunk ends with LF": (400, post(CHUNKED, b"3\r\nabc\n0\r\n\r\n")),
    "chunk size ends with LF": (400, post(CHUNKED, b"3\nabc\r\n0\r\n\r\n")),
    "chunk extension holds LF": (400, post(CHUNKED, b"3;a\nb\r\nabc\r\n0\r\n\r\n")),
    "chunk extension holds CR": (400, post(CHUNKED, b"3;a\rb\r\nabc\r\n0\r\n\r\n")),
    "chunk extension of 8 bits": (400, post(CHUNKED, b"3;a=\x80\r\nabc\r\n0\r\n\r\n")),
    "last chunk ends with LF": (400, post(CHUNKED, b"3\r\nabc\r\n0\r\n\n")),
    # Lines and names.
    "bare LF in the head": (400, b"GET / HTTP/1.1\nhost: a\n\n"),
    "bare LF after a header": (400, post(b"host: a\nx: b\r\n")),
    "bare CR in a value": (400, post(b"host: a\rx: b\r\n")),
    "obs-fold": (400, post(HOST + b"x: a\r\n b\r\n")),
    "obs-fold before all": (400, post(b" host: a\r\n")),
    "NUL in a value": (400, post(HOST + b"x: a\0b\r\n")),
    "control byte in a value": (400, post(HOST + b"x: a\x01b\r\n")),
    "DEL in a value": (400, post(HOST + b"x: a\x7fb\r\n")),
    "8-bit value": (400, post(HOST + b"x: \xc3\xa4\r\n")),
    "8-bit name": (400, post(HOST + b"x\xa4: a\r\n")),
    "NUL in a name": (400, post(HOST + b"x\0: a\r\n")),
    "empty name": (400, post(HOST + b": a\r\n")),
    "name with a parenthesis": (400, post(HOST + b"x(: a\r\n")),
    "name with an underscore": (400, post(HOST + b"x_api_key: a\r\n")),
    "no colon": (400, post(HOST + b"x\r\n")),
    # Hosts and other headers of which there may be one.
    "no host": (400, post(b"")),
    "two hosts": (400, post(HOST + b"host: b\r\n")),
    "two hosts that agree": (400, post(HOST + HOST)),
    "two hosts on HTTP/1.0": (400, post(HOST + HOST, version=b"HTTP/1.0")),
    "empty host": (400, post(b"host:\r\n")),
    "host with user": (400, post(b"host: a@b\r\n")),
    "host with path": (400, post(b"host: a/b\r\n")),
    "host with space": (400, post(b"host: a b\r\n")),
    "host with comma": (400, post(b"host: a,b\r\n")),
    "host with bad port": (400, post(b"host: a:b\r\n")),
    "two authorizations": (400, post(HOST + b"authorization: Bearer a\r\nAuthorization: Bearer b\r\n")),
    "two keys": (400, post(HOST + b"x-api-key: a\r\nx-api-key: b\r\n")),
    "two content types": (400, post(HOST + b"content-type: a/b\r\ncontent-type: a/c\r\n")),
    "gzip body": (415, post(HOST + b"content-encoding: gzip\r\ncontent-length: 5\r\n", b"hello")),
    "unknown expectation": (417, post(HOST + b"expect: a-miracle\r\ncontent-length: 5\r\n", b"hello")),
    "two expectations": (400, post(HOST + b"expect: 100-continue\r\nexpect: 100-continue\r\n")),
    # The first line.
    "absolute-form": (400, line(b"GET http://a/x HTTP/1.1")),
    "asterisk-form": (400, line(b"OPTIONS * HTTP/1.1")),
    "no slash": (400, line(b"GET x HTTP/1.1")),
    "fragment": (400, line(b"GET /x#y HTTP/1.1")),
    "control byte in the path": (400, line(b"GET /a\x01 HTTP/1.1")),
    "NUL in the path": (400, line(b"GET /a\0 HTTP/1.1")),
    "tab in the path": (400, line(b"GET /a\tb HTTP/1.1")),
    "8-bit path": (400, line(b"GET /\xc3\xa4 HTTP/1.1")),
    "space in the path": (400, line(b"GET /a b HTTP/1.1")),
    "CONNECT": (405, line(b"CONNECT a:80 HTTP/1.1")),
    "CONNECT to a path": (405, line(b"CONNECT /x HTTP/1.1")),
    "TRACE": (405, line(b"TRACE / HTTP/1.1")),
    "RTSP": (405, line(b"PLAY /x RTSP/1.0")),
    "ICE": (405, line(b"SOURCE /x ICE/1.0")),
    "method in small letters": (400, line(b"get / HTTP/1.1")),
    "unknown method": (400, line(b"FETCH / HTTP/1.1")),
    "no version": (505, b"GET /x\r\n\r\n"),
    "HTTP/0.9": (505, line(b"GET / HTTP/0.9")),
    "HTTP/1.2": (505, line(b"GET / HTTP/1.2")),
    "HTTP/2.0": (505, line(b"GET / HTTP/2.0")),
    "HTTP/3.0": (505, line(b"GET / HTTP/3.0")),
    "HTTP/1.10": (400, line(b"GET / HTTP/1.10")),
    "another protocol": (400, line(b"GET / HTCPCP/1.1")),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)),
    "SSH": (400, b"SSH-2.0-OpenSSH_9.6\r\n"),
    "NULs": (400, bytes(100)),
    # Sizes.
    "header too large": (431, post(HOST + b"x: " + b"a" * 65536 + b"\r\n")),
    "headers too large together": (431, post(HOST + (b"x: " + b"a" * 8000 + b"\r\n") * 9)),
    "headers too many": (431, post(HOST + b"x: a\r\n" * 100)),
    "target too large": (431, line(b"GET /" + b"a" * 70000 + b" HTTP/1.1")),
    "target without end": (431, b"GET /" + b"a" * 100_000),
    "chunk extension too large": (400, post(CHUNKED, b"1;" + b"a" * 200_000)),
    "trailer too large": (400, post(CHUNKED, b"0\r\nx: " + b"a" * 200_000)),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_ambiguous_request_is_refused_and_its_tail_not_executed(name: str) -> None:
    status, attack = REFUSED[name]
    paths: list[str] = []

    def remember(request: Request, responder: Responder) -> None:
        paths.append(request.path)
        echo(request, responder)

    async with serve(remember) as serving:
        client = await serving.connect()
        seen = await client.ask(attack + TAIL)
        assert (seen.status, await client.rest(), paths) == (status, b"", [])
        assert seen.headers[b"connection"] == b"close"
        assert seen.body.startswith(b"%d " % status)


@pytest.mark.parametrize("name", REFUSED)
async def test_ambiguous_request_is_refused_where_a_harmless_twin_was_served_before(name: str) -> None:
    status, attack = REFUSED[name]
    paths: list[str] = []

    def remember(request: Request, responder: Responder) -> None:
        paths.append(request.path)
        echo(request, responder)

    async with serve(remember) as serving:
        client = await serving.connect()
        for _ in range(3):
            await client.ask(HARMLESS)
        seen = await client.ask(attack + TAIL)
        assert (seen.status, await client.rest(), paths) == (status, b"", ["/x"] * 3)


# Large heads take long byte by byte, and say nothing of parsing.
SHORT = [name for name, (_, attack) in REFUSED.items() if len(attack) < 1_000]


@pytest.mark.parametrize("name", SHORT)
def test_ambiguous_request_is_refused_when_it_comes_byte_by_byte(name: str) -> None:
    status, attack = REFUSED[name]
    reader = RequestReader(ServerLimits())
    for byte in attack + TAIL:
        reader.feed(bytes([byte]))
    (refused,) = [incoming.asked for incoming in reader.ready]
    assert isinstance(refused, RefusedError)
    assert (refused.status, reader.phase) == (status, OVER)


ACCEPTED: dict[str, bytes] = {
    "chunked in capitals": post(HOST + b"Transfer-Encoding: CHUNKED\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "chunked after a tab": post(HOST + b"transfer-encoding:\tchunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk sizes with zeros": post(CHUNKED, b"0005\r\nhello\r\n000\r\n\r\n"),
    "chunk extensions": post(CHUNKED, b'2;a=b\r\nhe\r\n3;c="d;e"\r\nllo\r\n0;f\r\n\r\n'),
    "trailers": post(CHUNKED, b"5\r\nhello\r\n0\r\nauthorization: Bearer x\r\nx: y\r\n\r\n"),
    "one-byte chunks": post(CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in b"hello") + b"0\r\n\r\n"),
    "blank lines before": b"\r\n\r\n" + post(HOST + b"content-length: 5\r\n", b"hello"),
    "identity": post(HOST + b"content-encoding: identity\r\ncontent-length: 5\r\n", b"hello"),
    "IPv6 host": post(b"host: [::1]:8080\r\ncontent-length: 5\r\n", b"hello"),
    "host with port": post(b"host: my_gateway.local:8080\r\ncontent-length: 5\r\n", b"hello"),
    "repeated cookie": post(HOST + b"cookie: a\r\ncookie: b\r\ncontent-length: 5\r\n", b"hello"),
    "h2c upgrade": post(
        HOST + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\ncontent-length: 5\r\n", b"hello"
    ),
    "h2c upgrade, chunked": post(CHUNKED + b"connection: upgrade\r\nupgrade: h2c\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "websocket": post(HOST + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n", b"hello"),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_unusual_request_is_served_and_so_is_the_next(name: str) -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        client.send(ACCEPTED[name] + build_request("/next"))
        first, second = await client.answer(), await client.answer()
    assert (first.status, first.body, second.body) == (200, b"POST /x hello", b"GET /next ")


@pytest.mark.parametrize("name", ACCEPTED)
async def test_unusual_request_is_served_every_time_it_comes(name: str) -> None:
    async with serve(echo) as serving:
        client = await serving.connect()
        answers = [await client.ask(data) for data in (HARMLESS, *[ACCEPTED[name]] * 4, HARMLESS)]
    assert [(seen.status, seen.body) for seen in answers] == [(200, b"POST /x hello")] * 6


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_cut_of_the_bytes_gives_the_same_requests(name: str, size: int) -> None:
    reader, data = RequestReader(ServerLimits()), ACCEPTED[name] + build_request("/next")
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    asked = [incoming.asked for incoming in reader.ready]
    assert [(a.path, a.body) for a in asked if not isinstance(a, RefusedError)] == [("/x", b"hello"), ("/next", b"")]


def test_trailers_never_become_headers() -> None:
    reader = RequestReader(ServerLimits())
    reader.feed(ACCEPTED["trailers"] + build_request("/next"))
    for incoming in reader.ready:
        assert not isinstance(incoming.asked, RefusedError)
        assert incoming.asked.header(b"authorization") is None
