"""Watermarks: who is answered what while memory or descriptors are short, and where the limits come from."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e.scene import build_get, build_post
from tests.raw_client import RawClient, Serving, serve
from tests.running import running_gateway

from feathergate.config.schema import ServerSettings
from feathergate.server.app import App
from feathergate.server.pressure import Level, Meter, Pressure, Usage, find_cgroup_limit, find_limits, judge

LIMITS = Usage(1000, 100)
CONFIG = (
    "model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n"
    "server_settings: {memory_limit_bytes: 1000}\n"
)


@pytest.mark.parametrize(
    ("usage", "level", "reason"),
    [
        (Usage(0, 0), Level.FREE, ""),
        (Usage(949, 94), Level.FREE, ""),
        (Usage(950, 0), Level.NEAR, "memory"),
        (Usage(0, 95), Level.NEAR, "descriptors"),
        (Usage(1000, 99), Level.FULL, "memory"),
        (Usage(999, 100), Level.FULL, "descriptors"),
        (Usage(10**12, 10**6), Level.FULL, "memory"),
    ],
)
def test_nearest_limit_decides(usage: Usage, level: Level, reason: str) -> None:
    assert judge(usage, LIMITS, busy=True) == (level, reason)


def test_memory_that_stays_high_with_nothing_under_way_is_served_all_the_same() -> None:
    assert judge(Usage(2000, 0), LIMITS, busy=False) == (Level.NEAR, "memory")
    assert judge(Usage(2000, 100), LIMITS, busy=False) == (Level.FULL, "descriptors")


def test_limit_of_0_is_none() -> None:
    assert judge(Usage(10**12, 10**6), Usage(0, 0), busy=True) == (Level.FREE, "")


def test_limits_come_from_the_settings_else_from_the_cgroup_of_all_workers() -> None:
    assert find_limits(ServerSettings(memory_limit_bytes=500), 1000, 2, 1024) == Usage(500, 1024 - 64)
    assert find_limits(ServerSettings(memory_limit_bytes=0, descriptor_reserve_count=0), 1000, 2, 1024) == Usage(0, 0)
    assert find_limits(ServerSettings(), 1000, 2, 1024).memory_bytes == 450
    assert find_limits(ServerSettings(), None, 2, 1024).memory_bytes == 0


def test_reserve_leaves_half_of_few_descriptors() -> None:
    assert find_limits(ServerSettings(), None, 1, 100).descriptors == 50


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_max", ".max").replace("_limit", ".limit")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_cgroup_2_allows_the_least_of_the_way_to_the_root(tmp_path: Path) -> None:
    root = write(tmp_path, proc__self__cgroup="0::/pod/gateway\n", sys__fs__cgroup__pod__memory_max="5000\n")
    write(root, sys__fs__cgroup__pod__gateway__memory_max="max\n", sys__fs__cgroup__memory_max="9000\n")
    assert find_cgroup_limit(root) == 5000


def test_cgroup_1_is_read_too_where_a_container_sees_only_its_top(tmp_path: Path) -> None:
    root = write(tmp_path, proc__self__cgroup="9:name=systemd:/x\n4:memory:/docker/abc\n")
    write(root, sys__fs__cgroup__memory__memory_limit_in_bytes="7000\n")
    assert find_cgroup_limit(root) == 7000


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "0", "", "many"])
def test_cgroup_without_a_limit_is_none(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, proc__self__cgroup="0::/\nnonsense\n", sys__fs__cgroup__memory_max=text)
    assert find_cgroup_limit(root) is None


def test_no_cgroup_is_none(tmp_path: Path) -> None:
    assert find_cgroup_limit(tmp_path) is None


def test_meter_reads_this_process() -> None:
    with Meter() as meter:
        before = meter.read()
        ends = os.pipe()
        after = meter.read()
        for end in ends:
            os.close(end)
    assert 1_000_000 < before.memory_bytes < 100_000_000_000
    assert after.descriptors == before.descriptors + 2


class Watched(NamedTuple):
    app: App
    serving: Serving
    pressure: Pressure
    usage: list[Usage]

    def use(self, usage: Usage) -> None:
        self.usage[0] = usage
        self.pressure.look()


@asynccontextmanager
async def open_watched() -> AsyncIterator[Watched]:
    async with running_gateway(CONFIG) as gateway:
        app = App(gateway.runtime)
        usage = [Usage(0, 0)]
        async with serve(app.handle) as serving:
            loop = asyncio.get_running_loop()
            pressure = Pressure(loop, app, serving.server, 1, lambda: usage[0])
            try:
                yield Watched(app, serving, pressure, usage)
            finally:
                pressure.close()
                await app.drain(0.1)


def build_chat(model: str, *, stream: bool = False) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return build_post(json.dumps(body).encode())


async def begin_stream(watched: Watched) -> RawClient:
    client = await watched.serving.connect()
    client.send(build_chat("mock/echo?latency_ms=300", stream=True))
    async with asyncio.timeout(2):
        while not watched.app.is_busy():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    return client


async def test_near_a_limit_each_answer_closes_its_connection() -> None:
    async with open_watched() as watched:
        watched.use(Usage(960, 0))
        near = await watched.serving.ask(build_chat("mock/echo"))
        watched.use(Usage(100, 0))
        free = await watched.serving.ask(build_chat("mock/echo"))
    assert (near.status, near.headers.get(b"connection")) == (200, b"close")
    assert (free.status, free.headers.get(b"connection")) == (200, None)


async def test_at_a_limit_new_requests_are_refused_and_the_stream_goes_on() -> None:
    async with open_watched() as watched:
        client = await begin_stream(watched)
        watched.use(Usage(1000, 0))
        refused = await watched.serving.ask(build_chat("mock/echo"))
        ready = await watched.serving.ask(build_get("/readyz"))
        stream = await client.answer()
        scrape = (await watched.serving.ask(build_get("/metrics"))).body
        watched.use(Usage(100, 0))
        served = await watched.serving.ask(build_chat("mock/echo"))
    assert (refused.status, refused.headers[b"retry-after"], refused.headers[b"connection"]) == (503, b"5", b"close")
    assert (ready.status, json.loads(ready.body)["reason"]) == (503, "memory")
    assert stream.body.endswith(b"data: [DONE]\n\n")
    assert b'feathergate_shedding{reason="memory"} 1\n' in scrape
    assert (served.status, watched.app.state.unready) == (200, "")


async def test_shortage_of_descriptors_closes_idle_connections() -> None:
    async with open_watched() as watched:
        idle = await watched.serving.connect()
        assert (await idle.ask(build_get("/health"))).status == 200
        watched.use(Usage(0, 10**9))
        assert await idle.rest() == b""
        assert (await watched.serving.ask(build_chat("mock/echo"))).status == 503


async def test_usage_is_looked_at_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feathergate.server.pressure.PERIOD_S", 0.02)
    async with open_watched() as watched:
        watched.usage[0] = Usage(0, 10**9)
        async with asyncio.timeout(2):
            while watched.app.state.refusal is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
