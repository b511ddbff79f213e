"""The page on errors leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from feathergate.errors import UpstreamKind

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"


def test_errors_page_documents_every_kind_of_upstream_fault() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert documented.issuperset(get_args(UpstreamKind))


def test_errors_page_names_every_code_that_the_gateway_gives() -> None:
    sources = (ROOT / "src" / "feathergate").rglob("*.py")
    given = {
        code
        for path in sources
        if not path.name.startswith("mock")
        for code in re.findall(r'\bcode="(\w+)"', path.read_text("utf-8"))
    }
    documented = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert given
    assert not given - documented
