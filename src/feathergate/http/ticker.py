"""One coarse timer over many deadlines, so that a request does not pay for a timer of its own.

Each watched object carries its `deadline` (loop time, or `NEVER`) and moves it as it likes at no cost; the
ticker looks at all of them every `period_s` and calls `on_deadline` on those that are late. It stops ticking
when there is nothing to watch. Precision is the period, which is fine for timeouts and wrong for pacing: who sets
a deadline reads `time`, a plain attribute; `now()` is for durations that are shown.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Final, Protocol

_log: Final = logging.getLogger(__name__)

NEVER: Final = math.inf


class Watched(Protocol):
    deadline: float

    def on_deadline(self, now: float) -> None:
        """Called once per tick while the deadline has passed; must move the deadline or `forget` itself."""


class Ticker:
    """The deadlines of `loop`. Not thread-safe; one per event loop. `now()` is the loop's own clock.

    `time` is the loop's time at the last tick, in seconds: while something is watched it is at most one period old
    (or as old as the loop has stood still); while nothing is, it stands, and `watch` refreshes it.
    """

    __slots__ = ("_period_s", "_timer", "_watched", "loop", "now", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float = 0.05) -> None:
        self.time = loop.time()
        self.loop = loop
        self.now = loop.time
        self._period_s = period_s
        self._watched: dict[Watched, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, item: Watched) -> None:
        self._watched[item] = None
        if self._timer is None:
            self.time = self.loop.time()
            self._timer = self.loop.call_later(self._period_s, self._tick)

    def forget(self, item: Watched) -> None:
        self._watched.pop(item, None)

    def close(self) -> None:
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self.time = now = self.loop.time()
        late = [item for item in self._watched if item.deadline <= now]
        self._timer = self.loop.call_later(self._period_s, self._tick) if self._watched else None
        for item in late:
            try:
                item.on_deadline(now)
            except Exception:  # noqa: BLE001 - outermost: one item's failure must not cost the others their deadlines
                _log.exception("a deadline could not be handled")
                self.forget(item)
