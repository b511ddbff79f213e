"""Which names lead to a model."""

from __future__ import annotations

import pytest

from feathergate.config.document import Document
from feathergate.config.finding import Findings
from feathergate.config.naming import SUGGESTION_LIMIT, Names


@pytest.mark.parametrize("name", ["fast", "openai/gpt-5", "gpt-5", "anthropic/x", "claude-x", "a.b-c", "quick"])
def test_name_with_a_model_serves(name: str) -> None:
    names = Names(["fast", "openai/gpt-5", "anthropic/*", "a.b*c"])
    names.add(["quick"])
    assert names.serves(name)


@pytest.mark.parametrize("name", ["", "fas", "fast/x", "gemini-x", "axb-c", "xa.b-c", "echo", "a.b" + "x" * 600 + "c"])
def test_name_without_a_model_does_not(name: str) -> None:
    assert not Names(["fast", "openai/gpt-5", "anthropic/*", "a.b*c", "mock/echo"]).serves(name)


def test_name_without_its_provider_is_covered() -> None:
    names = Names(["mock/echo"])
    assert names.covers("echo")
    assert not names.covers("mock")


def test_suggestions_come_to_an_end() -> None:
    names, findings = Names(["abc"]), Findings("c.yaml", Document())
    for number in range(SUGGESTION_LIMIT + 5):
        names.judge(findings, ("fallbacks", number), f"abc{number % 10}")
    said = [notice.fix for notice in findings.notices()]
    assert sum("abc is the nearest" in fix for fix in said) == SUGGESTION_LIMIT
    assert len(said) == SUGGESTION_LIMIT + 5
