"""Client faults: each row of the tables bears its id in reliability.md, section 2.2. C02 to C04 also stand, for every
provider, in `tests/e2e/test_leaving.py`; the HTTP layer's own cases in `tests/http`."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable

import pytest
from tests.e2e.native import OPENAI, SSE_HEAD, build_stream, build_whole, chat_chunk, chunk, decode_body
from tests.e2e.scene import CHAT, HELLO, build_chat, build_get, build_post, get_error
from tests.faults.harness import CANARY, FAULTY, check_streamed, open_fault
from tests.raw_client import RawClient
from tests.scripted_upstream import REQUEST

from feathergate.http.limits import ServerLimits

GOOD = build_whole(OPENAI.text("Hi"))
MESSAGES = json.dumps(HELLO).encode()
REST = b'"model":"faulty","messages":' + MESSAGES
each_way = pytest.mark.parametrize("leave", [RawClient.finish, RawClient.reset], ids=["FIN", "RST"])


# --- leaving ------------------------------------------------------------------------------------------------------


@each_way
async def test_client_that_leaves_in_its_body_asks_nobody(leave: Callable[[RawClient], None]) -> None:
    """C01."""
    async with open_fault(GOOD) as scene, scene.connect() as client:
        client.send(build_chat(FAULTY)[:-5])
        await asyncio.sleep(0.02)
        leave(client)
    assert scene.upstream.connections == 0
    assert not [line for line in scene.records.lines if line.get("model") != CANARY]


@each_way
@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_while_waiting_frees_the_upstream(
    leave: Callable[[RawClient], None], stream: bool
) -> None:
    """C02, C03."""
    async with open_fault((REQUEST,), params={"timeout": 30, "stream_timeout": 30}) as scene, scene.connect() as client:
        client.send(build_chat(FAULTY, stream=stream))
        await asyncio.sleep(0.05)
        leave(client)
        left_at = time.monotonic()
        await asyncio.wait_for(scene.upstream.left.wait(), 2)
        assert scene.upstream.left_at - left_at < 0.25


@each_way
async def test_client_that_leaves_in_the_middle_frees_the_upstream(leave: Callable[[RawClient], None]) -> None:
    """C04."""
    script = (REQUEST, SSE_HEAD, chunk(chat_chunk({"content": "Hi"})))
    async with open_fault(script, params={"stream_timeout": 30}) as scene, scene.connect() as client:
        client.send(build_chat(FAULTY, stream=True))
        await client.answer(head_only=True)
        leave(client)
        await asyncio.wait_for(scene.upstream.left.wait(), 0.25)


# --- bodies -------------------------------------------------------------------------------------------------------

LARGE = b"{" + REST + b',"user":"' + b"x" * 40_000 + b'"}'
CHUNKS = b"".join(b"3e8\r\n%b\r\n" % LARGE[start : start + 1000] for start in range(0, 40_000, 1000))
HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: a\r\n".encode()
SIZES = {
    "C13 by its length": build_post(LARGE),
    "C13 in chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS + b"0\r\n\r\n",
    "C13 by its length, before it comes": HEAD + b"content-length: 33554433\r\n\r\n",
}


@pytest.mark.parametrize("row", SIZES)
async def test_oversized_body_is_a_413_and_asks_nobody(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_bytes = 33_554_432 if "before" in row else 20_000
    monkeypatch.setattr("tests.running.ServerLimits", lambda: ServerLimits(body_bytes=limit_bytes))
    async with open_fault(GOOD) as scene:
        seen = await scene.ask(SIZES[row])
        assert seen.status == 413
        get_error(seen)
    assert scene.upstream.connections == 0


async def test_compressed_body_is_a_415() -> None:
    """C14."""
    async with open_fault(GOOD) as scene:
        seen = await scene.ask(build_post(gzip.compress(LARGE), {"content-encoding": "gzip"}))
        assert seen.status == 415
        get_error(seen)
    assert scene.upstream.connections == 0


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


WRONG: dict[str, bytes] = {
    "C15 nothing": b"",
    "C15 no JSON": b"hello",
    "C15 an array": b"[]",
    "C15 a number": b"7",
    "C15 a text": b'"x"',
    "C15 null": b"null",
    "C15 cut": b"{" + REST,
    "C15 trailing junk": b"{" + REST + b"}x",
    "C15 two objects": b"{" + REST + b"}{}",
    "C15 trailing comma": b"{" + REST + b",}",
    "C15 single quotes": b"{'model':'faulty'}",
    "C15 a comment": b"{/**/" + REST + b"}",
    "C15 BOM": b"\xef\xbb\xbf{" + REST + b"}",
    "C15 UTF-16": ("{" + REST.decode() + "}").encode("utf-16"),
    "C15 invalid UTF-8": b"{" + REST + b',"user":"\xff"}',
    "C15 overlong UTF-8": b"{" + REST + b',"user":"\xc0\xaf"}',
    "C15 a raw line end in a text": b"{" + REST + b',"user":"\n"}',
    "C16 deep": b"{" + REST + b',"metadata":' + deep(100_000) + b"}",
    "C16 deep messages": b'{"model":"faulty","messages":' + deep(100_000) + b"}",
    "C17 NaN": b"{" + REST + b',"temperature":NaN}',
    "C17 Infinity": b"{" + REST + b',"temperature":Infinity}',
    "C17 1e400": b"{" + REST + b',"temperature":1e400}',
    "C17 5,000 digits": b"{" + REST + b',"max_tokens":' + b"9" * 5000 + b"}",
    "C17 a fraction of a token": b"{" + REST + b',"max_tokens":1.5}',
    "C17 negative": b"{" + REST + b',"max_tokens":-1}',
    "C18 model twice": b'{"model":"canary",' + REST + b"}",
    "C18 model twice, the same": b'{"model":"faulty",' + REST + b"}",
    "C18 model twice, escaped": b'{"mod\\u0065l":"canary",' + REST + b"}",
    "C18 stream twice": b"{" + REST + b',"stream":false,"stream":true}',
    "C19 a lone surrogate": b"{" + REST + b',"user":"\\ud800"}',
    "C25 a stream with wrong parameters": b"{" + REST + b',"stream":true,"temperature":9}',
    "C25 a stream that is no boolean": b"{" + REST + b',"stream":"yes"}',
    "C25 no messages": b'{"model":"faulty","messages":[],"stream":true}',
    "C25 no model": b'{"messages":' + MESSAGES + b"}",
    "C25 an empty model": b'{"model":"","messages":' + MESSAGES + b"}",
}


@pytest.mark.parametrize("row", WRONG)
async def test_wrong_body_is_a_400_and_asks_nobody(row: str) -> None:
    """C20 too: the same connection serves a good request next."""
    async with open_fault(GOOD) as scene, scene.connect() as client:
        seen = await client.ask(build_post(WRONG[row]))
        assert seen.status == 400, seen
        get_error(seen)
        assert scene.upstream.connections == 0
        assert (await client.ask(build_chat(FAULTY))).status == 200


UNUSUAL: dict[str, bytes] = {
    "C16 a thousand keys": b"{" + REST + b"".join(b',"k%d":1' % number for number in range(1000)) + b"}",
    "C16 long text": b"{" + REST + b',"user":"' + b"x" * 3_000_000 + b'"}',
    "C17 minus zero": b"{" + REST + b',"temperature":-0.0}',
    "C17 a long number in a member of tomorrow": b"{" + REST + b',"x_new":1' + b"0" * 300 + b"}",
    "C19 emoji, NUL and bidi": b"{" + REST + ',"user":"👋\\u0000\u202e\\ud83d\\ude00"}'.encode(),
    "C26 members of tomorrow": b"{" + REST + b',"x_new":{"a":[1.50,"b"]}}',
}


@pytest.mark.parametrize("row", UNUSUAL)
async def test_unusual_body_passes_as_it_is(row: str) -> None:
    async with open_fault(GOOD) as scene:
        seen = await scene.ask(build_post(UNUSUAL[row]))
    assert seen.status == 200, seen
    sent, asked = decode_body(scene.upstream.requests[0]), json.loads(UNUSUAL[row])
    assert sent | {"model": FAULTY} == asked


@pytest.mark.parametrize("name", ["👋", "x\0y", "../../admin", "a/b?c#d", "\u202eevil", "x" * 100_000, "%2e", "\\"])
async def test_strange_name_of_a_model_is_not_found(name: str) -> None:
    """C19, S20."""
    async with open_fault(GOOD) as scene:
        seen = await scene.chat(name)
        assert seen.status == 404
        assert len(get_error(seen)["message"]) < 500


WAYS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "gemini": "/v1beta/models/"}


@pytest.mark.parametrize("provider", WAYS)
@pytest.mark.parametrize(
    "name", ["../../admin", "%2e%2e%2f", "a?key=1", "a#b", "@evil.example/", "//evil.example", "a\r\nhost: evil", "a b"]
)
async def test_name_that_a_pattern_passes_on_stays_in_its_place(provider: str, name: str) -> None:
    """S20: neither host nor path nor line of the upstream request is the client's to choose."""
    async with open_fault(
        build_whole({}, status="404 X"), provider=provider, params={"model": f"{provider}/*"}
    ) as scene:
        seen = await scene.chat(f"{FAULTY}-{name}")
    assert seen.status in (400, 404)
    for request in scene.upstream.requests:
        line, *headers = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        path = line.split(" ")[1]
        assert path.startswith(WAYS[provider])
        assert not set(path.removeprefix(WAYS[provider])) & set("/?#@")
        assert [item for item in headers if item.startswith("host:")] == [f"host: 127.0.0.1:{scene.upstream.port}"]


