"""Conformance checks, shipped, so that whoever writes a dialect or a routing strategy can run them on theirs.

Each raises `AssertionError` naming the promise that is broken. `check_strategy` needs the strategy only: it makes its
own groups. For a dialect, a case is a folder of plain files; `load_cases` reads them, `check_dialect` holds a dialect
to its contract with one of them:

    request.json    a client's chat request              upstream.json   what must be sent for it, body only
    stream.sse      the provider's stream, exactly       answer.json     the same answer, whole
    client.json     the chat completion that the client must get for either

What is promised: any split of the bytes gives the same events; the events are in legal order; the chunks have one
id, one `created`, the role once and first, tool indexes dense from 0, one finish a choice, then usage; folding the
stream equals the whole answer; no cut is silent; unknown events and members break nothing; the request is built
the same twice and is not changed. What a strategy promises stands at `check_strategy`. Source: DESIGN.md, "Tests".
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from feathergate.capability import find_capability
from feathergate.dialects.contract import Context, Dialect, Target
from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.dialects.translation import Translation
from feathergate.errors import UpstreamError
from feathergate.events import Event, check_legal
from feathergate.routing.contract import Candidate, Strategy
from feathergate.wire.codec import decode_chat
from feathergate.wire.sse import SseReader

_LIMIT_BYTES = 1 << 24
_CREATED = 1_700_000_000
_UNKNOWN = b'event: feathergate_unknown\ndata: {"type":"feathergate_unknown"}'

_HUGE = 10**30
# What each field of a candidate may hold; a figure that stands more than once makes ties.
_EXTREMES: dict[str, tuple[Any, ...]] = {
    "weight": (None, 0.0, 1.0, -1.0, math.nan, math.inf, 1e308),
    "rpm": (None, 0, 1, -1, _HUGE),
    "tpm": (None, 0, 1, -1, _HUGE, 1000),
    "order": (None, 0, 1, -1, _HUGE, 2, None, None, None, 1, 1),
    "in_flight": (0, 1, _HUGE, 2),
    "latency_s": (None, 0.0, 0.5, -1.0, math.nan, math.inf, 1e308, None, 0.52),
    "requests": (0, 1, _HUGE, 0, 0, 7, 1, 0),
    "tokens": (0, 1, _HUGE, 0, 0, 500, 500, 0, 0, 20, 1, 3, 0),
    "cost": (None, 0.0, 1e-6, -1.0, math.nan, math.inf, 1e308, 1e-6, 1e-5, 2e-6),
}
_DRAWS = (*(step / 32 for step in range(32)), math.nextafter(1.0, 0.0))
_CANDIDATE_LIMIT_S = 10e-6


class Case(msgspec.Struct, frozen=True):
    """One case's files; None for those that are not there. `model` is the upstream's, for the capability row."""

    name: str
    model: str = "unknown"
    request: bytes | None = None
    upstream: Any = None
    stream: bytes | None = None
    answer: bytes | None = None
    client: Any = None


def load_cases(folder: Path) -> Iterator[Case]:
    """Every case below `folder`, by name."""
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        request = _read(path / "request.json")
        yield Case(
            name=path.name,
            model=json.loads(request)["model"] if request else "unknown",
            request=request,
            upstream=_read_json(path / "upstream.json"),
            stream=_read(path / "stream.sse"),
            answer=_read(path / "answer.json"),
            client=_read_json(path / "client.json"),
        )


def check_dialect(dialect: Dialect, case: Case) -> None:
    """Hold `dialect` to its contract with one case. Raises `AssertionError`."""
    context = check_request(dialect, case) if case.request is not None else Context(model=case.model)
    folded = []
    if case.stream is not None:
        check_stream(dialect, context, case.stream)
        events = read_stream(dialect, context, [case.stream])
        folded.append(("the folded stream", _fold(events, context)))
    if case.answer is not None:
        whole = dialect.parse_answer(case.answer, context)
        check_legal(whole)
        folded.append(("the whole answer", _fold(whole, context)))
    for what, completion in folded:
        _same(completion, folded[0][1], f"{what} differs from {folded[0][0]}")
        if case.client is not None:
            _same(completion, case.client, f"{what} is not what the client must get")


def check_request(dialect: Dialect, case: Case) -> Context:
    """The request is built as expected, the same twice, and the client's own is left as it was."""
    assert case.request is not None
    request, members = decode_chat(case.request)
    before = (copy.deepcopy({name: bytes(value) for name, value in members.items()}), repr(request))
    target = Target(case.model, find_capability(case.model))
    first, second = (dialect.build_request(request, members, target) for _ in range(2))
    after = ({name: bytes(value) for name, value in members.items()}, repr(request))
    assert after == before, "building changed the client's request"
    assert (first.path, first.body, first.headers) == (second.path, second.body, second.headers), (
        "attempt two differs from attempt one"
    )
    if case.upstream is not None:
        _same(json.loads(first.body), case.upstream, "the upstream request is not as expected")
    return first.context


