"""Reload, rolling restart and the end, each under load: nobody notices. Source: reliability.md P01 to P05, P07, P10."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.native import OPENAI
from tests.e2e.scene import build_get
from tests.faults.acting import PIECES
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat
from tests.faults.load.crowd import Crowd, ask_once, draw_nonce, read_stream
from tests.faults.load.stage import ProbedGateway, acting_upstream, probed_gateway, settles

pytestmark = pytest.mark.faults

MODEL = "model"
PATIENCE = {"timeout": 60, "stream_timeout": 30}
HUPS, RELOADING_S, REQUESTS, STREAMS = 100, 60.0, 50_000, 200
ROLLS, ROLLED_REQUESTS, BETWEEN_ROLLS_S = 20, 20_000, 1.0
UNREADY_S = 0.1
BROKEN = ("model_list: [", "", "model_list: 7", "server_settings: {queue_limit_count: many}")


def build_streams(port: int) -> Any:
    """The one deployment whose deeds are done."""
    return {"model_list": [build_deployment(MODEL, OPENAI, port, "bad", **PATIENCE)]}


async def read_on(port: int, end: float) -> list[bytes]:
    """What streams of one client said, one after the other, with their nonces taken out."""
    said = []
    while time.monotonic() < end:
        nonce = draw_nonce()
        said.append((await read_stream(port, MODEL, nonce, "calm")).replace(nonce.encode(), b"NONCE"))
    return said


async def reload_often(gateway: ProbedGateway, file: Any) -> None:
    """One file in ten is broken; the others differ by a setting each."""
    for number in range(HUPS):
        file["server_settings"] = {"queue_limit_count": 100 + number}
        gateway.config.write_text(BROKEN[number // 10 % len(BROKEN)] if number % 10 == 9 else json.dumps(file))
        gateway.send(signal.SIGHUP)
        await asyncio.sleep(RELOADING_S / HUPS)


async def test_reloads_under_load_fail_nothing(tmp_path: Path, figures: dict[str, Any]) -> None:
    """P04, P05."""
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_streams(upstream.port)) as gateway:
        expected = (await read_stream(gateway.port, MODEL, "aaaaaaaa", "calm")).replace(b"aaaaaaaa", b"NONCE")
        before_kib = gateway.read_rss_kib()
        crowd = Crowd(gateway.port, lambda: {"model": MODEL}, clients=16, pace_s=16 * RELOADING_S / REQUESTS * 0.8)
        end = time.monotonic() + RELOADING_S
        reading = [asyncio.ensure_future(read_on(gateway.port, end)) for _ in range(STREAMS)]
        reloading = asyncio.ensure_future(reload_often(gateway, build_streams(upstream.port)))
        tally = await crowd.run(REQUESTS)
        await reloading
        streams = await asyncio.gather(*reading)
        said = [body for bodies in streams for body in bodies]
        reloaded, refused = (gateway.said.count(word) for word in ("configuration reloaded", "was not reloaded"))
        figures["reload"] = {
            "reloaded": reloaded,
            "refused": refused,
            "requests": tally.answered,
            "failed": dict(tally.failed),
            "streams": len(said),
            "streams that differ": sum(body != expected for body in said),
            "memory KiB": gateway.read_rss_kib() - before_kib,
            "probe": gateway.read_probe(),
        }
    assert (tally.answered, tally.failed) == (REQUESTS, {})
    assert (reloaded, refused) == (HUPS * 9 // 10, HUPS // 10)
    assert len(said) >= STREAMS
    assert set(said) == {expected}


def has_rolled(gateway: ProbedGateway, times: int) -> bool:
    return gateway.said.count("all workers are new") >= times


async def test_rolls_under_load_fail_nothing(tmp_path: Path, figures: dict[str, Any]) -> None:
    with (
        acting_upstream() as upstream,
        probed_gateway(tmp_path, build_streams(upstream.port), "--workers", "2", "--debug") as gateway,
    ):
        crowd = Crowd(gateway.port, lambda: {"model": MODEL}, clients=16, pace_s=0.02)
        asking = asyncio.ensure_future(crowd.run(ROLLED_REQUESTS))
        for number in range(1, ROLLS + 1):
            gateway.send(signal.SIGUSR2)
            await asyncio.to_thread(settles, partial(has_rolled, gateway, number), 30)
            assert has_rolled(gateway, number)
            await asyncio.sleep(BETWEEN_ROLLS_S)
        tally = await asking
        figures["rolling restart"] = {"rolls": ROLLS, "requests": tally.answered, "failed": dict(tally.failed)}
    assert (tally.answered, tally.failed) == (ROLLED_REQUESTS, {})


async def test_end_lets_open_streams_finish(tmp_path: Path, figures: dict[str, Any]) -> None:
    """P01."""
    with (
        acting_upstream() as upstream,
        probed_gateway(tmp_path, build_streams(upstream.port) | {"server_settings": {"drain_delay_s": 1}}) as gateway,
    ):
        nonces = [draw_nonce() for _ in range(STREAMS)]
        reading = [asyncio.ensure_future(read_stream(gateway.port, MODEL, nonce, "flow")) for nonce in nonces]
        await asyncio.to_thread(settles, lambda: upstream.count() == STREAMS)
        gateway.send(signal.SIGTERM)
        told = time.monotonic()
        while (await ask_once(gateway.port, build_get("/health/readiness"))).status == 200:
            assert time.monotonic() - told < UNREADY_S
        unready_s = time.monotonic() - told
        bodies = await asyncio.gather(*reading)
        exit_code = await asyncio.to_thread(gateway.wait)
        cut = sum(body.count(b" %d;" % (PIECES - 1)) != 1 or b"[DONE]" not in body for body in bodies)
        figures["end"] = {"streams": STREAMS, "cut": cut, "exit": exit_code, "unready after ms": unready_s * 1000}
    assert unready_s < UNREADY_S
    assert (cut, exit_code) == (0, 0)


async def test_stream_longer_than_the_end_says_that_it_is_broken(tmp_path: Path) -> None:
    """P02."""
    settings = {"server_settings": {"drain_timeout_s": 0.5}}
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_streams(upstream.port) | settings) as gateway:
        reading = asyncio.ensure_future(read_stream(gateway.port, MODEL, "7f", "calm"))
        await asyncio.to_thread(settles, lambda: upstream.count() == 1)
        gateway.send(signal.SIGTERM)
        body = await reading
        assert await asyncio.to_thread(gateway.wait) == 0
    assert b"[DONE]" not in body
    assert b'"feathergate_error"' in body


async def test_new_requests_are_refused_at_the_end(tmp_path: Path) -> None:
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_streams(upstream.port)) as gateway:
        reading = asyncio.ensure_future(read_stream(gateway.port, MODEL, "7f", "flow"))
        await asyncio.to_thread(settles, lambda: upstream.count() == 1)
        gateway.send(signal.SIGTERM)
        await asyncio.sleep(0.2)
        seen = await ask_once(gateway.port, build_nonce_chat(MODEL, "8f"))
        await reading
    assert (seen.status, seen.headers[b"connection"], b"retry-after" in seen.headers) == (503, b"close", True)
