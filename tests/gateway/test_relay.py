"""The commit barrier, deadlines and backpressure: what a client sees of a stream, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e.native import (
    LAST_CHUNK,
    NATIVES,
    OPENAI,
    SSE_HEAD,
    Native,
    build_stream,
    chat_chunk,
    chunk,
    decode_events,
    encode_event,
    join_text,
)
from tests.e2e.scene import PAUSE_S, build_chat, get_error, get_last_error, open_scene
from tests.raw_client import until
from tests.scripted_upstream import FIN, REQUEST, RST, ScriptedUpstream

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Context
from feathergate.errors import InternalError
from feathergate.gateway.reading import Reading
from feathergate.gateway.relay import Relay
from feathergate.http.answer import Answer
from feathergate.http.ticker import Ticker

each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
OVERLOADED = {
    "openai": encode_event({"error": {"message": "Too many", "type": "rate_limit_error", "code": None}}),
    "anthropic": encode_event(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many"}}, name="error"
    ),
    "gemini": encode_event({"error": {"code": 429, "message": "Too many", "status": "RESOURCE_EXHAUSTED"}}),
}


# --- the barrier ------------------------------------------------------------------------------------------------------


@each_provider
@pytest.mark.parametrize("silent", [0, None], ids=["at once", "after the opening events"])
async def test_error_before_content_keeps_its_status(native: Native, silent: int | None) -> None:
    opening = native.events(["Hi"])[: native.silent if silent is None else silent]
    async with open_scene(build_stream([*opening, OVERLOADED[native.name]], PAUSE_S, LAST_CHUNK)) as scene:
        seen = await scene.chat(f"fast-{native.name}", stream=True)
    assert seen.status == 429
    assert get_error(seen)["message"] == "Too many"


@each_provider
async def test_error_after_content_is_an_event_and_no_done(native: Native) -> None:
    opening = native.events(["Hi"])[: native.silent + 1]
    script = (*build_stream(opening, PAUSE_S), chunk(OVERLOADED[native.name]), LAST_CHUNK)
    async with open_scene(script) as scene:
        seen = await scene.chat(f"fast-{native.name}", stream=True)
    assert seen.status == 200
    assert join_text(decode_events(seen.body)) == "Hi"
    assert get_last_error(seen.body)["message"] == "Too many"


@each_provider
async def test_reset_before_content_is_a_502(native: Native) -> None:
    opening = native.events(["Hi"])[: native.silent]
    async with open_scene(build_stream(opening, PAUSE_S, RST)) as scene:
        seen = await scene.chat(f"fast-{native.name}", stream=True)
    assert seen.status == 502
    assert "broke the connection" in get_error(seen)["message"]


@each_provider
@pytest.mark.parametrize("end", [RST, FIN, LAST_CHUNK], ids=["RST", "FIN", "clean"])
async def test_truncation_after_content_is_an_error_event(native: Native, end: Any) -> None:
    opening = native.events(["Hi"])[: native.silent + 1]
    async with open_scene(build_stream(opening, PAUSE_S, end)) as scene:
        seen = await scene.chat(f"fast-{native.name}", stream=True)
    assert join_text(decode_events(seen.body)) == "Hi"
    assert get_last_error(seen.body)["type"] == "feathergate_error"


@each_provider
async def test_status_line_waits_for_content(native: Native) -> None:
    events = native.events(["Hi"])
    head, rest = events[: native.silent], events[native.silent :]
    async with open_scene(build_stream(head, 0.15, *map(chunk, rest), LAST_CHUNK)) as scene, scene.connect() as client:
        client.send(build_chat(f"fast-{native.name}", stream=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readexactly(1), 0.08)
        body = await client.reader.readuntil(b"\r\n0\r\n\r\n")
    assert body.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"[DONE]" in body


async def test_events_are_passed_on_as_they_come() -> None:
    first, second = chat_chunk({"content": "one"}), chat_chunk({"content": "two"})
    async with open_scene((REQUEST, SSE_HEAD, chunk(first), 0.3, chunk(second))) as scene, scene.connect() as client:
        client.send(build_chat("fast-openai", stream=True))
        async with asyncio.timeout(0.25):
            await client.reader.readuntil(first)


# --- the time limit ---------------------------------------------------------------------------------------------------


HASTY = {"commit_limit_s": 0.1, "sse_keep_alive_s": 0.1}
"""The barrier opens after a tenth of a second, and comments follow as often."""


async def test_silent_upstream_lets_comments_flow_and_then_the_answer() -> None:
    events = OPENAI.events(["Hi"])
    async with open_scene((REQUEST, 0.4, SSE_HEAD, *map(chunk, events), LAST_CHUNK), server_settings=HASTY) as scene:
        seen = await scene.chat("fast-openai", stream=True)
    assert seen.status == 200
    assert seen.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert (seen.headers[b"cache-control"], seen.headers[b"x-accel-buffering"]) == (b"no-cache", b"no")
    assert seen.body.startswith(b": ping\n\n: ping\n\n")
    assert join_text(decode_events(seen.body)) == "Hi"
    assert seen.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "late",
    [(RST,), (b"HTTP/1.1 429 X\r\ncontent-length: 2\r\n\r\n{}",), (SSE_HEAD, chunk(OVERLOADED["openai"]))],
    ids=["reset", "status", "event"],
)
async def test_failure_after_the_time_limit_is_an_event(late: Any) -> None:
    async with open_scene((REQUEST, 0.25, *late), server_settings=HASTY) as scene:
        seen = await scene.chat("fast-openai", stream=True)
        samples = await scene.scrape()
    assert seen.status == 200
    assert seen.body.startswith(b": ping\n\n")
    assert get_last_error(seen.body)["type"] == "feathergate_error"
    assert samples["feathergate_requests_failed"] == 1


async def test_keep_alive_comments_flow_between_events() -> None:
    events = OPENAI.events(["Hi"])
    async with open_scene(
        build_stream(events[:2], 0.35, *map(chunk, events[2:]), LAST_CHUNK), server_settings=HASTY
    ) as scene:
        seen = await scene.chat("fast-openai", stream=True)
    assert seen.body.count(b": ping\n\n") >= 2
    assert join_text(decode_events(seen.body)) == "Hi"


@pytest.mark.parametrize("stream", [False, True])
async def test_silence_is_a_504(stream: bool) -> None:
    async with open_scene((REQUEST,), params={"timeout": 0.2, "stream_timeout": 0.1}) as scene:
        seen = await scene.chat("fast-openai", stream=stream)
        assert seen.status == 504
        get_error(seen)
        await until(lambda: scene.busy == 0)


@each_provider
async def test_stall_after_content_is_an_error_event(native: Native) -> None:
    opening = native.events(["Hi"])[: native.silent + 1]
    async with open_scene((REQUEST, SSE_HEAD, *map(chunk, opening)), params={"stream_timeout": 0.2}) as scene:
        seen = await scene.chat(f"fast-{native.name}", stream=True)
        assert "fell silent" in get_last_error(seen.body)["message"]
        await until(lambda: scene.busy == 0)


async def test_whole_requests_time_ends_a_stream_that_never_ends() -> None:
    drip = [step for number in range(100) for step in (chunk(chat_chunk({"content": f"{number} "})), 0.02)]
    async with open_scene((REQUEST, SSE_HEAD, *drip), router_settings={"timeout": 0.3}) as scene:
        async with asyncio.timeout(1):
            seen = await scene.chat("fast-openai", stream=True)
    assert join_text(decode_events(seen.body)).startswith("0 1 2 ")
    assert "timeout" in get_last_error(seen.body)["message"]


async def test_request_timeout_bounds_a_whole_answer() -> None:
    async with open_scene((REQUEST,), litellm_settings={"request_timeout": 0.2}) as scene:
        assert (await scene.chat("fast-openai")).status == 504


# --- backpressure -----------------------------------------------------------------------------------------------------


async def test_slow_reader_stops_the_upstream_and_loses_nothing() -> None:
    pieces = [f"{number:06}" + "x" * 10_000 for number in range(3000)]  # 30 MB: more than all sockets hold
    events = OPENAI.events(pieces)
    sent = 0

    class CountingUpstream(ScriptedUpstream):
        async def _do(self, step: Any, reader: Any, writer: Any) -> None:
            nonlocal sent
            await super()._do(step, reader, writer)
            sent += len(step) if isinstance(step, bytes) else 0

    async with (
        CountingUpstream(build_stream(events)) as upstream,
        open_scene((), params={"api_base": f"http://127.0.0.1:{upstream.port}"}) as scene,
        scene.connect() as client,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(build_chat("fast-openai", stream=True))
        await until(lambda: sent > 0)
        stalled = -1
        while stalled != sent:  # until nothing moves any more
            stalled = sent
            await asyncio.sleep(0.1)
        assert stalled < 20_000_000, "the upstream was read on, and the answer kept in memory"
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen = await client.answer()
    text = join_text(decode_events(seen.body))
    assert text == "".join(pieces)
    assert seen.body.endswith(b"data: [DONE]\n\n")


# --- edges that no socket hits reliably -------------------------------------------------------------------------------


class ClosingTransport(asyncio.Transport):
    """A connection whose end has been decided, and not yet told."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def is_closing(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))


