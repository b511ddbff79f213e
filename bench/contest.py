"""The gateway beside its peers: the same requests and streams for all, in turns, in one run.

The streams are fewer than in `wire.py`, since not every peer keeps pace with two hundred, and they are counted by whole
answers that reached the load. A peer that cannot do some work is left out of that work, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from bench.ask import PROVIDERS
from bench.memory import measure_memory
from bench.peer import Started, install, running_peer
from bench.process import Memory
from bench.proxy import GATEWAY, Proxy
from bench.start import Start, measure_start
from bench.wire import REQUEST, STREAM, Cost, Stage, Turns, Work, check_answer, measure_cost, running_stage

WORKS = (
    REQUEST._replace(connections=50),
    STREAM._replace(connections=20, counted="events"),
)
# A stream lasts a second at least, and longer through a slow peer; rounds must be long beside that.
_SECONDS = {"request": 4, "stream": 8}


class Contest(NamedTuple):
    """`starts` (to an answered health check) and `idle` are by name; `missing` says why something is not there."""

    costs: list[Cost]
    versions: dict[str, str]
    starts: dict[str, Start]
    idle: dict[str, Memory]
    missing: list[str]


def enter_contest(keys: list[str]) -> Contest:
    """With the gateway in it, and those peers that could be installed."""
    contest = Contest([], {}, {GATEWAY: measure_start()[0]}, {GATEWAY: measure_memory(1).idle}, [])
    for key in keys:
        try:
            contest.versions[key] = install(key)
        except RuntimeError as error:
            contest.missing.append(str(error))
    return contest


def measure_contest(contest: Contest, rounds: int, wrk: str, nginx: str | None) -> Iterator[Cost]:
    """One cost after the other, which `contest` then holds too."""
    for work in WORKS:
        with ExitStack() as stack:
            stage = stack.enter_context(running_stage(work, nginx))
            peers = [peer for key in contest.versions for peer in _start(key, stage.upstream.port, stack, contest)]
            for provider in PROVIDERS:
                proxies = [*stage.proxies, *_pick_able(work, provider, peers, contest)]
                turns = Turns(rounds, _SECONDS[work.name])
                try:
                    contest.costs.append(measure_cost(work, turns, wrk, provider, Stage(stage.upstream, proxies)))
                    yield contest.costs[-1]
                except RuntimeError as error:
                    contest.missing.append(f"{work.name}, {provider}, for all: {error}")


def _start(key: str, upstream_port: int, stack: ExitStack, contest: Contest) -> list[Proxy]:
    """The peer, or none where it does not start."""
    try:
        started: Started = stack.enter_context(running_peer(key, upstream_port))
    except RuntimeError as error:
        contest.missing.append(str(error))
        return []
    contest.starts.setdefault(started.proxy.name, started.start)
    contest.idle.setdefault(started.proxy.name, started.idle)
    return [started.proxy]


def _pick_able(work: Work, provider: str, peers: list[Proxy], contest: Contest) -> list[Proxy]:
    able = []
    for peer in peers:
        try:
            check_answer(peer, peer.render(provider, bool(work.events), work.prompt))
            able.append(peer)
        except RuntimeError as error:
            contest.missing.append(f"{work.name}, {provider}: {error}")
    return able
