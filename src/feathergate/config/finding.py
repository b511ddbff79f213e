"""Problems and notices as they are collected: by path now, by place in the file when all is read.

Nothing here prints a value: a message names keys, models and variables, never what they hold.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from feathergate.errors import Problem

from .schema import Notice

if TYPE_CHECKING:
    from .document import Document, Path

NEARNESS = 0.85
NAME_LIMIT = 80


def shown(name: str) -> str:
    """A name from the file, safe to print: one line, printable, not too long."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode()
    return text if len(text) <= NAME_LIMIT else text[: NAME_LIMIT - 1] + "…"


def nearest(name: str, candidates: Iterable[str], nearness: float = NEARNESS) -> str | None:
    """The candidate that `name` is probably a misspelling of, or None; by `nearness`, from 0 to 1 for the same."""
    if len(name) > NAME_LIMIT:
        return None
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=nearness)), None)


def label(path: Path) -> str:
    """How a message names the value at `path`: dotted, and within a model without the model's number."""
    start = 2 if path[:1] == ("model_list",) and len(path) > 2 else 0
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[start:])
    return shown(text.removeprefix("."))


class Findings:
    """What is found in one file. `path` is where: the nearest place that is known stands for it."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self._document = document
        self._problems = list(document.problems)
        self._notices: list[Notice] = []

    def refuse(self, path: Path, what: str, fix: str = "", *, key: bool = False) -> None:
        """An error at the value of `path`, or at its key."""
        self._problems.append(Problem(what, fix, self.file, *self.place(path, key=key)))

    def warn(self, path: Path, what: str, fix: str = "", *, key: bool = False) -> None:
        self._notices.append(Notice("warning", what, fix, self.file, *self.place(path, key=key)))

    def note(self, path: Path, what: str, fix: str = "", *, key: bool = False) -> None:
        self._notices.append(Notice("info", what, fix, self.file, *self.place(path, key=key)))

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Where `path` stands; where a thing has no place of its own, what holds it has one."""
        if key and path in self._document.keys:
            return self._document.keys[path]
        while path and path not in self._document.values:
            path = path[:-1]
        return self._document.values.get(path, (1, 1))

    def alias(self, path: Path, original: Path) -> None:
        """What is said of `path` stands at `original`."""
        for places in (self._document.values, self._document.keys):
            if original in places:
                places[path] = places[original]

    def problems(self) -> tuple[Problem, ...]:
        """All problems in the file's order."""
        return tuple(sorted(self._problems, key=lambda found: (found.line, found.column)))

    def notices(self) -> tuple[Notice, ...]:
        """All notices in the file's order; the same words are said once, with the number of other places."""
        ordered = sorted(self._notices, key=lambda found: (found.line, found.column))
        times = Counter((notice.level, notice.what, notice.fix) for notice in ordered)
        first = {(notice.level, notice.what, notice.fix): notice for notice in reversed(ordered)}
        said = sorted(first.items(), key=lambda item: (item[1].line, item[1].column))
        return tuple(_count_others(notice, times[words] - 1) for words, notice in said)


def _count_others(notice: Notice, others: int) -> Notice:
    if others == 0:
        return notice
    places = "place" if others == 1 else "places"
    return msgspec.structs.replace(notice, what=f"{notice.what}, here and in {others} other {places}")
