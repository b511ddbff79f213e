"""The listener of many streams counts what came late, and what did not come at all."""

from __future__ import annotations

import asyncio
import time
from array import array

from bench.answer import ANSWERS
from bench.crowd import count_streams
from bench.listener import Stream, pick_quantile, summarise


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(each) for each in range(1, 201)]
    assert [pick_quantile(values, part) for part in (0.5, 0.99, 1.0)] == [100.0, 198.0, 200.0]


def test_lateness_is_over_the_events_of_all_streams() -> None:
    heard = summarise([array("d", [0.001, 0.003]), array("d", [0.002])], failed=0)
    assert (heard.streams, heard.events, heard.median_ms, heard.worst_ms) == (2, 3, 2.0, 3.0)


def test_silence_is_not_on_time() -> None:
    assert summarise([array("d")], failed=1).p99_ms == float("inf")


async def test_a_stream_hears_how_late_its_events_are() -> None:
    stream = Stream(b"", asyncio.get_running_loop().create_future())
    stream.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + ANSWERS["openai"].render_event(time.monotonic() - 5))
    assert stream.is_open()
    assert 5 <= stream.late_s[0] < 6


async def test_a_stream_that_is_refused_or_lost_is_not_open() -> None:
    refused, lost = (Stream(b"", asyncio.get_running_loop().create_future()) for _ in range(2))
    refused.data_received(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
    lost.connection_lost(None)
    assert not refused.is_open()
    assert not lost.is_open()


def test_no_more_streams_are_opened_than_there_are_descriptors_for() -> None:
    assert (count_streams(9000, 20_000), count_streams(9000, 4096)) == (9000, 1948)
