"""Section B: server-sent events from upstream."""

from __future__ import annotations

import json

import pytest
from tests.edge_cases.asking import (
    CLAUDE,
    CONTEXT,
    GEMINI_3,
    anthropic_stream,
    arguments,
    block,
    chunks,
    deltas,
    dump,
    finishes,
    gemini_response,
    gemini_stream,
    open_pipe,
    pick_dialect,
    read,
    said,
    text,
    use,
)

from feathergate.errors import UpstreamError
from feathergate.events import Started, Text, ToolStarted
from feathergate.testing import read_stream
from feathergate.wire.sse import SseReader, encode_event

ODD = "é日本😀\u2028\u2029\u0085"
STREAMS = [
    (
        CLAUDE,
        anthropic_stream(*block(0, text(""), said(ODD)), *block(1, use(), arguments('{"a":"é"}')), stop="tool_use"),
    ),
    (
        GEMINI_3,
        gemini_stream(gemini_response({"text": ODD}), gemini_response({"functionCall": {"name": "f"}}, finish="STOP")),
    ),
]
each_stream = pytest.mark.parametrize(("model", "stream"), STREAMS)


@each_stream
def test_021_event_split_anywhere_is_the_same_event(model: str, stream: bytes) -> None:
    whole = read(model, stream)
    for at in range(1, len(stream)):
        assert read_stream(pick_dialect(model), CONTEXT, [stream[:at], stream[at:]]) == whole


def test_022_unknown_event_names_are_ignored() -> None:
    stranger = b'event: content_block_extra\ndata: {"type":"content_block_extra","index":"?"}\n\n'
    stream = anthropic_stream(*block(0, text(""), said("a")))
    assert read(CLAUDE, stranger + stream.replace(b"\n\n", b"\n\n" + stranger)) == read(CLAUDE, stream)


@each_stream
def test_024_separators_of_unicode_are_no_line_breaks(model: str, stream: bytes) -> None:
    assert "".join(event.text for event in read(model, stream) if isinstance(event, Text)) == ODD
    assert "".join(deltas(chunks(model, stream), "content")) == ODD


def test_024_separators_written_to_the_client_stay_in_their_line() -> None:
    assert [data for _, data in SseReader(99).feed(encode_event(dump(ODD)))] == [dump(ODD)]


def test_025_gemini_may_answer_with_an_array() -> None:
    responses = [gemini_response({"text": "a"}), gemini_response({"text": "b"}, finish="STOP")]
    events = pick_dialect(GEMINI_3).parse_answer(dump(responses), CONTEXT)
    assert [event.text for event in events if isinstance(event, Text)] == ["a", "b"]


@pytest.mark.parametrize(
    "stream", [b'data: [{"error":{"code":429,"message":"m"}}]\n\n', b'{"error":{"code":429,\n"message":"m"}}\n\n']
)
def test_025_gemini_may_err_within_the_stream_in_any_form(stream: bytes) -> None:
    with pytest.raises(UpstreamError, match="m") as caught:
        read(GEMINI_3, gemini_stream(gemini_response({"text": "a"})) + stream)
    assert caught.value.status == 429


@pytest.mark.parametrize(
    ("model", "stream"),
    [
        (CLAUDE, anthropic_stream(*block(0, text(""), said("a")), end=False)),
        (GEMINI_3, gemini_stream(gemini_response({"text": "a"}))),
    ],
)
def test_026_end_without_a_finish_is_a_truncation(model: str, stream: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(model, stream)
    assert caught.value.kind == "truncated"


def test_027_second_start_changes_neither_id_nor_role() -> None:
    again = {"type": "message_start", "message": {"id": "msg_2", "model": "other"}}
    stream = anthropic_stream(*block(0, text(""), said("a")), again, *block(0, text(""), said("b")))
    assert [event.id for event in read(CLAUDE, stream) if isinstance(event, Started)] == ["msg_1"]
    assert deltas(chunks(CLAUDE, stream), "role") == ["assistant"]


def test_028_block_of_an_unknown_type_is_ignored_and_counts_for_nothing() -> None:
    unknown = block(0, {"type": "hologram", "x": [1]}, {"type": "hologram_delta", "x": 1}, said("not text"))
    stream = anthropic_stream(*unknown, *block(1, use()), *block(2, use("c2")), stop="tool_use")
    events = read(CLAUDE, stream)
    assert [event.tool for event in events if isinstance(event, ToolStarted)] == [0, 1]
    assert not [event for event in events if isinstance(event, Text)]


def test_028_delta_of_an_unknown_type_is_ignored() -> None:
    stream = anthropic_stream(*block(0, text(""), said("a"), {"type": "hologram_delta", "text": "b"}))
    assert deltas(chunks(CLAUDE, stream), "content") == ["a"]
    assert finishes(chunks(CLAUDE, stream)) == ["stop"]


def test_022_chunk_of_another_shape_passes_as_it_came() -> None:
    odd = b'data: {"object":"chat.completion.chunk","choices":[],"prompt_filter_results":[{"x":1}]}\n\n'
    assert open_pipe("gpt-4o").feed(odd) == odd
    assert json.loads(odd[6:])["choices"] == []
