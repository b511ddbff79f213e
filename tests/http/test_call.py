"""A call by itself, on a carrier that only remembers: when it is late, and for what."""

from __future__ import annotations

import asyncio

import pytest
from tests.upstream_call import RememberingSink, get_error

from feathergate.http.call import Exchange
from feathergate.http.contract import HttpError, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.response import ResponseReader
from feathergate.http.ticker import NEVER, Ticker

TIMEOUTS = Timeouts(first_byte_s=20, idle_s=5, total_s=60)


def build_clock() -> Ticker:
    """Stands still at 100 s until told."""
    clock = Ticker(asyncio.get_running_loop())
    clock.time = 100.0
    clock.now = lambda: clock.time
    return clock


class RememberingCarrier:
    """Implements `call.Carrier`."""

    def __init__(self, *, connected: bool = True, started: bool = False) -> None:
        self.deadline = NEVER
        self.connected = connected
        self.started = started
        self.calls: list[str] = []

    def detach(self) -> None:
        self.calls.append("detach")

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


def begin(carrier: RememberingCarrier, answer: bytes = b"") -> tuple[Exchange, RememberingSink, Ticker]:
    """A call, begun at 100 s, that has heard of `answer`."""
    clock, sink = build_clock(), RememberingSink()
    exchange = Exchange(b"", b"", sink, TIMEOUTS, clock, None)
    exchange.attach(carrier)
    if answer:
        reader = ResponseReader(ClientLimits())
        exchange.deliver(reader, reader.feed(answer))
    return exchange, sink, clock


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


async def test_wait_for_the_head_counts_from_the_start() -> None:
    carrier = RememberingCarrier()
    exchange, _, _ = begin(carrier)
    exchange.heard = 110
    assert (carrier.deadline, exchange.due()) == (120, 120)


async def test_head_moves_the_deadline_to_the_idle_time() -> None:
    carrier = RememberingCarrier()
    begin(carrier, HEAD)
    assert carrier.deadline == 105


@pytest.mark.parametrize(("heard", "due"), [(110, 115), (150, 155), (159, 160)])
async def test_idle_time_counts_from_the_last_read_and_ends_with_the_total(heard: float, due: float) -> None:
    exchange, _, _ = begin(RememberingCarrier(), HEAD)
    exchange.heard = heard
    assert exchange.due() == due


@pytest.mark.parametrize(("answer", "due"), [(b"", 120), (HEAD, 115)], ids=["before head", "in body"])
async def test_pause_leaves_the_total_alone_and_resume_starts_the_idle_time_anew(answer: bytes, due: float) -> None:
    carrier = RememberingCarrier()
    exchange, _, clock = begin(carrier, answer)
    exchange.pause()
    assert exchange.due() == 160
    clock.time = 110.0
    exchange.resume()
    assert (carrier.deadline, carrier.calls) == (due, ["pause", "resume"])


@pytest.mark.parametrize(
    ("connected", "started", "answer", "now", "kind", "clean"),
    [
        (False, False, b"", 120, "timeout_connect", True),
        (True, False, b"", 120, "timeout_first_byte", True),
        (True, True, b"", 120, "timeout_first_byte", False),
        (True, True, HEAD, 120, "idle", False),
        (True, True, HEAD, 160, "timeout_total", False),
        (True, False, b"", 160, "timeout_total", True),
    ],
)
async def test_late_call_says_for_what_and_closes_its_connection(
    connected: bool, started: bool, answer: bytes, now: float, kind: str, clean: bool
) -> None:
    carrier = RememberingCarrier(connected=connected, started=started)
    exchange, sink, _ = begin(carrier, answer)
    exchange.expire(now)
    assert (get_error(sink), carrier.calls, exchange.done) == ((kind, clean), ["detach", "abort"], True)


async def test_ended_call_touches_its_connection_no_more() -> None:
    carrier = RememberingCarrier()
    exchange, sink, _ = begin(carrier, b"HTTP/1.1 204 OK\r\n\r\n")
    for act in (exchange.pause, exchange.resume, exchange.cancel):
        act()
    exchange.expire(160)
    assert (sink.calls, carrier.calls) == (["head", "end"], ["detach"])


async def test_answered_call_lets_go_of_its_request() -> None:
    exchange = Exchange(b"head", b"body", RememberingSink(), TIMEOUTS, build_clock(), None)
    reader = ResponseReader(ClientLimits())
    exchange.deliver(reader, reader.feed(HEAD))
    assert (exchange.head, exchange.body) == (b"", b"")


async def test_error_reaches_the_sink_as_it_is_translated() -> None:
    sink = RememberingSink()
    exchange = Exchange(
        b"", b"", sink, TIMEOUTS, build_clock(), lambda error: HttpError("protocol", f"ours for {error.kind}")
    )
    exchange.expire(160)
    assert str(sink.error) == "ours for timeout_total"
