"""What a provider's error status means for the client and the router: one table for every dialect.

The client sees the provider's own judgement of the request, a 429 for what is a matter of limits, and 502 for
everything that is between us and the provider, our key included. What looks like a key in the provider's words is
masked here, for all dialects. Source: DESIGN.md, "Errors".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from feathergate.errors import UpstreamError, UpstreamKind, UpstreamReason
from feathergate.wire.masking import mask_secrets


class Verdict(NamedTuple):
    """`status` is what the client sees; `retryable` whether another attempt may help."""

    status: int
    kind: UpstreamKind
    retryable: bool


_REQUEST = (400, 404, 409, 413, 422)

_VERDICTS: dict[int, Verdict] = {
    **{status: Verdict(status, "status", retryable=False) for status in _REQUEST},
    401: Verdict(502, "auth", retryable=True),
    402: Verdict(429, "quota", retryable=False),
    403: Verdict(502, "auth", retryable=True),
    408: Verdict(502, "status", retryable=True),
    425: Verdict(502, "status", retryable=True),
    429: Verdict(429, "rate_limit", retryable=True),
    499: Verdict(502, "status", retryable=True),  # Google's CANCELLED: the call broke off between us and them
}
_OTHER_4XX = Verdict(400, "status", retryable=False)
_FAILED = Verdict(502, "status", retryable=True)


_REASONS: dict[str, UpstreamReason] = {
    "context_length_exceeded": "context_window",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
}
# Hosts that speak OpenAI's protocol often have no code of their own for these.
_REASONS_BY_WORDS: tuple[tuple[re.Pattern[str], UpstreamReason], ...] = (
    (
        re.compile(
            r"(maximum|max) (context|model) length|context (length|window|limit)|(prompt|input) is too (long|large)"
            r"|(input|prompt).{0,60}exceeds? the (maximum|limit)",
            re.IGNORECASE,
        ),
        "context_window",
    ),
    (
        re.compile(r"content (management|filtering|safety|usage)? ?policy|safety system|content filter", re.IGNORECASE),
        "content_policy",
    ),
)
_WORDS_LIMIT = 2000


def find_reason(status: int, code: str | None, message: str) -> UpstreamReason:
    """Why the request was refused, where another model may take it; by the code, else by the words of a 400 or 413."""
    known = _REASONS.get(code or "")
    if known is not None:
        return known
    if status not in (400, 413):
        return ""
    words = message[:_WORDS_LIMIT]
    return next((reason for pattern, reason in _REASONS_BY_WORDS if pattern.search(words)), "")


def judge_status(status: int) -> Verdict:
    """The verdict on an upstream's status of 300 and more; a redirect is never followed and counts as a failure."""
    return _VERDICTS.get(status) or (_OTHER_4XX if 400 <= status < 500 else _FAILED)


def _masked(text: str | None) -> str | None:
    return None if text is None else mask_secrets(text)


def build_refusal(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    retry_after_s: float | None = None,
    quota: bool = False,
) -> UpstreamError:
    """The client's error for a provider's answer of `status`; `quota` = a limit that waiting does not lift."""
    verdict = judge_status(status)
    return UpstreamError(
        mask_secrets(message) or f"The provider answered {status}.",
        kind="quota" if quota else verdict.kind,
        status=verdict.status,
        retryable=verdict.retryable and not quota,
        upstream_status=status,
        param=_masked(param),
        code="insufficient_quota" if quota else _masked(code),
        retry_after_s=retry_after_s,
        reason="" if quota else find_reason(status, code, message),
    )
