"""The upstream that the bench plays knows when a request is whole, whatever way its length is told."""

from __future__ import annotations

import pytest
from bench.answer import ANSWERS, STAMPED
from bench.upstream import count_missing


@pytest.mark.parametrize(
    ("request_bytes", "missing"),
    [
        (b"POST / HTTP/1.1\r\nhost: a\r\n", -1),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 0),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 3),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", 0),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", -1),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 0),
    ],
)
def test_count_missing_knows_how_much_of_a_request_is_to_come(request_bytes: bytes, missing: int) -> None:
    assert count_missing(request_bytes) == missing


@pytest.mark.parametrize("provider", ANSWERS)
def test_an_event_carries_the_moment_it_was_written_at(provider: str) -> None:
    assert STAMPED.findall(ANSWERS[provider].render_event(12.25)) == [b"12.250000"]
