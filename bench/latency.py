"""What a proxy adds to the time of a request: one connection, one request after another.

In each round the same requests go to the upstream itself, through nginx and through the gateway, in turns; a round's
figure is the median of its times. Added is what lies above the direct one.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from bench.ask import PROMPT, PROVIDERS, render_native
from bench.call import encode_ask, time_calls
from bench.wire import REQUEST, running_stage

DIRECT = "direct"
_CALLS = 2000
_WARM_UP_CALLS = 200


class Latency(NamedTuple):
    """The median time of a request in each round, microseconds, by who stood between."""

    provider: str
    rounds_us: dict[str, list[float]]

    def added_us(self, name: str) -> float:
        return median(
            there - direct for there, direct in zip(self.rounds_us[name], self.rounds_us[DIRECT], strict=True)
        )


def measure_latency(rounds: int, nginx: str | None) -> list[Latency]:
    with running_stage(REQUEST, nginx) as stage:
        return [
            _measure(
                provider,
                rounds,
                {DIRECT: (stage.upstream.port, encode_ask(render_native(provider, False)))}
                | {
                    proxy.name: (proxy.served.port, encode_ask(proxy.render(provider, False, PROMPT)))
                    for proxy in stage.proxies
                },
            )
            for provider in PROVIDERS
        ]


def _measure(provider: str, rounds: int, targets: dict[str, tuple[int, bytes]]) -> Latency:
    for port, request in targets.values():
        time_calls(port, request, _WARM_UP_CALLS)
    rounds_us: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, (port, request) in targets.items():
            rounds_us[name].append(median(time_calls(port, request, _CALLS)) * 1e6)
    return Latency(provider, rounds_us)
