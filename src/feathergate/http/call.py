"""One request and its answer: the `Call` that its owner holds, whatever connection carries it.

It knows what has been said to the sink, and when the call is late; of sockets it knows only a `Carrier`. A read of a
body does not move a deadline: it notes the ticker's coarse time, and `due` is worked out when the ticker asks. So
silence counts from the tick before it began, and may be found too long by up to one period early.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from feathergate.http.contract import HttpError, Sink, Timeouts
from feathergate.http.response import ResponseReader
from feathergate.http.ticker import Ticker

_log: Final = logging.getLogger(__name__)


class Carrier(Protocol):
    """The connection, as a call sees it; `started` once any byte of the answer has come."""

    deadline: float

    @property
    def connected(self) -> bool: ...

    @property
    def started(self) -> bool: ...

    def detach(self) -> None:
        """The call has ended, and wants to hear nothing more."""

    def abort(self) -> None:
        """Close at once, also while it is still being dialed."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Exchange:
    """Implements `contract.Call`. `heard` is the loop's time of the last read, which the carrier notes, in seconds.

    Where there is a `translate`, the sink's `on_error` is called with what it makes of the error.
    """

    __slots__ = (
        "_answered",
        "_carrier",
        "_ticker",
        "_translate",
        "began",
        "body",
        "done",
        "head",
        "heard",
        "paused",
        "sink",
        "timeouts",
    )

    def __init__(
        self,
        head: bytes,
        body: bytes,
        sink: Sink,
        timeouts: Timeouts,
        ticker: Ticker,
        translate: Callable[[HttpError], Any] | None,
    ) -> None:
        self.head = head
        self.body = body
        self.sink = sink
        self.timeouts = timeouts
        self.heard = self.began = ticker.now()
        self.paused = False
        self.done = False
        self._ticker = ticker
        self._translate = translate
        self._answered = False
        self._carrier: Carrier | None = None

    # What the owner calls.

    def cancel(self) -> None:
        if not self.done:
            self._break_off()

    def pause(self) -> None:
        if self.paused or self.done:
            return
        self.paused = True
        if self._carrier is not None:
            self._carrier.pause_reading()

    def resume(self) -> None:
        if not self.paused or self.done:
            return
        self.paused = False
        self.heard = self._ticker.now()
        if self._carrier is not None:
            self._carrier.deadline = self.due()
            self._carrier.resume_reading()

    # What the pool and the carrier call.

    def attach(self, carrier: Carrier) -> None:
        """The connection that now carries the call, or is being dialed for it."""
        self._carrier = carrier
        carrier.deadline = self.due()

    def deliver(self, reader: ResponseReader, body: bytes) -> None:
        """Push a read that brought more than body into the sink, which may cancel or pause at any point, or raise."""
        sink = self.sink
        if not self._answered and reader.status:
            self._answered = True
            self.head = self.body = b""  # no retry from here on
            sink.on_head(reader.status, reader.headers)
            if self.done:
                return
        if body:
            sink.on_body(body)
            if self.done:
                return
        if reader.error is not None:
            self.fail(reader.error)
        elif reader.complete:
            self._finish()
            sink.on_end()
        elif self._answered and self._carrier is not None:
            self._carrier.deadline = self.due()

    def fail(self, error: HttpError) -> None:
        """End with an error, unless the call has ended already; the connection is closed."""
        if self.done:
            return
        self._break_off()
        try:
            self.sink.on_error(error if self._translate is None else self._translate(error))
        except Exception:  # noqa: BLE001 - outermost: the callers are the ticker and the loop
            _log.exception("the consumer of an upstream's answer failed on an error")

    def due(self) -> float:
        """The loop's time at which the call is late, should nothing happen before. Idle time starts anew with each
        read of the body and does not run while paused; the wait for the head does neither."""
        timeouts = self.timeouts
        total = self.began + timeouts.total_s
        if self.paused:
            return total
        phase = self.heard + timeouts.idle_s if self._answered else self.began + timeouts.first_byte_s
        return phase if phase < total else total

    def expire(self, now: float) -> None:
        """The call is late: end with an error that says for what."""
        timeouts, carrier = self.timeouts, self._carrier
        clean = carrier is None or not carrier.started
        if now >= self.began + timeouts.total_s:
            error = HttpError("timeout_total", f"not finished within {timeouts.total_s:g} s", clean=clean)
        elif self._answered:
            error = HttpError("idle", f"nothing more came for {timeouts.idle_s:g} s")
        elif carrier is None or not carrier.connected:
            error = HttpError("timeout_connect", "no connection before the answer was due", clean=clean)
        else:
            error = HttpError("timeout_first_byte", f"no answer within {timeouts.first_byte_s:g} s", clean=clean)
        self.fail(error)

    def _break_off(self) -> None:
        carrier = self._carrier
        self._finish()
        if carrier is not None:
            carrier.abort()

    def _finish(self) -> None:
        """Let go of everything; the connection sees to its own fate."""
        self.done = True
        if self._carrier is not None:
            self._carrier.detach()
            self._carrier = None
