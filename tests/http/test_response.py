"""The reader of answers by itself: what a feed brings, how heads are kept, and where patience ends."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import pairwise

import httptools
import pytest

from feathergate.http.contract import find_header
from feathergate.http.limits import ClientLimits
from feathergate.http.response import HeaderLines, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    "chunked": CHUNKED + b"2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nt: x\r\n\r\n",
    "interim first": b"HTTP/1.1 103 E\r\nlink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "line ends first": b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "compressed": CHUNKED[:-2]
    + b"Content-Encoding: gzip\r\n\r\n%x\r\n" % len(gzip.compress(b"hello"))
    + gzip.compress(b"hello")
    + b"\r\n0\r\n\r\n",
}


def read(*pieces: bytes, limits: ClientLimits | None = None) -> tuple[ResponseReader, bytes]:
    """A reader that has been fed, and the body that it gave."""
    reader = ResponseReader(limits or ClientLimits())
    return reader, b"".join([reader.feed(piece) for piece in pieces])


def cut(data: bytes, size_bytes: int) -> Iterator[bytes]:
    return (data[start : start + size_bytes] for start in range(0, len(data), size_bytes))


# What a feed brings.


def test_feed_turns_at_the_head_and_the_end_and_not_for_body_alone() -> None:
    reader = ResponseReader(ClientLimits())
    turns = [(reader.feed(data), reader.turned) for data in (CHUNKED, b"2\r\nhe\r\n3\r\nllo\r\n", b"0\r\n\r\n")]
    assert turns == [(b"", True), (b"hello", False), (b"", True)]
    assert (reader.status, reader.complete, reader.reusable) == (200, True, True)


@pytest.mark.parametrize("size_bytes", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answer_is_the_same_for_every_split(answer: bytes, size_bytes: int) -> None:
    reader, body = read(*cut(answer, size_bytes))
    assert (reader.status, body, reader.complete, reader.reusable, reader.error) == (200, b"hello", True, True, None)
    assert list(reader.headers) == list(read(answer)[0].headers)


def test_reader_serves_answer_after_answer() -> None:
    reader = ResponseReader(ClientLimits())
    for answer in [*ANSWERS.values(), *ANSWERS.values()]:
        assert (reader.feed(answer), reader.complete) == (b"hello", True)
        reader.reset()
        assert (reader.started, reader.status, reader.complete, len(reader.headers)) == (False, 0, False, 0)


@pytest.mark.parametrize("surplus", [b"H", b"HTTP/1.1 200 OK\r\n\r\n", b"rubbish"])
def test_bytes_after_the_end_spoil_the_connection_and_not_the_answer(surplus: bytes) -> None:
    reader, body = read(ANSWERS["length"] + surplus)
    assert (body, reader.complete, reader.error, reader.reusable) == (b"hello", True, None, False)


def test_closed_reader_reads_nothing() -> None:
    reader = ResponseReader(ClientLimits())
    reader.close()
    assert (reader.feed(ANSWERS["length"]), reader.status) == (b"", 0)


# Heads.

HEADS = {
    "no header": b"HTTP/1.1 200 OK",
    "no reason": b"HTTP/1.1 200\r\na: b",
    "empty values": b"HTTP/1.1 200 OK\r\nA:\r\nB: \t \r\nc:d",
    "white space": b"HTTP/1.1 200 OK\r\nX-Name: \t a \t b \t",
    "colons": b"HTTP/1.1 200 a:b\r\na::b: c",
    "repeated": b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b",
    "not ASCII": b"HTTP/1.1 200 \xfc\r\na: \xc3\xbc\xff",
    "odd name": b"HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09AZ: x",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_header_lines_are_those_that_the_parser_sees(head: bytes) -> None:
    class Seen(list[tuple[bytes, bytes]]):
        def on_header(self, name: bytes, value: bytes) -> None:
            self.append((name.lower(), value.rstrip(b" \t")))

    seen = Seen()
    httptools.HttpResponseParser(seen).feed_data(head + b"\r\n\r\n")
    assert list(read(head + b"\r\n\r\nbody")[0].headers) == seen


def test_header_lines_are_a_sequence() -> None:
    lines = HeaderLines(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d")
    assert (len(lines), lines[0], lines[1:], (b"c", b"d") in lines) == (2, (b"a", b"b"), [(b"c", b"d")], True)
    assert (find_header(lines, b"c"), find_header(lines, b"e")) == (b"d", None)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"RTSP/1.0 200 OK", "claims to be RTSP/1.0"),
        (b"HTTP/2.0 200 OK", "claims to be HTTP/2.0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding:", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t", r"transfer-encoding b'chunked\t'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity", "transfer-encoding b'identity'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", "not HTTP/1.1"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "over HTTP/1.0"),
    ],
)
def test_head_that_leaves_the_length_open_to_doubt_is_refused(head: bytes, why: str) -> None:
    reader, _ = read(head + b"\r\n\r\n")
    assert reader.error is not None
    assert why in reader.error.detail
    assert (reader.error.kind, reader.status, reader.turned) == ("protocol", 0, True)


@pytest.mark.parametrize("coding", [b"chunked", b" \tChunked", b"chunked  "])
def test_chunked_is_read_however_it_is_written(coding: bytes) -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING:%b\r\n\r\n5\r\nhello\r\n0\r\n\r\n" % coding)
    assert (body, reader.complete, reader.error) == (b"hello", True, None)


# Limits.

SMALL = ClientLimits(header_bytes=1000, header_count=10)


@pytest.mark.parametrize(("count", "fits"), [(10, True), (11, False)])
def test_header_may_have_as_many_lines_as_allowed(count: int, fits: bool) -> None:
    reader, _ = read(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * count + b"\r\n", limits=SMALL)
    assert (reader.status == 200, reader.error is None) == (fits, fits)


@pytest.mark.parametrize(("size_bytes", "fits"), [(1000, True), (1001, False)])
def test_head_may_be_as_large_as_allowed(size_bytes: int, fits: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\na: ".ljust(size_bytes, b"b")
    reader, _ = read(head + b"\r\n\r\n", limits=SMALL)
    assert (reader.status == 200, reader.error is None) == (fits, fits)


ENDLESS = {
    "line ends": (b"", b"\r\n"),
    "reason": (b"HTTP/1.1 200 ", b"x"),
    "header lines": (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
    "header name": (b"HTTP/1.1 200 OK\r\n", b"x"),
    "header value": (b"HTTP/1.1 200 OK\r\na:", b"x"),
    "interim header": (b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n", b"a: b\r\n"),
    "chunk extension": (CHUNKED + b"5;", b"x"),
    "chunk size": (CHUNKED, b"0"),
    "trailer": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"t: x\r\n"),
}


@pytest.mark.parametrize("step_bytes", [1, 100])
@pytest.mark.parametrize(("start", "drip"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_an_error_soon_after_the_limit(start: bytes, drip: bytes, step_bytes: int) -> None:
    reader = ResponseReader(SMALL)
    reader.feed(start)
    fed = 0
    for piece in cut(drip * 2000, step_bytes):
        if reader.error is not None:
            break
        fed += len(piece)
        assert reader.feed(piece) == b""
    assert reader.error is not None
    assert (reader.error.kind, fed <= SMALL.header_bytes + step_bytes) == ("protocol", True)


def test_framing_between_pieces_of_body_does_not_add_up() -> None:
    pieces = [piece for _ in range(1000) for piece in (b"1;%b\r\n" % (b"x" * 500), b"y\r\n")]
    reader, body = read(CHUNKED, *pieces, limits=SMALL)
    assert (body, reader.error) == (b"y" * 1000, None)


# The end of the connection.


def test_end_of_the_connection_ends_a_body_without_length() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\n\r\n", b"hello")
    reader.feed_eof()
    assert (body, reader.complete, reader.reusable, reader.turned) == (b"hello", True, False, True)


@pytest.mark.parametrize("name", ["length", "chunked", "compressed"])
def test_end_of_the_connection_before_that_of_the_answer_is_an_error(name: str) -> None:
    for end, _ in pairwise(range(1, len(ANSWERS[name]) + 1)):
        reader, _ = read(ANSWERS[name][:end])
        reader.feed_eof()
        assert reader.error is not None
        assert (reader.error.kind, reader.complete) == ("reset", False)


def test_compressed_body_without_length_has_to_come_to_its_own_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    reader, body = read(head + gzip.compress(b"hello")[:-4])
    reader.feed_eof()
    assert reader.error is not None
    assert (body, reader.error.kind) == (b"hello", "reset")
