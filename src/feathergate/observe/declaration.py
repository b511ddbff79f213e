"""The metrics: one table, a row each. docs/metrics.md and the scrape are made from it.

A row says what is scraped and where it is read from; what is counted, and when, is in `metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, TypeVar

from feathergate.observe.condition import Condition
from feathergate.observe.series import Counts, Histogram, Series

S = TypeVar("S")

Reading = float | Counts | Histogram
"""One number; or one for each value of the last label; or a histogram."""


class Declaration(NamedTuple, Generic[S]):
    """One metric as it is scraped. Of a `Series`, one without labels is the sum over all models and providers."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[S], Reading]


def _count_answers(series: Series) -> int:
    return sum(series.statuses.values())


def _count_successful(series: Series) -> int:
    return sum(count for status, count in series.statuses.items() if status[0] in "23")


def _count_failed(series: Series) -> int:
    return _count_answers(series) - _count_successful(series)


_BY_MODEL = ("model", "provider")

# The first three are derived from the counter by status, so that they can disagree neither with it nor with each
# other (docs/decisions/0005-derived-counters.md).
DECLARATIONS: tuple[Declaration[Series], ...] = (
    Declaration(
        "feathergate_requests_total",
        "counter",
        "Requests to the completion endpoints that were answered.",
        (),
        _count_answers,
    ),
    Declaration(
        "feathergate_requests_successful",
        "counter",
        "Answered requests whose status was below 400.",
        (),
        _count_successful,
    ),
    Declaration(
        "feathergate_requests_failed",
        "counter",
        "Answered requests whose status was 400 or above.",
        (),
        _count_failed,
    ),
    Declaration(
        "feathergate_model_requests_total",
        "counter",
        "Answered requests by HTTP status; a stream that broke counts under its error's status.",
        (*_BY_MODEL, "status"),
        lambda series: series.statuses,
    ),
    Declaration(
        "feathergate_failures_total",
        "counter",
        "Answered requests that failed, by class of fault.",
        (*_BY_MODEL, "fault"),
        lambda series: series.faults,
    ),
    Declaration(
        "feathergate_client_disconnects_total",
        "counter",
        "Requests whose client left before the answer was complete; they are in no other count of requests.",
        _BY_MODEL,
        lambda series: series.disconnects,
    ),
    Declaration(
        "feathergate_request_duration_seconds",
        "histogram",
        "Time from a request to the end of its answer.",
        _BY_MODEL,
        lambda series: series.duration,
    ),
    Declaration(
        "feathergate_first_token_seconds",
        "histogram",
        "Time from a streamed request to its first content.",
        _BY_MODEL,
        lambda series: series.first_token,
    ),
    Declaration(
        "feathergate_tokens_total",
        "counter",
        "Tokens as the provider counted them; `prompt` includes `cached`, `completion` includes `reasoning`.",
        (*_BY_MODEL, "kind"),
        lambda series: series.tokens,
    ),
    Declaration(
        "feathergate_streams_open",
        "gauge",
        "Streams being sent now.",
        _BY_MODEL,
        lambda series: series.open_streams,
    ),
    Declaration(
        "feathergate_dropped_fields_total",
        "counter",
        "Request fields that the provider has no equivalent for and that were left out.",
        (*_BY_MODEL, "field"),
        lambda series: series.dropped,
    ),
    Declaration(
        "feathergate_attempt_failures_total",
        "counter",
        "Attempts that failed for the provider's reasons, by class of fault, whatever became of the request; `auth` is "
        "a key that was refused.",
        (*_BY_MODEL, "fault"),
        lambda series: series.attempt_failures,
    ),
    Declaration(
        "feathergate_retries_total",
        "counter",
        "Attempts after a request's first, under the model that answered or failed last.",
        _BY_MODEL,
        lambda series: series.retries,
    ),
    Declaration(
        "feathergate_fallbacks_total",
        "counter",
        "Requests that a fallback answered or failed last, under the fallback.",
        _BY_MODEL,
        lambda series: series.fallbacks,
    ),
    Declaration(
        "feathergate_cooldowns_total",
        "counter",
        "Deployments that began to cool down after failures.",
        _BY_MODEL,
        lambda series: series.cooldowns,
    ),
    Declaration(
        "feathergate_hedges_total",
        "counter",
        "Second deployments that were asked because the first was slow.",
        _BY_MODEL,
        lambda series: series.hedges,
    ),
)

CONDITION_DECLARATIONS: tuple[Declaration[Condition], ...] = (
    Declaration(
        "feathergate_config_reloads_total",
        "counter",
        "Reloads of the configuration that were asked for.",
        ("outcome",),
        lambda condition: condition.reloads,
    ),
    Declaration(
        "feathergate_config_last_reload_successful",
        "gauge",
        "1 where the last reload succeeded, or there was none; 0 where it left the old configuration.",
        (),
        lambda condition: int(not condition.reload_failing),
    ),
    Declaration(
        "feathergate_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When the configuration in use was read, in seconds since 1970.",
        (),
        lambda condition: condition.configured_s,
    ),
    Declaration(
        "feathergate_shedding",
        "gauge",
        "Workers that answer new requests with 503 now: too little `memory`, too few `descriptors`, or `draining`.",
        ("reason",),
        lambda condition: condition.shedding,
    ),
)
