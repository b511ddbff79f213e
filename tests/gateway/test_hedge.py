"""Two attempts at once: who wins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.gateway.test_relay import build_relay

from feathergate.errors import UpstreamError
from feathergate.gateway.hedge import race
from feathergate.gateway.relay import Relay
from feathergate.http.ticker import Ticker

BODY = (
    b'{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Hi"}}]}'
)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Relay, Relay]]:
    ticker = Ticker(asyncio.get_running_loop())
    yield build_relay(ticker), build_relay(ticker)
    ticker.close()


def answer(relay: Relay) -> None:
    relay.on_head(200, ())
    relay.on_body(BODY)
    relay.on_end()


def fail(relay: Relay) -> None:
    relay.on_error(UpstreamError("no", kind="reset"))


async def test_first_content_wins(pair: tuple[Relay, Relay]) -> None:
    answer(pair[1])
    assert await race(*pair) is pair[1]


async def test_answer_wins_over_a_failure_of_the_same_moment(pair: tuple[Relay, Relay]) -> None:
    fail(pair[0])
    answer(pair[1])
    assert await race(*pair) is pair[1]


async def test_failure_leaves_the_race_to_the_other(pair: tuple[Relay, Relay]) -> None:
    racing = asyncio.create_task(race(*pair))
    fail(pair[1])
    await asyncio.sleep(0)
    answer(pair[0])
    assert await racing is pair[0]


async def test_two_failures_end_it(pair: tuple[Relay, Relay]) -> None:
    fail(pair[0])
    fail(pair[1])
    assert (await race(*pair)).error is not None
