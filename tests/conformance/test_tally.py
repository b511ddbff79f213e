"""The registry is held to its word, whatever the recordings are."""

from __future__ import annotations

import pytest
from tests.conformance.tally import Tally
from tests.recorded import Recording

CASE = Recording("case", "gemini", "chat", frozenset(), {}, 200, (), b"{}")


def test_case_that_is_not_listed_fails_as_it_is() -> None:
    tally = Tally({})
    with pytest.raises(ValueError, match="wrong"), tally.hold(CASE):
        raise ValueError("wrong")
    assert tally.share_passed("gemini") == 0


def test_listed_case_may_fail_and_is_counted_as_failed() -> None:
    tally = Tally({"gemini/chat/case": "reason"})
    with tally.hold(CASE):
        raise ValueError("wrong")
    assert tally.share_passed("gemini") == 0
    assert tally.render()[-1] == "cannot pass: gemini/chat/case: reason"


def test_listed_case_that_passes_is_an_error() -> None:
    with pytest.raises(AssertionError, match="take it out"), Tally({"gemini/chat/case": "reason"}).hold(CASE):
        pass


def test_passed_case_is_counted() -> None:
    tally = Tally({})
    with tally.hold(CASE):
        pass
    assert tally.share_passed("gemini") == 1
