"""What some clients and one provider do badly costs the others nothing. Source: I5, C08 to C12, C28, S36."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bench.process import allow_descriptors
from tests.e2e.native import OPENAI
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat
from tests.faults.load.crowd import Crowd, Tally, connect, draw_nonce
from tests.faults.load.stage import ProbedGateway, acting_upstream, probed_gateway, settles
from tests.raw_client import RawClient

pytestmark = pytest.mark.faults

STUCK, WELL = "stuck", "well"
PATIENT = {"timeout": 300, "stream_timeout": 300}
HELD, RISE_LIMIT_MS = 500, 5.0
SLOW, DEAF = 5_000, 100
IDLE, IDLE_LIMIT_BYTES = 10_000, 20 * 1024
DEAF_LIMIT_BYTES, BUFFER_BYTES = 512 * 1024, 4096
QUIET_REQUESTS = 3_000


def build_file(port: int) -> Any:
    models = [build_deployment(STUCK, OPENAI, port, "bad", **PATIENT), build_deployment(WELL, OPENAI, port, "well")]
    return {"model_list": models}


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
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_file(upstream.port)) as gateway:
        await ask_neighbours(gateway)
        quiet = await ask_neighbours(gateway)
        held = await open_all(gateway.port, build_nonce_chat(STUCK, draw_nonce(), deed="silence"), HELD)
        await asyncio.to_thread(settles, lambda: upstream.read_journal()["asked"].get("silence") == HELD)
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
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_file(upstream.port)) as gateway:
        await ask_neighbours(gateway)
        before_kib = gateway.read_rss_kib()
        slow = await open_all(gateway.port, b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-slow: ", SLOW)
        deaf = await open_all(gateway.port, build_nonce_chat(STUCK, draw_nonce(), deed="endless", stream=True), DEAF)
        for client in deaf:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        beside = await ask_neighbours(gateway)
        grown_bytes = (gateway.read_rss_kib() - before_kib) * 1024
        await drop_all(slow + deaf)
        figures["slow clients"] = {
            "slow": SLOW,
            "deaf": DEAF,
            "memory bytes": grown_bytes,
            "failed": dict(beside.failed),
            "p99 beside ms": beside.find_quantile_ms(0.99),
        }
    assert beside.failed == {}
    assert grown_bytes <= SLOW * IDLE_LIMIT_BYTES + DEAF * DEAF_LIMIT_BYTES


async def test_idle_connections_cost_little(tmp_path: Path, figures: dict[str, Any]) -> None:
    """C28."""
    if allow_descriptors() < IDLE + 1_000:
        pytest.skip("this machine does not allow so many open files")
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_file(upstream.port)) as gateway:
        await ask_neighbours(gateway)
        before_kib = gateway.read_rss_kib()
        idle = await open_all(gateway.port, b"", IDLE)
        beside = await ask_neighbours(gateway)
        each_bytes = (gateway.read_rss_kib() - before_kib) * 1024 / IDLE
        await drop_all(idle)
        figures["idle connections"] = {"connections": IDLE, "bytes each": round(each_bytes)}
    assert beside.failed == {}
    assert each_bytes <= IDLE_LIMIT_BYTES
