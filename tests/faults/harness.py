"""One fault: what a client sees of it, and what must hold after every fault.

A scene has two upstreams: one plays the fault as the model `faulty`, the other is well (`canary`). When the scene
ends, the canary is still served, nothing of the gateway's is still at work, and no connection is held by a request.
The client's own patience (`PATIENCE_S`) bounds the time. Source: reliability.md 2.0, I1, I2, I3, I5, I8, I10.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.native import OPENAI, build_whole, decode_events, join_text
from tests.e2e.scene import Scene, get_error
from tests.raw_client import Seen, until
from tests.running import running_gateway
from tests.scripted_upstream import Script, ScriptedUpstream

FAULTY, CANARY = "faulty", "canary"
TIMEOUTS = {"timeout": 0.4, "stream_timeout": 0.2}


@asynccontextmanager
async def open_fault(
    *scripts: Script, provider: str = "openai", params: Any = None, **sections: Any
) -> AsyncIterator[Scene]:
    """`params` of the faulty model; `sections` of the configuration."""
    async with (
        ScriptedUpstream(*(scripts or ((),))) as upstream,
        ScriptedUpstream(build_whole(OPENAI.text("Hi"))) as well,
    ):
        config = build_config(provider, upstream.port, well.port, params or {}, sections)
        async with running_gateway(config) as gateway:
            scene = Scene(upstream, gateway)
            yield scene
            assert (await scene.chat(CANARY)).status == 200
            assert (await scene.ask(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")).status == 200
            await until(lambda: not find_tasks() and scene.busy == 0 and gateway.server.connections == 0)


def build_config(provider: str, faulty_port: int, well_port: int, params: Any, sections: Any) -> str:
    faulty = {"model": f"{provider}/m", "api_base": f"http://127.0.0.1:{faulty_port}", "api_key": "sk-canary-01234567"}
    canary = {"model": "openai/m", "api_base": f"http://127.0.0.1:{well_port}", "api_key": "sk-x"}
    models = [
        {"model_name": FAULTY + "*" * ("*" in params.get("model", "")), "litellm_params": faulty | TIMEOUTS | params},
        {"model_name": CANARY, "litellm_params": canary},
    ]
    return json.dumps({"model_list": models, **sections})


def find_tasks() -> list[str]:
    """The gateway's tasks that are not over."""
    tasks = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    return [text for text in tasks if "Exchange." in text or "_render_metrics" in text]


def check_failed(seen: Seen, status: int, kind: str, samples: dict[str, float]) -> Any:
    """An error answer of ours, counted under the class of its fault. Returns the error."""
    assert seen.status == status, seen
    error = get_error(seen)
    assert samples[f'feathergate_failures_total{{fault="{kind}",model="{FAULTY}",provider="openai"}}'] == 1
    return error


def check_broken(seen: Seen, text: str, kind: str, samples: dict[str, float]) -> Any:
    """A stream that said `text`, and then its error as the last event, with no [DONE]."""
    events = decode_events(seen.body)
    assert seen.status == 200
    assert join_text(events) == text
    assert "[DONE]" not in events
    assert events[-1]["error"]["type"] == "feathergate_error"
    assert samples[f'feathergate_failures_total{{fault="{kind}",model="{FAULTY}",provider="openai"}}'] == 1
    return events[-1]["error"]


def check_streamed(seen: Seen, text: str) -> None:
    """A stream that is whole: its text, a finish, and one [DONE] at the end."""
    events = decode_events(seen.body)
    assert seen.status == 200, seen
    assert join_text(events) == text
    assert [event for event in events if event == "[DONE]"] == events[-1:]
