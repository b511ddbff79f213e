"""/metrics after k good and j bad requests says exactly so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e.native import NATIVES, OPENAI, build_stream, build_whole
from tests.e2e.scene import Scene, build_get, build_post, open_scene

PREFIX = "feathergate_requests_"
TOTALS = ("total", "successful", "failed")


async def read_totals(scene: Scene) -> list[float]:
    samples = await scene.scrape()
    return [samples[PREFIX + name] for name in TOTALS]


async def test_counters_say_exactly_what_happened() -> None:
    good = [build_whole(native.text("Hi")) for native in NATIVES] + [build_stream(OPENAI.events(["Hi"]))]
    bad = [build_whole(OPENAI.error(status, "No"), status=f"{status} X") for status in (400, 429, 500)]
    async with open_scene(*good, *bad) as scene:
        for native in NATIVES:
            assert (await scene.chat(f"fast-{native.name}")).status == 200
        assert (await scene.chat("fast-openai", stream=True)).status == 200
        assert await read_totals(scene) == [4, 4, 0]
        assert [(await scene.chat("fast-openai")).status for _ in bad] == [400, 429, 502]
        wrong: list[dict[str, Any]] = [{"messages": []}, {"temperature": 3}, {"model": "nobody"}]
        assert [(await scene.chat(**{"model": "fast-openai", **item})).status for item in wrong] == [400, 400, 404]
        assert (await scene.ask(build_post(b"no JSON"))).status == 400
        assert await read_totals(scene) == [11, 4, 7]


async def test_refusals_at_the_door_of_a_completion_endpoint_are_counted() -> None:
    async with open_scene((), general_settings={"master_key": "sk-master-0123456789", "open_metrics": True}) as scene:
        assert (await scene.chat("fast-openai")).status == 401
        door = {"authorization": "Bearer sk-master-0123456789"}
        assert (await scene.ask(build_get("/v1/chat/completions", door))).status == 405
        assert await read_totals(scene) == [2, 0, 2]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("content-length: 99999999999", 413),
        ("content-length: 2\r\ncontent-encoding: gzip", 415),
        ("content-length: 2\r\nexpect: a-miracle", 417),
        ("x_y: 1", 400),
        ("cookie: " + "c" * 70_000, 431),
    ],
)
async def test_what_http_itself_refuses_is_counted(head: str, status: int) -> None:
    async with open_scene(()) as scene:
        for path, failed in (("/v1/chat/completions", 1), ("/v1/models", 1)):
            data = f"POST {path} HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n".encode()
            assert (await scene.ask(data)).status == status
            assert await read_totals(scene) == [failed, 0, failed]


async def test_other_routes_are_not_counted() -> None:
    async with open_scene(()) as scene:
        for path in ("/health", "/v1/models", "/v1/models/fast-openai", "/v1/models/no", "/no", "/metrics"):
            await scene.ask(build_get(path))
        assert await read_totals(scene) == [0, 0, 0]


async def test_stream_that_breaks_counts_as_failed() -> None:
    events = OPENAI.events(["Hi"])[:2]
    async with open_scene(build_stream(events, 0.03, b"0\r\n\r\n")) as scene:
        assert (await scene.chat("fast-openai", stream=True)).status == 200
        assert await read_totals(scene) == [1, 0, 1]
        samples = await scene.scrape()
    labels = 'model="fast-openai",provider="openai"'
    assert samples[f'feathergate_failures_total{{fault="truncated",{labels}}}'] == 1
    assert samples[f'feathergate_model_requests_total{{{labels},status="502"}}'] == 1


async def test_simultaneous_requests_are_each_counted_once() -> None:
    async with open_scene(build_whole(OPENAI.text("Hi"))) as scene:
        answers = await asyncio.gather(*(scene.chat("fast-openai") for _ in range(30)))
        assert {seen.status for seen in answers} == {200}
        assert await read_totals(scene) == [30, 30, 0]


async def test_plain_counters_have_help_and_type() -> None:
    async with open_scene(()) as scene:
        lines = (await scene.ask(build_get("/metrics"))).body.decode().splitlines()
    for name in TOTALS:
        place = lines.index(f"{PREFIX}{name} 0")
        assert lines[place - 1] == f"# TYPE {PREFIX}{name} counter"
        assert lines[place - 2].startswith(f"# HELP {PREFIX}{name} ")


async def test_tokens_and_streams_stand_by_model() -> None:
    async with open_scene(build_stream(OPENAI.events(["Hi"]))) as scene:
        await scene.chat("fast-openai", stream=True)
        samples = await scene.scrape()
    labels = 'model="fast-openai",provider="openai"'
    assert samples[f'feathergate_tokens_total{{kind="prompt",{labels}}}'] == 5
    assert samples[f"feathergate_first_token_seconds_count{{{labels}}}"] == 1
    assert samples[f"feathergate_streams_open{{{labels}}}"] == 0


@pytest.mark.parametrize("model", ["nobody", "x" * 100_000, 'a"b\n{c}="', "öäü"])
async def test_unknown_models_make_no_label_of_their_own(model: str) -> None:
    async with open_scene(()) as scene:
        assert (await scene.chat(model)).status == 404
        samples = await scene.scrape()
    assert samples['feathergate_model_requests_total{model="other",provider="other",status="404"}'] == 1
