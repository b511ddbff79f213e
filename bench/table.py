"""What the reader sees: rows of text from the figures, beside the bars that issue "As fast as the wire allows" sets.

Kilo and mega are powers of ten. A figure above its bar says FAIL and ends nothing: it is a measurement, not a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.contest import Contest
from bench.crowd import Crowd
from bench.latency import Latency
from bench.memory import Resident
from bench.process import Memory
from bench.proxy import GATEWAY, NGINX
from bench.size import Size
from bench.stall import Stall
from bench.start import Starts
from bench.wire import Cost
from bench.worker import Workers, cost_us

RATIO_BARS = {
    ("request", "openai"): 2.4,
    ("request", "anthropic"): 2.9,
    ("request", "gemini"): 2.9,
    ("stream", "openai"): 1.3,
    ("stream", "anthropic"): 1.6,
    ("stream", "gemini"): 1.6,
    ("prompt", "openai"): 3.0,
    ("prompt", "anthropic"): 6.0,
    ("prompt", "gemini"): 6.0,
}
STALL_BAR_MS = 20.0
START_CPU_BAR_MS = 150.0
START_WALL_BAR_MS = 400.0
IDLE_BAR_MB = 35.0
SIZE_BAR_MB = 25.0
STREAM_BAR_KB = 24.0
LATE_BAR_MS = 100.0
ADDED_BAR_US = 150.0
WORKERS_BAR = 1.05
SHARE_BARS = (0.4, 0.6)

TITLES = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}


class Row(NamedTuple):
    """One line of the table: `figure` is the gateway's."""

    what: str
    figure: str
    nginx: str = ""
    ratio: str = ""
    bar: str = ""


class Busy(NamedTuple):
    """Whose time in which work, in per cent of one core."""

    what: str
    proxy: str
    proxy_busy: str
    upstream_busy: str
    load_busy: str


def judge(value: float, bar: float, unit: str = "") -> str:
    return f"{'pass' if value <= bar else 'FAIL'}: at most {bar:g} {unit}".rstrip()


def render_starts(starts: Starts) -> list[Row]:
    cpu, wall = starts.cpu_ms, starts.wall_ms
    return [
        Row("start to the first answer, CPU", f"{cpu:.0f} ms", bar=judge(cpu, START_CPU_BAR_MS, "ms")),
        Row("start to the first answer, wall time", f"{wall:.0f} ms", bar=judge(wall, START_WALL_BAR_MS, "ms")),
    ]


def to_mb(memory: Memory) -> float:
    return memory.rss_kib * 1024 / 1e6


def render_memory(resident: Resident) -> list[Row]:
    idle = to_mb(resident.idle)
    return [
        Row("resident memory, idle", f"{idle:.1f} MB", bar=judge(idle, IDLE_BAR_MB, "MB")),
        Row(f"resident memory after {resident.requests:,} requests", f"{to_mb(resident.used):.1f} MB"),
    ]


def render_size(size: Size) -> list[Row]:
    disk = size.disk_bytes / 1e6
    return [Row("installed with its dependencies", f"{disk:.1f} MB", bar=judge(disk, SIZE_BAR_MB, "MB"))]


def render_us(cost: float) -> str:
    return f"{cost:,.1f} µs" if cost < 1000 else f"{cost / 1000:,.2f} ms"


def render_cost(cost: Cost) -> list[Row]:
    row = Row(f"CPU per {cost.unit}, {TITLES[cost.provider]}", render_us(cost.cost_us(GATEWAY)))
    ratio, bar = cost.ratio(GATEWAY), RATIO_BARS[cost.work, cost.provider]
    if ratio is None:
        return [row]
    return [row._replace(nginx=render_us(cost.cost_us(NGINX)), ratio=f"{ratio:.2f}", bar=judge(ratio, bar))]


