"""YAML into values and places, and what is refused before it can do harm."""

from __future__ import annotations

import time
from typing import Any

import pytest

from feathergate.config.document import VALUE_LIMIT_COUNT, Place, parse_document


def read(text: str) -> Any:
    document = parse_document(text, "c.yaml")
    assert document.problems == []
    return document.value


def refused(text: str) -> str:
    [problem] = parse_document(text, "c.yaml").problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 1.5\nc: text\nd: null\ne:\n", {"a": 1, "b": 1.5, "c": "text", "d": None, "e": None}),
        ("[yes, No, on, true]", [True, False, True, True]),
        ("[0x10, 1_000, 010, 1e3, '1']", [16, 1000, 8, "1e3", "1"]),
        ("a: 2024-10-21", {"a": "2024-10-21"}),
        ("a: 2024-13-45", {"a": "2024-13-45"}),
        ("1: a\ntrue: b\n~: c", {"1": "a", "true": "b", "~": "c"}),
        ("a: =", {"a": "="}),
        ("a: <<", {"a": "<<"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("{}", {}),
        ("", None),
        ("# only words", None),
        ('{"a": ["json", 1]}', {"a": ["json", 1]}),
    ],
)
def test_document_holds_plain_values(text: str, expected: Any) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"p": 1, "q": 3}),
        ("a: &x {p: 1}\nc: &y {p: 2, r: 3}\nb: {<<: [*x, *y]}", {"p": 1, "r": 3}),
        ("a: &x {p: 1}\nc: &y {<<: *x, q: 2}\nb: {<<: *y}", {"p": 1, "q": 2}),
        ("a: &x [1]\nb: *x", [1]),
    ],
)
def test_document_follows_aliases_and_merges(text: str, expected: Any) -> None:
    assert read(text)["b"] == expected


def test_document_knows_the_place_of_each_value_and_key() -> None:
    document = parse_document("a:\n  - b: é\n    c: [x, y]\n", "c.yaml")
    assert document.values["a", 0, "b"] == Place(2, 8)
    assert document.keys["a", 0, "c"] == Place(3, 5)
    assert document.values["a", 0, "c", 1] == Place(3, 12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "c.yaml:3:1: a stands twice in the same mapping (remove one: the other is on line 1)"),
        ("a: !!python/object:os.system x", "c.yaml:1:4: a YAML tag (!…) that is not supported here (remove the tag)"),
        ("a: !!binary aGk=", "c.yaml:1:4: a YAML tag (!…) that is not supported here (remove the tag)"),
        ("a: !!set {x}", "c.yaml:1:4: a YAML tag (!…) that is not supported here (remove the tag)"),
        ("a: .nan", "c.yaml:1:4: a number that cannot be used here (write a finite number)"),
        ("a: -.inf", "c.yaml:1:4: a number that cannot be used here (write a finite number)"),
        ("a: !!int x", "c.yaml:1:4: a number that cannot be used here (write a finite number)"),
        ("a: !!bool x", "c.yaml:1:4: a number that cannot be used here (write a finite number)"),
        ("a: " + "9" * 5000, "c.yaml:1:4: a number that cannot be used here (write a finite number)"),
        ("é: ü\nb: \x01", "c.yaml:2:4: a character that YAML does not allow"),
        ("a: \ufffe", "c.yaml:1:4: a character that YAML does not allow"),
        ("a: &x 1\nb: &x 2", "c.yaml:2:4: not valid YAML: found duplicate anchor; first occurrence"),
        ("a: [1, 2\nb: 3", "c.yaml:2:2: not valid YAML: while parsing a flow sequence"),
        ("a:\n  b: 1\n c: 2", "c.yaml:3:2: not valid YAML: while parsing a block mapping"),
        ("a: sk-key: b", "c.yaml:1:10: not valid YAML: mapping values are not allowed in this context"),
        ("a: *sk-secret", "c.yaml:1:4: not valid YAML: found undefined alias (define it"),
    ],
)
def test_document_refuses_with_a_place(text: str, expected: str) -> None:
    assert refused(text).startswith(expected)
    assert "sk-" not in refused(text)


def bomb(levels: int, form: str = "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]") -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} " + form.format(f"*a{n - 1}") for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "".join(" " * depth + "a:\n" for depth in range(500)),
        "a: &a [*a]",
        "a: &a {b: *a, c: *a}",
        "a: &a {<<: *a}",
        bomb(60, "[{0}]") + "\nb: [[[[[[[[*a59]]]]]]]]",
    ],
    ids=range(8),
)
def test_document_refuses_what_nests_too_deeply(text: str) -> None:
    assert "nests deeper than 64 levels" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        bomb(30),
        bomb(30, "{{<<: [{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}], y: 1}}"),
        "- a\n" * (VALUE_LIMIT_COUNT + 1),
    ],
    ids=["aliases", "merges", "long"],
)
def test_document_refuses_what_holds_too_much_and_soon(text: str) -> None:
    started = time.monotonic()
    assert "holds more than 200,000 values" in refused(text)
    assert time.monotonic() - started < 5
