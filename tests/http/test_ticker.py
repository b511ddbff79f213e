"""The coarse clock that deadlines are set by."""

from __future__ import annotations

import asyncio

from tests.raw_client import until

from feathergate.http.ticker import Ticker


class Late:
    """Watched; counts the ticks on which it was late."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.told: list[float] = []

    def on_deadline(self, now: float) -> None:
        self.told.append(now)


async def test_time_is_fresh_from_the_first_watch_on() -> None:
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    made = ticker.time
    await asyncio.sleep(0.02)
    assert ticker.time == made, "nothing is watched, nothing ticks"
    ticker.watch(Late(made))
    assert made < ticker.time <= ticker.now()
    ticker.close()


async def test_time_moves_with_every_tick_and_is_what_late_items_are_told() -> None:
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    late = Late(ticker.time)
    ticker.watch(late)
    await until(lambda: len(late.told) == 3)
    assert late.told == sorted(set(late.told))
    assert late.told[-1] == ticker.time
    ticker.close()


async def test_forgotten_item_is_told_nothing() -> None:
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    late, other = Late(ticker.time), Late(ticker.time)
    ticker.watch(late)
    ticker.watch(other)
    ticker.forget(late)
    await until(lambda: len(other.told) == 1)
    assert late.told == []
    ticker.close()