# --- connections --------------------------------------------------------------------------------------------------


async def test_connection_serves_on_after_every_error() -> None:
    """C20."""
    answers = [build_whole(OPENAI.error(status, "No"), status=f"{status} X") for status in (400, 429, 500)]
    async with open_fault(*answers, GOOD) as scene, scene.connect() as client:
        requests = [build_chat("nobody"), build_post(b"{"), build_get("/no"), *(build_chat(FAULTY) for _ in answers)]
        statuses = [(await client.ask(request)).status for request in requests]
        assert statuses == [404, 400, 404, 400, 429, 502]
        assert (await client.ask(build_chat(FAULTY))).status == 200


async def test_pipelined_requests_are_answered_in_order() -> None:
    """C21: whole ones and streams, each with its own word."""
    numbers = range(12)
    scripts = [
        build_stream(OPENAI.events([f"no. {number}"])) if number % 3 else build_whole(OPENAI.text(f"no. {number}"))
        for number in numbers
    ]
    async with open_fault(*scripts) as scene, scene.connect() as client:
        client.send(b"".join(build_chat(FAULTY, stream=bool(number % 3)) for number in numbers))
        for number in numbers:
            seen = await client.answer()
            if number % 3:
                check_streamed(seen, f"no. {number}")
            else:
                assert json.loads(seen.body)["choices"][0]["message"]["content"] == f"no. {number}"


