"""What a worker sees of a deployment's load and speed, and of a group's times to first content.

A `Gauge` counts for its own worker: requests in flight, requests and tokens of the minute (minutes of the clock that
it is given, the same for all), and the time to first content, averaged so that the past decays with time. A figure
that nothing has renewed for minutes is forgotten, so that a deployment which was slow once is tried again.
`Percentiles` keeps the last times of a whole group, for hedging. Neither has a clock: time comes in as seconds.
"""

from __future__ import annotations

from collections import deque
from math import ceil, exp, inf
from typing import Final

MINUTE_S: Final = 60.0

DECAY_S: Final = 30.0
"""After this time without a measurement, an old latency weighs 1/e (37 %) beside a new one."""

LEAST_SHARE: Final = 0.05
"""A new measurement weighs at least this much, so that a busy deployment's average follows its last 20 or so."""

MEMORY_S: Final = 300.0
"""A latency, or a time of `Percentiles`, that is older is forgotten."""

TOKENS_LIMIT: Final = 10**9
"""More tokens of one request than this are a provider's slip, and count as this many."""

SAMPLE_LIMIT_COUNT: Final = 512
SAMPLE_LEAST_COUNT: Final = 20
"""With fewer samples, the 95th percentile would be no more than the largest of them."""

_RENEWED_S: Final = 1.0


class Gauge:
    """One deployment in one worker. Every `start` is followed by one `end`. `latency_s` is None where unmeasured, and
    is as fresh as the last call with a time."""

    __slots__ = ("_measured_at", "_minute", "_requests", "_tokens", "in_flight", "latency_s")

    def __init__(self) -> None:
        self.in_flight = 0
        self.latency_s: float | None = None
        self._measured_at = 0.0
        self._minute = 0
        self._requests = 0
        self._tokens = 0

    def start(self, now: float) -> None:
        self._turn(now)
        self.in_flight += 1
        self._requests += 1

    def first_content(self, now: float, after_s: float) -> None:
        """The first content came `after_s` after the request was sent; or none came in that time, at a timeout."""
        if not 0 <= after_s < inf:
            return
        if self.latency_s is None:
            self.latency_s = after_s
        else:
            share = max(1 - exp((self._measured_at - now) / DECAY_S), LEAST_SHARE)
            self.latency_s += (after_s - self.latency_s) * share
        self._measured_at = now

    def end(self, now: float, tokens: int) -> None:
        """The attempt is over, however it ended; `tokens` is 0 where the provider told none."""
        self._turn(now)
        self.in_flight -= 1
        self._tokens += min(max(tokens, 0), TOKENS_LIMIT)

    def count(self, now: float) -> tuple[int, int]:
        """The requests that started, and the tokens of those that ended, in the current minute."""
        self._turn(now)
        return self._requests, self._tokens

    def _turn(self, now: float) -> None:
        """Begin a new minute, where one has begun."""
        minute = int(now / MINUTE_S)
        if minute == self._minute:
            return
        self._minute = minute
        self._requests = self._tokens = 0
        if now - self._measured_at > MEMORY_S:
            self.latency_s = None


class Percentiles:
    """A group's times to first content: the last 512 of the last five minutes."""

    __slots__ = ("_p95", "_renew_at", "_samples")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLE_LIMIT_COUNT)
        self._p95: float | None = None
        self._renew_at = 0.0

    def note(self, now: float, after_s: float) -> None:
        if after_s >= 0:
            self._samples.append((now, after_s))

    def find_p95(self, now: float) -> float | None:
        """Seconds within which 95 % of first contents came (nearest rank); None with fewer than 20 samples. Renewed
        once a second, because sorting them costs 15 µs."""
        if now >= self._renew_at:
            self._renew_at = now + _RENEWED_S
            self._p95 = self._compute_p95(now - MEMORY_S)
        return self._p95

    def _compute_p95(self, oldest: float) -> float | None:
        samples = self._samples
        while samples and samples[0][0] < oldest:
            samples.popleft()
        if len(samples) < SAMPLE_LEAST_COUNT:
            return None
        return sorted([after_s for _, after_s in samples])[ceil(0.95 * len(samples)) - 1]
