"""A client that leaves ends its request at once, wherever that is: 1,000 trials each. Source: C02 to C05.

How late the upstream saw the close is told by its journal. Amid a backoff and in a queue there is no upstream to see
it: there the access log tells when the request was over. Both clocks are the machine's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.e2e.native import OPENAI
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat
from tests.faults.load.crowd import connect, draw_nonce
from tests.faults.load.stage import ProbedGateway, Upstream, acting_upstream, probed_gateway, settles
from tests.raw_client import RawClient

pytestmark = pytest.mark.faults

MODEL, QUEUED = "model", "queued"
TRIALS, LEAST, AT_ONCE = 1020, 1000, 20
"""Some leave before the upstream was asked, where the machine is busy."""
REACHED_S = 0.04
P99_MS, MOST_MS = 100.0, 250.0
LEAVE: tuple[Callable[[RawClient], None], ...] = (RawClient.finish, RawClient.reset)


class Moment(NamedTuple):
    """`seen_by` names who tells of the end."""

    deed: str
    stream: bool
    model: str = MODEL
    seen_by: str = "journal"


MOMENTS = {
    "whole, before the head": Moment("silence", False),
    "whole, in the body": Moment("half_stall", False),
    "stream, before the head": Moment("silence", True),
    "stream, before content": Moment("half_stall", True),
    "stream, after content": Moment("cut_stall", True),
    "in backoff": Moment("status_503", False, seen_by="log"),
    "in backoff of a stream": Moment("status_503", True, seen_by="log"),
    "in the queue": Moment("well", False, QUEUED, "log"),
    "in the queue, a stream": Moment("well", True, QUEUED, "log"),
}


def build_file(port: int) -> Any:
    patient = {"timeout": 300, "stream_timeout": 300}
    queued = build_deployment(QUEUED, OPENAI, port, "bad", max_parallel_requests=1, **patient)
    return {
        "model_list": [build_deployment(MODEL, OPENAI, port, "bad", **patient), queued],
        "router_settings": {"num_retries": 5, "retry_after": 60, "disable_cooldowns": True},
        "server_settings": {
            "queue_timeout_s": 300,
            "queue_limit_count": 1000,
            "retry_budget_floor": 100_000,
            "commit_limit_s": 300,
        },
    }


async def leave_often(port: int, moment: Moment, trials: int) -> dict[str, tuple[float, float]]:
    """When each client left, by its nonce: on the monotonic clock, and on the wall's."""
    left = {}
    for number in range(trials):
        nonce, client = draw_nonce(), await connect(port)
        request = build_nonce_chat(
            moment.model, nonce, deed=moment.deed, stream=moment.stream, headers={"x-request-id": nonce}
        )
        client.send(request)
        await asyncio.sleep(REACHED_S)
        LEAVE[number % 2](client)
        left[nonce] = time.monotonic(), time.time()
        await asyncio.sleep(REACHED_S)
        client.writer.transport.abort()
    return left


async def hold(port: int) -> RawClient:
    """A request that takes the only place, for as long as its client stays."""
    client = await connect(port)
    client.send(build_nonce_chat(QUEUED, draw_nonce(), deed="silence"))
    await asyncio.sleep(REACHED_S)
    return client


def read_ends(moment: Moment, upstream: Upstream, gateway: ProbedGateway) -> dict[str, float]:
    if moment.seen_by == "journal":
        ends: dict[str, float] = upstream.read_journal()["left"]
        return ends
    records = [record for record in gateway.read_records() if record["status"] == 499]
    return {record["client_request_id"]: datetime.fromisoformat(record["time"]).timestamp() for record in records}


@pytest.mark.parametrize("name", MOMENTS)
async def test_client_that_leaves_ends_its_request_at_once(name: str, tmp_path: Path, figures: dict[str, Any]) -> None:
    moment = MOMENTS[name]
    with acting_upstream() as upstream, probed_gateway(tmp_path, build_file(upstream.port)) as gateway:
        holder = await hold(gateway.port) if moment.model == QUEUED else None
        trials = [leave_often(gateway.port, moment, TRIALS // AT_ONCE) for _ in range(AT_ONCE)]
        left = {nonce: when for part in await asyncio.gather(*trials) for nonce, when in part.items()}
        await asyncio.to_thread(settles, lambda: len(read_ends(moment, upstream, gateway)) >= TRIALS)
        ends, asked = read_ends(moment, upstream, gateway), upstream.read_journal()["asked"]
        if holder is not None:
            holder.writer.transport.abort()
            await asyncio.sleep(0)
        clock = 0 if moment.seen_by == "journal" else 1
        late_ms = sorted((ends[nonce] - left[nonce][clock]) * 1000 for nonce in left if nonce in ends)
        p99_ms, most_ms = late_ms[int(len(late_ms) * 0.99)], late_ms[-1]
        figures[f"cancel, {name}"] = {"trials": len(late_ms), "p99 ms": round(p99_ms, 2), "most ms": round(most_ms, 2)}
    assert len(late_ms) >= max(LEAST, asked.get(moment.deed, 0)), "not everyone was let go"
    assert asked.get(moment.deed, 0) in (range(LEAST, TRIALS + 1) if moment.model == MODEL else (0,))
    assert p99_ms <= P99_MS
    assert most_ms <= MOST_MS
