"""One worker: the loop, the runtime, one listening socket, and an end that finishes what is under way.

The first signal to stop drains: nobody new is accepted, requests under way may finish within `drain_timeout_s`.
The second ends at once. Who binds the socket, prints, and chooses exit codes is not decided here.
Source: reliability.md P01 to P03.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable

from feathergate.config.schema import Config, ServerSettings
from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker
from feathergate.observe.access_log import AccessLog
from feathergate.observe.metrics import Metrics
from feathergate.observe.snapshot import open_snapshots
from feathergate.runtime import Runtime, Shared, compile_runtime
from feathergate.server.acceptor import Acceptor
from feathergate.server.app import App
from feathergate.server.garbage import tame_collector
from feathergate.server.share import Share

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RETIRE_SIGNAL = signal.SIGUSR2

# Between the end of the time for draining and the moment when connections are dropped: for last words to be sent.
_LAST_WORDS_S = 0.5

# How long a connection of a worker that retires may be idle.
_RETIRED_IDLE_S = 5.0

# How far behind the counts of another worker may be in a scrape: as docs/metrics.md tells.
_SHARE_AFTER_S = 0.1


def run_worker(
    config: Config,
    sock: socket.socket,
    on_ready: Callable[[], None],
    *,
    stop_signals: Iterable[signal.Signals] = STOP_SIGNALS,
    lifeline: int | None = None,
    share: Share | None = None,
) -> None:
    """Serve on `sock`, which is bound, until told to stop; `on_ready` is called once it accepts.

    `lifeline` is the reading end of a pipe whose closing means that nobody is left to say stop, `share` this
    worker's place where others accept from the same socket. Raises `ConfigError` where the configuration turns out
    to be wrong; closes `sock` in any case.
    """
    raise_descriptor_limit()
    log = AccessLog() if config.server.access_log else None
    try:
        with sock, asyncio.Runner(loop_factory=find_loop_factory()) as runner:
            metrics = runner.run(_serve(config, sock, share, log, on_ready, stop_signals, lifeline))
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


def build_runtime(config: Config, loop: asyncio.AbstractEventLoop, log: AccessLog | None = None) -> Runtime:
    """The configuration compiled for `loop`. Raises `ConfigError`."""
    shared = Shared(loop=loop, ticker=Ticker(loop), environ=os.environ, now=time.time, log=log)
    metrics = Metrics((entry.model_name for entry in config.models), open_snapshots(os.environ))
    return compile_runtime(config, shared, metrics)


def build_server_limits(server: ServerSettings) -> ServerLimits:
    """The settings under the names that the HTTP room has for them."""
    return ServerLimits(
        header_bytes=server.header_limit_bytes,
        header_count=server.header_limit_count,
        body_bytes=server.body_limit_bytes,
        header_timeout_s=server.header_timeout_s,
        body_timeout_s=server.body_timeout_s,
        keep_alive_s=server.keep_alive_s,
        write_timeout_s=server.write_timeout_s,
        connections=server.connection_limit,
        pipeline_depth=server.pipeline_limit_count,
    )


class Stop:
    """What has been asked for: `drain` at the first request to stop, `end` at the second.

    A worker that is to retire drains too, and has others beside it that go on: a client that keeps its connection
    shall not find it closed just as it sends, so it gets `idle_grace_s` for one more request.
    """

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.end = asyncio.Event()
        self.idle_grace_s = 0.0

    def ask(self) -> None:
        (self.end if self.drain.is_set() else self.drain).set()

    def retire(self) -> None:
        self.idle_grace_s = _RETIRED_IDLE_S
        self.drain.set()

    def listen(self, loop: asyncio.AbstractEventLoop, signals: Iterable[signal.Signals], lifeline: int | None) -> None:
        """Ask at each of `signals`, and once when the other end of `lifeline` closes."""
        for number in signals:
            loop.add_signal_handler(number, self.ask)
        if lifeline is not None:
            loop.add_reader(lifeline, self._on_lifeline, loop, lifeline)

    def _on_lifeline(self, loop: asyncio.AbstractEventLoop, lifeline: int) -> None:
        loop.remove_reader(lifeline)
        self.drain.set()


async def _serve(
    config: Config,
    sock: socket.socket,
    share: Share | None,
    log: AccessLog | None,
    on_ready: Callable[[], None],
    stop_signals: Iterable[signal.Signals],
    lifeline: int | None,
) -> Metrics:
    loop = asyncio.get_running_loop()
    stop = Stop()
    stop.listen(loop, stop_signals, lifeline)
    runtime = build_runtime(config, loop, log)
    shared = runtime.shared
    sharing = loop.create_task(_share_metrics(runtime.metrics))
    app = App(runtime)
    server = Server(app.handle, build_server_limits(config.server), shared.ticker, error_body=app.render_refusal)
    acceptor = None if share is None else Acceptor(loop, sock, server, share)
    if acceptor is None:
        await server.listen(sock)
    else:
        loop.add_signal_handler(RETIRE_SIGNAL, stop.retire)
        acceptor.open()
    tame_collector(loop, lambda: server.connections)
    on_ready()
    await stop.drain.wait()
    if acceptor is not None:
        await acceptor.close()
    await _drain(app, server, config.server.drain_timeout_s, stop)
    for transport in shared.transports.values():
        transport.close()
    shared.ticker.close()
    sharing.cancel()
    return runtime.metrics


async def _share_metrics(metrics: Metrics) -> None:
    """Let the other workers know what this one counts, soon after it does. Nothing wakes up while nothing happens."""
    changed = asyncio.Event()
    metrics.on_change = changed.set
    while True:
        await changed.wait()
        changed.clear()
        await asyncio.sleep(_SHARE_AFTER_S)
        await asyncio.to_thread(metrics.flush)


async def _drain(app: App, server: Server, timeout_s: float, stop: Stop) -> None:
    """Let what is under way finish; what takes too long, or is not waited for any more, is dropped."""
    closed = server.drain(timeout_s + _LAST_WORDS_S, idle_grace_s=stop.idle_grace_s)
    drained = asyncio.ensure_future(asyncio.gather(app.drain(timeout_s), closed))
    ended = asyncio.ensure_future(stop.end.wait())
    done, _ = await asyncio.wait((drained, ended), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    for future in done:
        future.result()
    server.close()
    await app.drain(0)
