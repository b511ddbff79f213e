"""One gateway for all that is fuzzed, and the figures at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.fuzz.target import Target, serving_target


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    started = time.monotonic()
    with serving_target(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened
    print(f"\n{opened.counts.total():,} requests in {time.monotonic() - started:.0f} s")
    for (label, status), count in sorted(opened.counts.items()):
        print(f"{label:<12} {status} {count:>8,}")