def build_relay(ticker: Ticker) -> Relay:
    reading = Reading(CHAT, Context(model="m"), "id", 1, 1000, ("hunter22",))
    return Relay(ticker, reading, None, ticker.now() + 1)


async def test_answer_to_a_connection_that_is_closing_goes_nowhere() -> None:
    ticker = Ticker(asyncio.get_running_loop())
    relay, transport = build_relay(ticker), ClosingTransport()
    relay.open(Answer(transport, lambda answer: None), b"")
    relay.break_off(InternalError("over"))
    assert transport.sent == []
    ticker.close()


async def test_relay_that_is_broken_off_tells_the_client_and_masks_its_secrets() -> None:
    ticker = Ticker(asyncio.get_running_loop())
    relay = build_relay(ticker)
    relay.break_off(InternalError("hunter22 is the key"))
    assert relay.error is not None
    assert relay.error.message == "*** is the key"
    assert relay.over
    ticker.close()


async def test_relay_that_is_broken_off_after_its_end_keeps_its_answer() -> None:
    ticker = Ticker(asyncio.get_running_loop())
    relay = build_relay(ticker)
    relay.let_go()
    relay.open(Answer(ClosingTransport(), lambda answer: None), b"")
    relay.break_off(InternalError("too late"))
    assert relay.error is None
    ticker.close()
