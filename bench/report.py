"""What `make bench` does: the parts in turn, a table for the README, and the raw figures.

The table goes to stdout, row by row as it is measured, and to bench/results/table.md; the raw figures, with machine
and versions, to bench/results/latest.json. A part that cannot be measured says why, and the others go on. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.load import find_wrk
from bench.machine import describe_machine, describe_versions
from bench.nginx import find_nginx
from bench.part import PARTS, Finding, Options
from bench.peer import PEERS
from bench.process import allow_descriptors
from bench.table import BUSY_HEAD, HEAD, Row, render_markdown
from bench.wire import Turns

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    asked = read_options(sys.argv[1:])
    if not sys.platform.startswith("linux"):
        sys.exit("bench: this machine is not Linux, and the figures are read from /proc. Run it in a container.")
    allow_descriptors()
    nginx, wrk = find_nginx(), find_wrk()
    options = Options(Turns(asked.rounds, asked.seconds), asked.starts, asked.streams, asked.peers, wrk, nginx)
    machine, versions = describe_machine(), describe_versions(nginx, wrk)
    said = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"
    said += "" if machine["compiled"] else ", FeatherGate not compiled"
    print(said + "\n", flush=True)
    if nginx is None:
        print("nginx is not installed, so there is nothing to compare with (Debian: apt-get install nginx)\n")
    findings, failures = measure_parts(asked.only, options)
    tables = render_tables(said, findings)
    print(f"\n{tables}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table.md").write_text(tables)
    record = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "versions": versions,
        "options": to_json(options),
        **{name: [to_json(finding.raw) for finding in found] for name, found in findings.items()},
        "failures": failures,
    }
    (RESULTS / "latest.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {RESULTS.relative_to(RESULTS.parents[1])}: table.md, latest.json")


def read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="What FeatherGate costs on this machine.")
    parser.add_argument("--starts", type=int, default=15, help="how often the gateway is started (default 15)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds that a round takes (default 3)")
    parser.add_argument("--streams", type=int, default=9000, help="how many streams are held open (default 9000)")
    parser.add_argument("--only", type=name_list(PARTS), default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--peers", type=name_list(PEERS), default=[], help=f"of {', '.join(PEERS)} (default none)")
    return parser.parse_args(arguments)


def name_list(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """A reader of names with commas between them."""

    def read(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there is {', '.join(known)}")
        return names

    return read


def measure_parts(names: list[str], options: Options) -> tuple[dict[str, list[Finding]], dict[str, str]]:
    """What was found, and why the rest was not, by part."""
    findings: dict[str, list[Finding]] = {}
    failures: dict[str, str] = {}
    for name in names:
        found = findings.setdefault(name, [])
        try:
            for finding in PARTS[name](options):
                found.append(finding)
                show(finding.rows)
        except (RuntimeError, OSError) as error:
            failures[name] = str(error)
            print(f"{name}: left out, because {error}", flush=True)
    return findings, failures


def show(rows: list[Row]) -> None:
    for row in rows:
        beside = f"{row.nginx:>10}{row.ratio:>7}   {row.bar}"
        print(f"{row.what:<60}{row.figure:>12}{beside}".rstrip(), flush=True)


def render_tables(machine: str, findings: dict[str, list[Finding]]) -> str:
    """Markdown: the figures, how busy each process was, and the texts of the parts that have one."""
    every = [finding for found in findings.values() for finding in found]
    tables = (
        render_markdown(HEAD, [row for finding in every for row in finding.rows]),
        render_markdown(BUSY_HEAD, [busy for finding in every for busy in finding.busy]),
        *(finding.text for finding in every),
    )
    return "\n".join((f"{machine}, {time.strftime('%Y-%m-%d', time.gmtime())}.\n", *filter(None, tables)))


def to_json(value: Any) -> Any:
    """Named tuples as objects, at any depth."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: to_json(member) for name, member in value._asdict().items()}
    if isinstance(value, dict):
        return {name: to_json(member) for name, member in value.items()}
    return [to_json(member) for member in value] if isinstance(value, list | tuple) else value
