"""A cost is the median of its rounds, and its ratio to nginx's is of medians."""

from __future__ import annotations

import pytest
from bench.wire import PROMPT_1MB
from tests.bench.cost import make_cost


def test_a_cost_is_the_median_of_its_rounds() -> None:
    assert make_cost(FeatherGate=[30.0, 20.0, 90.0]).cost_us("FeatherGate") == pytest.approx(30)


def test_a_ratio_is_to_the_median_of_nginx() -> None:
    cost = make_cost(FeatherGate=[30.0, 20.0, 90.0], nginx=[10.0, 12.0, 60.0])
    assert cost.ratio("FeatherGate") == pytest.approx(2.5)


def test_without_nginx_there_is_no_ratio() -> None:
    assert make_cost(FeatherGate=[30.0]).ratio("FeatherGate") is None


def test_busy_is_cpu_by_the_time_that_passed() -> None:
    assert make_cost(FeatherGate=[10_000.0]).busy("FeatherGate") == (0.5, 0.25, 0.125)


def test_a_long_prompt_has_about_a_million_bytes() -> None:
    assert 990_000 <= len(PROMPT_1MB.prompt.encode()) <= 1_000_000
