"""Other processes, seen from outside: start them, read their CPU and their memory, stop them.

CPU is user and system time of the process and of those of its descendants that live, from the kernel's own clock
of each process (nanoseconds, threads that have ended included). Memory is `/proc/PID/smaps_rollup`. Linux only.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

# What the kernel calls CPUCLOCK_SCHED: the last bits of a process's clock id (see clock_getcpuclockid(3)).
_CPU_CLOCK = 2
_WAIT_S = 20.0


class Memory(NamedTuple):
    """`rss` counts pages shared with other processes whole, `pss` by this process's share of them."""

    rss_kib: int
    pss_kib: int


def read_cpu_s(pid: int) -> float:
    """Seconds of CPU, user and system, since the process began; of its living descendants too."""
    return time.clock_gettime(~pid << 3 | _CPU_CLOCK) + sum(map(read_cpu_s, list_children(pid)))


def list_children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def read_memory(pid: int) -> Memory:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[-2]) for line in lines if line.endswith(" kB")}
    return Memory(sizes["Rss"], sizes["Pss"])


@contextmanager
def running(
    command: Sequence[str], folder: Path, *, environ: Mapping[str, str] | None = None, output: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with its context; its stderr is ours."""
    environ = {"PATH": os.environ["PATH"], **(environ or {})}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def gateway_command(port: int, *options: str) -> list[str]:
    """`feathergate serve` as its users start it, from the environment that the bench runs in."""
    return [str(Path(sys.executable).with_name("feathergate")), "serve", "--bind", f"127.0.0.1:{port}", *options]


def find_port() -> int:
    """A port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_for_health(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once `GET /health` is answered. Raises `RuntimeError` where `process` ends, or takes too long."""
    end = time.monotonic() + _WAIT_S
    while process.poll() is None and time.monotonic() < end:
        try:
            if get(port, "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError(f"{process.args!r} does not answer on port {port}; what it said stands above")


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def read_started(output: IO[bytes] | None) -> dict[str, Any]:
    """The line of JSON that a process says when it is ready."""
    if output is None:
        raise ValueError("the process was started without output=PIPE")
    started: dict[str, Any] = json.loads(output.readline())
    return started
