"""What Anthropic's streams mean: the cases that the recordings do not hold."""

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
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
    check_legal,
)
from feathergate.wire.chat import PromptTokensDetails
from feathergate.wire.chat import Usage as TokenUsage

START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": []}}
END = ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"})
STARTED = Started("msg_1", "claude-x")
FINISHED = Finished("stop", native="end_turn")


def block(kind: str, /, *deltas: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": kind, **members}}
    pieces = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    return [start, *pieces, {"type": "content_block_stop", "index": 0}]


def text(*pieces: str) -> list[dict[str, Any]]:
    return block("text", *({"type": "text_delta", "text": piece} for piece in pieces), text="")


def tool(*pieces: str, name: str = "f", kind: str = "tool_use") -> list[dict[str, Any]]:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(kind, *deltas, id="toolu_1", name=name, input={})


def read(*events: dict[str, Any], context: Context | None = None) -> list[Event]:
    decoder = MESSAGES.open_stream(context or Context(model="m"))
    read = [ours for event in events for ours in decoder.decode(b"", json.dumps(event).encode())]
    read += decoder.finish()
    check_legal(read)
    return read


def test_stream_gives_text_as_it_comes() -> None:
    assert read(START, *text("a", "", "b"), *END) == [STARTED, Text("a"), Text("b"), FINISHED]


def test_stream_counts_tools_from_zero_past_other_blocks() -> None:
    events = read(START, *text("a"), *tool('{"a"', ":1}"), *tool("{}", name="g"), *END)
    assert [event for event in events if isinstance(event, (ToolStarted, ToolArgs))] == [
        ToolStarted(0, "toolu_1", "f"),
        ToolArgs(0, '{"a"'),
        ToolArgs(0, ":1}"),
        ToolStarted(1, "toolu_1", "g"),
        ToolArgs(1, "{}"),
    ]


@pytest.mark.parametrize("pieces", [(), ("",)])
def test_stream_gives_a_tool_without_json_an_empty_object(pieces: tuple[str, ...]) -> None:
    assert ToolArgs(0, "{}") in read(START, *tool(*pieces), *END)


def test_stream_keeps_a_custom_tools_input_until_it_is_whole() -> None:
    context = Context(model="m", custom_tools=frozenset({"f"}))
    events = read(START, *tool('{"input": "a', '\\nb"}'), *END, context=context)
    assert events[1:3] == [ToolStarted(0, "toolu_1", "f", kind="custom"), ToolArgs(0, "a\nb")]


def test_stream_gives_a_custom_tools_broken_input_as_it_is() -> None:
    context = Context(model="m", custom_tools=frozenset({"f"}))
    assert ToolArgs(0, '{"input": "a') in read(START, *tool('{"input": "a'), *END, context=context)


def test_stream_of_the_json_tool_is_text() -> None:
    context = Context(model="m", json_tool="json")
    assert read(START, *tool('{"a"', ":1}", name="json"), *END, context=context) == [
        STARTED,
        Text('{"a"'),
        Text(":1}"),
        FINISHED,
    ]


def test_stream_keeps_what_the_providers_tools_did_for_the_next_turn() -> None:
    found = {"tool_use_id": "toolu_1", "content": [{"encrypted_content": "x"}]}
    asked = tool('{"q"', ":1}", kind="server_tool_use")
    events = read(START, *asked, *block("web_search_tool_result", **found), *text("a", "b"), *END)
    content = [
        {"type": "server_tool_use", "id": "toolu_1", "name": "f", "input": {"q": 1}},
        {"type": "web_search_tool_result", **found},
        {"type": "text", "text": "ab"},
    ]
    assert [event for event in events if isinstance(event, Extra)] == [Extra({"anthropic": {"content": content}})]


def test_stream_says_all_citations_once_before_the_finish() -> None:
    citation = {"type": "web_search_result_location", "url": "https://e.com", "title": None}
    delta = {"type": "citations_delta", "citation": citation}
    cited = block("text", {"type": "text_delta", "text": "abc"}, delta, text="")
    events = read(START, *text("né "), *cited, *cited, *END)
    spans = [(3, 6), (6, 9)]
    assert events[-2] == Annotations(
        tuple(
            {
                "type": "url_citation",
                "url_citation": {"url": "https://e.com", "title": "", "start_index": start, "end_index": end},
            }
            for start, end in spans
        )
    )


def test_stream_usage_is_cumulative() -> None:
    counts = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}
    start = {"type": "message_start", "message": {**START["message"], "usage": counts}}  # type: ignore[dict-item]
    later = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": None, "output_tokens": 7}}
    details = PromptTokensDetails(cached_tokens=5)
    assert read(start, later, *END)[-1] == Usage(TokenUsage(15, 7, 22, prompt_tokens_details=details))


def test_stream_with_several_message_deltas_finishes_once_by_the_last() -> None:
    first = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    assert read(START, first, *END) == [STARTED, FINISHED]


def test_stream_spliced_of_two_starts_once() -> None:
    second = {"type": "message_start", "message": {"id": "msg_2", "model": "y", "content": []}}
    assert read(START, *text("a"), second, *text("b"), *END) == [STARTED, Text("a"), Text("b"), FINISHED]


def test_stream_may_start_with_content() -> None:
    message = {"id": "msg_1", "model": "claude-x", "content": [{"type": "text", "text": "a"}]}
    assert read({"type": "message_start", "message": message}, *END) == [STARTED, Text("a"), FINISHED]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "news", "delta": 7, "usage": "x"},
        {"type": "content_block_delta", "delta": {"type": "news_delta", "text": 7}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "out of a block"}},
        {},
    ],
)
def test_stream_passes_over_what_it_does_not_know(event: dict[str, Any]) -> None:
    assert read(START, event, *text("a"), event, *END) == [STARTED, Text("a"), FINISHED]


def test_stream_passes_over_blocks_of_unknown_types() -> None:
    unknown = block("news", {"type": "text_delta", "text": "a"}, text=7)
    assert read(START, *unknown, *END) == [STARTED, FINISHED]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[DONE]",
        b"7",
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":7}}',
        b'{"type":"message_delta","usage":{"output_tokens":"x"}}',
        b'{"type":"message_start"}',
        b'{"type":"message_start","message":{"id":7}}',
        b'{"type":"content_block_start"}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"\xff"}}',
        b'{"a":' + b"[" * 5000,
    ],
)
def test_stream_that_is_malformed_is_a_fault_of_protocol(data: bytes) -> None:
    decoder = MESSAGES.open_stream(Context(model="m"))
    decoder.decode(b"", json.dumps(START).encode())
    with pytest.raises(UpstreamError) as caught:
        decoder.decode(b"", data)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("event", [*text("a")[:1], END[1]])
def test_stream_without_a_start_is_a_fault_of_protocol(event: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(event)
    assert caught.value.kind == "protocol"


def test_error_in_a_stream_is_judged_by_its_type() -> None:
    with pytest.raises(UpstreamError, match="Overloaded") as caught:
        read(START, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert (caught.value.upstream_status, caught.value.status, caught.value.retryable) == (529, 502, True)


def test_stream_is_complete_at_its_end_mark_and_reads_no_further() -> None:
    decoder = MESSAGES.open_stream(Context(model="m"))
    for event in (START, *END):
        assert not decoder.complete
        decoder.decode(b"", json.dumps(event).encode())
    assert decoder.complete
    assert decoder.decode(b"", b"anything") == ()
