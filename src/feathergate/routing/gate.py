"""How many requests may be under way at once, and a short queue for those that may not yet.

A `Gate` outlives configurations: a reload changes its limits, and those inside count on. A place is handed from one
who leaves to the first who waits; who waits too long, or finds the queue full, is turned away.
Source: reference/reliability.md A1.
"""

from __future__ import annotations

import asyncio
from collections import deque

from feathergate.errors import UnavailableError


class Gate:
    """`limit` requests at once, 0 for any number, and `queue_limit` that wait for at most `timeout_s`."""

    __slots__ = ("_waiting", "inside", "limit", "queue_limit", "timeout_s", "what")

    def __init__(self, what: str, limit: int = 0, queue_limit: int = 100, timeout_s: float = 1.0) -> None:
        self.what = what
        self.limit = limit
        self.queue_limit = queue_limit
        self.timeout_s = timeout_s
        self.inside = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def enter(self) -> asyncio.Future[bool] | None:
        """None for one who is inside at once; else a future that tells whether a place came free in time, to be
        `abandon`ed by who does not wait for it. Raises `UnavailableError` where the queue is full."""
        if not self.limit or self.inside < self.limit:
            self.inside += 1
            return None
        self._forget_done()
        if len(self._waiting) >= self.queue_limit:
            raise self.build_error()
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(place)
        loop.call_later(self.timeout_s, _turn_away, place)
        return place

    def abandon(self, place: asyncio.Future[bool]) -> None:
        """Whoever waited does no more; a place that it was just given goes on to the next."""
        if not place.done():
            place.cancel()
        elif not place.cancelled() and place.result():
            self.leave()

    def leave(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(True)
                return
        self.inside -= 1

    def build_error(self) -> UnavailableError:
        return UnavailableError(
            f"{self.what} has as many requests under way as it is allowed, and a full queue. Send the request again "
            "after the time that retry-after tells.",
            code="too_many_requests_in_flight",
            retry_after_s=max(1.0, self.timeout_s),
        )

    def _forget_done(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()


def _turn_away(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)
