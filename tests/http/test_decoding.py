"""Answers that come compressed although identity was asked for: decoded as they come, and never a bomb."""

from __future__ import annotations

import gzip
import zlib

import pytest
from tests.scripted_upstream import REQUEST, build_answer
from tests.upstream_call import ask, get_error, serve

from feathergate.http.contract import HttpError
from feathergate.http.decoding import RATIO_FLOOR_BYTES, RATIO_LIMIT, Decoder, build_decoder


def get_decoder(coding: bytes) -> Decoder:
    decoder = build_decoder(coding)
    assert decoder is not None
    return decoder


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate"])
async def test_compressed_answer_arrives_decoded_without_its_stale_headers(coding: str) -> None:
    body = zlib.compress(b"hello") if coding == "deflate" else gzip.compress(b"hello")
    async with serve([REQUEST, build_answer(body, f"content-encoding: {coding}", "x-a: b")]) as (_, pool):
        sink = await ask(pool).finished()
        assert (sink.body, sink.headers, sink.calls[-1]) == (b"hello", [(b"x-a", b"b")], "end")
        assert pool.idle == 1


async def test_compressed_stream_is_not_held_back() -> None:
    deflater = zlib.compressobj(wbits=31)
    first = deflater.compress(b"hello") + deflater.flush(zlib.Z_SYNC_FLUSH)
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n"
    async with serve([REQUEST, head + b"%x\r\n%b\r\n" % (len(first), first)]) as (_, pool):
        sink = ask(pool)
        await sink.had_body.wait()
        assert sink.body == b"hello"


async def test_truncated_gzip_is_a_reset() -> None:
    body = gzip.compress(b"hello" * 100)[:-4]
    async with serve([REQUEST, build_answer(body, "content-encoding: gzip")]) as (_, pool):
        sink = await ask(pool).finished()
        assert (get_error(sink), pool.open) == (("reset", False), 0)
        assert sink.body == b"hello" * 100


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"hello") + b"more"], ids=["plain", "surplus"])
async def test_damaged_gzip_is_a_protocol_error(body: bytes) -> None:
    async with serve([REQUEST, build_answer(body, "content-encoding: gzip")]) as (_, pool):
        assert get_error(await ask(pool).finished()) == ("protocol", False)


async def test_bomb_is_a_protocol_error() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    async with serve([REQUEST, build_answer(bomb, "content-encoding: gzip")]) as (_, pool):
        sink = await ask(pool).finished()
        assert (get_error(sink), len(sink.body) <= RATIO_LIMIT * len(bomb)) == (("protocol", False), True)


def test_small_body_may_grow_as_it_likes() -> None:
    body = bytes(RATIO_FLOOR_BYTES)
    assert get_decoder(b"gzip").decode(gzip.compress(body)) == body


def test_decoder_gives_the_same_bytes_for_every_split() -> None:
    body = b"".join(b"%d," % number for number in range(2000))
    encoded = gzip.compress(body)
    decoder = get_decoder(b"gzip")
    assert b"".join(decoder.decode(encoded[at : at + 1]) for at in range(len(encoded))) == body
    assert decoder.complete


def test_body_of_no_bytes_is_complete() -> None:
    assert get_decoder(b"gzip").complete


@pytest.mark.parametrize("coding", [b"", b"identity", b" Identity "])
def test_identity_needs_no_decoder(coding: bytes) -> None:
    assert build_decoder(coding) is None


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"gzip, identity"])
def test_other_codings_are_refused(coding: bytes) -> None:
    with pytest.raises(HttpError, match="identity was asked for"):
        build_decoder(coding)
