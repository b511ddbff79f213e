"""Every recorded stream, cut: byte by byte always, at every position where the marker `conformance` is selected.

Cutting everywhere costs the square of a stream's length, so it is spread over all processors, the longest first.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import cast

import pytest
from tests.conformance.case import each_case
from tests.conformance.cutting import Cuts, find_cuts, is_same_bytewise
from tests.conformance.tally import name_case, read_registry
from tests.recorded import Recording


@each_case("stream")
def test_stream_says_the_same_byte_by_byte(recording: Recording) -> None:
    assert is_same_bytewise(recording.provider, recording.body)


@pytest.mark.conformance
@each_case("stream")
def test_stream_says_the_same_cut_anywhere(recording: Recording, cuts: dict[str, Future[Cuts]]) -> None:
    assert cuts[name_case(recording)].result().changed == []


@pytest.mark.conformance
@each_case("stream")
def test_stream_that_ends_anywhere_loses_nothing_in_silence(
    recording: Recording, cuts: dict[str, Future[Cuts]]
) -> None:
    unnoticed = cuts[name_case(recording)].result().unnoticed
    assert bool(unnoticed) == (name_case(recording) in read_registry("ends_unnoticed")), unnoticed


@pytest.fixture(scope="module")
def cuts(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Cuts]]]:
    """What is found about each stream that this run asks for, by `name_case`."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [cast(Recording, item.callspec.params["recording"]) for item in items if "cuts" in item.fixturenames]
    longest_first = sorted(
        {name_case(one): one for one in asked}.items(), key=lambda named: len(named[1].body), reverse=True
    )
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        yield {name: pool.submit(find_cuts, one.provider, one.body) for name, one in longest_first}
        pool.shutdown(cancel_futures=True)
