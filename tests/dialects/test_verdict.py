"""Refusals that another model may not share."""

from __future__ import annotations

import pytest

from feathergate.dialects.verdict import build_refusal, find_reason


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (400, "context_length_exceeded", "", "context_window"),
        (400, None, "This model's maximum context length is 8192 tokens.", "context_window"),
        (400, None, "Your input exceeds the context window of this model.", "context_window"),
        (413, None, "prompt is too long: 210000 tokens > 200000 maximum", "context_window"),
        (400, None, "The input token count (1200000) exceeds the maximum number of tokens allowed", "context_window"),
        (400, "content_policy_violation", "", "content_policy"),
        (400, None, "Output blocked by content filtering policy", "content_policy"),
        (400, "content_filter", "triggering Azure OpenAI's content management policy", "content_policy"),
        (400, "invalid_value", "max_tokens must be positive", ""),
        (500, None, "maximum context length", ""),
        (404, None, "no such model", ""),
    ],
)
def test_reason_is_found_in_the_code_or_in_the_words(status: int, code: str | None, message: str, reason: str) -> None:
    assert find_reason(status, code, message) == reason


def test_refusal_for_a_reason_keeps_its_status_and_is_not_retryable() -> None:
    error = build_refusal(400, "too long", code="context_length_exceeded")
    assert (error.status, error.retryable, error.reason) == (400, False, "context_window")


def test_words_of_a_megabyte_are_searched_at_their_beginning_only() -> None:
    assert find_reason(400, None, "input " * 200_000 + "is too long") == ""
