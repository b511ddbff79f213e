"""The supervisor of `--workers N`: forks workers that share one listening socket, and replaces those that die.

The parent serves nothing and runs no event loop. It starts one worker, waits until that one serves, and then
starts the others, so that a configuration that fails to compile is told once. It learns of everything through one
`select`: signals, workers that are ready. Workers stop when the parent tells them to, or when it is gone: they
watch a pipe that only the parent holds open. All workers write their metrics into one folder, so that each can
answer for all. Source: reliability.md P01, P03, P07.

A slot is a worker's place. SIGUSR2 rolls: slot by slot a successor is started, and once it serves, its predecessor is
told to retire and the roll goes on, without waiting for the predecessor's streams. A successor that dies first ends
the roll, and what served goes on serving. A slot that nobody is left in gets a new worker, whatever the reason.

SIGHUP, and a file that is watched and has changed, have the configuration read anew: here first, then, where it is
right, by every worker. One that was started before and serves only after is told then.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import select
import signal
import time
from array import array
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from feathergate.observe.snapshot import FOLDER_VARIABLE, forget_worker
from feathergate.server.share import Loads, Share
from feathergate.server.watch import PERIOD_S

logger = logging.getLogger("feathergate.workers")

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ROLL_SIGNAL = signal.SIGUSR2
_RELOAD_SIGNAL = signal.SIGHUP
_SIGNALS = (*_STOP_SIGNALS, _ROLL_SIGNAL, _RELOAD_SIGNAL, signal.SIGCHLD)
# What a worker does not heed while it starts.
_UNHEEDED_SIGNALS = (*_STOP_SIGNALS, _RELOAD_SIGNAL)

# What the workers get when the parent is told to stop once, twice, and again.
# Not SIGTERM, which systemd and others send to every process of a group: it would reach a worker twice, which means
# to drop what is under way.
WORKER_STOP_SIGNAL = signal.SIGUSR1
_ESCALATION = (WORKER_STOP_SIGNAL, WORKER_STOP_SIGNAL, signal.SIGKILL)

# A worker that dies younger than this has died quickly: its successor waits, the longer the more often.
_YOUNG_S = 10.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 30.0
_DOUBLINGS = 10


class Cradle(NamedTuple):
    """What a worker is born with: whom to tell that it serves, the pipe whose end means that it is alone, its place
    among the others, and how to have all of them reload."""

    on_ready: Callable[[], None]
    lifeline: int
    share: Share
    ask_reload: Callable[[], None]


Work = Callable[[Cradle], int]
"""A worker's life, in a process of its own; returns the exit code."""


def count_cores() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Hooks(NamedTuple):
    """What the parent calls: `on_ready` when all workers serve, `on_stop` when it is first told to stop, `reload` to
    read the configuration anew (true where it is right), `has_changed` each second, to learn that it should."""

    on_ready: Callable[[], None]
    on_stop: Callable[[], None]
    reload: Callable[[], bool]
    has_changed: Callable[[], bool] | None = None


def run_workers(count: int, work: Work, hooks: Hooks, metrics_folder: str) -> int:
    """Run `work` in `count` processes until a signal ends them; the workers' metrics go to `metrics_folder`.

    Returns 0 after a clean end, the worker's code if the first one never served.
    """
    os.environ[FOLDER_VARIABLE] = metrics_folder
    importlib.import_module("feathergate.server.process")  # once, in memory that all workers share
    gc.freeze()
    return Supervisor(count, work, hooks).run()


