"""Bytes from upstream to the client: the sink of one call.

Until it is `open`ed it keeps what comes; `ready` resolves at the first content, at the end, or at the first failure,
whichever is first, and whoever holds the logic decides. Once open it writes straight to the client's connection, one
write a read, without a task switch. It watches its own deadlines through the ticker: keep-alive comments, the wait
for each event, and the whole request's end. What nobody
foresaw while bytes move ends the answer here, as our own fault. Source: DESIGN.md, "One request".
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import render_error_event
from feathergate.dialects.translation import Whole
from feathergate.errors import FeatherGateError, UpstreamError, forget_frames
from feathergate.gateway.failure import build_internal, build_late, build_silent, build_slow, build_too_large
from feathergate.gateway.pace import Pace
from feathergate.gateway.reading import Reading
from feathergate.http.contract import Call, Headers, Responder
from feathergate.http.ticker import NEVER, Ticker
from feathergate.wire.chat import Usage
from feathergate.wire.masking import MASK
from feathergate.wire.sse import KEEP_ALIVE

_log: Final = logging.getLogger("feathergate.gateway")

KEEP_ALIVE_S = 10.0
ERROR_BODY_LIMIT_BYTES: Final = 1024 * 1024
ERROR_BODY_S = 2.0
OFF_LOOP_BYTES = 512 * 1024
_LINGER_S: Final = 0.25


class Relay:
    """An `UpstreamSink`. With a `pipe` the answer is streamed to the client, without one it is whole.

    `event_timeout_s` bounds the wait for a stream's first and each next event; comments are none. A stream of fewer
    than `least_chars_per_s` has stalled (0: it may drip).
    """

    __slots__ = (
        "_body",
        "_call",
        "_done",
        "_event_timeout_s",
        "_events",
        "_heard",
        "_held",
        "_keep_alive_s",
        "_least_chars_per_s",
        "_pace",
        "_paused",
        "_pipe",
        "_reading",
        "_responder",
        "_status",
        "_ticker",
        "_total_deadline",
        "_wrote",
        "client_left",
        "deadline",
        "error",
        "first_content",
        "headers",
        "over",
        "ready",
        "started",
        "whole",
    )

    def __init__(
        self,
        ticker: Ticker,
        reading: Reading,
        pipe: Pipe | None,
        total_deadline: float,
        event_timeout_s: float = NEVER,
        keep_alive_s: float = KEEP_ALIVE_S,
        least_chars_per_s: float = 0.0,
    ) -> None:
        self.ready: asyncio.Future[None] = ticker.loop.create_future()
        self._done: asyncio.Future[None] | None = None
        self.error: FeatherGateError | None = None
        self.whole: Whole | None = None
        self.headers: Headers = ()
        self.first_content: float | None = None
        self.client_left = False
        self.over = False  # the answer has come to its end, good or bad
        self._ticker = ticker
        self._reading = reading
        self._pipe = pipe
        self._total_deadline = self.deadline = total_deadline
        self._call: Call | None = None
        self._responder: Responder | None = None
        self._status = 0
        self._body: bytes | bytearray = b""
        self._held: list[bytes] = []
        self._wrote = 0.0
        self._paused = False
        self._events = 0
        self._event_timeout_s = event_timeout_s
        self._keep_alive_s = keep_alive_s
        self._least_chars_per_s = least_chars_per_s
        self._pace: Pace | None = None
        self.started = self._heard = ticker.now()
        if pipe is not None:
            self._move_deadline()

    @property
    def usage(self) -> Usage | None:
        if self._pipe is not None:
            return self._pipe.usage
        return self.whole.usage if self.whole is not None else None

    # --- the owner's side ---

    def attach(self, call: Call) -> None:
        """The call that feeds this relay has begun."""
        self._call = call
        self._ticker.watch(self)

    def open(self, responder: Responder, headers: bytes | None) -> asyncio.Future[None]:
        """Commit: send the head (None where it has been sent) and what was held back, and write what comes from now on
        as it comes.

        What is returned resolves when the client has got all that it will."""
        self._done = done = self._ticker.loop.create_future()
        self._responder = responder
        responder.on_pause = self._pause
        responder.on_resume = self._resume
        if headers is not None:
            responder.start(200, headers)
        held, self._held = b"".join(self._held), []
        self._write(held)
        if self.over:
            self._end_answer()
            return done
        self._move_deadline()
        return done

    def abandon(self) -> None:
        """The client has left: close the upstream connection at once. Nobody is to blame."""
        self.client_left = True
        self._settle(cancel=True)

    def let_go(self) -> None:
        """Another attempt has answered: close the upstream connection, if there is still something to come."""
        if not self.over:
            self._settle(cancel=True)

    def break_off(self, error: FeatherGateError) -> None:
        """The gateway itself cannot go on: close the upstream connection, and tell a client that is listening. One that
        has had the whole answer keeps it."""
        if not self.over or self._responder is None:
            self._fail(error, cancel=True)

    # --- the upstream's side ---

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self.headers = headers
        if status != 200:
            self._total_deadline = min(self._total_deadline, self._ticker.now() + ERROR_BODY_S)
            self._move_deadline()

    def on_body(self, data: bytes) -> None:
        if self.over:
            return
        pipe = self._pipe
        try:
            if pipe is None or self._status != 200:
                self._collect(data)
                return
            out = pipe.feed(data)
            responder = self._responder
            if out and responder is not None:
                self._wrote = self._ticker.time
                responder.write(out)
            elif out:
                self._held.append(out)
            if self._pace is not None:
                self._pace.add(out)
            if pipe.events != self._events:
                self._events = pipe.events
                self._heard = self._ticker.time
            if self.first_content is None and pipe.content:
                self._reach_content()
            if pipe.error is not None:
                self._fail(pipe.error, cancel=True)
            elif pipe.complete:
                self._settle(cancel=False)
        except Exception:  # noqa: BLE001 - outermost: the caller is the transport
            self._crash()

    def on_end(self) -> None:
        self._call = None
        try:
            self._end()
        except Exception:  # noqa: BLE001 - outermost: the caller is the transport
            self._crash()

    def on_error(self, error: UpstreamError) -> None:
        self._call = None
        if self.over:
            self._ticker.forget(self)
        else:
            self._fail(self._find_refusal() or error)

    # --- steps of the answer ---

    def _end(self) -> None:
        refusal = None if self._status == 200 else self._find_refusal()
        if self.over:
            self._ticker.forget(self)
        elif refusal is not None:
            self._fail(refusal)
        elif self._pipe is not None:
            self._finish_stream(self._pipe)
        elif len(self._body) < OFF_LOOP_BYTES:
            self._finish_whole(self._translate())
        else:
            self._ticker.loop.run_in_executor(None, self._translate).add_done_callback(self._take_whole)

    def _crash(self) -> None:
        """Something that nobody foresaw: logged here, since no caller could do better than close the connection."""
        _log.exception("the answer %s could not be carried on", self._reading.fallback_id)
        self.break_off(build_internal())

    # --- deadlines ---

    def on_deadline(self, now: float) -> None:
        if self.over:
            self._settle(cancel=True)
        elif now >= self._total_deadline:
            self._fail(self._find_refusal() or build_late(unread=self._paused), cancel=True)
        elif now >= self._heard + self._event_timeout_s and not self._paused:
            self._fail(build_silent(), cancel=True)
        elif self._pace is not None and not self._paused and self._pace.is_slow(now):
            self._fail(build_slow(), cancel=True)
        else:
            self._keep_waiting(now)

    def _keep_waiting(self, now: float) -> None:
        """Nothing is over yet: past the barrier a sign of life is due."""
        if self._responder is not None and now >= self._wrote + self._keep_alive_s:
            if not self._paused:
                self._write(KEEP_ALIVE)
            self._wrote = now
        self._move_deadline()

    def _move_deadline(self) -> None:
        """The earliest of all. Bytes that come do not move it; `on_deadline` looks again at when they came."""
        if self._pipe is None:
            self.deadline = self._total_deadline
            return
        next_ping = self._wrote + self._keep_alive_s if self._responder is not None else NEVER
        next_event = NEVER if self._paused else self._heard + self._event_timeout_s
        next_window = NEVER if self._pace is None or self._paused else self._pace.until
        self.deadline = min(self._total_deadline, next_ping, next_event, next_window)

    # --- steps ---

    def _write(self, data: bytes) -> None:
        self._wrote = self._ticker.now()
        if self._responder is not None:
            self._responder.write(data)

    def _reach_content(self) -> None:
        self.first_content = now = self._ticker.now()
        if self._least_chars_per_s and self._pipe is not None:
            self._pace = Pace(self._least_chars_per_s, now)
        self._resolve_ready()

    def _resolve_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _collect(self, data: bytes) -> None:
        """Most answers come in one piece, which is kept as it is; only more of them need a buffer that grows."""
        body = self._body
        if not body:
            self._body = body = data
        elif isinstance(body, bytearray):
            body += data
        else:
            self._body = body = bytearray(body)
            body += data
        whole = self._status == 200
        limit_bytes = self._reading.body_limit_bytes if whole else ERROR_BODY_LIMIT_BYTES
        if len(body) <= limit_bytes:
            return
        if whole:
            self._fail(build_too_large(limit_bytes), cancel=True)
        else:
            self._fail(self._find_refusal() or build_internal(), cancel=True)

    def _find_refusal(self) -> UpstreamError | None:
        """The provider's own error where its status has come, which tells more than what became of its body."""
        if self._status in (0, 200):
            return None
        return self._reading.dialect.parse_error(self._status, self.headers, bytes(self._body))

    def _take_whole(self, translated: asyncio.Future[Whole | UpstreamError]) -> None:
        """A thread has translated the answer, unless the client has left meanwhile."""
        if self.over:
            return
        try:
            self._finish_whole(translated.result())
        except Exception:  # noqa: BLE001 - outermost: the caller is the loop
            self._crash()

    def _finish_whole(self, result: Whole | UpstreamError) -> None:
        if isinstance(result, UpstreamError):
            self._fail(result)
            return
        self.whole = result
        self.first_content = self._ticker.now()
        self._settle(cancel=False)

    def _translate(self) -> Whole | UpstreamError:
        """Pure: a large answer is translated in a thread."""
        try:
            return self._reading.translate(bytes(self._body))
        except UpstreamError as error:
            return error

    def _finish_stream(self, pipe: Pipe) -> None:
        """The stream's bytes have ended, as HTTP has it: whether the answer has too, its dialect knows."""
        out = pipe.close()
        if pipe.error is not None:
            self._fail(pipe.error)
            return
        if self._responder is not None:
            self._write(out)
        else:
            self._held.append(out)
        if pipe.content and self.first_content is None:
            self._reach_content()
        self._settle(cancel=False)

    def _fail(self, error: FeatherGateError, *, cancel: bool = False) -> None:
        for secret in self._reading.secrets:  # a provider may repeat the very key that it rejects
            error.message = error.message.replace(secret, MASK)
            error.param = error.param and error.param.replace(secret, MASK)
            error.code = error.code and error.code.replace(secret, MASK)
        forget_frames(error)
        self.error = error
        self._settle(cancel=cancel)

    def _settle(self, *, cancel: bool) -> None:
        """The answer is over. An upstream that has said all gets a moment to end its body, for its connection's
        sake; any other is closed."""
        if self._call is not None and not cancel:
            self._call.resume()
            self.deadline = self._ticker.now() + _LINGER_S
        else:
            self._ticker.forget(self)
            if self._call is not None:
                self._call.cancel()
                self._call = None
        if self.over:
            return
        self.over = True
        self._resolve_ready()
        if self._responder is not None:
            self._end_answer()

    def _end_answer(self) -> None:
        """The client's last bytes; after an error event too the body ends properly."""
        responder = self._responder
        if responder is None:
            return
        if self._done is not None and not self._done.done():  # else its waiter has been cancelled
            self._done.set_result(None)
        if self.error is not None:
            responder.write(render_error_event(self.error))
        responder.on_pause = responder.on_resume = None
        responder.end()

    def _pause(self) -> None:
        self._paused = True
        if self._call is not None:
            self._call.pause()

    def _resume(self) -> None:
        self._paused = False
        self._heard = now = self._ticker.now()
        if self._pace is not None:
            self._pace.restart(now)
        self._move_deadline()
        if self._call is not None:
            self._call.resume()
