"""The metrics: what one outcome adds to the counts, and the scrape.

An outcome costs a few increments of plain numbers; the text is made from them when it is asked for. Every label is
bounded: models by the configuration, the rest by lists known here; whatever else comes is counted as `other`. With
several workers each writes its counts where the others find them, so that every one answers for all: at a scrape,
and soon after a change (`on_change`, `flush`). The metrics are declared in `declaration.py`.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, get_args

import msgspec

from feathergate.errors import Fault, UpstreamKind
from feathergate.observe.condition import FAILURE, SUCCESS, Condition, Told, decode_told, encode_told
from feathergate.observe.exposition import render_metrics
from feathergate.observe.outcome import TOKENS_LIMIT, Outcome
from feathergate.observe.series import (
    DURATION_BUCKETS_S,
    Counts,
    Histogram,
    Series,
    merge_series,
)
from feathergate.observe.snapshot import Snapshots
from feathergate.wire.chat import ChatRequest, Usage

OTHER: Final = "other"

PROVIDERS_LIMIT = 100
MODELS_LIMIT = 10_000
"""Names known over all reloads; beyond, those that are configured no more are counted as `other`."""
NAME_LIMIT = 256
"""Characters; a longer name of a model is not matched against wildcards."""

_STATUSES: Final = {int(status): str(int(status)) for status in HTTPStatus}
_CLASSES: Final = frozenset(("1xx", "2xx", "3xx", "4xx", "5xx"))
_FAULTS: Final = frozenset((*get_args(UpstreamKind), *get_args(Fault)))
_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(ChatRequest))
_NO_WORD: Final = re.compile(r"\W")


def _ignore() -> None:
    return


class Metrics:
    """`models` are the configuration's names; `*` in one stands for any text. With `snapshots`, `on_change` is
    called when the other workers do not know all any more, once until the next `flush`."""

    def __init__(self, models: Iterable[str] = (), snapshots: Snapshots | None = None) -> None:
        self.on_change: Callable[[], object] = _ignore
        self._snapshots = snapshots
        # Always true where there is nobody to tell.
        self._changed = snapshots is None
        self._flushing = threading.Lock()
        self._models: dict[str, None] = {}
        self._wildcards: list[tuple[re.Pattern[str], str]] = []
        self._providers: set[str] = set()
        self._series: dict[tuple[str, str], Series] = {}
        self._condition = Condition()
        self.allow(models)

    def allow(self, models: Iterable[str]) -> None:
        """Take up names that a reload has brought; names once known stay, up to `MODELS_LIMIT`."""
        configured = dict.fromkeys(models)
        self._models.update(configured)
        if len(self._models) > MODELS_LIMIT:
            self._models = configured
            self._fold_series()
        wildcards = sorted((name for name in self._models if "*" in name), key=len, reverse=True)
        self._wildcards = [(_compile_wildcard(name), name) for name in wildcards]

    def observe(self, outcome: Outcome) -> None:
        """Count one request that is over."""
        series = self._find(outcome.model, outcome.provider)
        if outcome.counted:
            _count_answer(series, outcome)
        else:
            series.disconnects += 1
        if outcome.attempts > 1:
            series.retries += outcome.attempts - 1
        if outcome.fallback:
            series.fallbacks += 1
        if outcome.usage is not None:
            _count_usage(series.tokens, outcome.usage)
        if outcome.dropped:
            for field in outcome.dropped:
                _count(series.dropped, _fold(_NO_WORD.split(field, 1)[0], _FIELDS))
        if not self._changed:
            self._tell()

    def stream_opened(self, model: str, provider: str) -> None:
        self._move_open_streams(model, provider, 1)

    def stream_closed(self, model: str, provider: str) -> None:
        self._move_open_streams(model, provider, -1)

    def count_attempt_failure(self, model: str, provider: str, fault: str) -> None:
        """An attempt failed for the provider's reasons."""
        _count(self._find(model, provider).attempt_failures, _fold(fault, _FAULTS))
        self._tell_change()

    def count_cooldown(self, model: str, provider: str) -> None:
        """A deployment began to cool down."""
        self._find(model, provider).cooldowns += 1
        self._tell_change()

    def count_hedge(self, model: str, provider: str) -> None:
        """A second deployment was asked beside a slow one."""
        self._find(model, provider).hedges += 1
        self._tell_change()

    def note_reload(self, *, successful: bool, counted: bool = True) -> None:
        """The configuration has been read anew, or could not be; one that is not `counted` another process counts."""
        condition = self._condition
        condition.reload_failing = int(not successful)
        if counted:
            _count(condition.reloads, SUCCESS if successful else FAILURE)
        self._tell()

    def note_configured(self, wall_time_s: float) -> None:
        """The configuration in use was read then, in seconds since 1970."""
        self._condition.configured_s = wall_time_s
        self._tell()

    def note_shedding(self, reason: str) -> None:
        """Why new requests are answered 503 from now on; empty where they are not."""
        self._condition.shedding = {reason: 1} if reason else {}
        self._tell()

    def flush(self) -> bytes:
        """Write what has been counted where the other workers find it; returns the snapshot. Thread-safe; it may
        wait for a disk: call it in a thread."""
        with self._flushing:
            # Before the snapshot is taken: what is counted from here on is told again.
            self._changed = self._snapshots is None
            snapshot = encode_told(Told(list(self._series.values()), self._condition))
            if self._snapshots is not None:
                self._snapshots.write(snapshot)
            return snapshot

    def render(self) -> bytes:
        """The scrape. It may take tens of milliseconds: call it in a thread.

        It flushes too: what one worker has told, another does not contradict."""
        own = decode_told(self.flush())
        others = [] if self._snapshots is None else list(self._snapshots.read_others())
        for other in others:
            own.condition.add(other.condition)
        series = merge_series(one for told in (own, *others) for one in told.series)
        return render_metrics(series, own.condition)

    def _move_open_streams(self, model: str, provider: str, step: int) -> None:
        self._find(model, provider).open_streams += step
        self._tell_change()

    def _tell_change(self) -> None:
        if not self._changed:
            self._tell()

    def _tell(self) -> None:
        self._changed = True
        self.on_change()

    def _find(self, model: str, provider: str) -> Series:
        series = self._series.get((model, provider))
        if series is None:
            key = self._fold_model(model), self._fold_provider(provider)
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series(*key)
        return series

    def _fold_series(self) -> None:
        """What has been counted of names that are known no more is `other`'s, so that no sum goes down."""
        known, self._series = self._series, {}
        for (model, provider), series in known.items():
            key = self._fold_model(model), provider
            self._series.setdefault(key, Series(*key)).add(series)

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