def pause_before_restart(quick_deaths: int) -> float:
    """Seconds to wait after so many workers have died young in a row."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(quick_deaths, _DOUBLINGS))


class Worker(msgspec.Struct):
    """A process of ours, and what is known of it: whether it serves, has been told to retire, and which reload its
    configuration is of."""

    slot: int
    born: float
    reload: int
    serves: bool = False
    leaving: bool = False


class Supervisor:
    """The parent's state: who lives, who is to be started when, how far a roll has come, and how often it was told
    to stop."""

    def __init__(self, count: int, work: Work, hooks: Hooks) -> None:
        self._count = count
        self._work = work
        self._hooks = hooks
        self._loads = Loads(count)
        self._workers: dict[int, Worker] = {}
        self._due = {0: time.monotonic()}
        self._look_due = time.monotonic() + PERIOD_S
        self._to_roll: deque[int] = deque()
        self._successor: int | None = None
        self._reload_count = 0
        self._served = self._all_served = False
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
            while self._workers or self._due:
                self._start_due()
                readable, _, _ = select.select((self._wake, self._ready), (), (), self._time_to_next())
                if self._ready in readable:
                    for pid in array("i", os.read(self._ready, 4096)):
                        self._welcome(pid)
                if self._wake in readable:
                    self._heed(os.read(self._wake, 4096))
                self._look()
            return self._exit_code
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (self._wake, self._waker, self._ready, self._reporter, self._lifeline, self._held):
                os.close(end)

    # Birth.

    def _time_to_next(self) -> float | None:
        moments = [*self._due.values(), *((self._look_due,) if self._hooks.has_changed else ())]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in [slot for slot, moment in self._due.items() if moment <= now]:
            del self._due[slot]
            try:
                self._fork(slot)
            except OSError as error:
                self._start_later(slot, f"no worker can be started ({error.strerror})", quickly=True)

    def _start_later(self, slot: int, why: str, *, quickly: bool) -> None:
        """A successor for a worker that is missing; `quickly` when it was so soon after the start of another."""
        self._quick_deaths = self._quick_deaths + 1 if quickly else 0
        pause_s = pause_before_restart(self._quick_deaths)
        logger.error("%s; another starts in %.2f s", why, pause_s)
        self._due[slot] = time.monotonic() + pause_s

    def _fork(self, slot: int) -> int:
        """Signals wait meanwhile: a child must not take the parent's for its own. Raises `OSError`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._live(slot, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._workers[pid] = Worker(slot, time.monotonic(), self._reload_count)
        logger.debug("worker %d started", pid)
        return pid

    def _live(self, slot: int, parent: int) -> None:
        """The child's side of the fork; does not return. Signals to stop are the parent's to hand on."""
        exit_code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            for number in _UNHEEDED_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for end in (self._wake, self._waker, self._ready, self._held):
                os.close(end)
            share = Share(self._loads, slot)
            exit_code = self._work(Cradle(self._report_ready, self._lifeline, share, partial(_ask_reload, parent)))
        except Exception:
            logger.exception("worker %d failed", os.getpid())
        finally:
            os._exit(exit_code)

    def _report_ready(self) -> None:
        os.write(self._reporter, array("i", (os.getpid(),)).tobytes())

    def _welcome(self, pid: int) -> None:
        """A worker serves; it may be dead again by now."""
        first = not self._served
        self._served = True
        worker = self._workers.get(pid)
        if self._stops or worker is None:
            return
        worker.serves = True
        if worker.reload < self._reload_count:
            self._hand_on_reload(pid, worker)
        if first:
            self._due |= dict.fromkeys(range(1, self._count), time.monotonic())
        if not self._all_served and len({other.slot for other in self._list_serving()}) == self._count:
            self._all_served = True
            self._hooks.on_ready()
        if pid == self._successor:
            self._retire_predecessor(pid)
            self._roll_on()

    # What the signals ask for.

    def _heed(self, signals: bytes) -> None:
        for number in signals:
            if number in _STOP_SIGNALS:
                self._stop()
        if _ROLL_SIGNAL in signals:
            self._roll()
        if _RELOAD_SIGNAL in signals:
            self._reload()
        self._bury()

    def _stop(self) -> None:
        self._due.clear()
        self._to_roll.clear()
        if self._stops == 0:
            self._hooks.on_stop()
        for pid in self._workers:
            os.kill(pid, _ESCALATION[min(self._stops, len(_ESCALATION) - 1)])
        self._stops += 1

    def _look(self) -> None:
        now = time.monotonic()
        if self._hooks.has_changed is None or now < self._look_due:
            return
        self._look_due = now + PERIOD_S
        if self._hooks.has_changed():
            self._reload()

    def _reload(self) -> None:
        if self._stops or not self._hooks.reload():
            return
        self._reload_count += 1
        for pid, worker in self._workers.items():
            if worker.serves:
                self._hand_on_reload(pid, worker)

    def _hand_on_reload(self, pid: int, worker: Worker) -> None:
        worker.reload = self._reload_count
        os.kill(pid, _RELOAD_SIGNAL)

    def _list_serving(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.serves and not worker.leaving]

    def _roll(self) -> None:
        if self._stops:
            return
        if self._successor is not None or not self._all_served:
            logger.warning("SIGUSR2 is not heeded: workers are being started already")
            return
        logger.info("rolling through %d workers", self._count)
        self._to_roll.extend(range(self._count))
        self._roll_on()

    def _roll_on(self) -> None:
        """Start the next successor. It takes the place of one that is due, too."""
        self._successor = None
        if not self._to_roll:
            logger.info("all workers are new")
            return
        slot = self._to_roll.popleft()
        try:
            self._successor = self._fork(slot)
        except OSError as error:
            self._end_roll(f"no worker can be started ({error.strerror})")
        else:
            self._due.pop(slot, None)

    def _end_roll(self, why: str) -> None:
        self._successor = None
        self._to_roll.clear()
        logger.error("%s; the roll ends here, the workers that serve stay", why)

    def _retire_predecessor(self, successor: int) -> None:
        slot = self._workers[successor].slot
        for pid, worker in self._workers.items():
            if worker.slot == slot and pid != successor and not worker.leaving:
                worker.leaving = True
                os.kill(pid, signal.SIGUSR2)

    # Death.

    def _bury(self) -> None:
        """Look who has died, and see to a successor. Of a process not waited for, the id is not given away."""
        for pid in tuple(self._workers):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._mourn(pid, os.waitstatus_to_exitcode(status))

    def _mourn(self, pid: int, exit_code: int) -> None:
        worker = self._workers.pop(pid)
        forget_worker(os.environ, pid)
        if self._stops:
            self._loads.clear(worker.slot)
            if exit_code not in (0, -WORKER_STOP_SIGNAL):
                self._exit_code = 1
            return
        if not self._served:
            self._exit_code = exit_code if exit_code > 0 else 1
            return
        if not worker.leaving:
            self._replace(pid, worker, f"worker {pid} died ({_describe(exit_code)})")

    def _replace(self, pid: int, dead: Worker, why: str) -> None:
        """In a roll the slot may not be empty: then the predecessor goes on, or the successor is on its way."""
        if pid == self._successor:
            self._end_roll(why)
        elif self._successor is not None and self._workers[self._successor].slot == dead.slot:
            logger.error("%s", why)
        if any(other.slot == dead.slot and not other.leaving for other in self._workers.values()):
            return
        self._loads.clear(dead.slot)
        self._start_later(dead.slot, why, quickly=time.monotonic() - dead.born < _YOUNG_S)


def _ask_reload(parent: int) -> None:
    """From a worker to its supervisor; none where that one is gone and another process may have its number."""
    if os.getppid() == parent:
        os.kill(parent, _RELOAD_SIGNAL)


def _describe(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
