"""What a start costs: CPU and wall time from exec of `feathergate serve` to the first answered completion.

The completion is `mock/echo`'s, asked for as soon as `/health` is answered, so that nothing which a first request has
to load is left out. Each run is a new process in an empty folder with an empty environment, as `make run` is without
a key. The first is thrown away: it is the one that reads the files from the disk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from subprocess import DEVNULL
from typing import NamedTuple

from bench.memory import ask_echo
from bench.process import find_port, gateway_command, read_cpu_s, running, wait_for_health


class Start(NamedTuple):
    cpu_s: float
    wall_s: float


class Starts(NamedTuple):
    """Each run up to its first answered `/health`, and up to its first answered completion."""

    healthy: list[Start]
    answered: list[Start]

    @property
    def cpu_ms(self) -> float:
        return median(run.cpu_s for run in self.answered) * 1000

    @property
    def wall_ms(self) -> float:
        return median(run.wall_s for run in self.answered) * 1000


def measure_starts(count: int) -> Starts:
    healthy, answered = zip(*[measure_start() for _ in range(count + 1)][1:], strict=True)
    return Starts(list(healthy), list(answered))


def measure_start() -> tuple[Start, Start]:
    port = find_port()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with running(gateway_command(port), Path(folder), output=DEVNULL) as process:
            wait_for_health(process, port)
            healthy = Start(read_cpu_s(process.pid), time.monotonic() - began)
            ask_echo(port, 1)
            return healthy, Start(read_cpu_s(process.pid), time.monotonic() - began)
