"""What a request and a streamed event cost: CPU of the process between load and upstream, by what passed it.

For each provider and each kind of work the gateway and nginx take turns, round by round, on the same upstream; the
gateway gets an OpenAI request, nginx the provider's own, so that the upstream answers both with the same bytes. The
figure is the median over the rounds; the ratio to nginx is what holds on a noisy machine.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from bench.load import Load, run_load
from bench.process import get, read_cpu_s, read_started, running
from bench.proxy import Proxy, running_gateway, running_nginx

PROVIDERS = ("openai", "anthropic", "gemini")
PROMPT = "Say in one sentence what a gateway is, and why it should be light."
WARM_UP_S = 1

Kind = Literal["request", "event"]
_COUNTED: dict[Kind, str] = {"request": "requests", "event": "events"}


class Shape(NamedTuple):
    """How much work: `events` a stream, `gap_s` apart."""

    rounds: int = 3
    seconds: int = 3
    connections: int = 100
    events: int = 100
    gap_s: float = 0.005


class Cost(NamedTuple):
    """Microseconds of CPU for one request or event, a figure a round; `nginx` is empty where there is none."""

    provider: str
    kind: Kind
    gateway_us: list[float]
    nginx_us: list[float]

    @property
    def ratio(self) -> float | None:
        return median(self.gateway_us) / median(self.nginx_us) if self.nginx_us else None


def measure_wire(shape: Shape, wrk: str, nginx: str | None) -> Iterator[Cost]:
    """One cost after the other, as they are measured. Raises `RuntimeError` where a request fails."""
    with ExitStack() as stack:
        upstream = stack.enter_context(running_upstream(shape))
        gateway = stack.enter_context(running_gateway(upstream))
        other = stack.enter_context(running_nginx(nginx, upstream)) if nginx else None
        for kind in _COUNTED:
            for provider in PROVIDERS:
                yield _measure_cost(shape, wrk, upstream, provider, kind, (gateway, other))


@contextmanager
def running_upstream(shape: Shape) -> Iterator[int]:
    """Its port."""
    command = [sys.executable, "-m", "bench.upstream", str(shape.events), str(shape.gap_s)]
    with running(command, Path(__file__).parents[1], output=subprocess.PIPE) as upstream:
        yield read_started(upstream.stdout)["port"]


class Turn(NamedTuple):
    """One proxy's part in a round, and what it came to in each."""

    proxy: Proxy
    path: str
    body: str
    figures_us: list[float]


def _measure_cost(
    shape: Shape, wrk: str, upstream: int, provider: str, kind: Kind, proxies: tuple[Proxy, Proxy | None]
) -> Cost:
    gateway, nginx = proxies
    stream = kind == "event"
    turns = [Turn(gateway, "/v1/chat/completions", render_chat(provider, stream), [])]
    if nginx is not None:
        turns.append(Turn(nginx, *render_native(provider, stream), []))
    for turn in turns:
        check_answer(turn.proxy.port, turn.path, turn.body)
        measure_turn(wrk, upstream, turn.proxy, Load(turn.path, turn.body, shape.connections, WARM_UP_S), kind)
    for _ in range(shape.rounds):
        for turn in turns:
            load = Load(turn.path, turn.body, shape.connections, shape.seconds)
            turn.figures_us.append(measure_turn(wrk, upstream, turn.proxy, load, kind))
    return Cost(provider, kind, turns[0].figures_us, turns[1].figures_us if nginx is not None else [])


def measure_turn(wrk: str, upstream: int, proxy: Proxy, load: Load, kind: Kind) -> float:
    """Microseconds of CPU that `proxy` spent for each request or event that the upstream saw."""
    before, spent = read_count(upstream, kind), read_cpu_s(proxy.pid)
    with tempfile.TemporaryDirectory() as folder:
        sent = run_load(wrk, proxy.port, load, Path(folder))
    spent, passed = read_cpu_s(proxy.pid) - spent, read_count(upstream, kind) - before
    if sent.errors or not passed:
        raise RuntimeError(f"{sent.errors} of {sent.requests} requests to {load.path} failed")
    return spent / passed * 1e6


def read_count(upstream: int, kind: Kind) -> int:
    count: int = json.loads(get(upstream, "/count")[1])[_COUNTED[kind]]
    return count


def check_answer(port: int, path: str, body: str) -> None:
    """One request before the load, so that nobody measures how fast an error is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200 or b"gateway" not in text:
        raise RuntimeError(f"{path} answered {answer.status}: {text[:300]!r}")


def render_chat(provider: str, stream: bool) -> str:
    """What a client of the gateway sends."""
    return json.dumps({"model": provider, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]})


def render_native(provider: str, stream: bool) -> tuple[str, str]:
    """Path and body of the same request in the provider's own API."""
    if provider == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": PROMPT}]}]
        return f"/v1beta/models/bench-model:{verb}", json.dumps({"contents": contents})
    path = "/v1/messages" if provider == "anthropic" else "/v1/chat/completions"
    return path, render_chat(provider, stream)
