"""What the checks of a head say: the refusals themselves are in `test_smuggling.py`."""

from __future__ import annotations

import pytest

from feathergate.http.contract import Header
from feathergate.http.limits import ServerLimits
from feathergate.http.request import RefusedError, check_head, refuse_syntax

HOST = (b"host", b"test")
DEFAULTS = ServerLimits()


def check(headers: list[Header], limits: ServerLimits = DEFAULTS) -> dict[bytes, bytes]:
    return check_head(b"POST", b"/x", "1.1", headers, limits)


def refuse(headers: list[Header], limits: ServerLimits = DEFAULTS) -> str:
    with pytest.raises(RefusedError) as refused:
        check(headers, limits)
    return refused.value.message


def test_checked_head_is_returned_by_name() -> None:
    assert check([HOST, (b"x", b"1"), (b"x", b"2")]) == {b"host": b"test", b"x": b"2"}


def test_refusal_names_the_header_but_never_its_value() -> None:
    message = refuse([HOST, (b"authorization", b"Bearer secret"), (b"authorization", b"Bearer secret")])
    assert "authorization" in message
    assert "secret" not in message


def test_long_name_is_shown_in_part() -> None:
    assert len(refuse([HOST, (b"a_" * 10_000, b"")])) < 200


@pytest.mark.parametrize(("size", "accepted"), [(100, True), (101, False)])
def test_header_limit_counts_target_names_values_and_separators(size: int, accepted: bool) -> None:
    limits = ServerLimits(header_bytes=100)
    rest = size - len(b"/x") - len(b"host: test\r\n") - len(b"x: \r\n")
    headers = [HOST, (b"x", b"a" * rest)]
    if accepted:
        assert b"x" in check(headers, limits)
    else:
        assert "100 bytes" in refuse(headers, limits)


@pytest.mark.parametrize(("count", "accepted"), [(100, True), (101, False)])
def test_header_limit_counts_headers(count: int, accepted: bool) -> None:
    headers = [HOST, *((b"x", b"") for _ in range(count - 1))]
    if accepted:
        assert b"x" in check(headers)
    else:
        assert "100 headers" in refuse(headers)


@pytest.mark.parametrize(
    ("data", "word"), [(b"\x16\x03\x01", "TLS"), (b"PRI * HTTP/2.0\r\n", "HTTP/2"), (b"GET", "reason given")]
)
def test_syntax_refusal_says_what_was_taken_for_http(data: bytes, word: str) -> None:
    refused = refuse_syntax("reason given", data)
    assert (refused.status, word in refused.message) == (400, True)
