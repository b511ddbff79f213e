"""Groups of two deployments, `bad` and `well`, of which the bad one is asked first: what a client sees of a fault.

Source: reliability.md U17, U18, U38, U42, U43, U53, U54, C05; what costs time is in `load/`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.e2e.native import NATIVES, OPENAI, Native, decode_events, join_text
from tests.e2e.scene import get_error
from tests.faults.acting import AFTER_CONTENT, BEFORE_CONTENT, BEFORE_CONTENT_OF_A_STREAM, ActingUpstream
from tests.faults.harness import build_deployment
from tests.faults.invariants import (
    build_nonce_chat,
    check_answer,
    check_records,
    find_tasks,
    keeping_records,
    read_text,
)
from tests.raw_client import RawClient, Seen, until
from tests.running import running_gateway

GROUP, LARGER = "group", "larger"
FAULTS = [
    *[(deed, stream) for deed in BEFORE_CONTENT for stream in (False, True)],
    *[(deed, True) for deed in BEFORE_CONTENT_OF_A_STREAM],
]


class Group:
    """`asked` counts the upstream's requests by deed; what went to `well` counts as `well`."""

    def __init__(self, port: int, upstream: ActingUpstream) -> None:
        self.port = port
        self.asked = upstream.journal.asked
        self.answered: list[Seen] = []

    async def connect(self) -> RawClient:
        return RawClient(*await asyncio.open_connection("127.0.0.1", self.port))

    async def chat(self, nonce: str, deed: str, *, stream: bool = False, model: str = GROUP) -> Seen:
        client = await self.connect()
        try:
            seen = await client.ask(build_nonce_chat(model, nonce, deed=deed, stream=stream))
        finally:
            client.writer.transport.abort()
        check_answer(seen)
        self.answered.append(seen)
        return seen


@asynccontextmanager
async def open_group(
    *places: str, native: Native = OPENAI, params: Any = None, **sections: Any
) -> AsyncIterator[Group]:
    """Deployments in the order in which they are asked first; invariants I3, I4, I6, I7 and I10 hold afterwards."""
    with keeping_records() as records:
        async with ActingUpstream() as upstream:
            models = [
                build_deployment(GROUP, native, upstream.port, place, order=number, **(params or {}))
                for number, place in enumerate(places, 1)
            ]
            models.append(build_deployment(LARGER, native, upstream.port, "well"))
            async with running_gateway(json.dumps({"model_list": models, **sections}), log=records.log) as gateway:
                group = Group(gateway.port, upstream)
                yield group
                await until(lambda: not find_tasks() and gateway.server.connections == 0)
        records.end()
        check_records(records, group.answered)


@pytest.mark.parametrize(("deed", "stream"), FAULTS)
async def test_fault_before_content_is_the_other_deployment_s_to_answer(deed: str, stream: bool) -> None:
    """U17, and every row of 2.1 that says `next deployment`."""
    params = {"timeout": 0.6} if deed in ("silence", "half_stall") else {}
    async with open_group("bad", "well", params=params, router_settings={"timeout": 3}) as group:
        seen = await group.chat("7f", deed, stream=stream)
        assert read_text(seen) == "said 7f"
        assert group.asked == {deed: 1, "well": 1}
    assert seen.headers[b"x-feathergate-attempts"] == b"2"


@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
@pytest.mark.parametrize("deed", ["half_reset", "half_clean", "error_event", "error_200", "status_529"])
async def test_fault_of_any_provider_is_the_other_deployment_s_to_answer(native: Native, deed: str) -> None:
    """U17, U30, U31."""
    async with open_group("bad", "well", native=native) as group:
        assert read_text(await group.chat("7f", deed, stream=True)) == "said 7f"


@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
@pytest.mark.parametrize("deed", AFTER_CONTENT)
async def test_fault_after_content_is_never_spliced(native: Native, deed: str) -> None:
    """U18."""
    async with open_group("bad", "well", native=native) as group:
        events = decode_events((await group.chat("7f", deed, stream=True)).body)
        assert group.asked == {deed: 1}
    assert "said 7f".startswith(join_text(events))
    assert join_text(events).startswith("said ")
    assert events[-1]["error"]["type"] == "feathergate_error"


async def test_client_s_own_fault_is_asked_of_nobody_else() -> None:
    """U41."""
    async with open_group("bad", "well") as group:
        assert (await group.chat("7f", "too_long")).status == 400
        assert group.asked == {"too_long": 1}


