"""What each strategy prefers; what all of them owe, for any candidates at all."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.routing.contract import Candidate, Strategy
from feathergate.routing.strategies import (
    STRATEGIES,
    pick_cost,
    pick_latency,
    pick_least_busy,
    pick_simple_shuffle,
    pick_usage,
)

DRAWS = [step / 1000 for step in range(1000)]


def _group(*candidates: dict[str, Any]) -> list[Candidate]:
    return [Candidate(index, **fields) for index, fields in enumerate(candidates)]


def _count(strategy: Strategy, *candidates: dict[str, Any]) -> dict[int, int]:
    """How many of a thousand even draws go to each."""
    return Counter(strategy(_group(*candidates), draw).index for draw in DRAWS)


def _find_picked(strategy: Strategy, *candidates: dict[str, Any]) -> set[int]:
    return set(_count(strategy, *candidates))


# --- all of them ------------------------------------------------------------------------------------------------

_integers = st.none() | st.integers() | st.integers(0, 3)
_floats = st.none() | st.floats() | st.floats(0, 3)
_counts = st.integers(0, 3) | st.integers(0)
_candidates = st.lists(
    st.builds(
        Candidate,
        st.integers(0, 100),
        weight=_floats,
        rpm=_integers,
        tpm=_integers,
        order=_integers,
        in_flight=_counts,
        latency_s=_floats,
        requests=_counts,
        tokens=_counts,
        cost=_floats,
    ),
    min_size=1,
    max_size=8,
)


@given(st.sampled_from(sorted(STRATEGIES)), _candidates, st.floats(0, 1, exclude_max=True))
def test_strategy_picks_one_of_the_lowest_order_whatever_it_is_given(
    name: str, candidates: list[Candidate], draw: float
) -> None:
    picked = STRATEGIES[name](candidates, draw)
    assert any(picked is candidate for candidate in candidates)
    assert picked.order == min((each.order for each in candidates if each.order is not None), default=None)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_order_goes_before_everything_else(strategy: Strategy) -> None:
    worst = {"order": 1, "weight": 0, "in_flight": 9, "latency_s": 9.0, "tokens": 9, "tpm": 1, "cost": 9.0}
    assert _find_picked(strategy, {"order": 2}, worst, {}, {"order": None, "cost": 0.0}) == {1}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_candidates_that_are_alike_share_evenly(strategy: Strategy) -> None:
    assert _count(strategy, {}, {}, {}, {}) == dict.fromkeys(range(4), 250)


# --- simple-shuffle ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["weight", "rpm", "tpm"])
def test_shuffle_draws_in_proportion(field: str) -> None:
    assert _count(pick_simple_shuffle, {field: 1}, {field: 3}) == {0: 250, 1: 750}


def test_shuffle_takes_weight_before_rpm_before_tpm() -> None:
    assert _count(pick_simple_shuffle, {"weight": 1, "rpm": 9}, {"weight": 1, "rpm": 1}) == {0: 500, 1: 500}
    assert _count(pick_simple_shuffle, {"rpm": 1, "tpm": 9}, {"rpm": 4, "tpm": 1}) == {0: 200, 1: 800}


@pytest.mark.parametrize("lacking", [{}, {"weight": 0}, {"weight": -1.0}, {"weight": math.nan}, {"rpm": 100}])
def test_shuffle_gives_nothing_to_one_without_a_weight_among_the_weighted(lacking: dict[str, Any]) -> None:
    assert _find_picked(pick_simple_shuffle, lacking, {"weight": 0.1}) == {1}


def test_shuffle_is_even_where_all_weigh_nothing() -> None:
    assert _count(pick_simple_shuffle, {"weight": 0}, {"weight": math.nan}) == {0: 500, 1: 500}


def test_shuffle_bears_weights_without_bound() -> None:
    assert _count(pick_simple_shuffle, {"weight": math.inf}, {"weight": 1e308}) == {0: 500, 1: 500}
    assert pick_simple_shuffle(_group({"rpm": 1}, {"rpm": 10**400}), 0.001).index == 1


# --- least-busy -------------------------------------------------------------------------------------------------


def test_least_busy_takes_the_fewest_in_flight() -> None:
    assert _find_picked(pick_least_busy, {"in_flight": 2}, {"in_flight": 1}, {"in_flight": 1}) == {1, 2}


# --- latency ----------------------------------------------------------------------------------------------------


def test_latency_takes_the_quickest_and_those_within_a_tenth_of_it() -> None:
    picked = _find_picked(pick_latency, {"latency_s": 1.0}, {"latency_s": 0.5}, {"latency_s": 0.54})
    assert picked == {1, 2}


def test_latency_tries_the_unmeasured_first() -> None:
    assert _find_picked(pick_latency, {"latency_s": 0.1}, {}, {"latency_s": math.nan}) == {1, 2}


@pytest.mark.parametrize("asked", [{"in_flight": 1}, {"requests": 1}])
def test_latency_sends_no_herd_to_one_that_is_being_tried(asked: dict[str, Any]) -> None:
    assert _find_picked(pick_latency, {"latency_s": 9.0}, asked) == {0}


def test_latency_spreads_by_load_where_none_is_measured() -> None:
    busy, idle = {"in_flight": 3, "requests": 3}, {"in_flight": 1, "requests": 3}
    assert _find_picked(pick_latency, busy, idle) == {1}


# --- usage and cost ---------------------------------------------------------------------------------------------


def test_usage_takes_the_lowest_share_of_tpm() -> None:
    assert _find_picked(pick_usage, {"tokens": 50, "tpm": 100}, {"tokens": 400, "tpm": 1000}) == {1}


def test_usage_compares_tokens_where_no_tpm_is_set() -> None:
    assert _find_picked(pick_usage, {"tokens": 50}, {"tokens": 49}) == {1}


@pytest.mark.parametrize(("tokens", "picked"), [(49, {1}), (50, {0, 1}), (51, {0})])
def test_usage_takes_one_without_tpm_as_the_roomiest(tokens: int, picked: set[int]) -> None:
    assert _find_picked(pick_usage, {"tokens": 50, "tpm": 100}, {"tokens": tokens}, {"tokens": 9, "tpm": 10}) == picked


def test_cost_takes_the_cheapest() -> None:
    assert _find_picked(pick_cost, {"cost": 2e-6}, {"cost": 1e-6}, {"cost": 1e-6}) == {1, 2}


@pytest.mark.parametrize("unpriced", [{}, {"cost": math.nan}, {"cost": -1.0}])
def test_cost_takes_the_unpriced_last(unpriced: dict[str, Any]) -> None:
    assert _find_picked(pick_cost, unpriced, {"cost": 1e9}) == {1}
    assert _find_picked(pick_cost, unpriced, unpriced) == {0, 1}


@pytest.mark.parametrize("strategy", [pick_latency, pick_usage, pick_cost])
@pytest.mark.parametrize("spent", [{"rpm": 2, "requests": 2}, {"tpm": 10, "tokens": 10}, {"rpm": 0}, {"tpm": 0}])
def test_spent_limit_leaves_a_deployment_out_while_another_remains(strategy: Strategy, spent: dict[str, Any]) -> None:
    best = {"cost": 0.0, "latency_s": 0.0, **spent}
    assert _find_picked(strategy, best, {"cost": 1.0, "latency_s": 1.0, "tokens": 10**6, "requests": 9}) == {1}
    assert _find_picked(strategy, best, best) == {0, 1}
