"""Every relative link of a page leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.page import PAGES, ROOT, find_anchors, find_links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_to_what_exists(page: Path) -> None:
    assert [link for link in find_links(page) if "://" not in link and not _leads_somewhere(page, link)] == []


def test_find_links_sees_the_readme_s_own() -> None:
    assert "docs/configuration.md" in find_links(ROOT / "README.md")


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in find_anchors(target)
