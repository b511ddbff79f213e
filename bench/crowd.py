"""Many open streams in one worker: none may fail, each costs some memory, and their events are to be on time.

The upstream writes an event a second on every stream, and puts the moment into it; the listener, a process of its own,
compares on arrival (one machine, one clock). Memory is the worker's, while all streams are open, less what it held
before them, by their number.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.listener import Heard
from bench.process import Memory, allow_descriptors, read_memory, read_started, running
from bench.provider import running_upstream
from bench.proxy import running_gateway

PROVIDERS = ("openai", "anthropic")
_GAP_S = 1.0
_SECONDS = 10.0
_ENDLESS = 10**6
# A stream needs two descriptors in the gateway, and the gateway some for itself.
_SPARE_DESCRIPTORS = 200


class Crowd(NamedTuple):
    provider: str
    wanted: int
    idle: Memory
    held: Memory
    heard: Heard

    @property
    def stream_kib(self) -> float:
        """Resident memory of one stream."""
        return (self.held.rss_kib - self.idle.rss_kib) / self.heard.streams


def count_streams(wanted: int, descriptors: int) -> int:
    """As many as wanted, or as a process with so many descriptors can hold."""
    return min(wanted, (descriptors - _SPARE_DESCRIPTORS) // 2)


def measure_crowds(wanted: int) -> Iterator[Crowd]:
    for provider in PROVIDERS:
        yield measure_crowd(provider, wanted)


def measure_crowd(provider: str, wanted: int) -> Crowd:
    count = count_streams(wanted, allow_descriptors())
    with running_upstream(_ENDLESS, _GAP_S) as upstream, running_gateway(upstream.port) as gateway:
        idle = read_memory(gateway.served.pid)
        what = (str(gateway.served.port), provider, str(count), str(_SECONDS))
        command = [sys.executable, "-m", "bench.listener", *what]
        with running(command, Path(__file__).parents[1], output=subprocess.PIPE) as listener:
            read_started(listener.stdout)
            held = read_memory(gateway.served.pid)
            heard = Heard(**read_started(listener.stdout))
    return Crowd(provider, wanted, idle, held, heard)
