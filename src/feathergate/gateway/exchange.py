"""One request's life, from its decoded body to its outcome: route, attempt, relay, account.

The control of a request is this coroutine; its bytes move by callbacks in `relay.py`. It awaits one future up to
the first content and one to the end. The client's connection owns the upstream call: when the client goes, the
call is closed at once, whichever of the two is awaited. There is one attempt: retries and fallbacks come with the
issue "Calm when providers fail", and this is where they belong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built
from feathergate.dialects.render import render_error
from feathergate.errors import (
    FeatherGateError,
    MethodNotAllowedError,
    UnauthorizedError,
    UnavailableError,
    UpstreamError,
)
from feathergate.gateway.attempt import Asked, build_attempt, inline_media, start_attempt
from feathergate.gateway.relay import Relay, build_internal
from feathergate.http.contract import HttpError, Responder
from feathergate.observe.outcome import Outcome
from feathergate.runtime import Deployment, Runtime
from feathergate.transport.media import MediaFetcher, find_remotes
from feathergate.wire.codec import decode_chat, decode_messages

_log = logging.getLogger("feathergate.gateway")

JSON = b"content-type: application/json\r\n"
_STREAM = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
CLIENT_LEFT = 499
OFF_LOOP_BYTES = 1024 * 1024
_BYTES_A_MESSAGE = 500  # what opening one more message costs, in bytes that cost as much
_DROPPED_LIMIT_BYTES = 1024

T = TypeVar("T")


class Exchange:
    """One chat request. `headers` is the block that every answer to it carries (request id, CORS)."""

    __slots__ = ("_created", "_headers", "_opened", "_outcome", "_responder", "_runtime")

    def __init__(self, runtime: Runtime, responder: Responder, outcome: Outcome, headers: bytes, created: int) -> None:
        self._runtime = runtime
        self._responder = responder
        self._outcome = outcome
        self._headers = headers
        self._created = created
        self._opened = False

    async def run(self, body: bytes) -> None:
        """Answer the request whatever happens to it, and account for it once. The outermost call of its task."""
        try:
            await self._run(body)
        except FeatherGateError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            self._refuse(_build_stopping())
        except Exception:  # noqa: BLE001 - the outermost call of the task
            _log.exception("request %s failed", self._outcome.request_id)
            self._refuse(build_internal())
        finally:
            self._outcome.status = self._outcome.status or CLIENT_LEFT
            account(self._runtime, self._outcome)

    async def _run(self, body: bytes) -> None:
        runtime, outcome = self._runtime, self._outcome
        size_bytes = len(body)
        if size_bytes < OFF_LOOP_BYTES:
            request, members = decode_chat(body)
        else:
            request, members = await asyncio.to_thread(decode_chat, body)
        outcome.stream = bool(request.stream)
        deployment = runtime.find_deployment(request.model)
        outcome.model = deployment.model_name
        outcome.provider = deployment.provider.name
        outcome.served_model = deployment.model
        deadline = outcome.started + runtime.config.total_timeout_s
        asked = Asked(request, members, outcome.request_id, self._created, deadline)
        if runtime.media is not None and deployment.provider.dialect is not CHAT:
            asked = await self._inline_media(runtime.media, asked)
            size_bytes = max(size_bytes, asked.size_bytes)
        if size_bytes + _BYTES_A_MESSAGE * len(request.messages) < OFF_LOOP_BYTES:
            built = build_attempt(deployment, asked)
        else:
            built = await asyncio.to_thread(build_attempt, deployment, asked)
        await self._attempt(deployment, asked, built)

    async def _inline_media(self, media: MediaFetcher, asked: Asked) -> Asked:
        """The request with what it names by URL fetched and put in place; untouched where the client has left."""
        responder = self._responder
        messages = await self._compute(asked.size_bytes, decode_messages, asked.request.messages)
        remotes = find_remotes(messages)
        if not remotes or responder.closed:
            return asked
        fetching = asyncio.ensure_future(media.fetch(remotes))
        responder.on_close = partial(_cancel, fetching)
        try:
            await asyncio.wait([fetching])
        finally:
            responder.on_close = None
            fetching.cancel()
        if fetching.cancelled():
            return asked
        files = fetching.result()
        size_bytes = asked.size_bytes + sum(len(file.data) for file in files.values())
        return await self._compute(size_bytes, inline_media, asked, messages, files)

    async def _compute(self, size_bytes: int, work: Callable[..., T], *args: Any) -> T:
        """Pure work on a body of `size_bytes`: here and now, or in a thread where it could hold up the others."""
        return work(*args) if size_bytes < OFF_LOOP_BYTES else await asyncio.to_thread(work, *args)

    async def _attempt(self, deployment: Deployment, asked: Asked, built: Built) -> None:
        responder, outcome = self._responder, self._outcome
        if responder.closed:
            outcome.status = CLIENT_LEFT
            return
        relay = start_attempt(self._runtime, deployment, asked, built)
        outcome.attempts += 1
        outcome.dropped = built.dropped
        responder.on_close = relay.abandon
        try:
            await relay.ready
            if relay.whole is not None:
                outcome.status = 200
                self._responder.respond(200, JSON + self._render_headers(), relay.whole.body)
            elif relay.error is None and not relay.client_left:
                await self._stream(relay)
        except asyncio.CancelledError:
            relay.break_off(_build_stopping())
        finally:
            if not relay.over:
                relay.break_off(build_internal())
        outcome.first_content = relay.first_content
        outcome.usage = relay.usage
        if relay.client_left:
            outcome.status = CLIENT_LEFT
        elif relay.error is not None and self._opened:
            note_error(outcome, relay.error)
        elif relay.error is not None:
            self._refuse(relay.error)  # not raised: an error that holds its own frame waits for the garbage collector

    async def _stream(self, relay: Relay) -> None:
        """Past the barrier: the stream, to its end."""
        metrics, outcome = self._runtime.metrics, self._outcome
        outcome.status = 200
        metrics.stream_opened(outcome.model, outcome.provider)
        try:
            self._opened = True
            await relay.open(self._responder, _STREAM + self._render_headers())
        finally:
            metrics.stream_closed(outcome.model, outcome.provider)

    def _render_headers(self) -> bytes:
        dropped = self._outcome.dropped
        return self._headers + b"x-feathergate-dropped: %b\r\n" % render_dropped(dropped) if dropped else self._headers

    def _refuse(self, error: FeatherGateError) -> None:
        """The error as the answer, or a broken connection where the answer has begun."""
        if self._responder.closed and not self._opened:
            self._outcome.status = CLIENT_LEFT
            return
        note_error(self._outcome, error)
        if self._opened:
            self._responder.abort()
        else:
            respond_error(self._responder, error, self._headers)


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()


def note_error(outcome: Outcome, error: FeatherGateError) -> None:
    """The request ended in this error."""
    outcome.status = error.status
    outcome.error = error.kind if isinstance(error, UpstreamError) else error.fault
    cause = error.__cause__
    outcome.detail = f"{error.message} [{cause.detail}]" if isinstance(cause, HttpError) else error.message


def account(runtime: Runtime, outcome: Outcome) -> None:
    """The request is over: tell those who count. Once a request."""
    outcome.ended = runtime.shared.ticker.now()
    runtime.metrics.observe(outcome)
    if runtime.shared.log is not None:
        runtime.shared.log.write(outcome, runtime.shared.now())


def _build_stopping() -> UnavailableError:
    return UnavailableError("The gateway is stopping. Send the request again.", retry_after_s=1.0)


def render_dropped(names: tuple[str, ...]) -> bytes:
    """Field names for a header. The client chose them: quoted, so that they stay in it, and cut, so that they fit."""
    text = ", ".join(quote(name, safe="[]", errors="replace") for name in names)
    return text.encode() if len(text) <= _DROPPED_LIMIT_BYTES else text[:_DROPPED_LIMIT_BYTES].encode() + b"..."


def respond_error(responder: Responder, error: FeatherGateError, headers: bytes) -> None:
    """Answer with an error: its status, its body, and what a client's SDK heeds when it thinks of trying again."""
    if isinstance(error, MethodNotAllowedError):
        headers += b"allow: %b\r\n" % error.allow.encode()
    if isinstance(error, UnauthorizedError):
        headers += b"www-authenticate: Bearer\r\n"
    if error.retry_after_s is not None:
        headers += b"retry-after: %d\r\n" % -(-error.retry_after_s // 1)
    if isinstance(error, UpstreamError) and error.kind == "quota":
        headers += b"x-should-retry: false\r\n"
    responder.respond(error.status, JSON + headers, render_error(error))
