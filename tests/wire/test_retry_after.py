from __future__ import annotations

import pytest

from feathergate.wire.retry_after import parse_retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"8")], 8.0),
        ([(b"Retry-After", b" 1.5 ")], 1.5),
        ([(b"retry-after", b"9"), (b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after-ms", b"soon"), (b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"-4")], 0.0),
        ([(b"retry-after", b"1e12")], 86_400.0),
    ],
)
def test_retry_after_is_seconds_within_a_day(headers: list[tuple[bytes, bytes]], seconds: float) -> None:
    assert parse_retry_after(headers) == seconds


@pytest.mark.parametrize(
    "value", [b"", b"nan", b"inf", b"-inf", b"soon", b"Fri, 31 Dec 2026 23:59:59 GMT", b"\xff\x00"]
)
def test_retry_after_without_a_finite_number_is_none(value: bytes) -> None:
    assert parse_retry_after([(b"retry-after", value)]) is None


DATE = (b"date", b"Fri, 31 Dec 2026 23:59:00 GMT")


@pytest.mark.parametrize(
    "value", [b"Thu, 31 Dec 2026 23:59:59 GMT", b"Thursday, 31-Dec-26 23:59:59 GMT", b"Thu Dec 31 23:59:59 2026"]
)
def test_date_is_a_wait_by_the_answers_own_date(value: bytes) -> None:
    assert parse_retry_after([DATE, (b"retry-after", value)]) == 59.0


def test_date_that_has_passed_is_no_wait() -> None:
    assert parse_retry_after([DATE, (b"retry-after", b"Sun, 06 Nov 1994 08:49:37 GMT")]) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"x-ratelimit-reset-requests", b"6m0s")], 360.0),
        ([(b"x-ratelimit-reset-requests", b"1s"), (b"x-ratelimit-reset-tokens", b"250ms")], 1.0),
        ([(b"x-ratelimit-reset-requests", b"1h2m3.5s"), (b"x-ratelimit-remaining-requests", b"7")], None),
        ([(b"x-ratelimit-reset-tokens", b"2s"), (b"x-ratelimit-remaining-tokens", b"0")], 2.0),
        ([(b"anthropic-ratelimit-tokens-reset", b"2026-12-31T23:59:30Z"), DATE], 30.0),
        ([(b"anthropic-ratelimit-tokens-reset", b"2026-12-31T23:59:30Z")], None),
        ([(b"x-ratelimit-reset-requests", b"")], None),
        ([(b"x-ratelimit-reset-requests", b"\xff")], None),
        ([(b"retry-after", b"1"), (b"x-ratelimit-reset-requests", b"9s")], 1.0),
    ],
)
def test_limits_that_are_used_up_tell_when_they_lift(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    assert parse_retry_after(headers) == seconds


def test_retry_after_without_headers_is_none() -> None:
    assert parse_retry_after([]) is None
