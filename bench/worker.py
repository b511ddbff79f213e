"""Two workers beside one: what a request costs each way, and how evenly the two share the requests.

Every request makes a worker write the same bytes (the request upstream, the answer, a line of the log), so a worker's
share of the bytes written is its share of the requests.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from bench.ask import Ask
from bench.load import run_load
from bench.process import list_children, read_written_bytes
from bench.proxy import Proxy, running_gateway
from bench.wire import REQUEST, WARM_UP_S, Round, Stage, Turns, check_answer, measure_round, running_provider

_PROVIDER = "openai"


class Workers(NamedTuple):
    """Rounds of one worker and of two; `shares` are the first worker's share of the requests in each round of two."""

    one: list[Round]
    two: list[Round]
    shares: list[float]

    @property
    def ratio(self) -> float:
        """CPU per request, two workers over one."""
        return cost_us(self.two) / cost_us(self.one)

    @property
    def estimated_rate(self) -> float:
        """Requests a second on four cores that nobody else needs: four times what one second of CPU serves."""
        return 4e6 / cost_us(self.two)


def cost_us(rounds: list[Round]) -> float:
    return median(turn.cost_us for turn in rounds)


def measure_workers(turns: Turns, wrk: str, nginx: str | None) -> Workers:
    with ExitStack() as stack:
        upstream = stack.enter_context(running_provider(REQUEST, nginx))
        one = stack.enter_context(running_gateway(upstream.port))
        two = stack.enter_context(running_gateway(upstream.port, "--workers", "2"))
        stage = Stage(upstream, (one, two))
        for proxy in stage.proxies:
            check_answer(proxy, _ask(proxy))
            run_load(wrk, proxy.served.port, _ask(proxy), REQUEST.connections, WARM_UP_S)
        figures = Workers([], [], [])
        for _ in range(turns.rounds):
            figures.one.append(_measure(one, stage, wrk, turns.seconds))
            before = _read_written(two)
            figures.two.append(_measure(two, stage, wrk, turns.seconds))
            figures.shares.append(share_first(before, _read_written(two)))
        return figures


def _ask(proxy: Proxy) -> Ask:
    return proxy.render(_PROVIDER, False, REQUEST.prompt)


def _measure(proxy: Proxy, stage: Stage, wrk: str, seconds: int) -> Round:
    return measure_round(REQUEST, wrk, stage.upstream, proxy, _ask(proxy), seconds)


def _read_written(proxy: Proxy) -> dict[int, int]:
    return {pid: read_written_bytes(pid) for pid in list_children(proxy.served.pid)}


def share_first(before: dict[int, int], after: dict[int, int]) -> float:
    """The first worker's part of what both wrote. Raises `RuntimeError` where they are not the same two."""
    if before.keys() != after.keys() or len(before) != 2:
        raise RuntimeError(f"two workers were to serve, and there were {sorted(before)}, then {sorted(after)}")
    written = [after[pid] - before[pid] for pid in sorted(before)]
    return written[0] / sum(written)
