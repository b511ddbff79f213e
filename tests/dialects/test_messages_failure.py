from __future__ import annotations

import json

import pytest

from feathergate.dialects.messages import MESSAGES


def body(kind: str, message: str, **members: object) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message, **members}}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "No.", (400, "status", None, False)),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", (400, "status", "context_length_exceeded", False)),
        (400, "invalid_request_error", "Your credit balance is too low", (400, "quota", "insufficient_quota", False)),
        (400, "invalid_request_error", "You have reached your specified API usage limits.",
         (400, "quota", "insufficient_quota", False)),
        (401, "authentication_error", "invalid x-api-key", (502, "auth", None, True)),
        (402, "billing_error", "Pay.", (429, "quota", "insufficient_quota", False)),
        (403, "permission_error", "No.", (502, "auth", None, True)),
        (404, "not_found_error", "model: x", (404, "status", "model_not_found", False)),
        (404, "not_found_error", "File not found", (404, "status", None, False)),
        (409, "conflict_error", "No.", (409, "status", None, False)),
        (413, "request_too_large", "No.", (413, "status", None, False)),
        (429, "rate_limit_error", "Slow.", (429, "rate_limit", "rate_limit_exceeded", True)),
        (500, "api_error", "Oops.", (502, "status", None, True)),
        (504, "timeout_error", "Late.", (502, "status", "upstream_timeout", True)),
        (529, "overloaded_error", "Overloaded", (502, "status", "overloaded", True)),
    ],
)  # fmt: skip
def test_error_is_judged_by_its_status_type_and_words(
    status: int, kind: str, message: str, expected: tuple[int, str, str | None, bool]
) -> None:
    error = MESSAGES.parse_error(status, (), body(kind, message))
    assert (error.status, error.kind, error.code, error.retryable) == expected
    assert error.message == message


def test_error_of_a_spent_budget_is_a_quota() -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    error = MESSAGES.parse_error(429, (), body("rate_limit_error", "No.", details=details))
    assert (error.kind, error.code, error.retryable) == ("quota", "insufficient_quota", False)


def test_error_says_when_to_come_back() -> None:
    error = MESSAGES.parse_error(429, [(b"Retry-After", b"8")], body("rate_limit_error", "Slow."))
    assert error.retry_after_s == 8


@pytest.mark.parametrize("answer", [b"", b"<html>Too large</html>", b"[]", b'{"error":"x"}', b'{"error":{"type":7}}'])
def test_error_that_is_not_json_of_anthropic_tells_its_status(answer: bytes) -> None:
    error = MESSAGES.parse_error(413, (), answer)
    assert (error.message, error.status) == ("The provider answered 413.", 413)


def test_error_hides_keys() -> None:
    error = MESSAGES.parse_error(401, (), body("authentication_error", "sk-ant-api03-abcdef12 is invalid"))
    assert error.message == "*** is invalid"