@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
async def test_prompt_that_is_too_long_goes_to_the_larger_model(native: Native) -> None:
    """U42."""
    settings = {"context_window_fallbacks": [{GROUP: [LARGER]}]}
    async with open_group("bad", native=native, router_settings=settings) as group:
        assert read_text(await group.chat("7f", "too_long")) == "said 7f"
        assert group.asked == {"too_long": 1, "well": 1}


@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
async def test_prompt_that_is_too_long_for_all_is_a_400(native: Native) -> None:
    """U42."""
    async with open_group("bad", native=native) as group:
        seen = await group.chat("7f", "too_long")
        assert (seen.status, get_error(seen)["code"]) == (400, "context_length_exceeded")


async def test_rejected_key_is_not_asked_again_while_another_one_works() -> None:
    """U43: the deployment is cooled, and the client never sees a 401."""
    async with open_group("bad", "well") as group:
        for nonce in ("1", "2", "3"):
            assert read_text(await group.chat(nonce, "status_401")) == f"said {nonce}"
        assert group.asked == {"status_401": 1, "well": 3}


async def test_total_outage_asks_each_deployment_and_then_says_so() -> None:
    """U54."""
    async with open_group("bad", "worse", router_settings={"num_retries": 2}) as group:
        seen = await group.chat("7f", "status_503")
        assert seen.status in (502, 503)
        assert seen.headers[b"x-should-retry"] == b"false"
        assert group.asked["status_503"] <= 3


async def test_retries_in_an_outage_stay_within_their_budget() -> None:
    """U54: beyond the floor a fifth of the requests."""
    settings: Any = {
        "router_settings": {"num_retries": 2, "disable_cooldowns": True},
        "server_settings": {"retry_budget_floor": 5, "retry_budget_share": 0.2},
    }
    async with open_group("bad", "worse", **settings) as group:
        for number in range(100):
            assert (await group.chat(f"{number:x}", "status_503")).status in (502, 503)
        assert 105 <= group.asked["status_503"] <= 120


async def test_lone_deployment_is_never_cooled_away() -> None:
    """U53."""
    async with open_group("bad", router_settings={"num_retries": 0, "allowed_fails": 0}) as group:
        for number in range(5):
            assert (await group.chat(f"{number:x}", "status_503")).status == 502
        assert read_text(await group.chat("9", "well")) == "said 9"


async def test_cooled_deployment_is_asked_again_by_one_probe_at_a_time() -> None:
    """U53."""
    settings = {"num_retries": 2, "allowed_fails": 0, "cooldown_time": 0.3}
    async with open_group("bad", "well", router_settings=settings) as group:
        assert read_text(await group.chat("1", "status_503")) == "said 1"
        assert read_text(await group.chat("2", "status_503")) == "said 2"
        assert group.asked["status_503"] == 1
        await asyncio.sleep(0.7)
        seen = await asyncio.gather(*(group.chat(f"{number:x}", "half_stall", stream=True) for number in range(10, 30)))
        assert [read_text(item) for item in seen] == [f"said {number:x}" for number in range(10, 30)]
        assert group.asked["half_stall"] == 1


@pytest.mark.parametrize("leave", [RawClient.finish, RawClient.reset], ids=["FIN", "RST"])
async def test_client_that_leaves_amid_a_backoff_ends_it(leave: Any) -> None:
    """C05."""
    settings = {"num_retries": 5, "retry_after": 2}
    async with open_group("bad", params={"timeout": 20}, router_settings=settings) as group:
        client = await group.connect()
        client.send(build_nonce_chat(GROUP, "7f", deed="status_503"))
        await until(lambda: group.asked["status_503"] == 1)
        await asyncio.sleep(0.02)
        leave(client)
        await until(lambda: not find_tasks(), timeout_s=0.25)
        client.writer.transport.abort()
        assert group.asked["status_503"] == 1


async def test_failures_of_leaving_clients_cool_nobody() -> None:
    """C02, C04: a client that left is nobody's fault."""
    async with open_group("bad", "well", router_settings={"allowed_fails": 0, "cooldown_time": 60}) as group:
        for number in range(5):
            client = await group.connect()
            client.send(build_nonce_chat(GROUP, f"{number:x}", deed="late"))
            await until(lambda count=number: group.asked["late"] == count + 1)  # type: ignore[misc]
            client.reset()
        await until(lambda: not find_tasks())
        assert read_text(await group.chat("7f", "late")) == "said 7f"
        assert group.asked == {"late": 6}
