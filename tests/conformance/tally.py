"""Keeps count of the replayed cases, and holds the registry of those that cannot pass to its word.

Every case runs inside `hold`. One that the registry names must fail, and is counted as failed; when it passes all
the same, that is an error, so that the list cannot rot.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.recorded import Recording

PROVIDERS = ("openai", "anthropic", "gemini")
KINDS = ("chat", "stream", "error")
REGISTRY = Path(__file__).with_name("registry.toml")


def name_case(recording: Recording) -> str:
    """What the registry calls a case: `provider/kind/name`."""
    return f"{recording.provider}/{recording.kind}/{recording.name}"


def read_registry(table: str) -> dict[str, str]:
    """The cases that cannot keep a promise, each with its reason; a table for each promise."""
    tables: dict[str, dict[str, str]] = tomllib.loads(REGISTRY.read_text())
    return tables[table]


class Tally:
    """One a session."""

    def __init__(self, registry: Mapping[str, str]) -> None:
        self.registry = registry
        self.passed: Counter[tuple[str, str]] = Counter()
        self.replayed: Counter[tuple[str, str]] = Counter()

    def hold(self, recording: Recording) -> Held:
        return Held(self, recording)

    def share_passed(self, provider: str) -> float:
        """Between 0 and 1; 1 where none of the provider's cases were replayed."""
        replayed = sum(self.replayed[provider, kind] for kind in KINDS)
        return sum(self.passed[provider, kind] for kind in KINDS) / replayed if replayed else 1.0

    def render(self) -> list[str]:
        """A table of passed / replayed, and the reasons of the registry; nothing where nothing was replayed."""
        if not self.replayed:
            return []
        rows = [f"{'':12}" + "".join(f"{kind:>12}" for kind in KINDS)]
        for provider in PROVIDERS:
            cells = (f"{self.passed[provider, kind]} / {self.replayed[provider, kind]}" for kind in KINDS)
            rows.append(f"{provider:12}" + "".join(f"{cell:>12}" for cell in cells))
        return [*rows, *(f"cannot pass: {case}: {reason}" for case, reason in self.registry.items())]


class Held:
    """The context in which one case is replayed."""

    def __init__(self, tally: Tally, recording: Recording) -> None:
        self._tally = tally
        self._recording = recording

    def __enter__(self) -> None:
        self._tally.replayed[self._recording.provider, self._recording.kind] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        listed = name_case(self._recording) in self._tally.registry
        if error is None:
            assert not listed, f"{name_case(self._recording)} passes: take it out of the registry"
            self._tally.passed[self._recording.provider, self._recording.kind] += 1
        return listed and isinstance(error, Exception)
