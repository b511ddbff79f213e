"""A client that leaves: the upstream connection is closed within 250 ms, nobody is blamed, and the log says 499."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from tests.e2e.native import NATIVES, OPENAI, SSE_HEAD, Native, chunk
from tests.e2e.scene import Scene, build_chat, open_scene
from tests.raw_client import RawClient, until
from tests.scripted_upstream import REQUEST, Script, ScriptedUpstream

from feathergate.observe.access_log import AccessLog

LIMIT_S = 0.25
HALF_BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
each_way = pytest.mark.parametrize("leave", [RawClient.finish, RawClient.reset], ids=["FIN", "RST"])


class Logged(NamedTuple):
    log: AccessLog
    read_fd: int

    def read(self) -> list[dict[str, object]]:
        """All lines so far; the log is closed."""
        self.log.close()
        return [json.loads(line) for line in os.read(self.read_fd, 65536).splitlines()]


@pytest.fixture
def logged() -> Iterator[Logged]:
    read_fd, write_fd = os.pipe()
    log = AccessLog(write_fd, text=False)
    yield Logged(log, read_fd)
    log.close()
    os.close(read_fd)
    os.close(write_fd)


def build_silence(native: Native) -> Script:
    return (REQUEST,)


def build_half(native: Native) -> Script:
    return REQUEST, HALF_BODY


def build_head(native: Native) -> Script:
    return REQUEST, SSE_HEAD, *map(chunk, native.events(["Hi"])[: native.silent])


def build_middle(native: Native) -> Script:
    return REQUEST, SSE_HEAD, *map(chunk, native.events(["Hi"])[: -native.ending])


MOMENTS: dict[str, tuple[bool, Callable[[Native], Script]]] = {
    "whole, before the head": (False, build_silence),
    "whole, in the body": (False, build_half),
    "stream, before the head": (True, build_silence),
    "stream, before content": (True, build_head),
    "stream, after content": (True, build_middle),
}


@each_provider
@each_way
@pytest.mark.parametrize("moment", MOMENTS)
async def test_client_that_leaves_closes_the_upstream(
    native: Native, leave: Callable[[RawClient], None], moment: str, logged: Logged
) -> None:
    stream, build = MOMENTS[moment]
    async with open_scene(build(native), log=logged.log) as scene:
        async with scene.connect() as client:
            client.send(build_chat(f"fast-{native.name}", stream=stream))
            await wait_for(moment, scene, client)
            left_at = time.monotonic()
            leave(client)
            await asyncio.wait_for(scene.upstream.left.wait(), 2)
        assert scene.upstream.left_at - left_at < LIMIT_S
        assert scene.upstream.connections == 1
        await check_nobody_is_blamed(scene, f'model="fast-{native.name}",provider="{native.name}"')
    assert [line["status"] for line in logged.read()] == [499]


async def wait_for(moment: str, scene: Scene, client: RawClient) -> None:
    if moment == "stream, after content":
        await client.answer(head_only=True)
    await until(lambda: bool(scene.upstream.requests))
    if moment == "whole, in the body":
        await asyncio.sleep(0.02)


async def check_nobody_is_blamed(scene: Scene, labels: str) -> None:
    samples = await scene.scrape()
    assert samples["feathergate_requests_total"] == samples["feathergate_requests_failed"] == 0
    assert samples[f"feathergate_client_disconnects_total{{{labels}}}"] == 1
    assert not any(name.startswith("feathergate_failures_total") for name in samples)
    assert sum(value for name, value in samples.items() if name.startswith("feathergate_streams_open")) == 0


@each_way
async def test_client_that_leaves_while_dialling_ends_the_dialling(leave: Callable[[RawClient], None]) -> None:
    """The TLS handshake is never answered: the connection is up, and nothing has been sent."""
    async with (
        ScriptedUpstream((60,)) as mute,
        open_scene((), params={"api_base": f"https://127.0.0.1:{mute.port}"}) as scene,
        scene.connect() as client,
    ):
        client.send(build_chat("fast-openai"))
        await until(lambda: mute.connections == 1)
        assert scene.busy == 0
        leave(client)
        await until(lambda: scene.gateway.server.connections == 0, LIMIT_S)
        await until(lambda: not find_dialling(), LIMIT_S)


def find_dialling() -> list[str]:
    """The tasks that are making a connection."""
    return [repr(task) for task in asyncio.all_tasks() if "Exchange._dial" in repr(task.get_coro())]


async def test_tokens_that_came_before_the_client_left_are_counted() -> None:
    events = OPENAI.events(["Hi"])
    usage = events[-2]  # a host that counts as it goes
    async with open_scene((REQUEST, SSE_HEAD, chunk(events[1] + usage.replace(b'"stop"', b"null")))) as scene:
        async with scene.connect() as client:
            client.send(build_chat("fast-openai", stream=True))
            await client.answer(head_only=True)
        await asyncio.wait_for(scene.upstream.left.wait(), 2)
        samples = await scene.scrape()
    assert samples['feathergate_tokens_total{kind="completion",model="fast-openai",provider="openai"}'] == 2
