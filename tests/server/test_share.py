"""What workers know of each other."""

from __future__ import annotations

from feathergate.server.share import Loads


def test_average_is_of_those_that_serve() -> None:
    loads = Loads(3)
    loads.publish(0, 10)
    loads.publish(2, 5)
    assert loads.average() == 7.5
    loads.clear(2)
    assert loads.average() == 10


def test_nobody_serving_holds_nothing() -> None:
    assert Loads(2).average() == 0
