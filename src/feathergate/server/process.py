"""One worker: the loop, the runtime, one listening socket, and all that goes on beside the requests.

How it ends is in `drain.py`, how its configuration is exchanged in `reload.py`. Who binds the socket, prints, and
chooses exit codes is not decided here.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from feathergate.config.schema import Config
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker
from feathergate.observe.access_log import AccessLog
from feathergate.observe.metrics import Metrics
from feathergate.observe.snapshot import open_snapshots
from feathergate.routing.board import Board
from feathergate.runtime import Runtime, compile_runtime
from feathergate.server.acceptor import Acceptor
from feathergate.server.app import App
from feathergate.server.drain import Stop, run_down
from feathergate.server.garbage import tame_collector
from feathergate.server.limits import build_server_limits
from feathergate.server.pressure import Meter, Pressure
from feathergate.server.reload import Reloader, Reloading
from feathergate.server.share import Loads, Share
from feathergate.server.watch import PERIOD_S, Watch
from feathergate.shared import Shared

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RETIRE_SIGNAL = signal.SIGUSR2

# How far behind the counts of another worker may be in a scrape: as docs/metrics.md tells.
_SHARE_AFTER_S = 0.1


class Surroundings(NamedTuple):
    """What a worker is given beside its configuration and its socket.

    `lifeline` is the reading end of a pipe whose closing means that nobody is left to say stop; `share` this worker's
    place where others accept from the same socket, `board` what it knows of deployments together with them; `watch`
    tells when there is something to reload.
    """

    stop_signals: Iterable[signal.Signals] = STOP_SIGNALS
    reload_signals: Iterable[signal.Signals] = (signal.SIGHUP,)
    lifeline: int | None = None
    share: Share | None = None
    board: Board | None = None
    reloading: Reloading = Reloading()
    watch: Watch | None = None


def run_worker(config: Config, sock: socket.socket, on_ready: Callable[[], None], around: Surroundings) -> None:
    """Serve on `sock`, which is bound, until told to stop; `on_ready` is called once it accepts.

    Raises `ConfigError` where the configuration turns out to be wrong; closes `sock` in any case.
    """
    raise_descriptor_limit()
    log = AccessLog() if config.server.access_log else None
    try:
        with sock, asyncio.Runner(loop_factory=find_loop_factory()) as runner:
            metrics = runner.run(_serve(config, sock, log, on_ready, around))
        metrics.flush()  # when the last task has been accounted for
    finally:
        if log is not None:
            log.close()


def raise_descriptor_limit() -> int:
    """Allow this process as many open files as it may have, since each stream needs two; returns how many those are.

    The soft limit is low by habit (1,024) for programs that use `select`, which this one does not.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def find_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def build_runtime(
    config: Config, loop: asyncio.AbstractEventLoop, log: AccessLog | None = None, board: Board | None = None
) -> Runtime:
    """The configuration compiled for `loop`. Raises `ConfigError`."""
    ticker = Ticker(loop)
    shared = Shared(loop=loop, ticker=ticker, environ=os.environ, now=time.time, log=log, board=board or Board())
    metrics = Metrics((entry.model_name for entry in config.models), open_snapshots(os.environ))
    metrics.note_configured(shared.now())
    return compile_runtime(config, shared, metrics)


async def _serve(
    config: Config, sock: socket.socket, log: AccessLog | None, on_ready: Callable[[], None], around: Surroundings
) -> Metrics:
    loop = asyncio.get_running_loop()
    stop = Stop()
    stop.listen(loop, around.stop_signals, around.lifeline)
    runtime = build_runtime(config, loop, log, around.board)
    metrics, ticker = runtime.metrics, runtime.shared.ticker
    app = App(runtime)
    server = Server(app.handle, build_server_limits(config.server), ticker, error_body=app.render_refusal)
    reloader = Reloader(app, server, around.reloading)
    app.state.reload = reloader.ask_all
    for number in around.reload_signals:
        loop.add_signal_handler(number, reloader.ask)
    if around.share is not None:
        loop.add_signal_handler(RETIRE_SIGNAL, stop.retire)
    share = around.share or Share(Loads(1), 0)
    acceptor = Acceptor(loop, sock, server, share)
    chores = [loop.create_task(_share_metrics(metrics)), loop.create_task(_watch(around.watch, reloader))]
    with Meter() as meter:
        pressure = Pressure(loop, app, server, share.loads.slots, meter.read)
        acceptor.open()
        tame_collector(loop, lambda: server.connections)
        on_ready()
        await stop.asked.wait()
        pressure.close()
    await run_down(app, server, acceptor, stop)
    for chore in chores:
        chore.cancel()
    reloader.close()
    ticker.close()
    return metrics


async def _share_metrics(metrics: Metrics) -> None:
    """Let the other workers know what this one counts, soon after it does. Nothing wakes up while nothing happens."""
    changed = asyncio.Event()
    metrics.on_change = changed.set
    while True:
        await changed.wait()
        changed.clear()
        await asyncio.sleep(_SHARE_AFTER_S)
        await asyncio.to_thread(metrics.flush)


async def _watch(watch: Watch | None, reloader: Reloader) -> None:
    """In a thread: the files may be far away."""
    while watch is not None:
        await asyncio.sleep(PERIOD_S)
        if await asyncio.to_thread(watch.has_changed):
            reloader.ask()
