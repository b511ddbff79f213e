"""Errors of the chat protocol, as an answer with an error status, a body under 200 or an event in a stream.

What the status means is `verdict.py`'s. Hosts differ in where they put the message: under `error`, as `error`, or
at the top. Specification: reference/wire/openai-chat.md section 8.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from feathergate.dialects.verdict import build_refusal
from feathergate.errors import UpstreamError
from feathergate.wire import codec
from feathergate.wire.chat import ErrorBody

_STATUS_BY_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "tokens": 429,
    "requests": 429,
    "authentication_error": 401,
    "permission_error": 403,
}


class _Failure(msgspec.Struct):
    """An error body: `{"error": {...}}` or `{"error": "text"}`; some hosts put the message at the top."""

    error: Raw = Raw()
    message: str | None = None


_decode_error = msgspec.json.Decoder(ErrorBody | str).decode
_decode_failure = msgspec.json.Decoder(_Failure | list[_Failure]).decode


def parse_failure(status: int | None, retry_after_s: float | None, body: bytes) -> UpstreamError:
    """An error body, of an answer with `status` or (None) inside an answer of 200, which takes its type's status."""
    error = _read_error(body)
    code = str(error.code) if error.code is not None else None
    if status is None:
        status = _status_of(error)
    quota = status == 429 and "insufficient_quota" in (code, error.type)
    return build_refusal(
        status,
        error.message or "",
        param=error.param,
        code=code,
        retry_after_s=retry_after_s,
        quota=quota,
    )


def _status_of(error: ErrorBody) -> int:
    if isinstance(error.code, int) and 400 <= error.code < 600:
        return error.code
    return _STATUS_BY_TYPE.get(error.type or "") or _STATUS_BY_TYPE.get(str(error.code), 500)


def _read_error(body: bytes) -> ErrorBody:
    try:
        failure = _decode_failure(body)
        if isinstance(failure, list):
            failure = failure[0] if failure else _Failure()
        if not codec.is_null(failure.error):
            error = _decode_error(failure.error)
            return ErrorBody(message=error) if isinstance(error, str) else error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorBody()
    return ErrorBody(message=failure.message)
