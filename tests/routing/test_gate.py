"""How many requests may be under way at once, and who waits."""

from __future__ import annotations

import asyncio

import pytest

from feathergate.errors import UnavailableError
from feathergate.routing.gate import Gate


def wait(gate: Gate) -> asyncio.Future[bool]:
    place = gate.enter()
    assert place is not None
    return place


async def test_place_is_handed_to_the_first_who_waits() -> None:
    gate = Gate("a", 1)
    assert gate.enter() is None
    first, second = wait(gate), wait(gate)
    gate.leave()
    assert (first.done(), second.done(), gate.inside) == (True, False, 1)


async def test_those_who_gave_up_leave_their_room_in_the_queue() -> None:
    gate = Gate("a", 1, queue_limit=2)
    gate.enter()
    wait(gate)
    for _ in range(5):
        gate.abandon(wait(gate))
    wait(gate)
    with pytest.raises(UnavailableError):
        gate.enter()


async def test_place_that_was_given_to_one_who_goes_is_the_next_one_s() -> None:
    gate = Gate("a", 1)
    gate.enter()
    first, second = wait(gate), wait(gate)
    gate.leave()
    gate.abandon(first)
    assert second.result()
    gate.leave()
    assert gate.inside == 0


async def test_who_waits_too_long_is_turned_away_and_takes_no_place() -> None:
    gate = Gate("a", 1, timeout_s=0.01)
    gate.enter()
    assert not await wait(gate)
    gate.leave()
    assert gate.inside == 0


async def test_lower_limit_is_reached_though_others_wait() -> None:
    gate = Gate("a", 2)
    assert [gate.enter(), gate.enter()] == [None, None]
    place = wait(gate)
    gate.limit = 1
    gate.leave()
    assert (place.done(), gate.inside) == (False, 1)
    gate.leave()
    assert (place.done(), gate.inside) == (True, 1)


async def test_higher_limit_lets_in_all_that_it_may() -> None:
    gate = Gate("a", 1)
    gate.enter()
    places = [wait(gate) for _ in range(3)]
    gate.limit = 3
    gate.leave()
    assert [place.done() for place in places] == [True, True, True]
