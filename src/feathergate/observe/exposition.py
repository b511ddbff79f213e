"""Prometheus' text format, version 0.0.4, from what has been counted. Pure.

Written here because it is thirty lines, and because prometheus_client cost every start 26 ms and every worker 5 MiB.
Specification: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain

from feathergate.observe.condition import Condition
from feathergate.observe.declaration import CONDITION_DECLARATIONS, DECLARATIONS, Declaration, Reading, S
from feathergate.observe.series import DURATION_BUCKETS_S, Histogram, Series

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_BOUNDS = (*map(str, DURATION_BUCKETS_S), "+Inf")

Labels = Sequence[tuple[str, str]]


def render_metrics(series: Sequence[Series], condition: Condition) -> bytes:
    """The scrape; `series` holds each model and provider once, `condition` is that of all processes."""
    total = Series("", "")
    for one in series:
        total.add(one)
    lines = [_render_metric(item, series if item.labels else (total,)) for item in DECLARATIONS]
    lines += [_render_condition(item, condition) for item in CONDITION_DECLARATIONS]
    return "".join(chain.from_iterable(lines)).encode()


def _render_metric(item: Declaration[Series], series: Iterable[Series]) -> Iterator[str]:
    yield _render_head(item)
    for one in series:
        labels = tuple(zip(item.labels, (one.model, one.provider), strict=False))
        yield from _render_reading(item, labels, item.read(one))


def _render_condition(item: Declaration[Condition], condition: Condition) -> Iterator[str]:
    yield _render_head(item)
    yield from _render_reading(item, (), item.read(condition))


def _render_head(item: Declaration[S]) -> str:
    return f"# HELP {item.name} {item.help}\n# TYPE {item.name} {item.type}\n"


def _render_reading(item: Declaration[S], labels: Labels, reading: Reading) -> Iterator[str]:
    if isinstance(reading, Histogram):
        yield from _render_histogram(item.name, labels, reading)
    elif isinstance(reading, dict):
        for value, count in reading.items():
            yield _render_sample(item.name, (*labels, (item.labels[-1], value)), count)
    else:
        yield _render_sample(item.name, labels, reading)


def _render_histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    for bound, count in zip(_BOUNDS, accumulate(histogram.counts), strict=True):
        yield _render_sample(f"{name}_bucket", (*labels, ("le", bound)), count)
    yield _render_sample(f"{name}_count", labels, sum(histogram.counts))
    yield _render_sample(f"{name}_sum", labels, histogram.sum_s)


def _render_sample(name: str, labels: Labels, value: float) -> str:
    text = ",".join(f'{label}="{of.translate(_ESCAPES)}"' for label, of in sorted(labels))
    return f"{name}{{{text}}} {value}\n" if text else f"{name} {value}\n"
