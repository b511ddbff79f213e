"""The parts of the bench, by name: each measures, and gives rows for the reader and raw figures for the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bench.ask import PROVIDERS
from bench.contest import enter_contest, measure_contest
from bench.crowd import measure_crowds
from bench.latency import measure_latency
from bench.memory import measure_memory
from bench.size import measure_size
from bench.stall import measure_stall
from bench.start import measure_starts
from bench.table import (
    Busy,
    Row,
    head_contest,
    render_busy,
    render_contest,
    render_cost,
    render_crowd,
    render_latency,
    render_line,
    render_markdown,
    render_memory,
    render_size,
    render_stall,
    render_starts,
    render_workers,
)
from bench.wire import PROMPT_1MB, REQUEST, STREAM, Turns, Work, measure_cost, running_stage
from bench.worker import measure_workers

REQUESTS = 1000


class Options(NamedTuple):
    """What was asked for, and the programs that are there."""

    turns: Turns
    starts: int
    streams: int
    peers: list[str]
    wrk: str | None
    nginx: str | None


class Finding(NamedTuple):
    """`raw` goes to the record; `text` is markdown of its own, beside the table."""

    raw: Any
    rows: list[Row]
    busy: Sequence[Busy] = ()
    text: str = ""


Measure = Callable[[Options], Iterator[Finding]]


def _start(options: Options) -> Iterator[Finding]:
    starts = measure_starts(options.starts)
    yield Finding(starts, render_starts(starts))


def _memory(options: Options) -> Iterator[Finding]:
    resident = measure_memory(REQUESTS)
    yield Finding(resident, render_memory(resident))


def _size(options: Options) -> Iterator[Finding]:
    size = measure_size()
    yield Finding(size, render_size(size))


def _wire(work: Work) -> Measure:
    def measure(options: Options) -> Iterator[Finding]:
        with running_stage(work, options.nginx) as stage:
            for provider in PROVIDERS:
                cost = measure_cost(work, options.turns, need_wrk(options), provider, stage)
                yield Finding(cost, render_cost(cost), render_busy(cost))

    return measure


def _stall(options: Options) -> Iterator[Finding]:
    with running_stage(PROMPT_1MB, options.nginx) as stage:
        for provider in PROVIDERS:
            stall = measure_stall(options.turns, need_wrk(options), provider, stage)
            yield Finding(stall, render_stall(stall))


def _latency(options: Options) -> Iterator[Finding]:
    for latency in measure_latency(options.turns.rounds, options.nginx):
        yield Finding(latency, render_latency(latency))


def _workers(options: Options) -> Iterator[Finding]:
    workers = measure_workers(options.turns, need_wrk(options), options.nginx)
    yield Finding(workers, render_workers(workers))


def _streams(options: Options) -> Iterator[Finding]:
    for crowd in measure_crowds(options.streams):
        yield Finding(crowd, render_crowd(crowd))


def _peers(options: Options) -> Iterator[Finding]:
    if not options.peers:
        return
    wrk = need_wrk(options)
    contest = enter_contest(options.peers)
    for cost in measure_contest(contest, options.turns.rounds, wrk, options.nginx):
        print(render_line(cost), flush=True)
    missing = "".join(f"\nLeft out: {word}\n" for word in contest.missing)
    text = render_markdown(head_contest(contest), render_contest(contest)) + missing
    yield Finding(contest, [], [each for cost in contest.costs for each in render_busy(cost)], text)


PARTS: dict[str, Measure] = {
    "start": _start,
    "memory": _memory,
    "size": _size,
    "request": _wire(REQUEST),
    "stream": _wire(STREAM),
    "prompt": _wire(PROMPT_1MB),
    "stall": _stall,
    "latency": _latency,
    "workers": _workers,
    "streams": _streams,
    "peers": _peers,
}


def need_wrk(options: Options) -> str:
    if options.wrk is None:
        raise RuntimeError("wrk is not installed (Debian: apt-get install wrk nginx)")
    return options.wrk
