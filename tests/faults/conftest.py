"""Around every test of this room: no descriptor stays open, and nothing unheard-of is logged. Source: reliability.md
2.0, I3, I7. What is never awaited or closed fails a test by the warning that it gives (`filterwarnings = error`)."""

from __future__ import annotations

import gc
import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.faults.invariants import KEY, UNHEARD_OF, count_descriptors

CLOSED_WITHIN_S = 2.0
RESULT = Path(__file__).parent / "results" / "figures.json"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs where it is asked for by its mark, and never because a folder was named."""
    if "faults" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("faults")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, Any]]:
    """What the slow tests measure, by name; written as one JSON when all are over."""
    measured: dict[str, Any] = {}
    yield measured
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    RESULT.parent.mkdir(exist_ok=True)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    RESULT.write_text(json.dumps({"when": when, "machine": machine, "figures": measured}, indent=2) + "\n")


@pytest.fixture(scope="session", autouse=True)
def _calm() -> None:
    """So that a collection looks only at what tests of this room make."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _prompt_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that waits for no company: its end is waited for after every test."""
    monkeypatch.setattr("feathergate.observe.access_log.GATHER_S", 0.001)


@pytest.fixture(autouse=True)
def leaves_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG")
    before = count_descriptors()
    yield
    gc.collect()
    end = time.monotonic() + CLOSED_WITHIN_S
    while count_descriptors() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert count_descriptors() <= before, "descriptors were left open"
    text = caplog.text
    assert not [words for words in UNHEARD_OF if words in text], text
    assert KEY not in text
