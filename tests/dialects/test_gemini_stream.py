"""Gemini's streams as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.dialects.contract import Context
from feathergate.dialects.gemini import GEMINI
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Event,
    Extra,
    Finished,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
    check_legal,
)

CONTEXT = Context(model="asked")


def chunk(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **candidate: Any) -> dict[str, Any]:
    reason = {"finishReason": finish} if finish else {}
    return {"candidates": [{"content": {"parts": list(parts)}, "index": index, **reason, **candidate}]}


def read(*chunks: Any) -> list[Event]:
    decoder = GEMINI.open_stream(CONTEXT)
    events: list[Event] = []
    for data in chunks:
        events += decoder.decode(b"", data if isinstance(data, bytes) else json.dumps(data).encode())
    events += decoder.finish()
    check_legal(events)
    return events


def failed(*chunks: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        read(*chunks)
    return caught.value


def call(**members: Any) -> dict[str, Any]:
    return {"functionCall": members}


def calls(events: list[Event]) -> list[tuple[str, str]]:
    names = {event.tool: event.name for event in events if isinstance(event, ToolStarted)}
    return [(names[event.tool], event.text) for event in events if isinstance(event, ToolArgs)]


def test_text_flows_at_once() -> None:
    decoder = GEMINI.open_stream(CONTEXT)
    events = decoder.decode(b"", json.dumps({**chunk({"text": "a"}), "responseId": "r"}).encode())
    assert list(events) == [Started("r", "asked"), Text("a")]


def test_call_is_remembered_until_a_later_stop() -> None:
    events = read(chunk(call(name="f")), chunk({"text": ""}, finish="STOP"))
    assert events[-1] == Finished("tool_calls", native="STOP")


def test_calls_spread_over_chunks_are_counted_on() -> None:
    events = read(chunk(call(name="f")), chunk(call(name="g")), chunk(call(name="h"), finish="STOP"))
    assert [event.tool for event in events if isinstance(event, ToolStarted)] == [0, 1, 2]
    assert len({event.id for event in events if isinstance(event, ToolStarted)}) == 3


def test_stop_in_every_chunk_is_one_finish() -> None:
    events = read(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="SAFETY"))
    assert [event.text for event in events if isinstance(event, Text)] == ["a", "b"]
    assert events[-1] == Finished("content_filter", native="SAFETY")


@pytest.mark.parametrize(
    "empty",
    [
        {},
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        {"candidates": []},
        {"candidates": [{}]},
        {"candidates": [{"content": None}]},
        {"candidates": [{"content": {"role": "model"}}]},
        chunk({"text": ""}),
        chunk({}),
        chunk({"somethingNew": {}}),
        chunk(call()),
    ],
)
def test_chunk_without_content_says_nothing(empty: dict[str, Any]) -> None:
    events = [event for event in read(empty, chunk(finish="STOP"), empty) if not isinstance(event, Usage)]
    assert events == [Started("", "asked"), Finished("stop", native="STOP")]


def test_usage_is_the_last_and_comes_once() -> None:
    first = {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}
    last = {
        **chunk(finish="STOP"),
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
    }
    part = {"usageMetadata": {"trafficType": "ON_DEMAND"}}
    events = read(first, first, last, part)
    told = [event.usage for event in events if isinstance(event, Usage)]
    assert [(u.prompt_tokens, u.completion_tokens, u.total_tokens) for u in told] == [(9, 4, 13)]


def test_details_of_usage_stay_until_others_come() -> None:
    read_once = {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}], "serviceTier": "flex"}
    events = read(
        {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9, **read_once}},
        {**chunk(finish="STOP"), "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}},
    )
    told = events[-1]
    assert isinstance(told, Usage)
    assert (told.usage.prompt_tokens, told.service_tier) == (5, "flex")
    assert told.usage.prompt_tokens_details.audio_tokens == 9  # type: ignore[union-attr]


def test_citations_come_once_from_the_last_grounding_that_has_any() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [{"segment": {"endIndex": 2, "text": "ab"}, "groundingChunkIndices": [0]}],
    }
    events = read(
        chunk({"text": "a"}, groundingMetadata={}),
        chunk({"text": "bc"}, groundingMetadata=grounding),
        chunk(finish="STOP", groundingMetadata={}),
    )
    (annotations,) = [event for event in events if isinstance(event, Annotations)]
    assert annotations.items[0]["url_citation"]["end_index"] == 2
    assert events.index(annotations) == len(events) - 2


def test_signature_at_the_end_is_kept() -> None:
    events = read(chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "S"}, finish="STOP"))
    assert events[-2] == Extra({"google": {"thought_signature": "S"}})


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [[], [chunk({"text": "a"})], [{"usageMetadata": {}}], [chunk(call(name="f"))]])
def test_stream_without_a_finish_is_truncated(chunks: list[Any]) -> None:
    error = failed(*chunks)
    assert (error.kind, error.status, error.retryable) == ("truncated", 502, True)


def test_stream_with_one_unfinished_choice_is_truncated() -> None:
    assert failed(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1)).kind == "truncated"


def test_finish_reason_is_no_end_mark() -> None:
    decoder = GEMINI.open_stream(CONTEXT)
    decoder.decode(b"", json.dumps(chunk({"text": "a"}, finish="STOP")).encode())
    decoder.decode(b"", json.dumps(chunk({"text": "b"}, finish="STOP")).encode())
    assert not decoder.complete
    assert decoder.finish()[0] == Finished("stop", native="STOP")


def test_blocked_prompt_ends_the_stream_well() -> None:
    decoder = GEMINI.open_stream(CONTEXT)
    decoder.decode(b"", b'{"promptFeedback": {"blockReason": "SAFETY"}}')
    assert decoder.finish()[-1] == Finished("content_filter", native="SAFETY")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[DONE]", b'{"candidates": [{"index": "x"}]}', b'{"a": "\xff', b"[" * 9000]
)
def test_malformed_event_is_a_protocol_error(data: bytes) -> None:
    assert failed(chunk({"text": "a"}), data).kind == "protocol"


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 503, "message": "m", "status": "UNAVAILABLE"}, 502),
        ({"code": 429, "message": "m"}, 429),
        ({"message": "m", "status": "RESOURCE_EXHAUSTED"}, 429),
        ({"message": "m"}, 502),
        ("m", 502),
    ],
)
def test_error_within_the_stream_is_raised(wrap: Any, error: Any, status: int) -> None:
    raised = failed(chunk({"text": "a"}), wrap({"error": error}))
    assert (raised.status, raised.message) == (status, "m")


# --- arguments in pieces (Vertex) ---------------------------------------------------------------------------------


def piece(path: str, more: bool | None = True, **value: Any) -> dict[str, Any]:
    return chunk(call(partialArgs=[{"jsonPath": path, **value}], willContinue=more))


def test_arguments_in_pieces_are_put_together() -> None:
    events = read(
        chunk(call(name="f", willContinue=True)),
        piece("$.city", stringValue="New ", willContinue=True),
        piece("$.city", stringValue="York"),
        piece("$.days", numberValue=3),
        piece("$.stops[0]['street name']", stringValue="5th"),
        piece("$.stops[1]", nullValue="NULL_VALUE"),
        piece("$.far", boolValue=False),
        chunk(call()),
        chunk(finish="STOP"),
    )
    arguments = '{"city":"New York","days":3,"stops":[{"street name":"5th"},null],"far":false}'
    assert calls(events) == [("f", arguments)]
    assert events[-1] == Finished("tool_calls", native="STOP")


def test_last_piece_and_next_call_close_a_call() -> None:
    events = read(
        chunk(call(name="f", willContinue=True)),
        piece("$.a", more=None, numberValue=1.5),
        chunk(call(name="g", willContinue=True)),
        chunk(call(name="h"), finish="STOP"),
    )
    assert calls(events) == [("f", '{"a":1.5}'), ("g", "{}"), ("h", "{}")]


def test_open_call_is_closed_by_the_end() -> None:
    events = read(chunk(call(name="f", willContinue=True)), piece("$.a", stringValue="x"), chunk(finish="MAX_TOKENS"))
    assert calls(events) == [("f", '{"a":"x"}')]


@pytest.mark.parametrize("path", ["", "$", "a", "$.a[5]", "$[0]", "$.a.", "$..a", "$.a[99999999999]", "$" + ".a" * 99])
def test_place_that_cannot_be_is_a_protocol_error(path: str) -> None:
    assert failed(chunk(call(name="f", willContinue=True)), piece(path, stringValue="x")).kind == "protocol"


def test_pieces_of_no_call_are_a_protocol_error() -> None:
    assert failed(piece("$.a", stringValue="x")).kind == "protocol"
