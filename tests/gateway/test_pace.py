"""How fast a stream speaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.native import LAST_CHUNK, OPENAI, SSE_HEAD, chat_chunk, chunk, decode_events
from tests.e2e.scene import get_last_error, open_scene
from tests.scripted_upstream import REQUEST

from feathergate.gateway import pace as pace_module
from feathergate.gateway.pace import Pace


def render(delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "ünïcode!"},
        {"reasoning_content": "thinking"},
        {"refusal": "I won't."},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_what_the_client_reads_counts_by_its_characters(delta: Any) -> None:
    fast, slow = Pace(0.8, now=0.0), Pace(0.9, now=0.0)
    for pace in (fast, slow):
        pace.add(render(delta))
    assert (fast.is_slow(10.0), slow.is_slow(10.0)) == (False, True)


def test_each_window_is_judged_by_itself() -> None:
    pace = Pace(1.0, now=0.0)
    pace.add(render({"content": "x" * 100}))
    assert [pace.is_slow(now) for now in (5.0, 10.0, 15.0, 20.0)] == [False, False, False, True]


@pytest.mark.parametrize("data", [b"data: [DONE]\n\n", b": ping\n\n", b"data: {oops\n\n", b'data: {"usage": 1}\n\n'])
def test_what_is_no_text_does_not_count(data: bytes) -> None:
    pace = Pace(0.1, now=0.0)
    pace.add(data)
    assert pace.is_slow(10.0)


async def test_stream_that_drips_is_stalled_where_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "WINDOW_S", 0.2)
    monkeypatch.setattr(Pace.__init__, "__defaults__", (0.2,))
    drip = [step for number in range(30) for step in (chunk(chat_chunk({"content": f"{number}"})), 0.05)]
    script = (REQUEST, SSE_HEAD, *drip, *map(chunk, OPENAI.events([])[-2:]), LAST_CHUNK)
    async with open_scene(script, server_settings={"slow_stream_chars_per_s": 1000.0}) as scene:
        seen = await scene.chat("fast-openai", stream=True)
    assert "too slow" in get_last_error(seen.body)["message"]
    assert "[DONE]" not in decode_events(seen.body)
