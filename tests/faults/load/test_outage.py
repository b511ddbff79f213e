"""Providers that fail while many ask: failover hides one, an outage is not made worse, and its end is noticed soon.

Source: reliability.md U17, U53, U54, C27, P24.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.native import NATIVES, OPENAI
from tests.faults.acting import BEFORE_CONTENT, BEFORE_CONTENT_OF_A_STREAM
from tests.faults.harness import build_deployment
from tests.faults.invariants import build_nonce_chat
from tests.faults.load.crowd import Crowd, Tally, ask_once, draw_nonce
from tests.faults.load.stage import acting_upstream, probed_gateway

pytestmark = pytest.mark.faults

MODEL = "model"
REQUESTS_A_FAULT = 50
OUTAGE_REQUESTS, AMPLIFICATION = 3_000, 1.2
STORM_CLIENTS, STORM_S, RECOVERY_S, IN_A_ROW = 500, 3.0, 5.0, 100
PLACES, ANSWER_S, QUEUE_S, OVERLOAD, OVERLOAD_S = 20, 0.25, 0.04, 10, 5.0
"""An answer takes the upstream 0.25 s, so that 20 places are 80 requests a second; ten times as many come."""


def build_pairs(port: int) -> Iterator[tuple[str, str, Any]]:
    """For each fault of each provider the group, the deed, and its two deployments."""
    for native in NATIVES:
        for deed in BEFORE_CONTENT | BEFORE_CONTENT_OF_A_STREAM:
            name = f"{native.name}-{deed}"
            times = {"stream_timeout": 0.5, "timeout": 2.0}
            bad = build_deployment(name, native, port, f"bad-{deed}", order=1, **times)
            yield name, deed, [bad, build_deployment(name, native, port, "well", order=2)]


async def test_each_fault_of_one_deployment_is_hidden(tmp_path: Path, figures: dict[str, Any]) -> None:
    with acting_upstream() as upstream:
        pairs = list(build_pairs(upstream.port))
        models = [model for _, _, pair in pairs for model in pair]
        with probed_gateway(tmp_path, {"model_list": models, "router_settings": {"timeout": 10}}) as gateway:
            failed = {}
            for name, deed, _ in pairs:
                streams = cycle((True,) if deed in BEFORE_CONTENT_OF_A_STREAM else (True, False))
                ask = {"model": name, "deed": deed}
                crowd = Crowd(gateway.port, lambda a=ask, s=streams: a | {"stream": next(s)}, clients=10)  # type: ignore[misc]
                if (await crowd.run(REQUESTS_A_FAULT)).failed:
                    failed[name] = dict(crowd.tally.failed)
            figures["failover"] = {"faults": len(pairs), "requests each": REQUESTS_A_FAULT, "failed": failed}
    assert failed == {}


@pytest.mark.parametrize("cooldowns", [True, False])
async def test_total_outage_is_not_made_worse(cooldowns: bool, tmp_path: Path, figures: dict[str, Any]) -> None:
    with acting_upstream() as upstream:
        models = [build_deployment(MODEL, OPENAI, upstream.port, place) for place in ("bad", "worse")]
        file = {"model_list": models, "router_settings": {"disable_cooldowns": not cooldowns}}
        with probed_gateway(tmp_path, file) as gateway:
            crowd = Crowd(gateway.port, lambda: {"model": MODEL, "deed": "status_503"}, clients=50)
            tally = await crowd.run(OUTAGE_REQUESTS)
            factor = upstream.count() / OUTAGE_REQUESTS
            figures[f"outage, {'with' if cooldowns else 'without'} cooldowns"] = {
                "requests": OUTAGE_REQUESTS,
                "attempts a request": round(factor, 3),
                "statuses": dict(tally.statuses),
            }
    assert set(tally.statuses) <= {502, 503}
    assert factor <= AMPLIFICATION


async def test_storm_is_over_soon_after_the_outage(tmp_path: Path, figures: dict[str, Any]) -> None:
    """C27: answers are all good again within five seconds."""
    with acting_upstream() as upstream:
        models = [build_deployment(MODEL, OPENAI, upstream.port, place) for place in ("bad", "worse")]
        with probed_gateway(tmp_path, {"model_list": models}) as gateway:
            deed = ["status_503"]
            crowd = Crowd(gateway.port, lambda: {"model": MODEL, "deed": deed[-1]}, clients=STORM_CLIENTS, pace_s=0.5)
            storm = asyncio.ensure_future(crowd.run(10**6))
            await asyncio.sleep(STORM_S)
            deed.append("well")
            healed = time.monotonic()
            good = 0
            while good < IN_A_ROW and time.monotonic() < healed + RECOVERY_S:
                seen = await ask_once(gateway.port, build_nonce_chat(MODEL, draw_nonce()))
                good = good + 1 if seen.status == 200 else 0
            took_s = time.monotonic() - healed
            crowd.stop.set()
            await storm
            figures["storm"] = {"clients": STORM_CLIENTS, "well again after s": round(took_s, 2)}
    assert good == IN_A_ROW
    assert took_s <= RECOVERY_S


async def test_overload_is_shed_and_the_rest_is_served(tmp_path: Path, figures: dict[str, Any]) -> None:
    """P24."""
    with acting_upstream() as upstream:
        models = [build_deployment(MODEL, OPENAI, upstream.port, "bad")]
        settings = {"max_parallel_requests": PLACES, "queue_limit_count": PLACES, "queue_timeout_s": QUEUE_S}
        with probed_gateway(tmp_path, {"model_list": models, "server_settings": settings}) as gateway:
            served, shed = Tally(), Tally()
            rate = OVERLOAD * PLACES / ANSWER_S
            asking, began = [], time.monotonic()
            for _ in range(int(rate * OVERLOAD_S)):
                asking.append(asyncio.ensure_future(ask_late(gateway.port, served, shed)))
                await asyncio.sleep(1 / rate)
            await asyncio.gather(*asking)
            goodput = served.answered / (time.monotonic() - began) / (PLACES / ANSWER_S)
            shed_at_once = sum(took < 0.05 for took in shed.took_s) / max(1, len(shed.took_s))
            figures["overload"] = {
                "goodput of the peak": round(goodput, 3),
                "served p99 ms": served.find_quantile_ms(0.99),
                "shed": dict(shed.statuses),
                "shed p50 ms": shed.find_quantile_ms(0.5),
                "shed within 50 ms": round(shed_at_once, 3),
            }
    assert goodput >= 0.8
    assert set(shed.statuses) <= {429, 503}
    assert served.find_quantile_ms(0.99) <= 2 * ANSWER_S * 1000
    assert shed_at_once >= 0.9


async def ask_late(port: int, served: Tally, shed: Tally) -> None:
    nonce, began = draw_nonce(), time.monotonic()
    seen = await ask_once(port, build_nonce_chat(MODEL, nonce, deed="late"))
    (served if seen.status == 200 else shed).note(seen, nonce, began)