def render_stall(stall: Stall) -> list[Row]:
    worst = stall.worst_ms(GATEWAY)
    beside = f"{stall.worst_ms(NGINX):.1f} ms" if NGINX in stall.rounds else ""
    what = f"longest wait while 1 MB prompts pass, {TITLES[stall.provider]}"
    return [Row(what, f"{worst:.1f} ms", beside, bar=judge(worst, STALL_BAR_MS, "ms"))]


def render_latency(latency: Latency) -> list[Row]:
    added = latency.added_us(GATEWAY)
    beside = f"{latency.added_us(NGINX):.0f} µs" if NGINX in latency.rounds_us else ""
    what = f"added to a request's time, one connection, {TITLES[latency.provider]}"
    return [Row(what, f"{added:.0f} µs", beside, bar=judge(added, ADDED_BAR_US, "µs"))]


def render_workers(workers: Workers) -> list[Row]:
    low, high = SHARE_BARS
    even = all(low <= share <= high for share in workers.shares)
    shares = ", ".join(f"{share:.0%}" for share in workers.shares)
    return [
        Row("CPU per request, two workers", render_us(cost_us(workers.two))),
        Row("the same, over one worker's", f"{workers.ratio:.3f}", bar=judge(workers.ratio, WORKERS_BAR)),
        Row("first worker's share of each round", shares, bar=f"{'pass' if even else 'FAIL'}: {low:.0%} to {high:.0%}"),
        Row("requests a second on four free cores, an estimate", f"{workers.estimated_rate:,.0f}"),
    ]


def render_crowd(crowd: Crowd) -> list[Row]:
    heard, memory_kb = crowd.heard, crowd.stream_kib * 1.024
    title = TITLES[crowd.provider]
    fewer = "" if heard.streams == crowd.wanted else f" (no descriptors for {crowd.wanted:,})"
    return [
        Row(f"{heard.streams:,} open streams{fewer}, {title}: failed", f"{heard.failed:,}", bar=judge(heard.failed, 0)),
        Row("resident memory of each", f"{memory_kb:.1f} KB", bar=judge(memory_kb, STREAM_BAR_KB, "KB")),
        Row("events late by, p99", f"{heard.p99_ms:.1f} ms", bar=judge(heard.p99_ms, LATE_BAR_MS, "ms")),
    ]


def render_busy(cost: Cost) -> list[Busy]:
    what = f"{cost.unit}, {TITLES[cost.provider]}, {cost.connections} connections"
    return [Busy(what, name, *(f"{part:.0%}" for part in cost.busy(name))) for name in cost.rounds]


def render_contest(contest: Contest) -> list[Sequence[str]]:
    """A row a proxy: what its requests and events cost (and that over nginx's), what it is when idle."""
    nginx = [NGINX] if any(NGINX in cost.rounds for cost in contest.costs) else []
    return [
        (
            name,
            *(_render_over(cost, name) for cost in contest.costs),
            f"{to_mb(contest.idle[name]):,.1f} MB" if name in contest.idle else "",
            f"{contest.starts[name].cpu_s:.2f} s" if name in contest.starts else "",
        )
        for name in (*contest.starts, *nginx)
    ]


def head_contest(contest: Contest) -> Sequence[str]:
    costs = (f"{cost.unit}, {TITLES[cost.provider]}" for cost in contest.costs)
    return ("", *costs, "resident, idle", "CPU of a start")


def render_line(cost: Cost) -> str:
    """One cost of all proxies, to be read while the others are measured."""
    return f"{cost.unit}, {TITLES[cost.provider]}: " + ", ".join(
        f"{name} {_render_over(cost, name)}" for name in cost.rounds
    )


def _render_over(cost: Cost, name: str) -> str:
    if name not in cost.rounds:
        return "not done"
    ratio = cost.ratio(name)
    return render_us(cost.cost_us(name)) + (f" ({ratio:,.1f})" if ratio is not None else "")


HEAD = ("", GATEWAY, NGINX, "over nginx", "bar")
BUSY_HEAD = ("one core's time, in use by", "proxy", "its own", "upstream's", "load's")


def render_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, or nothing where there are no rows."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
