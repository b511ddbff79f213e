"""The scrape, read back by prometheus_client's own parser."""

from __future__ import annotations

import math

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from feathergate.observe.condition import Condition
from feathergate.observe.exposition import render_metrics
from feathergate.observe.metrics import count_duration
from feathergate.observe.series import DURATION_BUCKETS_S, Series

CALM = Condition()
HOSTILE = 'we"ird\\ {x="1"} 9\nfeathergate_requests_total 9'


def build_series(model: str = "fast") -> Series:
    series = Series(model, "openai", statuses={"200": 2, "302": 1, "502": 4}, open_streams=3)
    for duration_s in (0.01, 0.011, 600.0, 601.0):
        count_duration(series.duration, duration_s)
    return series


def parse(text: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def test_histogram_is_cumulative_and_a_bound_is_within_its_bucket() -> None:
    samples = parse(render_metrics([build_series()], CALM))["feathergate_request_duration_seconds"].samples
    buckets = {float(sample.labels["le"]): sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert list(buckets) == [*DURATION_BUCKETS_S, math.inf]
    assert [buckets[bound] for bound in (0.01, 0.025, 300.0, 600.0, math.inf)] == [1, 2, 2, 3, 4]
    assert [sample.value for sample in samples[-2:]] == [4, 1201.021]


def test_totals_are_sums_over_all_series() -> None:
    families = parse(render_metrics([build_series(), build_series("slow")], CALM))
    names = ("requests", "requests_successful", "requests_failed")
    assert [families[f"feathergate_{name}"].samples[0].value for name in names] == [14, 6, 8]


def test_rendering_leaves_the_series_as_they_were() -> None:
    series = [build_series(), build_series("slow")]
    assert render_metrics(series, CALM) == render_metrics(series, CALM)


def test_label_says_what_it_was_whatever_stands_in_it() -> None:
    families = parse(render_metrics([build_series(HOSTILE)], CALM))
    assert families["feathergate_streams_open"].samples[0].labels == {"model": HOSTILE, "provider": "openai"}
    assert families["feathergate_requests"].samples[0].value == 7


def test_condition_of_all_processes_is_told() -> None:
    condition = Condition()
    condition.add(Condition(reloads={"success": 3, "failure": 1}, reload_failing=1, configured_s=7.5))
    condition.add(Condition(reloads={"success": 2}, configured_s=3.0, shedding={"memory": 1}))
    text = render_metrics([], condition).decode()
    assert 'feathergate_config_reloads_total{outcome="success"} 5\n' in text
    assert 'feathergate_config_reloads_total{outcome="failure"} 1\n' in text
    assert "feathergate_config_last_reload_successful 0\n" in text
    assert "feathergate_config_last_reload_success_timestamp_seconds 7.5\n" in text
    assert 'feathergate_shedding{reason="memory"} 1\n' in text
