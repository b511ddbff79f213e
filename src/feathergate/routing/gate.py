"""How many requests may be under way at once, and a short queue for those that may not yet.

A `Gate` outlives configurations: a reload changes its limits, and those inside count on. Whoever leaves lets in the
first who wait, as many as the limit allows by then; who waits too long, or finds the queue full, is turned away.
Source: reference/reliability.md A1.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

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
        # Not a list or a deque: those who give up are in the middle of it, and must not fill it.
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()

    @property
    def is_full(self) -> bool:
        return 0 < self.limit <= self.inside

    def enter(self) -> asyncio.Future[bool] | None:
        """None for one who is inside at once; else a future that tells whether a place came free in time, to be
        `abandon`ed by who does not wait for it. Raises `UnavailableError` where the queue is full."""
        if not self.is_full:
            self.inside += 1
            return None
        if len(self._waiting) >= self.queue_limit:
            raise self.build_error()
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._waiting[place] = None
        loop.call_later(self.timeout_s, self._turn_away, place)
        return place

    def abandon(self, place: asyncio.Future[bool]) -> None:
        """Whoever waited does no more; a place that it was just given goes on to the next."""
        self._waiting.pop(place, None)
        if not place.done():
            place.cancel()
        elif not place.cancelled() and place.result():
            self.leave()

    def leave(self) -> None:
        self.inside -= 1
        while self._waiting and not self.is_full:
            place, _ = self._waiting.popitem(last=False)
            if not place.done():  # else its waiter has been cancelled
                self.inside += 1
                place.set_result(True)

    def build_error(self) -> UnavailableError:
        return UnavailableError(
            f"{self.what} has as many requests under way as it is allowed, and a full queue. Send the request again "
            "after the time that retry-after tells.",
            code="too_many_requests_in_flight",
            retry_after_s=max(1.0, self.timeout_s),
        )

    def _turn_away(self, place: asyncio.Future[bool]) -> None:
        self._waiting.pop(place, None)
        if not place.done():
            place.set_result(False)
