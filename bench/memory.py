"""What a worker holds: resident memory after its start, and after requests to `mock/echo` on one connection."""

from __future__ import annotations

import http.client
import json
import tempfile
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple

from bench.process import Memory, find_port, gateway_command, read_memory, running, wait_for_health


class Resident(NamedTuple):
    idle: Memory
    used: Memory
    requests: int


def measure_memory(requests: int) -> Resident:
    port = find_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(gateway_command(port), Path(folder), output=DEVNULL) as gateway,
    ):
        wait_for_health(gateway, port)
        idle = read_memory(gateway.pid)
        ask_echo(port, requests)
        return Resident(idle, read_memory(gateway.pid), requests)


def ask_echo(port: int, count: int) -> None:
    """Raises `RuntimeError` for an answer that is not the echo."""
    body = json.dumps({"model": "mock/echo", "messages": [{"role": "user", "content": "Hello there!"}]})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(count):
        connection.request("POST", "/v1/chat/completions", body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or b"Hello there!" not in text:
            raise RuntimeError(f"mock/echo answered {answer.status}: {text[:200]!r}")
    connection.close()