def check_stream(dialect: Dialect, context: Context, stream: bytes, *, every_split: bool = True) -> None:
    """Order, chunks, splits, cuts and strangers of one whole stream."""
    events = read_stream(dialect, context, [stream])
    check_legal(events)
    check_chunks(render_stream(dialect, context, [stream]))
    bytewise = [stream[at : at + 1] for at in range(len(stream))]
    _same(read_stream(dialect, context, bytewise), events, "byte by byte gives other events")
    if every_split:
        for at in range(1, len(stream)):
            pieces = [stream[:at], stream[at:]]
            _same(read_stream(dialect, context, pieces), events, f"a split at byte {at} gives other events")
    check_cuts(dialect, context, stream, every=1 if every_split else 97)
    _same(read_stream(dialect, context, [_with_strangers(stream)]), events, "an unknown event changes the answer")


def check_cuts(dialect: Dialect, context: Context, stream: bytes, *, every: int = 1) -> None:
    """A cut stream is an error, or has all that the whole one says: nothing is lost in silence."""
    whole, _ = _read_cut(dialect, context, stream)
    for at in range(0, len(stream), every):
        chunks, error = _read_cut(dialect, context, stream[:at])
        if error is None:
            _same(chunks, whole, f"a cut at byte {at} goes unnoticed")


def check_chunks(chunks: Sequence[dict[str, Any]]) -> None:
    """What the official SDK's accumulator needs of a stream of chunks."""
    assert len({chunk["id"] for chunk in chunks}) == 1, "more than one id"
    assert len({chunk["created"] for chunk in chunks}) == 1, "more than one created"
    roles: dict[int, int] = {}
    tools: dict[int, int] = {}
    finished: set[int] = set()
    for position, chunk in enumerate(chunks):
        if not chunk["choices"]:
            assert position == len(chunks) - 1, "a chunk without choices that is not the last"
            assert chunk["usage"], "a chunk without choices and without usage"
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert index not in finished, f"choice {index} goes on after its finish"
            assert ("role" in delta) == (index not in roles), f"the role of choice {index} is not once and first"
            roles[index] = 1
            for call in delta.get("tool_calls", ()):
                known = tools.setdefault(index, 0)
                assert call["index"] <= known, f"a gap before tool {call['index']} of choice {index}"
                assert ("id" in call) == (call["index"] == known), f"the id of tool {call['index']} is not once"
                tools[index] = max(known, call["index"] + 1)
            if choice["finish_reason"] is not None:
                finished.add(index)
    assert finished == set(roles), "a choice without a finish"


def check_strategy(strategy: Strategy) -> None:
    """Hold a routing strategy to `routing/contract.py`, on groups of every size and with odd figures in every field.

    It returns one of those given, and one of the lowest `order` where any has one; the same for the same candidates and
    draw; it leaves them as they were; of candidates that are alike, each is reached by some draw; and it takes at most
    10 µs of CPU for each candidate. Raises `AssertionError`, or what the strategy itself raises.
    """
    for group in _build_groups():
        for draw in _DRAWS:
            _check_pick(strategy, group, draw)
    for field, values in _EXTREMES.items():
        for value in values:
            alike = [Candidate(index, **{field: value}) for index in range(4)]
            reached = {strategy(alike, draw).index for draw in _DRAWS}
            assert reached == {0, 1, 2, 3}, f"of four alike, with {field}={value!r}, only {sorted(reached)} are reached"
    crowd = [Candidate(index, rpm=index % 7, in_flight=index % 5) for index in range(1000)]
    taken_s = min(_measure(strategy, crowd) for _ in range(3))
    assert taken_s <= _CANDIDATE_LIMIT_S * len(crowd), f"1,000 candidates take {taken_s * 1000:.1f} ms of CPU"


