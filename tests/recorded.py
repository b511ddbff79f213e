"""The recorded traffic of the real providers, where the folder beside the project holds it.

Read in place and never copied; its format is described in its own README. Tests of it are skipped with a word
where it is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MISSING = "there are no recordings beside the project (../shared/recordings)"
FOLDER = Path(__file__).parents[2] / "shared" / "recordings"


class Recording(NamedTuple):
    """One exchange. `body` is the answer's bytes as they came, a JSON body in a serialisation of our own."""

    name: str
    provider: str
    kind: str
    features: frozenset[str]
    request: Any
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def _get_name(recording: Recording) -> str:
    return recording.name


def find_recordings(provider: str, kind: str) -> list[Recording]:
    """All of a provider ("openai", "anthropic", "gemini") and a kind ("chat", "stream", "error"), by name."""
    return [recording for recording in _read_all() if (recording.provider, recording.kind) == (provider, kind)]


def each_recording(provider: str, kind: str) -> pytest.MarkDecorator:
    """Parametrises a test's `recording`."""
    return each_of(find_recordings(provider, kind))


def each_of(recordings: Sequence[Recording], name: Callable[[Recording], str] = _get_name) -> pytest.MarkDecorator:
    """Parametrises a test's `recording`; one skipped test stands for all where the recordings are missing."""
    missing = pytest.param(None, marks=pytest.mark.skip(reason=MISSING), id="missing")
    named = [pytest.param(recording, id=name(recording)) for recording in recordings]
    return pytest.mark.parametrize("recording", named or [missing])


@cache
def _read_all() -> tuple[Recording, ...]:
    paths = sorted(path for path in FOLDER.glob("*/*.json"))
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Recording:
    case = json.loads(path.read_text())
    response = case["response"]
    raw = response.get("raw")
    return Recording(
        name=path.stem,
        provider=case["provider"],
        kind=case["kind"],
        features=frozenset(case["features"]),
        request=case.get("request", {}).get("body"),
        status=response["status"],
        headers=tuple((k.encode(), v.encode()) for k, v in (response.get("headers") or {}).items()),
        body=json.dumps(response["body"]).encode() if raw is None else raw.encode(),
    )
