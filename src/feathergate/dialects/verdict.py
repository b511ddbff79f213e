"""What a provider's error status means for the client and the router: one table for every dialect.

The client sees the provider's own judgement of the request, a 429 for what is a matter of limits, and 502 for
everything that is between us and the provider, our key included. What looks like a key in the provider's words is
masked here, for all dialects. Source: DESIGN.md, "Errors".
"""

from __future__ import annotations

from typing import NamedTuple

from feathergate.errors import UpstreamError, UpstreamKind
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
    )
