"""One client's connection: bytes in, one request at a time to the handler, answers out in order.

`reader.py` makes requests of bytes, `answer.py` bytes of answers. Here is what needs the connection: pipelining,
flow control both ways, deadlines, and an ending that lets the client read the last answer. Requests that follow one
still being answered are parsed ahead, up to `pipeline_depth` of them (and what one slice of input holds) or one
body limit of bytes; then reading pauses, and while it does a client's leaving goes unseen. A FIN from the client
counts as leaving. Specification: RFC 9112 section 9; RFC 9110 section 10.1.1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from feathergate.http.answer import Answer
from feathergate.http.contract import Handler
from feathergate.http.limits import ServerLimits
from feathergate.http.reader import BODY, HEAD, IDLE, OVER, Incoming, RequestReader
from feathergate.http.request import ALLOW, RefusedError
from feathergate.http.ticker import NEVER, Ticker

logger = logging.getLogger("feathergate.http")

ErrorBody = Callable[[int, str, bytes], tuple[bytes, bytes]]

_SLICE_BYTES = 16 * 1024
_WRITE_HIGH_WATER_BYTES = 64 * 1024
_WRITE_LOW_WATER_BYTES = 16 * 1024

# How long a client may go on sending after its last answer before it is cut off.
_LINGER_S = 5.0
# How long a connection that has not carried a request yet may stay open in a drain.
_DRAIN_GRACE_S = 0.5
# A body that takes longer than this must come at this rate, on average.
_SLOW_BODY_S = 60.0
_SLOW_BODY_BYTES_PER_S = 500
# Connections above the limit that are still told why; more are dropped at once.
_EXPLAINED_REFUSALS = 256

# What `_awaited` says while no input is waited for; otherwise it is a phase of the reader.
_NOTHING = -1

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_INPUT = memoryview(b"")


class Service:
    """What all connections of one server share."""

    __slots__ = ("connections", "draining", "emptied", "error_body", "handler", "limits", "ticker")

    def __init__(self, handler: Handler, limits: ServerLimits, ticker: Ticker, error_body: ErrorBody) -> None:
        self.handler = handler
        self.limits = limits
        self.ticker = ticker
        self.error_body = error_body
        self.connections: set[Connection] = set()
        self.emptied = asyncio.Event()
        self.draining = False


class Connection(asyncio.Protocol):
    """The protocol of one accepted socket."""

    __slots__ = (
        "_advancing",
        "_answer",
        "_awaited",
        "_body_since",
        "_closing",
        "_discarded_bytes",
        "_paused",
        "_reader",
        "_reading_paused",
        "_service",
        "_transport",
        "_turn_due",
        "_unread",
        "_unsent_bytes",
        "deadline",
    )

    _transport: asyncio.Transport
    _reader: RequestReader

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answer: Answer | None = None
        self._advancing = False
        self._turn_due = False
        self._closing = False
        self.deadline = NEVER
        # The time for the first head counts from the accept.
        self._awaited = HEAD
        self._body_since = 0.0
        self._unread = _NO_INPUT
        self._reading_paused = False
        self._discarded_bytes = 0
        self._paused = False
        self._unsent_bytes = 0

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        service = self._service
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_WRITE_HIGH_WATER_BYTES, _WRITE_LOW_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        self._reader = RequestReader(service.limits, peer[0] if isinstance(peer, tuple) else "")
        self.deadline = service.ticker.now() + service.limits.header_timeout_s
        service.connections.add(self)
        service.ticker.watch(self)
        excess = len(service.connections) - service.limits.connections
        if excess > _EXPLAINED_REFUSALS:
            self.abort()
        elif excess > 0:
            self._refuse(503, "The gateway serves as many connections as it may; try again soon.")

    def data_received(self, data: bytes) -> None:
        if self._reader.phase == OVER:
            self._discard(len(data))
            return
        if self._unread:
            self._unread = memoryview(bytes(self._unread) + data)
        elif len(data) > _SLICE_BYTES:
            self._unread = memoryview(data)
        else:
            self._reader.feed(data)
        self._advance()

    def eof_received(self) -> None:
        if self._answer is not None or self._reader.ready:
            self.abort()
        else:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        service = self._service
        service.ticker.forget(self)
        service.connections.discard(self)
        if not service.connections:
            service.emptied.set()
        self._closing = True
        self._unread = _NO_INPUT
        self._reader.close()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.leave()

    def pause_writing(self) -> None:
        self._paused = True
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self.deadline = self._service.ticker.now() + self._service.limits.write_timeout_s
        if self._answer is not None and self._answer.on_pause is not None:
            self._answer.on_pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._closing:
            return
        if self._answer is None:
            self._advance()
            return
        self.deadline = NEVER
        if self._answer.on_resume is not None:
            self._answer.on_resume()

    # What the ticker and the server call.

    def on_deadline(self, now: float) -> None:
        if self._closing or self._paused:
            unsent_bytes = self._transport.get_write_buffer_size()
            if 0 < unsent_bytes < self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self.deadline = now + self._service.limits.write_timeout_s
            else:
                self.abort()
        elif self._reader.phase == IDLE:
            self._close()
        else:
            part = "headers" if self._reader.phase == HEAD else "body"
            self._refuse(408, f"The request's {part} did not come in time; send the request again, faster.")

    def begin_drain(self) -> None:
        """Close when the request at hand is answered, or now if there is none."""
        if self._answer is not None:
            self._answer.keep_alive = False
        elif self._reader.phase == IDLE and not self._reader.ready:
            if self._awaited == HEAD:
                self.deadline = min(self.deadline, self._service.ticker.now() + _DRAIN_GRACE_S)
            else:
                self._close()

    def abort(self) -> None:
        """Drop the connection now, whatever it is doing."""
        self.deadline = NEVER
        self._closing = True
        self._transport.abort()

    # Requests in, answers out.

    def _advance(self) -> None:
        """Do what can be done now: hand out waiting requests, parse unread input, set the deadline.

        A handler may answer at once, which comes back here: the flag turns that into a turn of `_dispatch_ready`.
        Only one slice is parsed in one turn of the event loop, so that a flood of small requests cannot hold it.
        """
        if self._advancing:
            return
        self._advancing = True
        self._dispatch_ready()
        if self._unread and not self._is_ahead():
            piece, self._unread = self._unread[:_SLICE_BYTES], self._unread[_SLICE_BYTES:]
            self._reader.feed(piece)
            self._dispatch_ready()
        self._advancing = False
        if self._reader.phase == OVER:
            self._unread = _NO_INPUT
        if self._closing or self._transport.is_closing():
            return
        if self._unread and not self._turn_due and not self._is_ahead():
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._take_turn)
        self._pace_reading()
        if self._answer is None and not self._paused:
            self._await_input()

    def _take_turn(self) -> None:
        self._turn_due = False
        self._advance()

    def _dispatch_ready(self) -> None:
        ready = self._reader.ready
        while ready and self._answer is None and not self._paused and not self._closing:
            self._dispatch(self._reader.take())

    def _dispatch(self, incoming: Incoming) -> None:
        self._awaited = _NOTHING
        self.deadline = NEVER
        asked = incoming.asked
        if isinstance(asked, RefusedError):
            self._answer = answer = Answer(self._transport, self._finish)
            self._answer_error(answer, asked)
            return
        keep_alive = incoming.keep_alive and not self._service.draining
        self._answer = answer = Answer(
            self._transport, self._finish, asked.method == "HEAD", incoming.http10, keep_alive
        )
        try:
            self._service.handler(asked, answer)
        except Exception:
            logger.exception("the handler of %s %s failed", asked.method, asked.path)
            if answer.waiting:
                self._answer_error(answer, RefusedError(500, "The gateway failed; its log says why."))
            else:
                answer.abort()

    def _answer_error(self, answer: Answer, refused: RefusedError) -> None:
        headers, body = self._service.error_body(refused.status, refused.message, refused.target)
        answer.keep_alive = False
        answer.respond(refused.status, headers + ALLOW if refused.status == 405 else headers, body)

    def _finish(self, answer: Answer) -> None:
        self._answer = None
        if answer.keep_alive:
            self._advance()
        else:
            self._close(linger=self._reader.is_cut_short)

    def _refuse(self, status: int, message: str) -> None:
        self._reader.refuse(RefusedError(status, message))
        self._advance()

    # Flow and time.

    def _is_ahead(self) -> bool:
        """Enough requests wait behind the one being answered."""
        reader, limits = self._reader, self._service.limits
        return len(reader.ready) >= limits.pipeline_depth or reader.ready_bytes >= limits.body_bytes

    def _pace_reading(self) -> None:
        pause = bool(self._unread) or self._is_ahead()
        if pause and not self._reading_paused:
            self._transport.pause_reading()
        elif self._reading_paused and not pause:
            self._transport.resume_reading()
        self._reading_paused = pause

    def _await_input(self) -> None:
        """Nothing is being answered: set the deadline of what the client is to send next."""
        phase = self._reader.phase
        if phase == self._awaited and phase != BODY:
            return
        now, limits = self._service.ticker.now(), self._service.limits
        if phase == IDLE:
            self.deadline = now + limits.keep_alive_s
        elif phase == HEAD:
            self.deadline = now + limits.header_timeout_s
        elif phase == BODY:
            if self._awaited != BODY:
                self._body_since = now
            if self._reader.continue_due:
                self._reader.continue_due = False
                self._transport.write(_CONTINUE)
            earned_s = _SLOW_BODY_S + self._reader.body_bytes / _SLOW_BODY_BYTES_PER_S
            self.deadline = min(now + limits.body_timeout_s, self._body_since + earned_s)
        self._awaited = phase

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > self._service.limits.body_bytes:
            self.abort()

    # The end.

    def _close(self, *, linger: bool = False) -> None:
        """Close once all is sent. With `linger`, only after the client has closed too, or some time has passed.

        To close with input unread makes the kernel send a reset, which can overtake and destroy the answer.
        """
        self._closing = True
        self._reader.stop()
        self._unread = _NO_INPUT
        transport, now = self._transport, self._service.ticker.now()
        self._unsent_bytes = transport.get_write_buffer_size()
        self.deadline = now + (self._service.limits.write_timeout_s if self._unsent_bytes else _LINGER_S)
        if not linger or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        if self._reading_paused:
            self._reading_paused = False
            transport.resume_reading()
        try:
            transport.write_eof()
        except OSError:  # the client has reset the connection meanwhile
            self.abort()
