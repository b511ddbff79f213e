"""The metrics: one table of declarations, and what one outcome adds to them.

Three plain counters are derived at scrape time from the counter by status, so that they cannot disagree with it
or with each other. Every label is bounded: models by the configuration, the rest by lists known here; whatever
else comes is counted as `other`. Children are bound once per model and provider, so an outcome costs a few
increments. With PROMETHEUS_MULTIPROC_DIR set before the first import (the supervisor does) every worker answers
for all. Format: Prometheus text 0.0.4. docs/metrics.md is generated from `DECLARATIONS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple, get_args

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from feathergate.errors import Fault, UpstreamKind
from feathergate.observe.outcome import Outcome
from feathergate.wire.chat import ChatRequest, Usage

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
_SHARED = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""Whether the workers share their values: prometheus_client decides so when it is imported, and only then."""

PROVIDERS_LIMIT = 100
NAME_LIMIT = 256
"""Characters; a longer name of a model is not matched against wildcards."""

DURATION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Declaration(NamedTuple):
    """One metric as it is scraped. A counter without labels is derived from `feathergate_model_requests_total`."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


_BY_MODEL = ("model", "provider")
DECLARATIONS = (
    Declaration("feathergate_requests_total", "counter", "Requests to the completion endpoints that were answered."),
    Declaration("feathergate_requests_successful", "counter", "Answered requests whose status was below 400."),
    Declaration("feathergate_requests_failed", "counter", "Answered requests whose status was 400 or above."),
    Declaration(
        "feathergate_model_requests_total",
        "counter",
        "Answered requests by HTTP status; a stream that broke counts under its error's status.",
        (*_BY_MODEL, "status"),
    ),
    Declaration(
        "feathergate_failures_total",
        "counter",
        "Answered requests that failed, by class of fault.",
        (*_BY_MODEL, "fault"),
    ),
    Declaration(
        "feathergate_client_disconnects_total",
        "counter",
        "Requests whose client left before the answer was complete; they are in no other count of requests.",
        _BY_MODEL,
    ),
    Declaration(
        "feathergate_request_duration_seconds",
        "histogram",
        "Time from a request to the end of its answer.",
        _BY_MODEL,
    ),
    Declaration(
        "feathergate_first_token_seconds",
        "histogram",
        "Time from a streamed request to its first content.",
        _BY_MODEL,
    ),
    Declaration(
        "feathergate_tokens_total",
        "counter",
        "Tokens as the provider counted them; `prompt` includes `cached`, `completion` includes `reasoning`.",
        (*_BY_MODEL, "kind"),
    ),
    Declaration("feathergate_streams_open", "gauge", "Streams being sent now.", _BY_MODEL),
    Declaration(
        "feathergate_dropped_fields_total",
        "counter",
        "Request fields that the provider has no equivalent for and that were left out.",
        (*_BY_MODEL, "field"),
    ),
)

_STATUSES = {int(status): str(int(status)) for status in HTTPStatus}
_STATUS_LABELS = frozenset((*_STATUSES.values(), "1xx", "2xx", "3xx", "4xx", "5xx"))
_TOKEN_KINDS = frozenset(("prompt", "completion", "cached", "reasoning"))
_FAULTS = frozenset((*get_args(UpstreamKind), *get_args(Fault)))
_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(ChatRequest))
_NO_WORD = re.compile(r"\W")


def forget_worker(pid: int) -> None:
    """Take a dead worker's open streams out of the gauges; its counts stay. For the supervisor."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


class Metrics:
    """`models` are the configuration's names; `*` in one stands for any text."""

    def __init__(self, models: Iterable[str] = ()) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self._families = _Families(registry)
        self._source: Collector = registry
        if _SHARED:
            self._source = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        self._models: dict[str, None] = {}
        self._wildcards: list[tuple[re.Pattern[str], str]] = []
        self._providers: set[str] = set()
        self._series: dict[tuple[str, str], _Series] = {}
        self.allow(models)

    def allow(self, models: Iterable[str]) -> None:
        """Take up names that a reload has brought; names once known stay."""
        self._models.update(dict.fromkeys(models))
        wildcards = sorted((name for name in self._models if "*" in name), key=len, reverse=True)
        self._wildcards = [(_compile_wildcard(name), name) for name in wildcards]

    def observe(self, outcome: Outcome) -> None:
        """Count one request that is over."""
        series = self._find(outcome.model, outcome.provider)
        if outcome.counted:
            series.count_answer(outcome)
        else:
            series.disconnects.inc()
        if outcome.usage is not None:
            series.count_tokens(outcome.usage)
        for field in outcome.dropped:
            series.dropped.inc(_NO_WORD.split(field, 1)[0])

    def stream_opened(self, model: str, provider: str) -> None:
        self._find(model, provider).open.inc()

    def stream_closed(self, model: str, provider: str) -> None:
        self._find(model, provider).open.dec()

    def render(self) -> bytes:
        """The scrape. It may take tens of milliseconds: call it in a thread."""
        families = list(self._source.collect())
        return render_totals(families) + generate_latest(_Snapshot(families))

    def _find(self, model: str, provider: str) -> _Series:
        key = model, provider
        series = self._series.get(key)
        if series is None:
            key = self._fold_model(model), self._fold_provider(provider)
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series(self._families, *key)
        return series

    def _fold_model(self, model: str) -> str:
        if model in self._models:
            return model
        if len(model) > NAME_LIMIT:
            return OTHER
        return next((name for pattern, name in self._wildcards if pattern.fullmatch(model)), OTHER)

    def _fold_provider(self, provider: str) -> str:
        if provider and (provider in self._providers or len(self._providers) < PROVIDERS_LIMIT):
            self._providers.add(provider)
            return provider
        return OTHER


