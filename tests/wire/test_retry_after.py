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


def test_retry_after_without_headers_is_none() -> None:
    assert parse_retry_after([]) is None
