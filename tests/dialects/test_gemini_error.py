"""Gemini's errors as the client is to see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.dialects.gemini import GEMINI
from feathergate.errors import UpstreamError


def failure(
    status: int, *details: dict[str, Any], message: str = "m", word: str = "W", header: bytes = b""
) -> UpstreamError:
    body = {"error": {"code": status, "message": message, "status": word, "details": list(details)}}
    headers = [(b"Retry-After", header)] if header else []
    return GEMINI.parse_error(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("sent", "seen", "kind", "retryable"),
    [
        (400, 400, "status", False),
        (401, 502, "auth", True),
        (402, 429, "quota", False),
        (403, 502, "auth", True),
        (404, 404, "status", False),
        (409, 409, "status", False),
        (413, 413, "status", False),
        (422, 422, "status", False),
        (429, 429, "rate_limit", True),
        (500, 502, "status", True),
        (503, 502, "status", True),
        (504, 502, "status", True),
    ],
)
def test_status_is_the_designs(sent: int, seen: int, kind: str, retryable: bool) -> None:
    error = failure(sent)
    assert (error.status, error.kind, error.retryable, error.upstream_status) == (seen, kind, retryable, sent)


def test_wrong_key_is_ours_and_not_the_clients() -> None:
    error = failure(400, {"@type": "ErrorInfo", "reason": "API_KEY_INVALID"}, message="API key not valid.")
    assert (error.status, error.kind, error.retryable, error.message) == (502, "auth", True, "API key not valid.")


@pytest.mark.parametrize(
    ("status", "word", "message", "code"),
    [
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens",
            "context_length_exceeded",
        ),
        (400, "INVALID_ARGUMENT", "no", "INVALID_ARGUMENT"),
        (404, "NOT_FOUND", "models/x is not found", "model_not_found"),
        (429, "RESOURCE_EXHAUSTED", "slow down", "rate_limit_exceeded"),
    ],
)
def test_code_is_openais_where_it_has_one(status: int, word: str, message: str, code: str) -> None:
    assert failure(status, word=word, message=message).code == code


def test_quota_by_the_day_is_not_tried_again() -> None:
    error = failure(
        429, {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}, {"retryDelay": "3s"}
    )
    assert (error.status, error.code, error.kind, error.retryable) == (429, "insufficient_quota", "quota", False)


def test_quota_by_the_minute_is_tried_again() -> None:
    details = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}
    error = failure(429, details, word="RESOURCE_EXHAUSTED")
    assert (error.code, error.retryable) == ("rate_limit_exceeded", True)


@pytest.mark.parametrize(
    ("header", "delay", "wait_s"),
    [
        (b"", "34.4s", 35.0),
        (b"7", "34.4s", 7.0),
        (b"", "3s", 3.0),
        (b"", "soon", None),
        (b"", "-1s", None),
        (b"", "1e9s", None),
    ],
)
def test_wait_is_read_from_the_header_or_the_details(header: bytes, delay: str, wait_s: float | None) -> None:
    assert failure(429, {"retryDelay": delay}, header=header).retry_after_s == wait_s


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"upstream connect error", b"[]", b"7", b'{"error": null}', b"[" * 9000]
)
def test_body_that_is_no_error_gives_a_message_of_ours(body: bytes) -> None:
    error = GEMINI.parse_error(503, [], body)
    assert (error.message, error.status, error.kind) == ("The provider answered 503.", 502, "status")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"error": {"message": "m"}}]',
        b'{"error": {"message": "m", "code": null, "details": null}}',
        b'{"error": {"message": "m", "code": "x", "details": ["free text"]}}',
        b'{"error": "m"}',
    ],
)
def test_error_may_be_wrapped_or_lack_its_members(body: bytes) -> None:
    error = GEMINI.parse_error(400, [], body)
    assert (error.message, error.status) == ("m", 400)


def test_key_in_the_message_is_masked() -> None:
    key = "AIza" + "Sy" * 16
    assert key not in failure(400, message=f"API key {key} expired").message
