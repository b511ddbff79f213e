"""Names as messages show them, and notices said once."""

from __future__ import annotations

import pytest

from feathergate.config.document import parse_document
from feathergate.config.finding import Findings, label, nearest, shown


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("general_settings", "master_key"), "general_settings.master_key"),
        (("model_list", 3), "model_list[3]"),
        (("model_list", 3, "litellm_params", "stop", 0), "litellm_params.stop[0]"),
    ],
)
def test_label_names_a_value(path: tuple[str | int, ...], expected: str) -> None:
    assert label(path) == expected


def test_shown_is_one_printable_line_of_bounded_length() -> None:
    assert shown("plain é") == "plain é"
    assert shown("a\x1b[2J\n") == "a\\x1b[2J\\n"
    assert len(shown("x" * 1000)) == 80


def test_nearest_finds_a_misspelling_only() -> None:
    assert nearest("num_retrys", ("timeout", "num_retries")) == "num_retries"
    assert nearest("colour", ("timeout", "num_retries")) is None
    assert nearest("x" * 10_000, ("x" * 79,)) is None


def test_notices_of_the_same_words_are_said_once_in_the_order_of_the_file() -> None:
    findings = Findings("c.yaml", parse_document("a: 1\nb: 2\nc: 3\n", "c.yaml"))
    for key, what in (("c", "same"), ("b", "other"), ("a", "same")):
        findings.note((key,), what, key=True)
    assert [str(notice) for notice in findings.notices()] == [
        "c.yaml:1:1: info: same, here and in 1 other place",
        "c.yaml:2:1: info: other",
    ]


def test_finding_without_a_place_of_its_own_stands_at_what_holds_it() -> None:
    findings = Findings("c.yaml", parse_document("a:\n  b: 1\n", "c.yaml"))
    assert findings.place(("a", "b", "c")) == (2, 6)
    assert findings.place(("x",)) == (1, 1)
