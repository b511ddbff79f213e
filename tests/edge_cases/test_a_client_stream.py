"""Section A: server-sent events towards the client."""

from __future__ import annotations

import json

import pytest
from openai._streaming import SSEDecoder
from tests.edge_cases.asking import (
    CLAUDE,
    CLAUDE_4_5,
    GEMINI_3,
    HELLO,
    JSON,
    answer,
    anthropic_answer,
    anthropic_stream,
    arguments,
    block,
    build,
    chunks,
    deltas,
    finishes,
    gemini_response,
    gemini_stream,
    open_pipe,
    openai_chunk,
    openai_stream,
    refused,
    said,
    sent,
    text,
    use,
)

from feathergate.dialects.render import render_error_event
from feathergate.errors import UpstreamError
from feathergate.events import Finished
from feathergate.wire import sse

WORDS = block(0, text(""), said("Let me "), said("look."))
CALL = block(1, use("c1", "f"), arguments('{"a":'), arguments("1}"))
CALLS = anthropic_stream(*WORDS, *CALL, *block(2, use("c2", "g"), arguments("{}")), stop="tool_use")
GEMINI_CALLS = gemini_stream(
    gemini_response({"text": "Let me "}, {"text": "look."}),
    gemini_response({"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}),
    gemini_response({"functionCall": {"id": "c2", "name": "g", "args": {}}}, finish="STOP", usageMetadata={}),
)
OPENAI_CALLS = openai_stream(
    openai_chunk(role="assistant", content=None),
    openai_chunk(
        content=None,
        tool_calls=[{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}],
    ),
    openai_chunk(content=None, tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
    openai_chunk("tool_calls"),
    b"[DONE]",
)
both_streams = pytest.mark.parametrize(("model", "stream"), [(CLAUDE, CALLS), (GEMINI_3, GEMINI_CALLS)])


@both_streams
def test_001_role_is_in_the_first_delta_only(model: str, stream: bytes) -> None:
    rendered = chunks(model, stream)
    assert deltas(rendered, "role") == ["assistant"]
    assert rendered[0]["choices"][0]["delta"]["role"] == "assistant"


@both_streams
def test_002_id_and_name_of_a_call_are_said_once(model: str, stream: bytes) -> None:
    calls = [call for part in deltas(chunks(model, stream), "tool_calls") for call in part]
    assert [call["id"] for call in calls if "id" in call] == ["c1", "c2"]
    assert [call["function"]["name"] for call in calls if "name" in call["function"]] == ["f", "g"]


@both_streams
def test_003_calls_are_counted_from_zero_whatever_stands_before_them(model: str, stream: bytes) -> None:
    calls = [call for part in deltas(chunks(model, stream), "tool_calls") for call in part]
    assert [call["index"] for call in calls if "id" in call] == [0, 1]


@both_streams
def test_004_every_delta_of_a_call_has_an_index(model: str, stream: bytes) -> None:
    calls = [call for part in deltas(chunks(model, stream), "tool_calls") for call in part]
    assert len(calls) > 2
    assert all(type(call["index"]) is int for call in calls)


@both_streams
def test_005_id_and_time_are_one_for_all_chunks(model: str, stream: bytes) -> None:
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks(model, stream)}) == 1


@both_streams
def test_006_every_chunk_names_the_served_model(model: str, stream: bytes) -> None:
    assert {chunk["model"] for chunk in chunks(model, stream)} == {"served"}


@pytest.mark.parametrize(
    ("model", "stream"),
    [
        (CLAUDE, anthropic_stream({"type": "ping"}, *block(0, text(""), said(""), said("a")))),
        (GEMINI_3, gemini_stream(gemini_response({"text": ""}), gemini_response({"text": "a"}, finish="STOP"))),
    ],
)
def test_007_upstreams_keep_alive_makes_no_delta(model: str, stream: bytes) -> None:
    assert deltas(chunks(model, stream), "content") == ["a"]


FOREIGN = [
    (CLAUDE, anthropic_stream(*WORDS, stop=reason))
    for reason in ("end_turn", "stop_sequence", "pause_turn", "refusal", "brand_new", None)
] + [
    (GEMINI_3, gemini_stream(gemini_response({"text": "a"}, finish=reason)))
    for reason in ("STOP", "SAFETY", "MAX_TOKENS", "BRAND_NEW", "OTHER")
]


@pytest.mark.parametrize(("model", "stream"), FOREIGN)
def test_008_finish_reason_is_one_of_openais_five(model: str, stream: bytes) -> None:
    assert set(finishes(chunks(model, stream))) <= {"stop", "length", "content_filter"}


@pytest.mark.parametrize(
    ("native", "reason"),
    [("eos", "stop"), ("model_length", "length"), ("tool_use", "tool_calls"), ("SAFETY", "content_filter")],
)
def test_008_finish_reason_of_a_host_like_openai_is_openais_too(native: str, reason: str) -> None:
    stream = openai_stream(openai_chunk(content='"finish_reason":"eos"'), openai_chunk(native), b"[DONE]")
    mended = stream.replace(b': "%b"' % native.encode(), b': "%b"' % reason.encode())
    assert open_pipe("gpt-4o").feed(stream).replace(b" ", b"") == mended.replace(b" ", b"")


@both_streams
def test_009_finish_comes_once_at_the_end_of_the_message(model: str, stream: bytes) -> None:
    rendered = chunks(model, stream)
    assert finishes(rendered) == ["tool_calls"]
    assert [chunk for chunk in rendered if chunk["choices"]][-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("model", "stream", "reason"),
    [
        (CLAUDE, anthropic_stream(*WORDS, stop="max_tokens"), "length"),
        (CLAUDE, anthropic_stream(*WORDS, stop="refusal"), "content_filter"),
        (GEMINI_3, gemini_stream(gemini_response({"text": "a"}, finish="MAX_TOKENS")), "length"),
        (GEMINI_3, gemini_stream(gemini_response({"text": "a"}, finish="SAFETY")), "content_filter"),
    ],
)
def test_010_stream_tells_what_cut_it_short(model: str, stream: bytes, reason: str) -> None:
    assert finishes(chunks(model, stream)) == [reason]


def test_011_calls_beside_empty_content_survive() -> None:
    pipe = open_pipe("gpt-4o")
    assert pipe.feed(OPENAI_CALLS) == OPENAI_CALLS
    assert pipe.content


@both_streams
def test_012_usage_comes_last_and_is_null_before(model: str, stream: bytes) -> None:
    *before, last = chunks(model, stream)
    assert (last["choices"], last["usage"]["total_tokens"] >= 0) == ([], True)
    assert [chunk["usage"] for chunk in before] == [None] * len(before)


@pytest.mark.parametrize(("model", "stream"), [(CLAUDE, CALLS), (GEMINI_3, GEMINI_CALLS)])
def test_013_usage_is_not_told_to_those_who_did_not_ask(model: str, stream: bytes) -> None:
    pipe = open_pipe(model, include_usage=False)
    assert b'"usage"' not in pipe.feed(stream) + pipe.close()
    assert pipe.usage is not None


def test_013_usage_is_asked_for_as_the_client_asked() -> None:
    assert "stream_options" not in sent("gpt-4o", stream=True)


@both_streams
def test_014_chunks_without_choices_bear_usage(model: str, stream: bytes) -> None:
    assert [bool(chunk["usage"]) for chunk in chunks(model, stream) if not chunk["choices"]] == [True]


@pytest.mark.parametrize(
    ("model", "stream"),
    [
        (CLAUDE, anthropic_stream(*WORDS, end=False)),
        (GEMINI_3, gemini_stream(gemini_response({"text": "Let me look."}))),
        ("gpt-4o", openai_stream(openai_chunk(content="Let me look."))),
    ],
)
def test_015_broken_stream_ends_in_an_error_and_no_finish(model: str, stream: bytes) -> None:
    pipe = open_pipe(model)
    out = pipe.feed(stream) + pipe.close()
    assert pipe.error is not None
    assert pipe.error.kind == "truncated"
    assert b"[DONE]" not in out
    assert b'"finish_reason":"' not in out


def test_015_error_event_ends_with_its_blank_line() -> None:
    event = render_error_event(UpstreamError("gone", kind="reset"))
    assert event.startswith(b'data: {"error":{')
    assert event.endswith(b"}}\n\n")


def test_017_error_before_any_content_can_still_be_a_status() -> None:
    pipe = open_pipe(CLAUDE)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert pipe.feed(anthropic_stream(overloaded, end=False)) == b""
    assert pipe.error is not None
    assert (pipe.content, pipe.error.status, pipe.error.upstream_status, pipe.error.retryable) == (
        False,
        502,
        529,
        True,
    )


CITED = block(
    0,
    text(""),
    said("a"),
    *(
        {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": url, "title": "t"}}
        for url in ("https://a.example", "https://b.example")
    ),
)
THOUGHT = block(
    0,
    {"type": "thinking", "thinking": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "s"},
)


def test_018_annotations_come_in_one_delta() -> None:
    found = deltas(chunks(CLAUDE, anthropic_stream(*CITED)), "annotations")
    assert [[item["url_citation"]["url"] for item in items] for items in found] == [
        ["https://a.example", "https://b.example"]
    ]


def test_018_blocks_of_thinking_are_indexed() -> None:
    found = deltas(chunks(CLAUDE, anthropic_stream(*THOUGHT)), "thinking_blocks")
    assert [item["index"] for items in found for item in items] == [0, 0]


def test_019_keep_alive_is_a_comment() -> None:
    stream = [sse.KEEP_ALIVE, sse.encode_event(b"{}"), sse.KEEP_ALIVE, sse.DONE]
    assert sse.KEEP_ALIVE == b": ping\n\n"
    assert [event.data for event in SSEDecoder().iter_bytes(iter(stream))] == ["{}", "[DONE]"]


@pytest.mark.parametrize("model", [CLAUDE_4_5, GEMINI_3])
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}])
def test_020_stream_options_without_a_stream_are_refused(model: str, stream: JSON) -> None:
    assert refused(model, HELLO, stream_options={"include_usage": True}, **stream).param == "stream_options"


@pytest.mark.parametrize("model", [CLAUDE_4_5, GEMINI_3])
def test_020_stream_options_of_a_stream_are_taken(model: str) -> None:
    assert build(model, HELLO, stream=True, stream_options={"include_usage": True}).dropped == ()


def test_020_stream_options_are_openais_to_refuse() -> None:
    assert sent("gpt-4o", stream_options={})["stream_options"] == {}


def test_034_foreign_call_finishes_as_a_call() -> None:
    completion = answer(CLAUDE, anthropic_answer(use(), stop="tool_use"))
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(completion["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {}
    assert Finished("tool_calls").reason == "tool_calls"