def _build_groups() -> Iterator[list[Candidate]]:
    """Groups that differ in one field, with all of its figures; then groups of one to six that differ in all."""
    for field, values in _EXTREMES.items():
        yield [Candidate(index, **{field: value}) for index, value in enumerate(values)]
    # Lengths without a common pattern, so that the figures meet in ever new combinations.
    rows = zip(*map(cycle, _EXTREMES.values()), strict=True)
    for size in islice(cycle(range(1, 7)), 200):
        fields = [dict(zip(_EXTREMES, row, strict=True)) for row in islice(rows, size)]
        yield [Candidate(index, **each) for index, each in enumerate(fields)]


def _check_pick(strategy: Strategy, group: list[Candidate], draw: float) -> None:
    before, given = repr(group), f"of {len(group)} candidates with a draw of {draw}"
    picked = strategy(group, draw)
    assert repr(group) == before, f"the candidates were changed: {before}"
    assert any(picked is candidate for candidate in group), f"{given}, {picked!r} is none of {before}"
    first = min((candidate.order for candidate in group if candidate.order is not None), default=None)
    assert picked.order == first, f"{given}, one of order {picked.order} was picked, and {first} is the lowest"
    for again in (group, tuple(group)):
        assert strategy(again, draw) is picked, f"{given}, the same candidates and draw gave two answers: {before}"


def _measure(strategy: Strategy, group: Sequence[Candidate]) -> float:
    start_s = time.process_time()
    strategy(group, 0.5)
    return time.process_time() - start_s


def read_stream(dialect: Dialect, context: Context, pieces: Sequence[bytes]) -> list[Event]:
    """The events of a stream that comes in `pieces`. Raises `UpstreamError` as the dialect does."""
    reader, decoder = SseReader(_LIMIT_BYTES), dialect.open_stream(context)
    events: list[Event] = []
    for piece in pieces:
        for name, data in reader.feed(piece):
            if not decoder.complete:
                events += decoder.decode(name, data)
    last = reader.close()
    if last is not None and not decoder.complete:
        events += decoder.decode(*last)
    return [*events, *decoder.finish()]


def render_stream(dialect: Dialect, context: Context, pieces: Sequence[bytes]) -> list[dict[str, Any]]:
    """The chunks that a client gets of a stream, usage asked for. Raises `UpstreamError`."""
    renderer = ChunkRenderer("chatcmpl-test", _CREATED, include_usage=True)
    pipe = Pipe(Translation(dialect, context, renderer), _LIMIT_BYTES)
    out = b"".join(map(pipe.feed, pieces)) + pipe.close()
    if pipe.error is not None:
        raise pipe.error
    payloads = [data for _, data in SseReader(_LIMIT_BYTES).feed(out)]
    assert payloads.index(b"[DONE]") == len(payloads) - 1, "[DONE] is not once and last"
    return [json.loads(payload) for payload in payloads[:-1]]


def _fold(events: Sequence[Event], context: Context) -> Any:
    body = render_answer(events, "chatcmpl-test", _CREATED, legacy_functions=context.legacy_functions)
    return json.loads(body)


def _read_cut(dialect: Dialect, context: Context, stream: bytes) -> tuple[Any, UpstreamError | None]:
    """The choices that a client would make of the stream, and the error that it would see."""
    pipe = Pipe(Translation(dialect, context, ChunkRenderer("chatcmpl-test", _CREATED)), _LIMIT_BYTES)
    out = pipe.feed(stream) + pipe.close()
    chunks = [json.loads(data) for _, data in SseReader(_LIMIT_BYTES).feed(out) if data != b"[DONE]"]
    return [chunk["choices"] for chunk in chunks], pipe.error


def _with_strangers(stream: bytes) -> bytes:
    """The stream with an unknown event and a comment between all of its events."""
    blank = b"\r\n\r\n" if b"\r\n\r\n" in stream else b"\n\n"
    return (blank + _UNKNOWN + blank + b": comment" + blank).join(stream.rstrip().split(blank)) + blank


def _same(got: object, expected: object, complaint: str) -> None:
    assert got == expected, f"{complaint}\n got: {got!r}\nwant: {expected!r}"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _read_json(path: Path) -> Any:
    content = _read(path)
    return None if content is None else json.loads(content)
