"""What a request, a streamed event and a long prompt cost: CPU of the process between load and upstream.

For each provider the proxies take turns, round by round, on the same upstream. A round's figure is the proxy's CPU
by what passed it; the figure shown is the median over the rounds, and its ratio to nginx's is what holds on a noisy
machine. Each round says also how busy the proxy, the upstream and the load were, so that a reader sees who was the
limit: the proxy should be, since one that waits handles smaller batches and looks a little dearer.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from statistics import median
from typing import Literal, NamedTuple

from bench.ask import PROMPT, Ask, render_long
from bench.load import run_load
from bench.process import Served, read_cpu_s
from bench.provider import read_event_count, running_upstream, running_whole
from bench.proxy import NGINX, Proxy, running_gateway, running_nginx

WARM_UP_S = 1


class Work(NamedTuple):
    """What is sent on so many `connections`; `unit` is what a cost is of.

    `counted` says how many of it passed: `answers` that the load has whole, `events` of those answers, or events
    that the upstream `wrote`, which is exact where a proxy keeps pace with it.
    """

    name: str
    unit: str
    connections: int
    counted: Literal["answers", "events", "written"] = "answers"
    events: int = 0
    gap_s: float = 0.0
    prompt: str = PROMPT


REQUEST = Work("request", "request", 100)
STREAM = Work("stream", "event", 200, "written", events=200, gap_s=0.005)
PROMPT_1MB = Work("prompt", "1 MB prompt", 4, prompt=render_long(1_000_000))


class Turns(NamedTuple):
    """How long is measured: so many rounds of so many seconds for each proxy."""

    rounds: int
    seconds: int


class Tools(NamedTuple):
    """Programs that Debian has and Python has not."""

    wrk: str
    nginx: str | None


class Round(NamedTuple):
    """One proxy's turn; CPU is what was spent within `wall_s`."""

    passed: int
    wall_s: float
    proxy_cpu_s: float
    upstream_cpu_s: float
    load_cpu_s: float

    @property
    def cost_us(self) -> float:
        return self.proxy_cpu_s / self.passed * 1e6


class Cost(NamedTuple):
    """All rounds of one work for one provider, by the proxy's name."""

    work: str
    unit: str
    provider: str
    connections: int
    rounds: dict[str, list[Round]]

    def cost_us(self, name: str) -> float:
        return median(turn.cost_us for turn in self.rounds[name])

    def ratio(self, name: str) -> float | None:
        """To nginx; nothing where that was not measured."""
        return self.cost_us(name) / self.cost_us(NGINX) if NGINX in self.rounds else None

    def busy(self, name: str) -> tuple[float, float, float]:
        """How much of one core the proxy, the upstream and the load used, from 0 to 1."""
        rounds = self.rounds[name]
        return (
            median(turn.proxy_cpu_s / turn.wall_s for turn in rounds),
            median(turn.upstream_cpu_s / turn.wall_s for turn in rounds),
            median(turn.load_cpu_s / turn.wall_s for turn in rounds),
        )


class Stage(NamedTuple):
    """An upstream, and who stands before it."""

    upstream: Served
    proxies: Sequence[Proxy]


def running_provider(work: Work, nginx: str | None) -> AbstractContextManager[Served]:
    """The upstream that fits the work."""
    short_and_whole = not work.events and work.prompt == PROMPT
    return running_whole(nginx) if short_and_whole else running_upstream(work.events, work.gap_s)


@contextmanager
def running_stage(work: Work, nginx: str | None) -> Iterator[Stage]:
    """The gateway, and nginx where it is installed."""
    with ExitStack() as stack:
        upstream = stack.enter_context(running_provider(work, nginx))
        proxies = [stack.enter_context(running_gateway(upstream.port))]
        if nginx:
            proxies.append(stack.enter_context(running_nginx(nginx, upstream.port)))
        yield Stage(upstream, proxies)


def measure_cost(work: Work, turns: Turns, wrk: str, provider: str, stage: Stage) -> Cost:
    """Raises `RuntimeError` where a request fails."""
    asks = [(proxy, proxy.render(provider, bool(work.events), work.prompt)) for proxy in stage.proxies]
    rounds: dict[str, list[Round]] = {proxy.name: [] for proxy in stage.proxies}
    for proxy, ask in asks:
        check_answer(proxy, ask)
        run_load(wrk, proxy.served.port, ask, work.connections, WARM_UP_S)
    for _ in range(turns.rounds):
        for proxy, ask in asks:
            rounds[proxy.name].append(measure_round(work, wrk, stage.upstream, proxy, ask, turns.seconds))
    return Cost(work.name, work.unit, provider, work.connections, rounds)


def measure_round(work: Work, wrk: str, upstream: Served, proxy: Proxy, ask: Ask, seconds: int) -> Round:
    written = read_event_count(upstream) if work.counted == "written" else 0
    before = (time.monotonic(), read_cpu_s(proxy.served.pid), read_cpu_s(upstream.pid))
    sent = run_load(wrk, proxy.served.port, ask, work.connections, seconds)
    after = (time.monotonic(), read_cpu_s(proxy.served.pid), read_cpu_s(upstream.pid))
    passed = {
        "answers": lambda: sent.requests,
        "events": lambda: sent.requests * work.events,
        "written": lambda: read_event_count(upstream) - written,
    }[work.counted]()
    if sent.errors:
        raise RuntimeError(f"{proxy.name}: {sent.errors} of {sent.requests} requests to {ask.path} failed")
    if not passed:
        raise RuntimeError(f"{proxy.name}: no request to {ask.path} was answered within {seconds} s")
    wall_s, proxy_cpu_s, upstream_cpu_s = (end - start for start, end in zip(before, after, strict=True))
    return Round(passed, wall_s, proxy_cpu_s, upstream_cpu_s, sent.cpu_s)


def check_answer(proxy: Proxy, ask: Ask) -> None:
    """One request before the load, so that nobody measures how fast an error is."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.served.port, timeout=60)
    headers = {"content-type": "application/json", **ask.headers}
    try:
        connection.request("POST", ask.path, ask.body.encode(), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(f"{proxy.name}: {ask.path} was not answered: {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200 or b"gateway" not in text:
        raise RuntimeError(f"{proxy.name}: {ask.path} answered {answer.status}: {text[:300]!r}")
