"""The client's side of HTTP/1.1: a pool of kept-alive connections to one origin, and the calls that run on them.

A call on a pooled connection costs no task and no timer: the request is written at once, the answer is pushed
into the caller's `Sink`, at most one `on_body` a network read, and deadlines are moved for the shared `Ticker`
to look at. Only a new connection has a task, which dials. The one retry made here is that of a pooled connection
which turned out, at once, to be dead before any byte of an answer came: once, on a fresh connection. No redirects, no
cookies, no `Expect`, no limit on a body: that is for the owner of the sink. Specification: RFC 9112 section 9.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import cast

from feathergate.http.connect import Route, dial
from feathergate.http.contract import Call, HttpError, Origin, Sink, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy
from feathergate.http.response import ResponseReader
from feathergate.http.ticker import NEVER, Ticker

_log = logging.getLogger(__name__)

_STALE_S = 1.0  # a pooled connection that ends later than this after a request was not stale: the upstream worked


class Pool:
    """The connections to one origin. Not thread-safe; lives in one event loop.

    `open` counts the connections that are up, `idle` those that wait; `reused` and `stale_retries` only grow.
    """

    def __init__(
        self,
        origin: Origin,
        limits: ClientLimits,
        ticker: Ticker,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        check: Callable[[str], bool] | None = None,
    ) -> None:
        self.route = Route(origin, ssl_context, proxy, check)
        self.limits = limits
        self.ticker = ticker
        self.reused = 0
        self.stale_retries = 0
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # in order of return: the last one is the warmest
        self._closed = False

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def idle(self) -> int:
        return len(self._idle)

    def send(self, head: bytes, body: bytes, sink: Sink, timeouts: Timeouts) -> Call:
        """Start a request; `head` is complete, with its empty line and a content-length that fits `body`.

        Never blocks and never raises: every failure arrives at `sink.on_error`, after this has returned.
        """
        exchange = Exchange(self, head, body, sink, timeouts)
        if self._closed:
            refusal = HttpError("connect", "the pool is closed", clean=True)
            asyncio.get_running_loop().call_soon(exchange.fail, refusal)
            return exchange
        while self._idle:
            connection = self._idle.popitem()[0]
            self.ticker.forget(connection)
            if connection.usable:
                self.reused += 1
                connection.start(exchange)
                return exchange
        exchange.dial()
        return exchange

    def close(self) -> None:
        """Take no more requests and drop what is idle; calls under way run to their end."""
        self._closed = True
        for connection in list(self._idle):
            connection.abort()

    def take_back(self, connection: Connection) -> None:
        """Keep a connection whose answer ended cleanly."""
        if self._closed or len(self._idle) >= self.limits.idle_connections:
            connection.abort()
            return
        self._idle[connection] = None
        connection.deadline = self.ticker.now() + self.limits.idle_connection_s
        self.ticker.watch(connection)

    def admit(self, connection: Connection) -> None:
        """A fresh connection has been made."""
        self._open.add(connection)

    def drop(self, connection: Connection) -> None:
        """The connection is closing: never hand it out again. Idempotent."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self.ticker.forget(connection)


