"""What the client is told around an answer: the lines of its head, and errors.

Which deployment answered, after how many attempts, what was left out of the request, and how much of the time was
the gateway's own. Files that have `litellm_settings` get LiteLLM's names beside ours, for scripts that read them.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final
from urllib.parse import quote

from feathergate.deployment import Deployment, quote_name
from feathergate.dialects.render import render_error
from feathergate.errors import FeatherGateError, MethodNotAllowedError, UnauthorizedError, UpstreamError
from feathergate.http.contract import Responder
from feathergate.observe.outcome import Outcome

JSON: Final = b"content-type: application/json\r\n"
STREAM: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_DROPPED_LIMIT_BYTES: Final = 1024
_RETRY_AFTER_LIMIT_S: Final = 86_400


class Head:
    """The head of an answer while it is found out who gives it. `block` is what every answer to the request carries.

    What the gateway waits for between `wait` and `go_on`, an attempt or a pause, is not its own part of the time."""

    __slots__ = ("_began", "_block", "_outcome", "_speaks_litellm", "_told", "_waited_s", "_waits_since")

    def __init__(self, block: bytes, outcome: Outcome, *, speaks_litellm: bool) -> None:
        self._began = perf_counter()
        self._block = block
        self._outcome = outcome
        self._speaks_litellm = speaks_litellm
        self._told: bytes | None = None
        self._waited_s = 0.0
        self._waits_since = 0.0

    def name(self, deployment: Deployment) -> None:
        """Who is asked now, for the account too."""
        outcome = self._outcome
        outcome.model, outcome.provider = deployment.model_name, deployment.provider.name
        outcome.served_model, outcome.deployment = deployment.model, deployment.id
        self._told = deployment.told

    def wait(self) -> None:
        self._waits_since = perf_counter()

    def go_on(self) -> None:
        self._waited_s += perf_counter() - self._waits_since
        self._waits_since = 0.0

    def render(self) -> bytes:
        """The lines as they are true now."""
        now = perf_counter()
        waiting_s = now - self._waits_since if self._waits_since else 0.0
        self._outcome.overhead_s = now - self._began - self._waited_s - waiting_s
        lines = self._block
        if self._told is not None:
            lines += render_told(self._told, self._outcome)
        if self._speaks_litellm:
            lines += render_litellm(self._outcome)
        return lines

    def render_stream(self) -> bytes:
        return STREAM + self.render()


def render_told(told: bytes, outcome: Outcome) -> bytes:
    """The lines about who answered and how; `told` is the deployment's own part of them."""
    head = b"%bx-feathergate-attempts: %d\r\nx-feathergate-overhead-ms: %.2f\r\n" % (
        told,
        outcome.attempts,
        outcome.overhead_s * 1000,
    )
    if outcome.fallback:
        head += b"x-feathergate-fallback: %b\r\n" % quote_name(outcome.asked)
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
        quote_name(outcome.deployment),
        quote_name(outcome.asked),
        max(0, outcome.attempts - 1),
        1 if outcome.fallback else 0,
        outcome.overhead_s * 1000,
    )


def render_dropped(names: tuple[str, ...]) -> bytes:
    """Field names for a header. The client chose them: quoted, so that they stay in it, and cut, so that they fit."""
    text = ", ".join(quote(name, safe="[]", errors="replace") for name in names)
    return text.encode() if len(text) <= _DROPPED_LIMIT_BYTES else text[:_DROPPED_LIMIT_BYTES].encode() + b"..."


def respond_error(responder: Responder, error: FeatherGateError, headers: bytes, *, spent: bool = False) -> None:
    """Answer with an error: its status, its body, and what a client's SDK heeds when it thinks of trying again.

    `spent`: the gateway has tried again itself, as often as it may."""
    if isinstance(error, MethodNotAllowedError):
        headers += b"allow: %b\r\n" % error.allow.encode()
    if isinstance(error, UnauthorizedError):
        headers += b"www-authenticate: Bearer\r\n"
    if error.retry_after_s is not None:  # an SDK sleeps for weeks where it is told to
        headers += b"retry-after: %d\r\n" % min(max(0, -(-error.retry_after_s // 1)), _RETRY_AFTER_LIMIT_S)
    if spent or (isinstance(error, UpstreamError) and error.kind == "quota"):
        headers += b"x-should-retry: false\r\n"
    responder.respond(error.status, JSON + headers, render_error(error))
