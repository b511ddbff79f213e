"""The pages that are read by people, and what stands in them: snippets, headings, links."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NO_ANCHOR = re.compile(r"[^\w\- ]")


class Snippet(NamedTuple):
    """A fenced block. `answer` is the text of a block that follows at once with nothing but one line between them."""

    page: str
    line: int
    language: str
    text: str
    answer: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def find_snippets(*languages: str) -> list[Snippet]:
    """The blocks of these languages on all pages, each text once."""
    found = [snippet for page in PAGES for snippet in read_snippets(page) if snippet.language in languages]
    return list({(snippet.language, snippet.text, snippet.answer): snippet for snippet in reversed(found)}.values())


def read_snippets(page: Path) -> list[Snippet]:
    text = page.read_text("utf-8")
    fences = list(_FENCE.finditer(text))
    return [
        Snippet(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, fence.start()) + 1,
            fence[1],
            fence[2],
            after[2] if after and _is_answer(text[fence.end() : after.start()], after[1]) else None,
        )
        for fence, after in zip_longest(fences, fences[1:])
    ]


def _is_answer(between: str, language: str) -> bool:
    return language in ("json", "text") and not between.strip()


def find_anchors(page: Path) -> set[str]:
    """A page's headings as links name them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    return {_NO_ANCHOR.sub("", heading.lower()).replace(" ", "-") for heading in headings}


def find_links(page: Path) -> list[str]:
    """The targets of a page's links, those in code left out."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", text))
