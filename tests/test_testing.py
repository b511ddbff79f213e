"""The conformance check for strategies: it passes ours, and names what is wrong with others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import msgspec
import pytest

from feathergate import testing
from feathergate.routing.contract import Candidate, Strategy
from feathergate.routing.strategies import STRATEGIES, pick_least_busy
from feathergate.testing import check_strategy

_calls = count()


def _pick_stranger(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return msgspec.structs.replace(pick_least_busy(candidates, draw))


def _pick_any_order(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return candidates[int(draw * len(candidates))]


def _pick_in_turn(candidates: Sequence[Candidate], draw: float) -> Candidate:
    first = min((each.order for each in candidates if each.order is not None), default=None)
    kept = [each for each in candidates if each.order == first]
    return kept[next(_calls) % len(kept)]


def _pick_by_sorting(candidates: Sequence[Candidate], draw: float) -> Candidate:
    picked = pick_least_busy(candidates, draw)
    if isinstance(candidates, list):
        candidates.reverse()
    return picked


def _pick_the_first(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return pick_least_busy(candidates, 0.0)


def _pick_slowly(candidates: Sequence[Candidate], draw: float) -> Candidate:
    ranks = [sum(other.in_flight < each.in_flight for other in candidates) for each in candidates]
    return pick_least_busy(candidates, draw if ranks else 0.0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_shipped_strategy_conforms(name: str) -> None:
    check_strategy(STRATEGIES[name])


@pytest.mark.parametrize(
    ("strategy", "complaint"),
    [
        (_pick_stranger, "is none of"),
        (_pick_any_order, "is the lowest"),
        (_pick_in_turn, "gave two answers"),
        (_pick_by_sorting, "were changed"),
        (_pick_the_first, "only .* are reached"),
        (_pick_slowly, "ms of CPU"),
    ],
)
def test_broken_strategy_is_told_what_it_breaks(strategy: Strategy, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_strategy(strategy)


def test_every_field_of_a_candidate_is_tried_with_odd_figures() -> None:
    assert set(testing._EXTREMES) == set(Candidate.__struct_fields__) - {"index"}
