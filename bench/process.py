"""Other processes, seen from outside: start them, read their CPU and their memory, stop them.

CPU is user and system time of the process and of those of its descendants that live, from the kernel's own clock
of each process (nanoseconds, threads that have ended included). Memory is `/proc/PID/smaps_rollup`, what was written
`/proc/PID/io`, waiting for a core `/proc/PID/schedstat`. Linux only.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
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


class Served(NamedTuple):
    """A process that listens on a port of 127.0.0.1."""

    pid: int
    port: int


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


def read_queued_s(task: int | str) -> float:
    """How long a process's first thread (or `"thread-self"`) has waited for a core so far although it could run."""
    return int(Path(f"/proc/{task}/schedstat").read_text().split()[1]) / 1e9


def read_written_bytes(pid: int) -> int:
    """What the process has given to `write` so far: sockets, files and pipes."""
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])


def allow_descriptors() -> int:
    """Let this process and those that it starts open as many files as they may; returns how many those are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    output: int | None = None,
    errors: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with its context; its stderr is ours unless `errors` says otherwise."""
    environ = {"PATH": os.environ["PATH"], **(environ or {})}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def gateway_command(port: int, *options: str) -> list[str]:
    """`feathergate serve` as its users start it, from the environment that the bench runs in."""
    return [str(Path(sys.executable).with_name("feathergate")), "serve", "--bind", f"127.0.0.1:{port}", *options]


def find_port() -> int:
    """A port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_for_health(
    process: subprocess.Popen[bytes], port: int, path: str = "/health", limit_s: float = _WAIT_S
) -> None:
    """Return once `GET path` is answered 200. Raises `RuntimeError` where `process` ends, or takes too long."""
    end = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < end:
        try:
            if get(port, path)[0] == 200:
                return
        except OSError:
            time.sleep(0.002)
    what = f"does not answer {path} within {limit_s:g} s" if process.poll() is None else "ended, for the reason above"
    raise RuntimeError(f"{process.args!r} {what}")


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
