"""A table of model names: exact ones first, then patterns with `*`, the longest first.

What a `*` caught takes the place of the `*` in the deployment's own model; a deployment without one is constant,
and one with fewer than the pattern has gets the client's whole string. Matching is anchored at both ends.
Source: reference/litellm-config.md 4.2, "wildcards".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

NAME_LIMIT: Final = 512
"""Characters; a longer name matches no pattern, which bounds the time that matching takes."""


class Match(NamedTuple, Generic[T]):
    """What serves a name. `caught` is empty for an exact name."""

    entry: T
    caught: tuple[str, ...]


class Table(Generic[T]):
    """Immutable once made. Of entries with one name the first serves."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, T] = {}
        patterns: dict[str, T] = {}
        for name, entry in entries:
            (patterns if "*" in name else self._exact).setdefault(name, entry)
        self._patterns = [
            (re.compile("(.*)".join(map(re.escape, name.split("*"))), re.DOTALL), patterns[name])
            for name in sorted(patterns, key=len, reverse=True)
        ]
        self.names = (*self._exact, *patterns)
        self.entries = (*self._exact.values(), *patterns.values())

    def find(self, name: str) -> Match[T] | None:
        exact = self._exact.get(name)
        if exact is not None:
            return Match(exact, ())
        for pattern, entry in self._patterns if len(name) <= NAME_LIMIT else ():
            match = pattern.fullmatch(name)
            if match is not None:
                return Match(entry, match.groups())
        return None

    def find_nearest(self, name: str) -> list[str]:
        """Up to three names that `name` may be a misspelling of."""
        return difflib.get_close_matches(name[:200], self.names, 3, 0.5)


def fill_model(model: str, name: str, caught: tuple[str, ...]) -> str:
    """The upstream's model for a request of `name`, of which a pattern caught `caught`."""
    stars = model.count("*")
    if stars == 0:
        return model
    if len(caught) != stars:
        return name
    first, *rest = model.split("*")
    return first + "".join(text + constant for text, constant in zip(caught, rest, strict=True))
