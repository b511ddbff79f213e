"""The metrics: one table, a row each. docs/metrics.md and the scrape are made from it.

A row says what is scraped and where it is read from; what is counted, and when, is in `metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from feathergate.observe.series import Counts, Histogram, Series

Reading = int | Counts | Histogram
"""One number; or one for each value of the last label; or a histogram."""


class Declaration(NamedTuple):
    """One metric as it is scraped. One without labels is the sum over all models and providers."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[Series], Reading]


def _count_answers(series: Series) -> int:
    return sum(series.statuses.values())


def _count_successful(series: Series) -> int:
    return sum(count for status, count in series.statuses.items() if status[0] in "23")


def _count_failed(series: Series) -> int:
    return _count_answers(series) - _count_successful(series)


_BY_MODEL = ("model", "provider")

# The first three are derived from the counter by status, so that they can disagree neither with it nor with each
# other (docs/decisions/0005-derived-counters.md).
DECLARATIONS = (
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
)
