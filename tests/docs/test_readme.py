"""What the READMEs say of the command and of the providers is so."""

from __future__ import annotations

import re

import pytest
from tests.docs.page import ROOT

from feathergate.providers import PROVIDERS

README = pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
TITLES = {row.title for row in PROVIDERS.values()} - {"any host like OpenAI", "built in"}


@README
def test_commands_of_a_readme_are_where_it_says(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert ".venv/bin/feathergate check" in text
    assert re.findall(r"^feathergate .*|`feathergate .*?`", text, re.MULTILINE) == []


@README
def test_readme_counts_the_providers_that_there_are(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert re.search(rf"\b{len(PROVIDERS)} (prefixes|个前缀)", text)
    assert re.search(rf"^\| (providers|提供商数量) \| {len(TITLES)}\b", text, re.MULTILINE)


@README
def test_prefixes_of_a_readme_are_providers(name: str) -> None:
    prefixes = set(re.findall(r"`(\w+)/`", (ROOT / name).read_text("utf-8")))
    assert prefixes
    assert prefixes <= PROVIDERS.keys()


def test_pages_count_the_prefixes_that_there_are() -> None:
    pages = [(ROOT / name).read_text("utf-8") for name in ("CHANGELOG.md", "docs/quickstart.md")]
    assert [re.findall(r"\b(\d+)\s+prefixes", page) for page in pages] == [[str(len(PROVIDERS))]] * 2
