"""The processes of a slow test: the upstream that acts, the gateway with its probe, and what must hold at its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.process import allow_descriptors, find_port, get, read_memory, running, wait_for_health
from tests.faults.invariants import KEY, UNHEARD_OF, count_descriptors

ROOT = Path(__file__).parents[3]
CALLBACK_LIMIT_MS = 50.0
SETTLE_S = 5.0
_END_S = 60.0


class Upstream:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def read_journal(self) -> Any:
        return json.loads(get(self.port, "/journal")[1])

    def count(self) -> int:
        """The requests that came so far."""
        return sum(self.read_journal()["asked"].values())

    def end(self) -> None:
        """All its connections close."""
        self.process.kill()
        self.process.wait()


@contextmanager
def acting_upstream() -> Iterator[Upstream]:
    allow_descriptors()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.acting"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            yield Upstream(process, json.loads(process.stdout.readline())["port"])
        finally:
            process.kill()
            process.wait()


class ProbedGateway:
    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self.config = folder / "config.yaml"

    @property
    def said(self) -> str:
        """All of stderr."""
        return (self.folder / "stderr.txt").read_text()

    def read_records(self) -> list[dict[str, Any]]:
        lines = (self.folder / "stdout.txt").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line.get("event") == "request"]

    def read_probe(self) -> dict[str, Any]:
        """Of all workers: the worst of each figure, and the sum of the tasks."""
        seen = [json.loads(path.read_text()) for path in self.folder.glob("probe.*") if path.suffix != ".new"]
        worst: dict[str, Any] = max(seen, key=lambda item: item["worst_ms"])
        return worst | {"tasks": sum(item["tasks"] for item in seen)}

    def count_descriptors(self) -> int:
        return count_descriptors(self.process.pid)

    def read_rss_kib(self) -> int:
        return read_memory(self.process.pid).rss_kib

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(_END_S)


@contextmanager
def probed_gateway(folder: Path, config: Any, *arguments: str) -> Iterator[ProbedGateway]:
    """A gateway of its own process with this configuration. Whatever happened: it ends with 0 when it is told to, no
    callback took too long, and nothing unheard-of or secret was said."""
    (folder / "config.yaml").write_text(json.dumps(config))
    port = find_port()
    command = [sys.executable, "-m", "tests.faults.load.probe", str(folder / "probe"), "serve", *arguments]
    command += ["--config", str(folder / "config.yaml"), "--bind", f"127.0.0.1:{port}"]
    environ = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with (
        (folder / "stdout.txt").open("wb") as output,
        (folder / "stderr.txt").open("wb") as errors,
        running(command, folder, environ=environ, output=output.fileno(), errors=errors.fileno()) as process,
    ):
        wait_for_health(process, port)
        settles(lambda: (folder / "stdout.txt").stat().st_size > 0)  # it says so once all workers serve
        gateway = ProbedGateway(process, port, folder)
        yield gateway
        time.sleep(0.5)  # the probe writes its last
        if process.poll() is None:
            process.terminate()
        assert gateway.wait() == 0, gateway.said
    check_end(gateway)


def check_end(gateway: ProbedGateway) -> None:
    probe = gateway.read_probe()
    assert probe["worst_ms"] <= CALLBACK_LIMIT_MS, probe
    assert not [words for words in UNHEARD_OF if words in gateway.said], gateway.said
    assert KEY not in gateway.said
    assert KEY not in (gateway.folder / "stdout.txt").read_text()


def settles(condition: Callable[[], bool], within_s: float = SETTLE_S) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
