"""Anthropic's errors, as an answer with an error status, a body under 200 or an event in a stream.

What the status means is `verdict.py`'s; here stands what Anthropic's types and words say beyond it: the status
of an error that came without one, the code, and whether a limit is a quota that waiting does not lift. Source:
reference/wire/anthropic.md section 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from feathergate.dialects.verdict import build_refusal
from feathergate.errors import UpstreamError
from feathergate.wire.messages import ProviderError, decode_failure
from feathergate.wire.retry_after import parse_retry_after

_STATUS_BY_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_CODE_BY_TYPE: Mapping[str, str] = {
    "rate_limit_error": "rate_limit_exceeded",
    "overloaded_error": "overloaded",
    "timeout_error": "upstream_timeout",
}
_CODE_BY_WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"prompt is too long|exceeds? (the )?context (limit|window)"), "context_length_exceeded"),
    (re.compile(r"^model: "), "model_not_found"),
)
_QUOTA_WORDS = re.compile(r"specified API usage limits|credit balance is too low")
_QUOTA_CODES = ("enforced_spend_limit_reached", "contract_spend_limit_reached")


def parse_error(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
    """An answer with an error status; a body that is not Anthropic's JSON leaves the status to speak."""
    try:
        error = decode_failure(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    return parse_failure(error or ProviderError(), status, parse_retry_after(headers))


def parse_failure(error: ProviderError, status: int | None = None, retry_after_s: float | None = None) -> UpstreamError:
    """An error of `status`, or (None) of one that came under 200, which takes its type's status."""
    if status is None:
        status = _STATUS_BY_TYPE.get(error.type, 500)
    message = error.message or ""
    return build_refusal(
        status,
        message,
        code=_find_code(error.type, message),
        retry_after_s=retry_after_s,
        quota=_is_quota(error, message),
    )


def _find_code(kind: str, message: str) -> str | None:
    found = (code for words, code in _CODE_BY_WORDS if words.search(message))
    return next(found, _CODE_BY_TYPE.get(kind))


def _is_quota(error: ProviderError, message: str) -> bool:
    details = error.details
    code = details.get("error_code") if isinstance(details, dict) else None
    return error.type == "billing_error" or code in _QUOTA_CODES or bool(_QUOTA_WORDS.search(message))
