"""The client's side of HTTP/1.1: a pool of kept-alive connections to one origin, and the calls that run on them.

A call on a pooled connection costs no task and no timer: the request is written at once, the answer is pushed
into the caller's `Sink`, at most one `on_body` a network read. A connection is watched by the shared `Ticker` as long
as it lives, and carries the deadline of its call, or of its idleness. Only a new connection has a task, which dials.
The one retry made here is that of a pooled connection which turned out, at once, to be dead before any byte of an
answer came: once, on a fresh connection. No redirects, no cookies, no `Expect`, no limit on a body: that is for the
owner of the sink. Specification: RFC 9112 section 9.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from feathergate.http.call import Exchange
from feathergate.http.connect import Route, dial
from feathergate.http.contract import Call, HttpError, Origin, Sink, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy
from feathergate.http.response import ResponseReader
from feathergate.http.ticker import NEVER, Ticker

_log: Final = logging.getLogger(__name__)

_STALE_S = 1.0  # a pooled connection that ends later than this after a request was not stale: the upstream worked
_JOIN_LIMIT_BYTES: Final = 16 * 1024  # a body up to this is copied behind its head: one buffer, one TLS record

# The most that one read takes. uvloop by itself takes 250 KiB, all of it on its way to the client before that one can
# say that it does not read; a buffer of our own costs 0.2 µs a read. From a TLS connection everything is taken that its
# layer may hold, 256 KiB and the record begun before: what is left there when the upstream closes is dropped.
_READ_BYTES: Final = 32 * 1024
_TLS_READ_BYTES: Final = (256 + 17) * 1024


class Pool:
    """The connections to one origin. Not thread-safe; lives in one event loop.

    `open` counts the connections that are up, `idle` those that wait; `reused` and `stale_retries` only grow.
    `translate`, where given, turns each error into what the sinks of this pool take.
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
        translate: Callable[[HttpError], Any] | None = None,
    ) -> None:
        self.route = Route(origin, ssl_context, proxy, check)
        self.limits = limits
        self.ticker = ticker
        self.reused = 0
        self.stale_retries = 0
        # Where the reads of all connections land; each is copied out before the next.
        self.inbox = memoryview(bytearray(_TLS_READ_BYTES if origin.tls else _READ_BYTES))
        self._translate = translate
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
        exchange = Exchange(head, body, sink, timeouts, self.ticker, self._translate)
        while self._idle:
            connection = self._idle.popitem()[0]
            if connection.usable:
                self.reused += 1
                connection.start(exchange)
                return exchange
        if self._closed:
            refusal = HttpError("connect", "the pool is closed", clean=True)
            asyncio.get_running_loop().call_soon(exchange.fail, refusal)
        else:
            self._dial(exchange)
        return exchange

    def close(self) -> None:
        """Take no more requests and drop what is idle; calls under way run to their end."""
        self._closed = True
        for connection in list(self._idle):
            connection.abort()

    def retry_stale(self, exchange: Exchange) -> None:
        """The pooled connection was dead: once more, on a fresh one, whose end is no longer stale."""
        self.stale_retries += 1
        self._dial(exchange)

    def take_back(self, connection: Connection) -> None:
        """Keep a connection whose answer ended cleanly."""
        if self._closed or len(self._idle) >= self.limits.idle_connections:
            connection.abort()
            return
        self._idle[connection] = None
        connection.deadline = self.ticker.time + self.limits.idle_connection_s

    def admit(self, connection: Connection) -> None:
        """A fresh connection has been made."""
        self._open.add(connection)

    def drop(self, connection: Connection) -> None:
        """The connection is closing: never hand it out again. Idempotent."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self.ticker.forget(connection)

    def _dial(self, exchange: Exchange) -> None:
        """Get a fresh connection for this call."""
        connection = Connection(self, exchange)
        self.ticker.watch(connection)
        connection.dialing = asyncio.get_running_loop().create_task(self._connect(connection, exchange))

    async def _connect(self, connection: Connection, exchange: Exchange) -> None:
        try:
            await dial(self.route, connection, exchange.timeouts)
            return
        except HttpError as error:
            failure = error
        except Exception:  # noqa: BLE001 - outermost: this is a task of its own
            _log.exception("dialing failed in an unforeseen way")
            failure = HttpError("connect", "dialing failed in an unforeseen way", clean=True)
        except asyncio.CancelledError:
            connection.abort()
            raise
        connection.dialing = None  # this very task, which is not to be cancelled
        connection.abort()
        exchange.fail(failure)


class Connection(asyncio.BufferedProtocol):
    """One connection: being dialed for an exchange, busy with one, or idle in the pool, where any byte ends it.

    `dialing` is the task that connects it, until it is connected.
    """

    __slots__ = (
        "_exchange",
        "_inbox",
        "_paused",
        "_pool",
        "_reader",
        "_reused",
        "_ticker",
        "_transport",
        "deadline",
        "dialing",
    )

    def __init__(self, pool: Pool, exchange: Exchange) -> None:
        self._pool = pool
        self._ticker = pool.ticker
        self._inbox = pool.inbox
        self._reader = ResponseReader(pool.limits)
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._reused = False
        self._exchange: Exchange | None = exchange
        self.dialing: asyncio.Task[None] | None = None
        self.deadline = NEVER
        exchange.attach(self)

    # What the loop and the ticker call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.dialing = None
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        self._pool.admit(self)
        self._write(self._transport, exchange)
        if exchange.paused:
            # Not at once: uvloop starts to read after `connection_made`, whatever was said within it.
            asyncio.get_running_loop().call_soon(self._pause_late)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        reader = self._reader
        body = reader.feed(self._inbox[:nbytes].tobytes())
        exchange.heard = self._ticker.time
        if reader.turned:
            self._deliver(exchange, body)
        elif body:
            try:
                exchange.sink.on_body(body)
            except Exception:  # noqa: BLE001 - outermost: the caller is the loop
                self._give_up(exchange)

    def eof_received(self) -> None:
        exchange = self._exchange
        if exchange is None or self._retry_stale():
            self.abort()
            return
        self._reader.feed_eof()
        self._deliver(exchange, b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.drop(self)
        self._transport = None
        if self._exchange is not None and not self._retry_stale():
            detail = f"the connection broke: {exc or 'closed by the upstream'}"
            self._exchange.fail(HttpError("reset", detail, clean=not self._reader.started))
        self._reader.close()

    def on_deadline(self, now: float) -> None:
        exchange = self._exchange
        if exchange is not None:
            self.deadline = exchange.due()
        if self.deadline > now:  # bytes have come, or it has changed hands within this very tick
            return
        if exchange is not None:
            exchange.expire(now)
        else:
            self.abort()

    # What the pool and the exchange call.

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def started(self) -> bool:
        return self._reader.started

    def start(self, exchange: Exchange) -> None:
        """Carry one more exchange; the connection is usable."""
        assert self._transport is not None
        self._exchange = exchange
        self._reused = True
        exchange.attach(self)
        self._write(self._transport, exchange)

    def detach(self) -> None:
        self._exchange = None

    def abort(self) -> None:
        """Close at once, with nothing flushed; dialing is given up."""
        self._pool.drop(self)
        if self._transport is None:
            self._reader.close()
        elif not self._transport.is_closing():
            self._transport.abort()
        if self.dialing is not None:
            self.dialing.cancel()
            self.dialing = None

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # The rest is its own.

    def _write(self, transport: asyncio.Transport, exchange: Exchange) -> None:
        if len(exchange.body) <= _JOIN_LIMIT_BYTES:
            transport.write(exchange.head + exchange.body)
        else:
            transport.writelines((exchange.head, exchange.body))

    def _pause_late(self) -> None:
        if self._exchange is not None and self._exchange.paused:
            self.pause_reading()

    def _deliver(self, exchange: Exchange, body: bytes) -> None:
        try:
            exchange.deliver(self._reader, body)
        except Exception:  # noqa: BLE001 - outermost: the caller is the loop
            self._give_up(exchange)
        if self._exchange is None:
            self._release()

    def _give_up(self, exchange: Exchange) -> None:
        """The sink has raised: it costs only its own connection."""
        _log.exception("the consumer of an upstream's answer failed; the connection is closed")
        self.abort()
        exchange.fail(HttpError("protocol", "the consumer of the answer failed"))

    def _release(self) -> None:
        """Back to the pool, where the answer ended cleanly and the whole request has left; else close."""
        transport, reader = self._transport, self._reader
        if not reader.reusable or transport is None or transport.is_closing() or transport.get_write_buffer_size():
            self.abort()
            return
        reader.reset()
        self.resume_reading()
        self._pool.take_back(self)

    def _retry_stale(self) -> bool:
        """A pooled connection that ends at once, before any byte of the answer, was dead already: try a fresh one."""
        exchange = self._exchange
        if exchange is None or not self._reused or self._reader.started:
            return False
        if self._ticker.now() >= exchange.began + _STALE_S:
            return False
        self._exchange = None
        self._pool.retry_stale(exchange)
        return True
