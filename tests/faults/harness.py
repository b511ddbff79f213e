"""One fault: what a client sees of it, and what must hold after every fault.

A scene has two upstreams: one plays the fault as the model `faulty`, the other is well (`canary`) and asked all the
time by a neighbour. When the scene ends, nothing of the gateway's is still at work, no connection is held by a
request, and the invariants of reliability.md 2.0 hold (`invariants.py`). One attempt is judged at a time: nothing is
tried again and nothing cooled unless a test says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.native import OPENAI, Native, decode_events, join_text
from tests.e2e.scene import Scene, get_error
from tests.faults.acting import ActingUpstream
from tests.faults.invariants import (
    KEY,
    NEIGHBOUR,
    Records,
    check_answer,
    check_records,
    find_tasks,
    keeping_records,
    neighbouring,
)
from tests.raw_client import Seen, until
from tests.running import Gateway, running_gateway
from tests.scripted_upstream import Script, ScriptedUpstream

FAULTY, CANARY = "faulty", NEIGHBOUR
TIMEOUTS = {"timeout": 0.4, "stream_timeout": 0.2}
PATIENT = {"timeout": 3.0, "stream_timeout": 0.3}
ONE_ATTEMPT = {"num_retries": 0, "disable_cooldowns": True}
GRACE_S = 1.0


class FaultScene(Scene):
    """`answered` are the answers to whole requests on connections of their own; `deadline_s` is a request's time."""

    records: Records
    answered: list[Seen]
    deadline_s: float

    async def ask(self, data: bytes) -> Seen:
        began = time.monotonic()
        seen = await super().ask(data)
        if data.startswith(b"POST "):
            assert time.monotonic() - began < self.deadline_s + GRACE_S
            check_answer(seen)
            self.answered.append(seen)
        return seen


def build_scene(upstream: ScriptedUpstream, gateway: Gateway, records: Records, deadline_s: float) -> FaultScene:
    scene = FaultScene(upstream, gateway)
    scene.records, scene.answered, scene.deadline_s = records, [], deadline_s
    return scene


@asynccontextmanager
async def open_fault(
    *scripts: Script, provider: str = "openai", params: Any = None, **sections: Any
) -> AsyncIterator[FaultScene]:
    """`params` of the faulty model; `sections` of the configuration."""
    settings = TIMEOUTS | (params or {})
    with keeping_records() as records:
        async with ScriptedUpstream(*(scripts or ((),))) as upstream, ActingUpstream() as well:
            config = build_config(provider, upstream.port, well.port, settings, sections)
            async with running_gateway(config, log=records.log) as gateway:
                scene = build_scene(upstream, gateway, records, settings["timeout"])
                async with neighbouring(gateway.port):
                    yield scene
                await until(lambda: not find_tasks() and scene.busy == 0 and gateway.server.connections == 0)
        records.end()
        check_records(records, scene.answered)
        check_attempts(scene)


def check_attempts(scene: FaultScene) -> None:
    """I9: one attempt a request, and at most one connection more where a pooled one had died."""
    lines = scene.records.of(FAULTY)
    assert len(scene.upstream.requests) <= sum(line.get("attempts", 0) for line in lines) + len(lines)
    assert all(line.get("attempts", 0) <= 1 for line in lines)


def build_config(provider: str, faulty_port: int, well_port: int, params: Any, sections: Any) -> str:
    faulty = {"model": f"{provider}/m", "api_base": f"http://127.0.0.1:{faulty_port}", "api_key": KEY}
    canary = {"model": "openai/m", "api_base": f"http://127.0.0.1:{well_port}", "api_key": "sk-x"}
    models = [
        {"model_name": FAULTY + "*" * ("*" in params.get("model", "")), "litellm_params": faulty | params},
        {"model_name": CANARY, "litellm_params": canary},
    ]
    return json.dumps({"model_list": models, "router_settings": ONE_ATTEMPT, **sections})


def build_deployment(name: str, native: Native, port: int, place: str, **params: Any) -> Any:
    """One deployment of the group `name`, played by an `ActingUpstream`: well where `place` is `well`."""
    address = f"http://127.0.0.1:{port}/{place}" + "/v1" * (native is OPENAI)
    ours = {"model": f"{native.name}/{native.model}", "api_base": address, "api_key": KEY + place}
    return {"model_name": name, "litellm_params": ours | PATIENT | params, "model_info": {"id": f"{name}-{place}"}}


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
