"""What a group of deployments adds to a request: another attempt, another model, a second runner, a queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.e2e.native import OPENAI
from tests.e2e.scene import Scene, get_error
from tests.faults.acting import ActingUpstream
from tests.faults.invariants import build_nonce_chat, read_text
from tests.raw_client import Seen
from tests.running import running_gateway
from tests.scripted_upstream import ScriptedUpstream

QUICK = {"timeout": 5.0, "stream_timeout": 5.0}


class GroupScene(Scene):
    """`asked` counts what reached the upstream, by deed; what was asked of a `well` place counts as `well`."""

    acting: ActingUpstream

    async def say(self, deed: str = "well", *, model: str = "group", stream: bool = False, **members: Any) -> Seen:
        return await self.ask(build_nonce_chat(model, "7f", deed=deed, stream=stream))

    @property
    def asked(self) -> dict[str, int]:
        return dict(self.acting.journal.asked)


def build_entry(name: str, place: str, port: int, **params: Any) -> Any:
    address = f"http://127.0.0.1:{port}/{place}/v1"
    ours = {"model": f"openai/{OPENAI.model}", "api_base": address, "api_key": f"sk-{place}-0123456789"}
    return {"model_name": name, "litellm_params": ours | QUICK | params, "model_info": {"id": f"{name}-{place}"}}


@asynccontextmanager
async def open_group(
    *places: str, other: str = "well", params: Any = None, **sections: Any
) -> AsyncIterator[GroupScene]:
    """`group` has a deployment at each place, asked in this order; `other` is a model of its own."""
    async with ActingUpstream() as upstream, ScriptedUpstream(()) as unused:
        models = [
            build_entry("group", place, upstream.port, **{"order": number, **(params or {})})
            for number, place in enumerate(places)
        ]
        models.append(build_entry("other", other, upstream.port))
        async with running_gateway(json.dumps({"model_list": models, **sections})) as gateway:
            scene = GroupScene(unused, gateway)
            scene.acting = upstream
            yield scene


async def test_head_of_the_answer_tells_who_gave_it_and_after_how_many_attempts() -> None:
    async with open_group("bad", "well") as scene:
        seen = await scene.say("status_503")
    assert read_text(seen) == "said 7f"
    told = {
        name: seen.headers[b"x-feathergate-" + name] for name in (b"model", b"provider", b"deployment", b"attempts")
    }
    assert told == {b"model": b"group", b"provider": b"openai", b"deployment": b"group-well", b"attempts": b"2"}
    assert 0 <= float(seen.headers[b"x-feathergate-overhead-ms"]) < 1000
    assert b"x-feathergate-fallback" not in seen.headers


async def test_fallback_says_which_model_was_asked_for() -> None:
    async with open_group("bad", router_settings={"num_retries": 0, "fallbacks": [{"group": ["other"]}]}) as scene:
        seen = await scene.say("status_503", stream=True)
        samples = await scene.scrape()
    assert read_text(seen) == "said 7f"
    assert (seen.headers[b"x-feathergate-model"], seen.headers[b"x-feathergate-fallback"]) == (b"other", b"group")
    assert samples['feathergate_fallbacks_total{model="other",provider="openai"}'] == 1


async def test_litellms_names_stand_beside_ours_in_its_files_only() -> None:
    async with open_group("well", litellm_settings={"num_retries": 1}) as scene:
        headers = (await scene.say()).headers
    assert headers[b"x-litellm-model-id"] == b"group-well"
    assert headers[b"x-litellm-attempted-retries"] == b"0"
    async with open_group("well") as scene:
        assert not any(name.startswith(b"x-litellm") for name in (await scene.say()).headers)


async def test_spent_retries_tell_the_sdk_not_to_multiply_them() -> None:
    async with open_group("bad", params={"num_retries": 1}) as scene:
        seen = await scene.say("status_503")
        assert scene.asked == {"status_503": 2}
    assert (seen.status, seen.headers[b"x-should-retry"]) == (502, b"false")
    assert seen.headers[b"x-feathergate-attempts"] == b"2"


async def test_without_retries_of_ours_the_sdk_may_try_again() -> None:
    async with open_group("bad", router_settings={"num_retries": 0}) as scene:
        assert b"x-should-retry" not in (await scene.say("status_503")).headers


@pytest.mark.parametrize(("stream", "status"), [(False, 504), (True, 504)])
async def test_clients_own_deadline_is_kept_and_blames_nobody(stream: bool, status: int) -> None:
    async with open_group("bad", "well", router_settings={"allowed_fails": 0}) as scene:
        request = build_nonce_chat("group", "7f", deed="silence", stream=stream)
        hurried = request.replace(b"\r\n", b"\r\nx-feathergate-timeout: 0.1\r\n", 1)
        async with asyncio.timeout(2):
            assert (await scene.ask(hurried)).status == status
        samples = await scene.scrape()
    assert not any(name.startswith("feathergate_cooldowns_total") and value for name, value in samples.items())


@pytest.mark.parametrize("value", [b"0", b"-1", b"soon", b"nan", b"inf"])
async def test_deadline_that_is_none_is_a_400(value: bytes) -> None:
    async with open_group("well") as scene:
        request = build_nonce_chat("group", "7f").replace(b"\r\n", b"\r\nx-feathergate-timeout: %b\r\n" % value, 1)
        seen = await scene.ask(request)
    assert "x-feathergate-timeout" in get_error(seen)["message"]
    assert seen.status == 400


async def test_failover_goes_on_behind_an_opened_barrier() -> None:
    settings = {"commit_limit_s": 0.1, "sse_keep_alive_s": 0.1}
    async with open_group("bad", "well", params={"stream_timeout": 0.4}, server_settings=settings) as scene:
        seen = await scene.say("half_stall", stream=True)
        assert scene.asked == {"half_stall": 1, "well": 1}
    assert seen.body.startswith(b": ping\n\n")
    assert read_text(seen) == "said 7f"


async def test_outage_behind_an_opened_barrier_ends_in_one_error_event() -> None:
    settings = {"commit_limit_s": 0.1, "sse_keep_alive_s": 0.1}
    async with open_group("bad", "worse", params={"stream_timeout": 0.3}, server_settings=settings) as scene:
        seen = await scene.say("half_stall", stream=True)
    assert seen.status == 200
    assert seen.body.count(b'"error"') == 1
    assert b"[DONE]" not in seen.body


async def test_conversation_returns_to_the_deployment_that_answered() -> None:
    async with open_group("well", "well/two", params={"order": 1}) as scene:
        first = {"role": "user", "content": "nonce-7f Hello"}
        turns = [first, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Again"}]
        opened = await scene.chat("group", messages=[first])
        later = [await scene.chat("group", messages=turns) for _ in range(12)]
    names = {seen.headers[b"x-feathergate-deployment"] for seen in later}
    assert names == {opened.headers[b"x-feathergate-deployment"]}


async def test_second_deployment_is_asked_beside_a_slow_one() -> None:
    hedge = {"hedge": {"group": {"share": 1.0, "delay_s": 0.1}}}
    async with open_group("bad", "well", server_settings=hedge) as scene:
        async with asyncio.timeout(2):
            seen = await scene.say("silence", stream=True)
        samples = await scene.scrape()
        assert scene.asked == {"silence": 1, "well": 1}
    assert read_text(seen) == "said 7f"
    assert seen.headers[b"x-feathergate-deployment"] == b"group-well"
    assert samples['feathergate_hedges_total{model="group",provider="openai"}'] == 1


async def test_request_beyond_the_limit_waits_for_a_place() -> None:
    async with open_group("bad", server_settings={"group_max_parallel_requests": 1}) as scene:
        seen = await asyncio.gather(*(scene.say("late") for _ in range(3)))
    assert [read_text(item) for item in seen] == ["said 7f"] * 3


async def test_request_that_finds_no_place_in_time_is_a_503() -> None:
    limits = {"max_parallel_requests": 1, "queue_limit_count": 1, "queue_timeout_s": 0.1}
    async with open_group("bad", server_settings=limits) as scene:
        seen = await asyncio.gather(*(scene.say("late") for _ in range(3)))
        assert read_text(await scene.say()) == "said 7f"
    assert sorted(item.status for item in seen) == [200, 503, 503]
    refused = [item for item in seen if item.status == 503]
    assert all(item.headers[b"retry-after"] == b"1" for item in refused)


async def test_deployment_that_is_full_leaves_the_request_to_another() -> None:
    async with open_group("bad", "well", params={"max_parallel_requests": 1}) as scene:
        seen = await asyncio.gather(*(scene.say("late") for _ in range(2)))
        assert scene.asked == {"late": 1, "well": 1}
    assert [read_text(item) for item in seen] == ["said 7f"] * 2


async def test_rejected_key_is_counted_by_its_own_name() -> None:
    async with open_group("bad", "well") as scene:
        assert read_text(await scene.say("status_401")) == "said 7f"
        samples = await scene.scrape()
    assert samples['feathergate_attempt_failures_total{fault="auth",model="group",provider="openai"}'] == 1
    assert samples['feathergate_cooldowns_total{model="group",provider="openai"}'] == 1
