"""The collector's manners, on the collector of this very process."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from feathergate.server.garbage import tame_collector


class Cycle:
    """Garbage that counting references does not find."""

    def __init__(self) -> None:
        self.itself = self


class FakeLoop:
    """Keeps the one call that is due until the test says that its time has come."""

    def __init__(self) -> None:
        self.due: Callable[[], object] = lambda: None

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        self.due = lambda: callback(*args)


@pytest.fixture(autouse=True)
def untamed() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def tame(connections: int) -> FakeLoop:
    loop = FakeLoop()
    tame_collector(cast(asyncio.AbstractEventLoop, loop), lambda: connections)
    return loop


def make_old_garbage() -> weakref.ref[Cycle]:
    """A cycle that outlived a collection of the young, as what a request holds may do."""
    cycle = Cycle()
    gc.collect(0)
    return weakref.ref(cycle)


def test_start_up_is_looked_at_no_more() -> None:
    kept = Cycle()
    tame(0)
    assert not any(found is kept for found in gc.get_objects())


def test_young_garbage_goes_without_being_asked() -> None:
    tame(10_000)
    first = weakref.ref(Cycle())
    cycles = [Cycle() for _ in range(100_000)]
    assert first() is None
    assert len(cycles) == 100_000


def test_many_live_objects_are_never_looked_at_all_at_once() -> None:
    tame(10_000)
    collected: list[int] = []
    gc.callbacks.append(lambda phase, info: collected.append(info["generation"]))
    try:
        cycles = [Cycle() for _ in range(500_000)]
    finally:
        gc.callbacks.pop()
    assert len(cycles) == 500_000
    assert set(collected) == {0}


@pytest.mark.parametrize(("connections", "gone"), [(0, True), (500, True), (501, False)])
def test_old_garbage_goes_once_few_are_connected(connections: int, gone: bool) -> None:
    loop = tame(connections)
    garbage = make_old_garbage()
    loop.due()
    assert (garbage() is None) is gone


def test_worker_that_made_nothing_collects_nothing() -> None:
    loop = tame(0)
    loop.due()
    collected: list[str] = []
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    try:
        loop.due()
    finally:
        gc.callbacks.pop()
    assert collected == []
