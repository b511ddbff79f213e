"""What Anthropic's answers mean: the cases that the recordings do not hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.dialects.contract import Context
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Event,
    Extra,
    Finished,
    Reasoning,
    Refusal,
    Signature,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    check_legal,
)

CITATION = {"type": "web_search_result_location", "url": "https://e.com", "title": "E", "cited_text": "x"}
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"encrypted_content": "abc"}]}


def parse(*blocks: Any, context: Context | None = None, stop: str | None = "end_turn", **members: Any) -> list[Event]:
    message = {"id": "msg_1", "model": "claude-x", "content": blocks, "stop_reason": stop, **members}
    events = list(MESSAGES.parse_answer(json.dumps(message).encode(), context or Context(model="m")))
    check_legal(events)
    return events


def tool_use(arguments: Any, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("compaction", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_answer_finishes_in_the_words_of_openai(native: str | None, reason: str) -> None:
    assert parse({"type": "text", "text": "x"}, stop=native)[-1] == Finished(reason, native=native)  # type: ignore[arg-type]


def test_answer_that_only_the_providers_tools_ran_in_is_no_tool_call() -> None:
    events = parse(SEARCH, FOUND, stop="tool_use")
    assert events[-1] == Finished("stop", native="tool_use")
    assert not [event for event in events if isinstance(event, ToolStarted)]


def test_answer_with_the_providers_tools_carries_its_content_as_it_came() -> None:
    said = {"type": "text", "text": "x"}
    assert Extra({"anthropic": {"content": [SEARCH, FOUND, said]}}) in parse(SEARCH, FOUND, said)


def test_answer_without_blocks_is_a_start_and_a_finish() -> None:
    assert parse() == [Started("msg_1", "claude-x"), Finished("stop", native="end_turn")]


def test_answer_gives_a_tool_its_name_back() -> None:
    events = parse(tool_use({"a": 1}, "a_b"), context=Context(model="m", tool_names={"a_b": "a.b"}), stop="tool_use")
    assert events[1:] == [
        ToolStarted(0, "toolu_1", "a.b"),
        ToolArgs(0, '{"a": 1}'),
        Finished("tool_calls", native="tool_use"),
    ]


def test_answer_keeps_the_digits_of_a_calls_arguments() -> None:
    body = (
        b'{"id":"i","model":"m","stop_reason":"tool_use","content":[{"type":"tool_use","id":"t",'
        b'"name":"f","input":{"z":1e400,"a":12345678901234567890123}}]}'
    )
    events = MESSAGES.parse_answer(body, Context(model="m"))
    assert ToolArgs(0, '{"z":1e400,"a":12345678901234567890123}') in events


@pytest.mark.parametrize("arguments", [{}, None])
def test_answer_gives_a_call_without_arguments_an_empty_object(arguments: Any) -> None:
    assert ToolArgs(0, "{}") in parse(tool_use(arguments), stop="tool_use")


def test_answer_gives_a_custom_tool_its_text() -> None:
    events = parse(tool_use({"input": "a\nb"}), context=Context(model="m", custom_tools=frozenset({"f"})))
    assert events[1:3] == [ToolStarted(0, "toolu_1", "f", kind="custom"), ToolArgs(0, "a\nb")]


def test_answer_by_the_json_tool_is_text() -> None:
    events = parse(tool_use({"a": 1}, "json"), context=Context(model="m", json_tool="json"), stop="tool_use")
    assert events[1:] == [Text('{"a": 1}'), Finished("stop", native="tool_use")]


def test_answer_numbers_its_blocks_of_thinking() -> None:
    first = {"type": "thinking", "thinking": "hm", "signature": "s1"}
    second = {"type": "thinking", "thinking": "", "signature": "s2"}
    assert parse(first, second)[1:4] == [Reasoning("hm", block=0), Signature("s1", 0), Signature("s2", 1)]


def test_answer_spans_a_citation_over_its_block_of_text() -> None:
    events = parse({"type": "text", "text": "né "}, {"type": "text", "text": "cité", "citations": [CITATION]})
    span = {"url": "https://e.com", "title": "E", "start_index": 3, "end_index": 7}
    assert events[3] == Annotations(({"type": "url_citation", "url_citation": span},))


def test_answer_gives_only_the_web_for_annotations() -> None:
    cited = {"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": "x"}, 7]}
    assert not [event for event in parse(cited) if isinstance(event, Annotations)]


def test_answer_refused_says_why() -> None:
    events = parse(stop="refusal", stop_details={"type": "refusal", "explanation": "No."})
    assert events[1:] == [Refusal("No."), Finished("content_filter", native="refusal")]


@pytest.mark.parametrize("block", [{"type": "new", "text": 5}, {"type": "new", "id": [1]}, {}])
def test_answer_passes_over_blocks_of_unknown_types(block: Any) -> None:
    assert Text("x") in parse(block, {"type": "text", "text": "x"})


def test_answer_tells_its_service_tier_in_openais_words() -> None:
    assert parse(usage={"service_tier": "standard"})[0] == Started("msg_1", "claude-x", service_tier="default")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"content":null}',
        b'{"content":[7]}',
        b'{"content":[{"type":"text","text":7}]}',
        b'{"content":[{"type":"text","text":"\xff"}]}',
        b'{"content":[' + b"[" * 5000,
    ],
)
def test_answer_of_another_shape_is_a_fault_of_protocol(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        MESSAGES.parse_answer(body, Context(model="m"))
    assert caught.value.kind == "protocol"


def test_error_under_200_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}'
    with pytest.raises(UpstreamError, match="Slow down") as caught:
        MESSAGES.parse_answer(body, Context(model="m"))
    assert (caught.value.status, caught.value.kind) == (429, "rate_limit")
