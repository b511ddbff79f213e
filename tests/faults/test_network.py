"""The network between gateway and provider: each toxic of the fault proxy, and names that change their address.

Packet loss needs a network namespace of its own; what it does to a connection (late, thin, cut into pieces) is played
by the proxy. Source: reliability.md 2.1 (U04, U11, U25 to U27, U56, U57), A13.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.e2e.native import (
    CALL_ARGS,
    JSON,
    LAST_CHUNK,
    NATIVES,
    OPENAI,
    SSE_HEAD,
    Native,
    build_stream,
    build_whole,
    chunk,
    decode_events,
)
from tests.e2e.scene import Scene
from tests.faults.fault_proxy import (
    FaultProxy,
    Toxic,
    bandwidth,
    latency,
    limit_data,
    reset_peer,
    slicer,
    slow_close,
    timeout,
)
from tests.faults.harness import FAULTY, check_streamed
from tests.faults.invariants import check_answer, is_broken, read_text
from tests.raw_client import Seen
from tests.running import running_gateway
from tests.scripted_upstream import FIN, REQUEST, Script, ScriptedUpstream, build_answer

WORDS = ["Hello", " there,", " how", " are", " you?"]
TIMES = {"timeout": 2.0, "stream_timeout": 0.5}
each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)

HARMLESS: dict[str, Toxic] = {
    "latency": latency(0.05, 0.03),
    "bandwidth": bandwidth(64_000),
    "slow_close": slow_close(0.1),
    "slicer": slicer(7),
}
# Each is told how many bytes the answer has up to its first words, and whether those reach the client.
DEADLY: dict[str, tuple[Callable[[int], Toxic], bool]] = {
    "timeout": (lambda said_bytes: timeout(0.05), False),
    "reset_peer": (lambda said_bytes: reset_peer(0.05), True),
    "limit_data in the head": (lambda said_bytes: limit_data(40), False),
    "limit_data in the stream": (lambda said_bytes: limit_data(said_bytes + 9), True),
}


@asynccontextmanager
async def open_network(native: Native, script: Script, toxics: Sequence[Toxic]) -> AsyncIterator[Scene]:
    """One model, `faulty`, whose provider's answers come through the proxy."""
    async with ScriptedUpstream(script) as upstream, FaultProxy(upstream.port, downstream=toxics) as proxy:
        params = {
            "model": f"{native.name}/{native.model}",
            "api_base": f"http://127.0.0.1:{proxy.port}",
            "api_key": "sk-x",
        }
        models = [{"model_name": FAULTY, "litellm_params": params | TIMES}]
        config = json.dumps({"model_list": models, "router_settings": {"num_retries": 0}})
        async with running_gateway(config) as gateway:
            yield Scene(upstream, gateway)


async def chat(native: Native, script: Script, *toxics: Toxic, **members: Any) -> Seen:
    async with open_network(native, script, toxics) as scene:
        seen = await scene.chat(FAULTY, **members)
    check_answer(seen)
    return seen


@each_provider
@pytest.mark.parametrize("toxic", HARMLESS)
async def test_slow_network_changes_nothing_of_a_stream(native: Native, toxic: str) -> None:
    """U56."""
    seen = await chat(native, build_stream(native.events(WORDS)), HARMLESS[toxic], stream=True)
    check_streamed(seen, "".join(WORDS))


@each_provider
@pytest.mark.parametrize("toxic", HARMLESS)
async def test_slow_network_changes_nothing_of_an_answer(native: Native, toxic: str) -> None:
    seen = await chat(native, build_whole(native.text("Hi")), HARMLESS[toxic])
    assert read_text(seen) == "Hi"


@each_provider
@pytest.mark.parametrize("toxic", DEADLY)
async def test_network_that_breaks_is_an_error_and_never_a_short_answer(native: Native, toxic: str) -> None:
    spoil, is_begun = DEADLY[toxic]
    events = [chunk(event) for event in native.events(WORDS)]
    said, rest = events[: native.silent + 1], events[native.silent + 1 :]
    script: Script = (REQUEST, SSE_HEAD, *said, 0.1, *rest, LAST_CHUNK)
    seen = await chat(native, script, spoil(len(SSE_HEAD) + sum(map(len, said))), stream=True)
    assert seen.status == (200 if is_begun else 502)
    assert is_broken(seen) == is_begun


async def test_body_over_a_thin_line_ends_with_the_attempt() -> None:
    """U11."""
    script = (REQUEST, build_answer(json.dumps(OPENAI.text("x" * 100_000)).encode(), JSON))
    assert (await chat(OPENAI, script, bandwidth(10_000))).status == 504


@each_provider
@pytest.mark.parametrize("size", [1, 3, 64])
async def test_call_of_a_tool_in_slices_is_the_same_call(native: Native, size: int) -> None:
    """U57."""
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    seen = await chat(native, build_stream(native.call_events), slicer(size), stream=True, tools=tools)
    deltas = [event["choices"][0]["delta"] for event in decode_events(seen.body)[:-1] if event["choices"]]
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls") or ()]
    assert [call["name"] for call in calls if call.get("name")] == ["get_weather"]
    assert json.loads("".join(call.get("arguments", "") for call in calls)) == CALL_ARGS


async def test_new_connection_follows_a_name_that_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """U04: a connection that is kept serves on where it is."""
    old, new = (build_answer(json.dumps(OPENAI.text(word)).encode(), JSON) for word in ("old", "new"))
    async with ScriptedUpstream((REQUEST, old, REQUEST, old, FIN)) as first, ScriptedUpstream((REQUEST, new)) as second:
        at = [first.port]

        async def resolve(*_: Any, **options: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at[-1]))]

        params = {"model": "openai/m", "api_base": "http://moving.example/v1", "api_key": "sk-x"}
        models = [{"model_name": FAULTY, "litellm_params": params}]
        async with running_gateway(json.dumps({"model_list": models})) as gateway:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
            scene, texts = Scene(first, gateway), []
            for _ in range(3):
                texts.append(read_text(await scene.chat(FAULTY)))
                at.append(second.port)
            monkeypatch.undo()
    assert texts == ["old", "old", "new"]
