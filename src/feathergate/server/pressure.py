"""Watermarks: what a worker does before it runs out of memory or descriptors, instead of being killed.

Once a second, off the requests' way, resident memory and open descriptors are compared with their limits. Near one
of them each answer closes its connection; at it, idle connections are closed and new requests are answered 503, while
those under way go on. Memory that stays high with nothing under way is not the requests' doing, so then they are
served. Where there is no /proc, nothing is watched. Source: reliability.md A5, P11, P12.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from feathergate.config.schema import ServerSettings
from feathergate.errors import UnavailableError
from feathergate.http.server import Server
from feathergate.server.app import App

_log = logging.getLogger("feathergate.server")

PERIOD_S = 1.0

# From this share of a limit on, connections are closed after their answers.
_NEAR = 0.95
# What may be used of the cgroup's memory; the rest is for a second of growth.
_CGROUP_SHARE = 0.9
_RETRY_AFTER_S = 5.0

MEMORY, DESCRIPTORS = "memory", "descriptors"


class Level(IntEnum):
    FREE = 0
    NEAR = 1
    FULL = 2


class Usage(NamedTuple):
    """What a process holds, or may hold (then 0 is no limit)."""

    memory_bytes: int
    descriptors: int


def judge(usage: Usage, limits: Usage, *, busy: bool) -> tuple[Level, str]:
    """How near the nearest limit is, and which it is; `busy` tells whether requests are under way."""
    shares = {
        MEMORY: usage.memory_bytes / limits.memory_bytes if limits.memory_bytes else 0.0,
        DESCRIPTORS: usage.descriptors / limits.descriptors if limits.descriptors else 0.0,
    }
    if not busy:
        shares[MEMORY] = min(shares[MEMORY], _NEAR)
    reason = max(shares, key=lambda name: shares[name])
    if shares[reason] < _NEAR:
        return Level.FREE, ""
    return (Level.FULL if shares[reason] >= 1 else Level.NEAR), reason


def find_limits(settings: ServerSettings, cgroup_bytes: int | None, workers: int, files: int) -> Usage:
    """A worker's limits: its part of what the cgroup has where the settings do not say, and of `files` that it may
    open all but the reserve, but half at least."""
    memory_bytes = settings.memory_limit_bytes
    if memory_bytes is None:
        memory_bytes = int((cgroup_bytes or 0) * _CGROUP_SHARE / workers)
    reserve = settings.descriptor_reserve_count
    return Usage(memory_bytes, max(files - reserve, files // 2) if reserve else 0)


class Meter:
    """Reads this process's usage. Its one descriptor is opened beforehand: when it is needed, none may be left."""

    def __init__(self) -> None:
        self._page_bytes = resource.getpagesize()
        try:
            self._statm: int | None = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = None

    def read(self) -> Usage:
        if self._statm is None:
            return Usage(0, 0)
        resident_pages = int(os.pread(self._statm, 128, 0).split()[1])
        return Usage(resident_pages * self._page_bytes, _count_descriptors())

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None


def _count_descriptors() -> int:
    """Linux says it in the folder's size from 6.2 on; before that the entries are counted, 5 ms for 20,000."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))


def find_cgroup_limit(root: Path = Path("/")) -> int | None:
    """The least memory that a cgroup of this process, of version 1 or 2, allows, in bytes; None where none does."""
    found = [limit for path in _list_limit_files(root) if (limit := _read_limit(path)) is not None]
    return min(found, default=None)


def _list_limit_files(root: Path) -> Iterator[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = (*line.split(":", 2), "", "")[:3]
        if controllers not in ("", "memory"):
            continue
        top, name = (root / "sys/fs/cgroup", "memory.max")
        if controllers:
            top, name = top / "memory", "memory.limit_in_bytes"
        # In a container the place may be one that is not seen from within: then the top is its own.
        for folder in (own := Path(place.lstrip("/")), *own.parents):
            yield top / folder / name


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    # Version 1 says "no limit" with a number near 2^63.
    return int(text) if text.isdecimal() and 0 < int(text) < 2**60 else None


class Pressure:
    """Looks at usage each second and sets `app.state`; `workers` share the machine's memory evenly."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        app: App,
        server: Server,
        workers: int,
        read_usage: Callable[[], Usage],
    ) -> None:
        self._loop = loop
        self._app = app
        self._server = server
        self._workers = workers
        self._read_usage = read_usage
        self._cgroup_bytes = find_cgroup_limit()
        self._level = Level.FREE
        self._timer = loop.call_later(PERIOD_S, self._tick)

    def close(self) -> None:
        """Look no more; what was set stays."""
        self._timer.cancel()

    def look(self) -> None:
        settings = self._app.runtime.config.server
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = find_limits(settings, self._cgroup_bytes, self._workers, files)
        level, reason = judge(self._read_usage(), limits, busy=self._app.is_busy())
        if level != self._level:
            self._set(level, reason)
        if level == Level.FULL:  # each time: who has come since and asks nothing has no place either
            self._server.begin_drain()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(PERIOD_S, self._tick)
        self.look()

    def _set(self, level: Level, reason: str) -> None:
        was_full, full = self._level == Level.FULL, level == Level.FULL
        self._level = level
        self._server.keep_connections(level == Level.FREE)
        if full == was_full:
            return
        state = self._app.state
        state.unready = reason if full else ""
        state.refusal = _build_refusal(reason) if full else None
        self._app.runtime.metrics.note_shedding(state.unready)
        if full:
            _log.error("new requests are answered 503: %s", _EXPLAINED[reason])
        else:
            _log.warning("new requests are served again")


_EXPLAINED = {
    MEMORY: "this worker's memory has reached its limit (server_settings.memory_limit_bytes, or the cgroup's)",
    DESCRIPTORS: "too few descriptors are left (ulimit -n, server_settings.descriptor_reserve_count)",
}


def _build_refusal(reason: str) -> UnavailableError:
    return UnavailableError(
        f"The gateway is short of {reason} and takes no new requests. Try again soon.", retry_after_s=_RETRY_AFTER_S
    )
