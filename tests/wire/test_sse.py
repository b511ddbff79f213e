"""The reader of server-sent events against the forms that the standard allows, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.errors import UpstreamError
from feathergate.wire.sse import SseReader


def read(*pieces: bytes, limit_bytes: int = 1 << 20) -> list[tuple[bytes, bytes]]:
    reader = SseReader(limit_bytes)
    return [event for piece in pieces for event in reader.feed(piece)]


FORMS = [
    (b'data: {"a":1}\n\n', [(b"", b'{"a":1}')]),
    (b"data: x\r\n\r\n", [(b"", b"x")]),
    (b"data: x\r\r", [(b"", b"x")]),
    (b"data:x\n\n", [(b"", b"x")]),
    (b"data:  x\n\n", [(b"", b" x")]),
    (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
    (b"event: e\ndata: x\n\n", [(b"e", b"x")]),
    (b"data: x\nevent: e\nid: 7\nretry: 5\nunknown\n\n", [(b"e", b"x")]),
    (b": comment\n\ndata: x\n\n", [(b"", b"x")]),
    (b"\xef\xbb\xbfdata: x\n\n", [(b"", b"x")]),
    (b"\n\n\ndata: x\n\n\n\n", [(b"", b"x")]),
    (b"event: e\n\ndata: x\n\n", [(b"", b"x")]),
    (b"data\n\ndata:\n\n", []),
    ("data: é\u2028\u0085\u2029\n\n".encode(), [(b"", "é\u2028\u0085\u2029".encode())]),
    (b'{"error":{"code":400}}\n\n', [(b"", b'{"error":{"code":400}}')]),
    (b"data: x", []),
]


@pytest.mark.parametrize(("stream", "events"), FORMS)
def test_form_is_read_as_the_standard_says_however_it_is_cut(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    for at in range(len(stream)):
        assert read(stream[:at], stream[at:]) == events


SINGLE = [
    (b'data: {"a": 1}\n\n', [(b"", b'{"a": 1}')]),
    (b'event: e\r\ndata: {"a": 1}\r\n\r\n', [(b"e", b'{"a": 1}')]),
    (b'event: e\ndata: {"a":\ndata: 1}\n\n', [(b"e", b'{"a":\n1}')]),
    (b'data: {"a":\rdata: 1}\n\n', [(b"", b'{"a":\n1}')]),
    (b"data: {}\nevent: e\n\n", [(b"e", b"{}")]),
    (b'data: {"a"', []),
    (b"data: {}\ne", []),
    (b"data: {}\n\ne", [(b"", b"{}")]),
    (b'event: e\ndata: {"a": 1}\n', []),
    (b"event: e", []),
    (b"event: e\nid: 1\ndata: {}\n\n", [(b"e", b"{}")]),
    (b"data: {}\n\ndata: {}\n\n", [(b"", b"{}"), (b"", b"{}")]),
]


@pytest.mark.parametrize(("stream", "events"), [form for form in FORMS if not form[0].startswith(b"\xef")] + SINGLE)
def test_form_in_a_read_of_its_own_is_read_the_same(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert read(b"data: first\n\n", stream) == [(b"", b"first"), *events]


lines = st.lists(st.sampled_from([b"data: x", b"data: {}", b": c", b"event: e", b"id", b"", b"\xef\xbb\xbf"]))


@given(lines, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 80)))
def test_any_cuts_give_the_same_events(parts: list[bytes], end: bytes, cuts: list[int]) -> None:
    stream = end.join(parts) + end + end
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert read(*pieces) == read(stream)
    assert read(b"data: first\n\n", *pieces) == read(b"data: first\n\n", stream)


def test_unterminated_event_is_given_at_the_close() -> None:
    reader = SseReader(100)
    assert reader.feed(b"data: x\n\nevent: e\ndata: y") == [(b"", b"x")]
    assert reader.close() == (b"e", b"y")
    assert reader.close() is None


def test_event_over_the_limit_is_an_error_before_it_is_whole() -> None:
    with pytest.raises(UpstreamError, match="more than 1000 bytes"):
        read(*[b"data: " + b"x" * 100] * 20, limit_bytes=1000)


def test_long_event_in_small_pieces_costs_linear_time() -> None:
    piece, reader = b"x" * 1000, SseReader(1 << 30)
    reader.feed(b"data: ")
    for _ in range(20_000):
        reader.feed(piece)
    ((_, data),) = reader.feed(b"\n\n")
    assert len(data) == 20_000_000
