"""A timed call ends with the last byte of its answer; the upstream is the bench's own, in a process of its own."""

from __future__ import annotations

import pytest
from bench.ask import PROMPT, PROVIDERS, render_native
from bench.call import calling, encode_ask, is_whole, time_calls
from bench.process import read_cpu_s, read_written_bytes
from bench.provider import read_event_count, running_upstream
from bench.proxy import Proxy
from bench.wire import check_answer


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_an_answer_is_whole_with_its_last_byte(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_calls_to_the_upstream_are_answered_and_timed() -> None:
    with running_upstream(events=3) as upstream:
        for provider in PROVIDERS:
            request = encode_ask(render_native(provider, False))
            assert all(0 < wait_s < 30 for wait_s in time_calls(upstream.port, request, 5))
        with calling(upstream, request) as waits:
            time_calls(upstream.port, request, 20)
        assert all(wait.queued_s >= 0 for wait in waits)
        assert waits
        check_answer(Proxy("none", upstream, render_native), render_native("gemini", True, PROMPT))
        assert read_event_count(upstream) == 3
        assert read_cpu_s(upstream.pid) > 0
        assert read_written_bytes(upstream.pid) > 20 * len(PROMPT)
