"""A deployment's load and speed as one worker sees them; a group's 95th percentile."""

from __future__ import annotations

import math

import pytest

from feathergate.routing.gauge import DECAY_S, MEMORY_S, SAMPLE_LIMIT_COUNT, Gauge, Percentiles


def test_gauge_counts_what_is_in_flight() -> None:
    gauge = Gauge()
    gauge.start(1.0)
    gauge.start(2.0)
    gauge.end(3.0, 10)
    assert gauge.in_flight == 1


def test_gauge_counts_requests_and_tokens_of_the_minute_only() -> None:
    gauge = Gauge()
    gauge.start(61.0)
    gauge.start(119.0)
    gauge.end(119.9, 30)
    assert gauge.count(119.9) == (2, 30)
    assert gauge.count(120.0) == (0, 0)
    gauge.end(121.0, 12)
    assert gauge.count(121.0) == (0, 12)


@pytest.mark.parametrize(("tokens", "counted"), [(-5, 0), (10**400, 10**9)])
def test_gauge_bounds_tokens_that_make_no_sense(tokens: int, counted: int) -> None:
    gauge = Gauge()
    gauge.start(1.0)
    gauge.end(1.0, tokens)
    assert gauge.count(1.0) == (1, counted)


def test_first_latency_is_taken_as_it_is() -> None:
    gauge = Gauge()
    assert gauge.latency_s is None
    gauge.first_content(5.0, 0.8)
    assert gauge.latency_s == 0.8


def test_old_latency_decays_with_time() -> None:
    gauge = Gauge()
    gauge.first_content(0.0, 1.0)
    gauge.first_content(DECAY_S, 0.0)
    assert gauge.latency_s == pytest.approx(1 / math.e)


def test_burst_of_latencies_counts_at_least_a_twentieth_each() -> None:
    gauge = Gauge()
    for after_s in (1.0, 0.0, 0.0):
        gauge.first_content(0.0, after_s)
    assert gauge.latency_s == pytest.approx(0.95**2)


@pytest.mark.parametrize("after_s", [math.nan, math.inf, -1.0])
def test_latency_that_makes_no_sense_changes_nothing(after_s: float) -> None:
    gauge = Gauge()
    gauge.first_content(0.0, 0.5)
    gauge.first_content(1.0, after_s)
    assert gauge.latency_s == 0.5


def test_latency_that_nothing_renews_is_forgotten() -> None:
    gauge = Gauge()
    gauge.first_content(10.0, 0.5)
    gauge.count(MEMORY_S)
    assert gauge.latency_s == 0.5
    gauge.count(MEMORY_S + 70.0)
    assert gauge.latency_s is None


def test_p95_is_the_nearest_rank() -> None:
    waits = Percentiles()
    for after_s in range(100, 0, -1):
        waits.note(1.0, float(after_s))
    assert waits.find_p95(1.0) == 95.0


def test_p95_is_unknown_with_few_samples() -> None:
    waits = Percentiles()
    for _ in range(19):
        waits.note(1.0, 1.0)
    assert waits.find_p95(1.0) is None
    waits.note(1.0, 1.0)
    assert waits.find_p95(2.0) == 1.0


def test_p95_follows_its_window() -> None:
    waits = Percentiles()
    for _ in range(100):
        waits.note(1.0, 9.0)
    for _ in range(20):
        waits.note(MEMORY_S, 1.0)
    assert waits.find_p95(MEMORY_S) == 9.0
    assert waits.find_p95(MEMORY_S + 2.0) == 1.0
    assert waits.find_p95(3 * MEMORY_S) is None


def test_p95_keeps_a_bounded_number_of_samples() -> None:
    waits = Percentiles()
    for after_s in (9.0, 1.0):
        for _ in range(SAMPLE_LIMIT_COUNT):
            waits.note(1.0, after_s)
    assert waits.find_p95(1.0) == 1.0


def test_p95_ignores_what_makes_no_sense() -> None:
    waits = Percentiles()
    for after_s in (math.nan, -1.0, *[1.0] * 19):
        waits.note(1.0, after_s)
    assert waits.find_p95(1.0) is None
