"""How long to wait before the same deployment is asked again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.routing.backoff import find_wait

LAST = math.nextafter(1.0, 0.0)


@pytest.mark.parametrize(("tries", "ceiling_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 8.0), (10**9, 8.0)])
def test_wait_doubles_up_to_its_limit(tries: int, ceiling_s: float) -> None:
    assert find_wait(tries, None, 0.0, 0.0) == ceiling_s / 2
    assert find_wait(tries, None, 0.0, LAST) == pytest.approx(ceiling_s)


@pytest.mark.parametrize("hint_s", [0.1, 3.0, 60.0])
def test_hint_is_never_undercut_and_spread_over_a_tenth(hint_s: float) -> None:
    assert find_wait(5, hint_s, 0.0, 0.0) == hint_s
    assert find_wait(5, hint_s, 0.0, LAST) == pytest.approx(hint_s * 1.1)


@pytest.mark.parametrize("hint_s", [61.0, 1e9, math.inf])
def test_long_hint_is_clamped(hint_s: float) -> None:
    assert find_wait(1, hint_s, 0.0, 0.0) == 60.0


@pytest.mark.parametrize("hint_s", [0.0, -1.0, math.nan, -math.inf])
def test_hint_that_says_nothing_leaves_backoff(hint_s: float) -> None:
    assert find_wait(1, hint_s, 0.0, 0.5) == find_wait(1, None, 0.0, 0.5)


@pytest.mark.parametrize("hint_s", [None, 1.0])
def test_floor_lengthens_any_wait(hint_s: float | None) -> None:
    assert find_wait(1, hint_s, 7.0, 0.5) == 7.0


@given(st.integers(), st.none() | st.floats(), st.floats(0, 1, exclude_max=True))
def test_wait_is_bounded_whatever_is_asked(tries: int, hint_s: float | None, draw: float) -> None:
    assert 0 < find_wait(tries, hint_s, 0.0, draw) <= 66.0
