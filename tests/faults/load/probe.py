"""`feathergate serve` with a probe around its loop: how long each callback took of the loop thread's CPU time.

Run as `python -m tests.faults.load.probe FILE serve ...`; each worker writes its figures to `FILE.PID` four times a
second. Counted is from the first connection on, and every entry into our code from the loop: callbacks, steps of
tasks, and what transports tell protocols. It stands here and not in the product because it costs a microsecond a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import thread_time
from typing import Any

import uvloop

LIMIT_S = 0.05
_PERIOD_S = 0.25
_EVENTS = (
    "connection_made",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
)


class Probe:
    """What was seen so far. `where` names the callback that took longest."""

    def __init__(self) -> None:
        self.counting = False
        self.worst_s = 0.0
        self.where = ""
        self.calls = 0
        self.late = 0

    def time(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        began = thread_time()
        try:
            return callback(*arguments)
        finally:
            self._note(thread_time() - began, callback)

    def tell(self, counts: bool, event: Callable[..., Any], *arguments: Any) -> Any:
        """With `counts`, everything is counted from now on."""
        self.counting |= counts
        return self.time(event, *arguments)

    def _note(self, took_s: float, callback: Callable[..., Any]) -> None:
        if not self.counting:
            return
        self.calls += 1
        self.late += took_s > LIMIT_S
        if took_s > self.worst_s:
            self.worst_s, self.where = took_s, _name(callback)

    def write(self, loop: asyncio.AbstractEventLoop, path: Path) -> None:
        tasks = len(asyncio.all_tasks(loop))
        seen = {"worst_ms": round(self.worst_s * 1000, 2), "where": self.where, "over_50_ms": self.late}
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(seen | {"calls": self.calls, "tasks": tasks}))
        new.rename(path)
        loop.call_later(_PERIOD_S, self.write, loop, path)


def _name(callback: Callable[..., Any]) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"a step of {getattr(owner.get_coro(), '__qualname__', owner)}"
    return getattr(callback, "__qualname__", repr(callback))


class Timed:
    """Passes on to `inner` what a transport tells. It refers to itself nowhere, so that it leaves no cycle behind."""

    def __init__(self, probe: Probe, inner: asyncio.BaseProtocol, *, counts: bool) -> None:
        self.inner = inner
        for event in _EVENTS:
            if hasattr(inner, event):
                setattr(self, event, partial(probe.tell, counts, getattr(inner, event)))


class TimedProtocol(Timed, asyncio.Protocol):
    """Of a protocol that is handed its bytes."""


class TimedBufferedProtocol(Timed, asyncio.BufferedProtocol):
    """Of a protocol that hands out the buffer they are read into."""


# Its methods are overridden without their many overloads.
_Loop: Any = uvloop.Loop


class ProbedLoop(_Loop):  # type: ignore[misc]
    """Everything that the loop calls goes through its probe."""

    def __init__(self) -> None:
        super().__init__()
        self.probe = Probe()

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> Any:
        return super().call_soon(self.probe.time, callback, *arguments, context=context)

    def call_soon_threadsafe(self, callback: Any, *arguments: Any, context: Any = None) -> Any:
        return super().call_soon_threadsafe(self.probe.time, callback, *arguments, context=context)

    def call_later(self, delay_s: float, callback: Any, *arguments: Any, context: Any = None) -> Any:
        return super().call_later(delay_s, self.probe.time, callback, *arguments, context=context)

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Any = None) -> Any:
        return super().call_at(when, self.probe.time, callback, *arguments, context=context)

    def add_reader(self, fd: Any, callback: Any, *arguments: Any) -> Any:
        return super().add_reader(fd, self.probe.time, callback, *arguments)

    async def create_server(self, factory: Any, *arguments: Any, **options: Any) -> Any:
        return await super().create_server(self._wrap(factory, counts=True), *arguments, **options)

    async def connect_accepted_socket(self, factory: Any, sock: Any, **options: Any) -> Any:
        transport, timed = await super().connect_accepted_socket(self._wrap(factory, counts=True), sock, **options)
        return transport, timed.inner

    async def create_connection(self, factory: Any, *arguments: Any, **options: Any) -> Any:
        transport, timed = await super().create_connection(self._wrap(factory, counts=False), *arguments, **options)
        return transport, timed.inner

    def _wrap(self, factory: Callable[[], asyncio.BaseProtocol], *, counts: bool) -> Callable[[], Timed]:
        def wrap() -> Timed:
            inner = factory()
            timed = TimedBufferedProtocol if isinstance(inner, asyncio.BufferedProtocol) else TimedProtocol
            return timed(self.probe, inner, counts=counts)

        return wrap


def main() -> None:
    from feathergate import cli
    from feathergate.server import process

    file, *sys.argv[1:] = sys.argv[1:]

    def open_loop() -> ProbedLoop:
        loop = ProbedLoop()
        loop.call_later(_PERIOD_S, loop.probe.write, loop, Path(f"{file}.{os.getpid()}"))
        return loop

    process.find_loop_factory = lambda: open_loop
    cli.main()


if __name__ == "__main__":
    main()
