"""What the client is told around an answer: the lines of its head, and errors.

Which deployment answered, after how many attempts, what was left out of the request, and how much of the time was
the gateway's own. Files that have `litellm_settings` get LiteLLM's names beside ours, for scripts that read them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from feathergate.dialects.render import render_error
from feathergate.errors import FeatherGateError, MethodNotAllowedError, UnauthorizedError, UpstreamError
from feathergate.http.contract import Responder
from feathergate.observe.outcome import Outcome

JSON: Final = b"content-type: application/json\r\n"
STREAM: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_DROPPED_LIMIT_BYTES: Final = 1024


def render_told(told: bytes, outcome: Outcome) -> bytes:
    """The lines about who answered and how; `told` is the deployment's own part of them."""
    head = b"%bx-feathergate-attempts: %d\r\nx-feathergate-overhead-ms: %.2f\r\n" % (
        told,
        outcome.attempts,
        outcome.overhead_s * 1000,
    )
    if outcome.fallback:
        head += b"x-feathergate-fallback: %b\r\n" % _quote(outcome.asked)
    if outcome.dropped:
        head += b"x-feathergate-dropped: %b\r\n" % render_dropped(outcome.dropped)
    return head


def render_litellm(outcome: Outcome) -> bytes:
    """The same under LiteLLM's names."""
    return (
        b"x-litellm-call-id: %b\r\nx-litellm-model-id: %b\r\nx-litellm-model-group: %b\r\n"
        b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
        b"x-litellm-overhead-duration-ms: %.2f\r\n"
    ) % (
        outcome.request_id.encode(),
        _quote(outcome.deployment),
        _quote(outcome.asked),
        max(0, outcome.attempts - 1),
        1 if outcome.fallback else 0,
        outcome.overhead_s * 1000,
    )


def render_dropped(names: tuple[str, ...]) -> bytes:
    """Field names for a header. The client chose them: quoted, so that they stay in it, and cut, so that they fit."""
    text = ", ".join(quote(name, safe="[]", errors="replace") for name in names)
    return text.encode() if len(text) <= _DROPPED_LIMIT_BYTES else text[:_DROPPED_LIMIT_BYTES].encode() + b"..."


def _quote(text: str) -> bytes:
    return quote(text, safe="/*:@+=,;()[] ", errors="replace").encode()


def respond_error(responder: Responder, error: FeatherGateError, headers: bytes, *, spent: bool = False) -> None:
    """Answer with an error: its status, its body, and what a client's SDK heeds when it thinks of trying again.

    `spent`: the gateway has tried again itself, as often as it may."""
    if isinstance(error, MethodNotAllowedError):
        headers += b"allow: %b\r\n" % error.allow.encode()
    if isinstance(error, UnauthorizedError):
        headers += b"www-authenticate: Bearer\r\n"
    if error.retry_after_s is not None:
        headers += b"retry-after: %d\r\n" % -(-error.retry_after_s // 1)
    if spent or (isinstance(error, UpstreamError) and error.kind == "quota"):
        headers += b"x-should-retry: false\r\n"
    responder.respond(error.status, JSON + headers, render_error(error))
