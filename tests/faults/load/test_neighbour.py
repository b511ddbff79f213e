"""What some clients and one provider do badly costs the others nothing. Source: I5, C08 to C12, C28, S36."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.process import allow_descriptors
from tests.e2e.native import OPENAI
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat
from tests.faults.load.crowd import Crowd, Tally, connect, draw_nonce
from tests.faults.load.stage import ProbedGateway, Upstream, acting_upstream, probed_gateway, settles
from tests.raw_client import RawClient

pytestmark = pytest.mark.faults

STUCK, WELL = "stuck", "well"
PATIENT = {"timeout": 300, "stream_timeout": 300}
HELD, RISE_LIMIT_MS = 500, 5.0
SLOW, DEAF = 5_000, 100
IDLE, IDLE_LIMIT_KIB, DEAF_LIMIT_KIB = 10_000, 20, 128
QUIET_REQUESTS = 3_000


@contextmanager
def open_stage(folder: Path) -> Iterator[tuple[Upstream, ProbedGateway]]:
    """The upstream that is stuck, and the gateway; another process plays the one that is well."""
    with acting_upstream() as bad, acting_upstream() as well:
        models = [
            build_deployment(STUCK, OPENAI, bad.port, "bad", **PATIENT),
            build_deployment(WELL, OPENAI, well.port, "well", **PATIENT),
        ]
        with probed_gateway(folder, {"model_list": models}) as gateway:
            yield bad, gateway


async def ask_neighbours(gateway: ProbedGateway) -> Tally:
    streams = iter(range(10**9))
    ask = lambda: {"model": WELL, "stream": next(streams) % 2 == 1}  # noqa: E731 - a line of the story
    return await Crowd(gateway.port, ask, clients=2, pace_s=0.001).run(QUIET_REQUESTS)


async def open_all(port: int, data: bytes, count: int) -> list[RawClient]:
    """So many clients, each of which has said `data`."""
    clients = []
    for _ in range(count):
        client = await connect(port)
        client.send(data)
        clients.append(client)
    return clients


async def drop_all(clients: list[RawClient]) -> None:
    for client in clients:
        client.writer.transport.abort()
    await asyncio.sleep(0.1)


async def test_stuck_provider_costs_the_others_nothing(tmp_path: Path, figures: dict[str, Any]) -> None:
    with open_stage(tmp_path) as (bad, gateway):
        await ask_neighbours(gateway)
        quiet = await ask_neighbours(gateway)
        held = await open_all(gateway.port, build_nonce_chat(STUCK, draw_nonce(), deed="silence"), HELD)
        await asyncio.to_thread(settles, lambda: bad.read_journal()["asked"].get("silence") == HELD)
        beside = await ask_neighbours(gateway)
        await drop_all(held)
        rise_ms = beside.find_quantile_ms(0.99) - quiet.find_quantile_ms(0.99)
        figures["stuck provider"] = {
            "held": HELD,
            "p99 quiet ms": quiet.find_quantile_ms(0.99),
            "p99 beside ms": beside.find_quantile_ms(0.99),
            "failed": dict(beside.failed),
        }
    assert beside.failed == {}
    assert rise_ms <= RISE_LIMIT_MS


async def test_slow_and_deaf_clients_cost_the_others_nothing(tmp_path: Path, figures: dict[str, Any]) -> None:
    """C08, C09, C11: half a head each, and readers of endless streams that do not read."""
    allow_descriptors()
    with open_stage(tmp_path) as (_, gateway):
        await ask_neighbours(gateway)
        before_kib = gateway.read_rss_kib()
        slow = await open_all(gateway.port, b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-slow: ", SLOW)
        slow_kib = gateway.read_rss_kib() - before_kib
        deaf = await open_all(gateway.port, build_nonce_chat(STUCK, draw_nonce(), deed="endless", stream=True), DEAF)
        for client in deaf:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        beside = await ask_neighbours(gateway)
        deaf_kib = gateway.read_rss_kib() - before_kib - slow_kib
        await drop_all(slow + deaf)
        figures["slow clients"] = {
            "slow": SLOW,
            "deaf": DEAF,
            "KiB a slow one": round(slow_kib / SLOW, 1),
            "KiB a deaf one": round(deaf_kib / DEAF, 1),
            "failed": dict(beside.failed),
            "p99 beside ms": beside.find_quantile_ms(0.99),
        }
    assert beside.failed == {}
    assert slow_kib <= SLOW * IDLE_LIMIT_KIB
    assert deaf_kib <= DEAF * DEAF_LIMIT_KIB


async def test_idle_connections_cost_little(tmp_path: Path, figures: dict[str, Any]) -> None:
    """C28."""
    if allow_descriptors() < IDLE + 1_000:
        pytest.skip("this machine does not allow so many open files")
    with open_stage(tmp_path) as (_, gateway):
        await ask_neighbours(gateway)
        before_kib = gateway.read_rss_kib()
        idle = await open_all(gateway.port, b"", IDLE)
        beside = await ask_neighbours(gateway)
        each_kib = (gateway.read_rss_kib() - before_kib) / IDLE
        await drop_all(idle)
        figures["idle connections"] = {"connections": IDLE, "KiB each": round(each_kib, 1)}
    assert beside.failed == {}
    assert each_kib <= IDLE_LIMIT_KIB