class Exchange:
    """One request and its answer: the `Call` that its owner holds, and what the ticker watches."""

    __slots__ = (
        "_body",
        "_connection",
        "_dialing",
        "_first_byte_deadline",
        "_head",
        "_head_delivered",
        "_paused",
        "_pool",
        "_sink",
        "_timeouts",
        "_total_deadline",
        "deadline",
        "done",
    )

    def __init__(self, pool: Pool, head: bytes, body: bytes, sink: Sink, timeouts: Timeouts) -> None:
        now = pool.ticker.now()
        self._pool = pool
        self._head = head
        self._body = body
        self._sink = sink
        self._timeouts = timeouts
        self._first_byte_deadline = now + timeouts.first_byte_s
        self._total_deadline = now + timeouts.total_s
        self.deadline = min(self._first_byte_deadline, self._total_deadline)
        self._connection: Connection | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._head_delivered = False
        self._paused = False
        self.done = False
        pool.ticker.watch(self)

    # What the owner calls.

    def cancel(self) -> None:
        if not self.done:
            self._break_off()

    def pause(self) -> None:
        if self._paused or self.done:
            return
        self._paused = True
        self.deadline = self._total_deadline
        self._pause_connection()

    def resume(self) -> None:
        if not self._paused or self.done:
            return
        self._paused = False
        self._move_deadline()
        if self._connection is not None:
            self._connection.resume_reading()

    # What the pool and the connection call.

    def dial(self) -> None:
        """Get a fresh connection for this exchange."""
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    def attach(self, connection: Connection) -> Sequence[bytes]:
        """The connection that now carries the exchange; returns what it is to write."""
        self._connection = connection
        self._dialing = None
        if self._paused:
            # Not at once: uvloop starts to read after `connection_made`, whatever was said within it.
            asyncio.get_running_loop().call_soon(self._pause_connection)
        return (self._head, self._body) if self._body else (self._head,)

    def retry_stale(self) -> None:
        """The pooled connection was dead: once more, on a fresh one, whose end is no longer stale."""
        self._connection = None
        self._pool.stale_retries += 1
        self.dial()

    def deliver(self, reader: ResponseReader) -> None:
        """Push what has been read into the sink, which may cancel or pause at any point, and may raise."""
        sink = self._sink
        if not self._head_delivered and reader.status:
            self._head_delivered = True
            self._head = self._body = b""  # no retry from here on
            sink.on_head(reader.status, reader.headers)
            if self.done:
                return
        data = reader.take_body()
        if data:
            sink.on_body(data)
            if self.done:
                return
        if reader.error is not None:
            self.fail(reader.error)
        elif reader.complete:
            self._finish()
            sink.on_end()
        elif self._head_delivered and not self._paused:
            self._move_deadline()

    def fail(self, error: HttpError) -> None:
        """End with an error, unless the exchange has ended already; the connection is closed."""
        if self.done:
            return
        self._break_off()
        try:
            self._sink.on_error(error)
        except Exception:  # noqa: BLE001 - outermost: the callers are the ticker and the loop
            _log.exception("the consumer of an upstream's answer failed on an error")

    def on_deadline(self, now: float) -> None:
        self.fail(self._late(now))

    def _pause_connection(self) -> None:
        if self._paused and self._connection is not None:
            self._connection.pause_reading()

    def _break_off(self) -> None:
        connection = self._connection
        self._finish()
        if connection is not None:
            connection.abort()

    def _finish(self) -> None:
        """Let go of everything; the connection sees to its own fate."""
        self.done = True
        self.deadline = NEVER
        self._pool.ticker.forget(self)
        if self._connection is not None:
            self._connection.detach()
            self._connection = None
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None

    def _move_deadline(self) -> None:
        """Idle time counts from now; the wait for the head does not start anew."""
        idle_deadline = self._pool.ticker.now() + self._timeouts.idle_s
        phase_deadline = idle_deadline if self._head_delivered else self._first_byte_deadline
        self.deadline = min(phase_deadline, self._total_deadline)

    def _late(self, now: float) -> HttpError:
        timeouts = self._timeouts
        clean = self._connection is None or not self._connection.started
        if now >= self._total_deadline:
            return HttpError("timeout_total", f"not finished within {timeouts.total_s:g} s", clean=clean)
        if self._head_delivered:
            return HttpError("idle", f"nothing more came for {timeouts.idle_s:g} s")
        if self._connection is None:
            return HttpError("timeout_connect", "no connection before the answer was due", clean=clean)
        return HttpError("timeout_first_byte", f"no answer within {timeouts.first_byte_s:g} s", clean=clean)

    async def _dial(self) -> None:
        connection = Connection(self._pool, self)
        try:
            await dial(self._pool.route, connection, self._timeouts)
        except HttpError as error:
            self._give_up(connection, error)
        except Exception:  # noqa: BLE001 - outermost: this is a task of its own
            _log.exception("dialing failed in an unforeseen way")
            self._give_up(connection, HttpError("connect", "dialing failed in an unforeseen way", clean=True))
        except asyncio.CancelledError:
            connection.abort()
            raise

    def _give_up(self, connection: Connection, error: HttpError) -> None:
        self._dialing = None  # this very task, which is not to be cancelled
        connection.abort()
        self.fail(error)


