"""Gemini's errors: `google.rpc.Status`, plain or wrapped in an array, with an error status or within a stream.

The status the client sees is every dialect's (`verdict`); here stand what only Google says: a wrong key as a 400,
the delay and the quota in the details, the kind of fault in the message. Source: reference/wire/gemini.md
section 7, and DESIGN.md, "Errors".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from feathergate.dialects.verdict import build_refusal
from feathergate.errors import UpstreamError
from feathergate.wire.gemini import Detail, Status, decode_details, decode_responses
from feathergate.wire.masking import mask_secrets
from feathergate.wire.retry_after import parse_retry_after

_KEY_REASONS = ("API_KEY_INVALID", "API_KEY_EXPIRED")
_TOO_LONG = re.compile(r"exceeds the maximum number of tokens|input token count", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,7}(?:\.\d{1,9})?)s")
_CODES: dict[str | int, str] = {
    "NOT_FOUND": "model_not_found",
    "RESOURCE_EXHAUSTED": "rate_limit_exceeded",
    429: "rate_limit_exceeded",
}

# The statuses of google.rpc.Code, for an error within a stream that lacks its number.
_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def parse_error(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
    """An answer with an error status, JSON or not, as the error that the client is to see."""
    return _build(status, _decode_error(body), parse_retry_after(headers))


def build_error(error: Status | str) -> UpstreamError:
    """The error that stands in the place of an answer, or of an event of a stream."""
    error = Status(message=error) if isinstance(error, str) else error
    code = error.code
    known = isinstance(code, int) and 400 <= code <= 599
    return _build(code if known and isinstance(code, int) else _STATUSES.get(error.status or "", 500), error, None)


def _decode_error(body: bytes) -> Status:
    try:
        responses = decode_responses(body)
    except (ValueError, RecursionError):
        return Status()
    error = responses[0].error if responses else None
    return Status(message=error) if isinstance(error, str) else error or Status()


def _build(status: int, error: Status, retry_after_s: float | None) -> UpstreamError:
    details = decode_details(error.details)
    message = (error.message or "").strip()
    rejected = next((detail.reason for detail in details if detail.reason in _KEY_REASONS), None)
    if rejected is not None:
        message = message or "The provider rejected the gateway's key."
        return UpstreamError(mask_secrets(message), kind="auth", upstream_status=status, code=rejected)
    return build_refusal(
        status,
        message,
        code=_pick_code(status, error),
        retry_after_s=_parse_delay(details) if retry_after_s is None else retry_after_s,
        quota=status == 402 or (status == 429 and _is_daily(details)),
    )


def _pick_code(status: int, error: Status) -> str | None:
    """OpenAI's word where it has one, else the provider's own."""
    if status == 400 and _TOO_LONG.search(error.message or ""):
        return "context_length_exceeded"
    return _CODES.get(error.status or status, error.status)


def _parse_delay(details: list[Detail]) -> float | None:
    """`RetryInfo.retryDelay`, a duration such as "34.4s", in whole seconds."""
    for detail in details:
        match = _DELAY.fullmatch(detail.retry_delay or "")
        if match:
            return float(math.ceil(float(match[1])))
    return None


def _is_daily(details: list[Detail]) -> bool:
    """A limit by the day does not lift while a client waits."""
    return any("PerDay" in violation.quota_id for detail in details for violation in detail.violations or ())
