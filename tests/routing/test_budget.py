"""Attempts after the first, bounded by a floor and a share of the last ten seconds' requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.routing.budget import RetryBudget


def _take_all(budget: RetryBudget, now: float) -> int:
    taken = 0
    while budget.take(now):
        taken += 1
    return taken


@pytest.mark.parametrize(("requests", "allowed"), [(0, 100), (500, 100), (504, 100), (505, 101), (1000, 200)])
def test_budget_is_the_larger_of_floor_and_share(requests: int, allowed: int) -> None:
    budget = RetryBudget()
    for _ in range(requests):
        budget.note_request(1000.0)
    assert _take_all(budget, 1000.5) == allowed


def test_budget_of_nothing_gives_nothing() -> None:
    budget = RetryBudget(floor=0, share=0.0)
    budget.note_request(1.0)
    assert not budget.take(1.0)


def test_spent_budget_comes_back_after_its_window() -> None:
    budget = RetryBudget(floor=3)
    assert _take_all(budget, 50.5) == 3
    assert _take_all(budget, 60.5) == 0
    assert _take_all(budget, 61.0) == 3


def test_requests_count_for_one_window_only() -> None:
    budget = RetryBudget(floor=0)
    for _ in range(100):
        budget.note_request(50.0)
    assert budget.take(59.9)
    assert not budget.take(10_000.0)


def test_clock_that_stands_or_steps_back_changes_nothing() -> None:
    budget = RetryBudget(floor=2)
    assert budget.take(100.0)
    assert budget.take(1.0)
    assert not budget.take(1.0)
    assert not budget.take(100.0)


def test_total_outage_costs_a_fifth_more() -> None:
    budget, attempts = RetryBudget(), 0
    for step in range(20_000):
        now = step / 500
        budget.note_request(now)
        attempts += 1 + budget.take(now) + budget.take(now)
    assert attempts <= 1.2 * 20_000


@given(
    st.integers(0, 5),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 4), st.integers(0, 9), st.integers(0, 9)), max_size=40),
)
def test_attempt_is_granted_only_within_the_bound_of_ten_seconds(
    floor: int, share: float, steps: list[tuple[float, int, int]]
) -> None:
    budget, now = RetryBudget(floor, share), 100.0
    requested: list[float] = []
    taken: list[float] = []
    for pause_s, requests, wishes in steps:
        now += pause_s
        for _ in range(requests):
            budget.note_request(now)
            requested.append(now)
        if granted := [now for _ in range(wishes) if budget.take(now)]:
            taken += granted
            in_ten = sum(at > now - 10 for at in taken)
            assert in_ten <= max(floor, share * sum(at > now - 11 for at in requested))
