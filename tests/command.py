"""The real command `feathergate` as users start it: a process of its own, on a free port, with no key about."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 10
HELLO = {"model": "mock/echo", "messages": [{"role": "user", "content": "Hello there"}]}


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a shell has, without anybody's keys."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(extra or {})}


def run(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "feathergate", *arguments],
        cwd=cwd,
        env=clean_environ(environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def is_listening(port: int) -> bool:
    """Whether anybody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Raises `AssertionError` where it never comes true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Gateway:
    """A gateway that serves. `started` is the line of JSON that it said so with; `stderr` is a file."""

    def __init__(self, process: subprocess.Popen[bytes], started: dict[str, Any], stderr: Path) -> None:
        self.process = process
        self.started = started
        self.stderr = stderr

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.started["port"], timeout=PATIENCE_S)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def chat(self, **changes: Any) -> tuple[int, Any]:
        status, body = self.ask("POST", "/v1/chat/completions", {**HELLO, **changes})
        return status, json.loads(body)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def serving(
    *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None, descriptors: int | None = None
) -> Iterator[Gateway]:
    """A gateway with these arguments on a free port, with so many descriptors at most; killed at the end if it still
    runs."""
    limit = () if descriptors is None else ("prlimit", f"--nofile={descriptors}:{descriptors}")
    stderr = cwd / "stderr.txt"
    with stderr.open("wb") as errors:
        process = subprocess.Popen(
            [*limit, sys.executable, "-m", "feathergate", *arguments, "--port", "0"],
            cwd=cwd,
            env=clean_environ(environ),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            assert line, stderr.read_text()
            yield Gateway(process, json.loads(line), stderr)
        finally:
            process.kill()
            process.wait(PATIENCE_S)
