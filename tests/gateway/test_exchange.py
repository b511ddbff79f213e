"""One request's life among several deployments: what is held is let go, and what is told is the winner's."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from tests.e2e.native import ANTHROPIC, OPENAI
from tests.e2e.scene import build_post, get_error
from tests.faults.acting import ActingUpstream
from tests.faults.invariants import build_nonce_chat, read_text
from tests.gateway.test_ends import FailingDialect
from tests.gateway.test_resilience import GroupScene, build_entry, open_group
from tests.raw_client import until
from tests.running import running_gateway
from tests.scripted_upstream import ScriptedUpstream

from feathergate.errors import ClientError, UpstreamError
from feathergate.gateway.relay import Relay
from feathergate.providers import PROVIDERS
from feathergate.routing.gate import Gate
from feathergate.routing.group import Member
from feathergate.routing.health import Health
from feathergate.transport.media import MediaFetcher

HEDGED = {"hedge": {"group": {"share": 1.0, "delay_s": 0.1}}}
FALLBACK = [{"group": ["other"]}]
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@asynccontextmanager
async def open_mixed(*places: tuple[Any, str], **sections: Any) -> AsyncIterator[GroupScene]:
    """`group` has a deployment of that provider at each place, asked in this order."""
    async with ActingUpstream() as upstream, ScriptedUpstream(()) as unused:
        models = []
        for number, (native, place) in enumerate(places):
            entry = build_entry("group", place, upstream.port, order=number)
            entry["model_info"]["id"] += f"-{number}"
            if native is ANTHROPIC:
                entry["litellm_params"] |= {
                    "model": f"anthropic/{native.model}",
                    "api_base": f"http://127.0.0.1:{upstream.port}/{place}",
                }
            models.append(entry)
        async with running_gateway(json.dumps({"model_list": models, **sections})) as gateway:
            scene = GroupScene(unused, gateway)
            scene.acting = upstream
            yield scene


def find_members(scene: GroupScene, name: str = "group") -> tuple[Member[Any], ...]:
    return scene.gateway.runtime.find_group(name).members


def find_exchanges() -> list[asyncio.Task[Any]]:
    """A compiled coroutine, which does not say what it is, is one."""
    found = ((task, task.get_coro()) for task in asyncio.all_tasks())
    return [task for task, work in found if not hasattr(work, "cr_code") or "Exchange.run" in repr(work)]


async def half_open(scene: GroupScene, member: Member[Any]) -> None:
    """Cool the member for as long as its settings say, and wait for the end of it."""
    now = scene.gateway.runtime.shared.ticker.now
    assert member.health.note_failure(now(), "rate_limit", None, alone=False)
    await until(lambda: member.health.admits(now()).state == "probe")


# --- what the answer's head tells -----------------------------------------------------------------------------------


async def test_group_that_cools_whole_says_that_a_fallback_answered() -> None:
    async with open_group("bad", "worse", router_settings={"fallbacks": FALLBACK, "cooldown_time": 60}) as scene:
        for member in find_members(scene):
            member.health.note_failure(asyncio.get_running_loop().time(), "rate_limit", None, alone=False)
        seen = await scene.say()
    assert (seen.headers[b"x-feathergate-model"], seen.headers.get(b"x-feathergate-fallback")) == (b"other", b"group")


async def test_error_of_a_fallback_says_that_it_is_one_s() -> None:
    async with open_group("bad", other="worse", router_settings={"num_retries": 0, "fallbacks": FALLBACK}) as scene:
        seen = await scene.say("status_503")
    assert seen.status == 502
    assert (seen.headers[b"x-feathergate-model"], seen.headers.get(b"x-feathergate-fallback")) == (b"other", b"group")


async def test_deployment_that_was_never_asked_is_not_told_as_the_one_that_failed() -> None:
    wrong: Any = {"messages": [{"role": "user", "content": "nonce-7f do-status_503"}], "n": 2}
    async with open_mixed((OPENAI, "bad"), (ANTHROPIC, "bad")) as scene:
        seen = await scene.chat("group", **wrong)
    assert (seen.status, seen.headers[b"x-feathergate-deployment"]) == (502, b"group-bad-0")


async def test_time_behind_the_barrier_is_not_the_gateway_s_own() -> None:
    settings = {"commit_limit_s": 0.2}
    async with open_group("bad", server_settings=settings) as scene:
        seen = await scene.say("late", stream=True)
    assert read_text(seen) == "said 7f"
    assert float(seen.headers[b"x-feathergate-overhead-ms"]) < 100


async def test_pause_before_a_retry_is_not_the_gateway_s_own() -> None:
    async with open_group("bad", params={"num_retries": 1}) as scene:
        seen = await scene.say("status_503")
    assert float(seen.headers[b"x-feathergate-overhead-ms"]) < 200


async def test_dropped_fields_are_those_of_the_attempt_that_won() -> None:
    asked: Any = {"messages": [{"role": "user", "content": "nonce-7f do-late"}], "seed": 1}
    async with open_mixed((ANTHROPIC, "bad"), (OPENAI, "bad"), server_settings=HEDGED) as scene:
        seen = await scene.chat("group", **asked)
        assert scene.asked == {"late": 2}
    told = (seen.headers[b"x-feathergate-deployment"], seen.headers.get(b"x-feathergate-dropped"))
    assert told == (b"group-bad-0", b"seed")


@pytest.mark.parametrize("name", ["ü" * 4000, "a\r\nx-evil: 1", "n" * 100_000], ids=["foreign", "split", "long"])
async def test_odd_names_do_not_break_the_answers_head(name: str) -> None:
    entry = build_entry(name, "well", 9)
    entry["litellm_params"]["mock_response"] = "Hi"
    entry["model_info"]["id"] = "n" * 1000
    async with running_gateway(json.dumps({"model_list": [entry], "litellm_settings": {}})) as gateway:
        scene = GroupScene(None, gateway)  # type: ignore[arg-type]
        seen = await scene.chat(name)
    assert seen.status == 200
    assert b"x-evil" not in seen.headers
    assert max(map(len, seen.headers.values())) < 1024


# --- whose fallbacks they are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "status"), [("alias", 200), ("group", 502)])
async def test_fallbacks_of_an_alias_are_its_own(asked: str, status: int) -> None:
    settings = {"num_retries": 0, "model_group_alias": {"alias": "group"}, "fallbacks": [{"alias": ["other"]}]}
    async with open_group("bad", router_settings=settings) as scene:
        assert (await scene.say("status_503", model=asked)).status == status


@pytest.mark.parametrize(("key", "model"), [("any/*", b"other"), ("any/thing", b"other"), ("*", b"other")])
async def test_fallbacks_of_a_pattern_serve_what_it_matches(key: str, model: bytes) -> None:
    async with ActingUpstream() as upstream:
        models = [build_entry("any/*", "bad", upstream.port), build_entry("other", "well", upstream.port)]
        settings = {"num_retries": 0, "fallbacks": [{key: ["other"]}]}
        async with running_gateway(json.dumps({"model_list": models, "router_settings": settings})) as gateway:
            scene = GroupScene(None, gateway)  # type: ignore[arg-type]
            seen = await scene.say("status_503", model="any/thing")
    assert (seen.status, seen.headers[b"x-feathergate-model"]) == (200, model)


# --- what health learns ---------------------------------------------------------------------------------------------


async def test_deployments_own_timeout_counts_though_the_client_sent_one_too() -> None:
    async with open_group("bad", "well", params={"timeout": 0.2}) as scene:
        request = build_nonce_chat("group", "7f", deed="silence")
        seen = await scene.ask(request.replace(b"\r\n", b"\r\nx-feathergate-timeout: 4\r\n", 1))
        samples = await scene.scrape()
    assert read_text(seen) == "said 7f"
    failures = [value for name, value in samples.items() if name.startswith("feathergate_attempt_failures_total{")]
    assert sum(failures) == 1


async def test_failure_of_our_own_gives_the_probe_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "openai", replace(PROVIDERS["openai"], dialect=FailingDialect()))
    async with open_group("bad", "well", router_settings={"cooldown_time": 0.05}) as scene:
        member = find_members(scene)[0]
        await half_open(scene, member)
        assert (await scene.say()).status == 500
        state = member.health.admits(scene.gateway.runtime.shared.ticker.now()).state
    assert state == "probe"


async def test_probe_that_a_hedge_outran_is_given_back() -> None:
    settings = {"cooldown_time": 0.05}
    async with open_group("bad", "well", server_settings=HEDGED, router_settings=settings) as scene:
        member = find_members(scene)[0]
        await half_open(scene, member)
        assert read_text(await scene.say("silence", stream=True)) == "said 7f"
        state = member.health.admits(scene.gateway.runtime.shared.ticker.now()).state
    assert state == "probe"


async def test_stop_amid_a_media_fetch_gives_the_probe_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(MediaFetcher, "fetch", fetch)
    settings = {"server_settings": {"fetch_media": True}, "router_settings": {"cooldown_time": 0.05}}
    async with open_mixed((ANTHROPIC, "bad"), (OPENAI, "well"), **settings) as scene:
        member = find_members(scene)[0]
        await half_open(scene, member)
        asking = asyncio.create_task(scene.chat("group", messages=[{"role": "user", "content": [IMAGE]}]))
        await until(lambda: bool(find_exchanges()))
        await asyncio.sleep(0.05)
        for task in find_exchanges():
            task.cancel()
        assert (await asking).status == 503
        assert member.health.admits(scene.gateway.runtime.shared.ticker.now()).state == "probe"


async def test_one_key_under_an_alias_fails_once() -> None:
    aliased = {"model_group_alias": {"alias": "group"}, "allowed_fails": 1, "fallbacks": FALLBACK}
    async with open_group("bad", "well", router_settings=aliased) as scene:
        assert read_text(await scene.say("status_401")) == "said 7f"
        now = scene.gateway.runtime.shared.ticker.now()
        assert find_members(scene)[0].health.admits(now).is_open


# --- what is held is let go -----------------------------------------------------------------------------------------


async def test_stop_amid_a_hedge_ends_both_attempts() -> None:
    async with open_group("bad", "worse", server_settings=HEDGED) as scene:
        asking = asyncio.create_task(scene.say("silence", stream=True))
        await until(lambda: scene.asked == {"silence": 2})
        for task in find_exchanges():
            task.cancel()
        assert (await asking).status == 503
        assert [member.gauge.in_flight for member in find_members(scene)] == [0, 0]
        await until(lambda: scene.busy == 0)


async def test_client_that_leaves_amid_a_hedge_ends_both_attempts() -> None:
    async with open_group("bad", "worse", server_settings=HEDGED) as scene:
        async with scene.connect() as client:
            client.send(build_nonce_chat("group", "7f", deed="silence"))
            await until(lambda: scene.asked == {"silence": 2})
        await until(lambda: not find_exchanges())
        assert [member.gauge.in_flight for member in find_members(scene)] == [0, 0]
        await until(lambda: scene.busy == 0)


async def test_failure_of_our_own_ends_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(Health, "note_success", fail)
    async with open_group("bad", "well") as scene:
        assert (await scene.say()).status == 500
        assert [member.gauge.in_flight for member in find_members(scene)] == [0, 0]


async def test_client_s_deadline_ends_the_wait_for_a_place() -> None:
    limits = {"group_max_parallel_requests": 1, "queue_timeout_s": 2}
    async with open_group("bad", server_settings=limits) as scene:
        first = asyncio.create_task(scene.say("half_stall"))
        await until(lambda: scene.asked == {"half_stall": 1})
        began = time.monotonic()
        hurried = build_nonce_chat("group", "7f").replace(b"\r\n", b"\r\nx-feathergate-timeout: 0.1\r\n", 1)
        seen = await scene.ask(hurried)
        assert (seen.status, scene.asked) == (504, {"half_stall": 1})
        assert time.monotonic() - began < 1
        first.cancel()


async def test_fallback_takes_no_more_than_its_limit() -> None:
    settings = {"num_retries": 0, "fallbacks": FALLBACK}
    async with open_group("bad", router_settings=settings) as scene:
        runtime = scene.gateway.runtime
        gate = runtime.find_group("other").gate = Gate("other", 1)
        gate.enter()
        assert (await scene.say("status_503")).status == 502
        gate.leave()
        assert read_text(await scene.say("status_503")) == "said 7f"
        assert gate.inside == 0


# --- what is worked out once ----------------------------------------------------------------------------------------


async def test_media_that_cannot_be_had_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    async def fetch(self: Any, remotes: Any) -> Any:
        fetched.append(remotes)
        raise ClientError("no such image")

    monkeypatch.setattr(MediaFetcher, "fetch", fetch)
    places = [(ANTHROPIC, "bad"), (ANTHROPIC, "worse"), (ANTHROPIC, "worst")]
    async with open_mixed(*places, server_settings={"fetch_media": True}) as scene:
        seen = await scene.chat("group", messages=[{"role": "user", "content": [IMAGE]}])
    assert (get_error(seen)["message"], len(fetched)) == ("no such image", 1)


async def test_crowd_of_messages_does_not_hold_the_loop() -> None:
    messages = b",".join([b'{"content":"","role":"system"}'] * 200_000 + [b'{"role":"user","content":"nonce-7f"}'])
    async with open_group("bad", "well") as scene:
        began = time.thread_time()
        seen = await scene.ask(build_post(b'{"model":"group","messages":[%b]}' % messages))
        spent_s = time.thread_time() - began
    assert read_text(seen) == "said 7f"
    assert spent_s < 0.15


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["status_503", "reset_head", "silence", "too_long", "status_401"])
@pytest.mark.parametrize("hedged", [False, True])
async def test_failed_attempts_leave_nothing_for_the_collector(deed: str, hedged: bool) -> None:
    sections: dict[str, Any] = {"router_settings": {"num_retries": 1, "disable_cooldowns": True}}
    if hedged:
        sections["server_settings"] = {"hedge": {"group": {"share": 1.0, "delay_s": 0.02}}}
    async with open_group("bad", "worse", params={"timeout": 0.1, "stream_timeout": 0.1}, **sections) as scene:
        await scene.say(deed, stream=True)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                assert (await scene.say(deed, stream=True)).status != 200
            gc.collect()
            left = [item for item in gc.garbage if isinstance(item, (Relay, UpstreamError))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
