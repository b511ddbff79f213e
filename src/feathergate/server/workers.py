"""The supervisor of `--workers N`: forks workers that share one listening socket, and replaces those that die.

The parent serves nothing and runs no event loop. It starts one worker, waits until that one serves, and then
starts the others, so that a configuration that fails to compile is told once. It learns of everything through one
`select`: signals, workers that are ready. Workers stop when the parent tells them to, or when it is gone: they
watch a pipe that only the parent holds open. All workers write their metrics into one folder, so that each can
answer for all. Source: reliability.md P01, P03, P07.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

logger = logging.getLogger("feathergate.workers")

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOP_SIGNALS, signal.SIGCHLD)

# What the workers get when the parent is told to stop once, twice, and again.
_ESCALATION = (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)

# A worker that dies younger than this has died quickly: its successor waits, the longer the more often.
_YOUNG_S = 10.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 30.0
_DOUBLINGS = 10


class Cradle(NamedTuple):
    """What a worker is born with: whom to tell that it serves, and the pipe whose end means that it is alone."""

    on_ready: Callable[[], None]
    lifeline: int


Work = Callable[[Cradle], int]
"""A worker's life, in a process of its own; returns the exit code."""


def count_cores() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Hooks(NamedTuple):
    """What the parent calls: `on_ready` when all workers serve, `on_stop` when it is first told to stop."""

    on_ready: Callable[[], None]
    on_stop: Callable[[], None]


def run_workers(count: int, work: Work, hooks: Hooks, metrics_folder: str) -> int:
    """Run `work` in `count` processes until a signal ends them; the workers' metrics go to `metrics_folder`.

    Returns 0 after a clean end, the worker's code if the first one never served. Nothing that imports
    prometheus_client may be imported before: it looks for the folder when it is.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    importlib.import_module("feathergate.server.process")  # once, in memory that all workers share
    gc.freeze()
    return Supervisor(count, work, hooks).run()


def pause_before_restart(quick_deaths: int) -> float:
    """Seconds to wait after so many workers have died young in a row."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(quick_deaths, _DOUBLINGS))


class Supervisor:
    """The parent's state: who lives since when, who is to be started when, and how often it was told to stop."""

    def __init__(self, count: int, work: Work, hooks: Hooks) -> None:
        self._count = count
        self._work = work
        self._hooks = hooks
        self._born: dict[int, float] = {}
        self._due = [time.monotonic()]
        self._ready_count = 0
        self._quick_deaths = 0
        self._stops = 0
        self._exit_code = 0
        self._wake, self._waker = os.pipe()
        self._ready, self._reporter = os.pipe()
        self._lifeline, self._held = os.pipe()

    def run(self) -> int:
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        try:
            while self._born or self._due:
                self._start_due()
                readable, _, _ = select.select((self._wake, self._ready), (), (), self._time_to_next())
                if self._ready in readable:
                    self._count_ready(len(os.read(self._ready, 4096)))
                if self._wake in readable:
                    self._heed(os.read(self._wake, 4096))
            return self._exit_code
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (self._wake, self._waker, self._ready, self._reporter, self._lifeline, self._held):
                os.close(end)

    def _time_to_next(self) -> float | None:
        return max(0.0, min(self._due) - time.monotonic()) if self._due else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for moment in [moment for moment in self._due if moment <= now]:
            self._due.remove(moment)
            try:
                pid = self._fork()
            except OSError as error:
                self._start_later(f"no worker can be started ({error.strerror})", quickly=True)
            else:
                self._born[pid] = now
                logger.debug("worker %d started", pid)

    def _start_later(self, why: str, *, quickly: bool) -> None:
        """A successor for a worker that is missing; `quickly` when it was so soon after the start of another."""
        self._quick_deaths = self._quick_deaths + 1 if quickly else 0
        pause_s = pause_before_restart(self._quick_deaths)
        logger.error("%s; another starts in %.2f s", why, pause_s)
        self._due.append(time.monotonic() + pause_s)

    def _fork(self) -> int:
        """Signals wait meanwhile: a child must not take the parent's for its own. Raises `OSError`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._live()
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _live(self) -> None:
        """The child's side of the fork; does not return. A terminal's SIGINT is the parent's to hand on."""
        exit_code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for end in (self._wake, self._waker, self._ready, self._held):
                os.close(end)
            exit_code = self._work(Cradle(self._report_ready, self._lifeline))
        except Exception:
            logger.exception("worker %d failed", os.getpid())
        finally:
            os._exit(exit_code)

    def _report_ready(self) -> None:
        os.write(self._reporter, b"r")

    def _count_ready(self, more: int) -> None:
        before, self._ready_count = self._ready_count, self._ready_count + more
        if before == 0 and not self._stops:
            self._due += [time.monotonic()] * (self._count - 1)
        if before < self._count <= self._ready_count:
            self._hooks.on_ready()

    def _heed(self, signals: bytes) -> None:
        for number in signals:
            if number in _STOP_SIGNALS:
                self._stop()
        self._bury()

    def _stop(self) -> None:
        self._due.clear()
        if self._stops == 0:
            self._hooks.on_stop()
        for pid in self._born:
            os.kill(pid, _ESCALATION[min(self._stops, len(_ESCALATION) - 1)])
        self._stops += 1

    def _bury(self) -> None:
        """Look who has died, and see to a successor. Of a process not waited for, the id is not given away."""
        for pid in tuple(self._born):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._mourn(pid, os.waitstatus_to_exitcode(status))

    def _mourn(self, pid: int, exit_code: int) -> None:
        age_s = time.monotonic() - self._born.pop(pid)
        from feathergate.observe.metrics import forget_worker  # not above: see `run_workers`

        forget_worker(pid)
        if self._stops:
            if exit_code not in (0, -signal.SIGTERM):
                self._exit_code = 1
            return
        if self._ready_count == 0:
            self._exit_code = exit_code if exit_code > 0 else 1
            return
        self._start_later(f"worker {pid} died ({_describe(exit_code)})", quickly=age_s < _YOUNG_S)


def _describe(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
