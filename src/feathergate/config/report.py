"""Problems as a terminal shows them: place and words, the line of the file, a caret, and the way to mend it.

A line is shown up to its first value that may be a key, and no further. Source: ecosystem.md section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from feathergate.errors import Problem

from .schema import Notice
from .secret import MASK

LINE_LIMIT = 120

# A value that may be a key: by its name, by its look, or because it stands before the @ of an address.
_HIDDEN = re.compile(
    r"""[\w-]*(?:key|secret|passw|credential|authorization|token\b|cookie|dsn)[\w-]*["']?(?:\s*[:=]\s*|\s+)["']?
    (?P<value>(?!os\.environ/|\$\{\w+\})[^\s"'&*#,{}\[\]][^\s]*)
    | \b(?P<look>(?:sk|pk|gsk|xai|AIza|Bearer)[-_ ][\w-]{6,}|AIza[\w-]{6,}|eyJ[\w-]{10,})
    | ://(?P<user>[^\s/@]+)@""",
    re.VERBOSE | re.IGNORECASE,
)


def render_problems(problems: Iterable[Problem | Notice], source_text: str) -> str:
    """Each problem with its line of `source_text` and a caret below; blocks with an empty line between them."""
    lines = source_text.split("\n")
    return "\n".join(_render(problem, lines) for problem in problems)


def _render(problem: Problem | Notice, lines: list[str]) -> str:
    words = f"{problem.level}: {problem.what}" if isinstance(problem, Notice) else problem.what
    if not 0 < problem.line <= len(lines):
        place = f"{problem.file}  " if problem.file else ""
        fix = f"    {problem.fix}\n" if problem.fix else ""
        return f"  {place}{words}\n{fix}"
    shown, caret = show_line(lines[problem.line - 1], problem.column - 1)
    margin = f"{problem.line:>8}"
    return (
        f"  {problem.file}:{problem.line}:{problem.column}  {words}\n"
        f"{margin} | {shown}\n"
        f"{' ' * len(margin)} | {' ' * caret}^ {problem.fix}".rstrip()
        + "\n"
    )


def show_line(line: str, column: int) -> tuple[str, int]:
    """A line fit to print, without what may be a key, and where its character `column` (from 0) then stands."""
    text = "".join(character if character.isprintable() else " " for character in line.rstrip("\r"))
    hidden = _HIDDEN.search(text)
    if hidden:
        text = text[: hidden.start(hidden.lastgroup or 0)] + MASK
    if len(text) > LINE_LIMIT:
        start = max(0, min(column, len(text)) - LINE_LIMIT // 2)
        text, column = text[start : start + LINE_LIMIT], column - start
    return text.rstrip(), max(0, min(column, len(text)))