async def test_client_that_leaves_amid_its_pipeline_stops_it() -> None:
    """C21."""
    async with open_fault((REQUEST,), params={"timeout": 30}) as scene:
        async with scene.connect() as client:
            client.send(build_chat(FAULTY) * 5)
            await asyncio.sleep(0.05)
            client.reset()
            await asyncio.wait_for(scene.upstream.left.wait(), 0.25)
        assert scene.upstream.connections == 1


@pytest.mark.parametrize("waits", [False, True])
async def test_expected_continue_comes(waits: bool) -> None:
    """C22."""
    request = build_chat(FAULTY, {"expect": "100-continue"})
    head, _, body = request.partition(b"\r\n\r\n")
    async with open_fault(GOOD) as scene, scene.connect() as client:
        client.send(head + b"\r\n\r\n")
        if waits:
            assert (await client.answer()).status == 100
        client.send(body)
        seen = await client.answer()
        assert (await client.answer() if seen.status == 100 else seen).status == 200


async def test_unknown_expectation_is_a_417() -> None:
    """C22."""
    async with open_fault(GOOD) as scene:
        seen = await scene.ask(build_chat(FAULTY, {"expect": "a-miracle"}))
        assert seen.status == 417
        get_error(seen)
    assert scene.upstream.connections == 0
