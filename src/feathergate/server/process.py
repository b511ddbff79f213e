"""One worker: the loop, the runtime, one listening socket, and an end that finishes what is under way.

The first signal to stop drains: nobody new is accepted, requests under way may finish within `drain_timeout_s`.
The second ends at once. Who binds the socket, prints, and chooses exit codes is not decided here.
Source: reliability.md P01 to P03.
"""

from __future__ import annotations

import asyncio
import gc
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
from feathergate.runtime import Runtime, Shared, compile_runtime
from feathergate.server.app import App

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Between the end of the time for draining and the moment when connections are dropped: for last words to be sent.
_LAST_WORDS_S = 0.5


def run_worker(
    config: Config,
    sock: socket.socket,
    on_ready: Callable[[], None],
    *,
    stop_signals: Iterable[signal.Signals] = STOP_SIGNALS,
    lifeline: int | None = None,
) -> None:
    """Serve on `sock`, which is bound, until told to stop; `on_ready` is called once it accepts.

    `lifeline` is the reading end of a pipe whose closing means that nobody is left to say stop. Raises
    `ConfigError` where the configuration turns out to be wrong; closes `sock` in any case.
    """
    raise_descriptor_limit()
    log = AccessLog() if config.server.access_log else None
    try:
        with sock, asyncio.Runner(loop_factory=find_loop_factory()) as runner:
            runner.run(_serve(config, sock, log, on_ready, stop_signals, lifeline))
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
    return compile_runtime(config, shared, Metrics(entry.model_name for entry in config.models))


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
    """What has been asked for: `drain` at the first request to stop, `end` at the second."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.end = asyncio.Event()

    def ask(self) -> None:
        (self.end if self.drain.is_set() else self.drain).set()

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
    log: AccessLog | None,
    on_ready: Callable[[], None],
    stop_signals: Iterable[signal.Signals],
    lifeline: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop = Stop()
    stop.listen(loop, stop_signals, lifeline)
    runtime = build_runtime(config, loop, log)
    shared = runtime.shared
    app = App(runtime)
    server = Server(app.handle, build_server_limits(config.server), shared.ticker, error_body=app.render_refusal)
    await server.listen(sock)
    gc.freeze()  # what start-up made stays: no collection need look at it again
    on_ready()
    await stop.drain.wait()
    await _drain(app, server, config.server.drain_timeout_s, stop.end)
    for transport in shared.transports.values():
        transport.close()
    shared.ticker.close()


async def _drain(app: App, server: Server, timeout_s: float, end: asyncio.Event) -> None:
    """Let what is under way finish; what takes too long, or is not waited for any more, is dropped."""
    drained = asyncio.ensure_future(asyncio.gather(app.drain(timeout_s), server.drain(timeout_s + _LAST_WORDS_S)))
    ended = asyncio.ensure_future(end.wait())
    done, _ = await asyncio.wait((drained, ended), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    for future in done:
        future.result()
    server.close()
    await app.drain(0)
