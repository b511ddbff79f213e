"""The end of a worker: what is under way finishes, what is new is sent elsewhere, and nobody is cut off unheard.

Told to stop, a worker says at once that it is not ready, and serves on for `drain_delay_s`, which is for the load
balancer to notice. Then it goes on accepting, but answers with 503 and a close; idle connections are closed; streams
and requests under way have `drain_timeout_s`, and end in an error after that. The second order to stop ends it at
once. A worker that only retires, because another has taken its place, accepts nobody and refuses nothing: its idle
clients get one more answer each. Source: reliability.md P01 to P03, A7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from signal import Signals
from typing import Any

from feathergate.errors import UnavailableError
from feathergate.http.server import Server
from feathergate.server.acceptor import Acceptor
from feathergate.server.app import App

REASON = "draining"

# Between the end of the time for draining and the moment when connections are dropped: for last words to be sent.
_LAST_WORDS_S = 0.5

# How long a connection of a worker that retires may be idle.
_RETIRED_IDLE_S = 5.0

_RETRY_AFTER_S = 1.0


class Stop:
    """What has been asked for: to retire, to `drain` at the first order to stop, to `end` at the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.drain = asyncio.Event()
        self.end = asyncio.Event()

    def ask(self) -> None:
        (self.end if self.drain.is_set() else self.drain).set()
        self.asked.set()

    def retire(self) -> None:
        self.asked.set()

    def listen(self, loop: asyncio.AbstractEventLoop, signals: Iterable[Signals], lifeline: int | None) -> None:
        """Ask at each of `signals`, and once when the other end of `lifeline` closes."""
        for number in signals:
            loop.add_signal_handler(number, self.ask)
        if lifeline is not None:
            loop.add_reader(lifeline, self._on_lifeline, loop, lifeline)

    def _on_lifeline(self, loop: asyncio.AbstractEventLoop, lifeline: int) -> None:
        loop.remove_reader(lifeline)
        self.drain.set()
        self.asked.set()


async def run_down(app: App, server: Server, acceptor: Acceptor, stop: Stop) -> None:
    """All of the end, once `stop` has been asked for. No connection is open after it."""
    settings = app.runtime.config.server
    retired = not stop.drain.is_set() and await _unless(
        stop.drain, _retire(app, server, acceptor, settings.drain_timeout_s)
    )
    if not retired:
        app.state.unready = REASON
        app.runtime.metrics.note_shedding(REASON)
        await _unless(stop.end, asyncio.sleep(settings.drain_delay_s))
        server.begin_drain()
        app.state.refusal = UnavailableError(
            "The gateway is stopping. Send the request again.", retry_after_s=_RETRY_AFTER_S
        )
        await _unless(stop.end, _finish(app, server, acceptor, settings.drain_timeout_s))
    await acceptor.close()
    server.close()
    await app.drain(0)


async def _retire(app: App, server: Server, acceptor: Acceptor, timeout_s: float) -> None:
    await acceptor.close()
    closed = server.drain(timeout_s + _LAST_WORDS_S, idle_grace_s=_RETIRED_IDLE_S)
    await asyncio.gather(app.drain(timeout_s), closed)


async def _finish(app: App, server: Server, acceptor: Acceptor, timeout_s: float) -> None:
    """Who is here now is waited for; who comes meanwhile is turned away, the last of them within a moment."""
    await asyncio.gather(app.drain(timeout_s), server.wait_closed(timeout_s + _LAST_WORDS_S))
    await acceptor.close()
    await server.drain(_LAST_WORDS_S)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`, or give it up when `event` is set before it is done. Whether it was done."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait((working,))
        return False
    working.result()
    return True
