"""How long the loop is held by long prompts: what the smallest request waits while 1 MB prompts pass.

A second client asks `/health` without a pause. Each of its waits is taken less the time for which the kernel says that
the proxy or the client could have run and had no core: that is the machine's doing. What is left of the longest, less
the median on an idle process, is the stall. The loop itself is not held longer than that, and often less: it counts
everything that was ready in the same turn. nginx's shows what the machine adds all the same.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from bench.call import HEALTH, calling, time_calls
from bench.load import run_load
from bench.proxy import Proxy
from bench.wire import PROMPT_1MB, Stage, Turns

_IDLE_CALLS = 500


class Longest(NamedTuple):
    """The longest wait of a round, without what was spent waiting for a core; and the longest on the clock."""

    held_ms: float
    wall_ms: float


class Stall(NamedTuple):
    """A figure a round, by the proxy's name."""

    provider: str
    rounds: dict[str, list[Longest]]

    def worst_ms(self, name: str) -> float:
        return max(longest.held_ms for longest in self.rounds[name])


def measure_stall(turns: Turns, wrk: str, provider: str, stage: Stage) -> Stall:
    rounds: dict[str, list[Longest]] = {proxy.name: [] for proxy in stage.proxies}
    for _ in range(turns.rounds):
        for proxy in stage.proxies:
            rounds[proxy.name].append(_measure_round(turns.seconds, wrk, provider, proxy))
    return Stall(provider, rounds)


def _measure_round(seconds: int, wrk: str, provider: str, proxy: Proxy) -> Longest:
    served, ask = proxy.served, proxy.render(provider, False, PROMPT_1MB.prompt)
    idle_s = median(time_calls(served.port, HEALTH, _IDLE_CALLS))
    with calling(served, HEALTH) as waits:
        sent = run_load(wrk, served.port, ask, PROMPT_1MB.connections, seconds)
    if sent.errors or not waits:
        raise RuntimeError(f"{proxy.name}: {sent.errors} of {sent.requests} long prompts failed")
    held_s = max(wait.wall_s - wait.queued_s for wait in waits) - idle_s
    return Longest(held_s * 1e3, (max(wait.wall_s for wait in waits) - idle_s) * 1e3)
