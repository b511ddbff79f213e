"""What `make bench` does: one table on stdout, and the raw figures in bench/results/latest.json.

Start and memory are held to the bars of issue "The gateway serves…" and say so; the costs on the wire are set beside
nginx. A figure above its bar does not end the bench with an error: it is a measurement, not a test. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import find_wrk
from bench.machine import describe_machine, describe_versions
from bench.memory import Resident, measure_memory
from bench.proxy import find_nginx
from bench.start import Starts, measure_starts
from bench.wire import Cost, Shape, measure_wire

RESULTS = Path(__file__).parent / "results" / "latest.json"
START_CPU_BAR_MS = 250.0
IDLE_BAR_MIB = 40.0
REQUESTS = 1000


def main() -> None:
    options = read_options()
    if not sys.platform.startswith("linux"):
        sys.exit("bench: this machine is not Linux, and the figures are read from /proc. Run it in a container.")
    nginx, wrk = find_nginx(), find_wrk()
    machine, versions = describe_machine(), describe_versions(nginx, wrk)
    print(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}\n")
    starts = measure_starts(options.starts)
    show(render_starts(starts))
    resident = measure_memory(REQUESTS)
    show(render_memory(resident))
    costs = list(measure_costs(options, nginx, wrk))
    write_results(
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine,
            "versions": versions,
            "start": [run._asdict() for run in starts.runs],
            "memory": {"idle": resident.idle._asdict(), "used": resident.used._asdict(), "requests": resident.requests},
            "wire": [cost._asdict() for cost in costs],
        }
    )
    print(f"\nraw figures: {RESULTS.relative_to(RESULTS.parents[2])}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="What FeatherGate costs on this machine.")
    parser.add_argument("--starts", type=int, default=15, help="how often the gateway is started (default 15)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds that a round takes (default 3)")
    return parser.parse_args()


def measure_costs(options: argparse.Namespace, nginx: str | None, wrk: str | None) -> Iterator[Cost]:
    if wrk is None:
        print("on the wire: left out, because wrk is not installed (Debian: apt-get install wrk nginx)")
        return
    if nginx is None:
        print("nginx is not installed, so there is nothing to compare with (Debian: apt-get install nginx)")
    for cost in measure_wire(Shape(rounds=options.rounds, seconds=options.seconds), wrk, nginx):
        show([render_cost(cost)])
        yield cost


Row = tuple[str, str, str]


def render_starts(starts: Starts) -> list[Row]:
    verdict = judge(starts.cpu_ms, START_CPU_BAR_MS, "ms")
    return [
        ("start to first /health, CPU", f"{starts.cpu_ms:.0f} ms", verdict),
        ("start to first /health, wall time", f"{starts.wall_ms:.0f} ms", f"median of {len(starts.runs)}"),
    ]


def render_memory(resident: Resident) -> list[Row]:
    verdict = judge(resident.idle.rss_kib / 1024, IDLE_BAR_MIB, "MiB")
    used = resident.used
    return [
        ("idle worker, RSS", f"{resident.idle.rss_kib / 1024:.1f} MiB", verdict),
        ("idle worker, PSS", f"{resident.idle.pss_kib / 1024:.1f} MiB", ""),
        (f"after {resident.requests} requests, RSS", f"{used.rss_kib / 1024:.1f} MiB", ""),
        (f"after {resident.requests} requests, PSS", f"{used.pss_kib / 1024:.1f} MiB", ""),
    ]


def render_cost(cost: Cost) -> Row:
    beside = f"nginx {median(cost.nginx_us):.1f} µs, ratio {cost.ratio:.2f}" if cost.nginx_us else ""
    return f"{cost.provider}, CPU per {cost.kind}", f"{median(cost.gateway_us):.1f} µs", beside


def judge(value: float, bar: float, unit: str) -> str:
    return f"{'pass' if value <= bar else 'FAIL'}: at most {bar:g} {unit}"


def show(rows: list[Row]) -> None:
    for what, figure, remark in rows:
        print(f"{what:<36}{figure:>12}   {remark}".rstrip(), flush=True)


def write_results(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
