"""From names to entries: exact before patterns, the longest pattern first, anchored at both ends."""

from __future__ import annotations

import pytest

from feathergate.routing.table import Match, Table, fill_model

TABLE = Table(
    [("gpt", 1), ("gpt", 2), ("openai/*", 3), ("openai/gpt-*", 4), ("*-latest", 5), ("a.b", 6), ("openai/gpt-x", 7)]
)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("gpt", Match(1, ())),
        ("openai/o3", Match(3, ("o3",))),
        ("openai/gpt-5", Match(4, ("5",))),
        ("openai/gpt-x", Match(7, ())),
        ("claude-latest", Match(5, ("claude",))),
        ("openai/a/b\nc", Match(3, ("a/b\nc",))),
        ("a.b", Match(6, ())),
        ("axb", None),
        ("xopenai/o3", None),
        ("gpt ", None),
        ("", None),
    ],
)
def test_name_finds_its_entry(name: str, match: Match[int] | None) -> None:
    assert TABLE.find(name) == match


def test_misspelled_name_has_its_neighbours() -> None:
    assert TABLE.find_nearest("gtp") == ["gpt"]


@pytest.mark.parametrize(
    ("model", "name", "caught", "upstream"),
    [
        ("gpt-4o", "openai/x", ("x",), "gpt-4o"),
        ("*", "openai/x", ("x",), "x"),
        ("ft:*:mine", "openai/x", ("x",), "ft:x:mine"),
        ("*", "a/b", ("a", "b"), "a/b"),
    ],
)
def test_caught_text_fills_the_upstreams_model(model: str, name: str, caught: tuple[str, ...], upstream: str) -> None:
    assert fill_model(model, name, caught) == upstream
