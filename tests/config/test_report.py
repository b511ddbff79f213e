"""Problems on a terminal: the line, the caret, and nothing that may be a key."""

from __future__ import annotations

import pytest

from feathergate.config.report import render_problems, show_line
from feathergate.config.schema import Notice
from feathergate.errors import Problem


def test_problem_is_rendered_with_its_line_and_a_caret() -> None:
    problem = Problem("x.num_retrys is not a setting", "did you mean num_retries?", "c.yaml", 2, 3)
    assert render_problems([problem], "x:\n  num_retrys: 3\n") == (
        "  c.yaml:2:3  x.num_retrys is not a setting\n"
        "       2 |   num_retrys: 3\n"
        "         |   ^ did you mean num_retries?\n"
    )


def test_problem_without_a_line_is_rendered_all_the_same() -> None:
    problem = Problem("there is no such file", "give another", "c.yaml")
    assert render_problems([problem], "") == "  c.yaml  there is no such file\n    give another\n"
    assert render_problems([Problem("wrong", line=9, column=9)], "a") == "  wrong\n"


def test_notice_is_rendered_with_its_level() -> None:
    notice = Notice("warning", "rpm has no effect yet", "", "c.yaml", 1, 1)
    assert render_problems([notice], "rpm: 1").startswith("  c.yaml:1:1  warning: rpm has no effect yet\n")
    assert str(notice) == "c.yaml:1:1: warning: rpm has no effect yet"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("api_key: hunter22", "api_key: ***"),
        ('"api_key": "hunter22"  # mine', '"api_key": "***'),
        ("api_key:hunter22", "api_key:***"),
        ("api_key hunter22", "api_key ***"),
        ("{model: a, api_key: hunter22, x: y}", "{model: a, api_key: ***"),
        ("extra_headers: {Authorization: Basic hunter22}", "extra_headers: {Authorization: ***"),
        ("api_base: https://user:hunter22@host", "api_base: https://***"),
        ("model: sk-proj-hunter22", "model: ***"),
        ("- AIzaSyhunter22", "- ***"),
        ("api_key: os.environ/sk-hunter22", "api_key: os.environ/***"),
        ("api_key: ${KEY:-hunter22}", "api_key: ***"),
        ("api_key: os.environ/OPENAI_API_KEY", "api_key: os.environ/OPENAI_API_KEY"),
        ("api_key: ${OPENAI_API_KEY}", "api_key: ${OPENAI_API_KEY}"),
        ("max_tokens: 5", "max_tokens: 5"),
        ("api_base: https://host/v1", "api_base: https://host/v1"),
    ],
)
def test_line_is_shown_up_to_what_may_be_a_key(line: str, shown: str) -> None:
    assert show_line(line, 0)[0] == shown
    assert "hunter22" not in show_line(line, 0)[0]


def test_line_is_shown_without_control_characters() -> None:
    assert show_line("\ta\x1b[31m: b\u202e\r", 1) == (" a [31m: b", 1)


def test_long_line_is_shown_around_its_column() -> None:
    text, caret = show_line("a" * 500 + "X" + "b" * 500, 500)
    assert len(text) == 120
    assert text[caret] == "X"


def test_caret_stays_within_the_line() -> None:
    assert show_line("abc", 99) == ("abc", 3)
