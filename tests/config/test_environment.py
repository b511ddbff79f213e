"""Variables in strings, `.env` files, and keys from the environment."""

from __future__ import annotations

import pytest

from feathergate.config.environment import Expanded, expand, parse_dotenv, read_key
from feathergate.errors import ConfigError

ENVIRON = {"KEY": "sk-1", "EMPTY": "", "HOST": "example.com", "ODD": "${KEY}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $ $$ $KEY text", Expanded("plain $ $$ $KEY text")),
        ("os.environ/KEY", Expanded("sk-1", ("KEY",))),
        ("os.environ/ KEY ", Expanded("sk-1", ("KEY",))),
        ("os.environ/EMPTY", Expanded("", ("EMPTY",))),
        ("os.environ/ODD", Expanded("${KEY}", ("ODD",))),
        ("os.environ/NOPE", Expanded("", ("NOPE",), ("NOPE",))),
        ("os.environ/", Expanded("", malformed=True)),
        ("os.environ/not-a-name", Expanded("", malformed=True)),
        ("see os.environ/KEY", Expanded("see os.environ/KEY")),
        ("https://${HOST}/${KEY}", Expanded("https://example.com/sk-1", ("HOST", "KEY"))),
        ("${NOPE:-8080}", Expanded("8080", ("NOPE",))),
        ("${EMPTY:-8080}", Expanded("8080", ("EMPTY",))),
        ("${EMPTY}", Expanded("", ("EMPTY",))),
        ("${NOPE:-}", Expanded("", ("NOPE",))),
        ("${NOPE:-a:-b $c}", Expanded("a:-b $c", ("NOPE",))),
        ("${ODD}", Expanded("${KEY}", ("ODD",))),
        ("$${KEY}", Expanded("${KEY}")),
        ("$${KEY} ${KEY}", Expanded("${KEY} sk-1", ("KEY",))),
        ("${A}${B}${A}", Expanded("", ("A", "B", "A"), ("A", "B"))),
    ],
)
def test_expand_fills_in_variables(text: str, expected: Expanded) -> None:
    assert expand(text, ENVIRON) == expected


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A B}", "${A-b}", "${A:-${B}}", "ok ${KEY} ${KEY"])
def test_expand_tells_a_reference_that_cannot_be_read(text: str) -> None:
    assert expand(text, ENVIRON).malformed


def test_expand_stays_quick_on_hostile_text() -> None:
    assert expand("${A:-" * 100_000, {}).malformed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=2\r\nC=3", {"A": "1", "B": "2", "C": "3"}),
        ("export A=1", {"A": "1"}),
        ("  A = spaced value  ", {"A": "spaced value"}),
        ("# A=1\n\nB=2 # why", {"B": "2"}),
        ("A=a#b", {"A": "a#b"}),
        ("A=", {"A": ""}),
        ("A= # empty", {"A": ""}),
        ("A='single # $X \\n'", {"A": "single # $X \\n"}),
        ('A="two\\nlines \\"quoted\\" \\\\"', {"A": 'two\nlines "quoted" \\'}),
        ('A="first\nsecond" # why\nB=2', {"A": "first\nsecond", "B": "2"}),
        ("A=it's", {"A": "it's"}),
        ("A=1\nA=2", {"A": "2"}),
        ("not a line\n=x\n1A=2\nB=3", {"B": "3"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A=b=c==", {"A": "b=c=="}),
        ('A="unclosed\nB=2', {"B": "2"}),
        ("", {}),
    ],
)
def test_parse_dotenv_reads_the_usual_forms(text: str, expected: dict[str, str]) -> None:
    assert parse_dotenv(text) == expected


def test_parse_dotenv_stays_quick_on_hostile_text() -> None:
    assert parse_dotenv("A='" * 20_000 + "\n" * 20_000) == {}


def test_read_key_takes_the_first_that_is_not_empty() -> None:
    key = read_key({"A": " ", "B": " sk-2\n", "C": "sk-3"}, "A", "B", "C")
    assert key is not None
    assert key.reveal() == "sk-2"
    assert read_key({}, "A") is None


def test_read_key_refuses_what_no_header_can_carry() -> None:
    with pytest.raises(ConfigError) as caught:
        read_key({"A": "sk-\nx: y"}, "A")
    assert "environment variable A" in str(caught.value)
    assert "sk-" not in str(caught.value)
