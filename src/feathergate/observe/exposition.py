"""Prometheus' text format, version 0.0.4, from what has been counted. Pure.

Written here because it is thirty lines, and because prometheus_client cost every start 26 ms and every worker 5 MiB.
Specification: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from feathergate.observe.declaration import DECLARATIONS, Declaration
from feathergate.observe.series import DURATION_BUCKETS_S, Histogram, Series

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_BOUNDS = (*map(str, DURATION_BUCKETS_S), "+Inf")

Labels = Sequence[tuple[str, str]]


def render_metrics(series: Sequence[Series]) -> bytes:
    """The scrape; `series` holds each model and provider once."""
    total = Series("", "")
    for one in series:
        total.add(one)
    lines = (line for item in DECLARATIONS for line in _render_metric(item, series if item.labels else (total,)))
    return "".join(lines).encode()


def _render_metric(item: Declaration, series: Iterable[Series]) -> Iterator[str]:
    yield f"# HELP {item.name} {item.help}\n# TYPE {item.name} {item.type}\n"
    for one in series:
        labels = tuple(zip(item.labels, (one.model, one.provider), strict=False))
        reading = item.read(one)
        if isinstance(reading, Histogram):
            yield from _render_histogram(item.name, labels, reading)
        elif isinstance(reading, int):
            yield _render_sample(item.name, labels, reading)
        else:
            for value, count in reading.items():
                yield _render_sample(item.name, (*labels, (item.labels[-1], value)), count)


def _render_histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    for bound, count in zip(_BOUNDS, accumulate(histogram.counts), strict=True):
        yield _render_sample(f"{name}_bucket", (*labels, ("le", bound)), count)
    yield _render_sample(f"{name}_count", labels, sum(histogram.counts))
    yield _render_sample(f"{name}_sum", labels, histogram.sum_s)


def _render_sample(name: str, labels: Labels, value: float) -> str:
    text = ",".join(f'{label}="{of.translate(_ESCAPES)}"' for label, of in sorted(labels))
    return f"{name}{{{text}}} {value}\n" if text else f"{name} {value}\n"
