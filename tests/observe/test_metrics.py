"""The metrics: exact totals, bounded labels, one answer for all workers, and the page that describes them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from feathergate.observe import metrics as module
from feathergate.observe.declaration import CONDITION_DECLARATIONS, DECLARATIONS
from feathergate.observe.metrics import Metrics
from feathergate.observe.outcome import Outcome
from feathergate.observe.snapshot import FOLDER_VARIABLE, open_snapshots
from feathergate.wire.chat import CompletionTokensDetails, PromptTokensDetails, Usage

USAGE = Usage(
    10, 20, 30, PromptTokensDetails(cached_tokens=4), CompletionTokensDetails(reasoning_tokens=5, audio_tokens=9)
)


def build_outcome(**fields: Any) -> Outcome:
    known = {"ended": 1.3, "model": "fast", "provider": "openai", "status": 200}
    outcome = Outcome("fg_1", 1.0)
    for name, value in {**known, **fields}.items():
        setattr(outcome, name, value)
    return outcome


def scrape(metrics: Metrics) -> dict[str, float]:
    """Every sample under its name and labels."""
    lines = metrics.render().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def totals(metrics: Metrics) -> list[float]:
    samples = scrape(metrics)
    return [samples[f"feathergate_requests_{name}"] for name in ("total", "successful", "failed")]


def labels_of(metrics: Metrics, name: str) -> set[str]:
    return {label for sample in scrape(metrics) for label in re.findall(rf'{name}="(.*?)"', sample)}


# --- the three plain counters -----------------------------------------------------------------------------------


def test_totals_stand_there_from_the_start_in_their_exact_form() -> None:
    lines = Metrics(["fast"]).render().decode().splitlines()
    for name in ("feathergate_requests_total", "feathergate_requests_successful", "feathergate_requests_failed"):
        at = lines.index(f"# TYPE {name} counter")
        assert lines[at - 1].startswith(f"# HELP {name} ")
        assert lines[at + 1] == f"{name} 0"


def test_totals_count_good_and_bad_as_integers() -> None:
    metrics = Metrics(["fast"])
    for status in (200, 200, 302, 400, 429, 502, 777):
        metrics.observe(build_outcome(status=status, model="unknown" if status == 400 else "fast"))
    assert totals(metrics) == [7, 3, 4]
    assert b"\nfeathergate_requests_total 7\n" in metrics.render()


def test_client_that_left_counts_as_neither() -> None:
    metrics = Metrics(["fast"])
    metrics.observe(build_outcome(status=499, usage=USAGE))
    samples = scrape(metrics)
    assert totals(metrics) == [0, 0, 0]
    assert samples['feathergate_client_disconnects_total{model="fast",provider="openai"}'] == 1
    assert samples['feathergate_request_duration_seconds_count{model="fast",provider="openai"}'] == 0
    assert samples['feathergate_tokens_total{kind="prompt",model="fast",provider="openai"}'] == 10


def test_tokens_out_of_all_reason_add_nothing() -> None:
    metrics = Metrics(["fast"])
    for tokens in (10**4299, -7, 5):
        metrics.observe(build_outcome(usage=Usage(tokens, tokens, 0, PromptTokensDetails(cached_tokens=tokens))))
    samples = scrape(metrics)
    for kind in ("prompt", "completion", "cached"):
        assert samples[f'feathergate_tokens_total{{kind="{kind}",model="fast",provider="openai"}}'] == 5


# --- by model and provider --------------------------------------------------------------------------------------


def test_outcome_shows_in_every_metric_it_concerns() -> None:
    metrics = Metrics(["fast"])
    metrics.observe(
        build_outcome(
            stream=True, first_content=1.06, usage=USAGE, dropped=("seed", "tools[0].strict"), status=502, error="idle"
        )
    )
    samples = scrape(metrics)
    of = 'model="fast",provider="openai"'
    assert samples[f'feathergate_model_requests_total{{{of},status="502"}}'] == 1
    assert samples[f'feathergate_failures_total{{fault="idle",{of}}}'] == 1
    assert samples[f'feathergate_request_duration_seconds_bucket{{le="0.25",{of}}}'] == 0
    assert samples[f'feathergate_request_duration_seconds_bucket{{le="0.5",{of}}}'] == 1
    assert samples[f'feathergate_first_token_seconds_bucket{{le="0.1",{of}}}'] == 1
    tokens = {"prompt": 10, "completion": 20, "cached": 4, "reasoning": 5}
    assert {kind: samples[f'feathergate_tokens_total{{kind="{kind}",{of}}}'] for kind in tokens} == tokens
    assert samples[f'feathergate_dropped_fields_total{{field="seed",{of}}}'] == 1
    assert samples[f'feathergate_dropped_fields_total{{field="tools",{of}}}'] == 1


def test_open_streams_rise_and_fall() -> None:
    metrics = Metrics(["fast"])
    for _ in range(3):
        metrics.stream_opened("fast", "openai")
    metrics.stream_closed("fast", "openai")
    assert scrape(metrics)['feathergate_streams_open{model="fast",provider="openai"}'] == 2


def test_no_created_samples() -> None:
    metrics = Metrics(["fast"])
    metrics.observe(build_outcome())
    assert b"_created" not in metrics.render()


# --- bounds -----------------------------------------------------------------------------------------------------


def test_labels_stay_bounded_whatever_comes() -> None:
    metrics = Metrics(["fast", "openai/*"])
    for number in range(500):
        word = f"x{number}"
        metrics.observe(build_outcome(model=word, provider=word, error=word, status=400 + number, dropped=(word,)))
        metrics.observe(build_outcome(model=f"openai/{word}"))
    assert labels_of(metrics, "model") == {"other", "openai/*"}
    assert labels_of(metrics, "fault") == {"other"}
    assert labels_of(metrics, "field") == {"other"}
    assert len(labels_of(metrics, "provider")) <= 102
    assert len(labels_of(metrics, "status")) < 70


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("fast", "fast"),
        ("openai/*", "openai/*"),
        ("openai/gpt-5", "openai/*"),
        ("openai/o3/mini", "openai/o3/*"),
        ("openai/" + "x" * 300, "other"),
        ("", "other"),
        ("fast\nfeathergate_requests_total 9", "other"),
    ],
)
def test_model_is_folded_to_its_configured_name(model: str, label: str) -> None:
    metrics = Metrics(["fast", "openai/*", "openai/o3/*"])
    metrics.observe(build_outcome(model=model))
    assert labels_of(metrics, "model") == {label}


def test_reload_brings_names_and_loses_none() -> None:
    metrics = Metrics(["fast"])
    metrics.allow(["slow"])
    for model in ("fast", "slow"):
        metrics.observe(build_outcome(model=model))
    assert labels_of(metrics, "model") == {"fast", "slow"}


def test_names_of_very_many_reloads_become_other_and_no_sum_goes_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODELS_LIMIT", 3)
    metrics = Metrics(["fast"])
    for number in range(8):
        metrics.observe(build_outcome())
        metrics.allow(["fast" if number % 2 else f"model-{number}"])
        metrics.observe(build_outcome(model=f"model-{number}"))
    assert totals(metrics) == [16, 16, 0]
    assert len(labels_of(metrics, "model")) <= 3 + 1


def test_last_reload_tells_whether_the_file_on_disk_is_in_use() -> None:
    metrics = Metrics()
    gauge, counter = "feathergate_config_last_reload_successful", "feathergate_config_reloads_total"
    assert scrape(metrics)[gauge] == 1
    metrics.note_reload(successful=False)
    assert (scrape(metrics)[gauge], scrape(metrics)[f'{counter}{{outcome="failure"}}']) == (0, 1)
    metrics.note_reload(successful=True)
    assert (scrape(metrics)[gauge], scrape(metrics)[f'{counter}{{outcome="success"}}']) == (1, 1)


def test_reload_is_counted_once_and_failing_if_one_worker_fails(tmp_path: Path) -> None:
    supervisor, one, two = open_worker(tmp_path), open_worker(tmp_path), open_worker(tmp_path)
    supervisor.note_reload(successful=True)
    one.note_reload(successful=True, counted=False)
    two.note_reload(successful=False)
    for metrics in (supervisor, one, two):
        metrics.flush()
    seen = scrape(one)
    assert seen['feathergate_config_reloads_total{outcome="success"}'] == 1
    assert seen["feathergate_config_last_reload_successful"] == 0


def test_shedding_is_told_while_it_lasts() -> None:
    metrics = Metrics()
    metrics.note_shedding("memory")
    assert scrape(metrics)['feathergate_shedding{reason="memory"}'] == 1
    metrics.note_shedding("")
    assert not [name for name in scrape(metrics) if name.startswith("feathergate_shedding")]


# --- workers ----------------------------------------------------------------------------------------------------


def open_worker(folder: Path) -> Metrics:
    return Metrics(["fast"], open_snapshots({FOLDER_VARIABLE: str(folder)}))


def test_every_worker_answers_for_all(tmp_path: Path) -> None:
    one, two = open_worker(tmp_path), open_worker(tmp_path)
    for status in (200, 200, 500):
        one.observe(build_outcome(status=status, usage=USAGE))
    two.observe(build_outcome(status=200))
    two.observe(build_outcome(status=499, model="two's alone"))
    assert totals(one) == [3, 2, 1]
    assert totals(two) == [4, 3, 1]
    assert scrape(one) == scrape(two)
    assert scrape(one)['feathergate_request_duration_seconds_bucket{le="0.5",model="fast",provider="openai"}'] == 4


def test_worker_tells_the_others_soon_after_a_change(tmp_path: Path) -> None:
    one, two = open_worker(tmp_path), open_worker(tmp_path)
    told: list[int] = []
    one.on_change = lambda: told.append(1)
    for changes in (1, 2):
        one.observe(build_outcome())
        one.stream_opened("fast", "openai")
        assert len(told) == changes
        one.flush()
        assert totals(two)[0] == changes


def test_change_after_a_scrape_is_told_too(tmp_path: Path) -> None:
    worker = open_worker(tmp_path)
    told: list[int] = []
    worker.on_change = lambda: told.append(1)
    for _ in range(2):
        worker.stream_opened("fast", "openai")
        worker.render()
    assert len(told) == 2


def test_lone_worker_has_nobody_to_tell() -> None:
    metrics = Metrics(["fast"], open_snapshots({}))
    told: list[int] = []
    metrics.on_change = lambda: told.append(1)
    metrics.observe(build_outcome())
    metrics.render()
    metrics.observe(build_outcome())
    assert told == []


async def test_counts_while_scrapes_go_on_are_exact(tmp_path: Path) -> None:
    one, two = open_worker(tmp_path), open_worker(tmp_path)
    scrapes = [asyncio.create_task(asyncio.to_thread(worker.render)) for worker in (one, two) * 20]
    for _ in range(2000):
        one.observe(build_outcome(usage=USAGE))
        two.observe(build_outcome(status=502))
        await asyncio.sleep(0)
    await asyncio.gather(*scrapes)
    one.flush()
    assert totals(two) == [4000, 2000, 2000]


# --- the page ---------------------------------------------------------------------------------------------------


def test_every_declaration_is_scraped_under_its_name() -> None:
    metrics = Metrics(["fast"])
    text = metrics.render().decode()
    heads = [(item.name, item.help, item.type) for item in DECLARATIONS]
    heads += [(item.name, item.help, item.type) for item in CONDITION_DECLARATIONS]
    for name, words, kind in heads:
        assert f"# HELP {name} {words}\n# TYPE {name} {kind}\n" in text
