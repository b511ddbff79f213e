"""How an answer ends when its upstream, its client or the gateway itself does what nobody expects."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from typing import Any

import pytest
from msgspec.structs import replace
from tests.e2e.native import NATIVES, SSE_HEAD, Native, build_stream, build_whole, chat_chunk, chunk, decode_events
from tests.e2e.scene import PAUSE_S, build_post, get_error, open_scene
from tests.raw_client import until
from tests.scripted_upstream import REQUEST

from feathergate.dialects.chat import CHAT
from feathergate.errors import UpstreamError
from feathergate.gateway import exchange, relay
from feathergate.gateway.relay import Relay
from feathergate.providers import PROVIDERS
from feathergate.wire.codec import decode_chat

each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
LOST = "feathergate_client_disconnects_total"


class UnforeseenError(Exception):
    """What no reader of an answer is known to raise."""


class FailingDialect:
    """Chat, but for whole answers and for events with `fail` in them."""

    name = "chat"
    complete = False
    build_request = CHAT.build_request

    def parse_answer(self, body: bytes, context: Any) -> Any:
        raise UnforeseenError

    def open_stream(self, context: Any) -> Any:
        self._decoder = CHAT.open_stream(context)
        return self

    def decode(self, name: bytes, data: bytes) -> Any:
        if b"fail" in data:
            raise UnforeseenError
        return self._decoder.decode(name, data)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of `NATIVES` speaks the failing dialect."""
    monkeypatch.setitem(PROVIDERS, "openai", replace(PROVIDERS["openai"], dialect=FailingDialect()))


@pytest.mark.usefixtures("failing")
async def test_unforeseen_failure_in_a_whole_answer_is_a_500_at_once() -> None:
    began = time.monotonic()
    async with open_scene(build_whole(NATIVES[0].text("Hi"))) as scene:
        seen = await scene.chat("fast-openai")
    assert (seen.status, time.monotonic() - began < 1) == (500, True)
    assert "The gateway failed" in get_error(seen)["message"]


@pytest.mark.usefixtures("failing")
async def test_unforeseen_failure_in_a_stream_is_an_error_event() -> None:
    steps = build_stream(NATIVES[0].events(["Hi"])[:2], PAUSE_S)
    async with open_scene((*steps, chunk(chat_chunk({"content": "fail"})))) as scene, scene.connect() as client:
        client.send(build_post(json.dumps({"model": "fast-openai", "messages": [{}], "stream": True}).encode()))
        await client.reader.readuntil(b"Hi")
        body = await client.reader.readuntil(b"\r\n0\r\n\r\n")
    assert b"The gateway failed" in body
    assert b"[DONE]" not in body


@each_provider
async def test_known_status_survives_a_body_that_stalls(native: Native, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "ERROR_BODY_S", 0.1)
    head = b"HTTP/1.1 429 Too Many\r\nretry-after: 3\r\ncontent-length: 500\r\n\r\n{"
    async with open_scene((REQUEST, head)) as scene:
        seen = await scene.chat(f"fast-{native.name}")
    assert (seen.status, seen.headers[b"retry-after"]) == (429, b"3")


async def test_comments_are_no_events() -> None:
    pings: list[Any] = [step for _ in range(20) for step in (chunk(b": ping\n\n"), 0.05)]
    async with open_scene((REQUEST, SSE_HEAD, *pings), params={"stream_timeout": 0.3}) as scene:
        seen = await scene.chat("fast-openai", stream=True)
    assert (seen.status, "no event came" in get_error(seen)["message"]) == (504, True)


async def test_events_that_come_in_time_keep_a_stream_alive() -> None:
    pieces: list[Any] = [step for _ in range(6) for step in (0.1, chunk(chat_chunk({"content": "x"})))]
    end = (chunk(chat_chunk({}, "stop")), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")
    async with open_scene((REQUEST, SSE_HEAD, *pieces, *end), params={"stream_timeout": 0.3}) as scene:
        seen = await scene.chat("fast-openai", stream=True)
    assert decode_events(seen.body)[-1] == "[DONE]"


async def test_key_is_masked_wherever_a_provider_repeats_it() -> None:
    key = "sk-canary-openai-0123456789"
    error = {"error": {"message": f"Bad {key}", "param": key, "code": key}}
    async with open_scene(build_whole(error, status="400 Bad")) as scene:
        seen = await scene.chat("fast-openai")
    assert seen.status == 400
    assert key.encode() not in seen.body


async def test_client_that_left_before_a_refusal_is_a_disconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "OFF_LOOP_BYTES", 0)

    def decode_late(body: bytes) -> Any:
        time.sleep(0.2)
        return decode_chat(body)

    monkeypatch.setattr(exchange, "decode_chat", decode_late)
    async with open_scene(()) as scene:
        async with scene.connect() as client:
            client.send(build_post(b'{"model":"nobody","messages":[{}]}'))
            await asyncio.sleep(0.05)
        await until(lambda: scene.gateway.server.connections == 0)
        await asyncio.sleep(0.3)
        samples = await scene.scrape()
    assert samples["feathergate_requests_failed"] == 0
    assert sum(value for name, value in samples.items() if name.startswith(LOST)) == 1


async def test_large_answer_is_translated_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "OFF_LOOP_BYTES", 10)
    async with open_scene(build_whole(NATIVES[1].text("Hi" * 50))) as scene:
        seen = await scene.chat("fast-anthropic")
    assert json.loads(seen.body)["choices"][0]["message"]["content"] == "Hi" * 50


DAMAGED = {
    "whole": build_whole({"nonsense": True}),
    "compressed": (REQUEST, b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nxxx"),
    "refused": build_whole({"error": {"message": "no"}}, status="500 No"),
}


@pytest.mark.parametrize("kind", DAMAGED)
async def test_failed_answer_leaves_nothing_for_the_collector(kind: str) -> None:
    async with open_scene(DAMAGED[kind]) as scene:
        await scene.chat("fast-openai")
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            assert [(await scene.chat("fast-openai")).status for _ in range(5)] == [502] * 5
            gc.collect()
            left = [item for item in gc.garbage if isinstance(item, (Relay, UpstreamError))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
