"""One client's connection: bytes in, one request at a time to the handler, answers out in order.

`reader.py` makes requests of bytes, `answer.py` bytes of answers. Here is what needs the connection: pipelining,
flow control both ways, deadlines, and an ending that lets the client read the last answer. The usual request comes
whole, in one read, with a head that `known_head.py` knows, and goes straight to the handler. Everything else moves
in steps of `_advance`, one per turn of the event loop: a slice of input is read, a request is handed out.

Requests that follow one still being answered are parsed ahead, up to `pipeline_depth` of them (and what one slice of
input holds) or one body limit of bytes; then reading pauses, and while it does a client's leaving goes unseen. A FIN
from the client counts as leaving. Specification: RFC 9112 section 9; RFC 9110 section 10.1.1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from feathergate.http.answer import Answer
from feathergate.http.contract import Handler, Request
from feathergate.http.known_head import KnownHead, KnownHeads, learn_head
from feathergate.http.limits import ServerLimits
from feathergate.http.reader import BODY, HEAD, IDLE, OVER, Incoming, RequestReader
from feathergate.http.request import ALLOW, RefusedError
from feathergate.http.ticker import NEVER, Ticker

logger: Final = logging.getLogger("feathergate.http")

ErrorBody = Callable[[int, str, bytes], tuple[bytes, bytes]]

_SLICE_BYTES: Final = 16 * 1024
# Above this the upstream is paused; what one read of it made comes on top.
_WRITE_HIGH_WATER_BYTES: Final = 32 * 1024
_WRITE_LOW_WATER_BYTES: Final = 16 * 1024

# To learn a head costs 4 µs, lost on a client whose every head differs (it holds an id, say), or comes only once: a
# connection learns from its second request on, and this many times without use.
_LESSONS: Final = 4

# How long a client may go on sending after its last answer before it is cut off.
_LINGER_S = 5.0
# How long a connection that has not carried a request yet may stay open in a drain.
_DRAIN_GRACE_S: Final = 0.5
# A body that takes longer than this must come at this rate, on average.
_SLOW_BODY_S = 60.0
_SLOW_BODY_BYTES_PER_S: Final = 500
# Connections above the limit that are still told why; more are dropped at once.
_EXPLAINED_REFUSALS = 256

# What a connection waits for: more input, by the reader's phase, or one of these two: the answer at hand (or room to
# send the next), and the connection's end.
_ANSWER: Final = 4
_END: Final = 5

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_INPUT: Final = memoryview(b"")


class Service:
    """What all connections of one server share."""

    __slots__ = ("awaited", "connections", "draining", "emptied", "error_body", "handler", "heads", "limits", "ticker")

    def __init__(self, handler: Handler, limits: ServerLimits, ticker: Ticker, error_body: ErrorBody) -> None:
        self.handler = handler
        self.limits = limits
        self.ticker = ticker
        self.error_body = error_body
        self.connections: set[Connection] = set()
        self.heads = KnownHeads()
        # Those whose end a drain waits for, and that there is none left.
        self.awaited: set[Connection] = set()
        self.emptied = asyncio.Event()
        self.draining = False


class Connection(asyncio.Protocol):
    """The protocol of one accepted socket."""

    __slots__ = (
        "_answer",
        "_awaited",
        "_body_since",
        "_discarded_bytes",
        "_known",
        "_lessons",
        "_paused",
        "_peer",
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
        self.deadline = NEVER
        # The time for the first head counts from the accept.
        self._awaited = HEAD
        self._known: KnownHead | None = None
        self._lessons = _LESSONS
        self._peer = ""
        self._turn_due = False
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
        if isinstance(peer, tuple):
            self._peer = peer[0]
        self._reader = RequestReader(service.limits, self._peer)
        service.connections.add(self)
        service.ticker.watch(self)
        self.deadline = service.ticker.time + service.limits.header_timeout_s
        excess = len(service.connections) - service.limits.connections
        if excess > _EXPLAINED_REFUSALS:
            self.abort()
        elif excess > 0:
            self._refuse(503, "The gateway serves as many connections as it may; try again soon.")

    def data_received(self, data: bytes) -> None:
        if self._awaited == IDLE and self._known is not None:
            request = self._known.read(data, self._peer)
            if request is not None:
                self._lessons = _LESSONS
                self._hand_out(request)
                return
        if self._reader.phase == OVER:
            self._discard(len(data))
        else:
            self._read(data)
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
        service.awaited.discard(self)
        if not service.awaited:
            service.emptied.set()
        self._await_end()
        self.deadline = NEVER
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.leave()

    def pause_writing(self) -> None:
        self._paused = True
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self.deadline = self._service.ticker.time + self._service.limits.write_timeout_s
        if self._answer is not None and self._answer.on_pause is not None:
            self._answer.on_pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._awaited == _END:
            return
        if self._answer is None:
            self._advance()
            return
        self.deadline = NEVER
        if self._answer.on_resume is not None:
            self._answer.on_resume()

    # What the ticker and the server call.

    def on_deadline(self, now: float) -> None:
        if self._awaited == _END or self._paused:
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

    def begin_drain(self, idle_grace_s: float) -> None:
        """Close when the request at hand is answered. Without one, close now; with `idle_grace_s`, when the next one
        is answered, or when none has come for so long."""
        if self._answer is not None:
            self._answer.keep_alive = False
        elif self._reader.phase == IDLE and not self._reader.ready:
            grace_s = max(_DRAIN_GRACE_S, idle_grace_s) if self._awaited == HEAD else idle_grace_s
            if grace_s:
                self.deadline = min(self.deadline, self._service.ticker.time + grace_s)
            else:
                self._close()

    def abort(self) -> None:
        """Drop the connection now, whatever it is doing."""
        self._await_end()
        self.deadline = NEVER
        self._transport.abort()

    # Requests in, answers out.

    def _read(self, data: bytes) -> None:
        """Take in what has come: all of it, or, of more than a slice, one slice now and the rest in turns to come.

        A flood of small requests cannot hold the loop that way.
        """
        reader = self._reader
        may_learn = self._awaited == IDLE and self._lessons > 0
        if self._unread:
            self._unread = memoryview(bytes(self._unread) + data)
        elif len(data) > _SLICE_BYTES:
            self._unread = memoryview(data)
            self._read_slice()
        else:
            reader.feed(data)
        if may_learn and reader.phase == IDLE and len(reader.ready) == 1 and not self._unread:
            self._learn(data, reader.ready[0])

    def _read_slice(self) -> None:
        """Read a slice of what is unread, and of a body of known length the rest, which is no work."""
        reader, unread = self._reader, self._unread
        reader.feed(unread[:_SLICE_BYTES])
        end = _SLICE_BYTES + reader.missing_bytes
        if end > _SLICE_BYTES:
            reader.feed(unread[_SLICE_BYTES:end])
        self._unread = unread[end:] if reader.phase != OVER else _NO_INPUT

    def _learn(self, data: bytes, incoming: Incoming) -> None:
        asked = incoming.asked
        if incoming.http10 or isinstance(asked, RefusedError):
            return
        known = learn_head(data, asked, self._service.limits)
        if known is not None:
            self._lessons -= 1
            self._forget_head()
            self._known = self._service.heads.hold(known)

    def _forget_head(self) -> None:
        if self._known is not None:
            self._service.heads.release(self._known)
            self._known = None

    def _advance(self) -> None:
        """Hand out a request if one waits and may go, see to the next turn, and set the deadline of more input."""
        reader = self._reader
        if reader.ready and self._answer is None and not self._paused:
            self._dispatch(reader.take())
        if self._awaited == _END or self._transport.is_closing():
            return
        if self._unread and not self._is_ahead():
            self._take_turn_soon()
        self._pace_reading()
        if self._answer is None and not self._paused and not reader.ready and not self._unread:
            self._await_input()

    def _take_turn_soon(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_due = False
        if self._awaited == _END:
            return
        if self._unread and not self._is_ahead():
            self._read_slice()
        self._advance()

    def _dispatch(self, incoming: Incoming) -> None:
        asked = incoming.asked
        if isinstance(asked, Request):
            self._hand_out(asked, http10=incoming.http10, keep_alive=incoming.keep_alive)
            return
        self._awaited = _ANSWER
        self.deadline = NEVER
        self._answer = answer = Answer(self._transport, self._finish)
        self._answer_error(answer, asked)

    def _hand_out(self, request: Request, *, http10: bool = False, keep_alive: bool = True) -> None:
        self._awaited = _ANSWER
        self.deadline = NEVER
        service = self._service
        keep_alive = keep_alive and not service.draining
        self._answer = answer = Answer(self._transport, self._finish, request.method == "HEAD", http10, keep_alive)
        try:
            service.handler(request, answer)
        except Exception:
            logger.exception("the handler of %s %s failed", request.method, request.path)
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
        reader = self._reader
        if not answer.keep_alive:
            self._close(linger=reader.is_cut_short)
        elif reader.phase == IDLE and not reader.ready and not self._unread and not self._paused:
            self._await_input()
        else:
            self._take_turn_soon()

    def _refuse(self, status: int, message: str) -> None:
        self._reader.refuse(RefusedError(status, message))
        self._unread = _NO_INPUT
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
        now, limits = self._service.ticker.time, self._service.limits
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
        self._await_end()
        transport, now = self._transport, self._service.ticker.time
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

    def _await_end(self) -> None:
        self._awaited = _END
        self._forget_head()
        self._unread = _NO_INPUT
        self._reader.stop()