def _count(counts: Counts, label: str) -> None:
    counts[label] = counts.get(label, 0) + 1


def _count_answer(series: Series, outcome: Outcome) -> None:
    status = outcome.status
    _count(series.statuses, _STATUSES.get(status) or _fold(f"{status // 100}xx", _CLASSES))
    if not outcome.successful:
        _count(series.faults, _fold(outcome.error, _FAULTS))
    count_duration(series.duration, outcome.ended - outcome.started)
    if outcome.stream and outcome.first_content is not None:
        count_duration(series.first_token, outcome.first_content - outcome.started)


def count_duration(histogram: Histogram, duration_s: float) -> None:
    histogram.counts[bisect_left(DURATION_BUCKETS_S, duration_s)] += 1
    histogram.sum_s += duration_s


def _count_usage(tokens: Counts, usage: Usage) -> None:
    _count_tokens(tokens, "prompt", usage.prompt_tokens)
    _count_tokens(tokens, "completion", usage.completion_tokens)
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    if prompt is not None and prompt.cached_tokens:
        _count_tokens(tokens, "cached", prompt.cached_tokens)
    if completion is not None and completion.reasoning_tokens:
        _count_tokens(tokens, "reasoning", completion.reasoning_tokens)


def _count_tokens(tokens: Counts, kind: str, number: int) -> None:
    """`number` is an upstream's word: one that is out of all reason adds nothing."""
    tokens[kind] = tokens.get(kind, 0) + (number if 0 <= number <= TOKENS_LIMIT else 0)


def _fold(label: str, allowed: frozenset[str]) -> str:
    return label if label in allowed else OTHER


def _compile_wildcard(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
