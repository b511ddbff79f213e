"""How many attempts after the first a group may make: retries must not multiply an outage.

Of the last ten seconds at most the larger of a floor and a share of the requests. The floor keeps a quiet group's
few requests safe; the share keeps a busy one's total outage at 1.2 times its requests. Counted in slots of a tenth
of the window, and the slot that is just passing out of it counts still, so that nothing is forgotten too early. One
budget counts for one worker. Source: reference/reliability.md A1, A12 and U54.
"""

from __future__ import annotations

from typing import Final

_SLOTS: Final = 10


class RetryBudget:
    """`floor` is a number of attempts, `share` a part of the requests, both within `window_s`."""

    __slots__ = ("_floor", "_newest", "_requests", "_requests_total", "_share", "_slot_s", "_taken", "_taken_total")

    def __init__(self, floor: int = 100, share: float = 0.2, window_s: float = 10.0) -> None:
        self._floor = floor
        self._share = share
        self._slot_s = window_s / _SLOTS
        self._newest = 0
        self._requests = [0] * (_SLOTS + 1)
        self._requests_total = 0
        self._taken = [0] * (_SLOTS + 1)
        self._taken_total = 0

    def note_request(self, now: float) -> None:
        """A client's request, whose first attempt is free."""
        self._requests[self._turn(now)] += 1
        self._requests_total += 1

    def take(self, now: float) -> bool:
        """Whether one more attempt may be made now; if so, it is counted."""
        slot = self._turn(now)
        if self._taken_total + 1 > max(self._floor, self._share * self._requests_total):
            return False
        self._taken[slot] += 1
        self._taken_total += 1
        return True

    def _turn(self, now: float) -> int:
        """The place of the slot that is now, with all that have passed since the last call emptied."""
        newest = int(now / self._slot_s)
        count = _SLOTS + 1
        if newest > self._newest:
            for slot in range(max(self._newest + 1, newest + 1 - count), newest + 1):
                place = slot % count
                self._requests_total -= self._requests[place]
                self._taken_total -= self._taken[place]
                self._requests[place] = self._taken[place] = 0
            self._newest = newest
        return self._newest % count