def render_totals(families: Iterable[Metric]) -> bytes:
    """The three plain counters, from the samples by status."""
    statuses = [
        (sample.labels["status"], int(sample.value))
        for family in families
        for sample in family.samples
        if sample.name == "feathergate_model_requests_total"
    ]
    total = sum(count for _, count in statuses)
    successful = sum(count for status, count in statuses if status[0] in "23")
    values = {
        "feathergate_requests_total": total,
        "feathergate_requests_successful": successful,
        "feathergate_requests_failed": total - successful,
    }
    return "".join(
        f"# HELP {item.name} {item.help}\n# TYPE {item.name} {item.type}\n{item.name} {values[item.name]}\n"
        for item in DECLARATIONS
        if item.name in values
    ).encode()


def _compile_wildcard(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)


class _Snapshot(Collector):
    """Families that have been collected already, as `generate_latest` wants them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Families:
    """The labelled declarations, registered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labelled = [item for item in DECLARATIONS if item.labels]
        self.counters = {
            item.name: Counter(item.name, item.help, item.labels, registry=registry)
            for item in labelled
            if item.type == "counter"
        }
        self.histograms = {
            item.name: Histogram(item.name, item.help, item.labels, registry=registry, buckets=DURATION_BUCKETS_S)
            for item in labelled
            if item.type == "histogram"
        }
        self.gauges = {
            item.name: Gauge(item.name, item.help, item.labels, registry=registry, multiprocess_mode="livesum")
            for item in labelled
            if item.type == "gauge"
        }


class _ByLabel:
    """A counter's children for one more label, bound at first use; a value that is not allowed counts as `other`."""

    __slots__ = ("_allowed", "_bound", "_counter", "_key")

    def __init__(self, counter: Counter, key: tuple[str, str], allowed: frozenset[str]) -> None:
        self._counter = counter
        self._key = key
        self._allowed = allowed
        self._bound: dict[str, Counter] = {}

    def inc(self, value: str, amount: int = 1) -> None:
        child = self._bound.get(value)
        if child is None:
            value = value if value in self._allowed else OTHER
            child = self._bound[value] = self._counter.labels(*self._key, value)
        child.inc(amount)


class _Series:
    """All children of one model and provider."""

    __slots__ = ("disconnects", "dropped", "duration", "failures", "first_token", "open", "requests", "tokens")

    def __init__(self, families: _Families, model: str, provider: str) -> None:
        key = model, provider
        counters, histograms = families.counters, families.histograms
        self.requests = _ByLabel(counters["feathergate_model_requests_total"], key, _STATUS_LABELS)
        self.failures = _ByLabel(counters["feathergate_failures_total"], key, _FAULTS)
        self.tokens = _ByLabel(counters["feathergate_tokens_total"], key, _TOKEN_KINDS)
        self.dropped = _ByLabel(counters["feathergate_dropped_fields_total"], key, _FIELDS)
        self.disconnects = counters["feathergate_client_disconnects_total"].labels(*key)
        self.duration = histograms["feathergate_request_duration_seconds"].labels(*key)
        self.first_token = histograms["feathergate_first_token_seconds"].labels(*key)
        self.open = families.gauges["feathergate_streams_open"].labels(*key)

    def count_answer(self, outcome: Outcome) -> None:
        status = outcome.status
        self.requests.inc(_STATUSES.get(status) or f"{status // 100}xx")
        if not outcome.successful:
            self.failures.inc(outcome.error)
        self.duration.observe(outcome.ended - outcome.started)
        if outcome.stream and outcome.first_content is not None:
            self.first_token.observe(outcome.first_content - outcome.started)

    def count_tokens(self, usage: Usage) -> None:
        self.tokens.inc("prompt", usage.prompt_tokens)
        self.tokens.inc("completion", usage.completion_tokens)
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        if prompt is not None and prompt.cached_tokens:
            self.tokens.inc("cached", prompt.cached_tokens)
        if completion is not None and completion.reasoning_tokens:
            self.tokens.inc("reasoning", completion.reasoning_tokens)
