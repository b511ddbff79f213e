"""Who plays the providers: nginx for whole answers, where it is installed, else and for all the rest `upstream.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.nginx import running_canned
from bench.process import Served, get, read_started, running


@contextmanager
def running_upstream(events: int = 0, gap_s: float = 0.0) -> Iterator[Served]:
    """Streams have as many events, `gap_s` apart."""
    command = [sys.executable, "-m", "bench.upstream", str(events), str(gap_s)]
    with running(command, Path(__file__).parents[1], output=subprocess.PIPE) as upstream:
        yield Served(upstream.pid, read_started(upstream.stdout)["port"])


def running_whole(nginx: str | None) -> AbstractContextManager[Served]:
    """For short requests that are answered whole."""
    return running_canned(nginx) if nginx else running_upstream()


def read_event_count(upstream: Served) -> int:
    """How many of the repeated events `upstream.py` has written so far."""
    count: int = json.loads(get(upstream.port, "/count")[1])["events"]
    return count
