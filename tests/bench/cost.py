"""A request's cost made up for a test: microseconds a round, by the proxy's name."""

from __future__ import annotations

from bench.wire import Cost, Round


def make_cost(**costs_us: list[float]) -> Cost:
    rounds = {name: [Round(100, 2.0, us / 1e4, 0.5, 0.25) for us in each] for name, each in costs_us.items()}
    return Cost("request", "request", "openai", 100, rounds)
