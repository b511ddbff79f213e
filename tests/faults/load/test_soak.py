"""A hundred thousand requests of which many go wrong leave nothing behind. Source: reliability.md I3, I6, P20, P22.

The 24 hours of P20 are for releases; this is their shape in minutes: an equal warm-up, then the same again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.native import OPENAI
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat, read_text
from tests.faults.load.crowd import connect, draw_nonce
from tests.faults.load.stage import acting_upstream, probed_gateway, settles
from tests.raw_client import RawClient, Seen

pytestmark = pytest.mark.faults

MODEL = "model"
REQUESTS, CLIENTS = 100_000, 48
ABORTED, FAULTY = 0.3, 0.1
GROWTH_LIMIT_KIB = 2048
# Those that end by themselves at once.
FAULTS = ("reset", "fin", "reset_head", "half_reset", "half_fin", "junk", "html", "no_json", "status_500", "status_429")
CUTS = ("cut_reset", "cut_fin", "cut_clean", "cut_junk", "cut_error_event")


class Visitor:
    """One client: most of its requests go well, some meet a fault, some it leaves."""

    def __init__(self, port: int, seed: int) -> None:
        self.wrong: Counter[str] = Counter()
        self.sent = 0
        self._port = port
        self._draw = random.Random(seed)
        self._client: RawClient | None = None

    async def visit(self, requests: int) -> None:
        for _ in range(requests):
            kind = self._draw.random()
            stream = self._draw.random() < 0.5
            client = self._client = self._client or await connect(self._port)
            self.sent += 1
            if kind < ABORTED:
                await self._leave(client, stream)
            elif kind < ABORTED + FAULTY:
                await self._meet_fault(client, stream)
            else:
                await self._ask_well(client, stream)
        self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.writer.transport.abort()
            self._client = None

    async def _leave(self, client: RawClient, stream: bool) -> None:
        deed = self._draw.choice(("late", "flow", "silence", "half_stall"))
        client.send(build_nonce_chat(MODEL, draw_nonce(), deed=deed, stream=stream))
        await asyncio.sleep(self._draw.uniform(0.001, 0.02))
        self._draw.choice((RawClient.finish, RawClient.reset))(client)
        self._drop()

    async def _meet_fault(self, client: RawClient, stream: bool) -> None:
        deed = self._draw.choice(CUTS if stream and self._draw.random() < 0.5 else FAULTS)
        await self._ask(client, build_nonce_chat(MODEL, draw_nonce(), deed=deed, stream=stream))

    async def _ask_well(self, client: RawClient, stream: bool) -> None:
        nonce = draw_nonce()
        seen = await self._ask(client, build_nonce_chat(MODEL, nonce, stream=stream))
        if seen is not None and (seen.status != 200 or read_text(seen) != f"said {nonce}"):
            self.wrong[f"status {seen.status}"] += 1

    async def _ask(self, client: RawClient, data: bytes) -> Seen | None:
        try:
            return await client.ask(data)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.wrong[repr(error)[:80]] += 1
            self._drop()
            return None


async def test_mixed_load_leaves_nothing_behind(tmp_path: Path, figures: dict[str, Any]) -> None:
    with acting_upstream() as upstream:
        patient = {"timeout": 30, "stream_timeout": 30}
        models = [build_deployment(MODEL, OPENAI, upstream.port, place, **patient) for place in ("bad", "worse")]
        file = {"model_list": models, "router_settings": {"disable_cooldowns": True}}
        with probed_gateway(tmp_path, file) as gateway:
            await asyncio.sleep(0.5)
            descriptors, tasks = gateway.count_descriptors(), gateway.read_probe()["tasks"]
            visitors = [Visitor(gateway.port, seed) for seed in range(CLIENTS)]
            memory = []
            for _ in range(2):
                await asyncio.gather(*(visitor.visit(REQUESTS // 2 // CLIENTS + 1) for visitor in visitors))
                await asyncio.sleep(1)
                memory.append(gateway.read_rss_kib())
            upstream.end()
            await asyncio.to_thread(settles, lambda: gateway.count_descriptors() == descriptors)
            await asyncio.to_thread(settles, lambda: gateway.read_probe()["tasks"] == tasks)
            wrong = sum((visitor.wrong for visitor in visitors), Counter[str]())
            sent = sum(visitor.sent for visitor in visitors)
            left = gateway.count_descriptors() - descriptors, gateway.read_probe()["tasks"] - tasks
            records = gateway.read_records()
            figures["soak"] = {
                "requests": sent,
                "records": len(records),
                "wrong": dict(wrong),
                "descriptors left": left[0],
                "tasks left": left[1],
                "memory KiB": memory,
                "growth KiB": memory[1] - memory[0],
                "probe": gateway.read_probe(),
            }
    assert left == (0, 0)
    assert wrong == {}
    assert len(records) == len({record["request_id"] for record in records}) <= sent
    assert memory[1] - memory[0] <= GROWTH_LIMIT_KIB