class Connection(asyncio.Protocol):
    """One connection: busy with one exchange, or idle in the pool, where any byte from upstream ends it."""

    __slots__ = ("_exchange", "_paused", "_pool", "_reader", "_stale_until", "_transport", "deadline")

    def __init__(self, pool: Pool, exchange: Exchange) -> None:
        self._pool = pool
        self._exchange: Exchange | None = exchange
        self._reader = ResponseReader(pool.limits)
        self._transport: asyncio.Transport | None = None
        self._stale_until = 0.0
        self._paused = False
        self.deadline = NEVER

    # What the loop and, for an idle connection, the ticker call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._exchange is None or self._exchange.done:
            self.abort()
            return
        self._pool.admit(self)
        self._transport.writelines(self._exchange.attach(self))

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.abort()
            return
        self._reader.feed(data)
        self._deliver(self._exchange)

    def eof_received(self) -> None:
        if self._exchange is None or self._retry_stale():
            self.abort()
            return
        self._reader.feed_eof()
        self._deliver(self._exchange)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.drop(self)
        self._transport = None
        if self._exchange is not None and not self._retry_stale():
            detail = f"the connection broke: {exc or 'closed by the upstream'}"
            self._exchange.fail(HttpError("reset", detail, clean=not self._reader.started))
        self._reader.close()

    def on_deadline(self, now: float) -> None:
        if self._exchange is None:  # else it has been taken within this very tick
            self.abort()

    # What the pool and the exchange call.

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def started(self) -> bool:
        """Has any byte of the answer come?"""
        return self._reader.started

    def start(self, exchange: Exchange) -> None:
        """Carry one more exchange; the connection is usable."""
        assert self._transport is not None
        self._exchange = exchange
        self._stale_until = self._pool.ticker.now() + _STALE_S
        self._transport.writelines(exchange.attach(self))

    def detach(self) -> None:
        """The exchange has ended, and wants to hear nothing more."""
        self._exchange = None

    def abort(self) -> None:
        """Close at once, with nothing flushed."""
        self._pool.drop(self)
        if self._transport is None:
            self._reader.close()
        elif not self._transport.is_closing():
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # The rest is its own.

    def _deliver(self, exchange: Exchange) -> None:
        try:
            exchange.deliver(self._reader)
        except Exception:  # noqa: BLE001 - outermost: the caller is the loop
            _log.exception("the consumer of an upstream's answer failed; the connection is closed")
            self.abort()
            exchange.fail(HttpError("protocol", "the consumer of the answer failed"))
        if self._exchange is None:
            self._release()

    def _release(self) -> None:
        """Back to the pool, where the answer ended cleanly and the whole request has left; else close."""
        transport, reader = self._transport, self._reader
        reusable = reader.complete and reader.reusable and reader.error is None
        if not reusable or transport is None or transport.is_closing() or transport.get_write_buffer_size():
            self.abort()
            return
        reader.reset()
        self.resume_reading()
        self._pool.take_back(self)

    def _retry_stale(self) -> bool:
        """A pooled connection that ends at once, before any byte of the answer, was dead already: try a fresh one."""
        exchange = self._exchange
        if exchange is None or self._reader.started or self._pool.ticker.now() >= self._stale_until:
            return False
        self._exchange = None
        exchange.retry_stale()
        return True
