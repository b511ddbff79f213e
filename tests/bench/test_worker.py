"""A worker's share of the requests is its share of the bytes that both wrote meanwhile."""

from __future__ import annotations

import pytest
from bench.wire import Round
from bench.worker import Workers, share_first


def test_a_share_counts_only_what_was_written_meanwhile() -> None:
    assert share_first({7: 1000, 9: 500}, {7: 1030, 9: 570}) == 0.3


def test_a_worker_that_was_replaced_meanwhile_spoils_the_round() -> None:
    with pytest.raises(RuntimeError, match="two workers"):
        share_first({7: 1000, 9: 500}, {7: 1030, 11: 570})


def test_the_estimate_is_what_four_seconds_of_cpu_serve() -> None:
    dear, cheap = (Round(passed, 1.0, 1.0, 0.5, 0.5) for passed in (40_000, 50_000))
    workers = Workers(one=[cheap], two=[dear], shares=[0.5])
    assert (round(workers.estimated_rate), round(workers.ratio, 6)) == (160_000, 1.25)
